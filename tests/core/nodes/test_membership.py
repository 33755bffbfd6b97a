"""Who is there, as one node sees it: a table of looks, and what follows from them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from livecast.core.nodes.membership import FREE, Beat, Membership, bits_of, holder_of, shards_in, token_of
from livecast.core.nodes.placement import SHARDS

DEAD_S = 3.0


class Watcher:
    """Looks every half second."""

    def __init__(self) -> None:
        self.seen = Membership("me", DEAD_S)
        self.now_s = 100.0
        self.beats: dict[str, Beat] = {}
        self.gone: list[str] = []

    def look(self, *, after_s: float = 0.5, **beats: Beat | None) -> None:
        """Time passes; then these signs changed (None: it is not there any more)."""
        self.now_s += after_s
        for name, beat in beats.items():
            self.beats.pop(name, None)
            if beat is not None:
                self.beats[name] = beat
        self.gone = self.seen.look(self.beats, self.now_s)


def test_who_changes_lives_and_who_does_not_is_dead_in_time() -> None:
    """Not a look before three seconds, and told once."""
    w = Watcher()
    w.look(a=Beat(1), b=Beat(9))
    told: list[tuple[float, str]] = []
    for n in range(12):
        w.look(a=Beat(2 + n))
        told += [(w.now_s, name) for name in w.gone]
    assert told == [(103.5, "b")]
    assert w.seen.present() == ["a", "me"]
    assert w.seen.is_dead("b")
    assert not w.seen.is_dead("a")
    assert not w.seen.is_dead("unheard of")


def test_who_wakes_lives_again() -> None:
    """A sleeper shows a new sign: it is there, from now on."""
    w = Watcher()
    w.look(a=Beat(1, bits_of({5})))
    for _ in range(7):
        w.look()
    assert w.seen.present() == ["me"]
    assert w.seen.claimed({5}) == set()
    w.look(a=Beat(2, bits_of({6})))
    assert w.seen.present() == ["a", "me"]
    assert w.seen.claimed({5, 6}) == {6}


def test_who_could_not_look_knows_nothing() -> None:
    """After a pause of our own, or of the store, everybody has the whole time once more."""
    w = Watcher()
    w.look(a=Beat(1))
    w.look(after_s=60)
    assert w.gone == []
    assert w.seen.present() == ["a", "me"]
    for _ in range(6):
        w.look()
    assert w.gone == ["a"]


def test_who_leaves_gets_nothing_and_is_gone_with_its_sign() -> None:
    """From the moment it says so; its holdings count until it is gone, without waiting for silence."""
    w = Watcher()
    w.look(a=Beat(1, bits_of({5})))
    w.look(a=Beat(2, bits_of({5}), leaving=True))
    assert w.seen.present() == ["me"]
    assert w.seen.claimed({5}) == {5}
    w.look(a=None)
    assert w.gone == ["a"]
    assert w.seen.claimed({5}) == set()


def test_who_says_otherwise_that_it_leaves_is_believed() -> None:
    """Its sign may be gone before anybody saw it say so. One that goes on showing signs has changed its mind."""
    w = Watcher()
    w.look(a=Beat(1, bits_of({5})), b=Beat(1))
    w.seen.leaves("a")
    w.seen.leaves("b")
    w.seen.leaves("unheard of")
    assert w.seen.present() == ["me"]
    w.look()
    assert w.seen.present() == ["me"], "what is there still is from before"
    w.look(a=None, b=Beat(2))
    assert w.gone == ["a"]
    assert w.seen.present() == ["b", "me"]
    assert w.seen.claimed({5}) == set()


def test_a_store_that_lost_the_signs_kills_nobody() -> None:
    """All are missing for a look: they show theirs again half a second later."""
    w = Watcher()
    w.look(a=Beat(1))
    w.look(a=None)
    assert w.seen.present() == ["a", "me"]
    w.look(a=Beat(3))
    assert w.seen.present() == ["a", "me"]


def test_a_sign_left_over_is_not_proof_of_life() -> None:
    """What a first look finds may be of a process that died long ago: it counts as proven once it changed."""
    w = Watcher()
    w.look(a=Beat(40, bits_of({5})))
    assert w.seen.claimed({5}) == {5}
    assert w.seen.claimed({5}, proven=True) == set()
    w.look(a=Beat(41, bits_of({5})))
    assert w.seen.claimed({5}, proven=True) == {5}


def test_a_holder_nobody_ever_saw_is_watched_for() -> None:
    """It gets the time that everybody gets, and no shards meanwhile."""
    w = Watcher()
    w.look()
    w.seen.suspect("ghost", w.now_s)
    assert w.seen.present() == ["me"]
    assert w.seen.count("ghost") is None
    for n in range(7):
        assert w.seen.is_dead("ghost") == (n > 5)
        w.look()
    assert w.seen.is_dead("ghost")


def test_signs_of_the_long_dead_are_not_kept() -> None:
    """After a minute; and what is gone from the store is forgotten here, too."""
    w = Watcher()
    w.look(a=Beat(1))
    for _ in range(130):
        w.look()
    assert w.seen.garbage(w.beats, w.now_s) == {"a": Beat(1)}
    w.look(a=None)
    assert w.seen.garbage(w.beats, w.now_s) == {}
    assert not w.seen.is_dead("a")


@given(st.sets(st.integers(0, SHARDS - 1)))
def test_shards_as_bits(shards: set[int]) -> None:
    """There and back; bits of a deployment with more shards are nobody's."""
    assert shards_in(bits_of(shards)) == shards
    assert shards_in(bits_of(shards) + b"\xff") == shards


def test_a_token_says_who_holds_it() -> None:
    """Whatever its name has in it; and nobody holds what is free."""
    assert holder_of(token_of("a.b-c", "0f")) == "a.b-c"
    assert holder_of("") == holder_of(FREE) == holder_of("0123456789abcdef") == ""
