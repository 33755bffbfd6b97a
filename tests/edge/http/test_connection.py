"""Connections of plain HTTP: how long they may be idle, how long a body may take, and how many one address may have."""

from __future__ import annotations

import asyncio

import pytest

from livecast.core.rules import RoomRules
from livecast.edge.door.headcount import OwnHeadcount
from livecast.edge.rules import EdgeRules
from livecast.facts import Trouble
from support.house import House, until
from support.viewer import Viewer

PLAIN = b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"


@pytest.fixture
def edge_rules() -> EdgeRules:
    """Deadlines that a test can wait for, and three connections per address."""
    return EdgeRules(sweep_ms=20, close_deadline_ms=200, body_deadline_ms=200, http_idle_ms=300, http_connections_per_address=3)


async def test_idle_connections_are_closed(house: House) -> None:
    """Whoever asks nothing further is let go of after a while; who asks again in time is not."""
    reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
    for _ in range(3):
        writer.write(PLAIN)
        assert await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        await asyncio.sleep(0.15)
    said = await asyncio.wait_for(reader.read(), 5)
    assert said.count(b"HTTP/1.1") == 0
    writer.close()


class Heard(asyncio.Protocol):
    """What was heard until the connection ended, however it ended: one more byte sent behind the answer makes it a reset."""

    def __init__(self) -> None:
        self.data = b""
        self.over = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        self.data += data

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - how it ended does not matter
        self.over.set()


@pytest.mark.parametrize("length", [b"Content-Length: 100\r\n\r\n{", b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n"])
async def test_a_body_that_does_not_come(house: House, length: bytes) -> None:
    """A body that is not there at the deadline is answered 408, and the connection ends, however busily it dribbles."""
    loop = asyncio.get_running_loop()
    transport, heard = await loop.create_connection(Heard, "127.0.0.1", house.port)
    key = house.key.encode()
    transport.write(b"PUT /v1/rooms/r HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer " + key + b"\r\n" + length)
    for _ in range(500):
        if heard.over.is_set():
            break
        transport.write(b" " if b"Content" in length else b"1\r\n \r\n")
        await asyncio.sleep(0.03)
    await asyncio.wait_for(heard.over.wait(), 5)
    answer = heard.data
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"code":"timeout"' in answer
    assert not house.notes.of(Trouble)
    transport.close()


@pytest.mark.parametrize("encoding", [b"gzip", b"deflate"])
async def test_a_body_that_is_not_encoded_as_it_says(house: House, caplog: pytest.LogCaptureFixture, encoding: bytes) -> None:
    """415 without trying to read it, and it is nobody's trouble: the log stays empty, and the connection is of further use."""
    reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
    head = b"PUT /v1/rooms/r HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer " + house.key.encode() + b"\r\nContent-Length: 2\r\n"
    for body in (b"{}", b"\x1f\x8b"):
        writer.write(head + b"Content-Encoding: " + encoding + b"\r\n\r\n" + body)
        said = await asyncio.wait_for(reader.readuntil(b"}"), 5)
        assert said.startswith(b"HTTP/1.1 415 ")
    writer.write(PLAIN)
    assert (await asyncio.wait_for(reader.readuntil(b"}"), 5)).startswith(b"HTTP/1.1 200 ")
    writer.close()
    assert not house.notes.of(Trouble)
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


@pytest.mark.parametrize("head", [b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n", PLAIN[:-2] + b"Cookie: " + b"a" * 9000 + b"\r\n"])
async def test_lines_that_are_too_long(house: House, head: bytes) -> None:
    """An address or a field beyond what is read is 431, and told as any refusal is."""
    reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
    writer.write(head + b"\r\n")
    said = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    assert said.split(b" ")[1] == b"431"
    assert b'"code":"headers_too_large"' in said


@pytest.mark.parametrize("path", [b"/healthz", b"/v1/rooms/r", b"/nowhere"])
async def test_an_expectation_that_nobody_knows(house: House, path: bytes) -> None:
    """417, told as any refusal is, on a connection that goes on; the one expectation that there is, is met."""
    reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
    writer.write(b"GET " + path + b" HTTP/1.1\r\nHost: h\r\nExpect: 200-maybe\r\nX-Request-Id: mine\r\n\r\n")
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
    assert head.startswith(b"HTTP/1.1 417 ")
    assert all(said in head for said in (b"application/problem+json", b"X-Request-Id: mine", b"nosniff", b"Server: livecast\r\n"))
    body = await asyncio.wait_for(reader.readuntil(b"}"), 5)
    assert b'"code":"expectation_failed"' in body
    assert b'"request_id":"mine"' in body
    writer.write(PLAIN.replace(b"\r\n\r\n", b"\r\nExpect: 100-Continue\r\n\r\n"))
    assert (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)).startswith(b"HTTP/1.1 100 ")
    assert (await asyncio.wait_for(reader.readuntil(b"}"), 5)).startswith(b"HTTP/1.1 200 ")
    writer.close()


async def test_connections_per_address(house: House) -> None:
    """One address has so many connections of plain HTTP and no more; one that ends, or becomes a socket, makes room."""
    await house.live_room("r")
    await house.session.close()
    held = house.node.admission._http_by_address
    assert isinstance(held, OwnHeadcount)
    await until(lambda: not held, "nobody there")
    connections = [await asyncio.open_connection("127.0.0.1", house.port) for _ in range(3)]
    for reader, writer in connections:
        writer.write(b"GET /v1/rooms/r/events HTTP/1.1\r\nHost: h\r\n\r\n")
        assert (await asyncio.wait_for(reader.readline(), 5)).startswith(b"HTTP/1.1 200 ")
    refused = await house.raw(PLAIN)
    assert refused.startswith(b"HTTP/1.1 429 ")
    assert b'"code":"rate_limited"' in refused
    async with Viewer(house.port, "r") as viewer:
        await viewer.welcome()
    connections[0][1].close()
    await until(lambda: held == {"127.0.0.1": 2}, "room for another")
    assert (await house.raw(PLAIN, wait_s=0.2)).startswith(b"HTTP/1.1 200 ")
    for _, writer in connections:
        writer.close()
    await until(lambda: not held, "everybody gone")


async def test_a_proxy_is_not_counted() -> None:
    """A trusted proxy's connections carry many clients' requests: it has no bound."""
    house = House(EdgeRules(http_connections_per_address=1, trusted_proxies=("127.0.0.1",)), RoomRules())
    await house.open()
    connections = [await asyncio.open_connection("127.0.0.1", house.port) for _ in range(3)]
    for reader, writer in connections:
        writer.write(PLAIN)
        assert (await asyncio.wait_for(reader.readline(), 5)).startswith(b"HTTP/1.1 200 ")
        writer.close()
    await house.close()
