"""What was: a room's broadcasts, figures over time, the report of a broadcast, its replay. All of it from the archive."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct

from livecast.archive import Archive, Broadcast
from livecast.core.records.chronicle import BUCKET_MS
from livecast.edge.access.callers import room_now
from livecast.edge.api.gifts import BroadcastId
from livecast.edge.http import cursors
from livecast.edge.http.calls import Call, Outcome, Route
from livecast.edge.http.problems import Fault, ProblemError
from livecast.edge.reports.page import POLICY, page
from livecast.edge.reports.phrases import language_of
from livecast.edge.reports.replays import as_json, as_xml
from livecast.edge.reports.report import BroadcastReport, Point, report_of, steps
from livecast.edge.rooms.named import aliases_of

POINTS_MAX: Final = 2_000
"""Steps in one answer: some 300 KB."""
TimeMs = Annotated[int, Meta(ge=0, le=2**53 - 1)]


class BroadcastLine(Struct):
    """A broadcast as archived. `users`: distinct ones (approximate); `peak`: the most at one time. Times are Unix ms."""

    id: str
    title: str
    merchant: str
    status: str
    test: bool
    started_at: int | None
    ended_at: int | None
    users: int
    peak: int


class BroadcastPage(Struct):
    """A page of a room's broadcasts, the latest first."""

    data: list[BroadcastLine]
    next_cursor: str | None


class AskStats(Struct, frozen=True, rename={"begin": "from", "end": "to"}):
    """Figures from `from` to `to` (Unix ms, `to` not included) in steps of `step` ms.

    Without `from`: from the start of the latest broadcast; without `to`: until now. `step` is a multiple of 10,000; without it the
    shortest with which the answer has at most 2,000 steps.
    """

    begin: TimeMs | None = None
    end: TimeMs | None = None
    step: Annotated[int, Meta(ge=BUCKET_MS, le=86_400_000)] | None = None


class Stats(Struct, rename={"begin": "from", "end": "to"}):
    """Figures in steps of `step` ms, the oldest first; steps without any are left out. A step counts from its `at` on."""

    begin: int
    end: int
    step: int
    data: list[Point]


class WhichBroadcast(Struct, frozen=True):
    """Which broadcast; without one the latest."""

    broadcast: BroadcastId | None = None


class AskReport(WhichBroadcast, frozen=True):
    """As what (`html`: a page to print; else as `Accept` says) and, for the page, in which language (else `Accept-Language`)."""

    format: Literal["json", "html"] | None = None
    lang: Literal["en", "zh"] | None = None


class Replayed(Struct, omit_defaults=True):
    """A comment at its place in the broadcast, said by `n` people; of a redacted one only `id` and `redacted`."""

    id: str
    offset_ms: int = 0
    at: int = 0
    u: Speaker | None = None
    text: str = ""
    n: int = 1
    lane: int = 3
    style: dict[str, Any] | None = None
    paid: dict[str, Any] | None = None
    reply_to: str = ""
    late: bool = False
    redacted: bool = False


class Speaker(Struct):
    """Who said it."""

    id: str
    name: str
    role: str


class Replay(Struct):
    """The comments of a broadcast in the order in which they were said."""

    room: str
    broadcast: str
    title: str
    started_at: int | None
    ended_at: int | None
    comments: list[Replayed]


class ListPage(Struct, frozen=True):
    """Which page. The cursor is opaque: hand back what `next_cursor` said."""

    limit: Annotated[int, Meta(ge=1, le=200)] = 50
    cursor: cursors.Cursor = ""


async def get_broadcasts(call: Call) -> Outcome:
    """Those that began."""
    wanted: ListPage = call.query
    before = cursors.read_number(wanted.cursor, 0) or None
    found = await _archive(call).broadcasts(call.room, before, wanted.limit)
    if not found and await room_now(call.node, call.caller, call.room) is None:
        raise ProblemError("unknown_room")
    after = cursors.make(str(found[-1].started_at)) if len(found) == wanted.limit else None
    return Outcome(BroadcastPage([_line(each) for each in found], after))


