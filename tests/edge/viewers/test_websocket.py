"""What a viewer says on a socket and hears back: answers, limits, identity that changes, bad input, closing."""

from __future__ import annotations

import asyncio
import contextlib
import json

import msgspec
import pytest
import websockets

from livecast.adapters.memory.bus import MemoryBus
from livecast.core.events import EdgeRefused
from livecast.edge.rules import EdgeRules
from livecast.facts import Disconnected
from livecast.wire.websocket import PING
from support.house import House, until
from support.viewer import RawSocket, Viewer, masked


@pytest.fixture
def edge_rules() -> EdgeRules:
    """A quick sweep, and a burst that a test can use up."""
    return EdgeRules(sweep_ms=20, messages_burst=10, answer_deadline_ms=300, close_deadline_ms=300)


@pytest.fixture
async def room(house: House) -> House:
    """A node with one live room, `r`."""
    await house.live_room("r")
    return house


@pytest.mark.parametrize("codec", ["json", "msgpack"])
@pytest.mark.parametrize("deflate", [False, True])
async def test_ack_then_frame(room, codec, deflate):
    """In every form: a comment's `ack` comes before the frame that shows it, and says where that is."""
    async with Viewer(room.port, "r", room.token("ada"), codec=codec, deflate=deflate) as viewer:
        await viewer.welcome()
        ack = await viewer.ask("comment", "c1", text="hello, everybody! " * 8, meta={"a": [1, {"b": None}]}, style={"color": 255})
        assert ack["verdict"] == "shown"
        frame = await viewer.until(lambda: next((f for f in viewer.of("frame") if f.get("comments")), None), "frame")
        assert (frame["seq"], frame["comments"][0]["id"]) == (ack["seq"], ack["id"])
        assert viewer.told.index(ack) < viewer.told.index(frame)
        assert (await viewer.ask("like", "l1", n=7))["counted"] == 7
        assert not viewer.gaps()


async def test_last_words_count(room):
    """Who is gone in the turn of the loop in which they spoke was heard all the same."""
    async with Viewer(room.port, "r", room.token("bob")) as bob:
        await bob.welcome()
        async with Viewer(room.port, "r", room.token("ada"), codec="json") as ada:
            await ada.welcome()
            socket = next(each for each in room.node.pulse.sockets.values() if each.identity.person.id == "ada")
            socket.data_received(masked(b'{"t":"comment","cid":"c1","text":"I am off"}'))
            socket.connection_lost(None)  # as it comes where both were read in one turn
            socket.transport.abort()
        await bob.hears(lambda m: [c["text"] for c in m.get("comments", ())] == ["I am off"], "the last words")


async def test_very_many_are_answered_slice_by_slice(room):
    """More answers in one turn than are written in one: the others follow, each once, and a turn comes in between."""
    room.node.keep_to(msgspec.structs.replace(room.node.rules, fanout_slice=2))
    async with contextlib.AsyncExitStack() as stack:
        viewers = [await stack.enter_async_context(Viewer(room.port, "r", codec="json")) for _ in range(5)]
        for viewer in viewers:
            await viewer.welcome()
        for socket in room.node.pulse.sockets.values():
            socket.data_received(masked(b'{"t":"ping","cid":"p"}'))
        room.node.inbox.take_in()
        left = [len(room.node.unsent.viewers)]
        while left[-1]:
            await asyncio.sleep(0)
            left.append(len(room.node.unsent.viewers))
        assert [n for n in (5, 3, 1, 0) if n in left] == [5, 3, 1, 0]
        for viewer in viewers:
            assert (await viewer.answer("p"))["t"] == "pong"


