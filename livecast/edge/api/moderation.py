"""Keeping a room civil: mutes, bans, redactions."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Struct

from livecast.core.commands import Ban, Mute, Redactions, Unban, Unmute
from livecast.edge import cursors
from livecast.edge.calls import Call, Outcome, Route, change, listed, whole
from livecast.edge.frames import surrogate_key
from livecast.edge.problems import Fault, ProblemError


class Sentence(Struct):
    """A mute or a ban: of whom, since when, until when (Unix ms; null: until taken back), by whom and why."""

    user: str
    at: int
    until: int | None
    by: str
    reason: str


class Redacted(Struct):
    """What was taken off the screens. Purge caches of the room's files by the `Surrogate-Key` header."""

    comments: list[str]
    users: list[str]
    reason: str
    at: int


class SentencePage(Struct):
    """A page of mutes or bans, in order of user ids."""

    data: list[Sentence]
    next_cursor: str | None


class ListUsers(Struct, frozen=True):
    """Which page. The cursor is opaque: hand back what `next_cursor` said."""

    limit: Annotated[int, Meta(ge=1, le=200)] = 50
    cursor: cursors.Cursor = ""


async def post_mute(call: Call) -> Outcome:
    """201 with the mute."""
    return _made(whole(await change(call, "mute", call.body)))


async def delete_mute(call: Call) -> Outcome:
    """What was taken back."""
    return whole(await change(call, "unmute", Unmute(call.path("user"))))


async def get_mutes(call: Call) -> Outcome:
    """Those in force."""
    return await listed(call, "mutes")


async def post_ban(call: Call) -> Outcome:
    """201 with the ban."""
    return _made(whole(await change(call, "ban", call.body)))


async def delete_ban(call: Call) -> Outcome:
    """What was taken back."""
    return whole(await change(call, "unban", Unban(call.path("user"))))


async def get_bans(call: Call) -> Outcome:
    """Those in force."""
    return await listed(call, "bans")


async def post_redaction(call: Call) -> Outcome:
    """What was taken off the screens."""
    body: Redactions = call.body
    if not body.comments and not body.users:
        detail = "Name at least one comment or user."
        raise ProblemError("invalid", detail, errors=[Fault("/comments", detail)])
    done = await change(call, "redact", body)
    return Outcome(done.value, 201, {"Surrogate-Key": surrogate_key(call.room)})


def _made(outcome: Outcome) -> Outcome:
    return Outcome(outcome.value, 201)


_ROOM: Final = "/v1/rooms/{room}"
_SCOPES: Final = ("chat:moderate",)
ROUTES: Final = (
    Route("POST", f"{_ROOM}/mutes", post_mute, _SCOPES, "Mute a user: they watch, but neither comment nor like.",
          body=Mute, answer=Sentence, statuses=(201,)),
    Route("GET", f"{_ROOM}/mutes", get_mutes, _SCOPES, "List the mutes in force.", query=ListUsers, answer=SentencePage),
    Route("DELETE", f"{_ROOM}/mutes/{{user}}", delete_mute, _SCOPES, "Take a mute back.", answer=Sentence),
    Route("POST", f"{_ROOM}/bans", post_ban, _SCOPES, "Ban a user: put out of the room (4003) and not let in again.",
          body=Ban, answer=Sentence, statuses=(201,)),
    Route("GET", f"{_ROOM}/bans", get_bans, _SCOPES, "List the bans in force.", query=ListUsers, answer=SentencePage),
    Route("DELETE", f"{_ROOM}/bans/{{user}}", delete_ban, _SCOPES, "Take a ban back.", answer=Sentence),
    Route("POST", f"{_ROOM}/redactions", post_redaction, _SCOPES, "Take comments, or all of a user's, off every screen.",
          body=Redactions, answer=Redacted, statuses=(201,)),
)  # fmt: skip
