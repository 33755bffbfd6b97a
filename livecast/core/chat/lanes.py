"""Which comments a room has time to show: lanes in strict order, then one per person, then a fair sample.

Lanes: 0 staff, 1 people who tipped, 2 people with a level or a badge, 3 everyone. Lane 0 costs nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol, TypeVar

from livecast.core.events import STAFF_ROLES, Person
from livecast.core.limits import Budget
from livecast.core.tools.chance import SplitMix64

STAFF: Final = 0
TIPPED: Final = 1
KNOWN: Final = 2
EVERYONE: Final = 3


class Candidate(Protocol):
    """A comment that asks to be shown."""

    lane: int
    user: str


C = TypeVar("C", bound=Candidate)


def lane_of(person: Person, lane_level_min: int) -> int:
    """The lane in which this person's comments ride."""
    if person.role in STAFF_ROLES:
        return STAFF
    return KNOWN if person.level >= lane_level_min or person.badges else EVERYONE


def left_out(candidates: Sequence[C], budget: Budget, chance: SplitMix64) -> list[C]:
    """Spend the budget on `candidates`, and return those for which it was not enough."""
    paying = [c for c in candidates if c.lane != STAFF]
    if len(paying) <= budget.room():
        budget.take(len(paying))
        return []
    lanes: tuple[list[C], ...] = ([], [], [], [])
    for c in paying:
        lanes[c.lane].append(c)
    out: list[C] = []
    for lane in (TIPPED, KNOWN, EVERYONE):
        riders = lanes[lane]
        places = budget.room(reserved=lane != EVERYONE)
        if len(riders) > places:
            kept = _choose(riders, places, chance)
            out.extend(c for c in riders if id(c) not in kept)
            budget.take(places)
        else:
            budget.take(len(riders))
    return out


def _choose(riders: list[C], places: int, chance: SplitMix64) -> set[int]:
    """The identities of those who get one of `places`: everybody's first comment before anybody's second."""
    seen: set[str] = set()
    firsts: list[C] = []
    seconds: list[C] = []
    for c in riders:
        (seconds if c.user in seen else firsts).append(c)
        seen.add(c.user)
    kept = chance.sample(firsts, places)
    if len(kept) < places:
        kept += chance.sample(seconds, places - len(kept))
    return {id(c) for c in kept}
