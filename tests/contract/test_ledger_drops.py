"""What every ledger promises of drops: how they are made, changed, opened and closed."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from livecast.core.books.bookkeeping import DropChanged
from livecast.core.errors import Refusal
from livecast.core.money.units import BEFORE_OPENING, OPEN_END, STEPS, STOCK_MAX, Drop, DropChange, Due, NewDrop, Release, Terms
from livecast.core.nodes.placement import shard_of
from livecast.ledger import Ledger, UploadedCodes
from support.drops import NOW, ROOM, click, make, opened, short, step

HOUR_MS = 3_600_000
REAL = NOW + HOUR_MS
"""What the store's clock says, about."""
ALL_TERMS = Terms(
    stock=7,
    kind="draw",
    per_user=3,
    announce_at=NOW + 1,
    opens_at=NOW + 2,
    closes_at=NOW + 3,
    codes="none",
    reserve_ms=4,
    fair_window_ms=5,
    limit_group="12",
    gifted=True,
    test=True,
)


async def changes(ledger: Ledger) -> list[DropChanged]:
    """The drop's own entries."""
    entries = await ledger.read(shard_of(ROOM), 0, 10_000)
    return [entry.fact for entry in entries if isinstance(entry.fact, DropChanged)]


def is_conflict(answer: object) -> bool:
    """Refused because of how things are."""
    return isinstance(answer, Refusal) and answer.code == "conflict"


# --- Making and changing ----------------------------------------------------------------------------------------------
async def test_a_drop_is_kept_as_it_was_made(ledger: Ledger, ledgers: Any) -> None:
    """Every term, what is handed on unread, and the secret apart from it."""
    new = NewDrop(ROOM, "d1", ALL_TERMS, b"\x00about\xff", b"\x00secret\xff")
    made = await ledger.put_drop(new, NOW)
    other = ledgers()
    assert await other.drop(ROOM, "d1") == made
    assert isinstance(made, Drop)
    assert (made.terms, made.about, made.state, made.left, made.created_at) == (ALL_TERMS, b"\x00about\xff", "draft", 7, NOW)
    assert await other.secret(ROOM, "d1") == b"\x00secret\xff"
    assert await changes(other) == [DropChanged("create", made)]
    assert await ledger.drop(ROOM, "d2") is None
    assert await ledger.drop("other", "d1") is None
    assert await ledger.secret(ROOM, "d2") is None


async def test_a_drop_is_made_once(ledger: Ledger) -> None:
    """The same again gives the drop as it is by now; other terms are a conflict."""
    await opened(ledger)
    again = await ledger.put_drop(NewDrop(ROOM, "d1", Terms(3), b"about", b"another secret"), NOW + 5)
    assert isinstance(again, Drop)
    assert again.state == "open"
    assert await ledger.secret(ROOM, "d1") == b"secret"
    for other in (NewDrop(ROOM, "d1", Terms(4), b"about"), NewDrop(ROOM, "d1", Terms(3), b"else")):
        assert is_conflict(await ledger.put_drop(other, NOW))


async def test_drops_are_listed_newest_first(ledger: Ledger) -> None:
    """In pages that follow each other."""
    for n in range(7):
        await make(ledger, f"d{n}")
    seen: list[str] = []
    while page := await ledger.drops(ROOM, seen[-1] if seen else None, 3):
        seen += [drop.id for drop in page]
    assert seen == [f"d{n}" for n in reversed(range(7))]
    assert await ledger.drops(ROOM, "nothing", 3) == []
    assert await ledger.drops("other", None, 3) == []


async def test_all_of_a_drop_can_be_changed_before_it_opens(ledger: Ledger) -> None:
    """Absent times included; later only its stock and its end."""
    await make(ledger, opens_at=NOW + 5, limit_group="a")
    changed = await ledger.change_drop(ROOM, "d1", DropChange("t1", Terms(5), b"other", stock_delta=2, closes_at=NOW + 9), NOW)
    assert isinstance(changed, Drop)
    assert (changed.terms, changed.about, changed.left) == (Terms(7, closes_at=NOW + 9), b"other", 7)
    assert await ledger.drop(ROOM, "d1") == changed
    assert (await changes(ledger))[-1] == DropChanged("change", changed)
    await step(ledger, "open")
    for change in (DropChange("t2", Terms(5)), DropChange("t2", about=b"")):
        assert is_conflict(await ledger.change_drop(ROOM, "d1", change, NOW))
    assert await ledger.change_drop(ROOM, "d2", DropChange("t3"), NOW) == Refusal("unknown_drop")


