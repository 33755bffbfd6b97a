"""A viewer written from docs/protocol.md alone, on the `websockets` and `msgpack` packages: no code of the service in it."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import json
import time
from collections.abc import Callable
from typing import Any, Self

import msgpack
import websockets

from support.node import NodeProcess, token


class Outsider:
    """One socket. Keeps what it was told, by kind, and `stream`: welcomes and frames in the order they came."""

    def __init__(
        self,
        node: NodeProcess,
        room: str,
        sub: str | None = None,
        *,
        codec: str = "msgpack",
        since: str | None = None,
        tok: str | None = None,
        deflate: bool = False,
        **claims: Any,
    ) -> None:
        tok = tok or (token(sub, **claims) if sub else None)
        self.uri = f"{node.ws}/v1/rooms/{room}/ws" + (f"?since={since}" if since else "")
        self.headers = {"Authorization": f"Bearer {tok}"} if tok else {}
        self.codec, self.deflate = codec, deflate
        self.stream: list[dict[str, Any]] = []
        self.timed: list[tuple[float, dict[str, Any]]] = []
        """The same with the moment each came."""
        self.answers: dict[str, dict[str, Any]] = {}
        self.said: list[dict[str, Any]] = []
        self.closed: tuple[int | None, str | None] | None = None
        self._heard = asyncio.Event()

    async def __aenter__(self) -> Self:
        self.socket = await websockets.connect(
            self.uri,
            additional_headers=self.headers,
            subprotocols=[websockets.Subprotocol(f"livecast.v1.{self.codec}")],
            compression="deflate" if self.deflate else None,
            max_size=None,
            ping_interval=None,
            open_timeout=20,
            proxy=None,
        )
        self._reader = asyncio.create_task(self._read())
        await self.until(lambda: self.stream or self.closed, what="welcome")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.socket.close()
        await self._reader

    async def _read(self) -> None:
        with contextlib.suppress(websockets.ConnectionClosed):
            async for data in self.socket:
                message = msgpack.unpackb(data) if isinstance(data, bytes) else json.loads(data)
                message_at = time.monotonic()
                self.said.append(message)
                if message["t"] in {"welcome", "frame"}:
                    self.stream.append(message)
                    self.timed.append((message_at, message))
                    self.last_at = message_at
                elif "cid" in message:
                    self.answers[message["cid"]] = message
                self._heard.set()
        self.closed = (self.socket.close_code, self.socket.close_reason)
        self._heard.set()

    async def send(self, **message: Any) -> None:
        await self.socket.send(msgpack.packb(message) if self.codec == "msgpack" else json.dumps(message))

    async def ask(self, **message: Any) -> dict[str, Any]:
        """Send and wait for what answers this cid."""
        self.answers.pop(message["cid"], None)
        await self.send(**message)
        await self.until(lambda: message["cid"] in self.answers, what=f"answer to {message}")
        return self.answers[message["cid"]]

    async def until(self, condition: Callable[..., Any], *, within_s: float = 15, what: str = "that") -> None:
        end = time.monotonic() + within_s
        while not condition():
            assert time.monotonic() < end, f"no {what} in {within_s} s; closed {self.closed}, said {self.said[-3:]}"
            self._heard.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._heard.wait(), 0.2)

    @property
    def welcome(self) -> dict[str, Any]:
        return next(m for m in reversed(self.stream) if m["t"] == "welcome")

    @property
    def frames(self) -> list[dict[str, Any]]:
        return [m for m in self.stream if m["t"] == "frame"]

    def comments(self) -> list[dict[str, Any]]:
        return [c for f in self.frames for c in f.get("comments", [])]

    def tally(self) -> collections.Counter[str]:
        """Sums over all frames; `rejected` is the sum over its codes."""
        total: collections.Counter[str] = collections.Counter()
        for frame in self.frames:
            for key, value in frame.get("tally", {}).items():
                total[key] += sum(value.values()) if isinstance(value, dict) else value
        return total

    def gaps(self) -> list[tuple[Any, Any]]:
        """Frames that do not follow on what came before them."""
        found: list[tuple[Any, Any]] = []
        at: tuple[Any, Any] | None = None
        for m in self.stream:
            if m["t"] == "frame" and (m["epoch"], m["seq"] - 1) != at:
                found.append((at, (m["epoch"], m["seq"])))
            at = (m["epoch"], m["seq"])
        return found
