"""The shelf over HTTP, and taps on sockets."""

from __future__ import annotations

from support.house import House
from support.viewer import Viewer

R1 = "/v1/rooms/r1"
LIPSTICK = {"title": "Lipstick", "price": {"amount": 1990, "currency": "CNY"}}


async def test_a_product_is_shown_tapped_and_taken_off(house: House) -> None:
    """201 and 200, merged, on air, tapped, listed with its taps, gone."""
    await house.live_room("r1")
    made = await house.call("PUT", f"{R1}/products/p1", json=LIPSTICK)
    assert (made.status, made.json) == (201, {"id": "p1", **LIPSTICK, "status": "available", "order": 1})
    assert (await house.call("PUT", f"{R1}/products/p1", json=LIPSTICK)).status == 200
    changed = await house.call("PATCH", f"{R1}/products/p1", json={"price": {"amount": 990}, "sku": "s"})
    assert (changed.status, changed.json["price"]) == (200, {"amount": 990, "currency": "CNY"})
    on_air = await house.call("PUT", f"{R1}/on-air", json={"product": "p1"})
    assert (on_air.status, on_air.json["on_air"]) == (200, "p1")
    async with Viewer(house.port, "r1", house.token("ann")) as ann:
        state = (await ann.welcome())["state"]
        assert (state["on_air"], state["products"]["p1"]["sku"]) == ("p1", "s")
        await ann.send("tap", target="p1", n=3)
        await ann.ask("ping", "p")
    tap = {"t": "tap", "target": "p1", "n": 2}
    assert (await house.call("POST", f"{R1}/messages", auth=house.token("bob"), json=tap)).status == 200

    async def taps() -> int:
        return int((await house.call("GET", f"{R1}/products")).json["data"][0]["taps"])

    for _ in range(100):
        if await taps() == 5:
            break
    assert await taps() == 5
    assert (await house.call("PUT", f"{R1}/on-air", json={"product": None})).json == {"on_air": None, "product": None}
    assert (await house.call("DELETE", f"{R1}/products/p1")).json["id"] == "p1"
    for method, path in (("DELETE", "products/p1"), ("PATCH", "products/p1"), ("PATCH", "products/%20")):
        assert (await house.call(method, f"{R1}/{path}")).code == "not_found"
    assert (await house.call("PUT", f"{R1}/on-air", json={"product": "p1"})).code == "not_found"


async def test_two_who_change_a_product_do_not_overwrite_each_other(house: House) -> None:
    """Its tag is its own: another product's change leaves it, its own is noticed, whoever comes second is told."""
    await house.live_room("r1")
    path = f"{R1}/products/p1"
    assert (await house.call("PUT", path, json=LIPSTICK, headers={"If-Match": "*"})).code == "precondition_failed"
    first = (await house.call("PUT", path, json=LIPSTICK)).headers["ETag"]
    read = await house.call("GET", path)
    assert (read.headers["ETag"], read.json) == (first, {"id": "p1", **LIPSTICK, "status": "available", "order": 1})
    assert (await house.call("GET", path, headers={"If-None-Match": first})).status == 304
    await house.call("PUT", f"{R1}/products/p2", json=LIPSTICK)
    await house.call("PATCH", "/v1/rooms/r1", json={"title": "Another"})
    seen = {"If-Match": first}
    mine = await house.call("PATCH", path, json={"title": "Mine"}, headers=seen)
    assert (mine.status, mine.headers["ETag"] != first) == (200, True)
    for method, body in (("PATCH", {"title": "Yours"}), ("PUT", LIPSTICK), ("DELETE", None)):
        assert (await house.call(method, path, json=body, headers=seen)).code == "precondition_failed", method
    assert (await house.call("GET", path)).json["title"] == "Mine"
    assert (await house.call("PUT", path, json=LIPSTICK, headers={"If-Match": '"*"'})).code == "precondition_failed"
    either = {"If-Match": f"{first}, {mine.headers['ETag']}"}
    assert (await house.call("PATCH", path, json={"title": "Lipstick"}, headers=either)).headers["ETag"] == first
    assert (await house.call("DELETE", path, headers=seen)).status == 200
    assert (await house.call("GET", path)).code == "not_found"
    assert (await house.call("DELETE", path, headers=seen)).code == "precondition_failed"


async def test_a_product_keeps_its_id(house: House) -> None:
    """In a patch it may be said again, and nothing else may."""
    await house.live_room("r1")
    assert (await house.call("PUT", f"{R1}/products/p1", json=LIPSTICK)).status == 201
    for id_, status in (("p1", 200), (None, 200), ("", 422), ("p2", 422), ({}, 422), ([1], 422)):
        answer = await house.call("PATCH", f"{R1}/products/p1", json={"id": id_, "title": "New"})
        assert answer.status == status, id_
    assert (await house.call("GET", f"{R1}/products")).json["data"][0]["id"] == "p1"


async def test_products_that_are_none(house: House) -> None:
    """422 with the field at fault."""
    await house.live_room("r1")
    for body in (
        {},
        LIPSTICK | {"price": 5},
        LIPSTICK | {"price": {"amount": -1, "currency": "CNY"}},
        LIPSTICK | {"colour": "red"},
    ):
        assert (await house.call("PUT", f"{R1}/products/p1", json=body)).status == 422
    assert (await house.call("PUT", f"{R1}/products/a%2Fb", json=LIPSTICK)).status in {404, 422}
    assert (await house.call("PUT", f"{R1}/products/%E4%B8%AD", json=LIPSTICK)).status == 422
