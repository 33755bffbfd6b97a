"""Who a caller is, once believed: what a token's claims become, and the anonymous viewer."""

from __future__ import annotations

from typing import Any, Final

from msgspec import Struct

from livecast.core.errors import LivecastError
from livecast.core.events import Person
from livecast.core.tools.globs import glob_matches

#: What a viewer's token may allow, in the order in which `you.can` lists it.
CAN_ALL: Final[tuple[str, ...]] = ("comment", "like", "gift", "claim", "vote")
EVERY_ROOM: Final[tuple[str, ...]] = ("*",)


class AuthError(LivecastError):
    """A token is not believed (`unauthorized`), not meant for this (`forbidden`) or cannot be judged just now (`unavailable`).

    The message never quotes the token.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Identity(Struct, frozen=True, gc=False):
    """A believed caller. `can` ⊆ `CAN_ALL`; `rooms` are globs; `expires_at_ms` is None for the anonymous only."""

    person: Person
    rooms: tuple[str, ...] = EVERY_ROOM
    can: tuple[str, ...] = CAN_ALL
    expires_at_ms: int | None = None
    facts: dict[str, Any] | None = None
    merchant: str = ""

    def covers(self, room: str) -> bool:
        """Whether this token is meant for `room`."""
        return self.rooms is EVERY_ROOM or any(glob_matches(glob, room) for glob in self.rooms)


def anonymous(conn: str, can: tuple[str, ...] = ()) -> Identity:
    """A viewer without a token, named after the connection."""
    return Identity(person=Person(id=f"anon-{conn}", name="", anonymous=True), can=can)


NOBODY: Final = anonymous("")
"""Whoever has not said yet who they are."""
