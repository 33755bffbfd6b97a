"""Rooms over HTTP: made, changed, read, listed; broadcasts begun and ended."""

from __future__ import annotations

import asyncio

from support.house import House


async def test_a_room_is_made_then_replaced(house: House) -> None:
    """The first PUT answers 201, the next 200; what it leaves out falls back to the default."""
    made = await house.call("PUT", "/v1/rooms/r1", json={"title": "Shoes", "policy": {"slow_mode_s": 5}})
    assert made.status == 201
    assert made.json["id"] == "r1"
    assert made.json["policy"]["slow_mode_s"] == 5
    again = await house.call("PUT", "/v1/rooms/r1", json={"title": "Hats"})
    assert again.status == 200
    assert (again.json["title"], again.json["policy"]["slow_mode_s"]) == ("Hats", 0)
    assert again.json["rev"] > made.json["rev"]


async def test_a_patch_merges_and_null_means_the_default(house: House) -> None:
    """PATCH leaves alone what it does not name (RFC 7396)."""
    await house.call("PUT", "/v1/rooms/r1", json={"title": "Shoes", "merchant": "m1", "policy": {"slow_mode_s": 5}})
    patched = await house.call("PATCH", "/v1/rooms/r1", json={"merchant": None, "policy": {"mode": "staff"}})
    assert patched.status == 200
    assert patched.json["title"] == "Shoes"
    assert patched.json["merchant"] == ""
    assert (patched.json["policy"]["slow_mode_s"], patched.json["policy"]["mode"]) == (5, "staff")


async def test_changes_are_guarded_by_revision(house: House) -> None:
    """If-Match lets a change through for the revision it names only; If-None-Match spares an unchanged answer."""
    made = await house.call("PUT", "/v1/rooms/r1", json={"title": "one"})
    tag = made.headers["ETag"]
    assert (await house.call("GET", "/v1/rooms/r1", headers={"If-None-Match": tag})).status == 304
    two = await house.call("PATCH", "/v1/rooms/r1", json={"title": "two"}, headers={"If-Match": tag})
    assert two.status == 200
    assert two.headers["ETag"] != tag
    late = await house.call("PATCH", "/v1/rooms/r1", json={"title": "three"}, headers={"If-Match": tag})
    assert (late.status, late.code) == (412, "precondition_failed")
    assert late.headers["ETag"] == two.headers["ETag"]
    assert (await house.call("PATCH", "/v1/rooms/r1", json={"title": "three"}, headers={"If-Match": "*"})).status == 200
    assert (await house.call("PUT", "/v1/rooms/none", json={}, headers={"If-Match": "*"})).status == 412
    fresh = await house.call("GET", "/v1/rooms/r1", headers={"If-None-Match": tag})
    assert (fresh.status, fresh.json["title"]) == (200, "three")


async def test_a_broadcast_goes_its_way(house: House) -> None:
    """start, pause, resume, end; a step that is not possible now is a conflict."""
    await house.call("PUT", "/v1/rooms/r1", json={})
    steps = [
        ("pause", 409),
        ("start", 200),
        ("start", 409),
        ("pause", 200),
        ("pause", 409),
        ("resume", 200),
        ("end", 200),
        ("end", 409),
    ]
    for step, status in steps:
        answer = await house.call("POST", f"/v1/rooms/r1/{step}")
        assert answer.status == status, (step, answer)
    assert (await house.call("GET", "/v1/rooms/r1")).json["status"] == "ended"
    again = await house.call("POST", "/v1/rooms/r1/start", json={"title": "second night"})
    assert (again.json["status"], again.json["title"]) == ("live", "second night")


