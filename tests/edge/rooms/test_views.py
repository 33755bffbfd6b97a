"""Which rooms a node follows, and what it tells them: loads that are shared, views that go, presence once a second."""

from __future__ import annotations

import asyncio

import pytest

from livecast.adapters.memory.bus import MemoryBus
from livecast.adapters.memory.log import MemoryRoomLog
from livecast.core.events import Presence
from livecast.core.frames import Frame
from livecast.edge.node import Node
from livecast.edge.rooms.following import Following
from livecast.edge.rules import EdgeRules
from livecast.ports import Unavailable
from livecast.wire.sealing import Sealed
from support.house import until
from support.viewer import Viewer


@pytest.fixture
def edge_rules() -> EdgeRules:
    """A quick sweep, and rooms that come to be on first join."""
    return EdgeRules(dev=True, sweep_ms=20, view_idle_ms=1_000)


def counted(monkeypatch, owner, name):
    """Count the calls of a coroutine method, which still does its work."""
    calls, original = [], getattr(owner, name)

    async def counting(*arguments):
        calls.append(arguments)
        await asyncio.sleep(0.01)
        return await original(*arguments)

    monkeypatch.setattr(owner, name, counting)
    return calls


async def test_joins_that_come_together_share_one_load(house, monkeypatch):
    """A hundred who want the same room cost one question to its owner and one read, and all get the same hub."""
    asks = counted(monkeypatch, Node, "ask")
    reads = counted(monkeypatch, MemoryRoomLog, "read")
    hubs = await asyncio.gather(*(house.node.views.get("fresh") for _ in range(100)))
    assert len({id(hub) for hub in hubs}) == 1
    assert hubs[0].view.state["status"] == "live"
    assert (len(asks), len(reads)) == (1, 1)


async def test_one_who_gives_up_does_not_take_the_others_with_him(house, monkeypatch):
    """A load goes on for those who still wait."""
    counted(monkeypatch, MemoryRoomLog, "read")
    hasty = asyncio.create_task(house.node.views.get("fresh"))
    patient = asyncio.create_task(house.node.views.get("fresh"))
    await asyncio.sleep(0)
    hasty.cancel()
    assert await patient is not None


async def test_a_failed_load_is_not_remembered(house, monkeypatch):
    """When the store does not answer every waiter is told, and the next one tries again."""
    with monkeypatch.context() as broken:

        async def silent(_log, room):
            raise Unavailable(room)

        broken.setattr(MemoryRoomLog, "read", silent)
        answers = await asyncio.gather(*(house.node.views.get("x") for _ in range(3)), return_exceptions=True)
        assert all(isinstance(answer, Unavailable) for answer in answers)
    assert await house.node.views.get("x") is not None


async def test_what_is_said_during_the_load_is_in_the_view(house, monkeypatch):
    """Subscribe first, then read: a frame that falls between the store's picture and its arrival is not lost."""
    await house.live_room("r")
    original = MemoryRoomLog.read

    async def slow(log, room):
        stored = await original(log, room)
        assert (await house.call("PATCH", "/v1/rooms/r/custom", json={"k": "while it was being read"})).status == 200
        return stored

    monkeypatch.setattr(MemoryRoomLog, "read", slow)
    hub = await house.node.views.get("r")
    assert hub is not None
    assert hub.view.state["custom"] == {"k": "while it was being read"}


async def test_a_hole_in_what_is_said_during_the_load(house, monkeypatch):
    """A publication that is lost while the view is being built is read from the log like any other."""
    await house.live_room("r")
    original, following = MemoryRoomLog.read, Following._deliver
    lost: list[object] = []

    def deaf_once(self, published):
        if not lost:
            lost.append(published)
        else:
            following(self, published)

    async def slow(log, room):
        stored = await original(log, room)
        if not lost:
            for k in range(3):
                assert (await house.call("PATCH", "/v1/rooms/r/custom", json={"k": k})).status == 200
        return stored

    monkeypatch.setattr(Following, "_deliver", deaf_once)
    monkeypatch.setattr(MemoryRoomLog, "read", slow)
    hub = await house.node.views.get("r")
    assert lost
    await until(lambda: hub.view.state["custom"] == {"k": 2}, "the last change")


async def test_views_go_when_nobody_needs_them(house):
    """A view is kept a while after its last viewer left, and not one day longer; a viewer keeps it for ever."""
    async with Viewer(house.port, "watched") as viewer:
        await viewer.welcome()
        async with Viewer(house.port, "left") as leaver:
            await leaver.welcome()
        await until(lambda: house.node.views.peek("left").idle_since is not None, "leave")
        house.clock.ahead_ms += 900
        await asyncio.sleep(0.05)
        assert house.node.views.peek("left")
        house.clock.ahead_ms += 1_100
        await until(lambda: not house.node.views.peek("left"), "unloading")
        assert house.node.views.peek("watched")
    assert "left" not in house.bus._followers


async def test_views_are_bounded_in_bytes(house):
    """Above the node's bound idle views go at once, longest idle first, and those in use are cut to size."""
    for room in ("a", "b", "c"):
        hub = await house.node.views.get(room)
        hub.view.bytes_kept += 120_000_000  # as if it held so much
        house.clock.ahead_ms += 1
    views = house.node.views
    views.sweep(house.clock())
    assert [hub.room for hub in views.hubs()] == ["b", "c"]
    async with Viewer(house.port, "b") as one, Viewer(house.port, "c") as other:
        await one.welcome()
        await other.welcome()
        frame = Frame(hub.view.epoch, hub.view.seq + 1, house.clock())
        hub.view.apply(frame, Sealed.of(frame), 200_000_000)  # as if it weighed so much
        views.sweep(house.clock())
        assert {hub.room for hub in views.hubs()} == {"b", "c"}
        assert hub.view.since(hub.view.epoch, hub.view.seq - 1) is None  # it is told as a snapshot from now on


