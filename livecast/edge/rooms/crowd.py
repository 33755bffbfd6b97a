"""A crowd that is answered at once in a large room: acks that leave with a frame instead of in a write of their own.

Thousands click when a drop opens, and each of them hears an answer. Where handing out frames takes most of the time already, as
many more writes would make everybody's frames wait; and the next frame goes to all of them anyway, some milliseconds later.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from livecast.edge.viewers.outbox import LAGGING

if TYPE_CHECKING:
    from livecast.edge.viewers.unsent import Unsent
    from livecast.edge.viewers.websocket import ViewerSocket

BUSY_SHARE: Final = 0.5
"""A room is busy while its frames take more than this share of the time between them to be handed out."""
CROWD: Final = 64
"""Sockets told something between two frames; beyond these it is a crowd. The few who say something hear of it at once."""
HELD_S: Final = 0.25
"""The longest that an ack waits for a frame that does not come: the usual pace of rooms and a little more."""
LATE: Final = 1.25
"""A frame is expected for so many times the time between the last two."""


class Crowd:
    """Whose acks wait for a frame of one room. There while the room is busy."""

    __slots__ = ("_count", "_due", "_timer", "_unsent", "held")

    def __init__(self, unsent: Unsent) -> None:
        self._unsent = unsent
        self.held: list[ViewerSocket] = []
        """Those; and some who have been written to meanwhile."""
        self._count = 0
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def takes(self, viewer: ViewerSocket, *, under_way: bool) -> bool:
        """Whether the acks of `viewer` wait from now on. `under_way`: a frame is just being handed out."""
        self._count += 1
        if self._count <= CROWD or viewer.after >= LAGGING:  # to one who lags frames may not go
            return False
        loop = asyncio.get_running_loop()
        if not under_way and loop.time() > self._due:
            return False
        self.held.append(viewer)
        if self._timer is None:
            self._timer = loop.call_later(HELD_S, self.let_go)
        return True

    def frame_went(self, began: float, pace_s: float) -> None:
        """A frame went to everybody who was there; it `began` then (time of the loop), `pace_s` after the one before it."""
        self._count, self._due = 0, began + LATE * pace_s
        self.held = [viewer for viewer in self.held if viewer.acks is not None]

    def let_go(self) -> None:
        """Wait no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        held, self.held = self.held, []
        for viewer in held:
            if viewer.acks is not None:
                self._unsent.put(viewer)
