"""Frames to many: order, resume, new epochs, slow sockets, and nobody waiting for anybody."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Iterator
from typing import Any

import msgpack
import pytest

from livecast.core.errors import Refusal
from livecast.core.frames import Frame, Redact
from livecast.core.rules import Policy, RoomRules
from livecast.edge.access.identity import anonymous
from livecast.edge.rooms import fanout
from livecast.edge.rooms.fanout import HOT_FRAMES, TOGETHER_BYTES
from livecast.edge.rooms.following import put_in
from livecast.edge.rooms.veil import Veil
from livecast.edge.rules import EdgeRules
from livecast.facts import Disconnected, FannedOut
from livecast.ports import Published
from livecast.wire.codec import JSON, MSGPACK
from livecast.wire.messages import Bye
from livecast.wire.sealing import Sealed
from livecast.wire.websocket import close_frame
from support.house import House, until
from support.viewer import RawSocket, Viewer, masked


@pytest.fixture
def edge_rules() -> EdgeRules:
    """Small slices, so that a handful of sockets is a large room; small outboxes, so that slowness shows soon."""
    return EdgeRules(
        sweep_ms=20,
        fanout_slice=4,
        outbox_soft_bytes=16_384,
        outbox_max_bytes=65_536,
        outbox_stall_ms=5_000,
        close_deadline_ms=300,
        connections_per_address=0,
        send_buffer_bytes=8_192,
    )


@pytest.fixture
def room_rules() -> RoomRules:
    """A snapshot every few frames, so that views are made of frames before and after one."""
    return RoomRules(policy=Policy(tick_ms=50), snapshot_frames=3)


@pytest.fixture
async def room(house: House) -> House:
    """A node with one live room, `r`."""
    await house.live_room("r")
    return house


async def say(house: House, n: int, room: str = "r", size: int = 1) -> None:
    """Have the room speak `n` times: each change is a frame of its own."""
    for k in range(n):
        filling = f"{k:04d}" + "x" * size
        assert (await house.call("PATCH", f"/v1/rooms/{room}/custom", json={"k": filling})).status == 200


async def begin_anew(house: House) -> None:
    """One broadcast ends, the next begins: a new epoch."""
    assert (await house.call("POST", "/v1/rooms/r/end")).status == 200
    assert (await house.call("POST", "/v1/rooms/r/start")).status == 200


def k_of(message):
    """What `say` said in this frame."""
    return message.get("state", {}).get("custom", {}).get("k")


def hub_of(house: House):
    """The hub of `r`."""
    hub = house.node.views.peek("r")
    assert hub is not None
    return hub


async def test_everybody_gets_every_frame_in_order(room):
    """In a large room too, with codecs and compression mixed, joins and leaves in between: no gap, nothing twice."""
    kinds = [("json", False), ("json", True), ("msgpack", False), ("msgpack", True)]
    viewers = [Viewer(room.port, "r", codec=codec, deflate=deflate) for codec, deflate in kinds * 4]
    for viewer in viewers[:8]:
        await viewer.__aenter__()
    talk = asyncio.create_task(say(room, 30))
    for viewer in viewers[8:]:
        await viewer.__aenter__()
        await asyncio.sleep(0.01)
    await viewers[0].__aexit__()
    await talk
    last = hub_of(room).view.seq
    for viewer in viewers[1:]:
        await viewer.hears(lambda m: m.get("seq") == last, "last frame")
        assert not viewer.gaps()
    same = [{m["seq"]: m for m in v.of("frame")} for v in viewers[1:8]]
    assert all(frames == same[0] for frames in same)
    for viewer in viewers[1:]:
        await viewer.__aexit__()
    facts = [fact for fact in room.notes.of(FannedOut) if fact.deliveries > 8]
    assert facts
    assert all(fact.wire_bytes > fact.deliveries for fact in facts)


async def test_frames_keep_their_order_while_the_loop_takes_turns(room):
    """Two frames applied in one turn go out one after the other, to those who were there; a pong speaks of neither too soon."""
    viewers = [Viewer(room.port, "r") for _ in range(12)]
    for viewer in viewers:
        await viewer.__aenter__()
        await viewer.welcome()
    await until(lambda: len(room.node.pulse.sockets) == 12, "all in")
    hub = hub_of(room)
    await until(lambda: not hub.joined, "first report")
    await asyncio.sleep(0.1)
    first = hub.view.seq
    for seq in (first + 1, first + 2):
        frame = Frame(hub.view.epoch, seq, room.clock(), state={"custom": {"seq": seq}})
        assert hub.apply(Sealed.of(frame), frame)
    # Only the first slice of the first frame has gone out: for all that anybody was told, nothing is missing yet.
    assert (hub.view.seq, hub.sent_seq) == (first + 2, first)
    *_, asks, falls_behind = room.node.pulse.sockets.values()
    asks.data_received(masked(b'{"t":"ping","cid":"early"}'))
    falls_behind.welcome_again("skipped")  # it is told all of this now, and must not be handed it again
    async with Viewer(room.port, "r") as joins:
        assert (await joins.welcome())["seq"] == first + 2
        for viewer in viewers:
            await viewer.hears(lambda m: m.get("seq") == first + 2, "second frame")
            assert not viewer.gaps()
        assert (await viewers[10].answer("early"))["seq"] == first
        assert [m["seq"] for m in viewers[11].told[-1:]] == [first + 2]
        assert viewers[11].told[-1]["t"] == "welcome"
        assert hub.sent_seq == first + 2
        assert not joins.of("frame")
    for viewer in viewers:
        await viewer.__aexit__()


async def a_dozen(room, other_codec="msgpack"):
    """Twelve viewers, every other one with another codec, who have been told everything there is."""
    viewers = [Viewer(room.port, "r", codec=(other_codec, "msgpack")[n % 2]) for n in range(12)]
    for viewer in viewers:
        await viewer.__aenter__()
        await viewer.welcome()
    await until(lambda: len(room.node.pulse.sockets) == 12, "all in")
    hub = hub_of(room)
    await until(lambda: hub.view.state["viewers"]["connections"] == 12, "all are told of")
    await until(lambda: hub.sent_seq == hub.view.seq, "everybody is told")
    return viewers


async def test_frames_that_waited_leave_together(room):
    """A node that has fallen behind writes once for all frames that wait: nobody misses one, gets one twice or in another order."""
    viewers = await a_dozen(room)
    hub = hub_of(room)
    first = hub.view.seq
    *_, came_between = room.node.pulse.sockets.values()
    before = len(room.notes.of(FannedOut))
    sizes = [10, 10, 10, TOGETHER_BYTES, 10]
    for seq, size in enumerate(sizes, first + 1):
        if seq == first + 3:
            came_between.welcome_again("skipped")  # it is told of the first two now, and is handed the others alone
        frame = Frame(hub.view.epoch, seq, room.clock(), state={"custom": {"k": "x" * size}})
        assert hub.apply(Sealed.of(frame), frame)
    for viewer in viewers:
        await viewer.hears(lambda m: m.get("seq") == first + 5, "last frame")
        assert not viewer.gaps()
        told = [m["seq"] for m in viewer.of("frame") if m["seq"] > first]
        assert told == [first + 3, first + 4, first + 5] if viewer is viewers[-1] else [first + n for n in range(1, 6)]
    assert hub.sent_seq == first + 5
    # The first leaves alone, the next two wait for it and leave together; what is large leaves alone behind them.
    assert [fact.deliveries // 12 for fact in room.notes.of(FannedOut)[before:]] == [1, 2, 1, 1]
    for viewer in viewers:
        await viewer.__aexit__()


async def test_what_waits_to_be_handed_out_is_bounded(room, monkeypatch):
    """A node too slow for its frames lets go of what is kept for nobody else: everybody is welcomed anew and goes on from there.

    Not so whoever came when nothing was left out any more; answers go out as ever.
    """
    viewers = await a_dozen(room, "json")
    hub = hub_of(room)
    waiting = 0

    def speak(times: int, size: int) -> None:
        """In one turn of the loop, so that not even one frame reaches everybody."""
        nonlocal waiting
        for _ in range(times):
            frame = Frame(hub.view.epoch, hub.view.seq + 1, room.clock(), state={"custom": {"k": "x" * size}})
            assert hub.apply(Sealed.of(frame), frame)
            waiting = max(waiting, sum(len(sealed.msgpack) for sealed, _ in hub._fanout._waiting))

    speak(300, 8_000)
    assert waiting <= RoomRules().log_bytes_max
    [*_, last] = room.node.pulse.sockets.values()
    last.answer("asked", Refusal("rate_limited"))
    async with Viewer(room.port, "r") as late:
        await late.welcome()
        monkeypatch.setattr(fanout, "LATE_S", -1.0)  # what waits at all has waited too long
        await until(lambda: hub.sent_seq == hub.view.seq, "everybody is told")
        speak(3, 10)
        monkeypatch.undo()
        speak(1, 10)
        for viewer in [*viewers, late]:
            await viewer.until(lambda: viewer.told[-1].get("seq") == hub.view.seq, "head")  # noqa: B023 - asked here
            assert not viewer.gaps()
        assert [m["reason"] for m in late.of("welcome")] == ["joined", "skipped"]
    for viewer in viewers:
        assert [m["reason"] for m in viewer.of("welcome")] == ["joined", "skipped", "skipped"]
        assert len(viewer.of("frame")) < 20
    assert await viewers[-1].answer("asked")
    assert sum(fact.skipped for fact in room.notes.of(FannedOut)) > 12 * 100
    speak(1, 10)
    for viewer in viewers:
        await viewer.until(lambda: (m := viewer.told[-1])["t"] == "frame" and m["seq"] == hub.view.seq, "frame")  # noqa: B023 - asked here
        assert not viewer.gaps()
        await viewer.__aexit__()


async def test_while_a_frame_is_handed_out(room):
    """Who is answered meanwhile hears the answer before the frame; who is put out hears nothing behind the close frame."""
    viewers = [Viewer(room.port, "r") for _ in range(8)]
    for viewer in viewers:
        await viewer.__aenter__()
        await viewer.welcome()
    async with RawSocket(room.port, "r") as goes:
        await until(lambda: len(room.node.pulse.sockets) == 9, "all in")
        hub = hub_of(room)
        await until(lambda: hub.view.state["viewers"]["connections"] == 9, "all are told of")
        await until(lambda: hub.sent_seq == hub.view.seq, "everybody is told")
        for n in range(2):  # the first time it is known who is there, the second time nothing has happened since
            seq = hub.view.seq + 1
            frame = Frame(hub.view.epoch, seq, room.clock(), state={"custom": {"n": n}})
            assert hub.apply(Sealed.of(frame), frame)
            sockets = list(room.node.pulse.sockets.values())
            sockets[6].answer(f"c{n}", Refusal("rate_limited"))
            if n:
                sockets[8].bye(Bye(4003, "Out.", reconnect=False, retry_after_ms=0))
            for viewer in viewers:
                await viewer.until(lambda: hub.sent_seq == seq and viewer.told[-1].get("seq") == seq, "frame")  # noqa: B023 - asked here
                assert not viewer.gaps()
            told = [(m["t"], m.get("cid") or m.get("seq")) for m in viewers[6].told]
            assert told[-2:] == [("error", f"c{n}"), ("frame", seq)]
        assert (await goes.read_to_end()).endswith(close_frame(4003, "Out."))
    for viewer in viewers:
        await viewer.__aexit__()


async def test_resume(room):
    """`since` brings what was missed, in order, and the state as it is now; what cannot be brought is a fresh start."""
    async with Viewer(room.port, "r") as viewer:
        await viewer.welcome()
        await say(room, 3)
        frames = await viewer.until(lambda: len(f := viewer.of("frame")) >= 3 and f, "frames")
    left_at, epoch = frames[-1]["seq"], frames[-1]["epoch"]
    await say(room, 5)
    for codec, deflate in (("json", False), ("msgpack", True)):
        async with Viewer(room.port, "r", query=f"?since={epoch}:{left_at}", codec=codec, deflate=deflate) as back:
            welcome = await back.welcome()
            assert (welcome["recovered"], welcome["seq"], welcome["recent"]) == (True, left_at, [])
            assert welcome["state"]["custom"]["k"] == "0004x"
            await back.hears(lambda m: m.get("seq") == left_at + 5, "missed frames")
            assert not back.gaps()
    head = hub_of(room).view.seq
    for since in (f"{epoch}:{head + 1}", f"another:{left_at}", "nonsense", f"{epoch}:-1", f"{epoch}:{'9' * 30}"):
        async with Viewer(room.port, "r", query=f"?since={since}") as fresh:
            assert (await fresh.welcome())["recovered"] is False
    async with Viewer(room.port, "r", query=f"?since={epoch}:{head}") as current:
        welcome = await current.welcome()
        assert (welcome["recovered"], welcome["seq"]) == (True, head)


async def test_resume_over_more_than_fits(room):
    """Who missed more than goes out at once gets all of it as fast as they read, and then what came meanwhile."""
    async with Viewer(room.port, "r") as viewer:
        epoch = (await viewer.welcome())["epoch"]
        first = hub_of(room).view.seq
    await say(room, 40, size=8_000)
    async with RawSocket(room.port, "r", query=f"?since={epoch}:{first}") as raw:
        await until(lambda: len(room.node.pulse.sockets) == 1, "join")
        await say(room, 3, size=10)  # frames that come while the old ones are still on their way
        said = b""
        async with asyncio.timeout(10):
            while b'"k":"0002xxxxxxxxxx"' not in said:
                said += await raw.reader.read(65536)
    last = hub_of(room).view.seq
    seqs = [int(part.split(b",")[0]) for part in said.split(b'"t":"frame"')[1:] for part in [part.split(b'"seq":')[1]]]
    assert seqs == list(range(first + 1, seqs[-1] + 1))
    assert seqs[-1] >= last - 1


async def test_redaction_in_what_is_replayed(room):
    """A comment taken off the screens does not come back with a resume."""
    async with Viewer(room.port, "r", room.token("eve")) as eve:
        start = await eve.welcome()
        ack = await eve.ask("comment", "c", text="buy my pills")
        assert (await room.call("POST", "/v1/rooms/r/redactions", json={"comments": [ack["id"]]})).status in {200, 201}
        await eve.until(lambda: any("redact" in f for f in eve.of("frame")), "redaction")
    async with Viewer(room.port, "r", query=f"?since={start['epoch']}:{start['seq']}", codec="msgpack") as back:
        await back.until(lambda: any("redact" in f for f in back.of("frame")), "replay")
        assert "pills" not in str(back.told)
        comment = next(f["comments"][0] for f in back.of("frame") if f.get("comments"))
        assert (comment["id"], comment["redacted"]) == (ack["id"], True)
    async with Viewer(room.port, "r") as fresh:
        assert "pills" not in str(await fresh.welcome())


async def test_who_stays_is_of_the_new_broadcast(room):
    """Total viewers of a new broadcast include those who were there before it began."""
    async with Viewer(room.port, "r", room.token("ada")) as ada, Viewer(room.port, "r", room.token("bob")) as bob:
        await ada.welcome()
        await bob.welcome()
        await ada.hears(lambda m: m.get("viewers", {}).get("total") == 2, "the first count")
        await begin_anew(room)
        epoch = (await ada.welcome(2))["epoch"]
        await ada.hears(lambda m: m.get("epoch") == epoch and m.get("viewers", {}).get("total") == 2, "the new broadcast's count")


async def test_new_epoch(room):
    """When a new broadcast begins every open socket is welcomed again with `epoch`, and frames go on from there."""
    viewers = [Viewer(room.port, "r", codec=codec) for codec in ("json", "msgpack") * 5]
    for viewer in viewers:
        await viewer.__aenter__()
        await viewer.welcome()
    await say(room, 2)
    await begin_anew(room)
    for viewer in viewers:
        again = await viewer.welcome(2)
        assert again["reason"] == "epoch"
        assert again["epoch"] != viewer.told[0]["epoch"]
    await say(room, 2)
    for viewer in viewers:
        await viewer.hears(
            lambda m: m["t"] == "frame" and m["epoch"] != viewers[0].told[0]["epoch"] and k_of(m) == "0001x", "frames"
        )
        assert not viewer.gaps()
        await viewer.__aexit__()


async def test_a_hole_is_filled_from_the_log(room):
    """Publications that get lost are read from the log, and viewers never notice."""
    async with Viewer(room.port, "r") as viewer:
        await viewer.welcome()
        await say(room, 1)
        following = room.node.views._rooms["r"]
        kept, deliver = [], following._deliver
        lost = {"on": True}
        for follower in room.bus._followers._by_room["r"]:
            follower.deliver = lambda published: kept.append(published) if lost["on"] else deliver(published)
        await say(room, 3)
        lost["on"] = False
        assert len(kept) >= 2
        await say(room, 1, size=2)
        await viewer.hears(lambda m: k_of(m) == "0000xx", "last frame")
        assert not viewer.gaps()
        assert len(viewer.of("welcome")) == 1


async def test_a_hole_that_cannot_be_filled(room):
    """Where the log does not reach back far enough everybody is told anew rather than left with a gap."""
    async with Viewer(room.port, "r") as viewer:
        await viewer.welcome()
        await say(room, 2)
        hub = hub_of(room)
        stored = await room.log.read("r")
        assert stored is not None
        hub.view.seq -= 100  # as if it had slept through a hundred frames that the log has dropped since
        hub.view._frames = None
        await say(room, 1, size=3)
        again = await viewer.welcome(2)
        assert again["state"]["custom"]["k"] == "0000xxx"
        await say(room, 1)
        await viewer.until(lambda: viewer.told[-1]["t"] == "frame", "frames go on")
        assert not viewer.gaps()


async def test_publications_that_come_twice_or_are_garbage(room):
    """A publication heard twice is not told twice; one that cannot be read is an operator's concern, not a viewer's."""
    async with Viewer(room.port, "r") as viewer:
        await viewer.welcome()
        await say(room, 2)
        await viewer.until(lambda: len(viewer.of("frame")) >= 2, "frames")
        hub = hub_of(room)
        sealed = hub.sealed(hub.view.seq)
        room.bus.publish(Published("r", hub.view.epoch, hub.view.seq, frame=sealed.msgpack))
        room.bus.publish(Published("r", hub.view.epoch, hub.view.seq + 1, frame=b"\xc1garbage"))
        await say(room, 1, size=3)
        await viewer.hears(lambda m: k_of(m) == "0000xxx", "frame")
        assert not viewer.gaps()
        seqs = [f["seq"] for f in viewer.of("frame")]
        assert len(seqs) == len(set(seqs))


@pytest.fixture
def deaf_sockets() -> Iterator[list[socket.socket]]:
    """Closed afterwards, however the test ends."""
    opened: list[socket.socket] = []
    yield opened
    for one in opened:
        one.close()


async def open_deaf(port: int, opened: list[socket.socket]) -> socket.socket:
    """A socket that shook hands, and will not read; the kernel holds little for it."""
    deaf = socket.socket()
    opened.append(deaf)
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    deaf.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(deaf, ("127.0.0.1", port))
    head = (
        "GET /v1/rooms/r/ws HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "Sec-WebSocket-Protocol: livecast.v1.msgpack\r\n\r\n"
    )
    await loop.sock_sendall(deaf, head.encode())
    return deaf


async def drink(deaf: socket.socket) -> tuple[list[dict[str, Any]], int | None]:
    """Read on to the end: the messages, and the close code if one came."""
    loop, said = asyncio.get_running_loop(), b""
    try:
        async with asyncio.timeout(5):
            while chunk := await loop.sock_recv(deaf, 65536):
                said += chunk
    except (TimeoutError, ConnectionError):
        pass
    return frames_in(said.partition(b"\r\n\r\n")[2])


def frames_in(data: bytes) -> tuple[list[dict[str, Any]], int | None]:
    """WebSocket frames as they lie there: messages, and the close code."""
    messages: list[dict[str, Any]] = []
    while len(data) >= 2:
        opcode, size, at = data[0] & 15, data[1] & 127, 2
        if size == 126:
            size, at = struct.unpack(">H", data[2:4])[0], 4
        elif size == 127:
            size, at = struct.unpack(">Q", data[2:10])[0], 10
        body, data = data[at : at + size], data[at + size :]
        if opcode == 8:
            return messages, int.from_bytes(body[:2], "big")
        if opcode == 2 and len(body) == size:
            messages.append(msgpack.unpackb(body))
    return messages, None


async def test_a_slow_socket_skips_and_is_welcomed_anew(room, deaf_sockets):
    """Who reads too slowly misses whole frames, is told so by a welcome, and goes on without a gap from there."""
    deaf = await open_deaf(room.port, deaf_sockets)
    async with Viewer(room.port, "r") as quick:
        await quick.welcome()
        await until(lambda: len(room.node.pulse.sockets) == 2, "join")
        await say(room, 12, size=8_000)
        await until(lambda: any(lag.lag.skipped for lag in room.node.lagging), "skipping")
        assert sum(fact.skipped for fact in room.notes.of(FannedOut)) > 0
        drinking = asyncio.create_task(drink(deaf))
        await until(lambda: not room.node.lagging, "drained")
        await say(room, 2)
        await quick.hears(lambda m: k_of(m) == "0001x", "frames")
        assert not quick.gaps()
        assert len(quick.of("welcome")) == 1
        await room.node.drain(1)
        messages, closed = await drinking
    assert closed == 4000
    reasons = [m["reason"] for m in messages if m["t"] == "welcome"]
    assert reasons == ["joined", "skipped"]
    at = None
    for m in messages:
        if m["t"] == "frame":
            assert (m["epoch"], m["seq"] - 1) == at
        if m["t"] in {"frame", "welcome"}:
            at = m["epoch"], m["seq"]


async def test_a_socket_that_stops_reading_is_hung_up_on(room, deaf_sockets):
    """After a while without progress: `bye` 4008 and the close frame are left with the kernel, and our memory is free."""
    deaf = [await open_deaf(room.port, deaf_sockets) for _ in range(3)]
    await until(lambda: len(room.node.pulse.sockets) == 3, "join")
    await say(room, 12, size=8_000)
    await until(lambda: len(room.node.lagging) == 3, "lag")
    held = [viewer.transport.get_write_buffer_size() for viewer in room.node.lagging]
    assert max(held) < 16_384 + 10_000
    room.clock.ahead_ms += 5_000
    await until(lambda: len(room.notes.of(Disconnected)) == 3, "end")
    assert {fact.code for fact in room.notes.of(Disconnected)} == {4008}
    room.clock.ahead_ms += 300
    await until(lambda: not room.node.closing, "closed")
    assert not room.node.pulse.sockets
    for one in deaf:
        messages, closed = await drink(one)
        assert closed == 4008
        assert messages[-1]["t"] == "bye"
        assert messages[-1]["reconnect"] is True


async def test_slow_but_reading_is_not_hung_up_on(room, deaf_sockets):
    """Whoever takes a little now and then stays, however much they skip."""
    deaf = await open_deaf(room.port, deaf_sockets)
    loop = asyncio.get_running_loop()
    await until(lambda: len(room.node.pulse.sockets) == 1, "join")
    await say(room, 12, size=8_000)
    await until(lambda: room.node.lagging, "lag")
    for _ in range(3):
        room.clock.ahead_ms += 3_000
        size = next(iter(room.node.lagging)).transport.get_write_buffer_size()
        async with asyncio.timeout(5):
            while room.node.lagging and next(iter(room.node.lagging)).transport.get_write_buffer_size() >= size:
                await loop.sock_recv(deaf, 2_048)
        await asyncio.sleep(0.05)
    assert not room.notes.of(Disconnected)


async def test_acks_are_never_skipped_but_bounded(room, deaf_sockets):
    """One who talks without reading still has every answer kept for them, until that is too much: 4008."""
    await open_deaf(room.port, deaf_sockets)
    await until(lambda: len(room.node.pulse.sockets) == 1, "join")
    viewer = next(iter(room.node.pulse.sockets.values()))
    await say(room, 6, size=8_000)
    await until(lambda: room.node.lagging, "lag")
    before = viewer.transport.get_write_buffer_size()
    answer = b"\x82\x7e\x27\x10" + bytes(10_000)
    viewer.queue(answer)
    await until(lambda: viewer.transport.get_write_buffer_size() >= before + 10_000, "ack kept")
    for _ in range(6):
        viewer.queue(answer)
    await until(lambda: room.notes.of(Disconnected), "end")
    assert room.notes.of(Disconnected)[0].code == 4008


async def test_joining_and_reading_are_one_step(room):
    """A watcher who is told the view at `seq` is handed exactly the frames after it."""

    class Notebook:
        """A watcher of the plain kind."""

        def __init__(self) -> None:
            self.identity = anonymous("n")
            self.seqs: list[int] = []
            self.renewals = 0

        def frame(self, sealed: Sealed) -> None:
            self.seqs.append(sealed.seq)

        def renewed(self) -> None:
            self.renewals += 1

        def notice(self, notice) -> None:
            raise AssertionError(notice)

        def bye(self, bye) -> None:
            self.seqs.append(-bye.code)

    hub = await room.node.views.get("r")
    assert hub is not None
    notebook = Notebook()
    joining = hub.welcome(JSON, notebook.identity, "c")
    hub.watch(notebook)
    await say(room, 3)
    await until(lambda: len(notebook.seqs) >= 3, "frames")
    assert notebook.seqs[:3] == [joining.seq + 1, joining.seq + 2, joining.seq + 3]
    waiting = asyncio.create_task(hub.until(hub.view.epoch, hub.view.seq + 1, 5))
    await say(room, 1)
    frame = await waiting
    assert frame is not None
    assert frame.seq == hub.view.seq or frame.seq < hub.view.seq
    assert await hub.until(hub.view.epoch, hub.view.seq + 5, 0.01) is None
    assert not any(hub._awaited.values())
    waiting = asyncio.create_task(hub.until(hub.view.epoch, hub.view.seq + 5, 60))
    await begin_anew(room)
    await until(lambda: notebook.renewals == 1, "epoch")
    assert await asyncio.wait_for(waiting, 1) is None  # that frame will never be
    hub.unwatch(notebook)
    hub.unwatch(notebook)
    assert (hub.connections, hub.users) == (0, 0)


def test_variants_share_bytes():
    """A frame is encoded and compressed once per form, whoever asks."""
    sealed = Sealed.of(Frame("e", 1, 2, redact=Redact(("a",))))
    for codec in (JSON, MSGPACK):
        for deflate in (False, True):
            assert sealed.ws(codec, deflate=deflate) is sealed.ws(codec, deflate=deflate)


async def test_views_are_put_in_whole(room):
    """A view built from the store has the frames before the snapshot as well: another node can resume where this one could."""
    async with Viewer(room.port, "r") as viewer:
        start = await viewer.welcome()
        await say(room, 5)
    stored = await room.log.read("r")
    assert stored is not None
    hub = hub_of(room)
    assert stored.snapshot_number > 2
    state, kept = hub.view.state, [hub.sealed(seq) for seq in range(start["seq"] + 1, hub.view.seq + 1)]
    put_in(hub.view, stored, Veil(hub.node, "r"))
    assert hub.view.state == state
    assert [one.msgpack for one in hub.view.since(start["epoch"], start["seq"])] == [one.msgpack for one in kept]


async def test_old_frames_are_kept_once(room):
    """Forms for JSON and compression are kept while a frame is new; a resume that asks for old ones does not keep them all."""
    async with Viewer(room.port, "r", deflate=True) as viewer:
        start = await viewer.welcome()
        hub = hub_of(room)
        for seq in range(hub.view.seq + 1, hub.view.seq + HOT_FRAMES + 11):
            frame = Frame(hub.view.epoch, seq, room.clock())
            assert hub.apply(Sealed.of(frame), frame)
    held = [hub.sealed(seq).bytes_held - len(hub.sealed(seq).msgpack) for seq in range(hub.view.first_seq, hub.view.seq + 1)]
    assert 0 < sum(1 for extra in held if extra) <= HOT_FRAMES
    async with Viewer(room.port, "r", query=f"?since={start['epoch']}:{start['seq']}") as back:
        await back.hears(lambda m: m.get("seq") == hub.view.seq, "resume")
    held = [hub.sealed(seq).bytes_held - len(hub.sealed(seq).msgpack) for seq in range(hub.view.first_seq, hub.view.seq + 1)]
    assert sum(1 for extra in held if extra) <= HOT_FRAMES
