"""What only staff see and decide, over HTTP and on their sockets."""

from __future__ import annotations

from typing import Any

import pytest

from livecast.core.filter.words import WordFilter
from support.house import House, until
from support.viewer import Viewer

R1 = "/v1/rooms/r1"


async def say(house: House, user: str, text: str, **more: Any) -> Any:
    """A comment over HTTP: the ack, or the problem."""
    message = {"t": "comment", "cid": f"{user}-{text}", "text": text, **more}
    return (await house.call("POST", f"{R1}/messages", auth=house.token(user), json=message)).json


async def filtered(house: House) -> None:
    """A live room that holds `scam`."""
    await house.live_room("r1")
    room = house.shards._rooms["r1"]._room
    assert room is not None
    room.load_rules(WordFilter(hold=["scam"], block=["damn"]), None)


async def test_held_comments_are_approved_and_rejected(house: House) -> None:
    """Listed with what is known of the author; shown late to everybody; the author is told of either."""
    await filtered(house)
    async with Viewer(house.port, "r1", house.token("ann")) as ann:
        held = [(await say(house, "ann", text))["id"] for text in ("scam one", "scam two")]
        listed = (await house.call("GET", f"{R1}/held")).json["data"]
        assert [comment["id"] for comment in listed] == held
        assert listed[0]["about"]["violations"] == 0
        approved = await house.call("POST", f"{R1}/held/{held[0]}", json={"action": "approve"})
        assert (approved.status, approved.json["action"]) == (200, "approve")
        rejected = await house.call("POST", f"{R1}/held/{held[1]}", json={"action": "reject", "reason": "ads"})
        assert rejected.status == 200
        shown = await ann.until(lambda: [c for f in ann.of("frame") for c in f.get("comments", [])], "the late comment")
        assert [(c["id"], c["late"]) for c in shown] == [(held[0], True)]
        kinds = await ann.until(lambda: [n["kind"] for n in ann.of("notice")][1:] and ann.of("notice"), "both notices")
        assert [n["kind"] for n in kinds] == ["comment.approved", "comment.rejected"]
    again = await house.call("POST", f"{R1}/held/{held[0]}", json={"action": "approve"})
    assert (again.status, again.code) == (404, "not_found")
    assert (await house.call("POST", f"{R1}/held/{held[0]}", json={"action": "maybe"})).status == 422


async def test_reports_reach_the_moderators(house: House) -> None:
    """The reporter hears `reported`; the list says what and why; settling takes it off."""
    await filtered(house)
    shown = await say(house, "ann", "buy elsewhere")
    async with Viewer(house.port, "r1", house.token("bob")) as bob:
        assert (await bob.ask("report", "r", comment=shown["id"], reason="spam"))["verdict"] == "reported"
    [report] = (await house.call("GET", f"{R1}/reports")).json["data"]
    assert (report["comment"], report["user"], report["n"], report["reasons"][0]["reason"]) == (shown["id"], "ann", 1, "spam")
    assert (await house.call("DELETE", f"{R1}/reports/{report['id']}")).status == 200
    assert (await house.call("GET", f"{R1}/reports")).json["data"] == []


async def test_staff_sockets_get_a_desk(house: House) -> None:
    """What viewers are not shown goes to staff alone, in either codec, with the held count and the reports."""
    await filtered(house)
    moderator = house.token("mo", role="moderator", rooms=["r1"])
    async with Viewer(house.port, "r1", moderator) as mo, Viewer(house.port, "r1", house.token("eve")) as eve:
        await mo.until(lambda: mo.of("desk"), "how things stand")
        await say(house, "ann", "scam")
        await say(house, "dan", "damn")
        await mo.until(lambda: len([c for d in mo.of("desk") for c in d["comments"]]) == 2, "both comments")
        told = [(c["u"]["id"], c["verdict"]) for d in mo.of("desk") for c in d["comments"]]
        assert sorted(told) == [("ann", "held"), ("dan", "blocked")]
        assert mo.of("desk")[-1]["held"] == 1
        await eve.ask("ping", "p")
        assert not eve.of("desk")


async def test_moderators_are_appointed_live(house: House) -> None:
    """The open socket gets the rights at once, over HTTP too; dismissed, it has lost them."""
    await filtered(house)
    token = house.token("ann")
    await house.call("PATCH", f"{R1}/policy", json={"mode": "staff"})
    async with Viewer(house.port, "r1", token) as ann:
        assert (await ann.ask("comment", "c1", text="one"))["code"] == "forbidden"
        assert (await house.call("GET", f"{R1}/held", auth=token)).status == 403
        made = await house.call("PUT", f"{R1}/moderators/ann", json={"name": "Ann"})
        assert (made.status, made.json) == (201, {"id": "ann", "name": "Ann"})
        assert (await house.call("PUT", f"{R1}/moderators/ann", json={"name": "Ann"})).status == 200
        await ann.until(lambda: [f for f in ann.of("frame") if "moderators" in f.get("state", {})], "the appointment")
        assert (await ann.ask("comment", "c2", text="two"))["verdict"] == "shown"
        assert (await house.call("GET", f"{R1}/held", auth=token)).status == 200
        assert (await house.call("PUT", f"{R1}/moderators/bob", auth=token)).status == 403
        assert (await house.call("PATCH", f"{R1}/policy", auth=token, json={"mode": "all"})).status == 403
        await ann.until(lambda: ann.of("desk"), "a desk")
        async with Viewer(house.port, "r1", token) as second:
            assert (await second.welcome())["you"]["role"] == "moderator"
        assert (await house.call("GET", R1)).json["moderators"] == [{"id": "ann", "name": "Ann"}]
        assert (await house.call("DELETE", f"{R1}/moderators/ann")).status == 200
        await ann.until(lambda: [f for f in ann.of("frame") if f.get("state", {}).get("moderators", 0) is None], "the end of it")
        assert (await ann.ask("comment", "c3", text="three"))["code"] == "forbidden"
        assert (await house.call("GET", f"{R1}/held", auth=token)).status == 403
    assert (await house.call("DELETE", f"{R1}/moderators/ann")).status == 404


