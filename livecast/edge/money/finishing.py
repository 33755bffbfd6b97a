"""Gifts whose debit was answered, on the rest of their way: booked in their rooms, then noted as done, many at a time.

Nobody waits for this but the room's next tick. What fails here, or is under way when the process dies, lies pending in the ledger
and is finished by whoever owns its shard.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Final

from livecast.core.money.coins import Pending
from livecast.core.nodes.placement import shard_of
from livecast.facts import Trouble
from livecast.ledger import GIFTS_MAX, Ledger
from livecast.ports import StoreError

if TYPE_CHECKING:
    from livecast.edge.node import Node

GATHER_S: Final = 0.01
"""How long gifts wait to be booked together. Their givers were answered; the room's next tick is 200 ms away."""
CLEAR_S: Final = 0.5
"""How long those that are booked wait to be noted as done: givers are spread over all shards, and each shard is a call. It is a
quarter of the time after which an owner takes them for left behind."""
CLEARED_AT_ONCE: Final = 8
"""Shards in which gifts are noted as done at the same time. All of them together hold the ledger's server for 20 ms and more, and
debits wait behind them."""


class Finishing:
    """The second half of this node's gifts. `ring` tells a room's owner that there is something to read."""

    def __init__(self, node: Node, ledger: Ledger, ring: Callable[[str], None]) -> None:
        self._node = node
        self._ledger = ledger
        self._ring = ring
        self._debited: dict[str, list[Pending]] = {}
        """By the server that has their room, with a loop for each: one that does not answer delays no other's gifts."""
        self._waiting: defaultdict[str, list[asyncio.Future[None]]] = defaultdict(list)
        """By server: those who want to hear once what was taken before is booked."""
        self._booked: defaultdict[int, list[Pending]] = defaultdict(list)
        self._is_clearing = False

    def take(self, debited: Pending) -> None:
        """One more."""
        server = self._ledger.server_of(debited.gift.room)
        waiting = self._debited.get(server)
        if waiting is not None:
            waiting.append(debited)
            return
        self._debited[server] = [debited]
        self._node.spawn(self._book_all(server))

    async def booked(self, room: str) -> None:
        """Wait until all that was taken for this room is booked, or left to others: some hundredths of a second, for whoever asks
        right behind an answer.
        """
        server = self._ledger.server_of(room)
        if server in self._debited:
            self._waiting[server].append(waiter := asyncio.get_running_loop().create_future())
            await waiter

    async def _book_all(self, server: str) -> None:
        try:
            while self._debited[server]:
                await asyncio.sleep(GATHER_S)
                await self._book_batch(server)
        finally:
            del self._debited[server]
            _let_go(self._waiting.pop(server, ()))

    async def _book_batch(self, server: str) -> None:
        batch, self._debited[server] = self._debited[server], []
        waiting = self._waiting.pop(server, ())
        by_shard: defaultdict[int, list[Pending]] = defaultdict(list)
        for each in batch:
            by_shard[shard_of(each.gift.room)].append(each)
        try:
            await asyncio.gather(*(self._book(shard, some) for shard, some in by_shard.items()))
        finally:
            _let_go(waiting)

    async def _book(self, shard: int, debited: Sequence[Pending]) -> None:
        """Those for rooms of one shard."""
        for first in range(0, len(debited), GIFTS_MAX):
            some = debited[first : first + GIFTS_MAX]
            try:
                await self._ledger.commit_gifts(shard, [(each.gift, each.since) for each in some])
            except StoreError as fault:
                self._trouble(debited[first:], fault)
                return
            for room in {each.gift.room for each in some}:
                self._ring(room)
            for each in some:
                self._booked[each.shard].append(each)
        if not self._is_clearing:
            self._is_clearing = True
            self._node.spawn(self._clear_all())

    async def _clear_all(self) -> None:
        try:
            while self._booked:
                await asyncio.sleep(CLEAR_S)
                booked = dict(self._booked)
                self._booked.clear()
                shards = list(booked)
                for first in range(0, len(shards), CLEARED_AT_ONCE):
                    some = shards[first : first + CLEARED_AT_ONCE]
                    await asyncio.gather(*(self._clear(shard, booked[shard]) for shard in some))
        finally:
            self._is_clearing = False

    async def _clear(self, shard: int, booked: Sequence[Pending]) -> None:
        for first in range(0, len(booked), GIFTS_MAX):
            try:
                await self._ledger.clear_pendings(shard, booked[first : first + GIFTS_MAX], self._node.clock())
            except StoreError as fault:
                self._trouble(booked[first:], fault)
                return

    def _trouble(self, left: Sequence[Pending], fault: StoreError) -> None:
        """Whoever owns the givers' shards has to hear of these debits: one that slept would be read on half a minute later."""
        advice = f"it is finished once the ledger answers ({fault})"
        self._node.observer.observe(Trouble("a gift is half done", left[0].gift.room, advice))
        for pending in left:
            self._ring(pending.gift.user)


def _let_go(waiting: Iterable[asyncio.Future[None]]) -> None:
    for waiter in waiting:
        if not waiter.done():
            waiter.set_result(None)