async def test_what_is_not_here_is_answered_honestly(room):
    """No gift, drop or poll is known; taps on unknown products are nobody's business; a user can be reported."""
    async with Viewer(room.port, "r", room.token("ada")) as viewer:
        assert (await viewer.ask("gift", "g", gift="rose", n=1))["code"] == "unknown_gift"
        assert (await viewer.ask("claim", "d", drop="d1"))["code"] == "unknown_drop"
        assert (await viewer.ask("vote", "v", poll="p1", choice=0))["code"] == "unknown_poll"
        assert (await viewer.ask("report", "r", user="bob", reason="spam"))["verdict"] == "reported"
        assert (await viewer.ask("report", "r2", comment="c", reason="spam"))["code"] == "not_found"
        await viewer.send("tap", target="p1", n=3)
        pong = await viewer.ask("ping", "p")
        assert not [m for m in viewer.told if m.get("t") == "error" and "cid" not in m]
        assert pong["now"] == pytest.approx(room.clock(), abs=1000)


async def test_what_the_token_does_not_allow(room):
    """`can` is what it says; a comment refused so is in the tally, once per id however often it is sent."""
    async with Viewer(room.port, "r", room.token("ada", can=["vote"])) as viewer, Viewer(room.port, "r") as other:
        await other.welcome()
        for _ in range(3):
            await viewer.send("comment", cid="c", text="hi")
        await viewer.until(lambda: len(viewer.of("error")) == 3, "three refusals")
        assert {e["code"] for e in viewer.of("error")} == {"not_allowed"}
        assert (await viewer.ask("like", "l", n=1))["code"] == "not_allowed"
        assert (await viewer.ask("gift", "g", gift="rose", n=1))["code"] == "not_allowed"
        assert (await viewer.ask("vote", "v", poll="p", choice=1))["code"] == "unknown_poll"
        room.clock.ahead_ms += 1000
        tally = await other.until(lambda: next((f["tally"] for f in other.of("frame") if "tally" in f), None), "tally")
        assert (tally["in"], tally["rejected"]) == (1, {"not_allowed": 1})


async def test_too_fast(room):
    """Beyond its burst a connection is told when to go on; comments refused so are counted each time, bad ones never."""
    async with Viewer(room.port, "r", room.token("ada")) as viewer, Viewer(room.port, "r") as other:
        await other.welcome()
        for k in range(14):
            await viewer.send("comment", cid=f"c{k}", text=f"text {k}")
        refused = await viewer.until(
            lambda: len(e := [m for m in viewer.of("error") if m["code"] == "rate_limited"]) >= 4 + 7 and e, "x"
        )
        at_edge = [m for m in refused if m["cid"] in {f"c{k}" for k in range(10, 14)}]
        assert len(at_edge) == 4
        assert all(0 < m["retry_after_ms"] <= 250 for m in at_edge)
        room.clock.ahead_ms += 1000
        assert (await viewer.ask("ping", "p"))["t"] == "pong"
        await other.until(lambda: sum(f["tally"]["in"] for f in other.of("frame") if "tally" in f) == 14, "all in the tally")


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ('{"t":"dance","cid":"x"}', "bad_message"),
        ('{"t":"comment","cid":"x"}', "bad_message"),
        ('{"t":"comment","cid":"x","text":7}', "bad_message"),
        ('{"t":"like","n":1.0,"cid":"x"}', "bad_message"),
        ('{"t":"like","n":101,"cid":"x"}', "bad_message"),
        ("[]", "bad_message"),
        ("{", "bad_message"),
        ("", "bad_message"),
        ("[" * 500, "bad_message"),
        ('{"t":"comment","cid":"x","text":"' + "a" * 5000 + '"}', "too_large"),
        ('{"t":"comment","cid":"x","text":"' + "a" * 300 + '"}', "too_large"),
        ('{"t":"comment","cid":"x","text":" \\u200b "}', "invalid"),
        (b'{"t":"ping","cid":"x"}', "bad_message"),
    ],
)
async def test_bad_messages(room, payload, code):
    """Each kind of wrong is answered by its name, on an open socket."""
    async with Viewer(room.port, "r", room.token("ada")) as viewer:
        await viewer.welcome()
        await viewer.socket.send(payload)
        error = (await viewer.until(lambda: viewer.of("error"), "error"))[0]
        assert error["code"] == code
        assert (await viewer.ask("ping", "p"))["t"] == "pong"


