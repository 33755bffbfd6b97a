"""Watches that no shard of the ledger falls back behind where it was, and closes the money of one that did.

What falls back has lost something that may have been acknowledged: a volume that came back empty, an old copy of it, a replica
that took over too early. Positions are remembered in this process and outside the ledger, so that it is noticed over a restart
as well. Whether to go on with what is left only an operator can say.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from livecast.core.nodes.placement import SHARDS
from livecast.facts import Observer, Trouble
from livecast.ledger import Ledger, Positions, ShardStatus
from livecast.ports import StoreError, Unavailable
from livecast.shard.background import Background

LOOK_S: Final = 2.0
"""How often shards are looked at where money moved through this process, or is closed: it bounds what a restart may not know.
(Whatever moves money notices a loss at once.)"""
IDLE_SLICE: Final = 32
"""Of all others so many at a look, so each of 256 every 16 s: looking at all of them takes 7 ms of the loop."""
ADVICE: Final = (
    "look at what happened to the ledger's server and its disk; then `livecast ledger status` and `livecast ledger confirm`"
)


class PositionKeeper:
    """Looks after the positions of all shards."""

    def __init__(self, *, ledger: Ledger, positions: Positions, observer: Observer) -> None:
        self._ledger = ledger
        self._positions = positions
        self._observer = observer
        self._known: dict[int, int] = {}
        self._unsaved: dict[int, int] = {}
        self._closed: dict[int, str] = {}
        self._slice = 0
        self._due: set[int] = set()
        self._background = Background(observer, "looking after the ledger's positions failed", "ledger")

    # --- Feed ---------------------------------------------------------------------------------------------------------
    async def start(self) -> None:
        """Before anybody moves money: what is remembered counts from now on. Raises `StoreError` if it cannot be read.

        A ledger that does not answer is no obstacle: whatever is asked of it later carries the position that is expected.
        """
        self._known = await self._positions.seen()
        await asyncio.gather(*(self._expect(shard, position) for shard, position in self._known.items()))
        with suppress(StoreError):
            await self.look()
        self._background.keep_up(self._run)

    def stop(self) -> None:
        """No more looks."""
        self._background.stop()

    async def look(self, shards: Sequence[int] = range(SHARDS)) -> None:
        """Look at these shards once. Raises `StoreError` if the ledger, or what remembers its positions, does not answer."""
        for seen in await self._ledger.statuses(shards):
            shard, status = seen.shard, seen
            if status.position < self._known.get(shard, 0) and not status.closed:
                await self._expect(shard, self._known[shard])
                status = await self._ledger.position(shard)
            elif status.position > self._known.get(shard, 0) and not status.closed:
                self._known[shard] = self._unsaved[shard] = status.position
            self._tell(status)
        if self._unsaved:
            await self._positions.note(self._unsaved)
            self._unsaved = {}

    async def look_on(self) -> None:
        """Look where money moved since, or is closed, and at the next few others. Raises as `look`, which is then made up for."""
        self._due |= self._ledger.moved()
        await self.look(sorted({*self._due, *self._closed, *range(self._slice, self._slice + IDLE_SLICE)}))
        self._due.clear()
        self._slice = (self._slice + IDLE_SLICE) % SHARDS

    # --- Ask ----------------------------------------------------------------------------------------------------------
    def closed(self) -> str:
        """Why money is closed, and in how many shards; "" if it is not."""
        if not self._closed:
            return ""
        shard, why = next(iter(self._closed.items()))
        return f"in {len(self._closed)} of {SHARDS} shards, for example shard {shard}: {why}"

    # --- Private ------------------------------------------------------------------------------------------------------
    async def _run(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            with suppress(StoreError):  # whoever needs the ledger, or the rooms' store, says that it does not answer
                await self.look_on()

    async def _expect(self, shard: int, position: int) -> None:
        with suppress(Unavailable):
            await self._ledger.expect(shard, position)

    def _tell(self, status: ShardStatus) -> None:
        was = self._closed.get(status.shard)
        if status.closed and was is None:
            self._closed[status.shard] = status.closed
            if len(self._closed) == 1:  # the first speaks for those that follow in the same moment
                self._observer.observe(Trouble(f"money is closed: {status.closed}", f"shard {status.shard}", ADVICE, "error"))
        elif not status.closed and was is not None:
            del self._closed[status.shard]
            if not self._closed:
                self._observer.observe(Trouble("money is open again in all shards", f"shard {status.shard}", "", "info"))
