"""A room that hides its users: no viewer gets an id, over whatever way; staff still mean the people they see."""

from __future__ import annotations

import json
from typing import Any

import pytest

from livecast.core.events import GiftShown, Person
from livecast.core.rules import Policy, RoomRules
from livecast.shard.house import House as HouseAtHome
from support.house import House
from support.viewer import Viewer

R1 = "/v1/rooms/r1"
ANN, BOB, EVE = "user-ann-17", "user-bob-18", "user-eve-19"
HOST = "the-host"


@pytest.fixture
def room_rules() -> RoomRules:
    """Snapshots now and then, so that views are made of frames before and after one."""
    return RoomRules(policy=Policy(tick_ms=50), snapshot_frames=3)


async def hidden_room(house: House) -> None:
    """A live room with a host and users who go by aliases."""
    await house.live_room("r1", hosts=[{"id": HOST, "name": "Host"}], policy={"users": "aliases", "board": "values"})


async def say(house: House, user: str, text: str, **more: Any) -> Any:
    """A comment over HTTP: the ack, or the problem."""
    message = {"t": "comment", "cid": f"{user}-{text}", "text": text, **more}
    return (await house.call("POST", f"{R1}/messages", auth=house.token(user), json=message)).json


def names(said: object) -> list[str]:
    """The ids of users in what somebody was told."""
    text = said.decode() if isinstance(said, bytes) else json.dumps(said)
    return [user for user in (ANN, BOB) if user in text]


async def liven(house: House) -> dict[str, Any]:
    """Have everything said that could name somebody; the acks of the comments."""
    await say(house, ANN, "hello")
    first = await say(house, BOB, "hi there")
    reply = await say(house, ANN, "you too", reply_to=first["id"], mentions=[HOST])
    gift = GiftShown(
        1, "tx1", Person(BOB, BOB), str((await house.call("GET", R1)).json["broadcast"]), "rose", 3, 30, total=30, to=HOST
    )
    assert house.shards.feed("r1", [gift])
    host = house.token(HOST, role="host", rooms=["r1"])
    assert (await house.call("POST", f"{R1}/events", auth=host, json={"type": "x.quiz", "data": {"q": 1}})).status == 201
    gone = await say(house, ANN, "bad words")
    assert (await house.call("POST", f"{R1}/redactions", json={"comments": [gone["id"]]})).status == 201
    return {"first": first, "reply": reply, "gone": gone}


