"""Who watches, summed over the nodes' reports, and who has come in: told at most once a second, and only when it changed."""

from __future__ import annotations

from typing import Final

import msgspec

from livecast.core.events import Json, Presence
from livecast.core.frames import Viewers

NEW_USERS_MAX: Final = 100_000
"""Ids kept for counting until a broadcast begins; those beyond it are missing in its `total`."""
WHO_MAX: Final = 3
"""Names of people who came in, per frame: what fits into one line. The others are counted."""
SKUS_MAX: Final = 3
"""Articles that are named of those that were sold, per frame; the others are counted."""
NEVER: Final = -(10**15)
"""A moment before all others, for what has not happened yet."""


class Audience:
    """The viewers of one room. A node's report stands until its `ttl_ms` is over or it reports nobody.

    `told` is what frames have said last; `total` is the log's count of distinct users of the broadcast.
    """

    __slots__ = (
        "_changed_at",
        "_every_ms",
        "_joined",
        "_new_users",
        "_nodes",
        "_orders",
        "_skus",
        "_soonest",
        "_told_at",
        "_total",
        "_who",
        "told",
    )

    def __init__(self, every_ms: int, told: Viewers) -> None:
        self.told = told
        self._every_ms = every_ms
        self._total = told.total
        self._nodes: dict[str, tuple[int, int, int]] = {}  # node -> connections, users, stands until (Unix ms)
        self._soonest: int | None = None  # no report ends before this
        self._joined = 0
        self._who: dict[str, str] = {}
        self._orders = 0
        self._skus: dict[str, int] = {}
        self._new_users: dict[str, None] = {}
        self._changed_at: int | None = None
        self._told_at = NEVER

    # --- Feed ---------------------------------------------------------------------------------------------------------
    def report(self, presence: Presence, now: int) -> None:
        """Take a node's report in."""
        if presence.connections <= 0:
            self._nodes.pop(presence.node, None)
            self._soonest = self._first_end()
        else:
            until = now + presence.ttl_ms
            self._nodes[presence.node] = (presence.connections, presence.users, until)
            self._soonest = until if self._soonest is None else min(self._soonest, until)
        self._joined += len(presence.joined)
        for person in presence.joined:
            if len(self._new_users) < NEW_USERS_MAX:
                self._new_users[person.id] = None
            if len(self._who) < WHO_MAX and person.name and not person.anonymous and person.name not in self._who.values():
                self._who[person.id] = person.name
        self._note_change(now)

    def sold(self, sku: str, now: int) -> None:
        """Somebody bought something. Who, nobody is told."""
        self._orders += 1
        if sku in self._skus or len(self._skus) < SKUS_MAX:
            self._skus[sku] = self._skus.get(sku, 0) + 1
        self._note_change(now)

    def note_total(self, total: int, now: int) -> None:
        """The log counted the broadcast's users."""
        if total > self._total:
            self._total = total
            self._note_change(now)

    def pass_time(self, now: int) -> list[str]:
        """Forget nodes that fell silent, and say which."""
        if self._soonest is None or now < self._soonest:
            return []
        silent = [n for n, (_, _, until) in self._nodes.items() if now >= until]
        for node in silent:
            del self._nodes[node]
        self._soonest = self._first_end()
        self._note_change(now)
        return silent

    def new_broadcast(self) -> None:
        """Its users are counted from zero; the same people go on watching."""
        self._total = 0
        self.told = msgspec.structs.replace(self.told, total=0)

    # --- Ask ----------------------------------------------------------------------------------------------------------
    @property
    def watched(self) -> bool:
        """Whether any node has viewers."""
        return bool(self._nodes)

    def due_at(self) -> int | None:
        """When there is something to tell, or a silent node to forget."""
        if self._changed_at is None:
            return self._soonest
        due = max(self._changed_at, self._told_at + self._every_ms)
        return due if self._soonest is None else min(due, self._soonest)

    # --- Drain --------------------------------------------------------------------------------------------------------
    def drain(self, now: int, *, ids_hidden: bool = False) -> tuple[Viewers | None, Json]:
        """(The count if it changed, `{joins: {n, who}, orders: {n, skus}}` of what there was), both None until it is time.

        `ids_hidden`: whose name is their id is counted and not named.
        """
        if self._changed_at is None or now < self._told_at + self._every_ms:
            return None, None
        self._changed_at = None
        count = self._count()
        changed = count != self.told
        activity: dict[str, Json] = {}
        if self._joined:
            activity["joins"] = {
                "n": self._joined,
                "who": [name for user, name in self._who.items() if not ids_hidden or name != user],
            }
        if self._orders:
            activity["orders"] = {"n": self._orders, "skus": self._skus}
        self._joined, self._who, self._orders, self._skus = 0, {}, 0, {}
        if changed or activity:
            self.told, self._told_at = count, now
        return count if changed else None, activity or None

    def drain_users(self) -> list[str]:
        """Ids that came in since the last call, in order."""
        users, self._new_users = list(self._new_users), {}
        return users

    # --- Private ------------------------------------------------------------------------------------------------------
    def _note_change(self, now: int) -> None:
        if self._changed_at is None and (self._joined or self._orders or self._count() != self.told):
            self._changed_at = now

    def _first_end(self) -> int | None:
        return min((until for _, _, until in self._nodes.values()), default=None)

    def _count(self) -> Viewers:
        connections = users = 0
        for c, u, _ in self._nodes.values():
            connections += c
            users += u
        return Viewers(connections, users, self._total)
