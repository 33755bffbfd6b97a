"""Drops over HTTP: made as asked, changed while that is fair, taken through their states, and unavailable without a ledger."""

from __future__ import annotations

from typing import Any

import pytest

from livecast.core.money.draw import commitment_of, seed_of
from support.house import House
from support.shop import Shop

DROPS = "/v1/rooms/r1/drops"


async def made(shop: Shop, **config: Any) -> dict[str, Any]:
    """A drop in a live room `r1`."""
    if (await shop.call("GET", "/v1/rooms/r1")).status == 404:
        await shop.live_room("r1")
    answer = await shop.call("POST", DROPS, json={"title": "50 bags", "kind": "coupon", "stock": 3, **config})
    assert answer.status == 201, answer
    drop: dict[str, Any] = answer.json
    return drop


async def step(shop: Shop, drop: dict[str, Any], word: str) -> Any:
    """The answer to a step."""
    return await shop.call("POST", f"{DROPS}/{drop['id']}/{word}")


async def test_a_drop_is_made_and_read(shop: Shop) -> None:
    """201 with the whole draft, what was not said at its default; the same is read and listed, and its owner is rung."""
    drop = await made(shop, sku="bag-1", eligibility={"min_level": 3}, reserve_s=60, meta={"colour": "red"})
    defaults = {"state": "draft", "left": 3, "granted": 0, "per_user": 1, "codes": "generated", "order": "first", "test": False}
    assert drop.items() >= {**defaults, "room": "r1", "sku": "bag-1", "reserve_s": 60, "commitment": None}.items()
    assert (drop["eligibility"], drop["meta"]) == ({"min_level": 3}, {"colour": "red"})
    assert (await shop.call("GET", f"{DROPS}/{drop['id']}")).json == drop
    assert (await shop.call("GET", DROPS)).json == {"data": [drop], "next_cursor": None}
    assert shop.rung == ["r1"]


async def test_what_is_said_of_a_drop_is_true(shop: Shop) -> None:
    """The answer has exactly the members that the description lists."""
    schema = (await shop.call("GET", "/openapi.json", auth=None)).json["components"]["schemas"]["DropNow"]
    assert (await made(shop)).keys() == schema["properties"].keys() == set(schema["required"])


async def test_the_list_goes_page_by_page(shop: Shop) -> None:
    """Newest first, each drop once."""
    ids = [(await made(shop))["id"] for _ in range(5)]
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = (await shop.call("GET", f"{DROPS}?limit=2&cursor={cursor}")).json
        seen += [drop["id"] for drop in page["data"]]
        cursor = page["next_cursor"]
    assert seen == ids[::-1]


@pytest.mark.parametrize(
    ("change", "pointer"),
    [({"stock": 0}, "/stock"), ({"stock": 1_000_001}, "/stock"), ({"per_user": 11}, "/per_user"), ({"kind": "raffle"}, "/kind"),
     ({"title": "\u200b"}, "/title"), ({"closes_at": 1}, "/closes_at"), ({"fair_window_ms": 500}, "/fair_window_ms"),
     ({"eligibility": {"level": 3}}, "/eligibility/level"), ({"colour": 1}, "/colour")],
)  # fmt: skip
async def test_what_is_no_drop_is_refused(shop: Shop, change: dict[str, Any], pointer: str) -> None:
    """422 with the place."""
    await shop.live_room("r1")
    refused = await shop.call("POST", DROPS, json={"title": "x", "kind": "coupon", "stock": 1, **change})
    assert (refused.status, refused.code) == (422, "invalid")
    assert refused.json["errors"][0]["pointer"] == pointer


async def test_a_drop_goes_its_way(shop: Shop) -> None:
    """announce, open, pause, resume, close; a step again changes nothing, one that is not possible now is a conflict."""
    drop = await made(shop)
    way = [("pause", 409, None), ("announce", 200, "announced"), ("open", 200, "open"), ("open", 200, "open"),
           ("announce", 409, None), ("pause", 200, "paused"), ("resume", 200, "open"), ("close", 200, "closed"),
           ("open", 409, None), ("cancel", 200, "cancelled"), ("close", 409, None)]  # fmt: skip
    for word, status, state in way:
        answer = await step(shop, drop, word)
        assert answer.status == status, (word, answer)
        if state:
            assert answer.json["state"] == state
    assert (await step(shop, {"id": "none"}, "open")).code == "unknown_drop"