async def test_no_viewer_gets_an_id(house: House) -> None:
    """Sockets of both codecs, event streams, files, snapshots, resumes: nothing has it, and they all have the same alias."""
    await hidden_room(house)
    async with (
        Viewer(house.port, "r1", house.token(EVE)) as eve,
        Viewer(house.port, "r1", codec="msgpack", deflate=True) as nobody,
        house.session.get(f"{R1}/events") as stream,
    ):
        started = await eve.welcome()
        acks = await liven(house)
        last = acks["gone"]["id"]
        await eve.until(lambda: any(last in f.get("redact", {}).get("comments", []) for f in eve.of("frame")), "the redaction")
        await nobody.until(lambda: any(last in f.get("redact", {}).get("comments", []) for f in nobody.of("frame")), "the same")
        await eve.until(lambda: [f for f in eve.of("frame") if f.get("gifts")], "the gift")
        assert not names(eve.told)
        assert not names(nobody.told)
        shown = {c["text"]: c for f in eve.of("frame") for c in f.get("comments", [])}
        ann, bob = shown["hello"]["u"]["id"], shown["hi there"]["u"]["id"]
        reply = shown["you too"]
        assert ann.startswith("a_")
        assert (reply["u"]["id"], reply["reply_to"]["u"]["id"], reply["mentions"]) == (ann, bob, [HOST])
        [gift] = [g for f in eve.of("frame") for g in f.get("gifts", []) if not g["done"]]
        assert (gift["u"]["id"], gift["u"]["name"], gift["to"]) == (bob, bob[:10], HOST)
        [board] = [f["state"]["board"] for f in eve.of("frame") if "board" in f.get("state", {})]
        assert board == [{"u": {"id": bob, "name": bob[:10]}, "value": 30}]
        [event] = [e for f in eve.of("frame") for e in f.get("events", [])]
        assert event["u"]["id"] == HOST

        head = (await house.call("GET", f"{R1}/frames/head", auth=None)).json
        for n in range(1, head["seq"] + 1):
            for form in ("json", "msgpack"):
                file = await house.call("GET", f"{R1}/frames/{head['epoch']}/{n}.{form}", auth=None)
                assert file.status == 200
                assert ANN.encode() not in file.body
                assert BOB.encode() not in file.body
        snapshot = (await house.call("GET", f"{R1}/snapshot", auth=None)).json
        assert not names(snapshot)
        assert snapshot["state"]["board"] == board
        streamed = await stream.content.read(64 * 1024)
        while last.encode() not in streamed.partition(b'"redact"')[2]:
            streamed += await stream.content.read(64 * 1024)
        assert not names(streamed)

        async with Viewer(house.port, "r1", query=f"?since={started['epoch']}:{started['seq']}") as late:
            await late.until(lambda: len(late.of("frame")) >= head["seq"] - started["seq"], "what was missed")
            assert (await late.welcome())["recovered"]
            assert not names(late.told)
            again = {c["text"]: c for f in late.of("frame") for c in f.get("comments", []) if "text" in c}
            assert again["hello"]["u"]["id"] == ann
        house.node.views.drop("r1")  # as a node that begins to follow: from the snapshot and the log
        async with Viewer(house.port, "r1", house.token(ANN)) as back:
            welcome = await back.welcome()
            assert {c["u"]["id"] for c in welcome["recent"]} == {ann, bob}
            assert (welcome["you"]["id"], welcome["you"]["alias"]) == (ANN, ann), "one's own comments are told by it"
            assert not names({**welcome, "you": None})


async def test_staff_act_on_whom_they_see(house: House) -> None:
    """Mute, ban, redact, look up and appoint by alias; what is answered, logged and told has the real id."""
    await hidden_room(house)
    acks = await liven(house)
    moderator = house.token("mo", role="moderator", rooms=["r1"])
    snapshot = (await house.call("GET", f"{R1}/snapshot", auth=None)).json
    by_text = {c["text"]: c["u"]["id"] for c in snapshot["recent"]}
    ann, bob = by_text["hello"], by_text["hi there"]

    found = (await house.call("GET", f"{R1}/comments?user={ann}", auth=moderator)).json["data"]
    assert {c["u"]["id"] for c in found if "u" in c} == {ANN}
    muted = await house.call("POST", f"{R1}/mutes", auth=moderator, json={"user": ann, "for_s": 60})
    assert (muted.status, muted.json["user"]) == (201, ANN)
    assert (await say(house, ANN, "again"))["code"] == "muted"
    assert (await house.call("DELETE", f"{R1}/mutes/{ann}", auth=moderator)).status == 200
    appointed = await house.call("PUT", f"{R1}/moderators/{bob}", json={"name": "Bob"})
    assert (appointed.status, appointed.json["id"]) == (201, BOB)
    assert (await house.call("DELETE", f"{R1}/moderators/{bob}")).status == 200
    async with Viewer(house.port, "r1", house.token(EVE)) as eve, Viewer(house.port, "r1", house.token(ANN)) as there:
        await there.welcome()
        await eve.welcome()
        gone = await house.call("POST", f"{R1}/redactions", auth=moderator, json={"users": [ann], "reason": "spam"})
        assert (gone.status, gone.json["users"]) == (201, [ANN])
        redacted = await eve.hears(lambda m: m.get("redact", {}).get("users"), "the redaction")
        assert redacted["redact"]["users"] == [ann]
        assert (await house.call("POST", f"{R1}/bans", auth=moderator, json={"user": ann})).json["user"] == ANN
        assert (await there.bye())[0] == 4003
    late = (await house.call("GET", f"{R1}/snapshot", auth=None)).json
    assert [c["text"] for c in late["recent"]] == ["hi there"]
    frame = await house.call("GET", f"{R1}/frames/{late['epoch']}/{acks['first']['seq']}", auth=None)
    assert b"hello" not in frame.body, "kept frames are without what was redacted"
    audit = (await house.call("GET", f"{R1}/audit")).json["data"]
    assert {act["args"]["user"] for act in audit if act["action"] in {"mute", "ban"}} == {ANN}
    unknown = await house.call("POST", f"{R1}/bans", json={"user": "a_" + "a" * 26})
    assert (unknown.status, unknown.code) == (404, "not_found")


