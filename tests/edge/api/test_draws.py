"""Draws as public files: what anybody can fetch, keep and recompute."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from livecast.core.money import draw
from livecast.core.money.units import Claim, Drop
from livecast.edge.api.draws import DrawFiles
from livecast.shard.drawing import draw as run_draw
from support.house import Answer
from support.shop import Shop

ROOM = "r1"
DROPS = f"/v1/rooms/{ROOM}/drops"


async def opened(shop: Shop, **config: Any) -> str:
    """A drop that is open; its id."""
    if (await shop.call("GET", f"/v1/rooms/{ROOM}")).status == 404:
        await shop.live_room(ROOM)
    made = await shop.call("POST", DROPS, json={"title": "x", "kind": "draw", "stock": 3, **config})
    assert (await shop.call("POST", f"{DROPS}/{made.json['id']}/open")).status == 200
    return str(made.json["id"])


async def enter(shop: Shop, drop: str, n: int) -> None:
    """So many people come into the pot."""
    claims = [Claim(f"u{k}", f"c{k}", nonce=f"n{k}") for k in range(n)]
    await shop.ledger.claim(ROOM, drop, "b", claims, shop.clock())


async def drawn(shop: Shop, drop: str) -> Drop:
    """Close it and draw, as the shard's owner does."""
    await shop.call("POST", f"{DROPS}/{drop}/close")
    kept = await shop.ledger.drop(ROOM, drop)
    assert kept is not None
    after = await run_draw(shop.ledger, kept, shop.clock)
    assert isinstance(after, Drop), after
    return after


async def fetch(shop: Shop, drop: str, **more: Any) -> Answer:
    """The file, asked for without credentials."""
    return await shop.call("GET", f"{DROPS}/{drop}/draw", auth=None, **more)


async def test_anybody_can_recompute_a_draw(shop: Shop) -> None:
    """No credentials; no name is in it; it fits what was committed to, and everybody finds their own leaf. It may be cached."""
    drop = await opened(shop)
    commitment = (await shop.call("GET", f"{DROPS}/{drop}")).json["commitment"]
    await enter(shop, drop, 9)
    await drawn(shop, drop)
    got = await fetch(shop, drop)
    assert (got.status, got.headers["Cache-Control"]) == (200, "public, max-age=86400")
    file = msgspec.json.decode(got.body, type=draw.DrawFile)
    assert draw.verify(file, commitment) == []
    assert (file.room, file.drop, file.units, len(file.entrants), len(file.winners)) == (ROOM, drop, 3, 9, 3)
    winners = {unit.user for unit in await shop.ledger.units(ROOM, drop, 0, 99)}
    assert {f"u{k}" for k in range(9) if draw.outcome_for(file, f"u{k}", f"n{k}") == "won"} == winners
    assert b"u1" not in got.body.replace(drop.encode(), b"")
    assert (await fetch(shop, drop, headers={"If-None-Match": got.headers["ETag"]})).status == 304
    assert (await shop.call("GET", f"{DROPS}/{drop}/draw")).body == got.body  # a shop sends its key as everywhere else


async def test_a_draw_stays_what_it_was(shop: Shop) -> None:
    """Units that are revoked, a stock that grows and claims from behind the fair window change nothing of who was drawn."""
    drop = await opened(shop, kind="coupon", order="fair", fair_window_ms=500)
    await enter(shop, drop, 2)
    kept = await shop.ledger.drop(ROOM, drop)
    assert kept is not None
    while not isinstance(after := await run_draw(shop.ledger, kept, shop.clock), Drop):
        assert after.message == "The window is open."
        await asyncio.sleep((after.retry_after_ms or 0) / 1000)
    assert after.state == "open"
    before = await fetch(shop, drop)
    assert (await shop.ledger.claim(ROOM, drop, "b", [Claim("late", "c")], shop.clock())) != []
    assert (await shop.call("PATCH", f"{DROPS}/{drop}", json={"stock_delta": 5})).status == 200
    assert (await shop.call("POST", f"{DROPS}/{drop}/claims/1/revoke", json={"return_stock": True})).status == 200
    now = await shop.ledger.drop(ROOM, drop)
    assert now is not None
    again = await DrawFiles(shop.node)._made(shop.ledger, now)  # as another node makes it, which has kept nothing
    file = msgspec.json.decode(before.body, type=draw.DrawFile)
    assert (again, file.units, len(file.winners)) == (file, 3, 2)
    assert draw.verify(file) == []


async def test_what_is_not_drawn_is_not_there(shop: Shop) -> None:
    """404 for a draft, for one still open, for a coupon without a window, for no drop and no room; not for long in a cache."""
    drop = await opened(shop)
    coupon = await opened(shop, kind="coupon")
    draft = (await shop.call("POST", DROPS, json={"title": "x", "kind": "draw", "stock": 1})).json["id"]
    for path, code in ((drop, "not_found"), (coupon, "not_found"), (draft, "unknown_drop"), ("nothing", "unknown_drop")):
        got = await fetch(shop, path)
        assert (got.status, got.code, got.headers["Cache-Control"]) == (404, code, "public, max-age=1"), path
    assert (await shop.call("GET", "/v1/rooms/nowhere/drops/d/draw", auth=None)).code == "unknown_room"


async def test_a_closed_room_keeps_its_draws_to_its_own(shop: Shop) -> None:
    """Where the policy lets nobody watch unnamed, a token is needed and no shared cache may keep the file."""
    drop = await opened(shop)
    await enter(shop, drop, 2)
    await drawn(shop, drop)
    assert (await shop.call("PATCH", f"/v1/rooms/{ROOM}/policy", json={"anonymous": "off"})).status == 200
    assert (await fetch(shop, drop)).status == 401
    got = await shop.call("GET", f"{DROPS}/{drop}/draw", auth=shop.token("u1"))
    assert (got.status, got.headers["Cache-Control"]) == (200, "private, no-store")


async def test_a_ledger_that_does_not_lead_to_the_result_is_not_shown(shop: Shop) -> None:
    """Somebody took an entrant out behind the ledger's back: no file is better than one that accuses the wrong person."""
    drop = await opened(shop)
    await enter(shop, drop, 4)
    await drawn(shop, drop)
    shop.ledger._drops[ROOM][drop].entrants.pop()
    assert (await fetch(shop, drop)).status == 500