async def test_a_draft_may_be_changed_whole_an_open_drop_not(shop: Shop) -> None:
    """Before it opens PATCH merges, null falls back to the default; after that only the stock moves and the close."""
    drop = await made(shop, per_user=2, sku="bag-1")
    path = f"{DROPS}/{drop['id']}"
    draft = (await shop.call("PATCH", path, json={"title": "60 bags", "sku": None, "stock": 5})).json
    assert (draft["title"], draft["sku"], draft["stock"], draft["left"], draft["per_user"]) == ("60 bags", None, 5, 5, 2)
    await step(shop, drop, "open")
    late = await shop.call("PATCH", path, json={"title": "70 bags"})
    assert (late.status, late.code) == (409, "conflict")
    more = (await shop.call("PATCH", path, json={"stock_delta": 2, "closes_at": shop.clock() + 60_000})).json
    assert (more["stock"], more["left"]) == (7, 7)
    assert more["closes_at"]
    below = await shop.call("PATCH", path, json={"stock_delta": -8})
    assert (below.status, below.json["errors"][0]["pointer"]) == (422, "/stock_delta")


async def test_a_repeated_change_of_stock_counts_once(shop: Shop) -> None:
    """With the same Idempotency-Key, as somebody does who got no answer; with If-Match of a past state: 412."""
    drop = await made(shop)
    path = f"{DROPS}/{drop['id']}"
    opened = await step(shop, drop, "open")
    for _ in range(2):
        more = await shop.call("PATCH", path, json={"stock_delta": 2}, headers={"Idempotency-Key": "more-1"})
        assert (more.status, more.json["stock"]) == (200, 5)
    stale = await shop.call("PATCH", path, json={"stock_delta": 2}, headers={"If-Match": opened.headers["ETag"]})
    assert (stale.status, stale.code) == (412, "precondition_failed")


