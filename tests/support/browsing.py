"""A room of a real node, seen by people in real browsers. Whatever a page does wrong is written down in `faults`."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

from playwright.async_api import Browser, ConsoleMessage, Page

from livecast.web import build
from support.node import DEV_KEY, NodeProcess, token

#: What browsers say of a connection that a test cuts, and of a busy machine.
EXPECTED = ("ERR_CONNECTION_REFUSED", "ERR_CONNECTION_RESET", "WebSocket connection to", "status of 503")
#: Before anything else of a page runs: write down what it is refused by its policy.
WATCH_POLICY = """
addEventListener('securitypolicyviolation', e => console.error('POLICY', e.violatedDirective, e.blockedURI));
"""
WITHIN_MS = 40_000
#: The smallest that is no telephone: half of what a page costs is painting it.
DESKTOP = (960, 640)
#: What axe-core finds serious in part of a page; of all its rules, or of some.
AXE = """([within, rules]) => axe.run(within, rules ? {runOnly: rules} : {}).then(
  found => found.violations.filter(v => ['serious', 'critical'].includes(v.impact))
    .map(v => [v.id, ...v.nodes.map(n => n.html)]))"""


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
        return self._ask(method, path, body, {**DEV_KEY, "Idempotency-Key": f"{self.room}-{next(self._numbers)}"})

    async def comes(self, path: str, holds: Callable[[Any], bool]) -> None:
        """Wait until what the control plane says of this room `holds`: a page may show a step before the node has done it."""
        deadline = time.monotonic() + WITHIN_MS / 1000
        while not holds(found := await asyncio.to_thread(self.call, "GET", path)):
            assert time.monotonic() < deadline, f"{path} stays {found}"

    def say(self, sub: str, message: dict[str, Any], *, name: str = "") -> dict[str, Any]:
        """A client message of somebody without a browser."""
        said: dict[str, Any] = self._ask("POST", "/messages", message, {"Authorization": f"Bearer {token(sub, name=name or sub)}"})
        return said

    def credit(self, sub: str, amount: int) -> None:
        """Coins for somebody."""
        tx = f"{self.room}-{next(self._numbers)}"
        self._ask("POST", f"/v1/wallets/{sub}/credits", {"tx": tx, "amount": amount}, DEV_KEY)

    def _ask(self, method: str, path: str, body: object, headers: dict[str, str]) -> Any:
        """The answer; asked again while it is `unavailable`, which on a busy machine it may be for a moment."""
        data = None if body is None else json.dumps(body).encode()
        url = self.node.base + (path if path.startswith("/v1/") else f"/v1/rooms/{self.room}{path}")
        request = urllib.request.Request(url, data, {"Content-Type": "application/json", **headers}, method=method)
        for attempt in itertools.count():
            try:
                with urllib.request.urlopen(request, timeout=30) as answer:
                    return json.load(answer)
            except urllib.error.HTTPError as refused:
                if refused.code != 503 or attempt == 5:
                    raise AssertionError(f"{method} {path}: {refused.code} {refused.read().decode()}") from None
        raise AssertionError

    async def watch(
        self,
        sub: str | None = None,
        *,
        name: str = "",
        lang: str = "en",
        size: tuple[int, int] = DESKTOP,
        dark: bool = False,
        moves: bool = False,
        base: str = "",
        query: str = "",
        ttl_s: float = 3600,
    ) -> Page:
        """Somebody opens the room's page, signed in as `sub` or as a guest; over another way to the node if `base` says so."""
        page = await self.page(lang=lang, size=size, dark=dark, moves=moves)
        signed = f"#token={token(sub, ttl_s=ttl_s, name=name or sub)}" if sub else ""
        await page.goto(f"{base or self.node.base}/r/{self.room}{query}{signed}")
        await page.locator(".status.live").wait_for()
        return page

    async def run(self, sub: str = "lin", *, role: str = "host", name: str = "", **how: Any) -> Page:
        """Somebody of the staff opens the room's console; `how` as for `page`."""
        page = await self.page(**{"size": (1440, 900), **how})
        signed = token(sub, name=name or sub.title(), role=role, rooms=[self.room])
        await page.goto(f"{self.node.base}/host/{self.room}#token={signed}")
        await page.locator(".console").wait_for()
        return page

    async def page(self, *, lang: str = "en", size: tuple[int, int] = DESKTOP, dark: bool = False, moves: bool = False) -> Page:
        """An empty page of somebody's own, whose faults are written down.

        Unless it `moves`, they asked their system for less motion: no comments fly, and it costs less CPU.
        """
        width, height = size
        context = await self._browser.new_context(
            viewport={"width": width, "height": height},
            locale=lang,
            color_scheme="dark" if dark else "light",
            reduced_motion="no-preference" if moves else "reduce",
        )
        page = await context.new_page()
        page.set_default_timeout(WITHIN_MS)
        await page.add_init_script(WATCH_POLICY)
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        return page

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not any(known in message.text for known in EXPECTED):
            self.faults.append(message.text)


async def until(page: Page, holds: str) -> None:
    """Wait until a script says yes. (Playwright's own way is refused by the policy of the pages.)"""
    for _ in range(WITHIN_MS // 50):
        if await page.evaluate(holds):
            return
        await page.wait_for_timeout(50)
    raise AssertionError(f"never: {holds}")


async def serious(page: Page, within: str = "html") -> list[object]:
    """What axe-core holds against (part of) a page as it is now: by day, and by night what differs then, which is the contrast."""
    if await page.evaluate("window.axe === undefined"):
        await page.evaluate((build.MODULES / "axe-core" / "axe.min.js").read_text(encoding="utf-8") + ";0")
    found: list[object] = await page.evaluate(AXE, [within, None])
    await page.emulate_media(color_scheme="dark")
    found += await page.evaluate(AXE, [within, ["color-contrast"]])
    await page.emulate_media(color_scheme="light")
    return found