async def test_ten_bad_messages_in_a_row(room):
    """Nine bad messages and a good one start the count afresh; ten in a row are hung up on with 4002."""
    async with Viewer(room.port, "r", room.token("ada")) as viewer:
        for _ in range(9):
            await viewer.socket.send("nonsense")
        room.clock.ahead_ms += 60_000
        await viewer.ask("ping", "p")
        for _ in range(10):
            await viewer.socket.send("nonsense")
        closed, bye = await viewer.bye()
        assert (closed, bye["code"], len(viewer.of("error"))) == (4002, 4002, 19)


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (bytes([0x81, 0x02]) + b"{}", 1002),  # unmasked
        (bytes([0xC1, 0x82, 0, 0, 0, 0]) + b"{}", 1002),  # a reserved bit that was not agreed on
        (bytes([0x81, 0x81, 0, 0, 0, 0]) + b"\xff", 1007),
        (bytes([0x82, 0xFF]) + (2**40).to_bytes(8, "big") + bytes(4), 1009),
    ],
)
async def test_broken_framing(room, frame, code):
    """What breaks RFC 6455 closes with the code for it: unmasked frames, bad UTF-8, frames that declare a terabyte."""
    async with RawSocket(room.port, "r") as raw:
        raw.writer.write(frame)
        said = await raw.read_to_end()
        assert code.to_bytes(2, "big") == said[said.rindex(b"\x88") + 2 :][:2]


async def test_good_messages_before_broken_framing_count(room):
    """What came whole before the fault is answered still."""
    async with RawSocket(room.port, "r") as raw:
        await raw.reader.readuntil(b'"t":"welcome"')
        raw.write(b'{"t":"ping","cid":"last"}')
        raw.write_unmasked(b"{}")
        said = await raw.read_to_end()
        assert said.index(b'"cid":"last"') < said.rindex(b"\x88")


async def test_no_answer_in_time(room, monkeypatch):
    """When the room says nothing the client is told `unavailable`, once; an answer after that is dropped."""
    async with Viewer(room.port, "r", room.token("ada")) as viewer:
        await viewer.welcome()
        kept = []
        with monkeypatch.context() as silent:
            silent.setattr(MemoryBus, "reply", lambda *arguments: kept.append(arguments))
            await viewer.send("comment", cid="c", text="hello?")
            await viewer.send("comment", cid="c", text="hello?")
            await until(lambda: len(kept) == 2 or sum(len(replies) for _, _, replies in kept) == 2, "answers that get lost")
            room.clock.ahead_ms += 300
            await viewer.until(lambda: len(viewer.of("error")) == 2, "two times unavailable")
        assert {e["code"] for e in viewer.of("error")} == {"unavailable"}
        for arguments in kept:
            MemoryBus.reply(*arguments)
        assert (await viewer.ask("comment", "c", text="hello?")) in viewer.of("error")
        again = await viewer.until(lambda: viewer.of("ack"), "the answer to the third")
        assert len(again) == 1


async def test_nobody_owns_the_room(room):
    """Without an owner a message is `unavailable` at once, and the comment is not counted anywhere."""
    async with Viewer(room.port, "r", room.token("ada")) as viewer:
        await viewer.welcome()
        await room.shards.drain()
        assert (await viewer.ask("comment", "c", text="hello?"))["code"] == "unavailable"
        assert not room.node.views.peek("r").refused


