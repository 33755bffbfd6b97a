"""What holds beyond single rooms, over HTTP: filters, mutes and bans of merchants and of the platform, putting out, the log."""

from __future__ import annotations

import io
from typing import Any

import pytest

from livecast.shard.house import House as HouseAtHome
from support.house import House, until
from support.viewer import Viewer


async def say(house: House, room: str, user: str, text: str) -> Any:
    """A comment over HTTP: the ack, or the problem."""
    message = {"t": "comment", "cid": f"{user}-{text}", "text": text}
    return (await house.call("POST", f"/v1/rooms/{room}/messages", auth=house.token(user), json=message)).json


async def put_out(viewer: Viewer) -> list[Any]:
    """Wait for the `bye`."""
    told: list[Any] = await viewer.until(lambda: viewer.of("bye"), "a bye")
    return told


async def fate(house: House, room: str, user: str, text: str) -> str:
    """The verdict or the code."""
    answer = await say(house, room, user, text)
    return str(answer.get("verdict") or answer["code"])


# --- Filters ----------------------------------------------------------------------------------------------------------
async def test_filters_hold_where_they_are_for(house: House) -> None:
    """The platform's everywhere, a merchant's in its rooms, a room's there; at once, and in rooms that are made later."""
    await house.live_room("r1", merchant="m1")
    await house.live_room("r2")
    for scope, word in (("platform", "scam"), ("merchant:m1", "damn"), ("room:r1", "darn")):
        put = await house.call("PUT", f"/v1/filters/{scope}", json={"block": [word], "mask": ["heck"]})
        assert (put.status, put.json["scope"], put.json["block"]) == (200, scope, [word])
    await until(lambda: len(house.shards._rooms) == 2, "rooms")
    for n, (word, r1, r2) in enumerate(
        (("scam", "blocked", "blocked"), ("damn", "blocked", "shown"), ("darn", "blocked", "shown"))
    ):
        assert await fate(house, "r1", f"a{n}", f"{word}!") == r1
        assert await fate(house, "r2", f"b{n}", f"{word}!") == r2
    await house.live_room("r3", merchant="m1")
    assert await fate(house, "r3", "ann", "s c a m") == "blocked"
    assert await fate(house, "r3", "bob", "dаmn") == "blocked"
    assert await fate(house, "r3", "cid", "darn") == "shown"


async def test_a_filter_is_read_replaced_and_taken_away(house: House) -> None:
    """PUT replaces the whole; an empty one lets all pass; the room that changes its merchant changes its filter."""
    await house.live_room("r1")
    await house.call("PUT", "/v1/filters/room:r1", json={"block": ["damn"], "links": "block"})
    assert await fate(house, "r1", "a1", "damn") == "blocked"
    assert await fate(house, "r1", "a2", "see a-shop.com") == "blocked"
    await house.call("PUT", "/v1/filters/r1", json={"hold": ["scam"], "phones": "hold"})
    assert [await fate(house, "r1", f"b{n}", text) for n, text in enumerate(("damn", "scam", "13912345678"))] == [
        "shown",
        "held",
        "held",
    ]
    assert (await house.call("GET", "/v1/filters/room:r1")).json == {
        "scope": "room:r1", "block": [], "mask": [], "hold": ["scam"], "links": "allow", "phones": "hold", "pinyin": "mixed",
    }  # fmt: skip
    assert (await house.call("DELETE", "/v1/filters/room:r1")).json["hold"] == ["scam"]
    assert await fate(house, "r1", "c", "scam") == "shown"
    assert (await house.call("DELETE", "/v1/filters/room:r1")).status == 404
    await house.call("PUT", "/v1/filters/merchant:m1", json={"block": ["damn"]})
    assert (await house.call("PATCH", "/v1/rooms/r1", json={"merchant": "m1"})).status == 200
    for n in range(100):
        if await fate(house, "r1", f"d{n}", "damn") == "blocked":
            break
    assert await fate(house, "r1", "e", "damn") == "blocked"


