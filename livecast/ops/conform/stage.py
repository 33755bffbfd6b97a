"""The room's side of the socket: a small server that one client connects to, and whose every answer the script decides.

Everything that a client does is an `Act`, in the order in which it came. The script waits for the acts that it expects; nothing
here is on a timer of its own.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

import msgspec
from aiohttp import WSMsgType, web

from livecast.ops.conform.grade import Check, Weight
from livecast.ops.conform.picture import Picture, Report
from livecast.wire.codec import CODECS, JSON, Codec, WireError

ROOM: Final = "conform"
MESSAGE_BYTES_MAX: Final = 65_536
EVERYBODY: Final = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Headers": "content-type",
    "Access-Control-Allow-Methods": "POST, OPTIONS",
}
"""A page under test is served from elsewhere."""

T = TypeVar("T")


class Gone(Exception):  # noqa: N818 - a state of affairs, not a fault
    """What the script waited for did not happen in time."""


class Connection:
    """One WebSocket of the client, from its handshake on."""

    def __init__(self, request: web.Request, socket: web.WebSocketResponse, codec: Codec, named: bool) -> None:
        self.at = time.monotonic()
        self.since: str | None = request.query.get("since")
        self.token = _token(request)
        self.named = named
        self.codec = codec
        self.messages: asyncio.Queue[Any] = asyncio.Queue()
        """What the client said: structs, or a `WireError` for what is none."""
        self.ponged = asyncio.Event()
        self.closed = asyncio.Event()
        self._socket = socket
        self._transport = request.transport

    async def send(self, *messages: dict[str, Any]) -> None:
        """Say something. A connection that is gone is found out by whoever waits for an answer."""
        for message in messages:
            data = self.codec.encode(message)
            try:
                await (
                    self._socket.send_bytes(data) if self.codec.opcode == WSMsgType.BINARY else self._socket.send_str(data.decode())
                )
            except ConnectionError:
                self.closed.set()
                return

    async def ping(self) -> None:
        """A ping of the WebSocket protocol itself."""
        await self._socket.ping(b"conform")

    async def bye(self, code: int, reason: str, *, reconnect: bool, retry_after_ms: int) -> None:
        """Say goodbye as a node does: told first, then closed."""
        await self.send({"t": "bye", "code": code, "reason": reason, "reconnect": reconnect, "retry_after_ms": retry_after_ms})
        await self._socket.close(code=code, message=reason.encode())

    def cut(self) -> None:
        """Break the line: no close frame, as when a train enters a tunnel."""
        if self._transport is not None:
            self._transport.abort()

    async def read(self) -> None:
        """Take in what the client says until the line breaks."""
        try:
            async for message in self._socket:
                if message.type == WSMsgType.PONG:
                    self.ponged.set()
                elif message.type == WSMsgType.PING:
                    await self._socket.pong(message.data)
                elif message.type in {WSMsgType.TEXT, WSMsgType.BINARY}:
                    data = message.data.encode() if isinstance(message.data, str) else message.data
                    if (message.type == WSMsgType.BINARY) != (self.codec.opcode == WSMsgType.BINARY):
                        self.messages.put_nowait(WireError("bad_message", f"this socket speaks {self.codec.name}"))
                        continue
                    try:
                        self.messages.put_nowait(self.codec.decode(data))
                    except WireError as fault:
                        self.messages.put_nowait(fault)
        finally:
            self.closed.set()


class Stage:
    """The scripted room, the one client in it, and what was noted about that client."""

    def __init__(self, url: str, *, patience_s: float = 10.0, tell: Callable[[str], None] = lambda _: None) -> None:
        self.url = url
        self.patience_s = patience_s
        """How long a client may take for what it is asked to do."""
        self.picture = Picture()
        self.checks: list[Check] = []
        self.step = ""
        self.refuse: int | None = None
        """An HTTP status with which handshakes are refused, instead of being answered."""
        self._refusals: asyncio.Queue[float] = asyncio.Queue()
        self.arrivals: asyncio.Queue[Connection] = asyncio.Queue()
        self._reports: asyncio.Queue[Report] = asyncio.Queue()
        self._tell = tell
        self._now: Connection | None = None
        self._asked = 0

    # --- For the script -----------------------------------------------------------------------------------------------
    @property
    def connection(self) -> Connection:
        """The client's present connection."""
        if self._now is None:
            raise Gone("there is no connection")
        return self._now

    def begin(self, step: str) -> None:
        """From here on checks belong to `step`."""
        self.step = step
        self._tell(step)

    def check(self, what: str, right: bool, why: str = "", *, weight: Weight = "must") -> None:
        """Note one thing."""
        self.checks.append(Check(self.step, what, weight, right, "" if right else why))

    async def arrival(self, within_s: float | None = None) -> Connection:
        """The client's next connection, which becomes the present one. Raises `Gone`."""
        self._now = await self._within(self.arrivals.get(), within_s, "the client did not connect")
        return self._now

    async def knock(self, within_s: float) -> float:
        """When the client's next handshake was refused (monotonic seconds). Raises `Gone`."""
        at: float = await self._within(self._refusals.get(), within_s, "the client did not come back")
        return at

    async def ponged(self) -> bool:
        """Whether a ping of the WebSocket protocol was answered."""
        try:
            await self._within(self.connection.ponged.wait(), None, "")
        except Gone:
            return False
        return True

    async def heard(self, kind: type[T], within_s: float | None = None) -> T:
        """The next message of this kind; others on the way are looked at too. Raises `Gone`."""
        deadline = time.monotonic() + (self.patience_s if within_s is None else within_s)
        while True:
            left = max(0.0, deadline - time.monotonic())
            message = await self._within(self.connection.messages.get(), left, f"the client sent no `{kind.__name__}`")
            if isinstance(message, WireError):
                self.check("what it sends can be read", False, f"{message.code}: {message.message}")
            elif isinstance(message, kind):
                return message

    async def frame(self, **parts: Any) -> dict[str, Any]:
        """Make the next frame and send it."""
        frame = self.withhold(**parts)
        await self.connection.send(frame)
        return frame

    def withhold(self, **parts: Any) -> dict[str, Any]:
        """Make the next frame; it is lost on its way."""
        return self.picture.frame(now_ms(), parts)

    def welcome(self, *, reason: str = "joined", missed: int | None = None) -> dict[str, Any]:
        """A welcome to the room as it is, with some things in it that no client knows.

        `missed`: it resumes, and so many frames will follow. Its state is the present one all the same.
        """
        view = self.picture.view
        can = ["comment", "like", "gift", "claim", "vote"]
        you = {"id": "you", "name": "You", "role": "viewer", "anonymous": False, "can": can, "balance": 1000}
        return {
            "t": "welcome", "v": 1, "room": ROOM, "reason": reason, "conn": "stage-1", "you": you,
            "epoch": view.epoch, "seq": view.seq - (missed or 0), "recovered": missed is not None,
            "state": {**view.state, "weather": {"sky": "grey"}},
            "recent": [] if missed is not None else list(view.recent), "policy": view.policy, "now": now_ms(),
            "horoscope": ["aries"],
        }  # fmt: skip

    async def ask(self, do: str, **data: Any) -> None:
        """Ask the client to do something, by an event in a frame."""
        self._asked += 1
        event = {"id": f"ask{self._asked}", "type": "x.conform", "at": now_ms(), "data": {"do": do, "step": self.step, **data}}
        await self.frame(events=[event])

    async def shows(self, what: str) -> None:
        """Ask what is on the client's screen and hold it against what should be. Raises `Gone` if it does not say."""
        while not self._reports.empty():
            self._reports.get_nowait()
        await self.ask("show", url=f"{self.url}/v1/rooms/{ROOM}/shown")
        report = await self._within(self._reports.get(), None, "the client did not report what it shows")
        self.check(what, not (found := self.picture.differences(report)), "; ".join(found))

    async def _within(self, waiting: Any, within_s: float | None, else_: str) -> Any:
        within_s = self.patience_s if within_s is None else within_s
        try:
            async with asyncio.timeout(within_s):
                return await waiting
        except TimeoutError:
            raise Gone(f"{else_} within {within_s:.1f} s") from None

    # --- For the client -----------------------------------------------------------------------------------------------
    def app(self) -> web.Application:
        """Where the client connects and reports."""
        app = web.Application(client_max_size=1_048_576)
        app.router.add_get("/v1/rooms/{room}/ws", self._socket)
        app.router.add_post("/v1/rooms/{room}/shown", self._shown)
        app.router.add_options("/v1/rooms/{room}/shown", _preflight)
        return app

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        if self.refuse is not None:
            self._refusals.put_nowait(time.monotonic())
            return web.Response(status=self.refuse, headers={"Retry-After": "1", **EVERYBODY})
        if request.match_info["room"] != ROOM:
            return web.Response(status=404, text=f"the scripted room is {ROOM}")
        # Uncompressed: nodes keep no context between messages, and aiohttp cannot be told so.
        socket = web.WebSocketResponse(protocols=tuple(CODECS), autoping=False, compress=False, max_msg_size=MESSAGE_BYTES_MAX)
        await socket.prepare(request)
        named = socket.ws_protocol is not None
        connection = Connection(request, socket, CODECS[socket.ws_protocol] if named else JSON, named)  # type: ignore[index] # named
        self.arrivals.put_nowait(connection)
        await connection.read()
        return socket

    async def _shown(self, request: web.Request) -> web.Response:
        try:
            report = msgspec.json.decode(await request.read(), type=Report)
        except msgspec.MsgspecError as fault:
            self.check("its report can be read", False, str(fault))
            return web.json_response({"wrong": str(fault)}, status=400, headers=EVERYBODY)
        self._reports.put_nowait(report)
        return web.json_response({"taken": True}, headers=EVERYBODY)


async def _preflight(_request: web.Request) -> web.Response:
    return web.Response(status=204, headers=EVERYBODY)


def _token(request: web.Request) -> str | None:
    """The identity that a handshake carries, wherever it stands."""
    bearer = request.headers.get("Authorization", "").removeprefix("Bearer ")
    offered = [entry.strip() for entry in request.headers.get("Sec-WebSocket-Protocol", "").split(",")]
    entries = [entry.removeprefix("livecast.token.") for entry in offered if entry.startswith("livecast.token.")]
    return bearer or next(iter(entries), None) or request.query.get("token")


def now_ms() -> int:
    """Unix ms."""
    return time.time_ns() // 1_000_000
