"""Gifts: the catalogue, gifts that were paid for elsewhere, gifts taken back, the leaderboard, what hosts earned."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from livecast.core.commands import Reason
from livecast.core.errors import Refusal
from livecast.core.events import Person
from livecast.core.money.coins import GiftRecord, service_tx
from livecast.core.money.gifts import CatalogueGift, catalogue_rev
from livecast.core.rules import UserId
from livecast.core.text import clean, clean_name
from livecast.edge.access.callers import check_room, room_now
from livecast.edge.api.wallets import Tx
from livecast.edge.http.calls import Call, Outcome, Route
from livecast.edge.http.conditions import etag, none_match
from livecast.edge.http.problems import ProblemError
from livecast.edge.node import Node
from livecast.edge.rooms.named import naming

CATALOGUE_PATH: Final = "/v1/gifts"
GiftName = Annotated[str, Meta(min_length=1, max_length=64)]
BroadcastId = Annotated[str, Meta(max_length=64)]


class Catalogue(Struct):
    """What can be sent. `rev` is that of `state.gifts`: another one says to read this again."""

    rev: int
    data: list[CatalogueGift]
    next_cursor: str | None = None


class GiveElsewhere(Struct, frozen=True, forbid_unknown_fields=True):
    """A gift that was paid for elsewhere. `name` and `avatar` are what viewers see of the giver; without a name, the id."""

    tx: Tx
    user: UserId
    gift: GiftName
    n: Annotated[int, Meta(ge=1, le=9999)] = 1
    to: UserId | None = None
    name: Annotated[str, Meta(max_length=64)] | None = None
    avatar: Annotated[str, Meta(max_length=512)] | None = None


class TakeBack(Struct, frozen=True, forbid_unknown_fields=True):
    """Why."""

    reason: Reason = ""


class GiftNow(Struct):
    """A gift as booked. `total` is what its giver has given in the broadcast after it; `to` is empty for the room itself.

    `paid`: from the `wallet` here, or `elsewhere`. `reversed_at` and `reason` once it was taken back.
    """

    tx: str
    room: str
    broadcast: str
    user: str
    gift: str
    n: int
    value: int
    to: str
    paid: str
    at: int
    total: int
    reversed_at: int | None
    reason: str


class RankLine(Struct):
    """A place on the leaderboard, from 1."""

    place: int
    user: str
    value: int


class Leaderboard(Struct):
    """Who gave most in a broadcast; of two with the same value the one who got there first."""

    broadcast: str
    data: list[RankLine]
    next_cursor: str | None = None


class AskLeaderboard(Struct, frozen=True):
    """How many places; of which broadcast, the current or last one if nothing is said."""

    limit: Annotated[int, Meta(ge=1, le=200)] = 50
    broadcast: BroadcastId | None = None


class HostEarnings(Struct):
    """What one host earned: gifts that stand and their coins; gifts that were taken back and theirs."""

    gifts: int
    value: int
    reversed: int
    reversed_value: int


class Earnings(Struct):
    """What was earned, gifts taken back left out and told of beside it: in all, coins by host (`""`: gifts to the room itself), and
    everything by host, also of those all of whose gifts were taken back.

    Asked about one host, all of it is that one's. Null: some gifts were booked by a version that did not count them by host.
    """

    broadcast: str | None
    gifts: int | None
    value: int
    reversed: int | None
    reversed_value: int | None
    hosts: dict[str, int]
    by_host: dict[str, HostEarnings] | None


class AskEarnings(Struct, frozen=True):
    """Of which host; in which broadcast, in all of them if nothing is said."""

    host: Annotated[str, Meta(max_length=128)] | None = None
    broadcast: BroadcastId | None = None


async def post_gift(call: Call) -> Outcome:
    """201 with the gift; the same `tx` of the same key again: the first one."""
    body: GiveElsewhere = call.body
    person = Person(body.user, clean_name(body.name or "") or body.user, avatar=clean(body.avatar or ""))
    record = await call.money.give_elsewhere(
        call.room, call.caller.id, body.tx, person=person, gift=body.gift, n=body.n, to=body.to or ""
    )
    return Outcome(_as_told(call, record), 201)


async def reverse_gift(call: Call) -> Outcome:
    """The gift as it is then. It is looked for everywhere, and must be in a room that the caller reaches."""
    body: TakeBack = call.body
    said = call.path("tx")
    tx = said if "/" in said else service_tx(call.caller.id, said)
    record = await call.money.find(tx)
    if record is None:
        raise ProblemError("not_found", "No gift has this id.")
    room = record.gift.room
    check_room(call.caller, room)
    if call.caller.merchant:
        await room_now(call.node, call.caller, room)
    told = _as_told(call, await call.money.reverse(room, tx, body.reason))
    name_of = naming(call)
    told.to = name_of(told.to)
    if not told.tx.startswith(f"{told.user}/"):  # whose gift is named by its giver's id is told no pseudonym for it
        told.user = name_of(told.user)
    return Outcome(told)


async def get_leaderboard(call: Call) -> Outcome:
    """From the ledger, also where viewers see no values or no board at all."""
    wanted: AskLeaderboard = call.query
    broadcast = wanted.broadcast if wanted.broadcast is not None else await _broadcast(call)
    await call.money.booked(call.room)
    ranks = await call.money.ledger.board(call.room, broadcast, wanted.limit)
    named = [*map(naming(call), (rank.user for rank in ranks))]
    lines = [RankLine(place, user, rank.value) for place, (user, rank) in enumerate(zip(named, ranks, strict=True), 1)]
    return Outcome(Leaderboard(broadcast, lines))


async def get_earnings(call: Call) -> Outcome:
    """From the ledger."""
    wanted: AskEarnings = call.query
    money = call.money
    await money.booked(call.room)
    takings = await money.ledger.takings(call.room, wanted.broadcast)
    if not takings.gifts and await room_now(call.node, call.caller, call.room) is None:
        raise ProblemError("unknown_room")
    name_of = naming(call)
    hosts = {name_of(host): value for host, value in takings.hosts.items()}
    told = Earnings(wanted.broadcast, takings.gifts, takings.value, None, None, hosts, None)
    if takings.by_host is not None:
        told.by_host = {
            name_of(host): HostEarnings(each.gifts, takings.hosts.get(host, 0), each.reversed, each.reversed_value)
            for host, each in takings.by_host.items()
        }
    if (host := wanted.host) is not None:
        told.hosts = {host: hosts.get(host, 0)}
        told.gifts, told.value = None, told.hosts[host]
        if told.by_host is not None:
            told.by_host = {host: told.by_host.get(host, HostEarnings(0, 0, 0, 0))}
            told.gifts = told.by_host[host].gifts
    if told.by_host is not None:
        told.reversed = sum(each.reversed for each in told.by_host.values())
        told.reversed_value = sum(each.reversed_value for each in told.by_host.values())
    return Outcome(told)


async def _broadcast(call: Call) -> str:
    room = await room_now(call.node, call.caller, call.room)
    if room is None:
        raise ProblemError("unknown_room")
    return str(room["broadcast"])


def _as_told(call: Call, record: GiftRecord | Refusal) -> GiftNow:
    """`tx` as the caller knows it: a service's own without what we put in front of it."""
    if isinstance(record, Refusal):
        raise ProblemError.of(record)
    gift = record.gift
    return GiftNow(
        tx=gift.tx.removeprefix(service_tx(call.caller.id, "")),
        room=gift.room,
        broadcast=gift.broadcast,
        user=gift.user,
        gift=gift.gift,
        n=gift.n,
        value=gift.value,
        to=gift.to,
        paid=gift.paid,
        at=record.at,
        total=record.total,
        reversed_at=record.reversed_at,
        reason=record.reason,
    )


