"""What rooms hear of the ledger: everything once, in order, soon; also after a ring was lost, and after their owner died."""

from __future__ import annotations

import asyncio

from livecast.adapters.memory.ledger import MemoryLedger
from livecast.core.books.bookkeeping import BookEntry
from livecast.core.money.coins import Movement
from livecast.core.money.units import Drop, Order, Ordered
from livecast.core.nodes.placement import SHARDS, shard_of
from livecast.facts import Trouble
from livecast.ports import Clock, Unavailable
from livecast.shard import ledger_feed
from livecast.shard.ledger_feed import IDLE_POLL_MS, POLLS_MAX
from livecast.wire import records
from support.vault import ROOM, Vault
from support.virtual import VirtualLoop, run_virtual


class Unsteady(MemoryLedger):
    """The memory ledger behind a line that breaks while `broken`. Unlike a real one it never loses its way half through a call."""

    broken = False

    async def read(self, shard: int, after: int, limit: int) -> list[BookEntry]:
        if self.broken:
            raise Unavailable("the line is broken")
        return await super().read(shard, after, limit)


class Hanging(MemoryLedger):
    """The memory ledger, of which all shards but the room's do not answer while it `hangs`."""

    hangs = False
    reading = 0

    def __init__(self, clock: Clock, *, opening: int) -> None:
        super().__init__(clock, opening=opening)
        self.answers = asyncio.Event()
        self.asked: set[int] = set()

    async def read(self, shard: int, after: int, limit: int) -> list[BookEntry]:
        if self.hangs and shard != shard_of(ROOM):
            self.asked.clear()
            self.reading += 1
            await self.answers.wait()
            self.reading -= 1
        self.asked.add(shard)
        return await super().read(shard, after, limit)


class Pausing(MemoryLedger):
    """The memory ledger, which takes its time to list drops."""

    def __init__(self, clock: Clock, *, opening: int) -> None:
        super().__init__(clock, opening=opening)
        self.answers = asyncio.Event()
        self.answers.set()

    async def drops(self, room: str, before: str | None, limit: int) -> list[Drop]:
        await self.answers.wait()
        return await super().drops(room, before, limit)


def test_a_gift_is_shown_within_a_tick_and_what_is_left_of_a_drop_within_a_second():
    """A ring is heard at once: viewers see the gift and the rest of the drop, and the last figure is exact."""

    async def main(loop: VirtualLoop) -> None:
        vault = await Vault(loop).begin()
        began = loop.time()
        await vault.give("ann", 5)
        await vault.until(lambda: ("ann", 5, False) in vault.combos(), "combo")
        assert loop.time() - began < 0.5
        assert [line["u"]["id"] for line in vault.state()["board"]] == ["ann"]
        await vault.drop(stock=2)
        await vault.step("open")
        await vault.claim("ann")
        began = loop.time()
        await vault.until(lambda: vault.shown() == ("open", 1), "rest")
        assert loop.time() - began < 1
        await vault.claim("bob", "cyn")
        await vault.until(lambda: vault.shown() == ("sold_out", 0), "end")

    run_virtual(main)


def test_a_lost_ring_costs_two_seconds_in_a_busy_shard():
    """Nobody rings, and the gift is shown all the same."""

    async def main(loop: VirtualLoop) -> None:
        vault = await Vault(loop).begin()
        await vault.give("ann")
        await vault.until(vault.combos, "first combo")
        began = loop.time()
        await vault.give("bob", ring=False)
        await vault.until(lambda: ("bob", 1, False) in vault.combos(), "combo of a gift that nobody rang for")
        assert loop.time() - began < 2.5

    run_virtual(main)


def test_a_new_owner_reads_on_where_the_former_one_stopped():
    """Gifts and claims that came while nobody owned the room are shown by the next owner; those shown before are not again."""

    async def main(loop: VirtualLoop) -> None:
        vault = await Vault(loop).begin()
        await vault.drop()
        await vault.step("open")
        await vault.give("ann", 2)
        await vault.until(lambda: ("ann", 2, True) in vault.combos() and vault.shown() == ("open", 3), "combo")
        vault.die()
        await vault.give("bob", 3, ring=False)
        await vault.claim("ann", "bob")
        await asyncio.sleep(3)
        before = len(vault.published)
        await vault.take_over()
        vault.shards.wake(ROOM)
        await vault.until(lambda: ("bob", 3, False) in vault.combos(), "combo of the time between")
        await vault.until(lambda: vault.shown() == ("open", 1), "claims of the time between")
        del vault.published[:before]
        assert not [combo for combo in vault.combos() if combo[0] == "ann"]
        assert [line["u"]["id"] for line in vault.state()["board"]] == ["bob", "ann"]
        await vault.give("cyn")
        await vault.until(lambda: ("cyn", 1, False) in vault.combos(), "combo of a gift to the new owner")

    run_virtual(main)


def test_shards_that_do_not_answer_delay_no_other():
    """Those whose time has come are read a few at a time, and a room's ring is heard while they hang."""

    async def main(loop: VirtualLoop) -> None:
        ledger = Hanging(loop.unix_ms, opening=100)
        vault = await Vault(loop, ledger).begin()
        await vault.give("ann")
        await vault.until(vault.combos, "first combo")
        await asyncio.sleep(2 * IDLE_POLL_MS / 1000)
        ledger.hangs = True
        await asyncio.sleep(2 * IDLE_POLL_MS / 1000)
        assert ledger.reading == POLLS_MAX
        began = loop.time()
        await vault.give("bob")
        await vault.until(lambda: ("bob", 1, False) in vault.combos(), "combo while others hang")
        assert loop.time() - began < 0.5
        ledger.hangs = False
        ledger.answers.set()
        await asyncio.sleep(1.1 * IDLE_POLL_MS / 1000)
        assert ledger.asked == set(range(SHARDS))
        assert not ledger.reading

    run_virtual(main)


