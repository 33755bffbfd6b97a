"""The watch over positions: what falls back is closed, at once after a restart, and opens when an operator says so."""

from __future__ import annotations

import shutil
import time
from typing import Any

import pytest

from livecast.adapters.memory.ledger import MemoryLedger
from livecast.adapters.memory.positions import MemoryPositions
from livecast.adapters.redis.ledger import RedisLedger
from livecast.adapters.redis.ledger_calls import LedgerServer
from livecast.core.money.coins import Moved, Movement
from livecast.core.nodes.placement import SHARDS, shard_of
from livecast.facts import Fact, Trouble
from livecast.ledger import LedgerClosed
from livecast.shard.position_keeper import IDLE_SLICE, PositionKeeper

SHARD = shard_of("ann")


class Desk:
    """A ledger, what remembers its positions, and what an operator was told."""

    def __init__(self) -> None:
        self.ledger = MemoryLedger(lambda: time.time_ns() // 1_000_000)
        self.positions = MemoryPositions()
        self.troubles: list[Trouble] = []

    def observe(self, fact: Fact) -> None:
        if isinstance(fact, Trouble):
            self.troubles.append(fact)

    def keeper(self) -> PositionKeeper:
        """That of a process that begins."""
        return PositionKeeper(ledger=self.ledger, positions=self.positions, observer=self)

    async def pay(self, tx: str) -> None:
        assert isinstance(await self.ledger.move(Movement("ann", tx, 5, "key:k"), 1), Moved)

    def lose_everything(self) -> None:
        """The volume comes back empty."""
        self.ledger = MemoryLedger(lambda: time.time_ns() // 1_000_000)


async def test_a_ledger_that_comes_back_empty_is_closed_over_a_restart() -> None:
    """Before the first operation, by what was remembered outside of it; and it opens with an operator's word."""
    desk = Desk()
    await desk.pay("t1")
    first = desk.keeper()
    await first.look()
    assert await desk.positions.seen() == {SHARD: 1}
    assert first.closed() == ""
    desk.lose_everything()
    keeper = desk.keeper()
    await keeper.start()
    try:
        assert f"in 1 of 256 shards, for example shard {SHARD}: position 1 was seen" in keeper.closed()
        with pytest.raises(LedgerClosed):
            await desk.pay("t2")
        assert [(fact.level, fact.about) for fact in desk.troubles] == [("error", f"shard {SHARD}")]
        await desk.ledger.confirm(SHARD, 1)
        await desk.pay("t2")
        await keeper.look()
        assert keeper.closed() == ""
        assert desk.troubles[-1].what == "money is open again in all shards"
    finally:
        keeper.stop()
    later = desk.keeper()
    await later.start()
    later.stop()
    assert later.closed() == ""


async def test_what_only_went_on_stays_open() -> None:
    """Looks and restarts change nothing of a ledger that lost nothing."""
    desk = Desk()
    for n in range(3):
        await desk.pay(f"t{n}")
        keeper = desk.keeper()
        await keeper.start()
        keeper.stop()
        assert keeper.closed() == ""
    assert (await desk.positions.seen())[SHARD] >= 3
    assert desk.troubles == []


async def test_a_loss_while_it_runs_is_noticed_where_nothing_happens() -> None:
    """By the next look, without any operation in that shard."""
    desk = Desk()
    await desk.pay("t1")
    keeper = desk.keeper()
    await keeper.look()
    desk.ledger._books.shards.clear()
    await keeper.look()
    assert "position 1 was seen" in keeper.closed()


async def test_looks_go_where_money_moved_and_around_all_others() -> None:
    """What moved is remembered by the next look; a loss where nothing happens is noticed within a round of eight."""
    desk = Desk()
    await desk.pay("t1")
    keeper = desk.keeper()
    await keeper.look_on()
    assert (await desk.positions.seen())[SHARD] == 1
    desk.ledger._books.shards.clear()
    for _ in range(SHARDS // IDLE_SLICE):
        await keeper.look_on()
    assert "position 1 was seen" in keeper.closed()


async def test_a_ledger_that_is_away_at_the_start_and_comes_back_empty(crashable_ledger: Any) -> None:
    """The first operation of all carries what was remembered: nothing is paid before anybody looked."""
    positions = MemoryPositions()
    for away in (False, True):
        server = LedgerServer(crashable_ledger.url)
        ledger = RedisLedger(server)
        keeper = PositionKeeper(ledger=ledger, positions=positions, observer=Desk())
        try:
            if away:
                crashable_ledger.kill()
                shutil.rmtree(crashable_ledger.directory / "appendonlydir")
            await keeper.start()
            keeper.stop()
            if away:
                crashable_ledger.start()
                with pytest.raises(LedgerClosed, match="the ledger stood at 0"):
                    await ledger.move(Movement("ann", "t2", 5, "key:k"), 1)
            else:
                assert isinstance(await ledger.move(Movement("ann", "t1", 5, "key:k"), 1), Moved)
                await keeper.look()
        finally:
            await ledger.close()
            await server.close()
