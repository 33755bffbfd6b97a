"""Equal comments become one line with a number.

An anchor is a comment that was shown; it is open while the same is said again within `merge_idle_ms`, for at most
`merge_life_ms`. Whether a comment is merged is decided in the order of arrival, before any budget: merging is free.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from livecast.core.frames import Merge
from livecast.core.limits import Fading
from livecast.core.rules import RoomRules

ANCHORS_MAX: Final = 20_000
"""Anchors remembered at once, twice what the largest budget shows in 15 s. Beyond it the older half stops merging."""
SAYERS_MAX: Final = 100_000
"""People told apart per anchor; beyond it its number stays. About 10 MB for a room in which everybody says the same."""


class Anchor(Struct):
    """A shown comment that others may join: `sayers` are the distinct users since then, `n` what the screens say."""

    id: str
    user: str
    at: int
    last_at: int
    sayers: set[str]
    n: int = 1


class Merging:
    """The open anchors of a room, by merge key."""

    __slots__ = ("_anchors", "_grown", "_rules")

    def __init__(self, rules: RoomRules) -> None:
        self._rules = rules
        self._anchors: Fading[str, Anchor] = Fading(rules.merge_life_ms, ANCHORS_MAX)
        self._grown: dict[str, Anchor] = {}  # by id: joined since the last `drain`

    def join(self, key: str, user: str, at: int) -> tuple[bool, Anchor | None]:
        """Someone says `key`: (whether there is an open anchor, the anchor if the comment merges into it)."""
        anchor = self._open(key, at)
        if anchor is None:
            return False, None
        anchor.last_at = at
        sayers = anchor.sayers
        if len(sayers) < SAYERS_MAX:
            sayers.add(user)
        if len(sayers) < self._rules.merge_min_users:
            return True, None
        self._grown[anchor.id] = anchor
        return True, anchor

    def shown(self, key: str, anchor: Anchor, now: int) -> None:
        """A comment is shown: an anchor from now on, or, if an open one says the same, one of its sayers."""
        first = self._open(key, anchor.at)
        if first is None:
            self._anchors.put(key, anchor, now)
        else:
            self._heard(first, anchor.user, anchor.at)

    def left_out(self, key: str, user: str, at: int) -> None:
        """A comment is not shown; whoever wrote it said it all the same."""
        if (anchor := self._open(key, at)) is not None:
            self._heard(anchor, user, at)

    def _heard(self, anchor: Anchor, user: str, at: int) -> None:
        if len(anchor.sayers) < SAYERS_MAX and at >= anchor.at:
            anchor.sayers.add(user)
            anchor.last_at = max(anchor.last_at, at)

    def _open(self, key: str, at: int) -> Anchor | None:
        anchor = self._anchors.get(key)
        if anchor is None or at - anchor.last_at > self._rules.merge_idle_ms or at - anchor.at >= self._rules.merge_life_ms:
            return None
        return anchor

    def drain(self) -> tuple[Merge, ...]:
        """What the screens must be told: anchors with a larger number than before, in the order in which they grew."""
        if not self._grown:
            return ()
        merges = []
        for anchor in self._grown.values():
            if len(anchor.sayers) > anchor.n:
                anchor.n = len(anchor.sayers)
                merges.append(Merge(anchor.id, anchor.n))
        self._grown.clear()
        return tuple(merges)

    def drop(self, ids: set[str], users: set[str]) -> None:
        """These comments, and those of `users`, are gone from the screens: nothing joins them any more."""
        for key, anchor in self._anchors.items():
            if anchor.id in ids or anchor.user in users:
                self._anchors.drop(key)
                self._grown.pop(anchor.id, None)

    def fade(self, now: int) -> bool:
        """Forget closed anchors; True if none is left."""
        return self._anchors.fade(now)
