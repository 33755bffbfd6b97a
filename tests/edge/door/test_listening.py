"""Many hands in a rush, one in calm; none when the house is closed."""

from __future__ import annotations

import asyncio
import socket

import pytest

from livecast.edge.door import listening
from livecast.edge.rules import EdgeRules
from livecast.facts import Trouble
from support.house import House, until
from support.viewer import Viewer

WAIT_S = 30.0


@pytest.fixture
def edge_rules() -> EdgeRules:
    """A sweep often enough that a test does not wait for it."""
    return EdgeRules(sweep_ms=50, connections_per_address=0, http_connections_per_address=0)


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rush is one however slow this machine is, and lasts until a test says that it is over."""
    monkeypatch.setattr(listening, "RUSH_MS", 600_000)
    monkeypatch.setattr(listening, "CALM_MS", 600_000)


async def connect(house: House, count: int) -> list[asyncio.StreamWriter]:
    """So many connections at once."""
    return [writer for _, writer in await asyncio.gather(*(asyncio.open_connection("127.0.0.1", house.port) for _ in range(count)))]


async def test_more_hands_come_in_a_rush_and_go_again(house, monkeypatch):
    """Everybody is answered before, with and after them."""
    await house.live_room("r")
    at_work = house.door._listening
    assert at_work._hands is None
    writers = await connect(house, listening.RUSH)
    await until(lambda: at_work._hands is not None and len(at_work._hands) == listening.HANDS, "hands", WAIT_S)
    async with Viewer(house.port, "r", house.token("ada")) as viewer:
        assert (await viewer.welcome())["you"]["id"] == "ada"
    writers += await connect(house, 40)
    for writer in writers:
        writer.close()
    monkeypatch.setattr(listening, "CALM_MS", 1)
    await until(lambda: at_work._hands is None, "calm", WAIT_S)
    async with Viewer(house.port, "r", house.token("bob")) as viewer:
        assert (await viewer.welcome())["you"]["id"] == "bob"


async def test_nobody_listens_any_more(house):
    """A close in the midst of a rush closes every descriptor: the port is free at once."""
    writers = await connect(house, listening.RUSH)
    await until(lambda: house.door._listening._hands, "the first hand", WAIT_S)
    house.door.close()
    for writer in writers:
        writer.close()
    assert house.door._listening._hands is None

    def taken() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", house.port)) == 0

    await until(lambda: not taken(), "a closed port", WAIT_S)


async def test_no_descriptor_to_spare(house, monkeypatch):
    """Where none are left it goes on with what there is."""
    monkeypatch.setattr(listening, "HANDS", 100_000)
    await house.live_room("r")
    at_work = house.door._listening
    accept, spare = at_work._accept, 3

    async def no_more(listener: socket.socket) -> asyncio.Server:
        if len(at_work._hands or ()) >= spare:
            listener.close()
            raise OSError(24, "Too many open files")
        server: asyncio.Server = await accept(listener)
        return server

    monkeypatch.setattr(at_work, "_accept", no_more)
    writers = await connect(house, listening.RUSH)
    await until(lambda: at_work._hands and len(at_work._hands) == spare, "hands", WAIT_S)
    async with Viewer(house.port, "r", house.token("ada")) as viewer:
        await viewer.welcome()
    for writer in writers:
        writer.close()
    assert not house.notes.of(Trouble)