async def test_renewal_and_expiry(room):
    """A token that ends closes with 4001; a renewal on the open socket moves that; somebody else's token does not."""
    async with (
        Viewer(room.port, "r", room.token("ada", ttl_s=5)) as renews,
        Viewer(room.port, "r", room.token("bob", ttl_s=5)) as lets_go,
    ):
        await lets_go.welcome()
        assert (await renews.ask("auth", "x", token=room.token("eve", ttl_s=900)))["code"] == "forbidden"
        assert (await renews.ask("auth", "y", token="nonsense"))["code"] == "unauthorized"
        assert (await renews.ask("auth", "z", token=room.token("ada", rooms=["elsewhere"])))["code"] == "forbidden"
        ack = await renews.ask("auth", "a", token=room.token("ada", ttl_s=900))
        assert ack["you"]["expires_at"] > room.clock() + 800_000
        room.clock.ahead_ms += 5_000
        closed, bye = await lets_go.bye()
        assert (closed, bye["reconnect"]) == (4001, True)
        assert (await renews.ask("comment", "c", text="still here"))["verdict"] == "shown"
        room.clock.ahead_ms += 900_000
        assert (await renews.bye())[0] == 4001


async def test_signing_in_counts(room):
    """An anonymous viewer who signs in is told notices by the new name, and is one of the room's users."""
    async with Viewer(room.port, "r") as viewer:
        await viewer.welcome()
        await viewer.ask("auth", "a", token=room.token("ada"))
        assert (await room.call("POST", "/v1/rooms/r/events", json={"type": "x.hi", "data": 1, "to": "ada"})).status in {200, 201}
        notice = await viewer.until(lambda: viewer.of("notice"), "notice")
        assert (notice[0]["kind"], notice[0]["data"]) == ("x.hi", 1)
        hub = room.node.views.peek("r")
        assert (hub.connections, hub.users) == (1, 1)
    await until(lambda: hub.connections == 0, "leave")
    assert hub.users == 0


async def test_banned(room):
    """A ban puts every socket of that user out with 4003 and lets them in no more, by whatever door, until it is taken back."""
    async with (
        Viewer(room.port, "r", room.token("eve")) as one,
        Viewer(room.port, "r", room.token("eve")) as two,
        Viewer(room.port, "r", room.token("ada")) as ada,
        Viewer(room.port, "r") as sneaks_in,
    ):
        for viewer in (one, two, ada, sneaks_in):
            await viewer.welcome()
        spam = {"user": "eve", "reason": "spam", "for_s": 600}
        assert (await room.call("POST", "/v1/rooms/r/bans", json=spam)).status in {200, 201}
        assert (await one.bye())[0] == (await two.bye())[0] == 4003
        assert one.of("notice")[0]["kind"] == "banned"
        assert 500_000 < one.of("bye")[0]["retry_after_ms"] <= 600_000
        await sneaks_in.send("auth", cid="a", token=room.token("eve"))
        assert (await sneaks_in.bye())[0] == 4003
        async with Viewer(room.port, "r", room.token("eve")) as again:
            assert (await again.bye())[0] == 4403
        assert (await ada.ask("ping", "p"))["t"] == "pong"
        room.node.views.drop("r")  # another node, or this one later, knows it from the store
        async with Viewer(room.port, "r", room.token("eve")) as again:
            assert (await again.bye())[0] == 4403
        assert (await room.call("DELETE", "/v1/rooms/r/bans/eve")).status in {200, 204}
        await until(lambda: not room.node.views.peek("r").banned("eve"), "pardon")
        async with Viewer(room.port, "r", room.token("eve")) as again:
            await again.welcome()


async def test_a_ban_that_was_not_heard_of(room, monkeypatch):
    """The news of a ban may get lost: the list is asked for again, and holds then."""
    async with Viewer(room.port, "r", room.token("eve")) as eve:
        await eve.welcome()
        with monkeypatch.context() as deaf:
            deaf.setattr(MemoryBus, "notify", lambda *_: None)
            assert (await room.call("POST", "/v1/rooms/r/bans", json={"user": "eve"})).status in {200, 201}
        assert (await eve.ask("ping", "p"))["t"] == "pong"
        await eve.send("comment", cid="c", text="I am still here")  # the room speaks again
        await room.call("PATCH", "/v1/rooms/r/custom", json={"x": 1})
        room.clock.ahead_ms += 61_000
        assert (await eve.bye())[0] == 4003


