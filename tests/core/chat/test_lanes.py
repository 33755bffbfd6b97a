"""Lanes and budget: strict order, one per person first, then a fair sample."""

from __future__ import annotations

from collections import Counter

import pytest
from msgspec import Struct

from livecast.core.chat.lanes import EVERYONE, KNOWN, STAFF, TIPPED, lane_of, left_out
from livecast.core.events import Person
from livecast.core.limits import Budget
from livecast.core.tools.chance import SplitMix64


class Asking(Struct):
    """Somebody's comment, of which lanes only see the lane and whose it is."""

    user: str
    lane: int


def shown(asking: list[Asking], budget: Budget, seed: str = "e") -> list[Asking]:
    """Those who are not left out."""
    out = {id(a) for a in left_out(asking, budget, SplitMix64(seed))}
    return [a for a in asking if id(a) not in out]


@pytest.mark.parametrize(
    ("person", "lane"),
    [
        (Person("a", "A", role="host"), STAFF),
        (Person("a", "A", role="moderator"), STAFF),
        (Person("a", "A", role="merchant"), STAFF),
        (Person("a", "A", role="service"), STAFF),
        (Person("a", "A", level=1), KNOWN),
        (Person("a", "A", badges=("vip",)), KNOWN),
        (Person("a", "A"), EVERYONE),
    ],
)
def test_who_rides_in_which_lane(person: Person, lane: int) -> None:
    """Staff, then people with a level or a badge, then everyone."""
    assert lane_of(person, 1) == lane


def test_within_the_budget_everything_is_shown() -> None:
    """Forty comments of forty people, or of one: nobody is left out."""
    assert left_out([Asking("u", EVERYONE)] * 40, Budget(40, 0.5, 0), SplitMix64("e")) == []


def test_over_the_budget_staff_come_first_and_cost_nothing() -> None:
    """Lanes are served in strict order; lanes 1 and 2 may overdraw by the reserved half, lane 3 only takes what is there."""
    asking = [Asking(f"{lane}-{n}", lane) for n in range(30) for lane in (EVERYONE, KNOWN, TIPPED, STAFF)]
    budget = Budget(40, 0.5, 0)
    by_lane = Counter(a.lane for a in shown(asking, budget))
    assert by_lane == {STAFF: 30, TIPPED: 30, KNOWN: 30}
    assert budget.room() == 0
    assert Counter(a.lane for a in shown(asking, Budget(40, 0, 0))) == {STAFF: 30, TIPPED: 30, KNOWN: 10}
    assert Counter(a.lane for a in shown(asking, Budget(70, 0.5, 0))) == {STAFF: 30, TIPPED: 30, KNOWN: 30, EVERYONE: 10}


def test_staff_use_up_nothing_of_the_budget() -> None:
    """However much the host says, the crowd's places are all there."""
    budget = Budget(40, 0.5, 0)
    assert left_out([Asking("host", STAFF)] * 30 + [Asking("u", EVERYONE)] * 10, budget, SplitMix64("e")) == []
    assert budget.room() == 30


def test_everybody_is_heard_once_before_anybody_twice() -> None:
    """One who writes twenty comments in a tick gets one place while others wait, and the rest only if there is room."""
    crowd = [Asking("loud", EVERYONE) for _ in range(20)] + [Asking(f"u{n}", EVERYONE) for n in range(9)]
    heard = Counter(a.user for a in shown(crowd, Budget(10, 0.5, 0)))
    assert heard == {"loud": 1, **{f"u{n}": 1 for n in range(9)}}
    heard = Counter(a.user for a in shown(crowd, Budget(15, 0.5, 0)))
    assert heard["loud"] == 6
    assert len(heard) == 10


def test_the_rest_is_sampled_fairly_and_repeatably() -> None:
    """Early and late within a tick have the same chance; the same epoch leaves out the same ones."""
    crowd = [Asking(f"u{n}", EVERYONE) for n in range(100)]
    times = Counter(a.user for seed in range(400) for a in shown(crowd, Budget(20, 0.5, 0), f"e{seed}"))
    assert all(40 < times[f"u{n}"] < 130 for n in range(100))
    assert shown(crowd, Budget(20, 0.5, 0)) == shown(crowd, Budget(20, 0.5, 0))
    assert len(shown(crowd, Budget(0, 0.5, 0))) == 0
