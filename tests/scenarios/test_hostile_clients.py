"""Whoever sends rubbish gets the documented answer, and the process lives on for everybody else."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import struct
import time
from collections.abc import AsyncIterator
from typing import Any, Self

import msgpack
import pytest

from support.node import NodeProcess, token
from support.outside import Outsider


@pytest.fixture(scope="module")
def node():
    """A node whose slow deadlines are short, so that a test need not wait for them."""
    with NodeProcess(env={"LIVECAST_SERVER__HEADER_DEADLINE_MS": "1500"}) as process:
        yield process


class RawSocket:
    """Bytes on a TCP connection: the handshake is made by hand, frames are whatever a test wants them to be."""

    def __init__(self, node: NodeProcess) -> None:
        self.port = int(node.base.rsplit(":", 1)[1])

    async def __aenter__(self) -> Self:
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()

    async def upgrade(self, room: str, *, codec: str = "json", extra: str = "", tok: str | None = None) -> bytes:
        auth = f"Authorization: Bearer {tok}\r\n" if tok else ""
        self.writer.write(
            f"GET /v1/rooms/{room}/ws HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Protocol: livecast.v1.{codec}\r\n{auth}{extra}\r\n".encode(),
        )
        return await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 10)

    def send(self, opcode: int, payload: bytes, *, masked: bool = True, fin: bool = True, declared: int | None = None) -> None:
        n = len(payload) if declared is None else declared
        bit = 0x80 if masked else 0
        head = bytes([(0x80 if fin else 0) | opcode])
        if n < 126:
            head += bytes([bit | n])
        else:
            head += bytes([bit | 126]) + struct.pack("!H", n) if n < 65536 else bytes([bit | 127]) + struct.pack("!Q", n)
        mask = os.urandom(4) if masked else b""
        self.writer.write(head + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(payload)) if masked else head + payload)

    async def frames(self) -> AsyncIterator[tuple[int, bytes]]:
        """(opcode, payload) until the server closes."""
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionResetError):
            while True:
                first, second = await asyncio.wait_for(self.reader.readexactly(2), 20)
                n = second & 0x7F
                if n == 126:
                    (n,) = struct.unpack("!H", await self.reader.readexactly(2))
                elif n == 127:
                    (n,) = struct.unpack("!Q", await self.reader.readexactly(8))
                yield first & 0x0F, await self.reader.readexactly(n)

    async def closed_with(self) -> int | None:
        """The code of the close frame that ends the connection."""
        async for opcode, payload in self.frames():
            if opcode == 8:
                return struct.unpack("!H", payload[:2])[0] if payload else None
        return None


def nested(depth: int) -> Any:
    """A one inside so many lists."""
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


BAD: list[tuple[str, dict[str, Any], str]] = [
    ("an unknown kind", {"t": "teleport", "cid": "x"}, "bad_message"),
    ("no kind", {"cid": "x", "text": "hi"}, "bad_message"),
    ("a number for a text", {"t": "comment", "cid": "x", "text": 5}, "bad_message"),
    ("a text for a number", {"t": "like", "cid": "x", "n": "5"}, "bad_message"),
    ("a fraction for a number", {"t": "like", "cid": "x", "n": 1.0}, "bad_message"),
    ("true for a number", {"t": "like", "cid": "x", "n": True}, "bad_message"),
    ("no taps at all", {"t": "like", "cid": "x", "n": 0}, "bad_message"),
    ("too many taps", {"t": "like", "cid": "x", "n": 101}, "bad_message"),
    ("a cid that is too long", {"t": "comment", "cid": "x" * 65, "text": "hi"}, "bad_message"),
    ("an empty cid", {"t": "comment", "cid": "", "text": "hi"}, "bad_message"),
    ("a deep meta", {"t": "comment", "cid": "x", "text": "hi", "meta": {"a": nested(10)}}, "bad_message"),
    ("nothing but white space", {"t": "comment", "cid": "x", "text": " \u200b\u202e "}, "invalid"),
    ("a text that is too long", {"t": "comment", "cid": "x", "text": "x" * 201}, "too_large"),
    ("a message of five kilobytes", {"t": "comment", "cid": "x", "text": "x" * 5000}, "too_large"),
]


@pytest.mark.parametrize("codec", ["json", "msgpack"])
async def test_each_bad_message_has_its_answer(node: NodeProcess, codec: str):
    """The documented code each time, with the cid where it could be read; the socket stays open and works."""
    async with Outsider(node, "bad", f"ann-{codec}", codec=codec) as ann:
        for k, (what, message, code) in enumerate(BAD):
            before = len(ann.said)
            await ann.send(**{**message, **({"cid": f"x{k}"} if message.get("cid") == "x" else {})})
            await ann.until(lambda b=before: any(m["t"] == "error" for m in ann.said[b:]), what=what)
            error = next(m for m in ann.said[before:] if m["t"] == "error")
            assert error["code"] == code, (what, error)
            if k % 5 == 0:
                assert (await ann.ask(t="ping", cid=f"p{k}"))["t"] == "pong"
        assert (await ann.ask(t="comment", cid="fine", text="fine"))["verdict"] == "shown"


async def test_wrong_forms_of_each_codec(node: NodeProcess):
    """Binary where text is due, text on a binary socket, trailing bytes, an array, five hundred levels: `bad_message`."""
    async with Outsider(node, "bad", "bob") as bob:
        for data in (
            msgpack.packb({b"t": b"ping"}),
            msgpack.packb({"t": "comment", "cid": "x", "text": b"hi"}),
            msgpack.packb({"t": "ping"}) + b"\x00",
            msgpack.packb([1, 2]),
            b"\x91" * 500 + b"\x01",
            b"\xdd\xff\xff\xff\xff",
        ):
            before = len(bob.said)
            await bob.socket.send(data)
            await bob.until(lambda b=before: len(bob.said) > b, what=f"answer to {data[:20]!r}")
            assert bob.said[-1]["code"] == "bad_message"
        before = len(bob.said)
        await bob.socket.send("{}")
        await bob.until(lambda: len(bob.said) > before)
        assert bob.said[-1]["code"] == "bad_message"
    async with Outsider(node, "bad", "bob", codec="json") as bob:
        for text in ("[" * 500, "{}", "[]", "null", "{", '{"t":"ping"} x', '{"t":"comment","cid":"c","text":"\\ud800"}'):
            before = len(bob.said)
            await bob.socket.send(text)
            await bob.until(lambda b=before: len(bob.said) > b, what=f"answer to {text[:20]}")
            assert bob.said[-1]["code"] == "bad_message", text


async def test_ten_bad_messages_in_a_row_end_it(node: NodeProcess):
    """Nine are forgiven; a good one in between starts the count anew; the tenth in a row is told `bye` 4002."""
    async with Outsider(node, "bad", "carl") as carl:
        for _ in range(9):
            await carl.send(t="?")
        await carl.ask(t="ping", cid="p")
        for _ in range(10):
            await carl.send(t="?")
        await carl.until(lambda: carl.closed)
        assert carl.closed is not None
        assert carl.closed[0] == 4002
        assert carl.said[-1]["t"] == "bye"


@pytest.mark.parametrize(
    ("what", "send", "code"),
    [
        ("an unmasked frame", lambda s: s.send(1, b'{"t":"ping"}', masked=False), 1002),
        ("a message of a mebibyte", lambda s: s.send(1, b"x" * 10, declared=1 << 20), 1009),
        ("a frame of a tebibyte", lambda s: s.send(1, b"x" * 10, declared=1 << 40), 1009),
        ("fragments that add up", lambda s: [s.send(1 if not k else 0, b"x" * 30_000, fin=False) for k in range(3)], 1009),
        ("text that is not UTF-8", lambda s: s.send(1, b'{"t":"\xff"}'), 1007),
        ("an opcode that is none", lambda s: s.send(3, b""), 1002),
        ("a ping of 200 bytes", lambda s: s.send(9, b"x" * 200), 1002),
        ("a continuation of nothing", lambda s: s.send(0, b"x"), 1002),
        ("a close code that is none", lambda s: s.send(8, struct.pack("!H", 1005)), 1002),
    ],
)
async def test_broken_framing_is_closed_with_its_code(node: NodeProcess, what: str, send: Any, code: int):
    """What RFC 6455 forbids is closed with the code it names, unread."""
    async with RawSocket(node) as raw:
        assert b" 101 " in await raw.upgrade("bad", tok=token("dora"))
        send(raw)
        assert await raw.closed_with() == code, what


@pytest.mark.parametrize(
    ("tok", "code"),
    [
        (token("ann", ttl_s=-10), 4401),
        (token("ann", secret="x" * 40), 4401),
        ("not.a.token", 4401),
        (token("ann", rooms=["elsewhere"]), 4403),
        (token("ann", role="host"), 4401),
    ],
)
async def test_a_token_that_is_not_good_is_told_so(node: NodeProcess, tok: str, code: int):
    """Refused after the upgrade, with `bye` and the code; a bad token is never anonymous."""
    async with RawSocket(node) as raw:
        assert b" 101 " in await raw.upgrade("tokens", tok=tok)
        said = [frame async for frame in raw.frames()]
        assert json.loads(said[0][1])["t"] == "bye"
        assert json.loads(said[0][1])["code"] == code
        assert struct.unpack("!H", said[-1][1][:2])[0] == code


async def test_a_token_of_no_kind_is_believed(node: NodeProcess):
    """`alg: none` and friends."""
    import base64  # noqa: PLC0415 - only here

    def part(value: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    forged = f"{part({'alg': 'none', 'typ': 'JWT'})}.{part({'sub': 'ann', 'exp': int(time.time()) + 99})}."
    async with RawSocket(node) as raw:
        await raw.upgrade("tokens", tok=forged)
        assert await raw.closed_with() == 4401


async def test_a_header_sent_byte_by_byte_is_hung_up_on(node: NodeProcess):
    """A request's head has a deadline, however diligently it trickles."""
    async with RawSocket(node) as raw:
        began = time.monotonic()
        for byte in b"GET /v1/rooms/r/ws HTTP/1.1\r\nHost: x\r\nX-Slow: " + b"y" * 100:
            raw.writer.write(bytes([byte]))
            with contextlib.suppress(OSError):
                await raw.writer.drain()
            if raw.reader.at_eof():
                break
            with contextlib.suppress(TimeoutError):
                if await asyncio.wait_for(raw.reader.read(1000), 0.1) == b"":
                    break
        assert 1 < time.monotonic() - began < 5