async def test_a_change_can_be_for_one_picture_of_the_drop_alone(ledger: Ledger) -> None:
    """Of two who saw the same one changes it; who repeats their own change gets the drop again."""
    drop = await make(ledger, codes="list")
    first, second = (DropChange(tx, about=tx.encode(), if_changed=drop.changed) for tx in ("t1", "t2"))
    changed = await ledger.change_drop(ROOM, "d1", first, NOW)
    assert isinstance(changed, Drop)
    assert await ledger.change_drop(ROOM, "d1", second, NOW) == Refusal("precondition_failed")
    assert await ledger.change_drop(ROOM, "d1", first, NOW) == changed
    assert changed.about == b"t1"
    await ledger.put_codes(ROOM, "d1", "up", 0, ["A", "B", "C"])
    assert await ledger.finish_codes(ROOM, "d1", "up", NOW, if_changed=drop.changed) == Refusal("precondition_failed")
    assert isinstance(await ledger.finish_codes(ROOM, "d1", "up", NOW, if_changed=changed.changed), Drop)


async def test_a_repeated_change_is_made_once(ledger: Ledger) -> None:
    """A delta counts once for its tx; another change under it is a conflict."""
    await opened(ledger)
    for _ in range(2):
        changed = await ledger.change_drop(ROOM, "d1", DropChange("t1", stock_delta=4), NOW)
        assert isinstance(changed, Drop)
        assert changed.terms.stock == 7
    assert is_conflict(await ledger.change_drop(ROOM, "d1", DropChange("t1", stock_delta=5), NOW))


async def test_stock_never_falls_below_what_is_granted(ledger: Ledger) -> None:
    """What came back counts; nor does it pass its bound, or fall to nothing."""
    await opened(ledger, stock=5, reserve_ms=1000)
    for user in ("ann", "bob", "cat"):
        await click(ledger, user)
    await ledger.step_unit(ROOM, "d1", 1, Release(), NOW)
    for delta, left in ((-4, None), (-3, 0), (1, 1), (STOCK_MAX, None), (STOCK_MAX - 3, STOCK_MAX - 2)):
        changed = await ledger.change_drop(ROOM, "d1", DropChange(f"by {delta}", stock_delta=delta), NOW)
        expected = Refusal("invalid", field="stock_delta") if left is None else left
        assert (changed.left if isinstance(changed, Drop) else changed) == expected
    await step(ledger, "close")
    assert is_conflict(await ledger.change_drop(ROOM, "d1", DropChange("late", stock_delta=1), NOW))


async def test_stock_opens_and_sells_out_a_drop(ledger: Ledger) -> None:
    """`sold_out` and `open` go over into each other by stock alone; each time it is counted, and entered."""
    await opened(ledger, stock=1)
    await click(ledger, "ann")
    drop = await ledger.change_drop(ROOM, "d1", DropChange("t1", stock_delta=1), NOW)
    assert isinstance(drop, Drop)
    assert (drop.state, drop.left, drop.sold_out_times) == ("open", 1, 1)
    assert short(await click(ledger, "bob")) == 2
    sold_out = await ledger.drop(ROOM, "d1")
    assert sold_out is not None
    assert (sold_out.state, sold_out.sold_out_times) == ("sold_out", 2)
    assert (await step(ledger, "pause")).state == "paused"
    assert (await step(ledger, "resume")).state == "sold_out"


# --- Steps ------------------------------------------------------------------------------------------------------------
PATHS: dict[str, list[Any]] = {
    "draft": [],
    "announced": ["announce"],
    "open": ["open"],
    "paused": ["open", "pause"],
    "closed": ["open", "close"],
    "cancelled": ["cancel"],
    "settled": ["open", "close", "settle"],
}


@pytest.mark.parametrize("a_step", list(STEPS))
@pytest.mark.parametrize("state", list(PATHS))
async def test_the_table_of_states(ledger: Ledger, state: Any, a_step: Any) -> None:
    """Each step from each state: it leads where the table says, changes nothing where the drop is, or is a conflict."""
    await make(ledger)
    for each in PATHS[state]:
        await step(ledger, each)
    before = await changes(ledger)
    sources, target = STEPS[a_step]
    answer = await ledger.step_drop(ROOM, "d1", a_step, NOW + 7)
    after = await changes(ledger)
    if state in sources:
        assert isinstance(answer, Drop)
        assert answer.state == target
        assert after == [*before, DropChanged(a_step, answer)]
    else:
        assert is_conflict(answer) or (isinstance(answer, Drop) and answer.state == target == state)
        assert after == before
    assert await ledger.step_drop(ROOM, "d2", a_step, NOW) == Refusal("unknown_drop")


