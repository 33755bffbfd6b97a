"""A viewer at a node in this process, on the `websockets` package: keeps every message it was told."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Callable
from typing import Any, Self

import msgpack
import websockets


class Viewer:
    """One socket. `told` has all messages in the order they came; `closed` the close code once there is one."""

    def __init__(
        self,
        port: int,
        room: str,
        token: str | None = None,
        *,
        codec: str = "json",
        query: str = "",
        deflate: bool = False,
        headers: dict[str, str] | None = None,
        subprotocols: list[str] | None = None,
    ) -> None:
        self.uri = f"ws://127.0.0.1:{port}/v1/rooms/{room}/ws{query}"
        self.codec = codec
        self.told: list[dict[str, Any]] = []
        self.closed: int | None = None
        self._headers = {**({"Authorization": f"Bearer {token}"} if token else {}), **(headers or {})}
        self._subprotocols = [f"livecast.v1.{codec}"] if subprotocols is None else subprotocols
        self._deflate = deflate
        self._news = asyncio.Event()

    async def __aenter__(self) -> Self:
        self.socket = await websockets.connect(
            self.uri,
            additional_headers=self._headers,
            subprotocols=self._subprotocols or None,  # type: ignore[arg-type] # plain strings do
            compression="deflate" if self._deflate else None,
            ping_interval=None,
            max_size=None,
            max_queue=None,  # else whoever leaves with 16 messages unread does not read the other's goodbye, and waits 10 s for it
            proxy=None,
        )
        self._reader = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._reader.cancel()
        with contextlib.suppress(Exception):
            await self.socket.close()

    async def _read(self) -> None:
        try:
            async for data in self.socket:
                self.told.append(msgpack.unpackb(data) if isinstance(data, bytes) else json.loads(data))
                self._news.set()
        except websockets.ConnectionClosed:
            pass
        self.closed = self.socket.close_code
        self._news.set()

    async def send(self, t: str, **fields: Any) -> None:
        """One message."""
        message = {"t": t, **fields}
        await self.socket.send(msgpack.packb(message) if self.codec == "msgpack" else json.dumps(message))

    def of(self, t: str) -> list[dict[str, Any]]:
        """What came of one kind."""
        return [m for m in self.told if m["t"] == t]

    async def until(self, condition: Callable[[], Any], what: str, wait_s: float = 5.0) -> Any:
        """Wait for a condition on what was told; what it said."""
        deadline = time.monotonic() + wait_s
        while not (said := condition()):
            left = deadline - time.monotonic()
            assert left > 0, f"no {what} in {wait_s} s: closed {self.closed}, told {self.told[-3:]}"
            self._news.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), min(left, 0.1))
        return said

    async def hears(self, is_it: Callable[[dict[str, Any]], Any], what: str) -> dict[str, Any]:
        """Wait for a message of which that is true (it may have come already); the first such."""
        found: dict[str, Any] = await self.until(lambda: next((m for m in self.told if is_it(m)), None), what)
        return found

    async def welcome(self, count: int = 1) -> dict[str, Any]:
        """The first welcome, or a later one."""
        welcomes: list[dict[str, Any]] = await self.until(lambda: len(w := self.of("welcome")) >= count and w, "welcome")
        return welcomes[count - 1]

    async def answer(self, cid: str) -> dict[str, Any]:
        """The ack or error for a cid."""
        found: dict[str, Any] = await self.until(
            lambda: next((m for m in self.told if m["t"] in {"ack", "error", "pong"} and m.get("cid") == cid), None),
            f"answer to {cid}",
        )
        return found

    async def ask(self, t: str, cid: str, **fields: Any) -> dict[str, Any]:
        """Send and wait for the answer."""
        await self.send(t, cid=cid, **fields)
        return await self.answer(cid)

    async def bye(self) -> tuple[int | None, dict[str, Any]]:
        """Wait until the server closes: (close code, its `bye`, {} if none came)."""
        await self.until(lambda: self.closed is not None, "close")
        return self.closed, (self.of("bye") or [{}])[-1]

    def gaps(self) -> list[tuple[Any, ...]]:
        """Frames that do not follow on what came before."""
        at: tuple[Any, Any] | None = None
        gaps: list[tuple[Any, ...]] = []
        for m in self.told:
            if m["t"] not in {"welcome", "frame"}:
                continue
            here = (m["epoch"], m["seq"])
            if m["t"] == "frame" and at != (m["epoch"], m["seq"] - 1):
                gaps.append((*(at or (None, None)), *here))
            at = here
        return gaps


def masked(payload: bytes, opcode: int = 1) -> bytes:
    """One short frame as a client sends it."""
    assert len(payload) < 126
    mask = b"\x01\x02\x03\x04"
    return bytes([0x80 | opcode, 0x80 | len(payload)]) + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(payload))


class RawSocket:
    """A WebSocket made by hand, for what no library would send or leave unread. Reads nothing unless told to."""

    def __init__(self, port: int, room: str, *, query: str = "", head: str = "") -> None:
        self._port = port
        self._head = (
            f"GET /v1/rooms/{room}/ws{query} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{head}\r\n"
        ).encode()

    async def __aenter__(self) -> Self:
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self._port, limit=2**16)
        self.writer.write(self._head)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()

    def write(self, payload: bytes, opcode: int = 1) -> None:
        """One short frame."""
        self.writer.write(masked(payload, opcode))

    def write_unmasked(self, payload: bytes) -> None:
        """One short text frame as no client may send it."""
        self.writer.write(bytes([0x81, len(payload)]) + payload)

    async def read_to_end(self, wait_s: float = 5.0) -> bytes:
        """All that comes until the server hangs up."""
        said = b""
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(wait_s):
                while chunk := await self.reader.read(65536):
                    said += chunk
        return said
