"""WebSocket framing (RFC 6455, RFC 7692) without I/O, from the server's side.

    WebSocketError     the peer broke the protocol; carries the close code to send

`FrameParser` turns bytes into messages; the functions below it make frames. A server never masks.

Stricter or wider than the letter, on purpose: any length above the bound is 1009, also one whose top bit is set (which the
RFC forbids), because the peer should hear that it is the size that is wrong; a length that is not written in the shortest
form is 1002, as the RFC says and not everybody checks; a compressed message that does not inflate is 1007.
"""

from __future__ import annotations

import codecs
import zlib
from binascii import b2a_base64
from hashlib import sha1
from struct import pack
from typing import Final, NoReturn

from livecast.core.errors import LivecastError
from livecast.wire.masking import apply_mask

CONTINUATION: Final = 0x0
TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA

MESSAGE_BYTES_MAX: Final = 65_536
"""A frame or message that declares, assembles or inflates to more is 1009, closed unread. Sixteen times what a client may
say: enough to answer an honest mistake with `too_large` instead of hanging up."""

#: First byte of an unfragmented data frame (the last two: compressed) -> opcode.
_WHOLE: Final = {0x81: TEXT, 0x82: BINARY, 0xC1: TEXT, 0xC2: BINARY}
_COMPRESSED: Final = 0xC0
_PLAIN_BINARY: Final = 0x82
_OPCODES: Final = frozenset({CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG})
#: What a sender cuts off a compressed message and a receiver puts back (RFC 7692 section 7.2.1).
DEFLATE_TAIL: Final = b"\x00\x00\xff\xff"
_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3
_SHA1: Final = sha1(usedforsecurity=False)

_Utf8Decoder: Final = codecs.getincrementaldecoder("utf-8")


class WebSocketError(LivecastError):
    """Close with `close_code` and `reason`. `before` are the messages of the same chunk that came ahead of the fault."""

    def __init__(self, close_code: int, reason: str, before: list[tuple[int, bytes]] | None = None) -> None:
        super().__init__(reason)
        self.close_code = close_code
        self.reason = reason
        self.before = before if before is not None else []


