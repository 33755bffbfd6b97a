"""A frame becomes bytes once: encoded once per codec, compressed once, its WebSocket header made once, then shared by all.

The MessagePack body is what the log stores and what is kept; the other forms are made when first asked for.
"""

from __future__ import annotations

from livecast.core.events import Frame
from livecast.wire.codec import Codec
from livecast.wire.websocket import frame


class Sealed:
    """A frame in every form it is sent in. Two calls give the same object."""

    __slots__ = ("_forms", "epoch", "frame", "msgpack", "seq")

    def __init__(self, msgpack: bytes, frame: Frame | None = None) -> None:
        self.msgpack = msgpack
        self.frame = frame

    def body(self, codec: Codec) -> bytes:
        """The encoded frame alone, as in frame files."""
        raise NotImplementedError

    def ws(self, codec: Codec, *, deflate: bool = False) -> bytes:
        """A whole WebSocket frame, compressed if `deflate` (and if that makes it smaller)."""
        raise NotImplementedError

    def sse(self) -> bytes:
        """A whole server-sent event."""
        raise NotImplementedError

    def drop_caches(self) -> None:
        """Keep only what cannot be made again."""


def sse_event(event: str, event_id: str | None, data: bytes) -> bytes:
    """A server-sent event of one line of `data` (JSON as `JSON.encode` makes it has no line breaks)."""
    raise NotImplementedError


def socket_message(codec: Codec, message: object) -> bytes:
    """A whole uncompressed WebSocket frame for one socket: acks, errors, notices, `welcome`."""
    return frame(codec.encode(message), codec.opcode)