async def test_of_two_who_change_the_same_drop_one_wins(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both read it and both send its tag: the ledger itself compares, so that nothing comes between looking and changing."""
    drop = await made(shop, codes="list")
    path = f"{DROPS}/{drop['id']}"
    tag = {"If-Match": (await shop.call("GET", path)).headers["ETag"]}
    late = shop.ledger.change_drop

    async def raced(*args: Any) -> Any:
        monkeypatch.setattr(shop.ledger, "change_drop", late)
        assert (await shop.call("PATCH", path, json={"title": "first"}, headers=tag)).status == 200
        return await late(*args)

    monkeypatch.setattr(shop.ledger, "change_drop", raced)
    second = await shop.call("PATCH", path, json={"title": "second"}, headers=tag)
    assert (second.status, second.code) == (412, "precondition_failed")
    assert (await shop.call("GET", path)).json["title"] == "first"
    stale = await shop.call("PUT", f"{path}/codes", data=b"A\nB\nC", headers={**tag, "Content-Type": "text/plain"})
    assert stale.status == 412
    assert (await shop.call("PATCH", path, json={"title": "third"}, headers={"If-Match": "*"})).status == 200


async def test_a_repeated_change_of_a_draft_is_answered_again(shop: Shop) -> None:
    """`stock_delta` of a draft counts once as well."""
    path = f"{DROPS}/{(await made(shop))['id']}"
    for _ in range(2):
        more = await shop.call("PATCH", path, json={"stock_delta": 2}, headers={"Idempotency-Key": "more-1"})
        assert (more.status, more.json["stock"]) == (200, 5)


async def test_a_drop_asked_for_twice_is_one(shop: Shop) -> None:
    """Its id follows from the Idempotency-Key, also where what remembers first answers has forgotten it."""
    await shop.live_room("r1")
    body = {"title": "Lucky draw", "kind": "draw", "stock": 1}
    first = await shop.call("POST", DROPS, json=body, headers={"Idempotency-Key": "k1"})
    shop.clock.ahead_ms += 25 * 3_600_000
    again = await shop.call("POST", DROPS, json=body, headers={"Idempotency-Key": "k1"})
    assert (again.status, again.json) == (201, first.json)
    assert len((await shop.call("GET", DROPS)).json["data"]) == 1


async def test_chance_is_committed_to(shop: Shop) -> None:
    """A draw has its commitment from the beginning, a drop that becomes fair from then on; it is that of the kept secret."""
    for drop in (await made(shop, kind="draw"), await made(shop, order="fair")):
        secret = await shop.ledger.secret("r1", drop["id"])
        assert drop["commitment"] == commitment_of(seed_of(secret or b""))
    drop = await made(shop)
    fair = (await shop.call("PATCH", f"{DROPS}/{drop['id']}", json={"order": "fair"})).json
    assert fair["commitment"] == commitment_of(seed_of(await shop.ledger.secret("r1", drop["id"]) or b""))
    assert (await shop.call("PATCH", f"{DROPS}/{drop['id']}", json={"order": "first"})).json["commitment"] is None
    assert (await shop.call("PATCH", f"{DROPS}/{drop['id']}", json={"order": "fair"})).json["commitment"] == fair["commitment"]


async def test_a_room_that_is_not_there_has_no_drops(shop: Shop) -> None:
    """404 unknown_room, for making as for listing; an unknown drop is unknown_drop."""
    body = {"title": "x", "kind": "coupon", "stock": 1}
    assert (await shop.call("POST", "/v1/rooms/none/drops", json=body)).code == "unknown_room"
    assert (await shop.call("GET", "/v1/rooms/none/drops")).code == "unknown_room"
    await shop.live_room("r1")
    for method, path in (("GET", f"{DROPS}/none"), ("PATCH", f"{DROPS}/none"), ("PUT", f"{DROPS}/none/codes")):
        assert (await shop.call(method, path, json={} if method == "PATCH" else None)).code == "unknown_drop"


async def test_who_may(shop: Shop) -> None:
    """A host makes and opens drops of their own rooms, a moderator sees them, another seller neither."""
    drop = await made(shop)
    host, moderator = (shop.token(f"u-{role}", role=role, rooms=["r1"]) for role in ("host", "moderator"))
    assert (await shop.call("POST", f"{DROPS}/{drop['id']}/announce", auth=host)).status == 200
    assert (await shop.call("GET", DROPS, auth=moderator)).status == 200
    assert (await shop.call("POST", f"{DROPS}/{drop['id']}/open", auth=moderator)).status == 403
    seller = shop.made_key("seller", "drops:read", "drops:write", merchant="m2")
    assert (await shop.call("GET", f"{DROPS}/{drop['id']}", auth=seller)).status == 403
    assert (await shop.call("GET", DROPS, auth=shop.token("ada"))).status == 403
    assert (await shop.call("GET", DROPS, auth=None)).status == 401


async def test_without_a_ledger_drops_are_unavailable(house: House) -> None:
    """503 with the time to come back."""
    await house.live_room("r1")
    for method, path, body in [
        ("POST", DROPS, {"title": "x", "kind": "coupon", "stock": 1}),
        ("GET", DROPS, None),
        ("GET", f"{DROPS}/d1", None),
        ("PATCH", f"{DROPS}/d1", {"stock_delta": 1}),
        ("POST", f"{DROPS}/d1/open", None),
        ("PUT", f"{DROPS}/d1/codes", None),
    ]:
        answer = await house.call(method, path, json=body)
        assert (answer.status, answer.code) == (503, "unavailable"), (method, path)
        assert int(answer.headers["Retry-After"]) >= 1


async def test_a_closed_ledger_makes_no_drop(shop: Shop) -> None:
    """503; nothing is there afterwards."""
    await shop.live_room("r1")
    await shop.close_money("r1")
    answer = await shop.call("POST", DROPS, json={"title": "x", "kind": "coupon", "stock": 1})
    assert (answer.status, answer.code) == (503, "unavailable")
    await shop.open_money("r1")
    assert (await shop.call("GET", DROPS)).json["data"] == []
