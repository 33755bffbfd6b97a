"""What only staff see and decide: held comments, reports, what was said, who moderates, the panic button, the log of it all."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from livecast.core.commands import Appoint, Dismiss, Host, JudgeHeld, Panic, Reason, SettleReport
from livecast.core.frames import Quote
from livecast.core.records.chronicle import CommentRow
from livecast.core.show.shelf import tag_of
from livecast.edge.http import cursors
from livecast.edge.http.calls import Call, Outcome, Route, change, listed, question, whole
from livecast.edge.http.problems import ProblemError
from livecast.edge.rooms.named import user_named
from livecast.edge.viewers.frames import surrogate_key


class Page(Struct, frozen=True):
    """Which page. The cursor is opaque: hand back what `next_cursor` said."""

    limit: Annotated[int, Meta(ge=1, le=200)] = 50
    cursor: cursors.Cursor = ""


class Author(Struct, omit_defaults=True):
    """Who wrote a comment."""

    id: str
    name: str
    role: str = "viewer"
    level: int = 0
    badges: list[str] = []
    avatar: str = ""


class About(Struct, omit_defaults=True):
    """What the room knows of an author: whether they are new here, how long they have watched this broadcast, how often they
    were blocked, muted, banned, redacted or rejected, whether they gave, how many orders they placed in it, and of what.
    """

    new: bool
    watched_s: int
    violations: int
    gifted: bool
    orders: int = 0
    bought: list[str] = []


class HeldComment(Struct, omit_defaults=True):
    """A comment that waits for a moderator."""

    id: str
    u: Author
    text: str
    at: int
    late: bool = True
    lane: int = 3
    style: dict[str, Any] | None = None
    reply_to: Quote | None = None
    mentions: list[str] = []
    meta: dict[str, Any] | None = None
    paid: dict[str, Any] | None = None
    about: About | None = None


class HeldPage(Struct):
    """A page of held comments, the oldest first."""

    data: list[HeldComment]
    next_cursor: str | None


class Judged(Struct):
    """What was decided about a held comment."""

    id: str
    action: str
    comment: HeldComment
    at: int


class Judgement(Struct, frozen=True, forbid_unknown_fields=True):
    """`approve`: it is shown now. `reject`: it never is."""

    action: Annotated[str, Meta(pattern="^(approve|reject)$")]
    reason: Reason = ""


class ReportReason(Struct):
    """One viewer's words."""

    by: str
    reason: str
    at: int


class Report(Struct, omit_defaults=True):
    """What viewers reported: a comment of `user`, or (without `comment`) the user. `n` of them, the first reasons given."""

    id: str
    user: str
    n: int
    at: int
    last_at: int
    reasons: list[ReportReason]
    comment: str = ""
    text: str = ""


class ReportPage(Struct):
    """A page of open reports, what was last reported first."""

    data: list[Report]
    next_cursor: str | None


class SaidComment(Struct, omit_defaults=True):
    """A comment that was shown; of a redacted one only `id`, `at` and `redacted`."""

    id: str
    at: int
    u: Author | None = None
    text: str = ""
    n: int = 1
    late: bool = False
    lane: int = 3
    style: dict[str, Any] | None = None
    reply_to: Quote | None = None
    mentions: list[str] = []
    meta: dict[str, Any] | None = None
    paid: dict[str, Any] | None = None
    redacted: bool = False


class CommentPage(Struct):
    """A page of comments, the newest first."""

    data: list[SaidComment]
    next_cursor: str | None


class ListComments(Struct, frozen=True):
    """Which comments: before this one (its id, or Unix ms), of this user, with these words in the text."""

    before: Annotated[str, Meta(max_length=64)] = ""
    user: Annotated[str, Meta(max_length=128)] = ""
    q: Annotated[str, Meta(max_length=200)] = ""
    limit: Annotated[int, Meta(ge=1, le=200)] = 50
    cursor: cursors.Cursor = ""


class Moderators(Struct):
    """A page of the room's moderators."""

    data: list[Host]
    next_cursor: str | None


class Appointment(Struct, frozen=True, forbid_unknown_fields=True):
    """`name` is what viewers are shown of the moderator."""

    name: Annotated[str, Meta(max_length=64)] = ""
    reason: Reason = ""


class Cleaned(Struct):
    """What the panic button did: who may speak now, and how many comments were taken off the screens."""

    mode: str
    redacted: int
    reason: str
    at: int


async def get_held(call: Call) -> Outcome:
    """The oldest first."""
    return await listed(call, "held")


async def post_held(call: Call) -> Outcome:
    """What was decided."""
    body: Judgement = call.body
    args = msgspec.convert({"id": call.path("comment"), "action": body.action, "reason": body.reason}, JudgeHeld)
    return whole(await change(call, "judge_held", args))


async def get_reports(call: Call) -> Outcome:
    """What was last reported first."""
    return await listed(call, "reports")


async def delete_report(call: Call) -> Outcome:
    """What was settled."""
    return whole(await change(call, "settle_report", SettleReport(call.path("report"))))