async def test_a_drop_tells_when_it_opened_and_closed(ledger: Ledger) -> None:
    """By the clock of whoever opened and closed it; cancelling later does not change that."""
    await make(ledger)
    await step(ledger, "open", now=NOW + 1)
    await step(ledger, "pause", now=NOW + 2)
    await step(ledger, "resume", now=NOW + 3)
    await step(ledger, "close", now=NOW + 4)
    drop = await step(ledger, "cancel", now=NOW + 5)
    assert (drop.opened_at, drop.closed_at) == (NOW + 1, NOW + 4)


async def test_timed_steps_need_both_clocks(ledger: Ledger) -> None:
    """The caller's behind the time: not yet. The store's behind it (the caller's runs ahead): not yet. Both there: done, once."""
    await make(ledger, opens_at=NOW + 1000, closes_at=NOW + 2000)
    early = await ledger.step_drop(ROOM, "d1", "open", NOW + 999, timed=True)
    assert isinstance(early, Refusal)
    assert (early.code, early.retry_after_ms) == ("conflict", 1)
    for now in (NOW + 1000, NOW + 1001):
        answer = await ledger.step_drop(ROOM, "d1", "open", now, timed=True)
        assert isinstance(answer, Drop)
        assert (answer.state, answer.opened_at) == ("open", NOW + 1000)
    real = time.time_ns() // 1_000_000  # now: the file may have been read long ago
    await make(ledger, "d2", opens_at=real + 300_000)
    ahead = await ledger.step_drop(ROOM, "d2", "open", real + 400_000, timed=True)
    assert isinstance(ahead, Refusal)
    assert ahead.retry_after_ms is not None
    assert 0 < ahead.retry_after_ms <= 300_000
    assert is_conflict(await ledger.step_drop(ROOM, "d2", "close", real, timed=True))
    assert is_conflict(await ledger.step_drop(ROOM, "d2", "announce", real, timed=True))
    assert (await step(ledger, "open", "d2")).state == "open"


async def test_two_owners_open_a_drop_once(ledger: Ledger, ledgers: Any) -> None:
    """After a change of owner the old one may still try: the drop opens once, with one entry."""
    await make(ledger, opens_at=NOW)
    owners = [ledgers() for _ in range(5)]
    answers = await asyncio.gather(*(owner.step_drop(ROOM, "d1", "open", NOW + n, timed=True) for n, owner in enumerate(owners)))
    assert len({answer.opened_at for answer in answers}) == 1
    assert [change.step for change in await changes(ledger)] == ["create", "open"]


async def test_what_is_due(ledger: Ledger) -> None:
    """Steps to come in each state at their times, earliest first; of this shard only, and none twice."""
    shard = shard_of(ROOM)
    await make(ledger, announce_at=NOW + 1, opens_at=NOW + 2, closes_at=NOW + 9, fair_window_ms=5)
    await make(ledger, "d2", opens_at=NOW + 3)
    announce, opening, other = (
        Due("announce", ROOM, "d1", NOW + 1),
        Due("open", ROOM, "d1", NOW + 2),
        Due("open", ROOM, "d2", NOW + 3),
    )
    assert await ledger.due(shard, NOW + 99, 10) == [announce, opening, other]
    assert await ledger.due(shard, NOW + 2, 10) == [announce, opening]
    assert await ledger.due(shard, NOW + 99, 1) == [announce]
    assert await ledger.due((shard + 1) % 256, NOW + 99, 10) == []
    await step(ledger, "announce")
    assert await ledger.due(shard, NOW + 99, 10) == [opening, other]
    await step(ledger, "open", now=NOW + 2)
    selling, window, closing = (
        Due("selling", ROOM, "d1", NOW + 2),
        Due("window", ROOM, "d1", NOW + 7),
        Due("close", ROOM, "d1", NOW + 9),
    )
    assert await ledger.due(shard, NOW + 99, 10) == [selling, other, window, closing]
    await ledger.change_drop(ROOM, "d1", DropChange("t", closes_at=NOW + 4), NOW)
    assert await ledger.due(shard, NOW + 99, 10) == [selling, other, Due("close", ROOM, "d1", NOW + 4), window]
    opened = await ledger.change_drop(ROOM, "d1", DropChange("never", closes_at=OPEN_END), NOW)
    assert isinstance(opened, Drop)
    assert opened.terms.closes_at is None
    assert await ledger.due(shard, NOW + 99, 10) == [selling, other, window]
    await step(ledger, "close")
    await step(ledger, "cancel", "d2")
    settling = Due("settle", ROOM, "d1", NOW)
    assert await ledger.due(shard, NOW + 99, 10) == [settling, window]
    await ledger.freeze_pot(ROOM, "d1", NOW)
    assert await ledger.due(shard, NOW + 99, 10) == [settling, window]
    await ledger.draw_pot(ROOM, "d1", b"result", NOW + 8)
    telling = Due("tell", ROOM, "d1", NOW + 8)
    assert await ledger.due(shard, NOW + 99, 10) == [settling, telling]
    await step(ledger, "settle")
    assert await ledger.due(shard, NOW + 99, 10) == [telling]
    for _ in range(2):
        await ledger.told(ROOM, "d1", NOW)
        assert await ledger.due(shard, NOW + 99, 10) == []


