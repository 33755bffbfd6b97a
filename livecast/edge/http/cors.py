"""Pages of other origins (CORS, the Fetch standard): who may read `/v1`, and what they may send."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from livecast.edge.node import Node

#: What pages may read of an answer besides its body.
EXPOSED: Final = "ETag, Idempotency-Replayed, Retry-After, X-Request-Id"
#: What pages may send.
SENT: Final = "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Last-Event-ID, X-Request-Id"
#: How long a browser may remember that it may. Two hours is what browsers cap it at.
REMEMBERED_S: Final = 7200


def cors_headers(node: Node, request: web.Request) -> dict[str, str]:
    """What to add to an answer under `/v1`. `*` only where any origin may; credentials of the browser (cookies) never count."""
    if not request.path.startswith("/v1/"):
        return {}
    if "*" in node.rules.origins:
        return {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": EXPOSED}
    origin = request.headers.get("Origin")
    if origin is None or not node.admission.origin_allowed(origin, request.host):
        return {"Vary": "Origin"}
    return {"Access-Control-Allow-Origin": origin, "Access-Control-Expose-Headers": EXPOSED, "Vary": "Origin"}


def preflight(node: Node, request: web.Request, allowed: str) -> web.Response:
    """The answer to OPTIONS: which methods this path knows, and to an allowed page's preflight what it may send."""
    headers = {"Allow": allowed}
    if "Access-Control-Request-Method" in request.headers and "Access-Control-Allow-Origin" in cors_headers(node, request):
        headers |= {
            "Access-Control-Allow-Methods": allowed,
            "Access-Control-Allow-Headers": SENT,
            "Access-Control-Max-Age": str(REMEMBERED_S),
        }
    return web.Response(status=204, headers=headers)
