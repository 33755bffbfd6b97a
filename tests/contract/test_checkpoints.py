"""A ledger that forgets its oldest entries: bounded, and audited all the same, from checkpoints that an archive holds."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from livecast.adapters.archive.store import SqlArchive, sqlite_url
from livecast.archive import Overtaken
from livecast.core.books.audit import Difference, HalfWay
from livecast.core.books.checkpoint import Checkpoint, parts_of, replay_of
from livecast.core.books.replay import ShardReplay
from livecast.core.money.coins import Gift, Movement, Pending, SpendLimits
from livecast.core.money.units import Claim, Confirm, NewDrop, Order, Revoke, Terms
from livecast.core.nodes.placement import shard_of
from livecast.facts import Fact, Trouble
from livecast.ledger import Ledger, NoCheckpoint, audit, finish
from livecast.shard.checkpointer import Checkpointer

ROOM, BROADCAST, STEP, KEEP = "room", "b1", 40, 10
NO_LIMITS = SpendLimits()


def wall_ms() -> int:
    """Now, Unix ms."""
    return time.time_ns() // 1_000_000


class Till:
    """Money that moves in one room, and checkpoints of it."""

    def __init__(self, ledger: Ledger, archive: SqlArchive, clock: Any) -> None:
        self.ledger, self.archive, self.clock = ledger, archive, clock
        self.facts: list[Fact] = []
        self.read_to: dict[int, int] = {}
        self.drops = self.gifts = 0
        self.checkpointer = Checkpointer(
            archive=archive, ledger=ledger, readers=[self.cursors], clock=clock, observer=self, step=STEP, keep=KEEP
        )
        self.checkpointer.own(range(256))

    def observe(self, fact: Fact) -> None:
        self.facts.append(fact)

    async def cursors(self) -> dict[int, int]:
        """Whoever follows the ledger has read all of it."""
        return self.read_to or {status.shard: status.position for status in await self.ledger.statuses()}

    async def give(self, user: str, *, to_the_end: bool = True) -> Gift:
        """Credit a coin and give it."""
        ledger, now = self.ledger, self.clock()
        self.gifts += 1
        await ledger.move(Movement(user, f"t{self.gifts}", 1, "key:k"), now)
        gift = Gift(f"{user}/{self.gifts}", user, ROOM, BROADCAST, "rose", 1, 1)
        await ledger.debit_gift(gift, NO_LIMITS, now)
        if to_the_end:
            await finish(ledger, Pending("commit", shard_of(user), gift, now), now)
        return gift

    async def sell(self) -> None:
        """A drop with all that can become of its units, a draw, a reversal."""
        ledger, now = self.ledger, self.clock()
        self.drops += 1
        id_ = f"d{self.drops}"
        await ledger.put_drop(NewDrop(ROOM, id_, Terms(3, codes="none"), secret=b"s"), now)
        await ledger.step_drop(ROOM, id_, "open", now)
        await ledger.claim(ROOM, id_, BROADCAST, [Claim(user, "c") for user in ("ann", "bob", "cyn", "dan")], now)
        await ledger.step_unit(ROOM, id_, 1, Confirm(f"o{self.drops}", 5, "EUR"), now)
        await ledger.step_unit(ROOM, id_, 2, Revoke("no", return_stock=True), now)
        await ledger.order(ROOM, Order(f"o{self.drops}", "ann", "sku", 5, "EUR", "paid", id_, 1), now)
        await ledger.put_drop(NewDrop(ROOM, f"l{id_}", Terms(1, kind="draw", limit_group="g"), secret=b"s"), now)
        await ledger.step_drop(ROOM, f"l{id_}", "open", now)
        await ledger.claim(ROOM, f"l{id_}", BROADCAST, [Claim(user, "c", nonce="n") for user in ("ann", "bob")], now)
        gift = await self.give("ann")
        await ledger.reverse_gift(ROOM, gift.tx, "stolen", now)
        await finish(ledger, Pending("refund", shard_of(ROOM), gift, now), now)

    async def entries(self) -> int:
        return max(span.entries for span in await self.ledger.spans())


@pytest.fixture
async def till(ledger: Ledger, tmp_path: Path) -> AsyncIterator[Till]:
    """On both ledgers."""
    archive = SqlArchive(sqlite_url(tmp_path))
    await archive.open()
    yield Till(ledger, archive, wall_ms)
    await archive.close()


async def test_a_ledger_stays_small_and_its_books_agree(till: Till) -> None:
    """However much happens: a few steps of entries are left, and the sums are those of all that ever was."""
    whole = 0
    for _ in range(8):
        for _ in range(4):
            await till.sell()
            await till.give("bob")
            await till.give("eve")
        if await till.checkpointer.look():
            whole += 1
        sums = await audit(till.ledger, till.archive)
        assert (sums.units, sums.orders, sums.confirmed, sums.entrants) == tuple(n * till.drops for n in (3, 1, 1, 2))
        assert (sums.gifts, sums.reversed) == (till.gifts - till.drops, till.drops)
        assert await till.entries() < 3 * STEP + KEEP + 100
    assert whole >= 3
    assert sums.checkpoints >= 1
    assert 0 < sums.rested < sums.entries
    assert not [fact for fact in till.facts if isinstance(fact, Trouble)]


async def test_a_gift_half_way_is_followed_over_checkpoints(till: Till) -> None:
    """Debited before a checkpoint, booked behind it; one that never is, is missed."""
    waiting = [await till.give("bob", to_the_end=False) for _ in range(3)]
    for _ in range(60):
        await till.give("bob")
    await till.checkpointer.look()
    bases, halves = await till.archive.basis()
    assert shard_of("bob") in bases
    assert {half.tx for half in halves} >= {gift.tx for gift in waiting}
    assert (await audit(till.ledger, till.archive)).pending == 3
    for gift in waiting[:2]:
        await finish(till.ledger, Pending("commit", shard_of("bob"), gift, till.clock()), till.clock())
    assert (await audit(till.ledger, till.archive)).pending == 1
    await till.ledger.clear_pending(Pending("commit", shard_of("bob"), waiting[2], 0), till.clock())
    with pytest.raises(Difference, match="neither booked in its room nor pending"):
        await audit(till.ledger, till.archive)


async def test_what_somebody_has_yet_to_read_is_kept(till: Till) -> None:
    """The archive, or webhooks, are behind."""
    for _ in range(60):
        await till.give("bob")
    shard = shard_of("bob")
    till.read_to = {shard: (await till.ledger.read(shard, 0, 100))[50].position}
    for _ in range(3):
        await till.checkpointer.look()
        for _ in range(30):
            await till.give("bob")
    bases, _ = await till.archive.basis()
    assert bases[shard].position <= till.read_to[shard]
    left = await till.ledger.read(shard, till.read_to[shard], 1_000)
    assert len(left) == (await till.ledger.spans())[shard].entries - len(await _upto(till, shard))
    assert left[0].position == min(e.position for e in await till.ledger.read(shard, 0, 1_000) if e.position > till.read_to[shard])


async def _upto(till: Till, shard: int) -> list[Any]:
    return [entry for entry in await till.ledger.read(shard, 0, 1_000) if entry.position <= till.read_to[shard]]


async def test_without_its_checkpoint_a_trimmed_ledger_is_not_called_sound(till: Till, tmp_path: Path) -> None:
    """No archive, an empty one, and one with an older checkpoint than what was forgotten."""
    for _ in range(3):
        for _ in range(60):
            await till.give("bob")
        await till.checkpointer.look()
    assert (await till.ledger.spans())[shard_of("bob")].begins
    with pytest.raises(NoCheckpoint, match="none is at hand"):
        await audit(till.ledger)
    other = SqlArchive(sqlite_url(tmp_path / "other"))
    await other.open()
    with pytest.raises(NoCheckpoint, match="none is at hand"):
        await audit(till.ledger, other)
    old = ShardReplay(shard_of("bob"))
    old.at = 5
    made = Checkpoint(old.shard, 5, 0, 0)
    await other.put_checkpoint_parts(made, 0, list(parts_of(old, 0)))
    await other.put_checkpoint(made, 1, [])
    with pytest.raises(NoCheckpoint, match="the one at hand goes up to 5"):
        await audit(till.ledger, other)
    await other.close()


async def test_entries_that_contradict_each_other_are_not_forgotten(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    """An auditor shall still see them: the fault is told, and nothing is trimmed."""
    for _ in range(60):
        await till.give("bob")
    monkeypatch.setattr(ShardReplay, "_book", lambda *_: (_ for _ in ()).throw(Difference("planted")))
    assert await till.checkpointer.look() == 0
    assert [fact.about for fact in till.facts if isinstance(fact, Trouble)] == [f"shard {shard_of('bob')}"]
    assert shard_of("bob") not in (await till.archive.basis())[0]
    assert not (await till.ledger.spans())[shard_of("bob")].begins


async def test_a_checkpoint_counts_once_it_is_whole_and_follows_the_one_before(till: Till) -> None:
    """A writer that died half way, and one that another has overtaken, leave the books alone; halves meet, or stay."""
    archive, replay = till.archive, ShardReplay(3)
    replay.at = 9
    first = Checkpoint(3, 9, 1, 2)
    parts = list(parts_of(replay, 0))
    with pytest.raises(Overtaken):
        await archive.put_checkpoint(first, len(parts), [])
    await archive.put_checkpoint_parts(first, 0, [b"of somebody who died", b"likewise"])
    await archive.put_checkpoint_parts(first, 0, parts)
    debit = HalfWay("debit", "ann/1", "ann", 5, 3, 7)
    odd = HalfWay("debit", "ann/2", "ann", 5, 3, 7)
    await archive.put_checkpoint(first, len(parts), [debit, odd])
    assert await archive.basis() == ({3: first}, [debit, odd])
    with pytest.raises(Overtaken):
        await archive.put_checkpoint(Checkpoint(3, 12, 1, 3), 0, [])
    later = Checkpoint(7, 4, 1, 1)
    mine = HalfWay("commit", "ann/2", "ann", 6, 7, 3)
    await archive.put_checkpoint_parts(later, 0, parts)
    await archive.put_checkpoint(later, len(parts), [HalfWay("commit", "ann/1", "ann", 5, 7, 3), mine])
    assert (await archive.basis())[1] == [mine, odd] or (await archive.basis())[1] == [odd, mine]
    held = [part async for part in archive.checkpoint_parts(first)]
    assert replay_of(3, 9, held).at == 9
