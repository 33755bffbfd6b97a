"""Likes: clamped per user, added up, never lost, told as deltas that sum to the total."""

from __future__ import annotations

from livecast.core.errors import Refusal
from livecast.core.events import Verdict
from support.driven import Driven, liked, person, told


def test_taps_become_one_delta_per_tick() -> None:
    """The first at once, the others with the next tick; nobody without a cid is answered."""
    room = Driven()
    room.feed(1000, liked("u", 3))
    room.feed(1050, liked("v", 5), liked("u", 2))
    room.run(2000)
    assert [(f.ts, f.likes.delta, f.likes.total) for f in room.frames if f.likes] == [(1000, 3, 3), (1200, 7, 10)]
    assert room.answers[1:] == []


def test_what_is_too_much_is_clamped_and_said() -> None:
    """100 may be saved up, then 20 a second; nothing is also an answer, and makes no frame."""
    room = Driven()
    room.feed(1000, liked("u", 60, "a"), liked("u", 60, "b"), liked("u", 60, "c"))
    room.feed(2000, liked("u", 60, "d"))
    assert [room.answer(cid) for cid in "abcd"] == [Verdict("counted", counted=n) for n in (60, 40, 0, 20)]
    room.feed(2000, liked("u", 5))
    room.run(3000)
    assert [f.likes.delta for f in room.frames if f.likes] == [100, 20]


def test_a_repeated_cid_counts_once() -> None:
    """It gets the first answer again, with a flush and no frame; with another number it is a conflict."""
    room = Driven()
    room.feed(1000, liked("u", 30, "a"))
    assert room.feed(2000, liked("u", 30, "a"), liked("u", 31, "a")) == [None, Refusal("conflict")]
    assert room.answers[-1] == ("a", Verdict("counted", counted=30))
    assert room.room.state["likes"] == 30
    assert room.flushes[-1].frame is None


def test_likes_need_a_live_room_and_a_voice() -> None:
    """Refused with a cid, passed over without; the anonymous may like where the policy says so. None of it is remembered."""
    room = Driven()
    room.feed(1000, told("pause"), told("mute", user="m", for_s=2))
    assert room.feed(1100, liked("u", 5, "a"), liked("u", 5)) == [Refusal("room_not_live"), None]
    room.feed(1200, told("resume"))
    nobody = person("anon-1", anonymous=True)
    assert room.feed(1300, liked("m", 1, "m"), liked(nobody, 1, "n"), liked("m", 1), liked(nobody, 1)) == [
        Refusal("muted", retry_after_ms=1700),
        Refusal("unauthorized"),
        None,
        None,
    ]
    assert room.room.state["likes"] == 0
    room.feed(3000, told("policy", patch={"anonymous": "like"}))
    room.feed(3000, liked("u", 1, "a"), liked("m", 1, "m"), liked(nobody, 1, "n"))
    room.run(4000)
    assert room.room.state["likes"] == 3


def test_a_new_rate_holds_at_once() -> None:
    """A policy that lets people tap faster is felt with the next tap."""
    room = Driven(policy={"like_max_per_s": 1})
    room.feed(1000, liked("u", 100, "a"))
    room.feed(2000, liked("u", 100, "b"), told("policy", patch={"like_max_per_s": 1000}), liked("u", 100, "c"))
    room.run(3000)
    assert [room.answer(cid).counted for cid in "abc"] == [100, 1, 100]


def test_many_users_leave_nothing_behind() -> None:
    """A hundred thousand people who liked and left take no memory after a while, and no total is lost."""
    room = Driven()
    for n in range(20_000):
        room.room.receive(liked(f"u{n}", 1, f"c{n}" if n % 10 == 0 else None), 1000 + n)
    room.run(100_000)
    assert room.room.state["likes"] == 20_000
    for at in (700_000, 1_400_000, 2_100_000):
        room.room.tidy(at)
    assert room.room._parts.hearts is None
