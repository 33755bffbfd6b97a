"""A real WebSocket server that says what a test tells it to: the client's other end, and nothing of the service."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Awaitable, Callable
from typing import Any

import msgpack
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

POLICY = {"tick_ms": 200, "keepalive_ms": 40_000, "comment_max_chars": 200}
STATE = {"status": "live", "title": "", "likes": 0}


def welcome(epoch: str = "epochAAA", seq: int = 0, **more: Any) -> dict[str, Any]:
    """A welcome as the server words it."""
    you = {"id": "ada", "name": "Ada", "role": "viewer", "anonymous": False, "can": ["comment", "like"]}
    base = {"t": "welcome", "v": 1, "room": "r", "reason": "joined", "conn": "c1", "you": you, "epoch": epoch, "seq": seq}
    return {**base, "recovered": False, "state": STATE, "recent": [], "policy": POLICY, "now": 1_700_000_000_000, **more}


def frame(seq: int, epoch: str = "epochAAA", **parts: Any) -> dict[str, Any]:
    """A frame as the server words it."""
    return {"t": "frame", "epoch": epoch, "seq": seq, "ts": 1_700_000_000_000 + seq, **parts}


def comment(number: int, text: str = "hi") -> dict[str, Any]:
    """A comment in a frame."""
    return {"id": f"epochAAA-{number}", "u": {"id": f"u{number}", "name": f"U{number}"}, "text": text, "at": 1_700_000_000_000}


class Prompt(random.Random):
    """Chance that always draws `value`: pauses are that part of their bound, by default none at all."""

    def __init__(self, value: float = 0.0) -> None:
        super().__init__()
        self._value = value

    def random(self) -> float:
        """Always the same."""
        return self._value


class Visit:
    """One connection of a client to the server."""

    def __init__(self, socket: ServerConnection) -> None:
        self.socket = socket
        self.path = socket.request.path if socket.request else ""
        self.headers = socket.request.headers if socket.request else {}
        self.binary = socket.subprotocol == "livecast.v1.msgpack"

    async def say(self, message: dict[str, Any]) -> None:
        """Send one message in the codec that was agreed on."""
        await self.socket.send(msgpack.packb(message) if self.binary else json.dumps(message))

    async def hear(self) -> dict[str, Any]:
        """The client's next message."""
        data = await self.socket.recv()
        message: dict[str, Any] = msgpack.unpackb(data) if isinstance(data, bytes) else json.loads(data)
        assert isinstance(data, bytes) == self.binary
        return message


Act = Callable[[Visit], Awaitable[None]]


class Stage:
    """A server; each connection plays the next act, and the last one is played again for all later ones.

    `refuse` holds answers (status, headers) for handshakes to come, before any act is played.
    """

    def __init__(self) -> None:
        self.acts: list[Act] = []
        self.visits: list[Visit] = []
        self.refuse: list[tuple[int, dict[str, str]]] = []
        self.failures: list[BaseException] = []
        self._server: Server | None = None

    async def start(self) -> None:
        """Listen on a free port."""
        self._server = await serve(
            self._play,
            "127.0.0.1",
            0,
            subprotocols=[Subprotocol("livecast.v1.msgpack"), Subprotocol("livecast.v1.json")],
            process_request=self._admit,
            ping_interval=None,
        )

    async def stop(self) -> None:
        """Close everything."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    @property
    def url(self) -> str:
        """Where it listens."""
        assert self._server is not None
        return f"http://127.0.0.1:{next(iter(self._server.sockets)).getsockname()[1]}"

    def _admit(self, socket: ServerConnection, _: Request) -> Response | None:
        if not self.refuse:
            return None
        status, headers = self.refuse.pop(0)
        response = socket.respond(status, "no\n")
        for name, value in headers.items():
            response.headers[name] = value
        return response

    async def _play(self, socket: ServerConnection) -> None:
        visit = Visit(socket)
        self.visits.append(visit)
        act = self.acts[min(len(self.visits), len(self.acts)) - 1]
        try:
            await act(visit)
        except ConnectionClosed:
            pass
        except Exception as failure:
            self.failures.append(failure)
            raise
        finally:
            await socket.close()


async def linger(visit: Visit) -> None:
    """Stay until the client goes."""
    await visit.socket.wait_closed()


async def until(condition: Callable[[], object], timeout_s: float = 5.0) -> None:
    """Let other tasks run until `condition` holds."""
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110 - a condition over several objects has no single event
            await asyncio.sleep(0.005)