def add_catalogue(app: web.Application, node: Node) -> None:
    """Serve the catalogue to everybody, also to viewers without a token: it is on all of their screens."""

    async def catalogue(request: web.Request) -> web.Response:
        if node.money is None:
            raise ProblemError("unavailable", "There is no ledger here, so nothing can be sent.")
        gifts = node.money.rules.catalogue
        rev = catalogue_rev(gifts)
        headers = {"ETag": etag(rev), "Cache-Control": "public, max-age=60"}
        if none_match(request, headers["ETag"]):
            return web.Response(status=304, headers=headers)
        body = msgspec.json.encode(Catalogue(rev, list(gifts)))
        return web.Response(body=body, content_type="application/json", headers=headers)

    app.router.add_get(CATALOGUE_PATH, catalogue)


_ROOM: Final = "/v1/rooms/{room}"
_WRITE: Final = ("gifts:write",)
ROUTES: Final = (
    Route("POST", f"{_ROOM}/gifts", post_gift, _WRITE, "A gift that was paid for elsewhere.",
          body=GiveElsewhere, answer=GiftNow, statuses=(201,)),
    Route("POST", "/v1/gifts/{tx}/reverse", reverse_gift, _WRITE, "Take a gift back; a wallet gets its coins again.",
          body=TakeBack, answer=GiftNow),
    Route("GET", f"{_ROOM}/leaderboard", get_leaderboard, ("gifts:write", "reports:read"),
          "Who gave most in a broadcast.", query=AskLeaderboard, answer=Leaderboard),
    Route("GET", f"{_ROOM}/earnings", get_earnings, ("gifts:write", "reports:read"),
          "What a room and its hosts earned.", query=AskEarnings, answer=Earnings),
)  # fmt: skip
