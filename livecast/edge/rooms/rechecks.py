"""Rooms of which something may have been missed, compared with their logs: many in one round trip, read only where they differ."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from livecast.ports import StoreError

if TYPE_CHECKING:
    from livecast.edge.node import Node
    from livecast.edge.rooms.following import Following

GATHER_S: Final = 0.01
"""After an outage all rooms come within a turn or two of the loop."""
ROOMS_MAX: Final = 500
"""Rooms compared in one round trip: some 5 ms of the loop."""
RETRY_S: Final = 0.2
"""A store that does not answer is asked again after so long."""


class Rechecks:
    """Compares what this node has heard of rooms with what their logs have."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._due: dict[Following, None] = {}
        self._at_work = False

    def note(self, following: Following) -> None:
        """Something of this room may have been missed."""
        self._due[following] = None
        if not self._at_work:
            self._at_work = True
            self._node.spawn(self._work())

    async def _work(self) -> None:
        try:
            await asyncio.sleep(GATHER_S)
            while self._due:
                some = list(self._due)[:ROOMS_MAX]
                try:
                    heads = await self._node.log.heads([following.room for following in some])
                except StoreError:
                    await asyncio.sleep(RETRY_S)
                    continue
                for following, head in zip(some, heads, strict=True):
                    self._due.pop(following, None)
                    following.compare(head)
        finally:
            self._at_work = False
