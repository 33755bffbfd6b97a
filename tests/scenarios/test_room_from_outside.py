"""A broadcast as a viewer's app sees it, through sockets, event streams and frame files."""

from __future__ import annotations

import asyncio
import collections
import json
import random
import time

import aiohttp
import msgpack

from support.node import DEV_KEY, NodeProcess, token
from support.outside import Outsider

WORDS = ["666", "哈哈哈", "好看", "多少钱", "where can I buy this?", "主播好美", "下单了", "+1", "first!"]


def a_show(comments: int, users: int) -> list[tuple[str, str]]:
    """(user, text): much said twice, by many."""
    rng = random.Random(7)
    return [(f"u{rng.randrange(users)}", rng.choice(WORDS) if rng.random() < 0.5 else f"line {k}") for k in range(comments)]


async def test_a_show_adds_up(node: NodeProcess):
    """Every comment is answered; tallies, answers and what is on the screen say the same; nobody sees a gap."""
    rows = a_show(400, 60)
    async with (
        Outsider(node, "show", "watcher") as m,
        Outsider(node, "show", "watcher2", codec="json") as j,
        Outsider(node, "show") as anon,
    ):
        assert anon.welcome["you"]["anonymous"] is True
        sockets = {u: await Outsider(node, "show", u).__aenter__() for u in dict.fromkeys(u for u, _ in rows)}
        for k, (user, text) in enumerate(rows):
            await sockets[user].send(t="comment", cid=f"c{k}", text=text)
            if k % 20 == 0:
                await asyncio.sleep(0.05)  # a show lasts
        for user, socket in sockets.items():
            await socket.send(t="like", cid="l", n=7)
            mine = {f"c{k}" for k, (u, _) in enumerate(rows) if u == user} | {"l"}
            await socket.until(lambda s=socket, w=mine: w <= s.answers.keys(), what=f"answers for {user}")
        counted = sum(s.answers["l"]["counted"] for s in sockets.values())
        await m.until(lambda: m.tally()["in"] == len(rows), what="whole tally")
        await m.until(lambda: any(f["likes"]["total"] == counted for f in m.frames if "likes" in f), what="all likes")
        await j.until(lambda: j.frames[-1]["seq"] >= m.frames[-1]["seq"])
        await anon.until(lambda: anon.frames[-1]["seq"] >= m.frames[-1]["seq"])

        answers = [a for s in sockets.values() for cid, a in s.answers.items() if cid != "l"]
        verdicts = collections.Counter(a.get("verdict") or "rejected" for a in answers)
        tally = m.tally()
        assert tally["in"] == tally["shown"] + tally["merged"] + tally["sampled"] + tally["held"] + tally["rejected"]
        assert {k: tally[k] for k in verdicts} == verdicts
        shown = m.comments()
        assert len(shown) == tally["shown"] == len({c["id"] for c in shown})
        assert {a["id"] for a in answers if a.get("verdict") in {"shown", "merged"}} <= {c["id"] for c in shown}
        assert m.gaps() == j.gaps() == anon.gaps() == []
        by_seq = [{f["seq"]: f for f in v.frames} for v in (m, j, anon)]
        common = by_seq[0].keys() & by_seq[1].keys() & by_seq[2].keys()
        assert len(common) > 5
        assert all(by_seq[0][k] == by_seq[1][k] == by_seq[2][k] for k in common)
        likes = [f["likes"] for f in m.frames if "likes" in f]
        assert sum(x["delta"] for x in likes) == likes[-1]["total"] == counted == 7 * len(sockets)
        for socket in sockets.values():
            await socket.__aexit__()


async def test_equal_comments_become_one_growing_line(node: NodeProcess):
    """From the third person on, saying the same grows a number instead of the screen."""
    async with Outsider(node, "echo", "watcher") as watcher:
        crowd = [await Outsider(node, "echo", f"e{k}").__aenter__() for k in range(7)]
        answers = [await c.ask(t="comment", cid="e", text=["好看", "好看！", " 好看 "][k % 3]) for k, c in enumerate(crowd)]
        assert [a["verdict"] for a in answers] == ["shown", "shown"] + ["merged"] * 5
        assert {a["id"] for a in answers[2:]} == {answers[0]["id"]}
        await watcher.until(lambda: any(g["n"] == 7 for f in watcher.frames for g in f.get("merges", [])), what="the number 7")
        for c in crowd:
            await c.__aexit__()


