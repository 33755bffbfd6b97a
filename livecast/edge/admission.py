"""Who gets in: handshakes at a bounded rate, connections bounded per address and per user, pages from the right origins."""

from __future__ import annotations

from livecast.edge.rules import EdgeRules


class Admission:
    """The counts of one node. Every method is a few dictionary look-ups."""

    def __init__(self, rules: EdgeRules) -> None:
        self._rules = rules

    def handshake(self, now: int) -> int:
        """0: come in. Otherwise: full, try again in so many ms (503, `Retry-After`)."""
        raise NotImplementedError

    def hold(self, address: str, user: str | None) -> bool:
        """Count a connection in; False (and nothing counted) if its address or user has too many. `user` None: anonymous."""
        raise NotImplementedError

    def release(self, address: str, user: str | None) -> None:
        """Count a connection out, with what it was held by."""
        raise NotImplementedError

    def origin_allowed(self, origin: str | None, host: str) -> bool:
        """Whether a page of `origin` may connect to us at `host` (the Host header). No origin: not a page, allowed."""
        raise NotImplementedError