async def test_requests_that_are_not_http(node: NodeProcess):
    """Rubbish, a giant head, and a socket request without its parts: an HTTP status, then the end."""
    for data, status in (
        (b"\x16\x03\x01\x02\x00\x01\x00", b"400"),
        (b"GET / HTTP/1.1\r\n" + b"X: " + b"y" * 40_000 + b"\r\n\r\n", b"4"),
        (b"GET /v1/rooms/r/ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", b"4"),
        (b"GET /v1/rooms/no%20such/ws HTTP/1.1\r\nHost: x\r\n\r\n", b"4"),
    ):
        async with RawSocket(node) as raw:
            raw.writer.write(data)
            answer = await asyncio.wait_for(raw.reader.read(1000), 10)
            assert answer.startswith(b"HTTP/1.1 " + status), (data[:40], answer[:100])


async def test_sockets_that_do_not_read_are_let_go(node: NodeProcess):
    """Who stops reading loses frames, then the connection (4008 or reset); others' frames come as before; memory is bounded."""
    readers = [await Outsider(node, "slow", f"r{k}").__aenter__() for k in range(20)]
    stopped = []
    for k in range(20):
        raw = RawSocket(node)
        await raw.__aenter__()
        raw.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        await raw.upgrade("slow", tok=token(f"s{k}"))
        raw.writer.transport.pause_reading()  # type: ignore[attr-defined] # a transport that reads has it
        stopped.append(raw)
    before = node.rss_kb()
    host = await Outsider(node, "slow", "host", role="host", rooms=["*"]).__aenter__()
    late, sent = [], 0
    end = time.monotonic() + 24
    while time.monotonic() < end and not all(r.writer.transport.is_closing() for r in stopped):
        asked = time.monotonic()
        await host.ask(t="comment", cid=f"c{sent}", text="x" * 180, meta={"pad": "y" * 450})
        late.append(time.monotonic() - asked)
        sent += 1
    assert node.rss_kb() - before < 40 * 1024
    assert sorted(late)[len(late) // 2] < 0.3
    for reader in readers:
        await reader.until(lambda r=reader: len(r.comments()) == sent)
        assert reader.gaps() == []
        await reader.__aexit__()
    await host.__aexit__()
    for raw in stopped:
        await raw.__aexit__()
