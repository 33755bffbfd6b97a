"""What the server says, as the client reads it: tolerant where the protocol may grow.

Unknown keys are ignored and words that may get new members (`reason`, `verdict`, `code`) are plain strings. Frames and
comments are the structs of `livecast.core.frames`, whose field names are those of the wire.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Final, Literal, TypeAlias

import msgspec
from msgspec import Struct

from livecast.core.events import Notice
from livecast.core.frames import Comment, Frame

CodecName = Literal["msgpack", "json"]


class You(Struct, frozen=True, omit_defaults=True):
    """How the server sees this client. `expires_at` is Unix ms of the server's clock; None: never.

    `alias` is what everybody sees instead of `id`, where the room hides ids: one's own comments have it.
    """

    id: str
    name: str = ""
    role: str = "viewer"
    anonymous: bool = False
    can: tuple[str, ...] = ()
    expires_at: int | None = None
    balance: int | None = None
    alias: str | None = None


class Welcome(Struct, frozen=True, tag_field="t", tag="welcome"):
    """Replaces everything known about the room. `recovered`: every frame missed since `seq` follows instead."""

    room: str
    epoch: str
    seq: int
    state: dict[str, Any]
    policy: dict[str, Any]
    now: int
    recovered: bool = False
    reason: str = "joined"
    conn: str = ""
    you: You | None = None
    recent: tuple[Comment, ...] = ()


class Ack(Struct, frozen=True, tag_field="t", tag="ack"):
    """The verdict on what was sent as `cid`."""

    cid: str
    verdict: str
    id: str | None = None
    seq: int | None = None
    counted: int | None = None
    tx: str | None = None
    balance: int | None = None
    serial: int | None = None
    of: int | None = None
    code: str | None = None
    receipt: str | None = None
    expires_at: int | None = None
    nonce: str | None = None
    opens_in_ms: int | None = None
    missing: tuple[Any, ...] | None = None
    you: You | None = None
    value: Any = None


class Error(Struct, frozen=True, tag_field="t", tag="error"):
    """Why something was not done."""

    code: str
    message: str = ""
    cid: str | None = None
    retry_after_ms: int | None = None
    field: str | None = None


class Pong(Struct, frozen=True, tag_field="t", tag="pong"):
    """The room's last frame, to compare one's own with."""

    now: int
    epoch: str
    seq: int
    cid: str | None = None


class Bye(Struct, frozen=True, tag_field="t", tag="bye"):
    """The server is about to close with `code`; `reconnect` says whether to come back, after `retry_after_ms`."""

    code: int
    reason: str = ""
    reconnect: bool = False
    retry_after_ms: int | None = None
    redirect: str | None = None


class Desk(Struct, frozen=True, tag_field="t", tag="desk"):
    """To staff alone: what the lanes left out, what is held, what was reported."""

    comments: tuple[Any, ...] = ()
    held: int | None = None
    reports: tuple[Any, ...] = ()
    users: dict[str, Any] = {}


class Mark(Struct, frozen=True, tag_field="t", tag="frame"):
    """A frame of which only the number is read: for simulated viewers, who need to know that they miss nothing."""

    epoch: str
    seq: int


class Connection(Struct, frozen=True):
    """The connection's state changed. `delay_s` is how long it waits before it tries again."""

    state: Literal["connecting", "open", "waiting", "closed"]
    reason: str = ""
    code: int = 0
    attempt: int = 0
    delay_s: float = 0.0


class Answer(Struct, frozen=True):
    """The final word on something asked for.

    `outcome` is the verdict (`shown`, `merged`, `sampled`, `held`, `counted`, `won`…) or the code of a refusal
    (`rate_limited`, `muted`…), in which case `refused` is set and carries the sentence and the time to wait.
    """

    cid: str
    outcome: str
    ack: Ack | None = None
    refused: Error | None = None

    @property
    def ok(self) -> bool:
        """Whether it was done (which `sampled` is: the sender's own screen shows it)."""
        return self.refused is None


ServerMessage: TypeAlias = Welcome | Frame | Notice | Ack | Error | Pong | Bye | Desk
LightMessage: TypeAlias = Welcome | Mark | Notice | Ack | Error | Pong | Bye | Desk
Event: TypeAlias = Welcome | Frame | Notice | Answer | Error | Bye | Desk | Connection

MESSAGE_BYTES_MAX: Final = 8_388_608
"""Far above any welcome (custom state 16 KiB, a few hundred comments); a server that sends more is none of ours."""


class UnreadableError(ValueError):
    """The server said something that this client cannot make sense of."""


class Reader:
    """Bytes to messages. `light` reads of a frame only its number."""

    __slots__ = ("_decode", "_envelope")

    def __init__(self, codec: CodecName, *, light: bool = False) -> None:
        self._decode, self._envelope = _decoders(codec, light)

    def read(self, data: bytes) -> ServerMessage | Mark | None:
        """One message; None if it is of a kind that did not exist when this was written."""
        try:
            message: ServerMessage | Mark = self._decode(data)
        except msgspec.DecodeError as error:
            try:
                kind = self._envelope(data).get("t")
            except msgspec.DecodeError:
                kind = None
            if isinstance(kind, str) and kind not in _KINDS:
                return None
            raise UnreadableError(f"unreadable message {kind!r}: {error}") from error
        return message


@functools.cache
def _decoders(codec: CodecName, light: bool) -> tuple[Callable[[bytes], Any], Callable[[bytes], Any]]:
    """Shared by all readers: a decoder keeps nothing from one call to the next, and costs 80 µs to make."""
    kind = msgspec.msgpack if codec == "msgpack" else msgspec.json
    return kind.Decoder(LightMessage if light else ServerMessage).decode, kind.Decoder(dict[str, Any]).decode


_KINDS: Final = frozenset({"welcome", "frame", "notice", "ack", "error", "pong", "bye", "desk"})


def encoder(codec: CodecName) -> Any:
    """`encode(message)` for what the client says: bytes for MessagePack, str (a text message) for JSON."""
    if codec == "msgpack":
        return msgspec.msgpack.Encoder().encode
    encode = msgspec.json.Encoder().encode
    return lambda message: encode(message).decode()
