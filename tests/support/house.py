"""A whole node in one process: rooms, memory adapters, the front door, and an HTTP client on loopback. Nothing is a stand-in."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from typing import Any

import aiohttp
import msgspec
from aiohttp import web

from livecast.adapters.memory.bus import MemoryBus
from livecast.adapters.memory.house import MemoryHouseRules
from livecast.adapters.memory.idempotency import MemoryIdempotency
from livecast.adapters.memory.log import MemoryRoomLog
from livecast.core.rules import RoomRules
from livecast.edge.access.auth import Authenticator
from livecast.edge.access.keys import SCOPES, KeyRing, new_key
from livecast.edge.access.tokens import mint
from livecast.edge.door.door import FrontDoor
from livecast.edge.door.doorman import Doorman
from livecast.edge.http.app import build_app
from livecast.edge.http.connection import http_connections
from livecast.edge.http.health import MetricsPage
from livecast.edge.node import Node
from livecast.edge.rules import EdgeRules
from livecast.facts import Fact
from livecast.shard.house import House as HouseAtHome
from livecast.shard.shards import Shards

SECRET = "a-secret-of-the-tests-that-nobody-else-knows"


async def _up() -> bytes:
    return b"up 1\n"


class HandClock:
    """Wall time that the test can put forward."""

    def __init__(self) -> None:
        self.ahead_ms = 0

    def __call__(self) -> int:
        return int(time.time() * 1000) + self.ahead_ms


class Notes:
    """An observer that keeps what it is told."""

    def __init__(self) -> None:
        self.facts: list[Fact] = []

    def observe(self, fact: Fact) -> None:
        self.facts.append(fact)

    def of(self, kind: type) -> list[Any]:
        """The facts of one kind."""
        return [fact for fact in self.facts if isinstance(fact, kind)]


class Answer:
    """A response, read whole."""

    def __init__(self, response: aiohttp.ClientResponse, body: bytes) -> None:
        self.status = response.status
        self.headers = response.headers
        self.content_type = response.content_type
        self.body = body

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return msgspec.json.decode(self.body)

    @property
    def code(self) -> str:
        """The problem's code."""
        assert self.content_type == "application/problem+json", self.body
        return str(self.json["code"])

    def __repr__(self) -> str:
        return f"{self.status} {self.body[:300]!r}"


class House:
    """A running node and its callers. `key` has all scopes; `made_key` and `token` give others."""

    def __init__(self, rules: EdgeRules, room_rules: RoomRules) -> None:
        self.clock = HandClock()
        self.notes = Notes()
        self.log = MemoryRoomLog()
        self.bus = MemoryBus()
        self.shards = Shards(bus=self.bus, log=self.log, clock=self.clock, rules=room_rules, observer=self.notes)
        self.key, entry = new_key("all", SCOPES)
        self.keys = KeyRing([entry])
        self.node = Node(
            id="n1",
            clock=self.clock,
            bus=self.bus,
            log=self.log,
            authenticator=Authenticator([SECRET]),
            keys=self.keys,
            observer=self.notes,
            rules=rules,
            room_rules=room_rules,
        )
        self.rules = MemoryHouseRules()
        self.house = HouseAtHome(id="n1", rules=self.rules, bus=self.bus, clock=self.clock, observer=self.notes)
        self.shards.keep_to(self.house)
        Doorman(self.node, self.house)
        self.idempotency = MemoryIdempotency(self.clock)
        self.metrics = MetricsPage(_up)

    async def open(self) -> None:
        """Start serving."""
        await self.house.start()
        await self.shards.start()
        await self.node.start()
        app = build_app(self.node, idempotency=self.idempotency, metrics=self.metrics)
        self.runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await self.runner.setup()
        self.door = FrontDoor(self.node, http_connections(self.node, self.runner.server))
        self.server = await self.door.listen(socket.create_server(("127.0.0.1", 0)))
        self.port = self.server.sockets[0].getsockname()[1]
        self.base = f"http://127.0.0.1:{self.port}"
        self.session = aiohttp.ClientSession(self.base)

    async def close(self) -> None:
        """Stop it again."""
        await self.session.close()
        self.door.close()
        await self.node.drain(1)
        await self.runner.cleanup()
        await self.shards.drain()
        self.house.stop()
        await self.bus.close()
        await self.log.close()

    def token(self, sub: str = "ada", ttl_s: int = 3600, **claims: Any) -> str:
        """A token of the platform's."""
        return mint(SECRET, {"sub": sub, "exp": self.clock() // 1000 + ttl_s, **claims})

    def made_key(self, key_id: str, *scopes: str, rooms: tuple[str, ...] = ("*",), merchant: str = "") -> str:
        """A key in force."""
        key, entry = new_key(key_id, scopes, rooms, merchant)  # type: ignore[arg-type] # the tests know the scopes
        self.keys.replace([*self.keys, entry])
        return key

    async def call(self, method: str, path: str, *, auth: str | None = "", json: Any = None, **more: Any) -> Answer:
        """One request, with the key of all scopes unless told otherwise; `auth=None` for none."""
        headers = dict(more.pop("headers", {}))
        if auth is not None:
            headers["Authorization"] = f"Bearer {auth or self.key}"
        if json is not None:
            more["data"] = msgspec.json.encode(json)
            headers.setdefault("Content-Type", "application/json")
        async with self.session.request(method, path, headers=headers, **more) as response:
            return Answer(response, await response.read())

    async def live_room(self, room: str, **about: Any) -> None:
        """A room with a broadcast on."""
        made = await self.call("PUT", f"/v1/rooms/{room}", json=about)
        assert made.status == 201, made
        assert (await self.call("POST", f"/v1/rooms/{room}/start")).status == 200

    async def raw(self, request: bytes, *, wait_s: float = 5.0) -> bytes:
        """What the server says to these very bytes, until it closes or has said a whole head and body."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(request)
        said = b""
        try:
            async with asyncio.timeout(wait_s):
                while chunk := await reader.read(65536):
                    said += chunk
        except TimeoutError:
            pass
        writer.close()
        return said


async def until(condition: Callable[[], Any], what: str, wait_s: float = 5.0) -> Any:
    """Wait until `condition` holds, and give what it said."""
    deadline = time.monotonic() + wait_s
    while not (said := condition()):
        assert time.monotonic() < deadline, f"no {what} in {wait_s} s"
        await asyncio.sleep(0.01)
    return said