def test_a_ledger_that_cannot_be_read_is_read_on_later():
    """While it does not answer the room goes on without it and the operator is told; then nothing is missing."""

    async def main(loop: VirtualLoop) -> None:
        ledger = Unsteady(loop.unix_ms, opening=100)
        vault = await Vault(loop, ledger).begin()
        await vault.give("ann")
        await vault.until(vault.combos, "first combo")
        ledger.broken = True
        await vault.give("bob")
        await asyncio.sleep(5)
        assert "the ledger cannot be read" in [fact.what for fact in vault.facts if isinstance(fact, Trouble)]
        assert not [combo for combo in vault.combos() if combo[0] == "bob"]
        ledger.broken = False
        await vault.until(lambda: ("bob", 1, False) in vault.combos(), "combo once it answers", within_s=3)

    run_virtual(main)


def test_nobody_is_woken_for_a_count():
    """A sleeping room is woken for a gift, for what is left of a drop it is not; and then it knows both."""

    async def main(loop: VirtualLoop) -> None:
        vault = await Vault(loop).begin()
        await vault.drop()
        await vault.step("open")
        await vault.until(lambda: vault.shown() == ("open", 3), "open drop")
        await asyncio.sleep(700)
        assert vault.shards.owned == 0
        await vault.claim("ann")
        await asyncio.sleep(5)
        assert vault.shards.owned == 0
        await vault.give("ann")
        await vault.until(lambda: vault.shown() == ("open", 2), "rest")
        await vault.until(vault.combos, "combo")

    run_virtual(main)


def test_an_order_is_told_once():
    """To who watches; what becomes of it later is no second sale, and nobody is woken for it."""

    async def main(loop: VirtualLoop) -> None:
        vault = await Vault(loop).begin()

        async def order(order_id: str, status: str) -> None:
            asked = Order(order_id, "ann", "cup", 1990, "EUR", status)
            assert isinstance(await vault.ledger.order(ROOM, asked, loop.unix_ms()), Ordered)
            vault.treasury.ring(ROOM)

        def orders() -> int:
            frames = [records.decode_frame(heard.frame) for heard in vault.published if heard.frame is not None]
            return sum(frame.activity["orders"]["n"] for frame in frames if frame.activity)

        await order("o1", "placed")
        await vault.until(lambda: orders() == 1, "order")
        await order("o1", "paid")
        await order("o2", "placed")
        await vault.until(lambda: orders() == 2, "second order")
        await asyncio.sleep(700)
        assert (orders(), vault.shards.owned) == (2, 0)
        await order("o3", "placed")
        await asyncio.sleep(5)
        assert vault.shards.owned == 0

    run_virtual(main)


def test_a_reversal_takes_a_gift_off_the_board():
    """Who is left stands where they belong."""

    async def main(loop: VirtualLoop) -> None:
        vault = await Vault(loop).begin()
        gift = await vault.give("ann", 9)
        await vault.give("bob", 3)
        await vault.until(lambda: [line["u"]["id"] for line in vault.state()["board"]] == ["ann", "bob"], "board")
        await vault.ledger.reverse_gift(ROOM, gift.tx, "card stolen", loop.unix_ms())
        vault.treasury.ring(ROOM)
        await vault.until(lambda: [line["u"]["id"] for line in vault.state()["board"]] == ["bob"], "shorter board")

    run_virtual(main)


def test_a_credit_is_told_to_its_owner():
    """On every socket, with the new balance."""

    async def main(loop: VirtualLoop) -> None:
        vault = await Vault(loop).begin()
        await vault.ledger.move(Movement("ann", "t1", 50, "key:shop", "thanks"), loop.unix_ms())
        vault.treasury.ring("ann")
        notices = await vault.until(lambda: [n for user, n in vault.notices if user == "ann"], "notice")
        # The opening balance of development is a booking too.
        assert notices[-1].kind == "wallet"
        assert notices[-1].data == {"balance": 10_050, "amount": 50, "memo": "thanks"}
        assert shard_of("ann") != shard_of(ROOM)

    run_virtual(main)


def test_what_comes_while_a_room_is_caught_up_with_is_not_lost(monkeypatch):
    """More comes than is held for it meanwhile: it is caught up with anew, and whoever was at it before leaves it to that."""
    monkeypatch.setattr(ledger_feed, "HELD_MAX", 3)

    async def main(loop: VirtualLoop) -> None:
        ledger = Pausing(loop.unix_ms, opening=100)
        vault = await Vault(loop, ledger).begin()
        await vault.give("ann")
        await vault.until(lambda: ("ann", 1, True) in vault.combos(), "first combo")
        ledger.answers.clear()
        vault.treasury.awake(ROOM)  # as after a time in which it was not in memory
        await asyncio.sleep(1)
        for n in range(1, 5):
            await vault.give("bob", tx=str(n))
            await asyncio.sleep(1)
        await vault.give("cyn")
        await asyncio.sleep(1)
        ledger.answers.set()
        await vault.until(lambda: [line["u"]["id"] for line in vault.state()["board"]] == ["bob", "ann", "cyn"], "board")

    run_virtual(main)
