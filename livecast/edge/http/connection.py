"""One HTTP connection: aiohttp's protocol, but for what it says to bytes that are no request, and what it writes into the log.

Left to itself it would name its own version to strangers, and log a traceback for each of their mistakes.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Callable
from typing import Final

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong

from livecast.edge.http.dispatch import REQUEST_ID
from livecast.edge.http.problems import HTTP_CODES, ProblemError, problem_response
from livecast.edge.node import Node
from livecast.facts import Refused

#: On every answer. Nothing that we serve is a page, but for the description, which has a policy of its own.
SECURITY_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
SERVER: Final = "livecast"
#: The error code for a status that aiohttp decided on.
CODE_OF_STATUS: Final = {status: code for code, (status, _) in HTTP_CODES.items()} | {
    400: "bad_message", 403: "forbidden", 404: "not_found", 413: "too_large",
}  # fmt: skip
#: A request id that we take over from a caller or proxy; any other is replaced by our own.
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")


def request_id_of(request: web.BaseRequest) -> str:
    """The id that a request gave itself; else one of our own."""
    given = request.headers.get("X-Request-Id", "")
    return given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)


class HttpConnection(web.RequestHandler):
    """What the front door hands everything to that is no WebSocket."""

    __slots__ = ("_node",)

    def __init__(self, node: Node, server: web.Server) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type] # no log
            keepalive_timeout=node.rules.http_idle_ms / 1000,
            lingering_time=node.rules.close_deadline_ms / 1000,  # for what is unread of a body behind its answer
            auto_decompress=False,  # we take none that is encoded, and what claims to be so may be anything
        )
        self._node = node

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Say the answer. What aiohttp refuses by itself before it asks the application (an `Expect` that it does not know) is a
        problem like all others.
        """
        if isinstance(resp, web.HTTPException):
            self._node.observer.observe(Refused("http", "bad_message"))
            request_id = request[REQUEST_ID] = request_id_of(request)
            resp = problem_response(ProblemError(CODE_OF_STATUS.get(resp.status, "internal")), request_id)
        return await super().finish_response(request, resp, start_time)

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """Answer bytes that are no request (4xx), or a fault that got past the application (500). The connection ends."""
        if isinstance(exc, ConnectionError):
            raise exc  # the caller has gone, maybe in the midst of a body: that is ordinary, and there is nobody to answer
        if request.writer.output_size > 0:
            raise ConnectionError("half an answer is said already")
        request_id = secrets.token_hex(8)
        if status < 500:
            self._node.observer.observe(Refused("http", "bad_message"))
            problem = (
                ProblemError("headers_too_large")
                if isinstance(exc, LineTooLong)
                else ProblemError(CODE_OF_STATUS.get(status, "bad_message"), "This is not a well-formed HTTP request.")
            )
        else:
            self._node.trouble("an HTTP connection failed", request_id, exc or RuntimeError(message))
            problem = ProblemError("internal")
        response = problem_response(problem, request_id)
        response.headers.update({**SECURITY_HEADERS, "Server": SERVER, "X-Request-Id": request_id})
        response.force_close()
        return response


def http_connections(node: Node, server: web.Server | None) -> Callable[[], HttpConnection]:
    """What makes a connection's protocol, for the front door. `server` is the runner's, once that is set up."""
    if server is None:
        raise RuntimeError("set the runner up first")
    return lambda: HttpConnection(node, server)
