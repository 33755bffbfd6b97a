"""What the room log stores, as bytes: frames, snapshots, private patches and remembered answers, all in MessagePack.

These are read by the next owner and by other nodes, perhaps of the neighbouring version: fields are only ever added, with
defaults, and unknown ones are ignored.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from livecast.core.errors import Refusal
from livecast.core.events import Verdict
from livecast.core.frames import Frame, Remembered, Snapshot, StaffAct

_encoder = msgspec.msgpack.Encoder()
_frame = msgspec.msgpack.Decoder(Frame)
_snapshot = msgspec.msgpack.Decoder(Snapshot)
_summary = msgspec.json.Decoder(dict[str, Any])
_private = msgspec.msgpack.Decoder(dict[str, Any])


class Notes(msgspec.Struct, omit_defaults=True):
    """What a commit has for the records alone: what staff did, and taps on products (of the broadcast so far, where they grew)."""

    acts: list[StaffAct] = []
    taps: dict[str, int] = {}


class _StoredAnswer(msgspec.Struct, array_like=True, omit_defaults=True):
    """A `Remembered` with its answer flattened: two untagged structs in a union could not be told apart."""

    user: str
    kind: str
    cid: str
    body: int
    at: int
    verdict: Verdict | None = None
    refusal: _StoredRefusal | None = None


class _StoredRefusal(msgspec.Struct, array_like=True, omit_defaults=True):
    code: str
    message: str = ""
    retry_after_ms: int | None = None
    field: str | None = None


_acts = msgspec.msgpack.Decoder(list[StaffAct])
_notes = msgspec.msgpack.Decoder(Notes)
_answers = msgspec.msgpack.Decoder(list[_StoredAnswer])


def encode_frame(frame: Frame) -> bytes:
    """The frame as viewers with MessagePack get it, and as the log keeps it."""
    return _encoder.encode(frame)


def decode_frame(data: bytes) -> Frame:
    """Read a stored or published frame. Raises `msgspec.DecodeError` if it is none."""
    return _frame.decode(data)


def encode_snapshot(snapshot: Snapshot) -> bytes:
    """All of a room at one commit."""
    return _encoder.encode(snapshot)


def decode_snapshot(data: bytes) -> Snapshot:
    """Read a stored or published snapshot. Raises `msgspec.DecodeError` if it is none."""
    return _snapshot.decode(data)


def encode_private(patch: dict[str, Any]) -> bytes:
    """The owner's private patch of one commit."""
    return _encoder.encode(patch)


def decode_private(data: bytes) -> dict[str, Any]:
    """Read a private patch. Raises `msgspec.DecodeError` if it is none."""
    return _private.decode(data)


def encode_remembered(answers: Sequence[Remembered]) -> bytes:
    """The answers of one commit that repeated ids shall get again."""
    return _encoder.encode([_flat(a) for a in answers])


def decode_remembered(data: bytes) -> list[Remembered]:
    """Read the remembered answers of one commit. Raises `msgspec.DecodeError` if they are none."""
    return [_whole(s) for s in _answers.decode(data)]


def encode_acts(acts: Sequence[StaffAct]) -> bytes | None:
    """What staff did in one commit; None if nothing."""
    return _encoder.encode(acts) if acts else None


def decode_acts(data: bytes) -> list[StaffAct]:
    """Read what staff did in one commit. Raises `msgspec.DecodeError` if it is nothing of the kind."""
    return _acts.decode(data)


def encode_notes(notes: Notes) -> bytes | None:
    """What of a commit is for the records alone; None if there is nothing."""
    return _encoder.encode(notes) if notes.acts or notes.taps else None


def decode_notes(data: bytes) -> Notes:
    """Read a commit's notes. Raises `msgspec.DecodeError` if they are none."""
    return _notes.decode(data)


def encode_summary(summary: dict[str, Any]) -> bytes:
    """A room's line in the list of rooms, JSON."""
    return msgspec.json.encode(summary)


def decode_summary(data: bytes) -> dict[str, Any]:
    """Read a room's line in the list of rooms."""
    return _summary.decode(data)


def _flat(a: Remembered) -> _StoredAnswer:
    if isinstance(a.answer, Verdict):
        return _StoredAnswer(a.user, a.kind, a.cid, a.body, a.at, a.answer)
    r = a.answer
    return _StoredAnswer(a.user, a.kind, a.cid, a.body, a.at, None, _StoredRefusal(r.code, r.message, r.retry_after_ms, r.field))


def _whole(s: _StoredAnswer) -> Remembered:
    if s.verdict is not None:
        return Remembered(s.user, s.kind, s.cid, s.body, s.at, s.verdict)
    if s.refusal is None:
        raise msgspec.DecodeError(f"a remembered answer of {s.user} has neither verdict nor refusal")
    r = s.refusal
    return Remembered(s.user, s.kind, s.cid, s.body, s.at, Refusal(r.code, r.message, r.retry_after_ms, r.field))
