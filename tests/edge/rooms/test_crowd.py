"""A crowd answered at once in a room that is busy with frames: who waits for a frame, for how long, and what they hear then."""

from __future__ import annotations

import asyncio
import time

import pytest

from livecast.core.errors import Refusal
from livecast.core.frames import Frame
from livecast.core.rules import Policy, RoomRules
from livecast.edge.rooms import crowd, fanout
from livecast.edge.rooms.crowd import BUSY_SHARE, HELD_S
from livecast.edge.rules import EdgeRules
from livecast.wire.sealing import Sealed
from support.house import House, until
from support.viewer import Viewer


@pytest.fixture
def edge_rules() -> EdgeRules:
    """Small slices, so that a handful of sockets is a large room."""
    return EdgeRules(sweep_ms=20, fanout_slice=4, connections_per_address=0)


@pytest.fixture
def room_rules() -> RoomRules:
    """No frame comes but those that a test makes: everybody has been told of everybody by then."""
    return RoomRules(policy=Policy(tick_ms=50))


@pytest.fixture
async def viewers(house: House):
    """Eight of them in room `r`, all told what there is; two answers between frames are few, three are a crowd."""
    await house.live_room("r")
    there = [Viewer(house.port, "r", codec="json") for _ in range(8)]
    for viewer in there:
        await viewer.__aenter__()
        await viewer.welcome()
    await until(lambda: len(house.node.pulse.sockets) == 8, "all in")
    hub = house.node.views.peek("r")
    assert hub is not None
    await until(lambda: hub.view.state["viewers"]["connections"] == 8, "all are told of")
    await until(lambda: hub.sent_seq == hub.view.seq, "everybody is told")
    yield there
    for viewer in there:
        await viewer.__aexit__()


class Stage:
    """What the tests do to the room, past its owner."""

    def __init__(self, house: House) -> None:
        self.house = house
        hub = house.node.views.peek("r")
        assert hub is not None
        self.hub = hub
        self.sockets = list(house.node.pulse.sockets.values())

    def speak(self) -> int:
        """A frame; its number."""
        frame = Frame(self.hub.view.epoch, self.hub.view.seq + 1, self.house.clock(), state={"custom": {"k": "v"}})
        assert self.hub.apply(Sealed.of(frame), frame)
        return frame.seq

    async def be_busy(self) -> None:
        """Two frames, one soon after the other."""
        for _ in range(2):
            self.speak()
            await self.told()

    async def told(self) -> None:
        """Until everybody was handed all frames."""
        await until(lambda: self.hub.sent_seq == self.hub.view.seq, "everybody is told")

    def answer(self, cid: str, count: int = 8) -> None:
        """One answer to each of the first `count`."""
        for socket in self.sockets[:count]:
            socket.answer(cid, Refusal("rate_limited"))

    async def waiting(self) -> list[int]:
        """Whose answers are not written when a few turns have passed, by number."""
        for _ in range(6):
            await asyncio.sleep(0)
        return [n for n, socket in enumerate(self.sockets) if socket.acks is not None]


@pytest.fixture
async def stage(house: House, viewers, monkeypatch) -> Stage:  # noqa: ARG001 - they are there
    """A room where two that are told something are few, and frames of no milliseconds take most of its time."""
    monkeypatch.setattr(crowd, "CROWD", 2)
    monkeypatch.setattr(fanout, "BUSY_SHARE", -1.0)
    return Stage(house)


async def test_answers_leave_with_the_frame(stage, viewers, monkeypatch):
    """The first few hear at once; the others with the next frame, before it, each once and all they were told."""
    monkeypatch.setattr(crowd, "LATE", 1e6)
    monkeypatch.setattr(crowd, "HELD_S", 60.0)
    await stage.be_busy()
    stage.answer("a")
    assert await stage.waiting() == [2, 3, 4, 5, 6, 7]
    stage.answer("b")
    assert len(await stage.waiting()) == 8
    last = stage.speak()
    for n, viewer in enumerate(viewers):
        await viewer.hears(lambda m: m.get("seq") == last, "frame")
        assert not viewer.gaps()
        told = [m.get("cid") or m.get("seq") for m in viewer.told]
        assert told[-3:] == ["a", "b", last]
        assert (told.count("a"), told.count("b")) == (1, 1), n
    assert not await stage.waiting()


