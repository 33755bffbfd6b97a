"""Who did what, when and why: the log of everything that staff did, in a room and beyond."""

from __future__ import annotations

from typing import Annotated, Any, Final

from msgspec import Meta, Struct

from livecast.core.frames import StaffAct
from livecast.edge.access.jurisdiction import merchant_of, over_all, the_house
from livecast.edge.http import cursors
from livecast.edge.http.calls import Call, Outcome, Route
from livecast.edge.http.problems import ProblemError
from livecast.wire.records import decode_acts


class Act(Struct):
    """One deed: when (Unix ms), who (an API key is `key:ID` with the role `service`), what, with what, and why."""

    at: int
    by: str
    name: str
    role: str
    action: str
    args: dict[str, Any]
    reason: str


class ActPage(Struct):
    """A page of the log, the latest first. A page may be a little longer than asked for."""

    data: list[Act]
    next_cursor: str | None


class ListActs(Struct, frozen=True):
    """Which page. The cursor is opaque: hand back what `next_cursor` said."""

    limit: Annotated[int, Meta(ge=1, le=200)] = 50
    cursor: cursors.Cursor = ""


async def get_audit(call: Call) -> Outcome:
    """What was done in the room."""
    await merchant_of(call)
    limit = call.query.limit
    commits = await call.node.log.acts(call.room, cursors.read(call.query.cursor), limit)
    told: list[Act] = []
    for position, data in commits:
        told += [_told(call, act) for act in reversed(decode_acts(data))]
        if len(told) >= limit:
            return Outcome(ActPage(told, cursors.make(position)))
    return Outcome(ActPage(told, None))


async def get_platform_audit(call: Call) -> Outcome:
    """What was done beyond single rooms."""
    if not over_all(call.caller):
        raise ProblemError("forbidden", "This needs an API key of the platform, for all rooms.")
    limit = call.query.limit
    acts = await the_house(call).acts(cursors.read(call.query.cursor), limit)
    return Outcome(ActPage([_told(call, act) for _, act in acts], cursors.make(acts[-1][0]) if len(acts) == limit else None))


def _told(call: Call, act: StaffAct) -> Act:
    """As it was done, but for the names of people who asked to be forgotten since."""
    if call.node.house is not None:
        act = call.node.house.without_forgotten(act)
    return Act(act.at, act.by, act.name, act.role, act.action, act.args, act.reason)


_SCOPES: Final = ("chat:moderate",)
ROUTES: Final = (
    Route("GET", "/v1/rooms/{room}/audit", get_audit, _SCOPES, "Read what staff did in the room: who, what, when and why.",
          query=ListActs, answer=ActPage),
    Route("GET", "/v1/audit", get_platform_audit, _SCOPES, "Read what staff did beyond single rooms.",
          query=ListActs, answer=ActPage),
)  # fmt: skip
