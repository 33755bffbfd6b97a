"""Who watches, summed over the nodes' reports, and who has come in since viewers were last told."""

from __future__ import annotations

from typing import Final

from livecast.core.events import Json, Presence, Viewers

NEW_USERS_MAX: Final = 100_000
"""Ids kept for counting until a broadcast begins; those beyond it are missing in its `total`."""
WHO_MAX: Final = 3
"""Names of people who came in, per frame: what fits into one line. The others are counted."""


class Audience:
    """The viewers of one room. A node's report stands until its `ttl_ms` is over or it reports nobody."""

    __slots__ = ("_joined", "_new_users", "_nodes", "_who", "soonest")

    def __init__(self) -> None:
        self._nodes: dict[str, tuple[int, int, int]] = {}  # node -> connections, users, stands until (Unix ms)
        self.soonest: int | None = None
        """No report ends before this: when to `pass_time` next."""
        self._joined = 0
        self._who: list[str] = []
        self._new_users: dict[str, None] = {}

    def report(self, presence: Presence, now: int) -> None:
        """Take a node's report in."""
        if presence.connections <= 0:
            self._nodes.pop(presence.node, None)
        else:
            until = now + presence.ttl_ms
            self._nodes[presence.node] = (presence.connections, presence.users, until)
            self.soonest = until if self.soonest is None else min(self.soonest, until)
        self._joined += len(presence.joined)
        for person in presence.joined:
            if len(self._new_users) < NEW_USERS_MAX:
                self._new_users[person.id] = None
            if len(self._who) < WHO_MAX and person.name and not person.anonymous and person.name not in self._who:
                self._who.append(person.name)

    def pass_time(self, now: int) -> bool:
        """Forget nodes that fell silent; True if there were any."""
        if self.soonest is None or now < self.soonest:
            return False
        silent = [n for n, (_, _, until) in self._nodes.items() if now >= until]
        for node in silent:
            del self._nodes[node]
        self.soonest = min((until for _, _, until in self._nodes.values()), default=None)
        return bool(silent)

    def count(self, total: int) -> Viewers:
        """The sums now."""
        connections = users = 0
        for c, u, _ in self._nodes.values():
            connections += c
            users += u
        return Viewers(connections, users, total)

    @property
    def watched(self) -> bool:
        """Whether any node has viewers."""
        return bool(self._nodes)

    def drain_joins(self) -> Json:
        """`{n, who}` of those who came in since the last call, or None."""
        if not self._joined:
            return None
        joins = {"n": self._joined, "who": self._who}
        self._joined, self._who = 0, []
        return joins

    def drain_users(self) -> list[str]:
        """Ids that came in since the last call, in order."""
        users, self._new_users = list(self._new_users), {}
        return users
