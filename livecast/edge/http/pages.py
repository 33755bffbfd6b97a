"""The pages that people look at, and the client SDK: files made by `livecast/web/build.py`, served from memory.

Every file has an entity tag and a compressed twin. What has its content's digest in its name may be kept for a year; a page is
asked for again each time, and answered with 304. The policy of the pages allows what comes from this node and nothing else.
"""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
from collections.abc import Iterable
from functools import cache, partial
from pathlib import Path
from typing import Final

from aiohttp import web
from msgspec import Struct

import livecast
from livecast.edge.http.conditions import none_match
from livecast.edge.http.problems import ProblemError
from livecast.edge.node import Node
from livecast.edge.rules import EdgeRules

DIST: Final = Path(livecast.__file__).parent / "web" / "dist"
#: Addresses of pages, and the folders they are built from. A page finds out by itself whether there is such a room.
PAGES: Final = {
    "/": "entry",
    "/r/{room}": "viewer",
    "/host/{room}": "host",
    "/merchant": "merchant",
    "/receipt": "receipt",
    "/overlay/{room}": "overlay",
}
#: Names with a digest: another content is another name.
FOREVER: Final = "public, max-age=31536000, immutable"
#: Pages, whose names stay: the entity tag says whether they are new.
ASK_AGAIN: Final = "no-cache"
#: The SDK, which other sites' pages load too.
SHORTLY: Final = "public, max-age=300"
_TEXT: Final = {".html", ".js", ".css", ".svg", ".json", ".map"}


def policy(media: Iterable[str] = ()) -> str:
    """What pages may load: everything from here, and pictures and streams from the origins `media` as well.

    Nothing runs or is styled from inside of HTML, and nobody frames us.
    """
    beside = "".join(f" {origin}" for origin in media)
    return (
        f"default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self'{beside}; "
        f"media-src 'self' blob:{beside}; connect-src 'self'{beside}; manifest-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'; require-trusted-types-for 'script'"
    )


class File(Struct, frozen=True):
    """One file, as it is and compressed (empty where that is no gain)."""

    body: bytes
    compressed: bytes
    content_type: str
    tag: str


class Pages:
    """The files of one node, read when it starts: what is built meanwhile is served after the next start."""

    def __init__(self, node: Node, dist: Path = DIST) -> None:
        files = (path for path in sorted(dist.rglob("*")) if path.is_file())
        self._files = {path.relative_to(dist).as_posix(): _read(path, node.rules) for path in files}
        self._policy = policy(node.rules.media)

    def add_to(self, app: web.Application) -> None:
        """Serve them."""
        for address, name in PAGES.items():
            app.router.add_get(address, partial(self.page, name))
        app.router.add_get("/assets/{name}", self.asset)
        app.router.add_get("/sdk/livecast.js", self.sdk)

    async def page(self, name: str, request: web.Request) -> web.Response:
        """One of the pages."""
        return self._answer(request, f"{name}/index.html", ASK_AGAIN)

    async def asset(self, request: web.Request) -> web.Response:
        """Scripts and styles of the pages."""
        return self._answer(request, f"assets/{request.match_info['name']}", FOREVER)

    async def sdk(self, request: web.Request) -> web.Response:
        """The client as one file. Anybody's page may load it."""
        response = self._answer(request, "sdk/livecast.js", SHORTLY)
        response.headers["Access-Control-Allow-Origin"] = "*"
        return response

    def _answer(self, request: web.Request, name: str, keep: str) -> web.Response:
        file = self._files.get(name)
        if file is None:
            missing = "There is no such file." if self._files else "The pages are not built: python livecast/web/build.py"
            raise ProblemError("not_found", missing)
        headers = {"Cache-Control": keep, "ETag": file.tag, "Vary": "Accept-Encoding"}
        if file.content_type == "text/html":
            headers["Content-Security-Policy"] = self._policy
        if none_match(request, file.tag):
            return web.Response(status=304, headers=headers)
        body = file.body
        if file.compressed and "gzip" in request.headers.get("Accept-Encoding", ""):
            body, headers["Content-Encoding"] = file.compressed, "gzip"
        charset = "utf-8" if file.content_type.startswith("text/") else None
        return web.Response(body=body, content_type=file.content_type, charset=charset, headers=headers)


@cache  # 70 ms for all files: where one process has many nodes after each other, as in tests, it is done once
def _compressed(body: bytes) -> bytes:
    return gzip.compress(body, 9, mtime=0)


def _read(path: Path, rules: EdgeRules) -> File:
    body = path.read_bytes()
    if path.suffix == ".html":  # pages may offer what works in development alone, and know what their policy lets them load
        dev = b'data-dev="true" ' if rules.dev else b""
        body = body.replace(b"<html ", b'<html %sdata-media="%s" ' % (dev, " ".join(rules.media).encode()), 1)
    compressed = _compressed(body) if path.suffix in _TEXT else b""
    known = {".js": "text/javascript", ".html": "text/html"}.get(path.suffix) or mimetypes.guess_type(path.name)[0]
    return File(
        body=body,
        compressed=compressed if len(compressed) < len(body) else b"",
        content_type=known or "application/octet-stream",
        tag=f'"{hashlib.blake2b(body, digest_size=9).hexdigest()}"',
    )
