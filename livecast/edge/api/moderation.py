"""Keeping a room civil: mutes, bans, redactions."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from livecast.core.commands import Ban, Mute, NoteAct, Redactions, Scope, Unban, Unmute
from livecast.core.staff.sanctions import SANCTIONS_MAX
from livecast.edge.access.callers import room_now
from livecast.edge.access.jurisdiction import merchant_of, scope_of, the_house
from livecast.edge.http import cursors
from livecast.edge.http.calls import Call, Outcome, Route, change, listed, note, question, whole
from livecast.edge.http.conditions import check_match, etag, wants_match
from livecast.edge.http.problems import Fault, ProblemError
from livecast.edge.rooms.named import user_named, users_named
from livecast.edge.viewers.frames import surrogate_key
from livecast.house import Kind
from livecast.shard.house import scopes_of


class Sentence(Struct):
    """A mute or a ban: of whom, since when, until when (Unix ms; null: until taken back), by whom and why, and where."""

    user: str
    at: int
    until: int | None
    by: str
    reason: str
    scope: Scope = "room"


class Redacted(Struct):
    """What was taken off the screens. Purge caches of the room's files by the `Surrogate-Key` header."""

    comments: list[str]
    users: list[str]
    reason: str
    at: int


class SentencePage(Struct):
    """A page of mutes or bans: those from beyond the room first, then the room's, each in order of user ids."""

    data: list[Sentence]
    next_cursor: str | None


class ListUsers(Struct, frozen=True):
    """Which page. The cursor is opaque: hand back what `next_cursor` said."""

    limit: Annotated[int, Meta(ge=1, le=200)] = 50
    cursor: cursors.Cursor = ""


class Lifted(Struct, frozen=True):
    """Where the sentence holds that is taken back; without it the narrowest in force."""

    scope: Scope | None = None


async def post_mute(call: Call) -> Outcome:
    """201 with the mute."""
    return await _impose(call, "mute")


async def delete_mute(call: Call) -> Outcome:
    """What was taken back."""
    return await _lift(call, "mute", Unmute(await user_named(call, call.path("user"))))


async def get_mutes(call: Call) -> Outcome:
    """Those in force."""
    return await _listed(call, "mute")


async def post_ban(call: Call) -> Outcome:
    """201 with the ban."""
    return await _impose(call, "ban")


async def delete_ban(call: Call) -> Outcome:
    """What was taken back."""
    return await _lift(call, "ban", Unban(await user_named(call, call.path("user"))))


async def get_bans(call: Call) -> Outcome:
    """Those in force."""
    return await _listed(call, "ban")


async def post_redaction(call: Call) -> Outcome:
    """What was taken off the screens."""
    body: Redactions = call.body
    if not body.comments and not body.users:
        detail = "Name at least one comment or user."
        raise ProblemError("invalid", detail, errors=[Fault("/comments", detail)])
    body = msgspec.structs.replace(body, users=await users_named(call, body.users))
    done = await change(call, "redact", body)
    return Outcome(done.value, 201, {"Surrogate-Key": surrogate_key(call.room)})


async def _impose(call: Call, kind: Kind) -> Outcome:
    """In the room, by its owner; beyond it, by the house, and noted in the room's log."""
    body: Mute | Ban = call.body
    body = msgspec.structs.replace(body, user=await user_named(call, body.user))
    if body.scope == "room":
        return Outcome((await change(call, kind, body)).value, 201)
    scope, house = await scope_of(call, body.scope), the_house(call)
    await _check_room(call)
    until = 0 if body.for_s is None else call.node.clock() + body.for_s * 1000
    try:
        sanction = await house.impose(kind, scope, body.user, until, body.reason, call.caller.person)
    except OverflowError:
        raise ProblemError("invalid", f"At most {SANCTIONS_MAX} at once.") from None
    await note(call, NoteAct(kind, {"user": body.user, "scope": scope, "for_s": body.for_s}, body.reason))
    return Outcome(sanction.tell(body.user, body.scope), 201)


