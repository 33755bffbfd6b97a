"""Orders over HTTP: told by the shop, kept once, tied to the unit that was bought."""

from __future__ import annotations

from typing import Any

import pytest

from livecast.core.money.units import Claim
from support.house import House
from support.shop import Shop

ORDERS = "/v1/rooms/r1/orders"
ORDER = {"order_id": "o-1", "user": "ada", "sku": "bag-1", "amount": 1990, "currency": "EUR", "status": "placed"}


async def test_an_order_is_told_and_told_again(shop: Shop) -> None:
    """201, then 200: amount and status may change, whose it is and what of may not. Its room's owner is rung."""
    await shop.live_room("r1")
    first = await shop.call("POST", ORDERS, json=ORDER)
    assert first.status == 201
    assert first.json.items() >= {**ORDER, "drop": None, "serial": None}.items()
    paid = await shop.call("POST", ORDERS, json={**ORDER, "status": "paid", "amount": 1790})
    assert (paid.status, paid.json["status"], paid.json["amount"], paid.json["at"]) == (200, "paid", 1790, first.json["at"])
    for other in ({"user": "bob"}, {"sku": "bag-2"}):
        assert (await shop.call("POST", ORDERS, json={**ORDER, **other})).code == "conflict"
    assert [kept.order.status for kept in await shop.ledger.orders("r1", 0, 10)] == ["paid"]
    assert shop.rung == ["r1", "r1"]


async def test_an_order_is_tied_to_its_buyers_unit(shop: Shop) -> None:
    """404 for a unit that this user has not."""
    await shop.live_room("r1")
    drop = (await shop.call("POST", "/v1/rooms/r1/drops", json={"title": "x", "kind": "coupon", "stock": 1})).json["id"]
    await shop.call("POST", f"/v1/rooms/r1/drops/{drop}/open")
    await shop.ledger.claim("r1", drop, "b1", [Claim("ada", "c1")], shop.clock())
    tied = await shop.call("POST", ORDERS, json={**ORDER, "drop": drop, "serial": 1})
    assert (tied.status, tied.json["drop"], tied.json["serial"]) == (201, drop, 1)
    for wrong in ({"user": "bob"}, {"serial": 2}, {"drop": "none"}):
        answer = await shop.call("POST", ORDERS, json={**ORDER, "order_id": "o-2", "drop": drop, "serial": 1, **wrong})
        assert (answer.status, answer.code) == (404, "not_found"), wrong


@pytest.mark.parametrize(
    "change",
    [{"amount": -1}, {"amount": 1.5}, {"currency": "eur"}, {"order_id": ""}, {"sku": ""}, {"status": "Paid!"}, {"serial": 1},
     {"drop": "d1"}, {"user": None}],
)  # fmt: skip
async def test_what_is_no_order_is_refused(shop: Shop, change: dict[str, Any]) -> None:
    """422 with the place."""
    await shop.live_room("r1")
    refused = await shop.call("POST", ORDERS, json={**ORDER, **change})
    assert (refused.status, refused.code) == (422, "invalid")
    assert refused.json["errors"]


async def test_orders_are_for_rooms_and_shops(shop: Shop) -> None:
    """404 in a room that is not there; 403 for who may not settle."""
    assert (await shop.call("POST", ORDERS, json=ORDER)).code == "unknown_room"
    await shop.live_room("r1")
    assert (await shop.call("POST", ORDERS, json=ORDER, auth=shop.made_key("d", "drops:write"))).status == 403
    merchant = shop.token("m", role="merchant", rooms=["r1"])
    assert (await shop.call("POST", ORDERS, json=ORDER, auth=merchant)).status == 201


async def test_without_a_ledger_orders_are_unavailable(house: House, shop: Shop) -> None:
    """503 with the time to come back, whether there is none or it is closed."""
    await house.live_room("r1")
    await shop.live_room("r1")
    await shop.close_money("r1")
    for place in (house, shop):
        answer = await place.call("POST", ORDERS, json=ORDER)
        assert (answer.status, answer.code) == (503, "unavailable")
        assert int(answer.headers["Retry-After"]) >= 1
