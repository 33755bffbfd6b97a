"""How long each user has watched the broadcast, for drops that ask for it. In doubt it was shorter.

A user watches while any node has a connection of theirs. A node that falls silent had nobody since its last word; a room that
comes back after a crash counts up to the last commit that said when it was, and on from when the nodes report again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from livecast.core.events import Json, Presence
from livecast.core.tools.kept import Kept

WATCHERS_MAX: Final = 200_000
"""Users whose time is kept. Those who come later have watched 0 s. About 60 MB, and 5 MB of a snapshot, in a room of that size."""
SEEN_EVERY_MS: Final = 10_000
"""How often a commit says when it was: what a crash takes off everybody's time, at most."""


class Attendance:
    """Watch times of one broadcast, ms. `kept`: user -> [time up to `since`, `since` or 0: not watching]."""

    __slots__ = ("_nodes", "_people", "_seen_at", "kept")

    def __init__(self) -> None:
        self._people: dict[str, tuple[int, int]] = {}  # as in `kept`
        self._nodes: dict[str, tuple[set[str], int]] = {}  # node -> whom it has, when it last reported
        self._seen_at = -SEEN_EVERY_MS
        self.kept = Kept()

    # --- Feed ---------------------------------------------------------------------------------------------------------
    def report(self, presence: Presence, now: int) -> None:
        """Take a node's report in."""
        if presence.connections <= 0:
            self.node_gone(presence.node, now, now)
            return
        here = self._nodes.get(presence.node, (set[str](), 0))[0]
        self._nodes[presence.node] = (here, now)
        self._come([p.id for p in presence.joined if not p.anonymous], here, now)
        self._come(presence.present, here, now)
        for user in presence.left:
            here.discard(user)
            self._leave(user, now)

    def node_gone(self, node: str, now: int, heard_at: int | None = None) -> None:
        """A node has nobody any more, since `heard_at` or else since its last report."""
        here, last = self._nodes.pop(node, (set[str](), now))
        for user in here:
            self._leave(user, last if heard_at is None else heard_at)

    def new_broadcast(self, now: int) -> None:
        """Everybody begins at nothing; who is here watches on."""
        self._people = {user: (0, now) for user, (_, since) in self._people.items() if since}
        self.kept.clear()
        for user, times in self._people.items():
            self.kept.put(user, times)

    def forget(self) -> None:
        """Nobody watches and nothing is on: what was counted matters no more."""
        self._people = {}
        self._nodes = {}
        self.kept.clear()

    def forget_user(self, user: str) -> None:
        """What this one watched matters no more."""
        if self._people.pop(user, None) is not None:
            self.kept.drop(user)

    # --- Ask ----------------------------------------------------------------------------------------------------------
    def watched_ms(self, user: str, now: int) -> int:
        """How long a user has watched."""
        before, since = self._people.get(user, (0, 0))
        return before + max(0, now - since) if since else before

    def __len__(self) -> int:
        return len(self._people)

    def __contains__(self, user: str) -> bool:
        return user in self._people

    # --- Drain --------------------------------------------------------------------------------------------------------
    def drain_private(self, now: int, *, others: bool) -> dict[str, Json]:
        """The patch for the next commit; `others`: there is a commit anyway, which may as well say when it was."""
        patch: dict[str, Json] = {}
        if watch := self.kept.drain():
            patch["watch"] = watch if self._people else None
        if (patch or others) and self._people and now - self._seen_at >= SEEN_EVERY_MS:
            self._seen_at = now
            patch["watch_seen_at"] = now
        return patch

    def private(self) -> dict[str, Json]:
        """What the next owner needs, as of the last commit."""
        return {"watch": dict(self.kept.told), "watch_seen_at": self._seen_at} if self.kept.told else {}

    def restore(self, watch: dict[str, Json], seen_at: int) -> None:
        """Go on where a former owner stopped: nobody watches until the nodes report again."""
        people = {user: (before + max(0, seen_at - since) if since else before, 0) for user, (before, since) in watch.items()}
        self._people = people
        self._seen_at = seen_at
        self.kept = Kept(people)  # a new owner's first commit is a whole snapshot

    # --- Private ------------------------------------------------------------------------------------------------------
    def _come(self, users: Iterable[str], here: set[str], now: int) -> None:
        for user in users:
            known = self._people.get(user)
            if known is None:
                if len(self._people) >= WATCHERS_MAX:
                    continue
                known = (0, 0)
            here.add(user)
            if not known[1]:
                self._set(user, (known[0], now))

    def _leave(self, user: str, at: int) -> None:
        if any(user in here for here, _ in self._nodes.values()):
            return
        before, since = self._people.get(user, (0, 0))
        if since:
            self._set(user, (before + max(0, at - since), 0))

    def _set(self, user: str, times: tuple[int, int]) -> None:
        self._people[user] = times
        self.kept.put(user, times)
