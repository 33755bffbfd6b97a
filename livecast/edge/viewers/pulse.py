"""The sockets of a node and their life signs: pings, dead peers, tokens that run out."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from livecast.edge.rules import EdgeRules
from livecast.wire.messages import Bye
from livecast.wire.websocket import PING, frame

if TYPE_CHECKING:
    from livecast.edge.viewers.websocket import ViewerSocket

SERVER_PING: Final = frame(b"", PING)


class Pulse:
    """Every socket that is in a room, by number.

    Each is looked at once per `ping_ms`, the first time at most that long after it came, on a wheel of one slot per sweep: 8
    bytes per socket, and no timer. Tokens that end before the next look are put aside and looked at with every sweep.
    """

    __slots__ = ("_expiring", "_rules", "_turned_at", "_wheel", "sockets")

    def __init__(self, rules: EdgeRules) -> None:
        self._rules = rules
        self.sockets: dict[int, ViewerSocket] = {}
        self._wheel: deque[list[int]] = deque([] for _ in range(max(2, rules.ping_ms // rules.sweep_ms)))
        """Numbers of sockets, by when they are looked at next; those who went meanwhile are found out then."""
        self._turned_at = 0
        self._expiring: dict[ViewerSocket, None] = {}

    def keep_to(self, rules: EdgeRules) -> None:
        """These bounds hold from now on; how often each is looked at stays as it is."""
        self._rules = rules

    def add(self, viewer: ViewerSocket, now: int) -> None:
        """A socket came in, or has a new token."""
        number, slots = viewer.number, len(self._wheel)
        if number not in self.sockets:
            self.sockets[number] = viewer
            # Somewhere in the later half but for the last slot: whoever came at once is not looked at all at once.
            self._wheel[slots - 2 - number % max(1, slots // 2 - 1)].append(number)
        expires = viewer.identity.expires_at_ms
        if expires is not None and expires - now < self._rules.ping_ms + 2 * self._rules.sweep_ms:
            self._expiring[viewer] = None
        elif self._expiring:
            self._expiring.pop(viewer, None)

    def remove(self, viewer: ViewerSocket) -> None:
        """A socket went."""
        self.sockets.pop(viewer.number, None)
        if self._expiring:
            self._expiring.pop(viewer, None)

    def sweep(self, now: int) -> None:
        """Hang up on those whose token has run out; ping the next share."""
        for viewer in [v for v in self._expiring if (v.identity.expires_at_ms or 0) <= now]:
            viewer.bye(Bye(4001, "The token has expired.", reconnect=True, retry_after_ms=0))
        turns = (now - self._turned_at) // self._rules.sweep_ms
        self._turned_at = now if turns > len(self._wheel) else self._turned_at + turns * self._rules.sweep_ms
        for _ in range(min(turns, len(self._wheel))):
            there = [number for number in self._wheel.popleft() if number in self.sockets]
            self._wheel.append(there)
            for number in there:
                self._look_at(self.sockets[number], now)

    def _look_at(self, viewer: ViewerSocket, now: int) -> None:
        if viewer.silent >= self._rules.pings_unanswered_max:
            viewer.transport.abort()
            return
        viewer.check_message()
        if viewer.closing:
            return
        viewer.silent += 1
        if viewer.lag is None:  # one who lags has enough to answer to
            viewer.queue(SERVER_PING)  # in a large room it may leave with a frame
        self.add(viewer, now)