async def test_long_lists_come_as_text(house: House) -> None:
    """20,000 words, one a line; the other lists stay; wrong lines are named by their number."""
    await house.live_room("r1")
    await house.call("PUT", "/v1/filters/platform", json={"hold": ["scam"]})
    text = "# ours\n\n" + "\n".join(f"word{n:05}x" for n in range(20_000)) + "\r\nword00007x\n 傻逼 \n"
    plain = {"Content-Type": "text/plain; charset=utf-8"}
    put = await house.call("PUT", "/v1/filters/platform/block", data=text.encode(), headers=plain)
    assert (put.status, put.json) == (200, {"scope": "platform", "block": 20_001, "mask": 0, "hold": 1})
    for n, (said, became) in enumerate((("word12345x", "blocked"), ("傻-逼", "blocked"), ("scam", "held"), ("# ours", "shown"))):
        assert await fate(house, "r1", f"u{n}", said) == became
    wrong = await house.call("PUT", "/v1/filters/platform/mask", data=b"ok\n" + b"x" * 101, headers=plain)
    assert (wrong.status, wrong.json["errors"][0]["pointer"]) == (422, "line 2")
    for body, headers, status in (
        (b"\xff\xfe", plain, 400),
        (b"[]", {"Content-Type": "application/json"}, 415),
        (io.BytesIO(b"x\n" * 2_200_000), plain, 413),
        ("\n".join(map(str, range(50_001))).encode(), plain, 413),
    ):
        assert (await house.call("PUT", "/v1/filters/platform/mask", data=body, headers=headers)).status == status
    assert (await house.call("PUT", "/v1/filters/platform/nope", data=b"x", headers=plain)).status == 404
    weak = house.made_key("weak2", "rooms:read")
    assert (await house.call("PUT", "/v1/filters/platform/mask", auth=weak, data=b"x", headers=plain)).status == 403


async def test_who_may_write_which_filter(house: House) -> None:
    """The platform's: a key of the platform; a merchant's: its key; a room's: whoever moderates there."""
    await house.live_room("r1", merchant="m1")
    merchant = house.made_key("m1key", "chat:moderate", merchant="m1")
    other = house.made_key("m2key", "chat:moderate", merchant="m2")
    moderator = house.token("mo", role="moderator", rooms=["r1"])
    stranger = house.token("mo", role="moderator", rooms=["r9"])
    body = {"block": ["damn"]}
    for auth, platform, of_merchant, of_room in (
        (house.key, 200, 200, 200),
        (merchant, 403, 200, 200),
        (other, 403, 403, 403),
        (moderator, 403, 403, 200),
        (stranger, 403, 403, 403),
        (house.token("ann"), 403, 403, 403),
    ):
        for scope, status in (("platform", platform), ("merchant:m1", of_merchant), ("room:r1", of_room)):
            assert (await house.call("PUT", f"/v1/filters/{scope}", auth=auth, json=body)).status == status, (auth, scope)
    assert (await house.call("PUT", "/v1/filters/room:nope", json=body)).code == "unknown_room"
    assert (await house.call("PUT", "/v1/filters/galaxy:x", json=body)).status == 404
    wrong: dict[str, Any]
    for wrong in ({"block": "damn"}, {"block": [""]}, {"links": "maybe"}, {"bloc": []}):
        assert (await house.call("PUT", "/v1/filters/platform", json=wrong)).status == 422


# --- Mutes and bans ---------------------------------------------------------------------------------------------------
async def test_a_platform_ban_closes_sockets_in_all_rooms(house: House) -> None:
    """4003 at once, everywhere; not let in again by socket, stream or message; listed in every room; taken back, over."""
    for room in ("r1", "r2"):
        await house.live_room(room)
    token = house.token("eve")
    async with (
        Viewer(house.port, "r1", token) as one,
        Viewer(house.port, "r2", token) as two,
        Viewer(house.port, "r2", house.token("ann")) as ann,
    ):
        for viewer in (one, two, ann):
            await viewer.welcome()
        banned = await house.call("POST", "/v1/rooms/r1/bans", json={"user": "eve", "scope": "platform", "reason": "spam"})
        assert (banned.status, banned.json["scope"], banned.json["until"]) == (201, "platform", None)
        for viewer in (one, two):
            bye = await put_out(viewer)
            assert bye[0]["code"] == 4003
        assert (await ann.ask("ping", "p"))["t"] == "pong"
    async with Viewer(house.port, "r2", token) as again:
        assert (await again.until(lambda: again.of("bye"), "a refusal"))[0]["code"] == 4403
    assert await fate(house, "r2", "eve", "hi") == "forbidden"
    assert (await house.call("GET", "/v1/rooms/r2/events", auth=token)).status == 403
    [listed] = (await house.call("GET", "/v1/rooms/r2/bans")).json["data"]
    assert (listed["user"], listed["scope"]) == ("eve", "platform")
    assert (await house.call("DELETE", "/v1/rooms/r2/bans/eve")).json["scope"] == "platform"
    assert await fate(house, "r1", "eve", "hi") == "shown"
    assert (await house.call("DELETE", "/v1/rooms/r2/bans/eve")).status == 404


