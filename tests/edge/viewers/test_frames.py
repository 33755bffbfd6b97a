"""Frames as files: the same bytes as everybody got, cacheable, held for a moment where they are not made yet."""

from __future__ import annotations

import asyncio
from typing import Any

import msgpack
import msgspec
import pytest

from livecast.core.rules import Policy, RoomRules
from livecast.edge.viewers import frames
from livecast.wire.codec import JSON, MSGPACK
from support.house import Answer, House, until
from support.viewer import Viewer


@pytest.fixture
def room_rules() -> RoomRules:
    """Few frames are kept, so that one ages out soon."""
    return RoomRules(policy=Policy(tick_ms=50), log_frames_max=15, log_ms=1000)


async def get(house: House, path: str, **more: Any) -> Answer:
    """A file of room r1, without credentials."""
    return await house.call("GET", f"/v1/rooms/r1/{path}", auth=None, **more)


async def head_of(house: House) -> tuple[str, int]:
    """Epoch and last frame."""
    head = (await get(house, "frames/head")).json
    return head["epoch"], head["seq"]


async def say(house: House, text: str) -> int:
    """One comment; its frame."""
    said = await house.call("POST", "/v1/rooms/r1/comments", json={"text": text})
    assert said.status == 201, said
    return int(said.json["seq"])


async def test_a_frame_in_both_forms(house: House) -> None:
    """JSON without a suffix or with .json, MessagePack with .msgpack: the same content, kept for 120 s."""
    await house.live_room("r1")
    seq = await say(house, "你好")
    epoch, last = await head_of(house)
    assert last >= seq
    plain, named, packed = [await get(house, f"frames/{epoch}/{seq}{suffix}") for suffix in ("", ".json", ".msgpack")]
    assert plain.body == named.body
    assert plain.json == msgpack.unpackb(packed.body)
    assert (plain.json["t"], plain.json["epoch"], plain.json["seq"]) == ("frame", epoch, seq)
    assert plain.json["comments"][0]["text"] == "你好"
    assert (plain.content_type, packed.content_type) == ("application/json", "application/vnd.msgpack")
    for answer in (plain, packed):
        assert answer.status == 200
        assert answer.headers["Cache-Control"] == "public, max-age=120"
        assert answer.headers["Surrogate-Key"] == "livecast-r1"
    assert plain.headers["ETag"] != packed.headers["ETag"]
    assert (await get(house, f"frames/{epoch}/{seq}", headers={"If-None-Match": plain.headers["ETag"]})).status == 304


async def test_the_next_frames_are_held_for(house: House) -> None:
    """Many who ask for the next frame all have it as soon as it is made."""
    await house.live_room("r1")
    epoch, seq = await head_of(house)
    waiting = [asyncio.create_task(get(house, f"frames/{epoch}/{seq + 1 + k % 2}")) for k in range(10)]
    await asyncio.sleep(0.1)
    assert not any(task.done() for task in waiting)
    await say(house, "one")
    await say(house, "two")
    async with asyncio.timeout(2):
        answers = await asyncio.gather(*waiting)
    assert {answer.status for answer in answers} == {200}
    assert {answer.json["seq"] for answer in answers} == {seq + 1, seq + 2}


