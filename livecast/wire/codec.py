"""Messages to bytes and back, in both codecs, from the same structs.

`decode` takes what strangers send. A normal message goes through one call of msgspec; whatever that call objects to is looked
at again, thoroughly and still in bounded time and memory, to tell what is wrong or to let it pass after all (unknown and
duplicate keys).

    WireError          what came is no message; carries the answer
"""

from __future__ import annotations

from typing import Final

from msgspec import Raw

from livecast.core.errors import LivecastError
from livecast.core.events import Answer
from livecast.wire.messages import Ack, ClientMessage, ErrorMessage


class WireError(LivecastError):
    """The bytes are no client message. `code` is `bad_message` or `too_large`.

    `cid` is the message's own, where it could be read and is one; `t` its type, where it is one of the known, else "";
    `field` the field at fault, where it is known.
    """

    def __init__(self, code: str, message: str, *, cid: str | None = None, t: str = "", field: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.cid = cid
        self.t = t
        self.field = field

    def answer(self) -> ErrorMessage:
        """What to tell the client."""
        return ErrorMessage(self.code, self.message, self.cid, None, self.field)


class Codec:
    """One of `MSGPACK` and `JSON`. Stateless; safe to share."""

    __slots__ = ("binary", "name", "opcode", "subprotocol")

    def __init__(self, name: str, opcode: int) -> None:
        self.name = name
        """`msgpack` or `json`: also the suffix of frame files."""
        self.subprotocol = f"livecast.v1.{name}"
        self.opcode = opcode
        """Of its WebSocket messages: 2 (binary) or 1 (text). A message with the other one is `bad_message`."""

    def decode(self, data: bytes) -> ClientMessage:
        """Decode an untrusted client message, at most 64 KiB. Raises nothing but `WireError`."""
        raise NotImplementedError

    def encode(self, message: object) -> bytes:
        """Encode any of our structs."""
        raise NotImplementedError

    def raw(self, part: object) -> Raw:
        """Encode a part that goes into many messages (`Welcome.state`…) once."""
        return Raw(self.encode(part))


MSGPACK: Final = Codec("msgpack", 2)
JSON: Final = Codec("json", 1)
CODECS: Final = {codec.subprotocol: codec for codec in (MSGPACK, JSON)}


def ack_of(cid: str | None, answer: Answer) -> Ack | ErrorMessage:
    """The message that tells `answer` to whoever sent `cid`."""
    raise NotImplementedError


def body_digest(message: ClientMessage) -> int:
    """32 bits of everything but the cid, the same in both codecs: a `cid` used again with another digest is a `conflict`."""
    raise NotImplementedError
