"""Frames to many: everybody gets all of them in order, whoever else is slow, answered or put out meanwhile."""

from __future__ import annotations

import asyncio

import pytest

from livecast.core.errors import Refusal
from livecast.core.frames import Frame, Redact
from livecast.core.rules import RoomRules
from livecast.edge.rooms import fanout
from livecast.edge.rooms.fanout import HOT_FRAMES, TOGETHER_BYTES
from livecast.edge.rules import EdgeRules
from livecast.facts import FannedOut
from livecast.wire.codec import JSON, MSGPACK
from livecast.wire.messages import Bye
from livecast.wire.sealing import Sealed
from livecast.wire.websocket import close_frame
from support.house import House, until
from support.hub import HURRIED, SNAPSHOTS, hub_of, say
from support.viewer import RawSocket, Viewer, masked


@pytest.fixture
def edge_rules() -> EdgeRules:
    """A handful of sockets is a large room, and slowness shows soon."""
    return HURRIED


@pytest.fixture
def room_rules() -> RoomRules:
    """A snapshot every few frames, so that views are made of frames before and after one."""
    return SNAPSHOTS


@pytest.fixture
async def room(house: House) -> House:
    """A node with one live room, `r`."""
    await house.live_room("r")
    return house


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


def test_variants_share_bytes():
    """A frame is encoded and compressed once per form, whoever asks."""
    sealed = Sealed.of(Frame("e", 1, 2, redact=Redact(("a",))))
    for codec in (JSON, MSGPACK):
        for deflate in (False, True):
            assert sealed.ws(codec, deflate=deflate) is sealed.ws(codec, deflate=deflate)


async def test_old_frames_are_kept_once(room):
    """Forms for JSON and compression are kept while a frame is new; a resume that asks for old ones does not keep them all."""
    async with Viewer(room.port, "r", deflate=True) as viewer:
        start = await viewer.welcome()
        hub = hub_of(room)
        for seq in range(hub.view.seq + 1, hub.view.seq + HOT_FRAMES + 11):
            frame = Frame(hub.view.epoch, seq, room.clock())
            assert hub.apply(Sealed.of(frame), frame)
        await viewer.hears(lambda m: m.get("seq") == hub.view.seq, "the last")
    held = [hub.sealed(seq).bytes_held - len(hub.sealed(seq).msgpack) for seq in range(hub.view.first_seq, hub.view.seq + 1)]
    assert 0 < sum(1 for extra in held if extra) <= HOT_FRAMES
    async with Viewer(room.port, "r", query=f"?since={start['epoch']}:{start['seq']}") as back:
        await back.hears(lambda m: m.get("seq") == hub.view.seq, "resume")
    held = [hub.sealed(seq).bytes_held - len(hub.sealed(seq).msgpack) for seq in range(hub.view.first_seq, hub.view.seq + 1)]
    assert sum(1 for extra in held if extra) <= HOT_FRAMES