async def test_a_viewer_who_was_away_misses_nothing(node: NodeProcess):
    """With `since` the missed frames come in order after a welcome that says `recovered`; without it a snapshot."""
    async with Outsider(node, "away", "talker") as talker:
        async with Outsider(node, "away", "viewer") as viewer:
            await talker.ask(t="comment", cid="c0", text="before")
            await viewer.until(viewer.comments)
            since = f"{viewer.frames[-1]['epoch']}:{viewer.frames[-1]['seq']}"
        for k in range(1, 4):
            await talker.ask(t="comment", cid=f"c{k}", text=f"while away {k}")
            await asyncio.sleep(1)  # the sender's own rate limit
        async with Outsider(node, "away", "viewer", since=since) as back:
            await back.until(lambda: len(back.comments()) == 3)
            assert back.welcome["recovered"] is True
            assert back.welcome["recent"] == []
            assert f"{back.welcome['epoch']}:{back.welcome['seq']}" == since
            assert [c["text"] for c in back.comments()] == [f"while away {k}" for k in (1, 2, 3)]
            assert back.gaps() == []
        for unknown in ("nonsense:1", f"{since.split(':', maxsplit=1)[0]}:99999", "x"):
            async with Outsider(node, "away", "viewer", since=unknown) as fresh:
                assert fresh.welcome["recovered"] is False
                assert [c["text"] for c in fresh.welcome["recent"]][-1] == "while away 3"


async def test_the_same_content_by_events_and_files(node: NodeProcess):
    """Event stream, frame files and bundles say what the socket said."""
    async with Outsider(node, "files", "talker") as talker, aiohttp.ClientSession(node.base) as http:
        stream = await http.get("/v1/rooms/files/events")
        assert stream.status == 200

        async def event() -> dict[str, str]:
            got: dict[str, str] = {}
            while True:
                line = (await asyncio.wait_for(stream.content.readline(), 10)).decode().rstrip("\n")
                if not line and got:
                    return got
                if line and not line.startswith(":"):
                    key, _, value = line.partition(": ")
                    got[key] = value

        first = await event()
        welcome = json.loads(first["data"])
        assert (first["event"], first["id"]) == ("welcome", f"{welcome['epoch']}:{welcome['seq']}")
        await talker.ask(t="comment", cid="c", text="to all of you")
        told = await event()
        while "to all of you" not in told["data"]:
            told = await event()
        await talker.until(talker.comments)
        frame = next(f for f in talker.frames if f.get("comments"))
        assert json.loads(told["data"]) == frame
        for suffix, read in (("", json.loads), (".json", json.loads), (".msgpack", msgpack.unpackb)):
            answer = await http.get(f"/v1/rooms/files/frames/{frame['epoch']}/{frame['seq']}{suffix}")
            assert answer.status == 200
            assert "max-age=120" in answer.headers["Cache-Control"]
            assert read(await answer.read()) == frame
        far = await http.get(f"/v1/rooms/files/frames/{frame['epoch']}/{frame['seq'] + 1000}")
        assert far.status == 404
        assert "max-age=1" in far.headers["Cache-Control"]
        head = await (await http.get("/v1/rooms/files/frames/head")).json()
        assert head["seq"] >= frame["seq"]
        snapshot = await (await http.get("/v1/rooms/files/snapshot")).json()
        assert snapshot["recent"][-1]["text"] == "to all of you"
        stream.close()


async def test_a_frame_that_comes_soon_is_waited_for(node: NodeProcess):
    """The next frame's file is held until there is one, so that a cache asks once."""
    async with Outsider(node, "soon", "talker") as talker, aiohttp.ClientSession(node.base) as http:
        await talker.ask(t="comment", cid="c0", text="one")
        head = await (await http.get("/v1/rooms/soon/frames/head")).json()
        waiting = asyncio.create_task(http.get(f"/v1/rooms/soon/frames/{head['epoch']}/{head['seq'] + 1}"))
        await asyncio.sleep(1.2)  # past the sender's own rate limit and every frame still to come
        was_waiting = not waiting.done()
        await talker.ask(t="comment", cid="c1", text="two")
        answer = await waiting
        assert answer.status == 200
        assert was_waiting or (await answer.json())["seq"] == head["seq"] + 1


async def test_a_token_renewed_on_the_live_socket_keeps_it_open(node: NodeProcess):
    """`auth` before `expires_at` moves the end; a socket without it is closed with 4001 at the first token's end."""
    async with (
        Outsider(node, "renew", tok=token("ann", ttl_s=3)) as renewed,
        Outsider(node, "renew", tok=token("bob", ttl_s=3)) as left,
    ):
        answer = await renewed.ask(t="auth", cid="a", token=token("ann", ttl_s=600))
        assert answer["verdict"] == "ok"
        assert answer["you"]["id"] == "ann"
        await left.until(lambda: left.closed, what="close at the token's end")
        assert left.closed is not None
        assert left.closed[0] == 4001
        assert (await renewed.ask(t="comment", cid="c", text="still here"))["verdict"] == "shown"
        answer = await renewed.ask(t="auth", cid="b", token=token("somebody else"))
        assert answer["code"] in {"forbidden", "unauthorized"}


