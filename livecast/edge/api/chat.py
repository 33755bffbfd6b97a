"""Comments of staff and services, and the platform's own events: to a room, to one person, to many rooms."""

from __future__ import annotations

import asyncio
import secrets
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from livecast.core.commands import Emit
from livecast.core.errors import Refusal
from livecast.core.events import Command, Person, Said, Verdict
from livecast.core.rules import Cid, UserId
from livecast.core.text import clean_name
from livecast.core.tools.globs import glob_matches
from livecast.edge.http.calls import Call, Outcome, Route, change, done
from livecast.edge.http.problems import Fault, ProblemError
from livecast.edge.rooms.named import user_named
from livecast.ports import StoreError
from livecast.wire.codec import body_digest
from livecast.wire.messages import META_BYTES_MAX, CommentMessage, Name, Style
from livecast.wire.records import decode_summary

#: Bytes of an event's `data`, as JSON: it is copied to every viewer.
EVENT_BYTES_MAX: Final = 4096
#: Rooms that one event to many reaches at most, and how many of them are told at the same time.
EVENT_ROOMS_MAX: Final = 1000
EVENT_ROOMS_AT_ONCE: Final = 32


class StaffComment(Struct, frozen=True, forbid_unknown_fields=True):
    """A comment of the caller's. `name` is what a service is called on the screen; people are called what their token says."""

    text: Annotated[str, Meta(min_length=1, max_length=4000)]
    cid: Cid | None = None
    name: Annotated[str, Meta(min_length=1, max_length=64)] | None = None
    reply_to: Name | None = None
    mentions: Annotated[tuple[UserId, ...], Meta(max_length=5)] = ()
    style: Style | None = None
    meta: dict[str, Any] | None = None


class Spoken(Struct, omit_defaults=True):
    """What became of a comment."""

    verdict: str
    id: str | None = None
    seq: int | None = None


class EmitMany(Struct, frozen=True, forbid_unknown_fields=True):
    """An event to all live and paused rooms whose id matches the glob, or to one user in them."""

    rooms: Annotated[str, Meta(min_length=1, max_length=64)]
    type: Annotated[str, Meta(pattern=r"^x\.[A-Za-z0-9_.-]{1,62}\Z")]
    data: Any = None
    to: UserId | None = None


class Emitted(Struct):
    """What became of an event in each room: the rooms it reached, and the code for those that refused it."""

    rooms: list[str]
    refused: dict[str, str]


async def post_comment(call: Call) -> Outcome:
    """Its verdict, once it is on the screen."""
    body: StaffComment = call.body
    person = call.caller.person
    if body.name is not None:
        if call.caller.kind != "key":
            detail = "A person is called what the token says."
            raise ProblemError("invalid", detail, errors=[Fault("/name", detail)])
        person = Person(id=person.id, name=clean_name(body.name) or person.name, role=person.role)
    if body.meta is not None and len(msgspec.json.encode(body.meta)) > META_BYTES_MAX:
        detail = f"At most {META_BYTES_MAX} bytes as JSON."
        raise ProblemError("too_large", detail, errors=[Fault("/meta", detail)])
    cid = body.cid or f"http-{secrets.token_hex(12)}"
    message = CommentMessage(cid, body.text, body.reply_to, body.mentions or None, body.style, body.meta)
    style = None if body.style is None else msgspec.to_builtins(body.style)
    digest = body_digest(message)
    answer = await call.node.ask(
        call.room,
        lambda origin: Said(origin, person, cid, body.text, digest, body.reply_to, body.mentions, style, body.meta),
    )
    if isinstance(answer, Refusal):
        raise ProblemError.of(answer)
    if not isinstance(answer, Verdict):
        raise TypeError(f"a room answered a comment with {type(answer).__name__}")
    return Outcome(Spoken(answer.verdict, answer.id, answer.seq), 201)


async def post_event(call: Call) -> Outcome:
    """The event with its id."""
    body: Emit = call.body
    check_data(body.data)
    if body.to is not None:
        body = msgspec.structs.replace(body, to=await user_named(call, body.to))
    return Outcome(done(await change(call, "emit", body)).value, 201)


async def post_events(call: Call) -> Outcome:
    """Tell every matching room."""
    body: EmitMany = call.body
    check_data(body.data)
    rooms = await matching_rooms(call, body.rooms)
    gate = asyncio.Semaphore(EVENT_ROOMS_AT_ONCE)
    args = Emit(body.type, body.data, body.to)

    async def tell(room: str) -> tuple[str, str | None]:
        async with gate:
            answer = await call.node.ask(room, lambda origin: Command(origin, call.caller.person, "emit", args))
        return room, answer.code if isinstance(answer, Refusal) else None

    told = await asyncio.gather(*map(tell, rooms))
    return Outcome(Emitted([room for room, code in told if code is None], {room: code for room, code in told if code}))


async def matching_rooms(call: Call, glob: str) -> list[str]:
    """The live and paused rooms of the caller that match; `too_large` above the limit, so that no room is left out unsaid."""
    found: list[str] = []
    after = ""
    while True:
        try:
            step = await call.node.log.rooms(after, 500)
        except StoreError:
            raise ProblemError("unavailable", "The store of rooms does not answer.") from None
        for room, line in step:
            after = room
            if not (glob_matches(glob, room) and call.caller.covers(room)):
                continue
            summary = decode_summary(line)
            if summary.get("status") not in {"live", "paused"} or call.caller.merchant not in {"", summary.get("merchant")}:
                continue
            found.append(room)
            if len(found) > EVENT_ROOMS_MAX:
                detail = f"More than {EVENT_ROOMS_MAX} rooms match: nobody was told. Use narrower globs."
                raise ProblemError("too_large", detail, errors=[Fault("/rooms", detail)])
        if len(step) < 500:
            return found


def check_data(data: Any) -> None:
    """An event's `data` is bounded as JSON."""
    if len(msgspec.json.encode(data)) > EVENT_BYTES_MAX:
        detail = f"At most {EVENT_BYTES_MAX} bytes as JSON."
        raise ProblemError("too_large", detail, errors=[Fault("/data", detail)])


_ROOM: Final = "/v1/rooms/{room}"
_WRITE: Final = ("chat:write",)
ROUTES: Final = (
    Route("POST", f"{_ROOM}/comments", post_comment, _WRITE, "Comment as staff or as a service.",
          body=StaffComment, answer=Spoken, statuses=(201,)),
    Route("POST", f"{_ROOM}/events", post_event, _WRITE, "Send an event of your own to the room, or to one user in it.",
          body=Emit, statuses=(201,)),
    Route("POST", "/v1/events", post_events, _WRITE, "Send an event of your own to many rooms.", body=EmitMany, answer=Emitted),
)  # fmt: skip
