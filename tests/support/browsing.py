"""A room of a real node, seen by people in real browsers. Whatever a page does wrong is written down in `faults`."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import urllib.request
from typing import Any

from playwright.async_api import Browser, ConsoleMessage, Page

from support.node import DEV_KEY, NodeProcess, token

#: What browsers say of a connection that a test cuts.
EXPECTED = ("ERR_CONNECTION_REFUSED", "ERR_CONNECTION_RESET", "WebSocket connection to")
#: Before anything else of a page runs: write down what it is refused by its policy.
WATCH_POLICY = """
addEventListener('securitypolicyviolation', e => console.error('POLICY', e.violatedDirective, e.blockedURI));
"""
WITHIN_MS = 15_000


class Cable:
    """The way from a browser to a node, for a test to cut. (A browser's own offline mode leaves open sockets alone.)"""

    def __init__(self, node: NodeProcess) -> None:
        self._port = int(node.base.rsplit(":", 1)[1])
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._at = 0

    @property
    def base(self) -> str:
        """The node's address at this end."""
        return f"http://127.0.0.1:{self._at}"

    async def plug(self) -> None:
        """Connect it, to the same port as before."""
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", self._at)
        self._at = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """Every connection is gone, and there are no new ones."""
        if self._server is not None:
            self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        beyond, there = await asyncio.open_connection("127.0.0.1", self._port)
        await asyncio.gather(self._pipe(reader, there), self._pipe(beyond, writer))

    async def _pipe(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        self._writers.discard(writer)
        writer.close()


class Stage:
    """One room on the node, seen by people in browsers and managed over HTTP."""

    _numbers = itertools.count(1)

    def __init__(self, node: NodeProcess, browser: Browser) -> None:
        self.node, self._browser = node, browser
        self.room = f"b{next(self._numbers)}"
        self.faults: list[str] = []
        self.call("PUT", "", {"title": "Tea 茶"})
        self.call("POST", "/start", {})

    def call(self, method: str, path: str, body: object = None) -> Any:
        """Ask the control plane about this room."""
        url = f"{self.node.base}/v1/rooms/{self.room}{path}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data, {**DEV_KEY, "Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)

    def say(self, sub: str, message: dict[str, Any]) -> dict[str, Any]:
        """A client message of somebody without a browser."""
        url = f"{self.node.base}/v1/rooms/{self.room}/messages"
        headers = {"Authorization": f"Bearer {token(sub, name=sub)}", "Content-Type": "application/json"}
        request = urllib.request.Request(url, json.dumps(message).encode(), headers, method="POST")
        with urllib.request.urlopen(request, timeout=20) as answer:
            said: dict[str, Any] = json.load(answer)
            return said

    async def watch(
        self,
        sub: str | None = None,
        *,
        name: str = "",
        lang: str = "en",
        size: tuple[int, int] = (1200, 760),
        dark: bool = False,
        base: str = "",
    ) -> Page:
        """Somebody opens the room's page, signed in as `sub` or as a guest; over another way to the node if `base` says so."""
        width, height = size
        context = await self._browser.new_context(
            viewport={"width": width, "height": height}, locale=lang, color_scheme="dark" if dark else "light"
        )
        page = await context.new_page()
        page.set_default_timeout(WITHIN_MS)
        await page.add_init_script(WATCH_POLICY)
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        signed = f"#token={token(sub, name=name or sub)}" if sub else ""
        await page.goto(f"{base or self.node.base}/r/{self.room}{signed}")
        await page.locator(".status.live").wait_for()
        return page

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not any(known in message.text for known in EXPECTED):
            self.faults.append(message.text)
