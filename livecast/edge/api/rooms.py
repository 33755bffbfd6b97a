"""Rooms: create, change, read, list; and the broadcasts in them: start, pause, resume, end."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, Meta, Struct

from livecast.core.commands import ClearNotice, End, Host, PatchRoom, Pause, PutRoom, Resume, SetCustom, SetNotice, SetPolicy, Start
from livecast.core.rules import Policy
from livecast.core.show.ending import ENDING_MS
from livecast.edge.access.callers import Caller, room_now
from livecast.edge.http import cursors
from livecast.edge.http.bodies import check_names, convert
from livecast.edge.http.calls import Call, Outcome, Route, change, whole
from livecast.edge.http.problems import ProblemError
from livecast.ports import StoreError
from livecast.wire.records import decode_summary

#: Rooms looked at for one page of the list, those of others included: about 20 ms of reading. A page may therefore be
#: shorter than asked for although more follows; `next_cursor` says so.
SCAN_MAX: Final = 2000
_SCAN_STEP: Final = 500
END_S: Final = ENDING_MS / 1000 + 2
"""How long an end may take: its drops, then what any change takes."""

Status = Literal["scheduled", "live", "paused", "ended"]


class Room(Struct):
    """A room as its owner knows it. `rev` counts its changes and is its entity tag."""

    id: str
    rev: int
    title: str
    merchant: str
    hosts: list[Host]
    moderators: list[Host]
    status: Status
    broadcast: str
    """The id of the broadcast, empty before the first."""
    test: bool
    """The broadcast is a rehearsal."""
    starts_at: int | None
    started_at: int | None
    ended_at: int | None
    policy: Policy
    custom: dict[str, Any]
    notice: SetNotice | None
    created_at: int


class RoomLine(Struct, omit_defaults=True):
    """A room in the list."""

    id: str
    title: str
    merchant: str
    status: Status
    broadcast: str
    started_at: int | None = None
    test: bool = False


class RoomPage(Struct):
    """A page of the list. `next_cursor` is null on the last one."""

    data: list[RoomLine]
    next_cursor: str | None


class ListRooms(Struct, frozen=True):
    """Which rooms."""

    status: Status | None = None
    merchant: Annotated[str, Meta(max_length=64)] | None = None
    limit: Annotated[int, Meta(ge=1, le=200)] = 50
    cursor: cursors.Cursor = ""


async def put_room(call: Call) -> Outcome:
    """201 if there was no such room."""
    body: PutRoom = call.body
    check_names(body.policy, Policy, "/policy")
    if _may_assign(call):
        return await _made(call, body, None)
    # A seller's key makes the room its own, and must not take over one that another seller makes at this moment.
    known = await room_now(call.node, call.caller, call.room)
    whose = _whose(call, known)
    if body.merchant not in {"", whose}:
        raise _foreign_merchant(call)
    try:
        return await _made(call, msgspec.structs.replace(body, merchant=whose), None if known else 0)
    except ProblemError as refused:
        if known is None and refused.code == "precondition_failed" and "If-Match" not in call.request.headers:
            return await put_room(call)  # somebody else made it meanwhile: now it is known whose it is
        raise


async def _made(call: Call, body: PutRoom, if_rev: int | None) -> Outcome:
    outcome = whole(await change(call, "put_room", body, if_rev=if_rev))
    call.node.views.made(call.room)
    return outcome


async def patch_room(call: Call) -> Outcome:
    """Nulls stay: they ask for the default."""
    body = convert(call.body, PatchRoom, keep_nulls=True)
    if isinstance(body.policy, dict):
        check_names(body.policy, Policy, "/policy")
    if body.merchant is not UNSET and not _may_assign(call):
        known = await room_now(call.node, call.caller, call.room)
        if (body.merchant or "") != _whose(call, known):
            raise _foreign_merchant(call)
    return whole(await change(call, "patch_room", body))


async def get_room(call: Call) -> Outcome:
    """The whole room."""
    room = await room_now(call.node, call.caller, call.room)
    if room is None:
        raise ProblemError("unknown_room")
    return Outcome(room, revision=room["rev"])


async def list_rooms(call: Call) -> Outcome:
    """In order of their ids, those that the caller may see."""
    wanted: ListRooms = call.query
    after = cursors.read(wanted.cursor)
    found: list[dict[str, Any]] = []
    for _ in range(SCAN_MAX // _SCAN_STEP):
        try:
            step = await call.node.log.rooms(after, _SCAN_STEP)
        except StoreError:
            raise ProblemError("unavailable", "The store of rooms does not answer.") from None
        for room, line in step:
            after = room
            summary = {"id": room, **decode_summary(line)}
            for ours in ("room", "waits"):
                summary.pop(ours, None)
            if _listed(call.caller, wanted, room, summary):
                found.append(summary)
                if len(found) == wanted.limit:
                    return _page(found, after)
        if len(step) < _SCAN_STEP:
            return _page(found, None)
    return _page(found, after)


def _listed(caller: Caller, wanted: ListRooms, room: str, summary: dict[str, Any]) -> bool:
    return (
        caller.covers(room)
        and caller.merchant in {"", summary.get("merchant")}
        and wanted.status in {None, summary.get("status")}
        and wanted.merchant in {None, summary.get("merchant")}
    )


def _page(found: list[dict[str, Any]], after: str | None) -> Outcome:
    return Outcome({"data": found, "next_cursor": None if after is None else cursors.make(after)})


async def start(call: Call) -> Outcome:
    """A new broadcast."""
    return whole(await change(call, "start", call.body))


async def pause(call: Call) -> Outcome:
    """Nobody comments or likes until `resume`."""
    return whole(await change(call, "pause", call.body))


async def resume(call: Call) -> Outcome:
    """On with it."""
    return whole(await change(call, "resume", call.body))


async def end(call: Call) -> Outcome:
    """Drops closed and settled, the last frame, then a minute of grace. Answered once viewers are told of all of it."""
    return whole(await change(call, "end", call.body, within_s=END_S))


async def patch_policy(call: Call) -> Outcome:
    """What viewers may do."""
    return whole(await change(call, "policy", SetPolicy(call.body)))


async def patch_custom(call: Call) -> Outcome:
    """The platform's own part of the room's state."""
    return whole(await change(call, "custom", SetCustom(call.body)))


async def put_notice(call: Call) -> Outcome:
    """Pin a line."""
    return whole(await change(call, "notice", call.body))


async def delete_notice(call: Call) -> Outcome:
    """Unpin it."""
    return whole(await change(call, "clear_notice", ClearNotice()))


def _may_assign(call: Call) -> bool:
    """Whether the caller says whose a room is. Not a seller, and no host: it decides whose filter and whose bans hold there."""
    return call.caller.kind == "key" and not call.caller.merchant


def _whose(call: Call, known: dict[str, Any] | None) -> str:
    """The merchant that a room has, or gets from a caller who does not assign it."""
    return call.caller.merchant or ("" if known is None else str(known["merchant"]))


def _foreign_merchant(call: Call) -> ProblemError:
    if call.caller.merchant:
        return ProblemError("forbidden", "This key or token makes and keeps rooms of its own merchant only.")
    return ProblemError("forbidden", "Whose room it is says an API key.")


_ROOM: Final = "/v1/rooms/{room}"
_WRITE: Final = ("rooms:write",)
ROUTES: Final = (
    Route("PUT", _ROOM, put_room, _WRITE, "Create a room, or replace what it says about itself.",
          body=PutRoom, answer=Room, statuses=(200, 201), makes_room=True),
    Route("PATCH", _ROOM, patch_room, _WRITE, "Change some of what a room says about itself.",
          body=PatchRoom, form="patch", answer=Room),
    Route("GET", _ROOM, get_room, ("rooms:read",), "Read a room.", answer=Room),
    Route("GET", "/v1/rooms", list_rooms, ("rooms:read",), "List the rooms that you may see, in order of their ids.",
          query=ListRooms, answer=RoomPage),
    Route("POST", f"{_ROOM}/start", start, _WRITE, "Start a new broadcast.", body=Start, answer=Room),
    Route("POST", f"{_ROOM}/pause", pause, _WRITE, "Pause the broadcast.", body=Pause, answer=Room),
    Route("POST", f"{_ROOM}/resume", resume, _WRITE, "Go on with the paused broadcast.", body=Resume, answer=Room),
    Route("POST", f"{_ROOM}/end", end, _WRITE, "End the broadcast.", body=End, answer=Room),
    Route("PATCH", f"{_ROOM}/policy", patch_policy, _WRITE, "Change what viewers may do.",
          body=Policy, form="patch", answer=Room),
    Route("PATCH", f"{_ROOM}/custom", patch_custom, _WRITE, "Change the platform's own part of the room's state.",
          form="free", answer=Room),
    Route("PUT", f"{_ROOM}/notice", put_notice, _WRITE, "Pin a line on top of the room.", body=SetNotice, answer=Room),
    Route("DELETE", f"{_ROOM}/notice", delete_notice, _WRITE, "Take the pinned line away.", answer=Room),
)  # fmt: skip
