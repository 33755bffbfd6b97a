"""What every store of rules beyond rooms promises."""

from __future__ import annotations

from typing import Any

from livecast.core.frames import StaffAct
from livecast.house import Rule

BAN = Rule("ban", "platform", "eve@x.y")
MUTE = Rule("mute", "merchant:m1", "eve")
WORDS = Rule("filter", "room:r1")


def act(at: int, action: str = "ban") -> StaffAct:
    """Somebody did something."""
    return StaffAct(at, "mo", "Mo", "moderator", action, {"user": "eve"}, "why")


async def test_rules_hold_until_they_are_taken_back(stores: Any) -> None:
    """Whatever process asks; whether it held before is told; filters are not among sanctions."""
    here, there = stores.house(), stores.house()
    assert await here.get(WORDS) is None
    assert not await here.put(BAN, b"one", act(1))
    assert await here.put(BAN, b"two", act(2))
    assert not await here.put(MUTE, b"three", act(3))
    assert not await here.put(WORDS, b"\x00words", act(4))
    assert await there.get(WORDS) == b"\x00words"
    assert await there.sanctions() == (4, {BAN: b"two", MUTE: b"three"})
    assert await there.put(BAN, None, act(5))
    assert not await there.put(BAN, None, act(6))
    assert await here.sanctions() == (6, {MUTE: b"three"})
    assert await here.revision() == 6


async def test_a_filter_is_replaced_only_by_who_saw_it(stores: Any) -> None:
    """Of two who read the same one wins; what was refused left neither a change nor a line in the log."""
    here, there = stores.house(), stores.house()
    assert not await here.replace(WORDS, b"never there", b"x", act(1))
    assert await here.replace(WORDS, None, b"one", act(2))
    assert not await there.replace(WORDS, None, b"two", act(3))
    assert await there.replace(WORDS, b"one", b"two", act(4))
    assert await here.get(WORDS) == b"two"
    assert await here.replace(WORDS, b"two", None, act(5))
    assert await there.get(WORDS) is None
    assert await here.revision() == 3
    assert [one.at for _, one in await here.acts("", 9)] == [5, 4, 2]


async def test_who_did_it_is_kept(stores: Any) -> None:
    """The latest first, in pages."""
    house = stores.house()
    for n in range(5):
        await house.put(BAN, b"x", act(n))
    first = await house.acts("", 3)
    assert [one.at for _, one in first] == [4, 3, 2]
    assert first[0][1] == act(4)
    assert [one.at for _, one in await house.acts(first[-1][0], 3)] == [1, 0]
    await house.note(act(9, "disconnect"))
    assert len(await house.acts("nonsense", 10)) == 6
    assert await house.revision() == 5


async def test_an_empty_house(stores: Any) -> None:
    """Nothing holds."""
    house = stores.house()
    assert await house.sanctions() == (0, {})
    assert await house.acts("", 10) == []
    assert await house.revision() == 0


async def test_a_secret_is_made_once(stores: Any) -> None:
    """Whoever asks first gives it; it is the same for all from then on."""
    here, there = stores.house(), stores.house()
    assert await here.secret("aliases", b"\x00one") == b"\x00one"
    assert await there.secret("aliases", b"two") == b"\x00one"
    assert await there.secret("other", b"two") == b"two"
    assert await here.revision() == 0, "nobody has to hear of it"
