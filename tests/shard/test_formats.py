"""Who may come to a store, and who must go: what it says of its format, and who is there."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from livecast.adapters.memory.formats import MemoryFormats
from livecast.adapters.memory.log import MemoryRoomLog
from livecast.adapters.memory.roster import MemoryRoster
from livecast.core.nodes.formats import FORMAT, READER, Knows, Mark, fits, raised, too_new, versions
from livecast.core.nodes.membership import Beat
from livecast.facts import Fact, Trouble
from livecast.ports import WrongFormat
from livecast.shard.formats import FormatWatch, enter, settle

ONE = Knows(1, 1, "0.1.0")
TWO = Knows(2, 1, "0.2.0")
"""It has learned to read what three will write."""
THREE = Knows(3, 2, "0.3.0")
DEAD_AFTER_S = 0.3


class Store:
    """A store in memory, who is there, and its mark."""

    def __init__(self, mark: Mark | None = None) -> None:
        self.roster = MemoryRoster(MemoryRoomLog())
        self.formats = MemoryFormats(self.roster)
        self.formats._mark = mark

    async def come(self, mine: Knows, me: str = "new") -> Mark | None:
        """A node starts; the mark behind it."""
        await enter(me=me, formats=self.formats, roster=self.roster, mine=mine, dead_after_s=DEAD_AFTER_S)
        return await self.formats.mark()


@pytest.mark.parametrize(
    ("mark", "mine", "fit", "then"),
    [
        (None, ONE, True, Mark(1, 1, "0.1.0")),
        (None, THREE, True, Mark(3, 2, "0.3.0")),
        (Mark(1, 1, "0.1.0"), ONE, True, Mark(1, 1, "0.1.0")),
        (Mark(1, 1, "0.1.0"), TWO, True, Mark(2, 1, "0.2.0")),
        (Mark(2, 1, "0.2.0"), ONE, True, Mark(2, 1, "0.2.0")),  # back by one: nothing changes
        (Mark(2, 1, "0.2.0"), THREE, True, Mark(3, 2, "0.3.0")),
        (Mark(3, 2, "0.3.0"), TWO, True, Mark(3, 2, "0.3.0")),  # back by one again
        (Mark(3, 2, "0.3.0"), ONE, False, None),  # back by two
    ],
)
def test_one_version_beside_the_next(mark: Mark | None, mine: Knows, *, fit: bool, then: Mark | None) -> None:
    """Going back by one version is always possible, and marks never fall."""
    assert fits(mark, mine) is fit
    if then is not None:
        assert raised(mark, mine) == then


def test_this_version_can_be_gone_back_from() -> None:
    """What it writes, the version before reads: of the first there is none before."""
    assert 1 <= READER <= FORMAT
    assert READER == 1, "set this to the FORMAT of the version before, in the version that raises READER"


async def test_the_first_node_marks_the_store() -> None:
    """Whoever comes next finds the mark, and is seen while it looks."""
    store = Store()
    assert await store.come(ONE) == Mark(1, 1, "0.1.0")
    assert (await store.roster.signs())["new"].leaving  # there, and wants no shards yet
    assert await store.come(TWO, "next") == Mark(2, 1, "0.2.0")


async def test_a_store_of_later_versions_is_left_alone() -> None:
    """The message says who wrote it and what to do; nothing of the node stays."""
    store = Store(Mark(3, 2, "0.3.0"))
    with pytest.raises(WrongFormat, match=r"format 2 by livecast 0\.3\.0.*this is livecast 0\.1\.0.*Run livecast 0\.3\.0"):
        await store.come(ONE)
    assert await store.roster.signs() == {}
    assert await store.formats.mark() == Mark(3, 2, "0.3.0")


async def alive(store: Store, name: str, version: str) -> None:
    """A node that shows signs, until cancelled."""
    for count in range(1, 10_000):
        await store.roster.beat(name, Beat(count, version=version))
        await asyncio.sleep(0.02)


async def test_nobody_writes_what_a_living_node_cannot_read() -> None:
    """Three comes beside one: it says who is in the way, and goes."""
    store = Store(Mark(1, 1, "0.1.0"))
    old = asyncio.create_task(alive(store, "old", "0.1.0"))
    while "old" not in await store.roster.signs():  # noqa: ASYNC110 - a task brings it about
        await asyncio.sleep(0.01)
    with pytest.raises(WrongFormat, match=r"livecast 0\.3\.0 writes format 2.*old \(livecast 0\.1\.0\)"):
        await store.come(THREE)
    assert await store.come(TWO) == Mark(2, 1, "0.2.0")  # beside it there is room for this one
    old.cancel()


async def test_the_dead_are_in_nobodys_way() -> None:
    """A sign that stays as it was for long enough is left over; the mark is raised behind it."""
    store = Store(Mark(1, 1, "0.1.0"))
    await store.roster.beat("dead", Beat(7, version="0.1.0"))
    began = asyncio.get_running_loop().time()
    assert await store.come(THREE) == Mark(3, 2, "0.3.0")
    assert asyncio.get_running_loop().time() - began >= DEAD_AFTER_S


async def test_several_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """All come in, and the mark is theirs."""
    monkeypatch.setattr("livecast.shard.formats.LOOK_S", 0.01)
    store = Store()
    marks = await asyncio.gather(*(store.come(TWO, f"n{n}") for n in range(5)))
    assert set(marks) == {Mark(2, 1, "0.2.0")}


async def test_a_store_without_company() -> None:
    """A ledger, or a store of one's own: nobody is looked for."""
    store = Store(Mark(2, 1, "0.2.0"))
    await store.roster.beat("somebody", Beat(1, version="0.1.0"))
    await settle("the ledger", store.formats, THREE)
    assert await store.formats.mark() == Mark(3, 2, "0.3.0")
    with pytest.raises(WrongFormat, match=r"^the ledger is written in format 2"):
        await settle("the ledger", store.formats, ONE)


async def test_a_node_that_slept_goes_when_it_wakes() -> None:
    """It was judged dead, and the mark raised over it. What nobody can read as a mark ends nothing."""

    class Facts:
        def __init__(self) -> None:
            self.seen: list[Fact] = []

        def observe(self, fact: Fact) -> None:
            self.seen.append(fact)

    class Scribbled:
        said: Any = WrongFormat("no mark")

        async def mark(self) -> Mark | None:
            if isinstance(self.said, Exception):
                raise self.said
            return self.said  # type: ignore[no-any-return]

        async def put(self, *_: Any) -> bool:
            raise AssertionError

    formats, facts, left = Scribbled(), Facts(), asyncio.get_running_loop().create_future()
    watch = FormatWatch(formats=formats, mine=ONE, observer=facts, leave=left.set_result, watch_s=0.01)
    watch.start()
    async with asyncio.timeout(20):
        while not facts.seen:  # noqa: ASYNC110 - its next look brings it about
            await asyncio.sleep(0.01)
        assert isinstance(facts.seen[0], Trouble)
        assert not left.done()
        formats.said = Mark(3, 2, "0.3.0")
        assert await left == too_new("the rooms' store", formats.said, ONE)
    watch.stop()


def test_versions_are_counted() -> None:
    """Also of nodes that do not say."""
    assert versions([Beat(1, version="b"), Beat(1, version="a"), Beat(2, version="b"), Beat(3)]) == {"a": 1, "b": 2, "unknown": 1}
