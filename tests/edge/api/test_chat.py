"""Comments of staff and services, and a platform's own events."""

from __future__ import annotations

from typing import Any

from livecast.edge.api import chat
from support.house import House


async def frames(house: House, room: str) -> list[dict[str, Any]]:
    """Every frame of the room's epoch so far."""
    head = (await house.call("GET", f"/v1/rooms/{room}/frames/head", auth=None)).json
    return [
        (await house.call("GET", f"/v1/rooms/{room}/frames/{head['epoch']}/{seq}", auth=None)).json
        for seq in range(1, head["seq"] + 1)
    ]


async def test_a_service_comments_under_a_name_of_its_choice(house: House) -> None:
    """201 with the verdict and id; the frame shows it with the service's role and name, made fit for display."""
    await house.live_room("r1")
    said = await house.call("POST", "/v1/rooms/r1/comments", json={"text": "Welcome!", "name": " Ro\u202ebot\n", "meta": {"k": 1}})
    assert said.status == 201
    assert said.json["verdict"] == "shown"
    shown = [comment for frame in await frames(house, "r1") for comment in frame.get("comments", [])]
    assert [(c["id"], c["text"], c["u"]["name"], c["u"]["role"]) for c in shown] == [
        (said.json["id"], "Welcome!", "Robot", "service")
    ]
    assert shown[0]["meta"] == {"k": 1}


async def test_a_host_comments_as_what_the_token_says(house: House) -> None:
    """Names of people are not for the caller to choose."""
    await house.live_room("r1")
    host = house.token("mei", name="Mei", role="host", rooms=["r1"])
    said = await house.call("POST", "/v1/rooms/r1/comments", auth=host, json={"text": "Hello"})
    assert said.status == 201
    shown = [comment for frame in await frames(house, "r1") for comment in frame.get("comments", [])]
    assert shown[-1]["u"] == {"id": "mei", "name": "Mei", "role": "host"}
    other = await house.call("POST", "/v1/rooms/r1/comments", auth=host, json={"text": "Hello", "name": "Boss"})
    assert other.json["errors"][0]["pointer"] == "/name"


async def test_the_same_cid_is_not_said_twice(house: House) -> None:
    """As on a socket: the first answer again, and a conflict for another text."""
    await house.live_room("r1")
    first = await house.call("POST", "/v1/rooms/r1/comments", json={"text": "one", "cid": "c1"})
    again = await house.call("POST", "/v1/rooms/r1/comments", json={"text": "one", "cid": "c1"})
    other = await house.call("POST", "/v1/rooms/r1/comments", json={"text": "two", "cid": "c1"})
    assert first.json == again.json
    assert (other.status, other.code) == (409, "conflict")


async def test_a_comment_has_bounds(house: House) -> None:
    """Too long, empty after cleaning, too much meta, while nothing is on."""
    await house.live_room("r1")
    for body, status in [
        ({"text": "x" * 201}, 413),
        ({"text": "\u200b\u202e"}, 422),
        ({"text": ""}, 422),
        ({"text": "x", "meta": {"k": "v" * 600}}, 413),
        ({"text": "x", "style": {"mode": "sideways"}}, 422),
    ]:
        assert (await house.call("POST", "/v1/rooms/r1/comments", json=body)).status == status, body
    await house.call("POST", "/v1/rooms/r1/pause")
    assert (await house.call("POST", "/v1/rooms/r1/comments", json={"text": "x"})).code == "room_not_live"


async def test_an_event_reaches_all(house: House) -> None:
    """201 with its id; the frame has it."""
    await house.live_room("r1")
    sent = await house.call("POST", "/v1/rooms/r1/events", json={"type": "x.goal", "data": {"home": 1}})
    assert sent.status == 201
    events = [event for frame in await frames(house, "r1") for event in frame.get("events", [])]
    assert [(e["id"], e["type"], e["data"]) for e in events] == [(sent.json["id"], "x.goal", {"home": 1})]
    for body in ({"type": "goal"}, {"type": "x."}, {"type": "x.a b"}):
        assert (await house.call("POST", "/v1/rooms/r1/events", json=body)).status == 422
    large = await house.call("POST", "/v1/rooms/r1/events", json={"type": "x.a", "data": "y" * 4096})
    assert (large.status, large.json["errors"][0]["pointer"]) == (413, "/data")


async def test_an_event_reaches_many_rooms(house: House, monkeypatch: Any) -> None:
    """Every live or paused room of the glob that the key covers; above the limit none at all."""
    for room in ("shop-1", "shop-2", "shop-3", "other"):
        await house.live_room(room)
    await house.call("PUT", "/v1/rooms/shop-4", json={})
    key = house.made_key("narrow", "chat:write", rooms=("shop-1", "shop-2", "other"))
    sent = await house.call("POST", "/v1/events", auth=key, json={"rooms": "shop-*", "type": "x.sale", "data": 1})
    assert (sent.status, sent.json) == (200, {"rooms": ["shop-1", "shop-2"], "refused": {}})
    for room, count in (("shop-1", 1), ("shop-3", 0), ("other", 0)):
        assert len([e for frame in await frames(house, room) for e in frame.get("events", [])]) == count
    monkeypatch.setattr(chat, "EVENT_ROOMS_MAX", 2)
    assert (await house.call("POST", "/v1/events", json={"rooms": "*", "type": "x.sale"})).status == 413
