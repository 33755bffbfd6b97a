"""Gifts on the rest of their way: booked soon and together, noted as done in few calls, and left to others where that fails."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, cast

from livecast.adapters.memory.ledger import MemoryLedger
from livecast.core.money.coins import Gift, GiftRecord, HostGifts, Pending, SpendLimits, Takings
from livecast.core.nodes.placement import shard_of
from livecast.edge.money.finishing import Finishing
from livecast.edge.node import Node
from livecast.facts import Fact, Trouble
from livecast.ledger import GIFTS_MAX
from livecast.ports import Unavailable
from support.virtual import VirtualLoop, run_virtual

ROOM = "demo"


class Counted(MemoryLedger):
    """Knows how many gifts came with each call."""

    away = False

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__(loop.unix_ms, opening=100)
        self.booked: list[int] = []
        self.cleared: list[int] = []

    async def commit_gifts(self, shard: int, gifts: Sequence[tuple[Gift, int]]) -> list[GiftRecord]:
        assert {shard_of(gift.room) for gift, _ in gifts} == {shard}
        if self.away:
            raise Unavailable("away")
        self.booked.append(len(gifts))
        return await super().commit_gifts(shard, gifts)

    async def clear_pendings(self, shard: int, pendings: Sequence[Pending], now: int) -> None:
        assert {pending.shard for pending in pendings} == {shard}
        if self.away:
            raise Unavailable("away")
        self.cleared.append(len(pendings))
        await super().clear_pendings(shard, pendings, now)


class Hall:
    """What of a node the gifts need."""

    def __init__(self, loop: VirtualLoop) -> None:
        self.loop, self.clock, self.observer = loop, loop.unix_ms, self
        self.facts: list[Fact] = []
        self.rung: list[str] = []
        self.ledger = Counted(loop)
        self.finishing = Finishing(cast("Node", self), self.ledger, self.rung.append)

    def spawn(self, work: Any) -> None:
        self.tasks = [*getattr(self, "tasks", []), self.loop.create_task(work)]

    def observe(self, fact: Fact) -> None:
        self.facts.append(fact)

    async def give(self, user: str, n: int, room: str = ROOM) -> None:
        """Some gifts whose debits are answered."""
        for k in range(n):
            gift = Gift(f"{user}/{k}", user, room, "b1", "rose", 1, 1)
            await self.ledger.debit_gift(gift, SpendLimits(), self.clock())
            self.finishing.take(Pending("commit", shard_of(user), gift, self.clock()))


def test_many_gifts_are_few_calls() -> None:
    """All are booked within a tick, in calls of a bounded size, and none is pending a second later."""

    async def main(loop: VirtualLoop) -> None:
        hall = Hall(loop)
        for user in ("ann", "bob"):
            await hall.give(user, 90)
        await hall.give("cyn", 3, room="other")
        await asyncio.sleep(0.1)
        assert sorted(hall.ledger.booked) == [3, 180 - GIFTS_MAX, GIFTS_MAX]
        assert await hall.ledger.takings(ROOM, None) == Takings(180, 180, {"": 180}, {"": HostGifts(180)})
        assert {*hall.rung} == {ROOM, "other"}
        await asyncio.sleep(1)
        assert sorted(hall.ledger.cleared) == [3, 90, 90]
        assert not [each for shard in range(256) for each in await hall.ledger.pending(shard, 2**53, 10)]
        await hall.give("dan", 1)
        await asyncio.sleep(1)
        assert hall.ledger.cleared[3:] == [1]

    run_virtual(main)


def test_who_asks_behind_an_answer_finds_the_gift_booked() -> None:
    """Also of those that came while others were under way; where the ledger does not take them nobody waits for good."""

    async def main(loop: VirtualLoop) -> None:
        hall = Hall(loop)
        await hall.finishing.booked(ROOM)  # nothing is under way
        await hall.give("ann", 1)
        ledger, answers = hall.ledger, asyncio.Event()
        book = ledger.commit_gifts

        async def commit_gifts(shard: int, gifts: Sequence[tuple[Gift, int]]) -> list[GiftRecord]:
            await answers.wait()
            return await book(shard, gifts)

        ledger.commit_gifts = commit_gifts  # type: ignore[method-assign]
        first = loop.create_task(hall.finishing.booked(ROOM))
        await asyncio.sleep(0.1)
        await hall.give("bob", 1)
        both = loop.create_task(hall.finishing.booked(ROOM))
        await asyncio.sleep(0.1)
        assert not first.done()
        answers.set()
        await first
        assert (await ledger.takings(ROOM, None)).gifts == 1
        await both
        assert (await ledger.takings(ROOM, None)).gifts == 2
        ledger.away = True
        await hall.give("cyn", 1)
        async with asyncio.timeout(1):
            await hall.finishing.booked(ROOM)
        assert (await ledger.takings(ROOM, None)).gifts == 2

    run_virtual(main)


def test_what_the_ledger_does_not_take_stays_pending_and_is_said() -> None:
    """Also what was booked and could not be noted; and the next gifts go their way."""

    async def main(loop: VirtualLoop) -> None:
        hall = Hall(loop)
        hall.ledger.away = True
        await hall.give("ann", 2)
        await asyncio.sleep(0.1)
        hall.ledger.away = False
        await hall.give("bob", 2)
        await asyncio.sleep(0.1)
        hall.ledger.away = True
        await asyncio.sleep(1)
        assert [fact.what for fact in hall.facts if isinstance(fact, Trouble)] == ["a gift is half done"] * 2
        assert hall.rung == ["ann", "ann", ROOM, "bob", "bob"]  # the owners of what is left are told that there is something
        assert len(await hall.ledger.pending(shard_of("ann"), 2**53, 10)) == 2
        assert len(await hall.ledger.pending(shard_of("bob"), 2**53, 10)) == 2
        assert (await hall.ledger.takings(ROOM, None)).gifts == 2
        hall.ledger.away = False
        await hall.give("cyn", 1)
        await asyncio.sleep(1)
        assert hall.ledger.cleared == [1]

    run_virtual(main)


def test_a_server_that_does_not_answer_delays_no_gift_of_anothers() -> None:
    """Rooms whose shards others have see theirs within a tick, batch after batch; those of the stuck one come once it answers."""

    async def main(loop: VirtualLoop) -> None:
        hall = Hall(loop)
        ledger, answers, asked = hall.ledger, asyncio.Event(), asyncio.Event()
        book = ledger.commit_gifts

        async def commit_gifts(shard: int, gifts: Sequence[tuple[Gift, int]]) -> list[GiftRecord]:
            if gifts[0][0].room == "stuck":
                asked.set()
                await answers.wait()
            return await book(shard, gifts)

        ledger.commit_gifts = commit_gifts  # type: ignore[method-assign] # memory has but one server
        ledger.server_of = lambda place: place  # type: ignore[assignment,method-assign]
        for n in range(3):
            await hall.give(f"ann{n}", 1, room="stuck")
            await hall.give(f"bob{n}", 1)
            await asyncio.sleep(0.1)
            assert asked.is_set()
            assert (await ledger.takings(ROOM, None)).gifts == n + 1
        assert (await ledger.takings("stuck", None)).gifts == 0
        answers.set()
        await asyncio.sleep(0.1)
        assert (await ledger.takings("stuck", None)).gifts == 3
        await hall.give("cyd", 1, room="stuck")
        await asyncio.sleep(0.1)
        assert (await ledger.takings("stuck", None)).gifts == 4

    run_virtual(main)