async def test_rules_hold_after_a_restart(house: House) -> None:
    """Another process over the same store knows them."""
    await house.live_room("r1", merchant="m1")
    await house.call("POST", "/v1/rooms/r1/bans", json={"user": "eve", "scope": "platform"})
    await house.call("POST", "/v1/rooms/r1/mutes", json={"user": "dan", "scope": "merchant", "for_s": 60})
    await house.call("PUT", "/v1/filters/platform", json={"block": ["damn"]})
    other = HouseAtHome(id="n2", rules=house.rules, bus=house.bus, clock=house.clock, observer=house.notes)
    await other.start()
    assert other.keeps_out("eve", "anywhere", "")
    words, wide = await other.rules_for("r7", "m1")
    assert words is not None
    assert words.judge("damn")[0] == "block"
    assert wide.refusal("dan", house.clock()) is not None
    assert (await other.rules_for("r7", "m2"))[1].refusal("dan", house.clock()) is None
    await house.call("DELETE", "/v1/rooms/r1/bans/eve?scope=platform")
    assert not other.keeps_out("eve", "anywhere", "")
    other.stop()


async def test_a_mute_of_the_merchant(house: House) -> None:
    """In all of its rooms nobody hears them, likes included; elsewhere everybody does; it ends by itself."""
    for room, merchant in (("r1", "m1"), ("r2", "m1"), ("r3", "")):
        await house.live_room(room, merchant=merchant)
    made = await house.call("POST", "/v1/rooms/r1/mutes", json={"user": "eve", "scope": "merchant", "for_s": 60})
    assert (made.status, made.json["scope"]) == (201, "merchant")
    assert [await fate(house, room, "eve", "hi") for room in ("r1", "r2", "r3")] == ["muted", "muted", "shown"]
    like = {"t": "like", "cid": "l", "n": 1}
    assert (await house.call("POST", "/v1/rooms/r2/messages", auth=house.token("eve"), json=like)).code == "muted"
    house.clock.ahead_ms += 61_000
    assert await fate(house, "r2", "eve", "hi") == "shown"
    assert (await house.call("GET", "/v1/rooms/r1/mutes")).json["data"] == []
    assert (await house.call("POST", "/v1/rooms/r3/mutes", json={"user": "eve", "scope": "merchant"})).status == 422


async def test_who_may_judge_beyond_a_room(house: House) -> None:
    """A moderator only in the room; a merchant's key in its rooms; the platform's key everywhere."""
    await house.live_room("r1", merchant="m1")
    merchant = house.made_key("m1key", "chat:moderate", merchant="m1")
    moderator = house.token("mo", role="moderator", rooms=["r1"])
    narrow = house.made_key("narrow", "chat:moderate", rooms=("r*",))
    for auth, of_merchant, platform in ((moderator, 403, 403), (merchant, 201, 403), (narrow, 403, 403), (house.key, 201, 201)):
        for scope, status in (("room", 201), ("merchant", of_merchant), ("platform", platform)):
            body = {"user": "eve", "scope": scope}
            assert (await house.call("POST", "/v1/rooms/r1/mutes", auth=auth, json=body)).status == status, scope
    assert (await house.call("DELETE", "/v1/rooms/r1/mutes/eve?scope=platform", auth=moderator)).status == 403
    assert (await house.call("DELETE", "/v1/rooms/r1/mutes/eve", auth=moderator)).json["scope"] == "room"
    assert (await house.call("DELETE", "/v1/rooms/r1/mutes/eve", auth=moderator)).status == 403


async def test_lists_of_both_kinds_come_in_pages(house: House) -> None:
    """Those from beyond first, then the room's; each once, whatever the size of a page."""
    await house.live_room("r1")
    for n in range(3):
        await house.call("POST", "/v1/rooms/r1/bans", json={"user": f"w{n}", "scope": "platform"})
        await house.call("POST", "/v1/rooms/r1/bans", json={"user": f"r{n}"})
    for limit in (1, 2, 3, 4, 200):
        users: list[str] = []
        cursor: str | None = ""
        while cursor is not None:
            page = (await house.call("GET", f"/v1/rooms/r1/bans?limit={limit}&cursor={cursor}")).json
            assert len(page["data"]) <= limit
            users += [one["user"] for one in page["data"]]
            cursor = page["next_cursor"]
        assert users == ["w0", "w1", "w2", "r0", "r1", "r2"], limit


