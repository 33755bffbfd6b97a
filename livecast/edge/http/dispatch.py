"""From a row of the table of routes to a handler of aiohttp.

In this order: who (401), may they do this (403) here (403), path (404), size and form of the body (413, 415), the
`Idempotency-Key`, then the body's and the query's content (400, 422), then the handler.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import msgspec
from aiohttp import web
from msgspec import Struct

from livecast.edge.access.callers import SCOPES_OF_ROLE, caller_of, check_room, check_scope, room_now
from livecast.edge.http.bodies import check_names, convert, parse, read_body
from livecast.edge.http.calls import Call, Outcome, Route
from livecast.edge.http.conditions import etag, none_match
from livecast.edge.http.idempotency import key_of, once
from livecast.edge.http.problems import Fault, ProblemError, problem_response
from livecast.edge.node import Node
from livecast.edge.rooms.backstage import is_moderator
from livecast.ports import IdempotencyStore, StoreError

ROOM_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
USER_ID: Final = re.compile(r"[\x21-\x2e\x30-\x7e]{1,128}")
_SEGMENT: Final = re.compile(r"{(\w+)}")
#: Where the request's id is kept on the request.
REQUEST_ID: Final = web.RequestKey("request_id", str)


def add_routes(app: web.Application, node: Node, store: IdempotencyStore, routes: Sequence[Route]) -> None:
    """Serve every row of the table; GET rows answer HEAD too."""
    for route in routes:
        handler = endpoint(node, store, route)
        # A viewer's gift has the id USER/CID: it spans two segments, and a CID is any text, line ends and all.
        path = route.path.replace("{tx}", r"{tx:[\s\S]+}")
        path = _SEGMENT.sub(r"{\1:[^/]+}", path)  # by itself the router takes no braces, which ids of users may have
        app.router.add_route(route.method, path, handler)
        if route.method == "GET":
            app.router.add_route("HEAD", path, handler)


def endpoint(node: Node, store: IdempotencyStore, route: Route) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """The aiohttp handler of one route."""

    async def handle(request: web.Request) -> web.StreamResponse:
        caller = await caller_of(node, request)
        call = Call(node, request, caller, request[REQUEST_ID])
        await _admit(call, route)
        body = await read_body(request, node.rules.body_deadline_ms) if route.method != "GET" and route.form != "lines" else b""

        async def answer() -> web.StreamResponse:
            try:
                call.query = _query(request, route.query) if route.query else None
                call.body = _body(body, route)
                outcome = await route.handler(call)
                if outcome.stream is None:
                    return respond(request, outcome)
                return await stream(request, outcome, outcome.content_type or route.content_type)
            except ProblemError as problem:
                return problem_response(problem, call.request_id)

        if route.method in {"POST", "PATCH"} and (key := key_of(request, caller.account)):
            return await once(store, node.observer, key, body, answer)
        return await answer()

    return handle


def respond(request: web.Request, outcome: Outcome) -> web.Response:
    """An outcome as a response. A GET whose entity tag the caller has already is answered 304."""
    headers = {"Cache-Control": "no-store", **outcome.headers}
    if outcome.revision is not None:
        headers["ETag"] = etag(outcome.revision)
        # `no-cache`: keep it, but ask with If-None-Match each time.
        headers["Cache-Control"] = "private, no-cache"
        if request.method in {"GET", "HEAD"} and none_match(request, headers["ETag"]):
            return web.Response(status=304, headers=headers)
    body = msgspec.json.encode(outcome.value)
    return web.Response(body=body, status=outcome.status, content_type="application/json", headers=headers)


async def stream(request: web.Request, outcome: Outcome, content_type: str) -> web.StreamResponse:
    """An outcome that is sent piece by piece. If it breaks off, so does the connection: nobody takes a part for the whole."""
    response = web.StreamResponse(status=outcome.status, headers={"Cache-Control": "no-store", **outcome.headers})
    response.content_type, response.charset = content_type, "utf-8"
    await response.prepare(request)
    if outcome.stream is None or request.method == "HEAD":
        return response
    try:
        async for piece in outcome.stream:
            await response.write(piece)
    except StoreError as fault:
        if request.transport is not None:
            request.transport.abort()
        raise ConnectionAbortedError(str(fault)) from fault
    return response


async def _admit(call: Call, route: Route) -> None:
    """May this caller do this, and here?"""
    caller = call.caller
    if route.scopes:
        if not await _appointed(call, route):
            check_scope(caller, *route.scopes)
    elif caller.identity is None:
        raise ProblemError("forbidden", "This is for people with a token of their own; an API key is nobody in a room.")
    if "user" in call.request.match_info and not USER_ID.fullmatch(call.path("user")):
        raise ProblemError("not_found", "No user has such an id.")
    if "room" not in call.request.match_info:
        return
    check_room(caller, call.room)
    if not ROOM_ID.fullmatch(call.room):
        if route.makes_room:
            detail = "A room's id is 1 to 64 of A-Z a-z 0-9 _ -."
            raise ProblemError("invalid", detail, errors=[Fault("room", detail)])
        raise ProblemError("unknown_room")
    if route.scopes and caller.identity is not None and caller.person.role not in {"host", "merchant"}:
        await _check_not_banned(call)
    if caller.merchant and not route.makes_room and await room_now(call.node, caller, call.room) is None:
        raise ProblemError("unknown_room")


async def _check_not_banned(call: Call) -> None:
    """A moderator whom the room bans decides nothing in it any more; hosts and merchants are nobody's to ban from their desk."""
    try:
        hub = await call.node.views.get(call.room)
    except StoreError:
        raise ProblemError("unavailable", "The room cannot be read just now.") from None
    if hub is not None and hub.banned(call.caller.id):
        raise ProblemError("forbidden", "You are banned from this room.")


async def _appointed(call: Call, route: Route) -> bool:
    """Whether the caller has none of the scopes, but the room made them a moderator, who has one of these there."""
    caller, room = call.caller, call.room
    if caller.identity is None or not caller.scopes.isdisjoint(route.scopes):
        return False
    if SCOPES_OF_ROLE["moderator"].isdisjoint(route.scopes) or not (ROOM_ID.fullmatch(room) and caller.covers(room)):
        return False
    known = await room_now(call.node, caller, room)
    return known is not None and is_moderator(known.get("moderators"), caller.person)


def _body(raw: bytes, route: Route) -> Any:
    if route.form == "message":
        return raw
    if route.form == "free":
        return parse(raw)
    if route.form == "lines":
        return None
    if route.body is None:
        if raw.strip() not in {b"", b"{}"}:
            raise ProblemError("invalid", "This call takes no body.")
        return None
    value = parse(raw)
    if route.form == "fields":
        return convert(value, route.body)
    check_names(value, route.body)
    return value


def _query(request: web.Request, shape: type[Struct]) -> Any:
    """The query as a `shape`; numbers are read from text. Parameters that nobody knows are ignored, as proxies add some."""
    known = set(shape.__struct_encode_fields__)
    given = {name: value for name, value in request.query.items() if name in known}
    if repeated := [name for name in given if len(request.query.getall(name)) > 1]:
        raise ProblemError("invalid", "A parameter is given twice.", errors=[Fault(f"?{repeated[0]}", "Give it once.")])
    try:
        return msgspec.convert(given, shape, strict=False)
    except msgspec.ValidationError as fault:
        name = re.search(r"\$\.(\w+)", str(fault))
        where = f"?{name[1]}" if name else "?"
        detail = str(fault).partition(" - at ")[0].replace("`", "")
        raise ProblemError("invalid", "A parameter is not what it should be.", errors=[Fault(where, detail)]) from None