async def test_a_banned_moderator_decides_nothing(house: House) -> None:
    """Neither one with a token nor an appointed one, least of all about their own ban; those above are not theirs to ban."""
    await filtered(house)
    await house.call("PATCH", R1, json={"hosts": [{"id": "hana"}]})
    mod, host = house.token("mod", role="moderator", rooms=["r1"]), house.token("hana", role="host", rooms=["r1"])
    for call, body in ((f"{R1}/bans", {"user": "hana"}), (f"{R1}/mutes", {"user": "hana"}), ("/v1/users/hana/disconnect", {})):
        assert (await house.call("POST", call, auth=mod, json=body)).status == 403, call
    await house.call("PUT", f"{R1}/moderators/ann", json={})
    for user, token in (("mod", mod), ("ann", house.token("ann"))):
        assert (await house.call("GET", f"{R1}/held", auth=token)).status == 200
        assert (await house.call("POST", f"{R1}/bans", auth=host, json={"user": user})).status == 201
        for method, path in (("GET", "held"), ("GET", "audit"), ("DELETE", f"bans/{user}")):
            answer = await house.call(method, f"{R1}/{path}", auth=token)
            assert (answer.status, answer.code) == (403, "forbidden"), path
        assert (await house.call("DELETE", f"{R1}/bans/{user}", auth=host)).status == 200
        assert (await house.call("GET", f"{R1}/held", auth=token)).status == 200


async def test_the_panic_button(house: House) -> None:
    """One call: only staff may speak, screens and files are clean."""
    await filtered(house)
    shown = [await say(house, user, f"noise {user}") for user in ("ann", "bob")]
    head = (await house.call("GET", f"{R1}/frames/head", auth=None)).json
    async with Viewer(house.port, "r1", house.token("eve")) as eve:
        done = await house.call("POST", f"{R1}/panic", json={"reason": "raid"})
        assert (done.status, done.json["redacted"], done.json["mode"]) == (200, 2, "staff")
        redact = await eve.until(lambda: [f["redact"] for f in eve.of("frame") if "redact" in f], "the redaction")
        assert set(redact[0]["comments"]) == {comment["id"] for comment in shown}
    assert (await say(house, "ann", "more"))["code"] == "forbidden"
    for comment in shown:
        file = await house.call("GET", f"{R1}/frames/{head['epoch']}/{comment['seq']}", auth=None)
        assert b"noise" not in file.body
    assert (await house.call("GET", f"{R1}/snapshot", auth=None)).json["recent"] == []


async def test_comments_are_looked_up_in_pages(house: House) -> None:
    """By user, by words, from before another one; redacted ones say nothing more."""
    await filtered(house)
    ids = [(await say(house, f"u{n}", f"Hello {n}"))["id"] for n in range(5)]
    first = (await house.call("GET", f"{R1}/comments?limit=3")).json
    assert [c["id"] for c in first["data"]] == ids[:1:-1]
    rest = (await house.call("GET", f"{R1}/comments?limit=3&cursor={first['next_cursor']}")).json
    assert ([c["id"] for c in rest["data"]], rest["next_cursor"]) == (ids[1::-1], None)
    assert [c["id"] for c in (await house.call("GET", f"{R1}/comments?before={ids[2]}&q=HELLO")).json["data"]] == ids[1::-1]
    assert [c["id"] for c in (await house.call("GET", f"{R1}/comments?user=u3")).json["data"]] == [ids[3]]
    await house.call("POST", f"{R1}/redactions", json={"comments": [ids[0]]})
    last = (await house.call("GET", f"{R1}/comments")).json["data"][-1]
    assert last == {"id": ids[0], "at": last["at"], "redacted": True}


@pytest.mark.parametrize("path", ["held", "reports", "comments", "moderators"])
async def test_only_staff_look_backstage(house: House, path: str) -> None:
    """A viewer's token and a key without the scope are refused."""
    await house.live_room("r1")
    assert (await house.call("GET", f"{R1}/{path}", auth=house.token("ann"))).status == 403
    assert (await house.call("GET", f"{R1}/{path}", auth=house.made_key("weak", "rooms:read"))).status == 403
    assert (await house.call("GET", f"{R1}/{path}", auth=None)).status == 401


async def test_what_the_room_heard_outlives_its_owner(house: House) -> None:
    """Put out of memory and loaded again: held comments and what was said are still there."""
    await filtered(house)
    held = (await say(house, "ann", "scam"))["id"]
    said = (await say(house, "bob", "hello"))["id"]
    loop = house.shards._rooms.pop("r1")
    await loop.drain()
    assert [c["id"] for c in (await house.call("GET", f"{R1}/held")).json["data"]] == [held]
    assert [c["id"] for c in (await house.call("GET", f"{R1}/comments")).json["data"]] == [said]
    await until(lambda: "r1" in house.shards._rooms, "the room")
