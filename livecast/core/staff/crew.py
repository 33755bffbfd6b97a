"""Whom a room has seen with a staff token lately: its lists of hosts and moderators do not name everybody who runs the show."""

from __future__ import annotations

from typing import Final

from livecast.core.events import Json, Person
from livecast.core.tools.kept import Kept

CREW_MAX: Final = 200
"""People at once; beyond it the one who was first seen goes. No broadcast has as many."""
KEPT_MS: Final = 24 * 3_600_000
"""Tokens live for hours: who was not seen for a day has to show one again."""
ROLES: Final = frozenset({"host", "moderator", "merchant"})


class Crew:
    """User -> when they were last seen as staff, Unix ms."""

    __slots__ = ("_kept", "_seen")

    def __init__(self, kept: dict[str, Json] | None = None) -> None:
        self._seen: dict[str, int] = dict(kept or {})
        self._kept = Kept(kept)

    def note(self, person: Person, now: int) -> None:
        """Somebody came, or did something: as staff, or (no longer) as a viewer."""
        if person.role not in ROLES:
            self.drop(person.id)
            return
        if now - self._seen.get(person.id, -KEPT_MS) < KEPT_MS // 4:
            return  # seen already, and not to be written with every click
        self._seen.pop(person.id, None)
        self._seen[person.id] = now
        self._kept.put(person.id, now)
        while len(self._seen) > CREW_MAX:
            self.drop(next(iter(self._seen)))

    def drop(self, user: str) -> None:
        """They are staff no more."""
        if self._seen.pop(user, None) is not None:
            self._kept.drop(user)

    def has(self, user: str, now: int) -> bool:
        """Whether this user was seen as staff within a day."""
        return now - self._seen.get(user, now - KEPT_MS) < KEPT_MS

    def private(self) -> dict[str, Json]:
        """What the next owner needs, as of the last commit."""
        return {"crew": dict(self._kept.told)} if self._kept.told else {}

    def drain_private(self) -> dict[str, Json]:
        """The patch for the next commit."""
        crew = self._kept.drain()
        return {"crew": crew} if crew else {}
