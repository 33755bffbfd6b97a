"""A frame becomes bytes once: encoded once per codec, compressed once, its WebSocket header made once, then shared by all.

The MessagePack body is what the log stores and what is kept; the other forms are made when first asked for.
"""

from __future__ import annotations

import zlib
from typing import Final

import msgspec

from livecast.core.frames import Frame
from livecast.wire.codec import JSON, MSGPACK, Codec
from livecast.wire.messages import ClaimAck
from livecast.wire.websocket import DEFLATE_TAIL, frame, frame_header

DEFLATE_LEVEL: Final = 6
"""For frames of 1 to 5 KB: 3 % fewer bytes than level 3 for 5 to 25 µs more, once for all viewers; 9 gains nothing above 6."""


class _Position(msgspec.Struct, gc=False):
    """Where a frame stands; the rest of it is skipped unread."""

    epoch: str
    seq: int


_position_of: Final = msgspec.msgpack.Decoder(_Position).decode


class Sealed:
    """A frame in every form it is sent in. Asked again, a form is the same object."""

    __slots__ = ("_forms", "_frame", "epoch", "msgpack", "seq")

    def __init__(self, msgpack: bytes, frame: Frame | None = None) -> None:
        """`msgpack` is the frame as encoded, `frame` the struct that it was made from if there is one (it saves a decode)."""
        where = frame if frame is not None else _position_of(msgpack)
        self.msgpack = msgpack
        self.epoch = where.epoch
        self.seq = where.seq
        self._frame = frame
        self._forms: dict[tuple[str, str], bytes] = {}

    @classmethod
    def of(cls, frame: Frame) -> Sealed:
        """Seal a frame that was just made."""
        return cls(MSGPACK.encode(frame), frame)

    def body(self, codec: Codec) -> bytes:
        """The encoded frame alone, as in frame files."""
        if codec is MSGPACK:
            return self.msgpack
        body = self._forms.get((codec.name, "body"))
        if body is None:
            body = codec.encode(MSGPACK.decode_any(self.msgpack) if self._frame is None else self._frame)
            self._forms[codec.name, "body"] = body
        return body

    def ws(self, codec: Codec, *, deflate: bool = False) -> bytes:
        """A whole WebSocket frame, compressed if `deflate` (and if that makes it smaller)."""
        kind = codec.name, "deflate" if deflate else "plain"
        form = self._forms.get(kind)
        if form is None:
            body = self.body(codec)
            form = (deflated_frame(body, codec.opcode) if deflate else None) or frame(body, codec.opcode)
            self._forms[kind] = form
        return form

    def sse(self) -> bytes:
        """A whole server-sent event."""
        event = self._forms.get(("json", "sse"))
        if event is None:
            event = self._forms["json", "sse"] = sse_event("frame", f"{self.epoch}:{self.seq}", self.body(JSON))
        return event

    def drop_caches(self) -> None:
        """Keep only what cannot be made again: once a frame has gone out, only late joiners and files ask for it."""
        self._frame = None
        self._forms = {}

    @property
    def bytes_held(self) -> int:
        """The MessagePack body and every form made so far."""
        return len(self.msgpack) + sum(map(len, self._forms.values()))


def deflated_frame(body: bytes, opcode: int) -> bytes | None:
    """A whole compressed WebSocket frame that needs no context (RFC 7692), or None if it would not be smaller."""
    compressor = zlib.compressobj(DEFLATE_LEVEL, zlib.DEFLATED, -15)
    packed = compressor.compress(body) + compressor.flush(zlib.Z_SYNC_FLUSH)
    packed = packed.removesuffix(DEFLATE_TAIL)
    return frame_header(len(packed), opcode, rsv1=True) + packed if len(packed) < len(body) else None


def sse_event(event: str, event_id: str | None, data: bytes) -> bytes:
    """A server-sent event of one line of `data` (JSON as `JSON.encode` makes it has no line breaks)."""
    head = f"event: {event}\nid: {event_id}\ndata: " if event_id is not None else f"event: {event}\ndata: "
    return head.encode() + data + b"\n\n"


def socket_message(codec: Codec, message: object) -> bytes:
    """A whole uncompressed WebSocket frame for one socket: acks, errors, notices, `welcome`."""
    return frame(codec.encode(message), codec.opcode)


def verdict_message(codec: Codec, cid: str, verdict: str) -> bytes:
    """`socket_message` of a claim's ack that is but a word. Thousands hear the same one in the same moment, each with their own
    `cid` in it, so what stands around that is made once: half the time of making each.
    """
    if codec is MSGPACK and len(raw := cid.encode()) <= _FIXSTR_MAX:
        heads, tail = _AROUND.get(verdict) or _around(verdict)
        return heads[len(raw)] + raw + tail
    return socket_message(codec, ClaimAck(cid, verdict))


_FIXSTR_MAX: Final = 31
"""Bytes of a text whose length stands in its first byte (MessagePack's fixstr): of nearly every cid."""
_AROUND: Final[dict[str, tuple[tuple[bytes, ...], bytes]]] = {}
"""Verdict -> what stands before a cid of 0, 1, 2… bytes, and behind it."""


def _around(verdict: str) -> tuple[tuple[bytes, ...], bytes]:
    """Cut out of real messages, header included."""
    cids = ["c" * length for length in range(_FIXSTR_MAX + 1)]
    whole = [socket_message(MSGPACK, ClaimAck(cid, verdict)) for cid in cids]
    before = len(whole[0]) - len(tail := MSGPACK.encode("verdict") + MSGPACK.encode(verdict))
    made = _AROUND[verdict] = tuple(each[:before] for each in whole), tail
    return made
