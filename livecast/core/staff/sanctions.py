"""Who is muted and who is banned in a room, until when and by whom. Survives owners: every change is a private patch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from msgspec import Struct

from livecast.core.errors import InvalidChange, Refusal
from livecast.core.events import Json

SANCTIONS_MAX: Final = 20_000
"""Mutes, and likewise bans, in force at once in one room. A room with more needs its mode changed, not longer lists."""
ASK_AGAIN_MS: Final = 3_600_000
"""What a user is told to wait whose mute has no end: somebody may take it back, but not within the minute."""


class Sanction(Struct, frozen=True, array_like=True):
    """One mute or ban. `until` is Unix ms, 0 for ever. An array when stored: a merge patch then replaces it whole."""

    at: int
    until: int
    by: str
    reason: str

    def over(self, now: int) -> bool:
        """Whether its time is up."""
        return bool(self.until) and now >= self.until

    def tell(self, user: str, scope: str = "room") -> dict[str, Json]:
        """As the control plane sees it."""
        return {"user": user, "until": self.until or None, "reason": self.reason, "by": self.by, "at": self.at, "scope": scope}


Book: TypeAlias = dict[str, Sanction]


def _nobody(_user: str) -> bool:
    return False


class Wide:
    """Sanctions that hold beyond one room, as one room sees them: books of the platform and of its merchant, shared and kept up
    to date by their owner. `forgot` says whether a user asked to be forgotten.
    """

    __slots__ = ("_books", "forgot")

    def __init__(self, books: Sequence[Book], forgot: Callable[[str], bool] = _nobody) -> None:
        self._books = books
        self.forgot = forgot

    def refusal(self, user: str, now: int) -> Refusal | None:
        """As `Sanctions.refusal`."""
        found = [s for book in self._books if (s := standing(book, user, now)) is not None]
        return _muted([s.until for s in found], now) if found else None


class Sanctions:
    """The mutes and bans of one room, each by user id."""

    __slots__ = ("bans", "mutes")

    def __init__(self) -> None:
        self.mutes: Book = {}
        self.bans: Book = {}

    def refusal(self, user: str, now: int) -> Refusal | None:
        """Why this user may not speak or like now, if so; with the time left, or when to ask again if it has no end."""
        if user not in self.mutes and user not in self.bans:
            return None
        untils = [s.until for s in (standing(self.bans, user, now), standing(self.mutes, user, now)) if s is not None]
        return _muted(untils, now) if untils else None

    def fade(self, now: int) -> bool:
        """Forget what is over; True if nothing is left."""
        for book in (self.mutes, self.bans):
            for user in [u for u, s in book.items() if s.over(now)]:
                del book[user]
        return not (self.mutes or self.bans)

    def private(self, now: int) -> dict[str, Json]:
        """Both books as they are stored."""
        return {
            name: {u: list(_stored(s)) for u, s in book.items() if not s.over(now)}
            for name, book in (("mutes", self.mutes), ("bans", self.bans))
        }

    def restore(self, private: dict[str, Json], now: int) -> None:
        """Read them back, except what is over."""
        for name, book in (("mutes", self.mutes), ("bans", self.bans)):
            for user, stored in private.get(name, {}).items():
                book[user] = Sanction(*stored)
        self.fade(now)


def standing(book: Book, user: str, now: int) -> Sanction | None:
    """The sanction in force against `user`, if any."""
    sanction = book.get(user)
    return None if sanction is None or sanction.over(now) else sanction


def impose(book: Book, user: str, sanction: Sanction) -> Json:
    """Put a sanction in force in place of an earlier one; how it is stored. Raises `InvalidChange` when the book is full."""
    if user not in book and len(book) >= SANCTIONS_MAX:
        for other in [u for u, s in book.items() if s.over(sanction.at)]:
            del book[other]
        if len(book) >= SANCTIONS_MAX:
            raise InvalidChange(Refusal("invalid", f"At most {SANCTIONS_MAX} at once in one room.", field="user"))
    book[user] = sanction
    return list(_stored(sanction))


def lift(book: Book, user: str, now: int) -> Sanction:
    """Take a sanction back. Raises `InvalidChange` (`not_found`) if there is none."""
    sanction = standing(book, user, now)
    if sanction is None:
        raise InvalidChange(Refusal("not_found"))
    del book[user]
    return sanction


def _muted(untils: list[int], now: int) -> Refusal:
    return Refusal("muted", retry_after_ms=max(untils) - now if all(untils) else ASK_AGAIN_MS)


def _stored(s: Sanction) -> tuple[int, int, str, str]:
    return s.at, s.until, s.by, s.reason