# --- Codes ------------------------------------------------------------------------------------------------------------
async def test_a_list_is_uploaded_in_parts(ledger: Ledger) -> None:
    """It counts once it is finished and before that not at all; a later upload replaces it; opening needs enough."""
    await make(ledger, codes="list", stock=3)
    assert await ledger.put_codes(ROOM, "d1", "up", 0, ["A", "B"]) == UploadedCodes(2)
    assert is_conflict(await ledger.step_drop(ROOM, "d1", "open", NOW))
    for offset in (0, 1, 3):
        assert is_conflict(await ledger.put_codes(ROOM, "d1", "up", offset, ["C"]))
    finished = await ledger.finish_codes(ROOM, "d1", "up", NOW)
    assert isinstance(finished, Drop)
    assert (finished.codes_held, finished.left) == (2, 2)
    assert await ledger.finish_codes(ROOM, "d1", "up", NOW) == finished
    assert is_conflict(await ledger.step_drop(ROOM, "d1", "open", NOW))
    assert await ledger.put_codes(ROOM, "d1", "up", 0, ["B"]) == UploadedCodes(1)  # a finished upload is used up: this is another
    assert await ledger.put_codes(ROOM, "d1", "second", 0, ["X", "Y", "Z"]) == UploadedCodes(3)
    await ledger.finish_codes(ROOM, "d1", "second", NOW)
    assert (await step(ledger, "open")).codes_held == 3
    assert is_conflict(await ledger.put_codes(ROOM, "d1", "third", 0, ["A"]))
    assert is_conflict(await ledger.finish_codes(ROOM, "d1", "third", NOW))
    assert is_conflict(await ledger.change_drop(ROOM, "d1", DropChange("t", stock_delta=1), NOW))


async def test_repeated_codes_are_named_and_refused(ledger: Ledger) -> None:
    """By the numbers of their lines, over all parts; such an upload cannot be finished."""
    await make(ledger, codes="list", stock=1)
    assert await ledger.put_codes(ROOM, "d1", "up", 0, ["A", "B", "A"]) == UploadedCodes(3, (3,))
    assert await ledger.put_codes(ROOM, "d1", "up", 3, ["C", "B"]) == UploadedCodes(5, (3, 5))
    assert is_conflict(await ledger.finish_codes(ROOM, "d1", "up", NOW))
    assert is_conflict(await ledger.finish_codes(ROOM, "d1", "never begun", NOW))


async def test_only_a_drop_with_a_list_takes_one(ledger: Ledger) -> None:
    """Others, and drops that are not there, refuse."""
    await make(ledger)
    assert is_conflict(await ledger.put_codes(ROOM, "d1", "up", 0, ["A"]))
    assert await ledger.put_codes(ROOM, "d2", "up", 0, ["A"]) == Refusal("unknown_drop")
    assert await ledger.finish_codes(ROOM, "d2", "up", NOW) == Refusal("unknown_drop")


async def test_a_full_part(ledger: Ledger) -> None:
    """10,000 lines at once, and not one more."""
    await make(ledger, codes="list", stock=20_000)
    lines = [f"CODE-{n:06}" for n in range(20_001)]
    for at in (0, 10_000):
        assert await ledger.put_codes(ROOM, "d1", "up", at, lines[at : at + 10_000]) == UploadedCodes(at + 10_000)
    assert is_conflict(await ledger.put_codes(ROOM, "d1", "up", 20_000, lines[:10_001]))
    await ledger.finish_codes(ROOM, "d1", "up", NOW)
    assert (await step(ledger, "open")).left == 20_000


def test_what_counts_as_before_opening() -> None:
    """Is where `open` leads from."""
    assert STEPS["open"][0] == BEFORE_OPENING
