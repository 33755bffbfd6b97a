"""Slow sockets: frames left out and made good, answers kept, and when a socket is hung up on."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Iterator
from typing import Any

import msgpack
import pytest

from livecast.core.rules import RoomRules
from livecast.edge.rules import EdgeRules
from livecast.facts import Disconnected, FannedOut
from support.house import House, until
from support.hub import HURRIED, SNAPSHOTS, k_of, say
from support.viewer import Viewer


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
