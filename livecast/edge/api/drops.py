"""Drops: made, changed, and taken from state to state; their lists of codes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct

from livecast.core.errors import InvalidChange, Refusal
from livecast.core.money.draw import commitment_of, seed_of
from livecast.core.money.drops import (
    DropConfig,
    DropPatch,
    Eligibility,
    about_of,
    change_of,
    checked,
    config_of,
    needs_seed,
    read_about,
)
from livecast.core.money.drops import terms_of as terms_of_config
from livecast.core.money.units import Codes, Drop, DropChange, Kind, NewDrop, State, Step
from livecast.edge.access.callers import room_now
from livecast.edge.http import cursors
from livecast.edge.http.bodies import convert
from livecast.edge.http.calls import Call, Outcome, Route
from livecast.edge.http.conditions import check_match, etag, names_tag
from livecast.edge.http.idempotency import key_of
from livecast.edge.http.problems import ProblemError
from livecast.edge.money.code_list import read_codes
from livecast.edge.money.money import Money
from livecast.ports import StoreError

if TYPE_CHECKING:
    from livecast.edge.rooms.hub import RoomHub

ID_CHARS: Final = 16
"""Hexadecimal digits of a drop's id: 64 bits, of which no room has two the same."""

BEFORE: Final[dict[Step, tuple[str | None, ...]]] = {
    "announce": (None,),
    "open": (None, "announced"),
    "pause": ("open", "sold_out"),
    "resume": ("paused",),
    "close": ("open", "sold_out", "paused"),
    "cancel": ("announced", "open", "sold_out", "paused", "closed"),
}
"""In which states viewers still see a drop while a step that was taken has not reached them; None: not at all."""
SHOWN_EVERY_S: Final = 0.01


class DropNow(Struct):
    """A drop as its merchant sees it. `rev` rises with every change, claims too, and is its entity tag.

    `left` can still be had, `granted` counts all grants ever made, `returned` those that came back, `reserved` those that wait
    for their order. `codes_held` counts an uploaded list. `result` is a draw's, once it is published.
    """

    id: str
    room: str
    rev: int
    title: str
    kind: Kind
    state: State
    stock: int
    left: int
    granted: int
    returned: int
    reserved: int
    entrants: int
    per_user: int
    announce_at: int | None
    opens_at: int | None
    closes_at: int | None
    eligibility: Eligibility | None
    codes: Codes
    codes_held: int
    reserve_s: int | None
    order: Literal["first", "fair"]
    fair_window_ms: int | None
    limit_group: str | None
    sku: str | None
    meta: dict[str, Any] | None
    test: bool
    created_at: int
    opened_at: int | None
    closed_at: int | None
    commitment: str | None
    result: dict[str, Any] | None


class DropPage(Struct):
    """A page of a room's drops, newest first."""

    data: list[DropNow]
    next_cursor: str | None


class ListDrops(Struct, frozen=True):
    """Which page."""

    limit: Annotated[int, Meta(ge=1, le=200)] = 50
    cursor: cursors.Cursor = ""


async def post_drop(call: Call) -> Outcome:
    """201 with the drop, a draft. With an `Idempotency-Key` its id follows from that: a repeat never makes a second one."""
    money, now = call.money, call.node.clock()
    config = _checked(call.body, now)
    room = await room_now(call.node, call.caller, call.room)
    if room is None:
        raise ProblemError("unknown_room")
    key = key_of(call.request, call.caller.account)
    id_ = (key or money.new_secret().hex())[:ID_CHARS]
    secret = (key and await money.ledger.secret(call.room, id_)) or money.new_secret()
    terms = terms_of_config(config)
    about = about_of(config, commitment_of(seed_of(secret)) if needs_seed(terms) else "", room["merchant"])
    answer = await money.ledger.put_drop(NewDrop(call.room, id_, terms, about, secret), now)
    return msgspec.structs.replace(_changed(call, answer), status=201)


async def get_drop(call: Call) -> Outcome:
    """One drop."""
    return _whole(await found(call))


async def list_drops(call: Call) -> Outcome:
    """Newest first; the cursor is the page's last drop."""
    wanted: ListDrops = call.query
    before = cursors.read(wanted.cursor) or None
    drops = await call.money.ledger.drops(call.room, before, wanted.limit)
    if not drops and before is None and await room_now(call.node, call.caller, call.room) is None:
        raise ProblemError("unknown_room")
    after = cursors.make(drops[-1].id) if len(drops) == wanted.limit else None
    return Outcome(DropPage([as_told(drop) for drop in drops], after))


async def patch_drop(call: Call) -> Outcome:
    """Nulls stay: they ask for the default. An `Idempotency-Key` makes a repeat harmless, `stock_delta` above all."""
    body = convert(call.body, DropPatch, keep_nulls=True)
    money, now = call.money, call.node.clock()
    drop = await found(call)
    check_match(call.request, etag(drop.changed))
    tx = key_of(call.request, call.caller.account) or money.new_secret().hex()
    try:
        change = await _with_commitment(money, drop, change_of(drop, body, tx, now))
    except InvalidChange as fault:
        raise ProblemError.of(fault.refusal) from None
    change = msgspec.structs.replace(change, if_changed=_if_changed(call, drop))
    return _changed(call, await money.ledger.change_drop(call.room, drop.id, change, now))


async def put_codes(call: Call) -> Outcome:
    """The list in place of an earlier one; all of it or nothing."""
    money = call.money
    drop = await found(call)
    check_match(call.request, etag(drop.changed))
    await read_codes(call.request, money.ledger, drop, upload := money.new_secret().hex())
    answer = await money.ledger.finish_codes(call.room, drop.id, upload, call.node.clock(), if_changed=_if_changed(call, drop))
    return _changed(call, answer)