async def get_stats(call: Call) -> Outcome:
    """From the totals that were kept every ten seconds."""
    wanted: AskStats = call.query
    archive = _archive(call)
    end = call.node.clock() if wanted.end is None else wanted.end
    begin = wanted.begin
    if begin is None:
        begin = (await _broadcast(call, None)).started_at or end
    if begin > end:
        raise _wrong("?to", "That is before `from`.")
    length = end - begin
    step = wanted.step or max(1, -(-length // (POINTS_MAX * BUCKET_MS))) * BUCKET_MS
    if step % BUCKET_MS:
        raise _wrong("?step", f"A multiple of {BUCKET_MS:,}.")
    if length > step * POINTS_MAX:
        raise _wrong("?step", f"That would be more than {POINTS_MAX:,} steps: take longer ones, or a shorter time.")
    ticks = await archive.ticks(call.room, begin, end, step)
    if not ticks and await room_now(call.node, call.caller, call.room) is None:
        raise ProblemError("unknown_room")
    return Outcome(Stats(begin, end, step, steps(ticks, step)))


async def get_report(call: Call) -> Outcome:
    """As JSON, or as a page to print."""
    wanted: AskReport = call.query
    of = await _broadcast(call, wanted.broadcast)
    report = report_of(await _archive(call).figures(of), call.node.clock())
    if not _wants_page(call, wanted):
        return Outcome(report)
    language = language_of(wanted.lang, call.request.headers.get("Accept-Language", ""))
    headers = {
        "Content-Security-Policy": POLICY,
        "Content-Language": "zh-Hans" if language == "zh" else "en",
        "Content-Disposition": f'inline; filename="report-{of.room}-{of.id}.html"',
    }
    return Outcome(headers=headers, stream=_once(page(report, language).encode()), content_type="text/html")


async def get_replay_xml(call: Call) -> Outcome:
    """Comments against the broadcast's time line, as danmaku XML."""
    of = await _broadcast(call, call.query.broadcast)
    headers = {"Content-Disposition": f'attachment; filename="replay-{of.room}-{of.id}.xml"'}
    return Outcome(headers=headers, stream=as_xml(_archive(call), of, await aliases_of(call)))


async def get_replay_json(call: Call) -> Outcome:
    """Comments against the broadcast's time line."""
    of = await _broadcast(call, call.query.broadcast)
    headers = {"Content-Disposition": f'attachment; filename="replay-{of.room}-{of.id}.json"'}
    return Outcome(headers=headers, stream=as_json(_archive(call), of, await aliases_of(call)))


def _archive(call: Call) -> Archive:
    if call.node.archive is None:
        raise ProblemError("unavailable", "Nothing is archived here ([archive] url is none).")
    return call.node.archive


async def _broadcast(call: Call, wanted: str | None) -> Broadcast:
    found = await _archive(call).broadcast(call.room, wanted)
    if found is None or found.started_at is None:
        if await room_now(call.node, call.caller, call.room) is None:
            raise ProblemError("unknown_room")
        raise ProblemError("not_found", "No broadcast of this room is archived." if wanted is None else "No such broadcast.")
    return found


def _wants_page(call: Call, wanted: AskReport) -> bool:
    if wanted.format is not None:
        return wanted.format == "html"
    accept = call.request.headers.get("Accept", "")
    return "text/html" in accept and "application/json" not in accept


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body


def _line(of: Broadcast) -> BroadcastLine:
    return BroadcastLine(of.id, of.title, of.merchant, of.status, of.test, of.started_at, of.ended_at, of.users, of.peak)


def _wrong(where: str, detail: str) -> ProblemError:
    return ProblemError("invalid", "A parameter is not what it should be.", errors=[Fault(where, detail)])


_ROOM: Final = "/v1/rooms/{room}"
_READ: Final = ("reports:read",)
ROUTES: Final = (
    Route("GET", f"{_ROOM}/broadcasts", get_broadcasts, _READ, "The room's broadcasts.",
          query=ListPage, answer=BroadcastPage),
    Route("GET", f"{_ROOM}/stats", get_stats, _READ, "Viewers, comments, likes, gifts, claims and orders over time.",
          query=AskStats, answer=Stats),
    Route("GET", f"{_ROOM}/report", get_report, _READ, "The report of a broadcast, as JSON or as a page to print.",
          query=AskReport, answer=BroadcastReport, also="text/html"),
    Route("GET", f"{_ROOM}/replay.xml", get_replay_xml, _READ, "The comments of a broadcast as danmaku XML, for video players.",
          query=WhichBroadcast, content_type="application/xml"),
    Route("GET", f"{_ROOM}/replay.json", get_replay_json, _READ, "The comments of a broadcast against its time line.",
          query=WhichBroadcast, answer=Replay),
)  # fmt: skip