class FrameParser:
    """Bytes in, whole messages and control frames out. Between messages it holds no buffer: 64 bytes."""

    __slots__ = ("_deflate", "_max_bytes", "_over", "_pending")

    def __init__(self, max_bytes: int = MESSAGE_BYTES_MAX, *, deflate: bool = False) -> None:
        self._max_bytes = max_bytes
        self._deflate = deflate
        self._over = False
        self._pending: _Pending | None = None

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """Take the next bytes; return what they complete as (opcode, payload), in order.

        TEXT payloads are valid UTF-8 (still bytes); CLOSE payloads are valid (see `close_code_of`). What comes behind a
        CLOSE is ignored. Raises `WebSocketError` once; afterwards everything is ignored.
        """
        at, end = 0, len(data)
        if (
            6 <= end <= 131
            and data[0] == _PLAIN_BINARY
            and data[1] == end + 0x7A  # the mask's bit, and the length without header and mask
            and self._pending is None
            and not self._over
            and end - 6 <= self._max_bytes
        ):  # nearly all there is: one small message, whole and alone
            return [(BINARY, apply_mask(data[6:], data[2:6]))]
        messages: list[tuple[int, bytes]] = []
        if self._over:
            return messages
        try:
            if self._pending is None:
                at = self._take_whole(data, messages)
            if at < end:
                self._take_pieces(data, at, messages)
        except WebSocketError as fault:
            self._over, self._pending = True, None
            fault.before = messages
            raise
        return messages

    def stalled(self) -> bool:
        """Whether a message or frame is under way that was under way already when this was last asked."""
        if self._pending is None:
            return False
        seen, self._pending.seen = self._pending.seen, True
        return seen

    def _take_whole(self, data: bytes, messages: list[tuple[int, bytes]]) -> int:
        """The usual: small data frames that lie in `data` whole. Returns where something else begins."""
        at, end = 0, len(data)
        while at + 6 <= end:  # two bytes of header and four of mask
            first, length = data[at], data[at + 1] - 0x80
            opcode = _WHOLE.get(first)
            if opcode is None or (first >= _COMPRESSED and not self._deflate):
                break
            if 0 <= length <= 125:
                start = at + 6
            elif length == 126:
                length = data[at + 2] << 8 | data[at + 3]
                start = at + 8
                if length <= 125:
                    break
            else:
                break
            if start + length > end or length > self._max_bytes:
                break
            at = start + length
            payload = apply_mask(data[start:at], data[start - 4 : start])
            if first >= _COMPRESSED:
                payload = self._inflate(payload)
            if opcode == TEXT and not payload.isascii():
                _check_utf8(payload)
            messages.append((opcode, payload))
        return at

    def _take_pieces(self, data: bytes, at: int, messages: list[tuple[int, bytes]]) -> None:
        """Everything else: headers and payloads in pieces, fragments, control frames, and what is wrong."""
        pending = self._pending
        if pending is None:
            pending = self._pending = _Pending()
        end = len(data)
        while True:
            while len(pending.head) < (head_bytes := self._head_bytes(pending)):
                piece = data[at : at + head_bytes - len(pending.head)]
                if not piece:
                    if not pending.head and pending.opcode is None:
                        self._pending = None  # between messages: nothing to remember
                    return
                pending.head += piece
                at += len(piece)
            if pending.unread < 0:
                pending.begin_payload(bytes(pending.head[-4:]))
            piece = data[at : at + pending.unread]
            pending.take_payload(piece)
            at += len(piece)
            if pending.unread:
                return
            if message := self._end_frame(pending):
                messages.append(message)
                if message[0] == CLOSE:
                    self._over, self._pending = True, None
                    return
            if at == end and pending.opcode is None:
                self._pending = None
                return

    def _head_bytes(self, pending: _Pending) -> int:
        """How long the frame's header is, as far as can be told from what is there of it. Refuses what is wrong with it."""
        head = pending.head
        if len(head) < 2:
            return 2
        opcode, length = head[0] & 0x0F, head[1] & 0x7F
        if len(head) == 2:
            self._check_first_bytes(pending, head[0], head[1])
        more = 2 if length == 126 else 8 if length == 127 else 0
        if len(head) < 2 + more:
            return 2 + more
        if len(head) == 2 + more:
            if more:
                length = int.from_bytes(head[2:], "big")
                if length < (126 if more == 2 else 65_536):
                    _fail(1002, "length not in its shortest form")
            if opcode < CLOSE and length + len(pending.payload) > self._max_bytes:
                _fail(1009, f"more than {self._max_bytes} bytes")
            pending.length = length
        return 6 + more

    def _check_first_bytes(self, pending: _Pending, first: int, second: int) -> None:
        opcode, final = first & 0x0F, first & 0x80
        if first & 0x30 or (first & 0x40 and not (self._deflate and opcode in {TEXT, BINARY})):
            _fail(1002, "reserved bits set")
        if opcode not in _OPCODES:
            _fail(1002, "unknown opcode")
        if opcode >= CLOSE and not final:
            _fail(1002, "fragmented control frame")
        if opcode == CONTINUATION and pending.opcode is None:
            _fail(1002, "nothing to continue")
        if opcode in {TEXT, BINARY} and pending.opcode is not None:
            _fail(1002, "message within a message")
        if not second & 0x80:
            _fail(1002, "unmasked frame")
        if opcode >= CLOSE and second & 0x7F > 125:
            _fail(1002, "control frame of more than 125 bytes")

    def _end_frame(self, pending: _Pending) -> tuple[int, bytes] | None:
        """The message or control frame that ends with this frame, if one does."""
        first = pending.head[0]
        opcode = first & 0x0F
        pending.end_frame()
        if opcode >= CLOSE:
            control = bytes(pending.control)
            pending.control.clear()
            if opcode == CLOSE:
                _check_close(control)
            return opcode, control
        if not first & 0x80:
            return None
        opcode, payload = pending.end_message()
        if pending.compressed:
            payload = self._inflate(payload)
            if opcode == TEXT:
                _check_utf8(payload)
        return opcode, payload

    def _inflate(self, data: bytes) -> bytes:
        """Undo permessage-deflate; each message stands alone, and never more than the bound is inflated."""
        try:
            payload = zlib.decompressobj(-15).decompress(data + DEFLATE_TAIL, self._max_bytes + 1)
        except zlib.error:
            _fail(1007, "does not inflate")
        if len(payload) > self._max_bytes:
            _fail(1009, f"inflates to more than {self._max_bytes} bytes")
        return payload


