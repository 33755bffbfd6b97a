"""Messages to bytes and back, in both codecs, from the same structs.

`decode` takes what strangers send. A normal message goes through one call of msgspec; whatever that call objects to is looked
at again, thoroughly and still in bounded time and memory, to tell what is wrong or to let it pass after all (unknown keys,
a `t` given twice).

What bounds the work: a message is at most 4 KiB, msgspec never allocates by a declared length and its recursion is counted
against the interpreter's limit, and everything done here walks what was decoded, each value once.

    WireError          what came is no message; carries the answer
"""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Callable
from operator import attrgetter
from typing import Any, Final
from zlib import crc32

import msgspec
from msgspec import Raw, Struct

from livecast.core.errors import CODES, LivecastError, Refusal
from livecast.core.events import Answer, Verdict
from livecast.wire.messages import (
    INT_MAX,
    MESSAGE_BYTES_MAX,
    META_BYTES_MAX,
    NESTING_MAX,
    REASON_CHARS_MAX,
    Ack,
    ClaimAck,
    ClientMessage,
    CommentMessage,
    ErrorMessage,
    ReportMessage,
    Style,
)

PEEK_BYTES_MAX: Final = 65_536
"""A message that is too large is still searched for its `t` and `cid` up to this size, which the framing never exceeds."""

#: What msgspec raises for bytes that strangers made: malformed or mistyped, bad UTF-8, too deep, out of a C type's range.
DECODE_FAULTS: Final = (msgspec.MsgspecError, ValueError, RecursionError, OverflowError)

#: t -> struct.
KINDS: Final[dict[str, type[Struct]]] = {str(kind.__struct_config__.tag): kind for kind in ClientMessage.__args__}


class WireError(LivecastError):
    """The bytes are no client message. `code` is `bad_message` or `too_large`.

    `cid` is the message's own, where it could be read and is one; `t` its type, where it is one of the known, else "";
    `field` the field at fault, where it is known.
    """

    def __init__(self, code: str, message: str = "", *, cid: str | None = None, t: str = "", field: str | None = None) -> None:
        super().__init__(message or CODES[code][2])
        self.code = code
        self.message = message or CODES[code][2]
        self.cid = cid
        self.t = t
        self.field = field

    def answer(self) -> ErrorMessage:
        """What to tell the client."""
        return ErrorMessage(self.code, self.message, self.cid, None, self.field)


class _Peek(Struct, gc=False):
    """The two fields worth finding in a message that is refused for its size; everything else is skipped unread."""

    t: Any = None
    cid: Any = None


class Codec:
    """One of `MSGPACK` and `JSON`. Stateless; safe to share."""

    __slots__ = ("_anything", "_message", "_peek", "encode", "name", "opcode", "subprotocol")

    encode: Callable[[object], bytes]
    """Encode any of our structs. (The encoder's own method: one call less per message.)"""

    def __init__(self, name: str, opcode: int, library: Any) -> None:
        self.name = name
        """`msgpack` or `json`: also the suffix of frame files."""
        self.subprotocol = f"livecast.v1.{name}"
        self.opcode = opcode
        """Of its WebSocket messages: 2 (binary) or 1 (text). A message with the other one is `bad_message`."""
        self.encode = library.Encoder().encode
        self._message: Callable[[bytes], ClientMessage] = library.Decoder(ClientMessage).decode
        self._anything: Callable[[bytes], object] = library.Decoder().decode
        self._peek: Callable[[bytes], _Peek] = library.Decoder(_Peek).decode

    def __repr__(self) -> str:
        return f"<Codec {self.name}>"

    def decode(self, data: bytes) -> ClientMessage:
        """Decode an untrusted client message. Raises nothing but `WireError`."""
        if len(data) > MESSAGE_BYTES_MAX:
            raise self._too_large(data)
        try:
            message = self._message(data)
        except DECODE_FAULTS:
            message = self._look_again(data)
        # (To ask by `isinstance` for structs that it is not takes as long as all of the decoding.)
        if type(message) is CommentMessage:
            if message.meta is not None:
                _check_meta(message)
        elif type(message) is ReportMessage and len(message.reason) > REASON_CHARS_MAX:
            raise WireError("too_large", cid=message.cid, t="report", field="reason")
        return message

    def decode_any(self, data: bytes) -> object:
        """Decode trusted bytes (our own frames, what the log gives back) to plain values."""
        return self._anything(data)

    def raw(self, part: object) -> Raw:
        """Encode a part that goes into many messages (`Welcome.state`…) once."""
        return Raw(self.encode(part))

    # --- the rare path ---

    def _look_again(self, data: bytes) -> ClientMessage:
        """Decode without knowing what to expect, take out what the protocol ignores, and have the rest checked."""
        try:
            value = self._anything(data)
        except DECODE_FAULTS as fault:
            detail = "nested too deeply" if isinstance(fault, RecursionError) else f"not well-formed {self.name}"
            raise WireError("bad_message", detail) from None
        if not isinstance(value, dict):
            raise WireError("bad_message", "a message is one map")
        t, cid = _known_type(value.get("t")), _usable_cid(value.get("cid"))
        kind = KINDS.get(t)
        if kind is None:
            raise WireError("bad_message", "`t` must name a kind of message", cid=cid, field="t")
        if fault_found := _structure_fault(value, NESTING_MAX):
            raise WireError("bad_message", fault_found, cid=cid, t=t)
        known = _present(value, kind)
        if isinstance(style := known.get("style"), dict):
            known["style"] = _present(style, Style)
        try:
            return msgspec.convert(known, kind)  # type: ignore[return-value]  # a kind is a member of the union
        except DECODE_FAULTS as fault:
            raise WireError("bad_message", str(fault), cid=cid, t=t, field=_field_of(str(fault))) from None

    def _too_large(self, data: bytes) -> WireError:
        """Name the message that was too large, if a quick look can."""
        peek = _Peek()
        if len(data) <= PEEK_BYTES_MAX:
            with contextlib.suppress(*DECODE_FAULTS):  # then it stays nameless
                peek = self._peek(data)
        return WireError(
            "too_large",
            f"a message is at most {MESSAGE_BYTES_MAX} bytes",
            cid=_usable_cid(peek.cid),
            t=_known_type(peek.t),
        )


