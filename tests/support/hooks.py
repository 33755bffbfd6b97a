"""What tests of webhooks share: endpoints, events, and receivers that answer as they are told."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from typing import Any, Self

import msgspec
from aiohttp import web

from livecast.core.webhooks.deliveries import Draft, Endpoint, Secret, WebhookEvent

SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()
HOUR_MS = 3_600_000


def endpoint(id_: str = "e1", url: str = "https://shop.example/hook", **more: Any) -> Endpoint:
    """An endpoint that wants everything, unless told otherwise."""
    about = {"events": ("*",), "rooms": ("*",), "reach": ("*",), "merchant": "", "secrets": (Secret(SECRET),), "created_at": 1}
    return Endpoint(id_, url, **{**about, **more})


def event(id_: str, room: str = "r", type_: str = "gift.sent", merchant: str = "m", data: Any = None) -> WebhookEvent:
    """An event."""
    return WebhookEvent(id_, type_, 1_000, room, "b1", merchant, test=False, data=data or {"value": 3})


def draft(id_: str, room: str = "r", once: str = "", **more: Any) -> Draft:
    """An event to be kept."""
    return Draft(event(id_, room, **more), once)


class Receiver:
    """An HTTP server of its own. `answers` says what it answers to the n-th request (from 0): a status, or a response."""

    def __init__(self, answers: Callable[[int], Any] = lambda _n: 200, *, ssl: Any = None) -> None:
        self.answers = answers
        self.got: list[tuple[dict[str, str], bytes]] = []
        """Headers and body of each request, in order."""
        self.handler: Any = None
        """Instead of `answers`: a handler of aiohttp."""
        self.open_requests = 0
        self._watchers: list[Callable[[Any], None]] = []
        self._connections: set[Any] = set()
        self._ssl = ssl
        self._came = asyncio.Event()

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/{path:.*}", self._take)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._ssl)
        await site.start()
        assert site._server is not None
        self.port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
        self.url = f"http{'s' if self._ssl else ''}://127.0.0.1:{self.port}/hook"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    def watch(self, told: Callable[[Any], None]) -> None:
        """Tell of each new connection over which a request came."""
        self._watchers.append(told)

    async def _take(self, request: web.Request) -> web.StreamResponse:
        if request.transport not in self._connections:
            self._connections.add(request.transport)
            for told in self._watchers:
                told(request.transport)
        self.open_requests += 1
        try:
            return await (self.handler or self._answer)(request)
        finally:
            self.open_requests -= 1

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        n = len(self.got)
        self.got.append((dict(request.headers), body))
        self._came.set()
        answer = self.answers(n)
        if asyncio.iscoroutine(answer):
            answer = await answer
        return web.Response(status=answer) if isinstance(answer, int) else answer

    @property
    def payloads(self) -> list[dict[str, Any]]:
        return [msgspec.json.decode(body) for _, body in self.got]

    @property
    def seqs(self) -> list[int]:
        """The seq of each request, repeats included."""
        return [payload["seq"] for payload in self.payloads]

    async def until(self, condition: Callable[[], Any], what: str = "that", within_s: float = 20) -> None:
        """Wait for a condition, looked at with each request and now and then."""
        end = asyncio.get_running_loop().time() + within_s
        while not condition():
            assert asyncio.get_running_loop().time() < end, f"no {what}: {self.payloads[-3:]}"
            self._came.clear()
            try:
                async with asyncio.timeout(0.05):
                    await self._came.wait()
            except TimeoutError:
                continue