async def test_an_anonymous_viewer_signs_in_without_reconnecting(node: NodeProcess):
    """Watching first, speaking later, on the same socket."""
    async with Outsider(node, "sign-in") as viewer:
        assert (await viewer.ask(t="comment", cid="c0", text="may I?"))["code"] in {"unauthorized", "not_allowed", "forbidden"}
        assert (await viewer.ask(t="auth", cid="a", token=token("ann", name="Ann")))["you"]["name"] == "Ann"
        assert (await viewer.ask(t="comment", cid="c1", text="now I may"))["verdict"] == "shown"
        await viewer.until(viewer.comments)
        assert viewer.comments()[0]["u"]["id"] == "ann"


async def test_the_host_starts_pauses_and_ends(node: NodeProcess):
    """A broadcast over HTTP, as viewers see it."""
    async with aiohttp.ClientSession(node.base, headers=DEV_KEY) as http:
        assert (await http.put("/v1/rooms/tonight", json={"title": "Tonight"})).status == 201
        async with Outsider(node, "tonight", "ann") as ann:
            assert ann.welcome["state"]["status"] == "scheduled"
            assert (await ann.ask(t="comment", cid="c0", text="hello?"))["code"] == "room_not_live"
            assert (await http.post("/v1/rooms/tonight/start")).status == 200
            await ann.until(lambda: ann.welcome["state"]["status"] == "live", what="the start")
            assert (await ann.ask(t="comment", cid="c1", text="hello"))["verdict"] == "shown"
            assert (await http.post("/v1/rooms/tonight/pause")).status == 200
            assert (await ann.ask(t="comment", cid="c2", text="still?"))["code"] == "room_not_live"
            assert (await http.post("/v1/rooms/tonight/resume")).status == 200
            assert (await http.patch("/v1/rooms/tonight/policy", json={"slow_mode_s": 60})).status == 200
            assert (await http.patch("/v1/rooms/tonight/policy", json={"slow_mode_s": 6000})).status == 422
            await asyncio.sleep(1)  # the sender's own rate limit
            assert (await ann.ask(t="comment", cid="c3", text="again"))["verdict"] == "shown"
            assert (await ann.ask(t="comment", cid="c4", text="and again"))["code"] == "slow_mode"
            await ann.until(lambda: any(f.get("state", {}).get("policy") == {"slow_mode_s": 60} for f in ann.frames))
            assert (await http.post("/v1/rooms/tonight/events", json={"type": "x.hello", "data": {"a": 1}})).status in {
                200,
                201,
                202,
            }
            await ann.until(lambda: any(e["type"] == "x.hello" for f in ann.frames for e in f.get("events", [])))
            assert (await http.post("/v1/rooms/tonight/end")).status == 200
            await ann.until(lambda: any(f.get("state", {}).get("status") == "ended" for f in ann.frames))
            assert ann.gaps() == []


async def test_kill_and_start_again(node: NodeProcess):
    """Kill -9 of the node: totals, policy, recent comments and remembered answers are there; the epoch is new."""
    async with Outsider(node, "fall", "ann") as ann:
        said = await ann.ask(t="comment", cid="c", text="before the fall")
        assert (await ann.ask(t="like", cid="l", n=9))["counted"] == 9
        async with aiohttp.ClientSession(node.base, headers=DEV_KEY) as http:
            assert (await http.patch("/v1/rooms/fall/policy", json={"slow_mode_s": 5})).status == 200
            assert (await http.post("/v1/rooms/fall/mutes", json={"user": "troll"})).status in {200, 201}
        await ann.until(ann.comments)
        since = f"{ann.frames[-1]['epoch']}:{ann.frames[-1]['seq']}"
        node.kill()
        await ann.until(lambda: ann.closed)
    began = time.monotonic()
    node.start()
    assert time.monotonic() - began < 30
    async with Outsider(node, "fall", "ann", since=since) as ann, Outsider(node, "fall", "troll") as troll:
        assert ann.welcome["recovered"] is False
        assert ann.welcome["epoch"] != since.split(":", maxsplit=1)[0]
        assert ann.welcome["state"]["likes"] == 9
        assert ann.welcome["policy"]["slow_mode_s"] == 5
        assert [c["text"] for c in ann.welcome["recent"]] == ["before the fall"]
        assert await ann.ask(t="comment", cid="c", text="before the fall") == said
        assert (await troll.ask(t="comment", cid="c", text="grr"))["code"] == "muted"


async def test_an_orderly_stop_says_goodbye(node: NodeProcess):
    """SIGTERM: everybody is told 4000 with when to come back, the exit code is 0, and it takes no longer than 15 s.

    The last of this file: it is not started again.
    """
    async with Outsider(node, "stop", "ann") as ann:
        await ann.ask(t="comment", cid="c", text="hello")
        began = time.monotonic()
        code = await asyncio.to_thread(node.stop)
        await ann.until(lambda: ann.closed)
        assert code == 0
        assert time.monotonic() - began < 15
        bye = next(m for m in ann.said if m["t"] == "bye")
        assert bye["code"] == 4000
        assert bye["reconnect"] is True
        assert bye["retry_after_ms"] >= 0
        assert ann.closed is not None
        assert ann.closed[0] == 4000
