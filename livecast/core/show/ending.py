"""A broadcast that is being ended: its drops are closed, drawn and settled first, then comes its last frame.

The wish is kept with the room, so that whoever owns it next goes on with it. Whoever asked is answered once it has come true.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct

from livecast.core.commands import End
from livecast.core.events import Command, Done, Json, Origin, Person

ENDING_MS: Final = 6_000
"""How long a broadcast waits for its drops to be settled: a draw of a million takes that long. Then it ends, and they do as soon
as they can. (A ledger that does not answer at all is not waited for.)"""
ASKERS_MAX: Final = 100
"""People who are told. It is one, or a few who repeat themselves."""


class Wish(Struct, frozen=True):
    """Who wants the broadcast to end, since when, and where viewers go on."""

    by: Person
    at: int
    redirect: str | None = None


class Ending:
    """The end of one broadcast on its way: `wait`, then `sold` (its drops are done), then, a frame later, `due`."""

    __slots__ = ("_is_sold", "_is_told", "askers", "wish")

    def __init__(self, wish: Wish) -> None:
        self.wish = wish
        self.askers: list[tuple[Origin, str | None]] = []
        self._is_sold = False
        self._is_told = False

    @classmethod
    def of(cls, command: Command, now: int) -> Ending:
        """As somebody asks for it."""
        return cls(Wish(command.by, now, getattr(command.args, "redirect", None)))

    @classmethod
    def restore(cls, kept: Json, now: int) -> Ending | None:
        """As a former owner left it: it is waited for anew."""
        return None if not kept else cls(msgspec.structs.replace(msgspec.convert(kept, Wish), at=now))

    def join(self, command: Command) -> None:
        """Somebody asks for it again."""
        if len(self.askers) < ASKERS_MAX:
            self.askers.append((command.origin, command.cid))

    def sold(self) -> None:
        """Its drops are done: what there is to say of them is in the next frame."""
        self._is_sold = True

    def told(self) -> None:
        """There was a frame, if there was anything to say."""
        self._is_told = self._is_sold

    def is_due(self, now: int) -> bool:
        """Whether it ends now."""
        return self._is_told or now >= self.due_at

    @property
    def is_sold(self) -> bool:
        """Whether it waits for nothing but a frame."""
        return self._is_sold

    @property
    def due_at(self) -> int:
        """When it ends at the latest."""
        return self.wish.at + ENDING_MS

    def command(self) -> Command:
        """The wish, to be carried out."""
        return Command(Origin("", 0), self.wish.by, "end", End(self.wish.redirect))

    def replies(self, value: Json) -> list[tuple[Origin, str | None, Done]]:
        """What those who asked are told once it has come true."""
        return [(origin, cid, Done(value)) for origin, cid in self.askers]

    def private(self) -> Json:
        """What the next owner needs."""
        return msgspec.to_builtins(self.wish)