MSGPACK: Final = Codec("msgpack", 2, msgspec.msgpack)
JSON: Final = Codec("json", 1, msgspec.json)
#: subprotocol -> codec.
CODECS: Final = {codec.subprotocol: codec for codec in (MSGPACK, JSON)}


ACKS: Final = (Ack, ClaimAck)
"""What is told as it is. (`Ack | ClaimAck` would be made anew for every answer.)"""


def ack_of(cid: str | None, answer: Answer | Ack | ClaimAck) -> Ack | ClaimAck | ErrorMessage:
    """The message that tells `answer` to whoever sent `cid`. (Only a refusal can do without a cid.) Acks are told as they are."""
    if isinstance(answer, Verdict):
        return Ack(cid or "", answer.verdict, answer.id, answer.seq, answer.counted)
    if isinstance(answer, ACKS):
        return answer
    if isinstance(answer, Refusal):
        return ErrorMessage(answer.code, answer.sentence(), cid, answer.retry_after_ms, answer.field)
    return Ack(cid or "", "ok", value=answer.value)


#: Sorts the keys of maps, so that a body has one encoding.
_canonical: Final = msgspec.msgpack.Encoder(order="deterministic").encode
_body_of: Final[dict[type, Callable[[Any], object]]] = {
    kind: attrgetter(*names)
    for kind in KINDS.values()
    if (names := [name for name in kind.__struct_fields__ if name not in {"cid", "token"}])
}


def body_digest(message: ClientMessage) -> int:
    """32 bits of everything but the cid, the same in both codecs: a `cid` used again with another digest is a `conflict`."""
    body = _body_of.get(type(message))
    return crc32(_canonical(body(message))) if body else 0


# --- looking at what was decoded --------------------------------------------------------------------------------------


def _known_type(t: object) -> str:
    return t if isinstance(t, str) and t in KINDS else ""


def _usable_cid(cid: object) -> str | None:
    return cid if isinstance(cid, str) and 1 <= len(cid) <= 64 else None


def _present(value: dict[Any, Any], kind: type[Struct]) -> dict[str, Any]:
    """The fields of `kind` that are in `value`, without the strangers."""
    return {name: value[name] for name in kind.__struct_fields__ if name in value}


def _field_of(fault: str) -> str | None:
    """The top-level field that a complaint of msgspec's is about."""
    match = re.search(r"`\$\.(\w+)|missing required field `(\w+)`\Z", fault)
    return match and (match[1] or match[2])


def _structure_fault(value: dict[Any, Any] | list[Any], levels: int) -> str | None:
    """What is wrong with the containers in `value`: more than `levels` of them within each other, or a key that is no text."""
    if levels == 0:
        return f"nested more than {NESTING_MAX} deep"
    if isinstance(value, dict):
        if not all(type(key) is str for key in value):
            return "keys must be text"
        items = list(value.values())
    else:
        items = value
    for item in items:
        if (type(item) is dict or type(item) is list) and (fault := _structure_fault(item, levels - 1)):
            return fault
    return None


def _check_meta(message: CommentMessage) -> None:
    """`meta` is passed on to every viewer in either codec, so it must be JSON at heart, and small."""
    meta = message.meta or {}
    if fault := _structure_fault(meta, NESTING_MAX - 1) or _json_fault(meta):
        raise WireError("bad_message", fault, cid=message.cid, t="comment", field="meta")
    if len(JSON.encode(meta)) > META_BYTES_MAX:
        raise WireError("too_large", f"`meta` is at most {META_BYTES_MAX} bytes", cid=message.cid, t="comment", field="meta")


def _json_fault(value: Any) -> str | None:
    """What in `value` JSON or JavaScript could not say: bytes, extensions, times, NaN, integers above 53 bits."""
    kind = type(value)
    if kind is dict or kind is list:
        for item in value.values() if kind is dict else value:
            if fault := _json_fault(item):
                return fault
        return None
    if kind is int:
        return None if -INT_MAX <= value <= INT_MAX else "an integer does not fit in 53 bits"
    if kind is float:
        return None if math.isfinite(value) else "a number is not finite"
    return None if value is None or kind is str or kind is bool else "a value is neither text, number, boolean, list nor map"