async def _check_room(call: Call) -> None:
    """`If-Match` is of the room also where more than the room is meant: looked at before anything is done."""
    if wants_match(call.request) is not None:
        room = await room_now(call.node, call.caller, call.room)
        check_match(call.request, None if room is None else etag(room["rev"]))


async def _lift(call: Call, kind: Kind, args: Unmute | Unban) -> Outcome:
    """Where it is asked for, or else where it holds, the room first."""
    wanted: Lifted = call.query
    if wanted.scope in {None, "room"}:
        try:
            return whole(await change(call, f"un{kind}", args))
        except ProblemError as refused:
            if refused.code != "not_found" or wanted.scope is not None or call.node.house is None:
                raise
    house = the_house(call)
    scopes = scopes_of(call.room, await merchant_of(call))[:-1]
    for scope in reversed(scopes):
        name = scope.partition(":")[0]
        if wanted.scope in {None, name} and house.standing(kind, args.user, scope) is not None:
            await scope_of(call, name)
            await _check_room(call)
            lifted = await house.lift(kind, scope, args.user, call.caller.person)
            if lifted is not None:
                await note(call, NoteAct(f"un{kind}", {"user": args.user, "scope": scope}))
                return Outcome(lifted.tell(args.user, name))
    raise ProblemError("not_found")


async def _listed(call: Call, kind: Kind) -> Outcome:
    """Those from beyond the room on the first pages, then the room's own."""
    cursor = cursors.read(call.query.cursor)
    if call.node.house is None:
        return await listed(call, f"{kind}s")
    wide = call.node.house.sentences(kind, *scopes_of(call.room, await merchant_of(call))[:-1])
    told = [one.tell(user, scope.partition(":")[0]) for scope, user, one in sorted(wide, key=lambda one: (one[1], one[0]))]
    limit, start = call.query.limit, int(cursor[1:]) if cursor.startswith("/") and cursor[1:].isdecimal() else 0
    first = [] if cursor and not cursor.startswith("/") else told[start : start + limit]
    if start + len(first) < len(told) and first:
        return Outcome({"data": first, "next_cursor": cursors.make(f"/{start + len(first)}")})
    # No user id begins with a slash: what does is a place among those from beyond.
    room = await question(call, f"{kind}s", limit=max(limit - len(first), 1), cursor="" if cursor.startswith("/") else cursor)
    data = first + room["data"][: limit - len(first)]
    after = room["next_cursor"] if len(data) == len(first) + len(room["data"]) else f"/{len(told)}"
    return Outcome({"data": data, "next_cursor": None if after is None else cursors.make(after)})


_ROOM: Final = "/v1/rooms/{room}"
_SCOPES: Final = ("chat:moderate",)
ROUTES: Final = (
    Route("POST", f"{_ROOM}/mutes", post_mute, _SCOPES, "Mute a user: they watch, but neither comment nor like.",
          body=Mute, answer=Sentence, statuses=(201,)),
    Route("GET", f"{_ROOM}/mutes", get_mutes, _SCOPES, "List the mutes in force.", query=ListUsers, answer=SentencePage),
    Route("DELETE", f"{_ROOM}/mutes/{{user}}", delete_mute, _SCOPES, "Take a mute back.", query=Lifted, answer=Sentence),
    Route("POST", f"{_ROOM}/bans", post_ban, _SCOPES, "Ban a user: put out of the room (4003) and not let in again.",
          body=Ban, answer=Sentence, statuses=(201,)),
    Route("GET", f"{_ROOM}/bans", get_bans, _SCOPES, "List the bans in force.", query=ListUsers, answer=SentencePage),
    Route("DELETE", f"{_ROOM}/bans/{{user}}", delete_ban, _SCOPES, "Take a ban back.", query=Lifted, answer=Sentence),
    Route("POST", f"{_ROOM}/redactions", post_redaction, _SCOPES, "Take comments, or all of a user's, off every screen.",
          body=Redactions, answer=Redacted, statuses=(201,)),
)  # fmt: skip
