"""A room handed out: who joins, resumes and stays over epochs, holes and copies misses nothing and gets nothing twice."""

from __future__ import annotations

import asyncio

import pytest

from livecast.core.rules import RoomRules
from livecast.edge.access.identity import anonymous
from livecast.edge.rooms.following import put_in
from livecast.edge.rooms.veil import Veil
from livecast.edge.rules import EdgeRules
from livecast.ports import Published
from livecast.wire.codec import JSON
from livecast.wire.sealing import Sealed
from support.house import House, until
from support.hub import HURRIED, SNAPSHOTS, begin_anew, hub_of, k_of, say
from support.viewer import RawSocket, Viewer


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