async def announce_drop(call: Call) -> Outcome:
    """Viewers see it."""
    return await _step(call, "announce")


async def open_drop(call: Call) -> Outcome:
    """Now, whatever its times say."""
    return await _step(call, "open")


async def pause_drop(call: Call) -> Outcome:
    """Claims are `not_open`."""
    return await _step(call, "pause")


async def resume_drop(call: Call) -> Outcome:
    """On with it."""
    return await _step(call, "resume")


async def close_drop(call: Call) -> Outcome:
    """Nobody claims any more."""
    return await _step(call, "close")


async def cancel_drop(call: Call) -> Outcome:
    """For good; units that were granted stay."""
    return await _step(call, "cancel")


async def _step(call: Call, step: Step) -> Outcome:
    drop = call.path("drop")
    outcome = _changed(call, await call.money.ledger.step_drop(call.room, drop, step, call.node.clock()))
    await _until_shown(call, drop, BEFORE[step])
    return outcome


async def _until_shown(call: Call, drop: str, before: tuple[str | None, ...]) -> None:
    """Who is told that a drop is open may count on it: who joins now sees it, and what it asks for counts from now on."""
    try:
        async with asyncio.timeout(call.money.rules.shown_s):
            hub = await call.node.views.get(call.room)
            while hub is not None and _state_shown(hub, drop) in before:  # noqa: ASYNC110 - a view tells nobody that it changed
                await asyncio.sleep(SHOWN_EVERY_S)
    except (TimeoutError, StoreError):
        return  # the room is slow or not to be reached: that does not undo the step


def _state_shown(hub: RoomHub, drop: str) -> str | None:
    shown: str | None = hub.view.state.get("drops", {}).get(drop, {}).get("state")
    return shown


async def found(call: Call) -> Drop:
    """The drop of the path, or 404."""
    drop = await call.money.ledger.drop(call.room, call.path("drop"))
    if drop is None:
        raise ProblemError("unknown_drop")
    return drop


def as_told(drop: Drop) -> DropNow:
    """A drop as its merchant sees it."""
    config, about = config_of(drop), read_about(drop)
    return DropNow(
        id=drop.id,
        room=drop.room,
        rev=drop.changed,
        state=drop.state,
        left=drop.left,
        granted=drop.granted,
        returned=drop.returned,
        reserved=drop.reserved,
        entrants=drop.entrants,
        codes_held=drop.codes_held,
        created_at=drop.created_at,
        opened_at=drop.opened_at,
        closed_at=drop.closed_at,
        commitment=about.commitment or None,
        result=msgspec.json.decode(drop.result) if drop.result else None,
        **msgspec.structs.asdict(config),
    )


def _if_changed(call: Call, drop: Drop) -> int | None:
    """The ledger compares again, in the step that changes it: a claim, or somebody else's change, may come between."""
    return drop.changed if names_tag(call.request) else None


def _checked(config: DropConfig, now: int) -> DropConfig:
    try:
        return checked(config, now)
    except InvalidChange as fault:
        raise ProblemError.of(fault.refusal) from None


async def _with_commitment(money: Money, drop: Drop, change: DropChange) -> DropChange:
    """Chance may decide only now: then its seed is committed to with the change."""
    if change.terms is None or change.about is None or not needs_seed(change.terms):
        return change
    wanted = msgspec.structs.replace(drop, terms=change.terms, about=change.about)
    about = read_about(wanted)
    if about.commitment:
        return change
    secret = await money.ledger.secret(drop.room, drop.id) or b""
    return msgspec.structs.replace(change, about=about_of(config_of(wanted), commitment_of(seed_of(secret)), about.merchant))


def _changed(call: Call, answer: Drop | Refusal) -> Outcome:
    if isinstance(answer, Refusal):
        raise ProblemError.of(answer)
    call.money.ring(call.room)
    return _whole(answer)


def _whole(drop: Drop) -> Outcome:
    return Outcome(as_told(drop), revision=drop.changed)


_DROPS: Final = "/v1/rooms/{room}/drops"
_DROP: Final = f"{_DROPS}/{{drop}}"
_READ: Final = ("drops:read",)
_WRITE: Final = ("drops:write",)
ROUTES: Final = (
    Route("POST", _DROPS, post_drop, _WRITE, "Make a drop: a flash sale or a lucky draw. It begins as a draft.",
          body=DropConfig, answer=DropNow, statuses=(201,)),
    Route("GET", _DROPS, list_drops, _READ, "List a room's drops, newest first.", query=ListDrops, answer=DropPage),
    Route("GET", _DROP, get_drop, _READ, "Read a drop.", answer=DropNow),
    Route("PATCH", _DROP, patch_drop, _WRITE, "Change a drop; once it opened only `stock_delta` and `closes_at`.",
          body=DropPatch, form="patch", answer=DropNow),
    Route("PUT", f"{_DROP}/codes", put_codes, _WRITE, "Upload a drop's codes, one a line, at most 64 MiB.",
          form="lines", answer=DropNow),
    Route("POST", f"{_DROP}/announce", announce_drop, _WRITE, "Show a drop to viewers.", answer=DropNow),
    Route("POST", f"{_DROP}/open", open_drop, _WRITE, "Open a drop now.", answer=DropNow),
    Route("POST", f"{_DROP}/pause", pause_drop, _WRITE, "Pause a drop.", answer=DropNow),
    Route("POST", f"{_DROP}/resume", resume_drop, _WRITE, "Go on with a paused drop.", answer=DropNow),
    Route("POST", f"{_DROP}/close", close_drop, _WRITE, "Close a drop.", answer=DropNow),
    Route("POST", f"{_DROP}/cancel", cancel_drop, _WRITE, "Cancel a drop; what was granted stays.", answer=DropNow),
)  # fmt: skip