async def test_unknown_rooms_cost_one_question_a_second(house, monkeypatch):
    """A room that is not there is not asked for again for a second, however many try; making it ends that at once."""
    monkeypatch.setattr(house.node, "rules", EdgeRules(sweep_ms=20))  # not in development: rooms are not made by looking
    asks = counted(monkeypatch, Node, "ask")
    for _ in range(50):
        assert await house.node.views.get("nowhere") is None
    assert len(asks) == 1
    house.clock.ahead_ms += 1_000
    assert await house.node.views.get("nowhere") is None
    assert len(asks) == 2
    await house.live_room("nowhere")
    house.node.views.made("nowhere")
    assert await house.node.views.get("nowhere") is not None


async def test_presence_is_told_once_a_second_while_it_changes(house, monkeypatch):
    """Who watches is told within a second, not more often, newcomers by name; unchanged it is told again before it fades."""
    told, original = [], MemoryBus.post

    def post(bus, room, event):
        if isinstance(event, Presence):
            told.append(event)
        return original(bus, room, event)

    monkeypatch.setattr(MemoryBus, "post", post)
    async with (
        Viewer(house.port, "p", house.token("ada", name="Ada")) as first,
        Viewer(house.port, "p", house.token("ada", name="Ada")) as second,
        Viewer(house.port, "p") as nobody,
        Viewer(house.port, "p") as another,
    ):
        for viewer in (first, second, nobody, another):
            await viewer.welcome()
        house.clock.ahead_ms += 1_000
        await until(lambda: told and told[-1].connections == 4, "report")
        assert (told[-1].users, told[-1].node) == (3, "n1")
        assert [person.id for report in told for person in report.joined] == ["ada"]
        viewers = await first.hears(lambda m: m.get("viewers", {}).get("connections") == 4, "count")
        assert viewers["viewers"]["users"] == 3
        before = len(told)
        for _ in range(5):
            house.clock.ahead_ms += 1_000
            await asyncio.sleep(0.03)
        assert len(told) == before
        house.clock.ahead_ms += 30_000
        await until(lambda: len(told) > before, "repeat")
        assert told[-1].ttl_ms > 2 * 30_000
        before = len(told)
        house.node.views.peek("p").renewed()
        house.clock.ahead_ms += 1_000
        await until(lambda: len(told) > before, "report to a new owner")
        assert [report.present for report in told] == [()] * before + [("ada",)]
        assert not any(report.left for report in told)
    await until(lambda: house.node.views.peek("p").connections == 0, "all gone")
    house.clock.ahead_ms += 1_000
    await until(lambda: told[-1].connections == 0, "last report")
    assert [user for report in told for user in report.left] == ["ada"]


async def test_drained_nodes_are_not_counted_on(house):
    """A node that goes away takes its viewers off the count at once."""
    async with Viewer(house.port, "p") as viewer:
        await viewer.welcome()
        house.clock.ahead_ms += 1_000
        await viewer.hears(lambda m: m.get("viewers", {}).get("connections") == 1, "count")
        await house.node.drain(1)

    async def count():
        stored = await house.log.read("p")
        return b"connections\x00" in (stored.entries[-1].frame or b"")

    async with asyncio.timeout(5):
        while not await count():
            house.clock.ahead_ms += 500
            await asyncio.sleep(0.02)


async def test_neither_owner_nor_log(house):
    """Where nobody owns the room and the log does not have it, nobody can say that it does not exist."""
    await house.shards.drain()
    with pytest.raises(Unavailable):
        await house.node.views.get("fresh")
    assert not house.node.views._unknown


async def test_a_crowd_that_comes_at_once(house, monkeypatch):
    """More newcomers than one report names are told in several, each once."""
    monkeypatch.setattr("livecast.edge.rooms.presence.JOINED_MAX", 2)
    told, original = [], MemoryBus.post

    def post(bus, room, event):
        if isinstance(event, Presence):
            told.append(event)
        return original(bus, room, event)

    monkeypatch.setattr(MemoryBus, "post", post)
    viewers = [Viewer(house.port, "p", house.token(f"u{k}")) for k in range(5)]
    for viewer in viewers:
        await viewer.__aenter__()
        await viewer.welcome()
    house.clock.ahead_ms += 1_000
    await until(lambda: sum(len(report.joined) for report in told) == 5, "everybody named")
    assert {person.id for report in told for person in report.joined} == {f"u{k}" for k in range(5)}
    assert max(len(report.joined) for report in told) <= 2
    house.node.views.peek("p").renewed()
    house.clock.ahead_ms += 1_000
    await until(lambda: sum(len(report.present) for report in told) == 5, "everybody named again")
    for viewer in viewers[:4]:
        await viewer.__aexit__()
    async with Viewer(house.port, "p", house.token("u0")) as back:
        await back.welcome()
        await until(lambda: house.node.views.peek("p").connections == 2, "four gone, one back")
        house.clock.ahead_ms += 1_000
        await until(lambda: sum(len(report.left) for report in told) >= 3, "everybody named who went")
        gone = [user for report in told for user in report.left]
        assert set(gone) - {"u0"} == {"u1", "u2", "u3"}
        assert max(len(report.left) for report in told) <= 2
    for viewer in viewers[4:]:
        await viewer.__aexit__()