async def test_viewers_report_and_mention_whom_they_see(house: House) -> None:
    """Staff get the real id; a real id in a viewer's mention is taken out, or it would be answered with its alias."""
    await hidden_room(house)
    await liven(house)
    ann = (await house.call("GET", f"{R1}/snapshot", auth=None)).json["recent"][0]["u"]["id"]
    moderator = house.token("mo", role="moderator", rooms=["r1"])
    async with Viewer(house.port, "r1", house.token(EVE)) as eve, Viewer(house.port, "r1", moderator) as mo:
        assert (await eve.ask("report", "r1", user=ann, reason="rude"))["verdict"] == "reported"
        assert (await eve.ask("report", "r2", user="a_" + "b" * 26, reason="rude"))["code"] == "not_found"
        shown = await eve.ask("comment", "c1", text="hey you", mentions=[ann, BOB])
        assert shown["verdict"] == "shown"
        comment = await eve.hears(lambda m: any(c["id"] == shown["id"] for c in m.get("comments", [])), "the comment")
        assert comment["comments"][0]["mentions"] == [ann]
        [report] = (await house.call("GET", f"{R1}/reports")).json["data"]
        assert (report["user"], report["reasons"][0]["by"]) == (ANN, EVE)
        desk = await mo.hears(lambda m: m.get("reports"), "the desk")
        assert desk["reports"][0]["user"] == ANN
        assert (await house.call("POST", f"{R1}/comments", json={"text": "@Bob", "mentions": [BOB]})).status == 201
        called = await eve.hears(lambda m: any(c["text"] == "@Bob" for c in m.get("comments", [])), "the staff's comment")
        assert called["comments"][0]["mentions"][0].startswith("a_")


async def test_a_change_of_the_policy_begins_an_epoch(house: House) -> None:
    """Everybody is welcomed again, and from then on sees the other names; nothing else is lost."""
    await house.live_room("r1")
    async with Viewer(house.port, "r1", house.token(EVE)) as eve:
        await eve.welcome()
        await say(house, ANN, "hello")
        assert (await house.call("PATCH", f"{R1}/policy", json={"users": "aliases"})).status == 200
        welcome = await eve.welcome(2)
        assert (welcome["reason"], welcome["policy"]["users"]) == ("epoch", "aliases")
        assert welcome["you"]["alias"].startswith("a_")
        [hello] = welcome["recent"]
        assert hello["text"] == "hello"
        assert not names(welcome)
        await say(house, BOB, "hi")
        hi = await eve.hears(
            lambda m: m["t"] == "frame" and m["epoch"] == welcome["epoch"] and m.get("comments"), "what is said then"
        )
        assert not names(hi)
        assert (await house.call("PATCH", f"{R1}/policy", json={"users": "ids"})).status == 200
        assert names((await eve.welcome(3))["recent"]) == [ANN, BOB]
        assert "alias" not in (await eve.welcome(3))["you"]


async def test_all_processes_share_one_key(house: House) -> None:
    """Whoever starts first makes it."""
    other = HouseAtHome(id="n2", rules=house.rules, bus=house.bus, clock=house.clock, observer=house.notes)
    before = other.alias_key
    await other.start()
    try:
        assert other.alias_key == house.house.alias_key != before
    finally:
        other.stop()
