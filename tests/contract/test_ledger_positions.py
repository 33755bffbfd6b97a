"""What every ledger promises of its entries' positions, and of closing when something is missing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from livecast.core.books.bookkeeping import ShardConfirmed
from livecast.core.money.coins import Movement, SpendLimits
from livecast.core.money.units import Claim, DropChange, NewDrop, Order, Release, Terms
from livecast.core.nodes.placement import shard_of
from livecast.ledger import Ledger, LedgerClosed
from support.drops import BROADCAST, NOW, ROOM, click, make, opened, rose, step

SHARD = shard_of(ROOM)
USER = next(f"u{n}" for n in range(9999) if shard_of(f"u{n}") == SHARD)


async def test_entries_are_read_after_a_position(ledger: Ledger, ledgers: Any) -> None:
    """In order, in pages, each once, from another process as well; another shard's are not among them."""
    await opened(ledger)
    for n in range(5):
        await click(ledger, f"ann{n}")
    reader = ledgers()
    whole = await reader.read(SHARD, 0, 100)
    assert [entry.at for entry in whole] == [NOW] * 5
    pages: list[Any] = []
    while page := await reader.read(SHARD, pages[-1].position if pages else 0, 2):
        pages += page
    assert pages == whole
    assert await reader.read((SHARD + 1) % 256, 0, 100) == []


OPERATIONS: dict[str, Callable[[Ledger], Awaitable[object]]] = {
    "move": lambda ledger: ledger.move(Movement(USER, "t", 1, "key:k"), NOW),
    "debit_gift": lambda ledger: ledger.debit_gift(rose(USER), SpendLimits(), NOW),
    "commit_gift": lambda ledger: ledger.commit_gift(rose("ann"), NOW),
    "reverse_gift": lambda ledger: ledger.reverse_gift(ROOM, "x", "", NOW),
    "put_drop": lambda ledger: ledger.put_drop(NewDrop(ROOM, "d2", Terms(1)), NOW),
    "change_drop": lambda ledger: ledger.change_drop(ROOM, "d1", DropChange("t"), NOW),
    "put_codes": lambda ledger: ledger.put_codes(ROOM, "d1", "up", 0, ["A"]),
    "finish_codes": lambda ledger: ledger.finish_codes(ROOM, "d1", "up", NOW),
    "step_drop": lambda ledger: ledger.step_drop(ROOM, "d1", "open", NOW),
    "claim": lambda ledger: ledger.claim(ROOM, "d1", BROADCAST, [Claim("ann", "c")], NOW),
    "step_unit": lambda ledger: ledger.step_unit(ROOM, "d1", 1, Release(), NOW),
    "expire_units": lambda ledger: ledger.expire_units(ROOM, "d1", [1], NOW),
    "freeze_pot": lambda ledger: ledger.freeze_pot(ROOM, "d1", NOW),
    "award": lambda ledger: ledger.award(ROOM, "d1", 0, ["ann"], NOW),
    "draw_pot": lambda ledger: ledger.draw_pot(ROOM, "d1", b"", NOW),
    "order": lambda ledger: ledger.order(ROOM, Order("o", "ann", "s", 1, "EUR", "placed"), NOW),
}


@pytest.mark.parametrize("name", list(OPERATIONS))
async def test_every_operation_moves_the_position_on(ledger: Ledger, name: str) -> None:
    """Also a repeat and a refusal: an answer can be vouched for only by what its own call wrote."""
    await make(ledger)
    last = (await ledger.position(SHARD)).position
    for _ in range(2):
        await OPERATIONS[name](ledger)
        position = (await ledger.position(SHARD)).position
        assert position > last
        last = position


async def test_a_shard_that_stands_behind_is_closed_for_all(ledger: Ledger, ledgers: Any) -> None:
    """Whoever saw more than is there closes its money, for every process and every operation, until somebody confirms."""
    await make(ledger)
    stands = await ledger.position(SHARD)
    await ledger.expect(SHARD, stands.position)
    assert (await ledger.position(SHARD)).closed == ""
    seen = stands.position + 1000
    await ledger.expect(SHARD, seen)
    before = await ledger.read(SHARD, 0, 99)
    other = ledgers()
    for operation in OPERATIONS.values():
        for each in (ledger, other):
            with pytest.raises(LedgerClosed, match=str(seen)):
                await operation(each)
    assert await other.read(SHARD, 0, 99) == before
    assert str(seen) in (await other.position(SHARD)).closed
    elsewhere = next(f"v{n}" for n in range(9999) if shard_of(f"v{n}") != SHARD)
    await ledger.move(Movement(elsewhere, "t", 1, "key:k"), NOW)


async def test_a_confirmed_shard_goes_on_above_all_that_was_seen(ledger: Ledger, ledgers: Any) -> None:
    """Nobody closes it again for what they saw before, and the confirmation is in the books."""
    await make(ledger)
    await ledger.expect(SHARD, 5_000)
    status = await ledgers().confirm(SHARD, NOW + 1)
    assert status.closed == ""
    assert status.position > 5_000
    await ledger.expect(SHARD, 1_000_000)
    assert (await step(ledger, "open")).state == "open"
    *_, confirmed, opening = await ledger.read(SHARD, 0, 99)
    assert isinstance(confirmed.fact, ShardConfirmed)
    assert opening.position > confirmed.position
    assert (await ledger.confirm(SHARD, NOW + 2)).closed == ""
    assert len(await ledger.read(SHARD, 0, 99)) == 3


async def test_all_shards_are_seen_at_one_look(ledger: Ledger) -> None:
    """In their order, used or not, each as it is seen by itself; also one that is closed."""
    await opened(ledger)
    await ledger.expect(SHARD, 10**6)
    other = (SHARD + 1) % 256
    statuses = await ledger.statuses()
    assert [status.shard for status in statuses] == list(range(256))
    assert statuses[SHARD].closed != ""
    assert statuses[other] == await ledger.position(other)
    now = await ledger.position(SHARD)
    assert statuses[SHARD].closed == now.closed
