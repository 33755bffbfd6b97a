"""WebSocket framing (RFC 6455, RFC 7692) without I/O, from the server's side.

    WebSocketError     the peer broke the protocol; carries the close code to send

`FrameParser` turns bytes into messages; the functions below make frames. A server never masks.
"""

from __future__ import annotations

from typing import Final

from livecast.core.errors import LivecastError

CONTINUATION: Final = 0x0
TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA

MESSAGE_BYTES_MAX: Final = 65_536
"""A frame or message that declares, assembles or inflates to more is 1009, closed unread. Sixteen times what a client may
say: enough to answer an honest mistake with `too_large` instead of hanging up."""


class WebSocketError(LivecastError):
    """Close with `close_code` and `reason`. `before` are the messages of the same chunk that came ahead of the fault."""

    def __init__(self, close_code: int, reason: str, before: list[tuple[int, bytes]] | None = None) -> None:
        super().__init__(reason)
        self.close_code = close_code
        self.reason = reason
        self.before = before or []


class FrameParser:
    """Bytes in, whole messages and control frames out. Idle it holds no buffer."""

    __slots__ = ("_deflate", "_max_bytes")

    def __init__(self, max_bytes: int = MESSAGE_BYTES_MAX, *, deflate: bool = False) -> None:
        self._max_bytes = max_bytes
        self._deflate = deflate

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """Take the next bytes; return what they complete as (opcode, payload), in order.

        TEXT payloads are valid UTF-8 (still bytes); CLOSE payloads are valid (see `close_code_of`). What comes behind a
        CLOSE is ignored. Raises `WebSocketError` once; afterwards everything is ignored.
        """
        raise NotImplementedError


def frame_header(length: int, opcode: int, *, rsv1: bool = False) -> bytes:
    """The header of an unfragmented, unmasked frame with `length` bytes of payload. `rsv1` marks it as compressed."""
    raise NotImplementedError


def frame(payload: bytes, opcode: int) -> bytes:
    """A whole unfragmented, unmasked, uncompressed frame."""
    return frame_header(len(payload), opcode) + payload


def close_frame(code: int, reason: str = "") -> bytes:
    """A close frame; a `reason` above 123 bytes is cut at a character's end."""
    raise NotImplementedError


def close_code_of(payload: bytes) -> int:
    """The code in a valid CLOSE payload, 1005 if it is empty."""
    raise NotImplementedError


def accept_key(key: str) -> str:
    """`Sec-WebSocket-Accept` for `Sec-WebSocket-Key` (RFC 6455 section 4.2.2)."""
    raise NotImplementedError
