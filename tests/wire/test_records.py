"""Stored records come back as they went."""

import msgspec
import pytest

from livecast.core.errors import Refusal
from livecast.core.events import Person, Verdict
from livecast.core.frames import Comment, Frame, Remembered, Snapshot, Tally
from livecast.wire import records


def test_frame_round_trip():
    """What the log gives back is the frame that was committed."""
    frame = Frame("e", 1, 2, comments=(Comment("a", Person("u", "n"), "你好", 1, n=3),), tally=Tally(1, 1), state={"title": None})
    assert records.decode_frame(records.encode_frame(frame)) == frame


def test_snapshot_round_trip():
    """A new owner starts from exactly what the last one wrote."""
    snapshot = Snapshot("e", 9, {"likes": 1}, {"tick_ms": 200}, (Comment("a", Person("u", "n"), "x", 1),), {"mutes": {"u": 1}})
    assert records.decode_snapshot(records.encode_snapshot(snapshot)) == snapshot


def test_remembered_round_trip():
    """Both kinds of final answers survive: verdicts and refusals."""
    answers = [
        Remembered("u", "comment", "c1", 7, 1, Verdict("shown", id="a", seq=3)),
        Remembered("u", "comment", "c2", 8, 2, Refusal("blocked", field="text")),
    ]
    assert records.decode_remembered(records.encode_remembered(answers)) == answers


def test_private_keeps_nulls():
    """A null in a private patch deletes: it must not get lost on the way."""
    assert records.decode_private(records.encode_private({"mutes": {"u": None}})) == {"mutes": {"u": None}}


def test_unknown_fields_are_ignored():
    """A frame written by the next version is read by this one."""
    data = msgspec.msgpack.encode({"t": "frame", "epoch": "e", "seq": 1, "ts": 2, "fireworks": [1]})
    assert records.decode_frame(data) == Frame("e", 1, 2)


def test_an_answer_that_is_none_is_refused():
    """A damaged record is an error, never a made-up verdict."""
    with pytest.raises(msgspec.DecodeError):
        records.decode_remembered(msgspec.msgpack.encode([["u", "comment", "c", 1, 2]]))
