"""The front door: who is let through as a socket, what goes to aiohttp, and how long a request's head may take."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import pytest

from livecast.edge.door.door import Door, FrontDoor
from livecast.edge.rules import EdgeRules
from livecast.facts import Refused
from support.house import House, until
from support.viewer import RawSocket, Viewer

HANDSHAKE = (
    b"GET /v1/rooms/r/ws HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
PLAIN = b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"


@pytest.fixture
def edge_rules() -> EdgeRules:
    """A head's deadline that a test can wait for."""
    return EdgeRules(header_deadline_ms=200, sweep_ms=20, close_deadline_ms=200, handshakes_per_s=1, handshakes_burst=5)


@pytest.fixture
async def room(house: House) -> House:
    """A node with one live room, `r`."""
    await house.live_room("r")
    return house


async def read_response(reader: asyncio.StreamReader) -> bytes:
    """One response with a Content-Length."""
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
    length = next((int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0)
    return head + await reader.readexactly(length)


async def test_a_head_one_byte_at_a_time_in_time(room):
    """A slow but honest client is served, as a socket and as plain HTTP."""
    for request, answer in ((HANDSHAKE, b"HTTP/1.1 101 "), (PLAIN, b"HTTP/1.1 200 ")):
        reader, writer = await asyncio.open_connection("127.0.0.1", room.port)
        for k in range(len(request)):
            writer.write(request[k : k + 1])
            await asyncio.sleep(0)
        assert (await asyncio.wait_for(reader.readuntil(b"\r\n"), 5)).startswith(answer)
        writer.close()


@pytest.mark.parametrize("request_", [HANDSHAKE, PLAIN, b"POST /v1/rooms/r/start HTTP/1.1\r\nX: " + b"y" * 200])
async def test_a_head_that_does_not_end(room, request_):
    """A head that dribbles in is cut off with 408 at the deadline, however busily it dribbles; a silent connection is closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", room.port)
    began = asyncio.get_running_loop().time()
    said = asyncio.create_task(reader.readuntil(b"\r\n"))  # what is written behind it may reset the connection
    for k in range(len(request_) - 3):
        if said.done():
            break
        writer.write(request_[k : k + 1])
        await asyncio.sleep(0.01)
    assert (await asyncio.wait_for(said, 5)).startswith(b"HTTP/1.1 408 ")
    assert 0.15 < asyncio.get_running_loop().time() - began < 2
    with contextlib.suppress(ConnectionResetError):
        await asyncio.wait_for(reader.read(), 5)  # the rest of it, up to the end
    writer.close()
    silent, writer = await asyncio.open_connection("127.0.0.1", room.port)
    assert await asyncio.wait_for(silent.read(), 5) == b""
    writer.close()
    await until(lambda: not room.node.closing and not len(room.door.waiting), "clean door")


async def test_a_later_head_that_does_not_end(room):
    """The deadline holds for every request of a connection that is kept alive; between requests nobody is hurried."""
    reader, writer = await asyncio.open_connection("127.0.0.1", room.port)
    writer.write(PLAIN)
    assert (await read_response(reader)).startswith(b"HTTP/1.1 200 ")
    await asyncio.sleep(0.3)  # longer than the deadline
    writer.write(PLAIN)
    assert (await read_response(reader)).startswith(b"HTTP/1.1 200 ")
    writer.write(PLAIN[:-4])
    assert (await asyncio.wait_for(reader.read(), 5)).startswith(b"HTTP/1.1 408 ")
    writer.close()


async def test_a_head_that_is_too_long(room):
    """Beyond 16 KiB without an end: 431, closed."""
    assert (await room.raw(b"GET / HTTP/1.1\r\nX: " + b"y" * 17_000)).startswith(b"HTTP/1.1 431 ")


async def test_a_handshake_on_a_connection_kept_alive(room):
    """A proxy may reuse a connection of plain requests for a socket: the door takes it back from aiohttp at the boundary."""
    reader, writer = await asyncio.open_connection("127.0.0.1", room.port)
    for _ in range(3):
        writer.write(PLAIN)
        assert (await read_response(reader)).startswith(b"HTTP/1.1 200 ")
    body = b'{"title": "x"}'
    head = f"PATCH /v1/rooms/r HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {room.key}\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body[:5])
    await asyncio.sleep(0.05)
    writer.write(body[5:])
    assert (await read_response(reader)).startswith(b"HTTP/1.1 200 ")
    writer.write(HANDSHAKE)
    assert (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)).startswith(b"HTTP/1.1 101 ")
    await asyncio.wait_for(reader.readuntil(b'"t":"welcome"'), 5)
    assert len(room.node.pulse.sockets) == 1
    assert len(room.runner.server.connections) == 1  # the house's own: of this one aiohttp has let go
    writer.close()
    await until(lambda: not room.node.pulse.sockets, "leave")


class Watched(FrontDoor):
    """A front door that keeps the last connection's."""

    door: Door

    def __call__(self) -> Door:
        self.door = super().__call__()
        return self.door


@pytest.mark.parametrize("second", [HANDSHAKE, PLAIN])
async def test_a_request_right_behind_an_answer(room, second):
    """Who is answered may ask again before aiohttp is round to waiting for it, also for a socket."""
    front = Watched(room.node, room.runner.server)
    server = await front.listen(socket.create_server(("127.0.0.1", 0)))
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    patch = f"PATCH /v1/rooms/r HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {room.key}\r\nContent-Length: 2\r\n\r\n{{}}"
    writer.write(patch.encode())
    async with asyncio.timeout(10):
        while not hasattr(front, "door") or not getattr(front.door._http, "_request_in_progress", False):  # noqa: ASYNC110 - each step counts
            await asyncio.sleep(0)
        while front.door._http._request_in_progress:  # noqa: ASYNC110 - each step counts
            await asyncio.sleep(0)
    assert front.door._http._waiter is None  # the moment in question
    front.door.data_received(second[:20])
    front.door.data_received(second[20:])
    assert (await read_response(reader)).startswith(b"HTTP/1.1 200 ")
    told = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
    assert told.startswith(b"HTTP/1.1 101 " if second is HANDSHAKE else b"HTTP/1.1 200 ")
    writer.close()
    front.close()


async def test_pipelined_requests(room):
    """Requests sent without waiting for answers are answered in order, each once."""
    reader, writer = await asyncio.open_connection("127.0.0.1", room.port)
    writer.write(PLAIN * 3 + PLAIN[:10])
    for _ in range(3):
        assert (await read_response(reader)).startswith(b"HTTP/1.1 200 ")
    writer.write(PLAIN[10:])
    assert (await read_response(reader)).startswith(b"HTTP/1.1 200 ")
    writer.close()


async def test_large_responses_flow(room):
    """A response larger than all buffers reaches a client that reads slowly: the door passes aiohttp's flow control on."""
    custom = {"x": "y" * 15_000}
    assert (await room.call("PATCH", "/v1/rooms/r/custom", json=custom)).status == 200
    reader, writer = await asyncio.open_connection("127.0.0.1", room.port, limit=2**14)
    writer.write(b"GET /v1/rooms/r/snapshot HTTP/1.1\r\nHost: h\r\n\r\n" * 60)
    await asyncio.sleep(0.1)
    for _ in range(60):
        assert b"y" * 15_000 in await read_response(reader)
    writer.close()


async def test_handshakes_at_a_bounded_rate(room):
    """Beyond the burst a handshake is 503 with a time to come back, before any upgrade; plain requests are not concerned."""
    viewers = [Viewer(room.port, "r") for _ in range(5)]
    for viewer in viewers:
        await viewer.__aenter__()
    async with RawSocket(room.port, "r", head="X-Request-ID: storm-7\r\n") as refused:
        said = await refused.read_to_end()
        assert said.startswith(b"HTTP/1.1 503 ")
        assert b"Retry-After: 1\r\n" in said
        assert b"X-Request-Id: storm-7\r\n" in said
        assert b'"code":"overloaded"' in said
    assert (await room.call("GET", "/healthz")).status == 200
    room.clock.ahead_ms += 1000
    async with Viewer(room.port, "r") as later:
        await later.welcome()
    await until(lambda: room.notes.of(Refused), "count of refusals")
    assert room.notes.of(Refused)[0].code == "503"
    for viewer in viewers:
        await viewer.__aexit__()


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ((b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Version: 8"), b"426"),
        ((b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", b"Sec-WebSocket-Key: x"), b"400"),
        ((b"Host: h", b"Host : h"), b"400"),
        ((b"Connection: Upgrade", b"Connection: close"), b"400"),
    ],
)
async def test_broken_handshakes(room, change, status):
    """A handshake that breaks the rules gets an HTTP status."""
    assert (await room.raw(HANDSHAKE.replace(*change))).startswith(b"HTTP/1.1 " + status)


@pytest.mark.parametrize(("query", "status"), [("", 400), ("?token=nonsense", 401), ("?token=OTHER", 403)])
async def test_plain_requests_to_a_sockets_address(room, query, status):
    """Without an upgrade the same address answers with statuses."""
    query = query.replace("OTHER", room.token(rooms=["other"]))
    answer = await room.call("GET", f"/v1/rooms/r/ws{query}", auth=None)
    assert answer.status == status
    assert (await room.call("GET", "/v1/rooms/nowhere/ws", auth=None)).status == 404
