"""`If-Match` where an object has a tag of its own: filters, moderators, facts. Of two who read the same one wins."""

from __future__ import annotations

from typing import Any

import pytest

from livecast.shard.house import House
from support.shop import Shop

ROOM = "/v1/rooms/r1"


@pytest.mark.parametrize(
    ("path", "one", "two", "at_first"),
    [
        ("/v1/filters/room:r1", {"block": ["damn"]}, {"block": ["darn"]}, 200),
        (f"{ROOM}/users/ada/facts", {"vip": True}, {"vip": False, "n": 1}, 200),
        (f"{ROOM}/moderators/ada", {"name": "Ada"}, {"name": "Countess"}, 201),
    ],
)
async def test_a_change_is_made_only_to_what_was_seen(shop: Shop, path: str, one: Any, two: Any, at_first: int) -> None:
    """The tag of a PUT is that of the GET; a change moves it; whoever comes with the former one is told 412, and which it is."""
    await shop.live_room("r1")
    first = await shop.call("PUT", path, json=one)
    read = await shop.call("GET", path)
    tag = first.headers["ETag"]
    assert (first.status, read.headers["ETag"]) == (at_first, tag)
    assert (await shop.call("GET", path, headers={"If-None-Match": tag})).status == 304

    mine = await shop.call("PUT", path, json=two, headers={"If-Match": f'"other", {tag}'})
    assert (mine.status, mine.headers["ETag"] != tag) == (200, True)
    late = await shop.call("PUT", path, json=one, headers={"If-Match": tag})
    assert (late.status, late.code) == (412, "precondition_failed")
    assert late.headers["Content-Type"].startswith("application/problem+json")
    assert (await shop.call("GET", path)).json == {**read.json, **mine.json}
    assert (await shop.call("PUT", path, json=one, headers={"If-Match": "*"})).headers["ETag"] == tag


async def test_what_is_taken_away_is_what_was_seen(shop: Shop) -> None:
    """DELETE likewise; a moderator who is none matches nothing."""
    await shop.live_room("r1")
    for path, body in (("/v1/filters/room:r1", {"hold": ["scam"]}), (f"{ROOM}/moderators/ada", {"name": "Ada"})):
        tag = (await shop.call("PUT", path, json=body)).headers["ETag"]
        assert (await shop.call("DELETE", path, headers={"If-Match": '"other"'})).code == "precondition_failed"
        assert (await shop.call("DELETE", path, headers={"If-Match": tag})).status == 200
    assert (await shop.call("PUT", f"{ROOM}/moderators/bob", json={}, headers={"If-Match": "*"})).status == 412
    assert (await shop.call("GET", f"{ROOM}/moderators/bob")).code == "not_found"


async def test_one_list_of_a_filter_is_guarded_as_the_whole_is(shop: Shop) -> None:
    """The tag is of the whole filter; several who replace a list each at the same time lose nothing."""
    await shop.live_room("r1")
    text = {"Content-Type": "text/plain"}
    path = "/v1/filters/room:r1"
    tag = (await shop.call("GET", path)).headers["ETag"]
    put = await shop.call("PUT", f"{path}/block", data=b"damn", headers={"If-Match": tag, **text})
    assert put.headers["ETag"] == (await shop.call("GET", path)).headers["ETag"] != tag
    assert (await shop.call("PUT", f"{path}/hold", data=b"scam", headers={"If-Match": tag, **text})).status == 412
    assert (await shop.call("PUT", f"{path}/hold", data=b"scam", headers=text)).json["block"] == 1


async def test_whoever_was_quicker_wins(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another node may change it between the look and the change: then it is left, or (one list) changed as it is now."""
    await shop.live_room("r1")
    path, real = "/v1/filters/room:r1", House.put_lists
    tag = (await shop.call("GET", path)).headers["ETag"]
    others = iter([("first",), ("second",)])

    async def put_lists(house: House, scope: str, lists: Any, by: Any, *, seen: Any = None) -> Any:
        for block in others:
            await real(house, scope, type(lists)(block=block), by)
            break
        return await real(house, scope, lists, by, seen=seen)

    monkeypatch.setattr(House, "put_lists", put_lists)
    assert (await shop.call("PUT", path, json={"block": ["mine"]}, headers={"If-Match": tag})).status == 412
    put = await shop.call("PUT", f"{path}/hold", data=b"mine", headers={"Content-Type": "text/plain"})
    assert put.json == {"scope": "room:r1", "block": 1, "mask": 0, "hold": 1}
    assert (await shop.call("GET", path)).json["block"] == ["second"]


async def test_a_ban_beyond_the_room_is_not_made_where_the_condition_fails(shop: Shop) -> None:
    """412 means that nothing was done, on the whole platform too."""
    await shop.live_room("r1")
    ban = {"user": "eve", "scope": "platform"}
    assert (await shop.call("POST", f"{ROOM}/bans", json=ban, headers={"If-Match": '"0"'})).status == 412
    assert (await shop.call("GET", f"{ROOM}/bans")).json["data"] == []
    tag = (await shop.call("GET", ROOM)).headers["ETag"]
    assert (await shop.call("POST", f"{ROOM}/bans", json=ban, headers={"If-Match": tag})).status == 201
    assert (await shop.call("DELETE", f"{ROOM}/bans/eve", headers={"If-Match": '"0"'})).status == 412
    assert len((await shop.call("GET", f"{ROOM}/bans")).json["data"]) == 1
