"""The view: the same as the room after the same frames, and what can still be resumed from."""

from __future__ import annotations

import msgspec
import pytest

from livecast.core.frames import Comment, Frame, Likes, Quote, Redact, Snapshot
from livecast.core.policies import policy_dict
from livecast.core.rules import RoomRules
from livecast.core.state import redact_frame, whole
from livecast.core.view import RoomView
from support.driven import person


def snapshot(seq: int = 0, epoch: str = "e", **state: object) -> Snapshot:
    """A room with this in its state."""
    return Snapshot(epoch, seq, whole(state), policy_dict(RoomRules().policy), ())


def frame(seq: int, epoch: str = "e", ts: int = 0, **parts: object) -> Frame:
    """A frame with these parts."""
    return Frame(epoch, seq, ts, **parts)  # type: ignore[arg-type] # parts by name


def view(rules: RoomRules | None = None, seq: int = 0) -> RoomView:
    """A view as of that frame."""
    v = RoomView(rules or RoomRules())
    v.reset(snapshot(seq))
    return v


def test_frames_follow_without_a_hole() -> None:
    """A frame of another epoch, one known already and one after a hole change nothing and say so."""
    v = view(seq=5)
    assert v.apply(frame(6, likes=Likes(2, 2)), "six", 10)
    for wrong in (frame(6, likes=Likes(9, 9)), frame(8, likes=Likes(9, 9)), frame(7, epoch="f", likes=Likes(9, 9))):
        assert not v.apply(wrong, "wrong", 10)
    assert (v.seq, v.state["likes"], v.bytes_kept) == (6, 2, 10)
    assert v.apply(frame(7), "seven", 10)


@pytest.mark.parametrize(
    ("since", "missed"),
    [
        (("e", 5), ["six", "seven", "eight"]),
        (("e", 7), ["eight"]),
        (("e", 8), []),
        (("e", 9), None),
        (("e", 4), None),
        (("e", -1), None),
        (("f", 7), None),
    ],
)
def test_resuming_gives_every_missed_frame_or_none(since: tuple[str, int], missed: list[str] | None) -> None:
    """Behind what is kept, ahead of the head, or in another epoch: the snapshot is due."""
    v = view(seq=5)
    for seq, payload in ((6, "six"), (7, "seven"), (8, "eight")):
        v.apply(frame(seq), payload, 1)
    assert v.since(*since) == missed
    assert [v.frame(seq) for seq in range(5, 10)] == [None, "six", "seven", "eight", None]
    assert v.first_seq == 6


def test_a_reset_forgets_what_was_kept() -> None:
    """Another epoch, another log."""
    v = view()
    v.apply(frame(1), "one", 100)
    v.reset(snapshot(9, "f", likes=3))
    assert (v.epoch, v.seq, v.bytes_kept, v.since("e", 0), v.since("f", 9), v.state["likes"]) == ("f", 9, 0, None, [], 3)


def test_older_frames_may_be_kept_for_resume() -> None:
    """A node that loads a room keeps the log's frames before the snapshot too."""
    v = view(seq=7)
    for seq in (5, 6, 7):
        v.keep(frame(seq, ts=seq), seq, 1)
    v.apply(frame(8, ts=8), 8, 1)
    assert v.since("e", 4) == [5, 6, 7, 8]
    assert (v.first_seq, v.head_ts) == (5, 8)


def test_frames_are_kept_by_number_or_age_whichever_is_more() -> None:
    """600 of them however old; three minutes of them however many; and never more than the bytes allow."""
    slow = view()
    for seq in range(1, 1001):
        slow.apply(frame(seq, ts=seq * 1000), seq, 1)
    assert slow.first_seq == 401
    fast = view()
    for seq in range(1, 3001):
        fast.apply(frame(seq, ts=seq * 100), seq, 1)
    assert fast.first_seq == 3000 - 1800
    heavy = view()
    for seq in range(1, 101):
        heavy.apply(frame(seq, ts=seq), seq, 100_000)
        assert heavy.bytes_kept <= 1_048_576
    assert heavy.first_seq == 91
    assert heavy.trim(250_000) == 800_000
    assert (heavy.first_seq, heavy.since("e", 98)) == (99, [99, 100])


def test_a_redaction_rewrites_what_is_replayed() -> None:
    """Kept frames are handed to the rewriter, their new size counts, and `recent` is without the redacted comments."""
    ann, bob = person("ann"), person("bob")
    rewritten: list[object] = []

    def rewrite(payload: object, redact: Redact) -> tuple[object, int]:
        assert isinstance(payload, Frame)
        new = redact_frame(payload, redact)
        if new is payload:
            return payload, -1
        rewritten.append(new)
        return new, 7

    v = RoomView(RoomRules(), rewrite)
    v.reset(snapshot())
    frames = [
        frame(1, comments=(Comment("a", ann, "x", 1), Comment("b", bob, "y", 1))),
        frame(2, likes=Likes(1, 1)),
        frame(3, redact=Redact(("a",))),
    ]
    for f in frames:
        v.apply(f, f, 50)
    assert v.bytes_kept == 107
    assert [c.id for c in v.recent] == ["b"]
    assert v.since("e", 0) == [*rewritten, frames[1], frames[2]]
    assert list(msgspec.to_builtins(rewritten[0])["comments"]) == [
        {"id": "a", "redacted": True},
        {"id": "b", "u": {"id": "bob", "name": "Bob"}, "text": "y", "at": 1},
    ]


def test_a_redacted_user_is_not_quoted_either() -> None:
    """Replies to what was taken away stay, their quotes go; frames that have none of it stay the same object."""
    ann, bob = person("ann"), person("bob")
    reply = Comment("b", bob, "yes", 2, reply_to=Quote("a", ann, "rude"))
    for redact in (Redact(("a",)), Redact(users=("ann",))):
        [left] = redact_frame(frame(1, comments=(reply,)), redact).comments
        assert (left.text, left.reply_to) == ("yes", None)
    decoded = msgspec.msgpack.decode(msgspec.msgpack.encode(frame(1, comments=(reply,))), type=Frame)
    assert redact_frame(decoded, Redact(users=("ann",))).comments[0].reply_to is None
    f = frame(1, comments=(Comment("z", redacted=True), Comment("c", bob, "x", 1)))
    assert redact_frame(f, Redact(("z", "q"))) is f


def test_the_last_comments_are_kept_oldest_first() -> None:
    """Twenty of them, or as many as the deployment says."""
    for most in (20, 3, 0):
        v = view(RoomRules(recent_max=most))
        for seq in range(1, 11):
            v.apply(frame(seq, comments=tuple(Comment(f"{seq}.{n}", person("u"), "x", seq) for n in range(3))), seq, 1)
        assert [c.id for c in v.recent] == [f"{seq}.{n}" for seq in range(1, 11) for n in range(3)][30 - most :]


def test_null_in_a_patch_is_null_in_the_state() -> None:
    """A notice that is taken away is there as null, as before it was set; what has no default is gone."""
    v = view()
    v.apply(frame(1, state={"notice": {"text": "x"}, "starts_at": 5, "policy": {"tick_ms": 500}}), 1, 1)
    assert (v.state["notice"], v.state["starts_at"], v.policy["tick_ms"]) == ({"text": "x"}, 5, 500)
    assert "policy" not in v.state
    v.apply(frame(2, state={"notice": None, "starts_at": None}), 2, 1)
    assert v.state["notice"] is None
    assert "starts_at" not in v.state
    assert v.state == view().state