class _Pending:
    """What is there of an unfinished frame and of the message it belongs to."""

    __slots__ = ("compressed", "control", "head", "length", "mask", "opcode", "payload", "seen", "unread", "utf8")

    def __init__(self) -> None:
        self.head = bytearray()
        self.length = 0
        self.mask = b""
        self.unread = -1
        """Bytes of the frame's payload still to come; -1: its header is not complete."""
        self.control = bytearray()
        self.opcode: int | None = None
        """Of the message under way; None: there is none."""
        self.compressed = False
        self.payload = bytearray()
        self.utf8: codecs.IncrementalDecoder | None = None
        self.seen = False
        """`FrameParser.stalled` was asked since what is under way began."""

    def begin_payload(self, mask: bytes) -> None:
        """The header is complete."""
        self.mask, self.unread = mask, self.length
        opcode = self.head[0] & 0x0F
        if opcode in {TEXT, BINARY}:
            self.opcode = opcode
            self.compressed = bool(self.head[0] & 0x40)
            self.utf8 = _Utf8Decoder() if opcode == TEXT and not self.compressed else None

    def take_payload(self, piece: bytes) -> None:
        """Unmask and keep the next piece; text is checked at once, so that a wrong byte is told before the rest comes."""
        plain = apply_mask(piece, self.mask)
        turn = len(piece) % 4
        self.mask = self.mask[turn:] + self.mask[:turn]
        self.unread -= len(piece)
        if self.head[0] & 0x0F >= CLOSE:
            self.control += plain
            return
        self.payload += plain
        if self.utf8 is not None:
            try:
                self.utf8.decode(plain)
            except UnicodeDecodeError:
                _fail(1007, "text is not UTF-8")

    def end_frame(self) -> None:
        """Ready for the next header."""
        self.head.clear()
        self.unread = -1
        if self.opcode is None:  # a control frame between messages; within one, the message goes on
            self.seen = False

    def end_message(self) -> tuple[int, bytes]:
        """Hand over what was assembled."""
        opcode, payload = self.opcode or 0, bytes(self.payload)
        if self.utf8 is not None and self.utf8.getstate()[0]:
            _fail(1007, "text ends within a character")
        self.opcode, self.utf8, self.seen = None, None, False
        self.payload.clear()
        return opcode, payload


def _fail(close_code: int, reason: str) -> NoReturn:
    raise WebSocketError(close_code, reason)


def _check_utf8(payload: bytes) -> None:
    try:
        payload.decode()
    except UnicodeDecodeError:
        _fail(1007, "text is not UTF-8")


def _check_close(payload: bytes) -> None:
    """RFC 6455 section 7.4, and the codes that IANA registered since."""
    if not payload:
        return
    if len(payload) == 1:
        _fail(1002, "half a close code")
    code = int.from_bytes(payload[:2], "big")
    if not (1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999):
        _fail(1002, "invalid close code")
    _check_utf8(payload[2:])


# --- Making frames ----------------------------------------------------------------------------------------------------


def frame_header(length: int, opcode: int, *, rsv1: bool = False) -> bytes:
    """The header of an unfragmented, unmasked frame with `length` bytes of payload. `rsv1` marks it as compressed."""
    first = 0x80 | opcode | (0x40 if rsv1 else 0)
    if length <= 125:
        return bytes((first, length))
    if length <= 0xFFFF:
        return pack("!BBH", first, 126, length)
    return pack("!BBQ", first, 127, length)


_SMALL: Final = {opcode: tuple(bytes((0x80 | opcode, length)) for length in range(126)) for opcode in _OPCODES}
"""Headers of frames of up to 125 bytes, as nearly all answers are: made for each it were a sixth of the answer."""


def frame(payload: bytes, opcode: int) -> bytes:
    """A whole unfragmented, unmasked, uncompressed frame."""
    length = len(payload)
    return (_SMALL[opcode][length] if length <= 125 else frame_header(length, opcode)) + payload


def close_frame(code: int, reason: str = "") -> bytes:
    """A close frame; a `reason` above 123 bytes is cut at a character's end. `code` 1005 makes an empty one."""
    if code == 1005:
        return frame(b"", CLOSE)
    text = reason.encode()[:123].decode(errors="ignore").encode()
    return frame(pack("!H", code) + text, CLOSE)


def close_code_of(payload: bytes) -> int:
    """The code in a valid CLOSE payload, 1005 if it is empty."""
    return int.from_bytes(payload[:2], "big") if payload else 1005


def accept_key(key: str) -> str:
    """`Sec-WebSocket-Accept` for `Sec-WebSocket-Key` (RFC 6455 section 4.2.2)."""
    digest = _SHA1.copy()  # to make a new one takes as long as all the rest
    digest.update(key.encode() + _GUID)
    return b2a_base64(digest.digest(), newline=False).decode()