async def test_end_of_the_broadcast(room):
    """A minute after the end everybody is told 4010 with where to go on, and nobody is let in; a new start opens again."""
    async with Viewer(room.port, "r", room.token("ada")) as ada:
        await ada.welcome()
        assert (await room.call("POST", "/v1/rooms/r/end", json={"redirect": "https://shop.example/next"})).status == 200
        await ada.until(lambda: any(f.get("state", {}).get("status") == "ended" for f in ada.of("frame")), "last frame")
        async with Viewer(room.port, "r") as in_time:
            assert (await in_time.welcome())["state"]["status"] == "ended"
            room.clock.ahead_ms += 60_001
            closed, bye = await ada.bye()
            assert (closed, bye["redirect"], bye["reconnect"]) == (4010, "https://shop.example/next", False)
            assert (await in_time.bye())[0] == 4010
        async with Viewer(room.port, "r") as too_late:
            assert (await too_late.bye())[0] == 4010
            assert not too_late.of("welcome")
    assert (await room.call("POST", "/v1/rooms/r/start")).status == 200
    await until(lambda: not room.node.views.peek("r").over(), "new broadcast")
    async with Viewer(room.port, "r") as next_show:
        assert (await next_show.welcome())["state"]["status"] == "live"


async def test_pings_and_dead_peers(room):
    """The server pings; who answers stays, who is silent for two pings is dropped."""
    async with Viewer(room.port, "r") as alive, RawSocket(room.port, "r") as dead:
        await alive.welcome()
        await dead.reader.readuntil(b'"t":"welcome"')
        node = room.node
        living, dead_one = sorted(node.pulse.sockets.values(), key=lambda one: one.number)
        room.clock.ahead_ms += node.rules.ping_ms
        await until(lambda: dead_one.silent == 1 and living.silent == 0, "first ping, and its pong")
        room.clock.ahead_ms += node.rules.ping_ms
        await until(lambda: dead_one.silent == 2 and living.silent == 0, "second ping, and its pong")
        room.clock.ahead_ms += node.rules.ping_ms
        await until(lambda: len(node.pulse.sockets) == 1, "end of the dead")
        assert (await alive.ask("ping", "p"))["t"] == "pong"


async def test_a_message_without_an_end(room):
    """Who begins a message and then pings instead of ending it is let go with 4008; one whose messages come in pieces stays."""
    async with RawSocket(room.port, "r") as stuck, RawSocket(room.port, "r") as slow:
        for raw in (stuck, slow):
            await raw.reader.readuntil(b'"t":"welcome"')
        stuck_one, slow_one = sorted(room.node.pulse.sockets.values(), key=lambda one: one.number)
        whole = masked(b'{"t":"ping","cid":"p"}')
        stuck.writer.write(bytes((whole[0] & 0x7F,)) + whole[1:])  # a first fragment
        slow.writer.write(whole[:9])
        for _ in range(3):
            room.clock.ahead_ms += room.node.rules.ping_ms
            await until(lambda: slow_one.silent and (stuck_one.silent or stuck_one.closing), "a look at both")
            stuck.write(b"", PING)
            slow.writer.write(whole[9:] + whole[:9])
            await until(lambda: not slow_one.silent and (not stuck_one.silent or stuck_one.closing), "signs of life")
        assert b'"code":4008' in await stuck.read_to_end()
        assert not slow_one.closing
        assert await slow.reader.readuntil(b'"t":"pong"')