# --- Putting out ------------------------------------------------------------------------------------------------------
async def test_people_learn_what_is_against_them_from_beyond_the_room(house: House) -> None:
    """As of the room's own sentences; of both the one that ends later; of other merchants' nothing."""
    for room, merchant in (("r1", "m1"), ("r2", "m2")):
        await house.live_room(room, merchant=merchant)

    async def me(room: str) -> tuple[bool, int | None, bool]:
        told = (await house.call("GET", f"/v1/rooms/{room}/me", auth=house.token("eve"))).json
        return told["muted"], told["muted_until"] and told["muted_until"] - house.clock() > 300_000, told["banned"]

    await house.call("POST", "/v1/rooms/r1/mutes", json={"user": "eve", "scope": "merchant", "for_s": 600})
    await house.call("POST", "/v1/rooms/r1/mutes", json={"user": "eve", "for_s": 60})
    assert [await me("r1"), await me("r2")] == [(True, True, False), (False, None, False)]
    await house.call("POST", "/v1/rooms/r1/mutes", json={"user": "eve"})
    await house.call("POST", "/v1/users/eve/disconnect", json={"for_s": 60})
    assert [await me("r1"), await me("r2")] == [(True, None, True), (False, None, True)]


async def test_a_mute_from_beyond_the_room_is_told(house: House) -> None:
    """In the rooms where it holds, and its end."""
    await house.live_room("r1", merchant="m1")
    await house.live_room("r2", merchant="m2")
    async with Viewer(house.port, "r1", house.token("eve")) as here, Viewer(house.port, "r2", house.token("eve")) as there:
        await here.welcome()
        await there.welcome()
        await house.call("POST", "/v1/rooms/r1/mutes", json={"user": "eve", "scope": "merchant", "reason": "spam"})
        [muted] = await here.until(lambda: here.of("notice"), "a notice")
        assert (muted["kind"], muted["data"]) == ("muted", {"until": None, "reason": "spam"})
        await house.call("DELETE", "/v1/rooms/r1/mutes/eve")
        assert (await here.until(lambda: here.of("notice")[1:], "its end"))[0]["kind"] == "unmuted"
        assert there.of("notice") == []


async def test_a_ban_with_an_end_tells_how_long(house: House) -> None:
    """So that clients need not knock before it is over."""
    await house.live_room("r1")
    async with Viewer(house.port, "r1", house.token("eve")) as eve:
        await eve.welcome()
        await house.call("POST", "/v1/rooms/r1/bans", json={"user": "eve", "scope": "platform", "for_s": 600})
        assert 500_000 < (await put_out(eve))[0]["retry_after_ms"] <= 600_000


async def test_a_user_is_put_out_of_every_room(house: House) -> None:
    """With the reason, and kept out until the end; without an end they may come back."""
    for room in ("r1", "r2"):
        await house.live_room(room)
    token = house.token("eve")
    async with Viewer(house.port, "r1", token) as one, Viewer(house.port, "r2", token) as two:
        await one.welcome()
        await two.welcome()
        done = await house.call("POST", "/v1/users/eve/disconnect", json={"reason": "flooding"})
        assert (done.status, done.json["scopes"], done.json["until"]) == (200, ["platform"], None)
        for viewer in (one, two):
            bye = (await put_out(viewer))[0]
            assert (bye["code"], bye["reconnect"], "flooding" in bye["reason"]) == (4003, False, True)
    async with Viewer(house.port, "r1", token) as back:
        await back.welcome()
        await house.call("POST", "/v1/users/eve/disconnect", json={"for_s": 60})
        bye = (await back.until(lambda: back.of("bye"), "a bye"))[0]
        assert 50_000 < bye["retry_after_ms"] <= 60_000
    async with Viewer(house.port, "r2", token) as out:
        assert (await out.until(lambda: out.of("bye"), "a refusal"))[0]["code"] == 4403
    house.clock.ahead_ms += 61_000
    async with Viewer(house.port, "r2", house.token("eve")) as in_again:
        await in_again.welcome()


async def test_a_kick_reaches_as_far_as_its_caller(house: House) -> None:
    """A moderator's word holds in the rooms of the token."""
    for room in ("r1", "r2"):
        await house.live_room(room)
    moderator = house.token("mo", role="moderator", rooms=["r1"])
    async with Viewer(house.port, "r1", house.token("eve")) as one, Viewer(house.port, "r2", house.token("eve")) as two:
        await one.welcome()
        await two.welcome()
        done = await house.call("POST", "/v1/users/eve/disconnect", auth=moderator, json={"for_s": 60})
        assert done.json["scopes"] == ["rooms:r1"]
        await one.until(lambda: one.of("bye"), "a bye")
        assert (await two.ask("ping", "p"))["t"] == "pong"
    assert await fate(house, "r1", "eve", "hi") == "forbidden"
    assert await fate(house, "r2", "eve", "hi") == "shown"
    assert (await house.call("POST", "/v1/users/eve/disconnect", json={"until": 5})).status == 422
    assert (await house.call("POST", "/v1/users/eve/disconnect", json={"until": 4_000_000_000_000, "for_s": 60})).status == 422
    assert (await house.call("POST", "/v1/users/eve/disconnect", auth=house.token("ann"))).status == 403


