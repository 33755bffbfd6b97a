"""For those who run it: is it alive, is it ready, its figures, and the public keys of what it signs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
from aiohttp import web
from msgspec import Struct

from livecast.edge.access.callers import caller_of, check_scope
from livecast.edge.node import Node
from livecast.ledger import LedgerClosed
from livecast.ports import StoreError

#: How long the store of rooms has to answer a look before the node calls itself degraded.
PROBE_S: Final = 0.5
#: How long one look counts: probes of a dozen load balancers cost the store one call a second.
PROBED_MS: Final = 1000


#: A wallet that no user has: ids hold no slash.
NOBODYS_WALLET: Final = "/"


class Readiness(Struct, frozen=True, omit_defaults=True):
    """Whether to send callers here."""

    status: str
    """`ok`, `degraded` (both 200), `starting`, `draining` or `stuck` (all 503)."""
    degraded: tuple[str, ...] = ()
    """What does not work fully, in words for an operator."""


class MetricsPage(Struct, frozen=True):
    """How the figures are shown on this port: `render` gives them in Prometheus' text format."""

    render: Callable[[], Awaitable[bytes]]
    open_to_all: bool = False
    """Without a key; else one with `reports:read` is needed."""


class Health:
    """Whether this node is ready, asked of the node itself and of its store."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._seen = Readiness("ok")
        self._seen_at = -PROBED_MS

    async def __call__(self) -> Readiness:
        """The readiness now; a look at the store is shared for a second."""
        if self._node.draining:
            return Readiness("draining")
        now = self._node.clock()
        if now - self._seen_at >= PROBED_MS:
            self._seen_at = now
            self._seen = await self._look()
        return self._seen

    async def _look(self) -> Readiness:
        looks = [self._rooms(), self._ledger(), self._archive()]
        degraded = tuple(said for said in await asyncio.gather(*looks) if said)
        return Readiness("degraded", degraded) if degraded else Readiness("ok")

    async def _rooms(self) -> str:
        try:
            async with asyncio.timeout(PROBE_S):
                await self._node.log.rooms("", 1)
        except (StoreError, TimeoutError):
            return "the store of rooms does not answer: comments and changes are refused"
        return ""

    async def _ledger(self) -> str:
        if self._node.money is None:
            return ""
        try:
            async with asyncio.timeout(PROBE_S):
                await self._node.money.ledger.wallet(NOBODYS_WALLET)
        except LedgerClosed as closed:
            return f"money is closed: {closed}"
        except (StoreError, TimeoutError):
            return "the ledger does not answer: claims, gifts and wallets are refused"
        why = self._node.money.closed()
        return f"money is closed {why}" if why else ""

    async def _archive(self) -> str:
        if self._node.archive is None:
            return ""
        try:
            async with asyncio.timeout(PROBE_S):
                await self._node.archive.broadcast("", "")
        except (StoreError, TimeoutError):
            return "the archive does not answer: reports and replays are refused, all else goes on and is archived later"
        return ""


def add_health(
    app: web.Application, node: Node, metrics: MetricsPage | None, readiness: Callable[[], Awaitable[Readiness]] | None
) -> None:
    """Serve `/healthz`, `/readyz`, `/metrics` and `/.well-known/jwks.json`."""
    ready = readiness or Health(node)

    async def healthz(_request: web.Request) -> web.Response:
        return _json({"status": "ok"})

    async def readyz(_request: web.Request) -> web.Response:
        now = await ready()
        return _json(now, 200 if now.status in {"ok", "degraded"} else 503)

    async def figures(request: web.Request) -> web.Response:
        if metrics is None:
            raise web.HTTPNotFound
        if not metrics.open_to_all:
            check_scope(await caller_of(node, request), "reports:read")
        headers = {"Content-Type": "text/plain; version=0.0.4; charset=utf-8", "Cache-Control": "no-store"}
        return web.Response(body=await metrics.render(), headers=headers)

    async def jwks(_request: web.Request) -> web.Response:
        keys = {"keys": []} if node.money is None else node.money.jwks()
        headers = {"Cache-Control": "public, max-age=300"}
        return web.Response(body=msgspec.json.encode(keys), content_type="application/jwk-set+json", headers=headers)

    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", figures)
    app.router.add_get("/.well-known/jwks.json", jwks)


def _json(value: object, status: int = 200) -> web.Response:
    headers = {"Cache-Control": "no-store", **({"Retry-After": "1"} if status == 503 else {})}
    return web.Response(body=msgspec.json.encode(value), status=status, content_type="application/json", headers=headers)
