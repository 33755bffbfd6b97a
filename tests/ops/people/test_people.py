"""The simulated crowd: reproducible, as busy as asked for, and with the habits that a room has to cope with."""

from __future__ import annotations

from collections import Counter

import pytest

from livecast.ops.people.people import Act, Crowd, Person
from livecast.ops.people.phrases import MOMENTS


def play(crowd: Crowd, seconds: float, step_s: float = 0.1) -> list[tuple[float, Act]]:
    """Everything that happens, with its time."""
    return [(k * step_s, act) for k in range(round(seconds / step_s)) for act in crowd.step(k * step_s)]


def test_the_same_seed_is_the_same_crowd() -> None:
    """Nothing but the seed decides."""
    runs = [play(Crowd(viewers=30, rate=5, likes=20, seed=7), 60) for _ in range(2)]
    other = play(Crowd(viewers=30, rate=5, likes=20, seed=8), 60)
    assert runs[0] == runs[1] != other


@pytest.mark.parametrize("rate", [2.0, 30.0])
def test_comments_and_likes_come_at_the_rate_asked_for(rate: float) -> None:
    """Averaged over minutes; the bursts are on top of a calmer base."""
    acts = play(Crowd(viewers=100, rate=rate, likes=10 * rate, seed=3), 600)
    said = sum(act.kind == "say" for _, act in acts)
    tapped = sum(act.n for _, act in acts if act.kind == "tap")
    assert said == pytest.approx(600 * rate, rel=0.25)
    assert tapped == pytest.approx(6000 * rate, rel=0.25)


def test_moments_make_many_people_say_the_same() -> None:
    """Within five seconds at least six people say one word, again and again: something to merge."""
    acts = play(Crowd(viewers=200, rate=20, likes=0, seed=5), 300)
    busy = 0
    for start in range(0, 300, 5):
        words: dict[str, set[str]] = {}
        for at, act in acts:
            if act.kind == "say" and start <= at < start + 5:
                words.setdefault(act.text, set()).add(act.person.id)
        busy += max((len(users) for users in words.values()), default=0) >= 6
    assert busy >= 8
    shouts = {word for _, _, words_of in MOMENTS.values() for word in words_of}
    said = Counter(act.text in shouts for _, act in acts if act.kind == "say")
    assert 0.35 < said[True] / said.total() < 0.75


def test_people_gather_come_and_go() -> None:
    """The crowd grows to its size, then keeps it while persons change; nobody acts who is not there."""
    crowd = Crowd(viewers=50, rate=5, likes=10, seed=2)
    here: dict[str, Person] = {}
    left = 0
    for at, act in play(crowd, 300):
        if act.kind == "join":
            assert act.person.id not in here
            here[act.person.id] = act.person
        elif act.kind == "leave":
            del here[act.person.id]
            left += 1
        else:
            assert act.person.id in here
        assert len(here) <= 50
        assert at > 1 or left == 0
    assert len(here) >= 48
    assert left > 20


def test_a_long_pause_is_not_caught_up_with() -> None:
    """A suspended laptop does not come back with an hour of comments at once."""
    crowd = Crowd(viewers=20, rate=10, likes=50, seed=1)
    play(crowd, 30)
    acts = crowd.step(3600.0)
    assert sum(act.kind == "say" for act in acts) < 100


def test_taps_are_what_one_message_takes() -> None:
    """1 to 100 each."""
    assert all(1 <= act.n <= 100 for _, act in play(Crowd(viewers=5, rate=0, likes=500, seed=1), 60) if act.kind == "tap")