async def test_the_list_shows_what_the_caller_may_see(house: House) -> None:
    """Pages in order of ids, by status and merchant, within the key's globs."""
    for k in range(5):
        await house.call("PUT", f"/v1/rooms/a{k}", json={"merchant": "m1" if k % 2 else "m2"})
    await house.call("PUT", "/v1/rooms/b0", json={"merchant": "m1"})
    await house.call("POST", "/v1/rooms/a3/start")
    first = await house.call("GET", "/v1/rooms?limit=4")
    assert [room["id"] for room in first.json["data"]] == ["a0", "a1", "a2", "a3"]
    rest = await house.call("GET", f"/v1/rooms?limit=4&cursor={first.json['next_cursor']}")
    assert [room["id"] for room in rest.json["data"]] == ["a4", "b0"]
    assert rest.json["next_cursor"] is None
    of_m1 = await house.call("GET", "/v1/rooms?merchant=m1")
    assert [room["id"] for room in of_m1.json["data"]] == ["a1", "a3", "b0"]
    live = await house.call("GET", "/v1/rooms?status=live")
    assert [room["id"] for room in live.json["data"]] == ["a3"]
    narrow = house.made_key("narrow", "rooms:read", rooms=("b*",))
    assert [room["id"] for room in (await house.call("GET", "/v1/rooms", auth=narrow)).json["data"]] == ["b0"]
    seller = house.made_key("seller", "rooms:read", merchant="m2")
    assert [room["id"] for room in (await house.call("GET", "/v1/rooms", auth=seller)).json["data"]] == ["a0", "a2", "a4"]


async def test_a_wrong_query_is_told(house: House) -> None:
    """422 with the parameter's name."""
    for query in ("limit=0", "limit=201", "limit=x", "status=gone", "cursor=!!", "cursor=abc", "limit=1&limit=2"):
        answer = await house.call("GET", f"/v1/rooms?{query}")
        assert (answer.status, answer.code) == (422, "invalid"), query
        assert answer.json["errors"][0]["pointer"] == "?" + query.partition("=")[0]


async def test_a_host_neither_takes_a_room_to_another_seller_nor_out_of_its_hands(house: House) -> None:
    """Whose room it is decides whose filter and bans hold in it, and for whom receipts are: API keys say it, staff does not."""
    await house.live_room("r1", merchant="m1")
    for role in ("host", "merchant"):
        staff = house.token("lin", role=role, rooms=["r*"])
        kept = await house.call("PUT", "/v1/rooms/r1", auth=staff, json={"title": role})
        assert (kept.status, kept.json["title"], kept.json["merchant"]) == (200, role, "m1")
        assert (await house.call("PUT", "/v1/rooms/r1", auth=staff, json={"merchant": "m1"})).status == 200
        for change in ({"merchant": "m2"}, {"merchant": ""}, {"merchant": None}):
            assert (await house.call("PATCH", "/v1/rooms/r1", auth=staff, json=change)).status == 403
        assert (await house.call("PUT", "/v1/rooms/r1", auth=staff, json={"merchant": "m2"})).status == 403
        assert (await house.call("PUT", f"/v1/rooms/r-{role}", auth=staff, json={"merchant": "m1"})).status == 403
        assert (await house.call("PUT", f"/v1/rooms/r-{role}", auth=staff, json={})).json["merchant"] == ""


async def test_a_seller_reaches_only_its_own_rooms(house: House) -> None:
    """A merchant's key makes rooms of that merchant and neither reads, changes nor takes over another's."""
    mine, other = (house.made_key(m, "rooms:read", "rooms:write", merchant=m) for m in ("m1", "m2"))
    made = await house.call("PUT", "/v1/rooms/r1", auth=mine, json={"title": "mine"})
    assert (made.status, made.json["merchant"]) == (201, "m1")
    for method, path, body in [
        ("GET", "/v1/rooms/r1", None),
        ("PUT", "/v1/rooms/r1", {"title": "stolen"}),
        ("PATCH", "/v1/rooms/r1", {"title": "stolen"}),
        ("POST", "/v1/rooms/r1/start", {}),
        ("PATCH", "/v1/rooms/r1/policy", {"mode": "staff"}),
    ]:
        assert (await house.call(method, path, auth=other, json=body)).status == 403, (method, path)
    assert (await house.call("PATCH", "/v1/rooms/r1", auth=mine, json={"merchant": "m2"})).status == 403
    assert (await house.call("PUT", "/v1/rooms/r2", auth=mine, json={"merchant": "m2"})).status == 403
    assert (await house.call("GET", "/v1/rooms/r1", auth=mine)).json["title"] == "mine"