async def test_what_is_not_made_is_404_for_a_second(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Far ahead at once, the next few after having waited, other epochs and frame 0 at once: cached for a second only."""
    monkeypatch.setattr(frames, "HELD_S", 0.2)
    await house.live_room("r1")
    epoch, seq = await head_of(house)
    loop = asyncio.get_running_loop()
    ahead = [(f"{epoch}/{seq + 6}", False), (f"{epoch}/{seq + 10_000}.json", False), (f"{epoch}/{seq + 1}", True)]
    for name, waits in [*ahead, ("nope/1", False), (f"{epoch}/0", False)]:
        began = loop.time()
        answer = await get(house, f"frames/{name}")
        assert (answer.status, answer.headers["Cache-Control"]) == (404, "public, max-age=1"), name
        assert (loop.time() - began >= 0.2) is waits, name


async def test_not_everybody_can_be_held_for(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Above the bound a request for the next frame is told 404 at once."""
    monkeypatch.setattr(frames, "HELD_MAX", 1)
    await house.live_room("r1")
    epoch, seq = await head_of(house)
    first = asyncio.create_task(get(house, f"frames/{epoch}/{seq + 1}"))
    await asyncio.sleep(0.1)
    assert (await get(house, f"frames/{epoch}/{seq + 1}")).status == 404
    await say(house, "there")
    assert (await first).status == 200
    assert (await get(house, f"frames/{epoch}/{seq + 1}")).status == 200


async def test_what_has_aged_out_is_gone(house: House) -> None:
    """410 once the view no longer keeps it."""
    await house.live_room("r1")
    seq = await say(house, "first")
    epoch, _ = await head_of(house)
    for k in range(17):
        house.clock.ahead_ms += 1100
        await say(house, f"later {k}")
    answer = await get(house, f"frames/{epoch}/{seq}")
    assert (answer.status, answer.code) == (410, "gone")
    assert (await get(house, f"bundles/{epoch}/0")).status == 410


async def test_no_such_file(house: House) -> None:
    """Odd names are 404, whatever they are."""
    await house.live_room("r1")
    epoch, _ = await head_of(house)
    for name in ("0", "-1", "1.xml", "x", "01", "1.json.json", "9" * 30, "..%2f1", "%00"):
        assert (await get(house, f"frames/{epoch}/{name}")).status == 404, name
    assert (await get(house, "frames/head/1/2")).status in {401, 404}
    assert (await house.call("GET", "/v1/rooms/none/frames/head", auth=None)).code == "unknown_room"
    assert (await house.call("GET", "/v1/rooms/none/snapshot", auth=None)).code == "unknown_room"


async def test_bundles_hold_ten_frames(house: House) -> None:
    """Whole ones are lists of the very frames; one not whole yet is held for, or 404."""
    await house.live_room("r1")
    epoch, seq = await head_of(house)
    while seq < 9:
        seq = await say(house, f"number {seq}")
    first = await get(house, f"bundles/{epoch}/0")  # now, before there are enough frames for the first to age out
    assert [frame["seq"] for frame in first.json] == list(range(1, 10))
    while seq < 16:
        seq = await say(house, f"number {seq}")
    second = asyncio.create_task(get(house, f"bundles/{epoch}/1.msgpack"))
    while seq < 19:
        seq = await say(house, f"number {seq}")
    packed = await second
    assert (packed.status, packed.headers["Cache-Control"]) == (200, "public, max-age=120")
    told = msgpack.unpackb(packed.body)
    assert [frame["seq"] for frame in told] == list(range(10, 20))
    assert told == (await get(house, f"bundles/{epoch}/1.json")).json
    assert told[3] == (await get(house, f"frames/{epoch}/13")).json
    assert (await get(house, f"bundles/{epoch}/5")).headers["Cache-Control"] == "public, max-age=1"


async def test_services_read_files_with_their_key(house: House) -> None:
    """As they do everything else, also where a room asks for a token; with the scope `rooms:read`, for rooms that are theirs."""
    await house.live_room("r1", policy={"anonymous": "off"}, merchant="acme")
    keys = {
        house.made_key("any", "rooms:read"): 200,
        house.made_key("own", "rooms:read", merchant="acme"): 200,
        house.made_key("other", "rooms:read", merchant="other"): 403,
        house.made_key("elsewhere", "rooms:read", rooms=("r2",)): 403,
        house.made_key("chat", "chat:write"): 403,
    }
    for key, status in keys.items():
        for path in ("snapshot", "frames/head"):
            assert (await house.call("GET", f"/v1/rooms/r1/{path}", auth=key)).status == status, key
    assert (await house.call("GET", "/v1/rooms/r1/snapshot", auth="lck_none_none")).status == 401


async def test_head_and_snapshot(house: House) -> None:
    """A second's worth: where to begin, and what a welcome has without what is the viewer's own."""
    await house.live_room("r1", title="Shoes")
    await say(house, "recent")
    head, snapshot = await get(house, "frames/head"), await get(house, "snapshot")
    assert head.json.keys() == {"epoch", "seq", "tick_ms"}
    assert head.headers["Cache-Control"] == snapshot.headers["Cache-Control"] == "public, max-age=1"
    told = snapshot.json
    assert (told["epoch"], told["seq"], told["state"]["title"]) == (head.json["epoch"], head.json["seq"], "Shoes")
    assert told["recent"][-1]["text"] == "recent"
    async with Viewer(house.port, "r1") as viewer:
        welcome = await viewer.welcome()
    assert welcome.keys() - told.keys() == {"you", "conn"}
    assert told.keys() <= welcome.keys()
    assert {key: told[key] for key in ("t", "v", "room", "recovered", "recent", "policy")}.items() <= welcome.items()


async def test_a_closed_room_shows_its_files_to_nobody_else(house: House) -> None:
    """`anonymous: "off"` asks for a token here too, and no shared cache may keep what it gives; bans hold as well."""
    await house.live_room("r1", policy={"anonymous": "off"})
    await say(house, "among us")
    ada, eve = house.token("ada"), house.token("eve")
    for path in ("frames/head", "snapshot"):
        assert (await get(house, path)).status == 401
        inside = await house.call("GET", f"/v1/rooms/r1/{path}", auth=ada)
        assert (inside.status, inside.headers["Cache-Control"]) == (200, "private, no-store")
        assert (await get(house, f"{path}?token={ada}")).status == 200
        assert (await house.call("GET", f"/v1/rooms/r1/{path}", auth=house.token("ada", rooms=["r2"]))).status == 403
    epoch = (await house.call("GET", "/v1/rooms/r1/frames/head", auth=ada)).json["epoch"]
    file = await house.call("GET", f"/v1/rooms/r1/frames/{epoch}/1", auth=ada)
    assert (file.status, file.headers["Cache-Control"]) == (200, "private, no-store")
    missing = await house.call("GET", f"/v1/rooms/r1/frames/{epoch}/999", auth=ada)
    assert (missing.status, missing.headers["Cache-Control"]) == (404, "private, no-store")
    await house.call("POST", "/v1/rooms/r1/bans", json={"user": "eve"})
    await until(lambda: (hub := house.node.views.peek("r1")) and hub.banned("eve"), "news of the ban")
    assert (await house.call("GET", "/v1/rooms/r1/snapshot", auth=eve)).status == 403


async def test_a_bad_token_is_never_anonymous(house: House) -> None:
    """In an open room, too: 401 and not the file."""
    await house.live_room("r1")
    assert (await house.call("GET", "/v1/rooms/r1/snapshot", auth="nonsense")).status == 401
    assert (await get(house, "snapshot?token=nonsense")).status == 401
    assert (await house.call("GET", "/v1/rooms/r1/snapshot", auth=house.token("ada", ttl_s=-1))).status == 401


def test_encoded_values_join_to_an_encoded_list() -> None:
    """Without decoding, in both codecs."""
    values: list[Any] = [{"a": 1}, [2], "x"]
    as_json = frames._array([msgspec.json.encode(v) for v in values], JSON)
    as_msgpack = frames._array([msgspec.msgpack.encode(v) for v in values], MSGPACK)
    assert msgspec.json.decode(as_json) == msgspec.msgpack.decode(as_msgpack) == values