async def test_a_frame_under_way_takes_along_whoever_it_has_not_reached(stage, viewers, monkeypatch):
    """Answers that come while it is handed out: the next frame brings them to those who have it already."""
    monkeypatch.setattr(crowd, "LATE", 1e6)
    monkeypatch.setattr(crowd, "HELD_S", 60.0)
    await stage.be_busy()
    first = stage.speak()  # a slice of four has it now
    stage.answer("mid")
    for viewer in viewers:
        await viewer.hears(lambda m: m.get("seq") == first, "frame")
    assert await stage.waiting() == [2, 3]
    for viewer in viewers[4:]:
        assert [m.get("cid") or m.get("seq") for m in viewer.told[-2:]] == ["mid", first]
    last = stage.speak()
    for viewer in viewers:
        await viewer.hears(lambda m: m.get("seq") == last, "next frame")
        assert sum(m.get("cid") == "mid" for m in viewer.told) == 1
        assert not viewer.gaps()


async def test_one_of_many_who_are_alike(stage, viewers, monkeypatch):
    """Somebody is told something while a frame is on its way to others like them: they hear both, everybody else the frame."""
    monkeypatch.setattr(crowd, "CROWD", 0)
    monkeypatch.setattr(crowd, "LATE", 1e6)
    monkeypatch.setattr(crowd, "HELD_S", 60.0)
    await stage.be_busy()
    for who in (5, 7, 4):
        last = stage.speak()  # a slice of four has it now
        for cid in ("a", "b"):
            stage.sockets[who].answer(f"{cid}{who}", Refusal("rate_limited"))
        for viewer in viewers:
            await viewer.hears(lambda m: m.get("seq") == last, "frame")  # noqa: B023 - asked here
            assert not viewer.gaps()
        told = [m.get("cid") or m.get("seq") for m in viewers[who].told]
        assert told[-3:] == [f"a{who}", f"b{who}", last]
    assert not await stage.waiting()


async def test_no_frame_comes(stage, viewers, monkeypatch):
    """They wait no longer than said, and nobody waits any more once no frame is to be expected."""
    monkeypatch.setattr(crowd, "LATE", 1e6)
    await stage.be_busy()
    began = time.monotonic()
    stage.answer("a")
    assert await stage.waiting() == [2, 3, 4, 5, 6, 7]
    for viewer in viewers:
        assert (await viewer.answer("a"))["code"] == "rate_limited"
    assert time.monotonic() - began >= HELD_S
    monkeypatch.setattr(crowd, "LATE", 0.0)
    await stage.be_busy()
    stage.answer("b")
    assert await stage.waiting() == []


async def test_a_room_with_time_to_spare_answers_at_once(stage, viewers, monkeypatch):
    """As soon as a frame comes long after the one before it: those who wait are let go, and nobody waits any more."""
    monkeypatch.setattr(crowd, "LATE", 1e6)
    monkeypatch.setattr(crowd, "HELD_S", 60.0)
    await stage.be_busy()
    first = stage.speak()
    stage.answer("a")
    for viewer in viewers:
        await viewer.hears(lambda m: m.get("seq") == first, "frame")
    assert await stage.waiting() == [2, 3]
    monkeypatch.setattr(fanout, "BUSY_SHARE", BUSY_SHARE)
    stage.hub._fanout._began -= 3600  # the last frame was an hour ago
    stage.speak()
    stage.answer("too late for it", 4)
    for viewer in viewers:
        await viewer.answer("a")
    for viewer in viewers[:4]:
        await viewer.answer("too late for it")
    await stage.told()
    stage.answer("b")
    assert await stage.waiting() == []


async def test_who_goes_or_lags_does_not_wait(stage, viewers, monkeypatch):
    """A last word goes out with the goodbye; to one who lags no frame may come."""
    monkeypatch.setattr(crowd, "LATE", 1e6)
    monkeypatch.setattr(crowd, "HELD_S", 60.0)
    await stage.be_busy()
    lags, goes = stage.sockets[6], stage.sockets[7]
    lags.pause_writing()
    stage.answer("a")
    assert await stage.waiting() == [2, 3, 4, 5, 7]
    goes.close(4003, "Out.")
    assert (await viewers[7].answer("a"))["code"] == "rate_limited"
    assert (await viewers[7].bye())[0] == 4003
    assert await stage.waiting() == [2, 3, 4, 5]
    lags.resume_writing()
    last = stage.speak()
    for viewer in viewers[:7]:
        await viewer.hears(lambda m: m.get("seq") == last, "frame")