async def test_two_sellers_do_not_make_one_room(house: House) -> None:
    """Of two merchants that make the same room at the same moment one gets it."""
    keys = [house.made_key(m, "rooms:write", merchant=m) for m in ("m1", "m2")]
    answers = await asyncio.gather(*(house.call("PUT", "/v1/rooms/r1", auth=key, json={}) for key in keys))
    assert sorted(answer.status for answer in answers) == [201, 403]


async def test_policy_and_custom_are_merge_patches(house: House) -> None:
    """Null takes a value away; a wrong policy is refused with its place, an unknown name with the nearest right one."""
    await house.live_room("r1")
    changed = await house.call("PATCH", "/v1/rooms/r1/policy", json={"slow_mode_s": 3, "styles": {"color": False}})
    assert changed.json["policy"]["slow_mode_s"] == 3
    assert changed.json["policy"]["styles"]["color"] is False
    wrong = await house.call("PATCH", "/v1/rooms/r1/policy", json={"slow_mode_s": 500})
    assert (wrong.status, wrong.json["errors"][0]["pointer"]) == (422, "/slow_mode_s")
    typo = await house.call("PATCH", "/v1/rooms/r1/policy", json={"slow_mode": 3})
    assert (typo.status, typo.json["errors"][0]["pointer"]) == (422, "/slow_mode")
    assert "slow_mode_s" in typo.json["errors"][0]["detail"]
    nested = await house.call("PUT", "/v1/rooms/r2", json={"policy": {"slowmode_s": 3}})
    assert nested.json["errors"][0]["pointer"] == "/policy/slowmode_s"
    custom = await house.call("PATCH", "/v1/rooms/r1/custom", json={"banner": {"a": 1}, "x": [1, 2]})
    assert custom.json["custom"] == {"banner": {"a": 1}, "x": [1, 2]}
    custom = await house.call("PATCH", "/v1/rooms/r1/custom", json={"banner": {"a": None, "b": 2}, "x": None})
    assert custom.json["custom"] == {"banner": {"b": 2}}
    large = await house.call("PATCH", "/v1/rooms/r1/custom", json={"x": "y" * 20_000})
    assert large.status in {413, 422}


async def test_a_line_is_pinned_and_unpinned(house: House) -> None:
    """PUT and DELETE notice."""
    await house.live_room("r1")
    assert (await house.call("PUT", "/v1/rooms/r1/notice", json={"text": "Sale at nine"})).json["notice"] == {
        "text": "Sale at nine"
    }
    assert (await house.call("DELETE", "/v1/rooms/r1/notice")).json["notice"] is None
    assert (await house.call("PUT", "/v1/rooms/r1/notice", json={"text": ""})).status == 422


async def test_an_unknown_room_is_told(house: House) -> None:
    """404 unknown_room, whatever is asked of it; an id that cannot be one is told so where it would be made."""
    for method, path, body in [
        ("GET", "/v1/rooms/none", None),
        ("PATCH", "/v1/rooms/none", {"title": "x"}),
        ("POST", "/v1/rooms/none/start", {}),
        ("POST", "/v1/rooms/none/comments", {"text": "hi"}),
        ("GET", "/v1/rooms/none/mutes", None),
        ("GET", "/v1/rooms/no%20room", None),
    ]:
        answer = await house.call(method, path, json=body)
        assert (answer.status, answer.code) == (404, "unknown_room"), (method, path)
    assert (await house.call("PUT", "/v1/rooms/no%20room", json={})).status == 422