async def test_close_handshake(room):
    """A client's close is answered with its code and is no error; the code is what observers hear."""
    async with Viewer(room.port, "r", room.token("ada")) as viewer:
        await viewer.welcome()
        await viewer.socket.close(4999, "enough")
        assert viewer.socket.close_code == 4999
    await until(lambda: room.notes.of(Disconnected), "farewell")
    assert [fact.code for fact in room.notes.of(Disconnected)] == [4999]
    assert not room.node.pulse.sockets
    assert not room.node.closing


async def test_peer_that_does_not_answer_a_close(room):
    """After our close frame a silent peer has a moment, then the connection is gone."""
    async with RawSocket(room.port, "r") as raw:
        raw.write_unmasked(b"{}")
        await raw.reader.readuntil(b"\x88")
        assert len(room.node.closing) == 1
        room.clock.ahead_ms += 300
        await raw.read_to_end()
        await until(lambda: not room.node.closing, "end")


async def test_drain(room):
    """A node that goes away tells everybody 4000 with a delay of their own, and refuses newcomers before the upgrade."""
    viewers = [Viewer(room.port, "r") for _ in range(8)]
    for viewer in viewers:
        await viewer.__aenter__()
        await viewer.welcome()
    await room.node.drain(10_000)
    byes = [await viewer.bye() for viewer in viewers]
    assert {closed for closed, _ in byes} == {4000}
    delays = {bye["retry_after_ms"] for _, bye in byes}
    assert len(delays) > 4
    assert max(delays) < 10_000
    assert all(bye["reconnect"] for _, bye in byes)
    with pytest.raises(websockets.InvalidStatus) as refusal:
        await websockets.connect(viewers[0].uri, proxy=None)
    assert refusal.value.response.status_code == 503
    assert int(refusal.value.response.headers["Retry-After"]) >= 1
    for viewer in viewers:
        await viewer.__aexit__()


async def test_refused_comments_wait_for_an_owner(room, monkeypatch):
    """What was refused here is reported once a second, and kept while nobody owns the room."""
    posted = []
    original = MemoryBus.post

    def post(bus, name, event):
        if isinstance(event, EdgeRefused):
            posted.append(event)
            return len(posted) > 1 and original(bus, name, event)
        return original(bus, name, event)

    monkeypatch.setattr(MemoryBus, "post", post)
    async with Viewer(room.port, "r", room.token("ada", can=[])) as viewer:
        await viewer.ask("comment", "c", text="hi")
        for _ in range(2):
            room.clock.ahead_ms += 1000
            await asyncio.sleep(0.05)
        await until(lambda: len(posted) == 2, "second report")
        assert [event.codes for event in posted] == [{"not_allowed": 1}] * 2
        room.clock.ahead_ms += 1000
        await asyncio.sleep(0.05)
        assert len(posted) == 2


async def test_messages_without_a_socket(room):
    """POST …/messages is the same entry: same answers, a rate per user."""
    token = room.token("ada")
    path = "/v1/rooms/r/messages"
    said = await room.call("POST", path, auth=token, json={"t": "comment", "cid": "c", "text": "hi"})
    assert (said.status, said.json["verdict"]) == (200, "shown")
    assert (await room.call("POST", path, auth=token, json={"t": "like", "n": 3})).json["verdict"] == "ok"
    assert (await room.call("POST", path, auth=token, json={"t": "claim", "cid": "d", "drop": "x"})).code == "unknown_drop"
    assert (await room.call("POST", path, auth=token, json={"t": "ping"})).code == "bad_message"
    assert (await room.call("POST", path, auth=room.token("x", can=[]), json={"t": "like", "n": 3})).code == "not_allowed"
    taps = [room.call("POST", path, auth=token, json={"t": "tap", "target": "x", "n": 3}) for _ in range(40)]
    refused = [answer for answer in await asyncio.gather(*taps) if answer.status == 429]
    assert refused
    assert json.loads(refused[0].body)["retry_after_ms"] > 0