# --- The log ----------------------------------------------------------------------------------------------------------
async def test_everything_staff_did_can_be_read(house: House) -> None:
    """Who, what, when, why: in the room, what was done beyond it from there included; the platform's own apart."""
    await house.live_room("r1")
    moderator = house.token("mo", name="Mo", role="moderator", rooms=["r1"])
    await house.call("POST", "/v1/rooms/r1/mutes", auth=moderator, json={"user": "eve", "for_s": 60, "reason": "spam"})
    await house.call("POST", "/v1/rooms/r1/bans", json={"user": "dan", "scope": "platform", "reason": "fraud"})
    await house.call("POST", "/v1/users/ann/disconnect", json={"reason": "flood"})
    page = (await house.call("GET", "/v1/rooms/r1/audit", auth=moderator)).json
    told = [(act["by"], act["action"], act["args"].get("user"), act["reason"]) for act in page["data"]]
    assert told[:2] == [("key:all", "ban", "dan", "fraud"), ("mo", "mute", "eve", "spam")]
    assert {act["action"] for act in page["data"]} >= {"put_room", "start"}
    assert page["data"][1]["name"] == "Mo"
    first = (await house.call("GET", "/v1/rooms/r1/audit?limit=2")).json
    rest = (await house.call("GET", f"/v1/rooms/r1/audit?limit=200&cursor={first['next_cursor']}")).json
    assert first["data"] + rest["data"] == page["data"]
    beyond = (await house.call("GET", "/v1/audit")).json["data"]
    assert [(act["action"], act["args"]["user"]) for act in beyond] == [("disconnect", "ann"), ("ban", "dan")]
    assert (await house.call("GET", "/v1/audit", auth=moderator)).status == 403
    assert (await house.call("GET", "/v1/rooms/nope/audit")).status == 404


async def test_what_is_changed_in_a_rooms_filter_is_in_its_log(house: House) -> None:
    """Beside the house's: a host reads there what a moderator did. How many words, not which."""
    await house.live_room("r1")
    moderator = house.token("mo", role="moderator", rooms=["r1"])
    assert (await house.call("PUT", "/v1/filters/room:r1", auth=moderator, json={"block": ["damn"], "links": "hold"})).status == 200
    words = await house.call(
        "PUT", "/v1/filters/r1/mask", auth=moderator, data=b"heck\ndarn\n", headers={"Content-Type": "text/plain"}
    )
    assert words.status == 200, words
    assert (await house.call("DELETE", "/v1/filters/room:r1", auth=moderator)).status == 200
    assert (await house.call("PUT", "/v1/filters/platform", json={"block": ["x"]})).status == 200
    acts = [a for a in (await house.call("GET", "/v1/rooms/r1/audit")).json["data"] if "filter" in a["action"]]
    assert [(a["by"], a["action"], a["args"].get("block"), a["args"].get("mask")) for a in acts] == [
        ("mo", "filter_removed", None, None),
        ("mo", "filter", 1, 2),
        ("mo", "filter", 1, 0),
    ]


# --- Forgetting -------------------------------------------------------------------------------------------------------
async def test_a_user_is_forgotten_in_all_rooms(house: House) -> None:
    """Wherever something was known; whoever is unknown leaves no trace of being asked about."""
    for room in ("r1", "r2", "r3"):
        await house.live_room(room)
    for room in ("r1", "r2"):
        await say(house, room, "ann", "hello")
    done = await house.call("DELETE", "/v1/users/ann")
    assert (done.status, done.json) == (200, {"user": "ann", "rooms": ["r1", "r2"], "failed": []})
    assert (await house.call("GET", "/v1/rooms/r1/comments?user=ann")).json["data"] == []
    assert (await house.call("GET", "/v1/rooms/r1/snapshot", auth=None)).json["recent"] == []
    assert (await house.call("DELETE", "/v1/users/ann")).json["rooms"] == []
    assert (await house.call("DELETE", "/v1/users/ann", auth=house.made_key("k", "chat:moderate", rooms=("r1",)))).status == 403


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_filters_are_staffs_business(house: House, method: str) -> None:
    """401 without credentials, 403 without the scope."""
    assert (await house.call(method, "/v1/filters/platform", auth=None)).status == 401
    assert (await house.call(method, "/v1/filters/platform", auth=house.made_key("weak", "rooms:read"))).status == 403
