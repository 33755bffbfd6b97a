"""The sockets of a node and their life signs: pings, dead peers, tokens that run out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from livecast.edge.rules import EdgeRules
from livecast.wire.messages import Bye
from livecast.wire.websocket import PING, frame

if TYPE_CHECKING:
    from livecast.edge.websocket import ViewerSocket

SERVER_PING: Final = frame(b"", PING)


class Pulse:
    """Every socket that is in a room, by number.

    Each is looked at once per `ping_ms`, a small share of them with every sweep, in the order in which they came: no timer and
    no list entry per socket. Tokens that end before the next look are put aside and looked at with every sweep.
    """

    __slots__ = ("_expiring", "_round", "_round_at", "_rules", "_share", "sockets")

    def __init__(self, rules: EdgeRules) -> None:
        self._rules = rules
        self.sockets: dict[int, ViewerSocket] = {}
        self._round: list[int] = []
        self._round_at = 0
        self._share = 0
        self._expiring: dict[ViewerSocket, None] = {}

    def add(self, viewer: ViewerSocket, now: int) -> None:
        """A socket came in, or has a new token."""
        self.sockets[viewer.number] = viewer
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
        if not self._round and now - self._round_at >= self._rules.ping_ms:
            self._round_at = now
            self._round = list(self.sockets)[::-1]
            self._share = -(-len(self._round) * self._rules.sweep_ms // self._rules.ping_ms)
        for _ in range(min(self._share, len(self._round))):
            viewer_or_none = self.sockets.get(self._round.pop())
            if viewer_or_none is not None:
                self._look_at(viewer_or_none, now)

    def _look_at(self, viewer: ViewerSocket, now: int) -> None:
        if viewer.silent >= self._rules.pings_unanswered_max:
            viewer.transport.abort()
            return
        viewer.silent += 1
        if viewer.lag is None:  # one who lags has enough to answer to
            viewer.send(SERVER_PING)
        self.add(viewer, now)
