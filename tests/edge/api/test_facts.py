"""What a platform says of its users: it counts above their tokens, for drops that ask for it, and can be taken back."""

from __future__ import annotations

from typing import Any

import pytest

from support.shop import Shop

FACTS = "/v1/rooms/r1/users/ada/facts"
DROPS = "/v1/rooms/r1/drops"


async def opened(shop: Shop, **facts: Any) -> str:
    """The id of an open drop in a live room that asks for these facts."""
    await shop.live_room("r1")
    config = {"title": "x", "kind": "coupon", "stock": 9, "per_user": 9, "eligibility": {"facts": facts}}
    drop = (await shop.call("POST", DROPS, json=config)).json["id"]
    assert (await shop.call("POST", f"{DROPS}/{drop}/open")).status == 200
    return str(drop)


async def click(shop: Shop, drop: str, cid: str, **claims: Any) -> dict[str, Any]:
    """A claim of Ada's."""
    message = {"t": "claim", "cid": cid, "drop": drop}
    said: dict[str, Any] = (await shop.call("POST", "/v1/rooms/r1/messages", auth=shop.token("ada", **claims), json=message)).json
    return said


async def test_facts_are_put_read_and_taken_back(shop: Shop) -> None:
    """PUT replaces; both forms of a body say the same; of whom nothing was said there is nothing."""
    await shop.live_room("r1")
    assert (await shop.call("GET", FACTS)).json == {"user": "ada", "facts": {}}
    put = await shop.call("PUT", FACTS, json={"vip": True, "city": "杭州", "orders": 3})
    assert (put.status, put.json) == (200, {"user": "ada", "facts": {"vip": True, "city": "杭州", "orders": 3}})
    assert (await shop.call("GET", FACTS)).json == put.json
    assert (await shop.call("PUT", FACTS, json={"facts": {"vip": False}})).json["facts"] == {"vip": False}
    assert (await shop.call("PUT", FACTS, json={})).json["facts"] == {}
    assert (await shop.call("GET", FACTS)).json["facts"] == {}


async def test_a_fact_lets_in_and_keeps_out(shop: Shop) -> None:
    """The platform's word counts above the token's, at the next click."""
    drop = await opened(shop, vip=True, orders={"gte": 3})
    refused = await click(shop, drop, "c1", facts={"orders": 5})
    assert (refused["verdict"], refused["missing"]) == ("not_eligible", [{"rule": "facts.vip", "have": None, "need": True}])
    await shop.call("PUT", FACTS, json={"vip": True})
    assert (await click(shop, drop, "c1", facts={"orders": 5}))["verdict"] == "won"
    await shop.call("PUT", FACTS, json={"vip": True, "orders": 2})
    refused = await click(shop, drop, "c2", facts={"orders": 5})
    assert refused["missing"] == [{"rule": "facts.orders", "have": 2, "need": {"gte": 3}}]


async def test_facts_of_who_is_forgotten_are_forgotten(shop: Shop) -> None:
    """In every room, also where the user never was; what was said of others stays."""
    await shop.live_room("r1")
    await shop.call("PUT", FACTS, json={"vip": True})
    await shop.call("PUT", "/v1/rooms/r1/users/bob/facts", json={"vip": True})
    assert (await shop.call("DELETE", "/v1/users/ada")).json["rooms"] == ["r1"]
    assert (await shop.call("GET", FACTS)).json["facts"] == {}
    assert (await shop.call("GET", "/v1/rooms/r1/users/bob/facts")).json["facts"] == {"vip": True}
    assert (await shop.call("DELETE", "/v1/users/ada")).json["rooms"] == []


async def test_facts_are_of_one_room(shop: Shop) -> None:
    """Another room knows nothing of them."""
    await shop.live_room("r1")
    await shop.live_room("r2")
    await shop.call("PUT", FACTS, json={"vip": True})
    assert (await shop.call("GET", "/v1/rooms/r2/users/ada/facts")).json["facts"] == {}


@pytest.mark.parametrize(
    ("facts", "status", "pointer"),
    [({"vip": [1]}, 422, "/vip"), ({"a b": 1}, 422, "/a b"), ({"a/b": 1}, 422, "/a~1b"), ({"x": "y" * 65}, 422, "/x"),
     ({f"k{n}": "y" * 60 for n in range(20)}, 413, None)],
)  # fmt: skip
async def test_what_is_no_fact_is_refused(shop: Shop, facts: dict[str, Any], status: int, pointer: str | None) -> None:
    """422 with the place; more than a token could carry is 413."""
    await shop.live_room("r1")
    refused = await shop.call("PUT", FACTS, json=facts)
    assert refused.status == status
    assert not pointer or refused.json["errors"][0]["pointer"] == pointer
    assert (await shop.call("GET", FACTS)).json["facts"] == {}


async def test_facts_are_for_those_who_moderate(shop: Shop) -> None:
    """A key or staff of the room; nobody says of themselves that they are a VIP."""
    await shop.live_room("r1")
    assert (await shop.call("PUT", FACTS, json={"vip": True}, auth=shop.token("ada"))).status == 403
    assert (await shop.call("PUT", FACTS, json={"vip": True}, auth=shop.made_key("k", "drops:write"))).status == 403
    assert (await shop.call("PUT", FACTS, json={"vip": True}, auth=None)).status == 401
    assert (await shop.call("PUT", "/v1/rooms/none/users/ada/facts", json={"vip": True})).code == "unknown_room"