async def get_comments(call: Call) -> Outcome:
    """The newest first: what the room's owner has in memory, then what is archived of the latest broadcast."""
    wanted: ListComments = call.query
    user, after = await user_named(call, wanted.user), cursors.read(wanted.cursor)
    if archived := _ARCHIVED.fullmatch(after):
        return await _archived(call, [], (int(archived[1]), archived[2]), user)
    before = after or wanted.before
    try:
        page = await question(call, "comments", before=before, user=user, q=wanted.q, limit=wanted.limit)
    except ProblemError as problem:
        if problem.code != "unavailable" or call.node.archive is None:
            raise
        page = {"data": [], "next_cursor": None}  # whoever takes the room over has it in a moment; what was said is here now
    data, more = page["data"], page["next_cursor"]
    if more is not None or call.node.archive is None:
        return Outcome({"data": data, "next_cursor": None if more is None else cursors.make(more)})
    if begins := page.get("begins"):
        # The archive may not know yet what was redacted here, so it is not asked for what the room has.
        until = (int(before), "") if before.isdecimal() else (2**53, "")
        return await _archived(call, data, min(until, (begins[0], begins[1])), user)
    if before and not before.isdecimal():
        place = await call.node.archive.place(call.room, before)
        return await _archived(call, [], place, user) if place else Outcome({"data": [], "next_cursor": None})
    return await _archived(call, [], (int(before) if before else 2**53, ""), user)


async def _archived(call: Call, data: list[Any], before: tuple[int, str], user: str) -> Outcome:
    """`data` and what was said before it, from before (at, id)."""
    wanted: ListComments = call.query
    archive, room_left = call.node.archive, wanted.limit - len(data)
    of = None if archive is None else await archive.broadcast(call.room, None)
    if archive is None or of is None:
        return Outcome({"data": data, "next_cursor": None})
    # One more than asked for says whether there is more.
    found = await archive.said(of, before, room_left + 1, user=user, text=wanted.q)
    here = {comment["id"] for comment in data}  # what was let through late stands later than it was said
    older = [_as_said(row) for row in found[:room_left]]
    told = [*data, *(comment for comment in older if comment["id"] not in here)]
    more = len(found) > room_left
    last = (older[-1]["at"], older[-1]["id"]) if older else before
    return Outcome({"data": told, "next_cursor": cursors.make(f"~{last[0]}~{last[1]}") if more else None})


def _as_said(row: CommentRow | tuple[str, int]) -> dict[str, Any]:
    if isinstance(row, tuple):
        return {"id": row[0], "at": row[1], "redacted": True}
    more: dict[str, Any] = msgspec.json.decode(row.more) if row.more else {}
    more.pop("reply_to", None)  # of what it answered only the id is archived
    return {
        "id": row.id,
        "at": row.at,
        "u": {"id": row.user, "name": row.name, "role": row.role},
        "text": row.text,
        "n": row.n,
        "lane": row.lane,
        **more,
    }


async def get_moderators(call: Call) -> Outcome:
    """Those whom the room appointed; hosts and holders of a moderator's token are not among them."""
    return await listed(call, "moderators")


async def get_moderator(call: Call) -> Outcome:
    """If the room appointed them."""
    moderator = await question(call, "moderator", user=await user_named(call, call.path("user")))
    return Outcome(moderator, revision=tag_of(moderator))


async def put_moderator(call: Call) -> Outcome:
    """201 if the room had not appointed them before."""
    _check_host(call)
    body: Appointment = call.body
    args = Appoint(await user_named(call, call.path("user")), body.name, body.reason)
    appointed = await change(call, "appoint", args, tagged=True)
    return Outcome(appointed.value, 201 if appointed.created else 200, revision=tag_of(appointed.value))


async def delete_moderator(call: Call) -> Outcome:
    """Who is a moderator no longer."""
    _check_host(call)
    return whole(await change(call, "dismiss", Dismiss(await user_named(call, call.path("user"))), tagged=True))


async def panic(call: Call) -> Outcome:
    """How many comments were taken off."""
    body: Panic = call.body
    done = await change(call, "panic", body)
    return Outcome(done.value, 200, {"Surrogate-Key": surrogate_key(call.room)})


def _check_host(call: Call) -> None:
    """Moderators make no moderators, and unmake none."""
    if call.caller.kind != "key" and call.caller.person.role not in {"host", "merchant"}:
        raise ProblemError("forbidden", "Hosts and services say who moderates.")


_ARCHIVED: Final = re.compile(r"~(\d{1,16})~(.{0,64})")
"""A cursor into the archive: (at, id) of the last comment that was told. Ids of comments do not begin so."""
_ROOM: Final = "/v1/rooms/{room}"
_SCOPES: Final = ("chat:moderate",)
ROUTES: Final = (
    Route("GET", f"{_ROOM}/held", get_held, _SCOPES, "List the comments that wait for a moderator.", query=Page, answer=HeldPage),
    Route("POST", f"{_ROOM}/held/{{comment}}", post_held, _SCOPES, "Let a held comment be shown, or not.",
          body=Judgement, answer=Judged),
    Route("GET", f"{_ROOM}/reports", get_reports, _SCOPES, "List what viewers reported.", query=Page, answer=ReportPage),
    Route("DELETE", f"{_ROOM}/reports/{{report}}", delete_report, _SCOPES, "Take a report off the list: it was looked at.",
          answer=Report),
    Route("GET", f"{_ROOM}/comments", get_comments, _SCOPES, "Look up what was said lately.",
          query=ListComments, answer=CommentPage),
    Route("GET", f"{_ROOM}/moderators", get_moderators, _SCOPES, "List the moderators that the room appointed.",
          query=Page, answer=Moderators),
    Route("GET", f"{_ROOM}/moderators/{{user}}", get_moderator, _SCOPES, "Read a moderator that the room appointed.", answer=Host),
    Route("PUT", f"{_ROOM}/moderators/{{user}}", put_moderator, _SCOPES, "Make a user a moderator of this room, at once.",
          body=Appointment, answer=Host, statuses=(200, 201)),
    Route("DELETE", f"{_ROOM}/moderators/{{user}}", delete_moderator, _SCOPES, "Take that back, at once.", answer=Host),
    Route("POST", f"{_ROOM}/panic", panic, _SCOPES, "Let nobody but staff speak, and clean every screen.",
          body=Panic, answer=Cleaned),
)  # fmt: skip
