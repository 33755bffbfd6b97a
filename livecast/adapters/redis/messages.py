"""Events, replies, notices and frames on their way between processes, in MessagePack.

An event is `[room, kind, body]` and a reply `[asker, cid, kind, body]`, where `kind` names the struct of `core.events` that
`body` is: a tagged union whose tags stand outside the structs, which need none within a process. Many items make one
message, an array of them. Reading validates every field, and a command's arguments by the struct that `COMMANDS` has for it.

Nodes of the neighbouring version read this too: fields are only ever added, with defaults, and unknown ones are ignored.
Items of a kind that this version does not know are skipped: their senders time out.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from livecast.core.commands import COMMANDS
from livecast.core.errors import Refusal
from livecast.core.events import (
    Answer,
    Ask,
    Command,
    Done,
    EdgeRefused,
    Event,
    Liked,
    Notice,
    Presence,
    Reply,
    Reported,
    Rung,
    Said,
    Tapped,
    Verdict,
    Voted,
)
from livecast.core.tools.tolerance import Reader
from livecast.ports import Published


class _CommandAsSent(Command, frozen=True, kw_only=True):
    """A command whose arguments are still bytes: its name says what they are."""

    args: Raw  # type: ignore[assignment]


_EVENT_KINDS: Final[dict[type[Struct], str]] = {
    Said: "said",
    Liked: "liked",
    Voted: "voted",
    Tapped: "tapped",
    Reported: "reported",
    Presence: "presence",
    EdgeRefused: "edge_refused",
    Rung: "rung",
    Command: "command",
    Ask: "ask",
}
_ANSWER_KINDS: Final[dict[type[Struct], str]] = {Verdict: "verdict", Done: "done", Refusal: "refusal"}

_encode = msgspec.msgpack.Encoder().encode
_events = msgspec.msgpack.Decoder(list[tuple[str, str, Raw]])
_event: dict[str, msgspec.msgpack.Decoder[Any]] = {
    kind: msgspec.msgpack.Decoder(_CommandAsSent if type_ is Command else type_) for type_, kind in _EVENT_KINDS.items()
}
_arguments: dict[str, Reader[Any]] = {name: Reader(type_) for name, type_ in COMMANDS.items()}
_replies = msgspec.msgpack.Decoder(list[tuple[int, str | None, str, Raw]])
_answer: dict[str, msgspec.msgpack.Decoder[Any]] = {kind: msgspec.msgpack.Decoder(type_) for type_, kind in _ANSWER_KINDS.items()}
_notices = msgspec.msgpack.Decoder(list[tuple[str, str, str, Notice]])


def join(items: Sequence[bytes]) -> bytes:
    """One message of many encoded items: an array's header, then they."""
    n = len(items)
    if n < 16:
        header = bytes((0x90 | n,))
    elif n < 65_536:
        header = b"\xdc" + n.to_bytes(2)
    else:
        header = b"\xdd" + n.to_bytes(4)
    return b"".join((header, *items))


def encode_event(room: str, event: Event) -> bytes:
    """One item for the owner of `room`."""
    return _encode((room, _EVENT_KINDS[type(event)], event))


def decode_events(data: bytes) -> Iterator[tuple[str, Event]]:
    """The events of a message with their rooms. Raises `msgspec.DecodeError`."""
    for room, kind, body in _events.decode(data):
        if kind in _event:
            event = _event[kind].decode(body)
            if not isinstance(event, _CommandAsSent):
                yield room, event
            elif event.name in _arguments:
                yield room, _with_arguments(event)


def encode_reply(reply: Reply) -> bytes:
    """One item for the asker's node."""
    return _encode((reply.asker, reply.cid, _ANSWER_KINDS[type(reply.answer)], reply.answer))


def decode_replies(data: bytes | Raw) -> list[Reply]:
    """The replies of a message. Raises `msgspec.DecodeError`."""
    return [Reply(asker, cid, _decode_answer(kind, body)) for asker, cid, kind, body in _replies.decode(data) if kind in _answer]


def encode_notice(sender: str, room: str, user: str, notice: Notice) -> bytes:
    """One item for all nodes; `sender` lets a process know its own again."""
    return _encode((sender, room, user, notice))


def decode_notices(data: bytes) -> list[tuple[str, str, str, Notice]]:
    """(sender, room, user, notice) of a message. Raises `msgspec.DecodeError`."""
    return _notices.decode(data)


class Told(Struct, frozen=True, omit_defaults=True):
    """What is published in a room: a `Published`, and before it answers for viewers: node -> a message of replies."""

    room: str
    epoch: str
    seq: int
    frame: bytes | None = None
    snapshot: bytes | None = None
    replies: dict[str, Raw] = {}


_told = msgspec.msgpack.Decoder(Told)


def decode_published(data: bytes, nodes: Container[str]) -> tuple[Published | None, dict[str, list[Reply]]]:
    """What the log's commit published, if anything, and the answers for these nodes. Raises `msgspec.DecodeError`."""
    told = _told.decode(data)
    replies = {name: decode_replies(body) for name, body in told.replies.items() if name in nodes}
    if told.frame is None and told.snapshot is None:
        return None, replies
    return Published(told.room, told.epoch, told.seq, told.frame, told.snapshot), replies


def encode_published(published: Published, replies: Iterable[tuple[str, Sequence[Reply]]] = ()) -> bytes:
    """What followers in other processes get."""
    to = {node: Raw(join([encode_reply(reply) for reply in some])) for node, some in replies}
    return _encode(Told(published.room, published.epoch, published.seq, published.frame, published.snapshot, to))


def _decode_answer(kind: str, body: Raw) -> Answer:
    answer: Answer = _answer[kind].decode(body)
    return answer


def _with_arguments(sent: _CommandAsSent) -> Command:
    rest = {name: getattr(sent, name) for name in Command.__struct_fields__ if name != "args"}
    return Command(args=_arguments[sent.name].decode(sent.args), **rest)
