"""The leaderboard as viewers see it: who gave most in the broadcast, of two with the same sum the one who got there first.

The sums are the ledger's; here is the top of them, so that a frame can show it at once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final, Literal

import msgspec
from msgspec import Struct

from livecast.core.events import BoardChanged, Json, Person
from livecast.core.tools.kept import Kept

SHOWN: Final = 10
"""Lines of the board: what a telephone shows of it without scrolling."""
RANKED_MAX: Final = 20
"""Kept in order to still fill the board after a reversal or two; whoever comes after them is known to the ledger only."""


class _Place(Struct, frozen=True):
    """What somebody gave, and the ledger position at which it came to that."""

    person: Person
    value: int
    since: int

    @property
    def order(self) -> tuple[int, int]:
        """More is better, then sooner."""
        return -self.value, self.since


class Board:
    """The best givers of one broadcast."""

    __slots__ = ("_kept", "_noted", "_places", "read_at")

    def __init__(self) -> None:
        self._places: dict[str, _Place] = {}
        self._noted: dict[str, _Place] = {}
        """What was heard since somebody asked: of many gifts of a tick only the last of each giver counts."""
        self._kept = Kept()
        self.read_at = 0
        """The ledger position of the last whole board: older gifts are in it."""

    # --- Feed ---------------------------------------------------------------------------------------------------------
    def note(self, person: Person, total: int, position: int) -> None:
        """At `position` of the ledger somebody's gifts came to `total`."""
        if position <= self.read_at:
            return
        self._noted[person.id] = _Place(person, total, position)

    def lower(self, user: str, total: int, position: int) -> None:
        """A gift of `user` was taken back."""
        self._settle()
        place = self._places.get(user)
        if place is None or position <= self.read_at:
            return
        if total > 0:
            self._put(_Place(place.person, total, position))
        else:
            self._remove(user)

    def replace(self, board: BoardChanged) -> None:
        """The whole board as the ledger has it. Names that only the room knows stay."""
        if board.position < self.read_at:
            return
        self._settle()
        known, self._places = self._places, {}
        self._kept.clear()
        for i, rank in enumerate(board.ranks[:RANKED_MAX]):
            person, before = rank.person, known.get(rank.person.id)
            if before is not None and not person.name:
                person = before.person
            # They are in order: those who have the same are told apart by their place, all of them before whoever comes later.
            self._put(_Place(person, rank.value, board.position - RANKED_MAX + i))
        self.read_at = board.position
        for place in known.values():
            if place.since > board.position:
                self._put(place)
        self._prune()

    def forget(self, user: str) -> None:
        """This user is on it no more, unless they give again (or it is read anew: the ledger's figures stay)."""
        self._settle()
        if user in self._places:
            self._remove(user)

    def new_broadcast(self) -> None:
        """Everybody begins at nothing."""
        self._places, self._noted = {}, {}
        self._kept.clear()

    # --- Ask ----------------------------------------------------------------------------------------------------------
    @property
    def kept(self) -> Kept:
        """What the next owner goes on from."""
        self._settle()
        return self._kept

    def shown(self, policy: Literal["off", "names", "values"]) -> list[Json]:
        """As it stands in the state."""
        if policy == "off":
            return []
        self._settle()
        best = sorted(self._places.values(), key=lambda place: place.order)[:SHOWN]
        who: list[Json] = [{"u": msgspec.to_builtins(place.person)} for place in best]
        return who if policy == "names" else [{**line, "value": place.value} for line, place in zip(who, best, strict=True)]

    def names(self, users: Collection[str]) -> dict[str, str]:
        """Under which names these of them are known."""
        self._settle()
        return {user: place.person.name for user, place in self._places.items() if user in users and place.person.name}

    def restore(self, kept: dict[str, Json], read_at: int) -> None:
        """Go on where a former owner stopped."""
        self._kept = Kept(kept)
        self.read_at = read_at
        self._noted = {}
        self._places = {u: _Place(msgspec.convert(person, Person), value, since) for u, (person, value, since) in kept.items()}

    # --- Private ------------------------------------------------------------------------------------------------------
    def _settle(self) -> None:
        """Let those in who were heard of. Sums only grow here, so who is not among the best now was not on the way either."""
        if not self._noted:
            return
        noted, self._noted = self._noted, {}
        all_ = sorted(({**self._places, **noted}).values(), key=lambda place: place.order)
        for place in all_[RANKED_MAX:]:  # in a large room most: nothing is written for them
            if place.person.id in self._places:
                self._remove(place.person.id)
        for place in all_[:RANKED_MAX]:
            if place.person.id in noted:
                self._put(place)

    def _put(self, place: _Place) -> None:
        self._places[place.person.id] = place
        self._kept.put(place.person.id, [msgspec.to_builtins(place.person), place.value, place.since])

    def _remove(self, user: str) -> None:
        del self._places[user]
        self._kept.drop(user)

    def _prune(self) -> None:
        if len(self._places) <= RANKED_MAX:
            return
        excess: Iterable[_Place] = sorted(self._places.values(), key=lambda place: place.order)[RANKED_MAX:]
        for place in excess:
            self._remove(place.person.id)
