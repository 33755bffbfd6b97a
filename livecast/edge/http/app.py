"""Everything that is not a WebSocket: the aiohttp application, and what holds for all of its answers.

From the outside in: a request id, no exception ever shown, security headers, CORS; then the handlers.
"""

from __future__ import annotations

import secrets
import traceback
from collections.abc import Awaitable, Callable
from functools import cache
from typing import Final

import msgspec
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from livecast import __version__
from livecast.edge.access.callers import caller_of
from livecast.edge.api import (
    audit,
    backstage,
    caller,
    chat,
    claims,
    drops,
    exports,
    facts,
    filters,
    gifts,
    messages,
    moderation,
    orders,
    people,
    polls,
    products,
    reports,
    rooms,
    tokens,
    users,
    wallets,
    webhooks,
)
from livecast.edge.api.docs import page
from livecast.edge.api.draws import DrawFiles
from livecast.edge.api.openapi import STREAMS_AND_FILES, document
from livecast.edge.door.plain import add_plain
from livecast.edge.http.bodies import BODY_BYTES_MAX
from livecast.edge.http.connection import CODE_OF_STATUS, SECURITY_HEADERS, SERVER, request_id_of
from livecast.edge.http.cors import cors_headers, preflight
from livecast.edge.http.dispatch import REQUEST_ID, add_routes
from livecast.edge.http.health import MetricsPage, Readiness, add_health
from livecast.edge.http.pages import Pages
from livecast.edge.http.problems import ProblemError, problem_response
from livecast.edge.node import Node
from livecast.edge.viewers.frames import FrameFiles
from livecast.edge.viewers.sse import EventStreams
from livecast.facts import Served, Trouble
from livecast.ports import IdempotencyStore, StoreError

#: The control plane: one table, from which come router, checks and description.
ROUTES: Final = (
    *rooms.ROUTES,
    *chat.ROUTES,
    *messages.ROUTES,
    *moderation.ROUTES,
    *backstage.ROUTES,
    *people.ROUTES,
    *audit.ROUTES,
    *filters.ROUTES,
    *users.ROUTES,
    *polls.ROUTES,
    *products.ROUTES,
    *tokens.ROUTES,
    *caller.ROUTES,
    *drops.ROUTES,
    *claims.ROUTES,
    *facts.ROUTES,
    *gifts.ROUTES,
    *orders.ROUTES,
    *wallets.ROUTES,
    *webhooks.ROUTES,
    *reports.ROUTES,
    *exports.ROUTES,
)

#: The description page has one style sheet of its own and nothing else.
DOCS_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"


def build_app(
    node: Node,
    *,
    idempotency: IdempotencyStore,
    metrics: MetricsPage | None = None,
    readiness: Callable[[], Awaitable[Readiness]] | None = None,
) -> web.Application:
    """The application of one node, served over connections of `livecast.edge.http.connection`. Observers hear of every request."""
    app = web.Application(client_max_size=BODY_BYTES_MAX, middlewares=[_envelope(node)])
    app.on_response_prepare.append(_headers(node))
    add_routes(app, node, idempotency, ROUTES)
    EventStreams(node).add_to(app)
    FrameFiles(node).add_to(app)
    DrawFiles(node).add_to(app)
    add_plain(app, node)
    gifts.add_catalogue(app, node)
    add_health(app, node, metrics, readiness)
    _add_description(app)
    Pages(node).add_to(app)
    return app


def _envelope(node: Node) -> Middleware:
    """The outermost middleware: whatever happens inside becomes a response with a request id."""

    @web.middleware
    async def envelope(request: web.Request, handler: Handler) -> web.StreamResponse:
        began = node.clock()
        request_id = request[REQUEST_ID] = request_id_of(request)
        status = 500
        try:
            response = await _answered(node, request, handler, request_id)
            status = response.status
        finally:
            resource = request.match_info.route.resource
            route = resource.canonical if resource is not None else "-"
            node.observer.observe(Served(request.method, route, request.path, status, node.clock() - began, request_id))
        return response

    return envelope


async def _answered(node: Node, request: web.Request, handler: Handler, request_id: str) -> web.StreamResponse:
    allowed = _allowed(request)
    if request.method == hdrs.METH_OPTIONS and allowed:
        return preflight(node, request, allowed)
    try:
        if request.match_info.http_exception is not None and request.path.startswith("/v1/"):
            await caller_of(node, request)  # whom we do not know learns nothing of what there is
        return await handler(request)
    except ProblemError as problem:
        return problem_response(problem, request_id)
    except StoreError as fault:
        return problem_response(ProblemError("unavailable", str(fault)), request_id)
    except web.HTTPException as known:
        return problem_response(_problem_of(known, allowed), request_id)
    except ConnectionError:
        raise  # the caller has gone: there is nobody to answer
    except Exception as fault:  # noqa: BLE001 - whatever it is, the caller gets an answer and the operator the details
        where = "".join(traceback.format_exception(fault))[-4000:]
        node.observer.observe(
            Trouble(
                what=f"a request failed: {type(fault).__name__}",
                about=f"{request.method} {request.path} ({request_id})",
                advice=f"This is a fault of livecast's own; report it with these lines:\n{where}",
                level="error",
            )
        )
        return problem_response(ProblemError("internal"), request_id)


def _allowed(request: web.Request) -> str:
    """The methods this path knows, as `Allow` says it; empty if there is no such path."""
    fault = request.match_info.http_exception
    if isinstance(fault, web.HTTPMethodNotAllowed):
        return ", ".join(sorted({*fault.allowed_methods, hdrs.METH_OPTIONS}))
    return ""


def _problem_of(known: web.HTTPException, allowed: str) -> ProblemError:
    headers = {"Allow": allowed} if allowed else {}
    return ProblemError(CODE_OF_STATUS.get(known.status, "internal"), headers=headers)


def _headers(node: Node) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    async def add(request: web.Request, response: web.StreamResponse) -> None:
        response.headers["X-Request-Id"] = request.get(REQUEST_ID) or secrets.token_hex(8)
        for name, value in SECURITY_HEADERS.items():
            response.headers.setdefault(name, value)
        response.headers.update(cors_headers(node, request))
        response.headers["Server"] = SERVER

    return add


def _add_description(app: web.Application) -> None:
    async def openapi(_request: web.Request) -> web.Response:
        as_json, _ = _description()
        return web.Response(body=as_json, content_type="application/json", headers={"Cache-Control": "public, max-age=300"})

    async def docs(_request: web.Request) -> web.Response:
        _, as_page = _description()
        headers = {"Cache-Control": "public, max-age=300", "Content-Security-Policy": DOCS_POLICY}
        return web.Response(body=as_page, content_type="text/html", charset="utf-8", headers=headers)

    app.router.add_get("/openapi.json", openapi)
    app.router.add_get("/docs", docs)


@cache
def _description() -> tuple[bytes, bytes]:
    """The description for programs and for people; the routes do not change while we run."""
    described = document(ROUTES, STREAMS_AND_FILES, __version__)
    return msgspec.json.encode(described), page(described).encode()
