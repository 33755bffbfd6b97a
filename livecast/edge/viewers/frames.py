"""Frames as files: what a room said, at addresses that never change, so that a CDN or nginx can carry it to any crowd.

A frame is there for as long as the view keeps it (600 frames, three minutes). One of the next few is held until it is
made: the cache in front asks once for everybody, and has the answer when the room speaks.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

import msgspec
from aiohttp import web

from livecast.edge.http.conditions import none_match
from livecast.edge.http.problems import ProblemError
from livecast.edge.node import Node
from livecast.edge.rooms.hub import RoomHub
from livecast.edge.viewers.watching import file_reader_of, hub_of
from livecast.wire.codec import JSON, MSGPACK, Codec

#: Frames ahead of the head that are held for: a second of a busy room, as far as a reader's clock may be off.
AHEAD_MAX: Final = 5
#: How long one is held, in s. Below the 15 s after which impatient proxies give up on an upstream.
HELD_S: Final = 10.0
#: Requests held on one node. Caches coalesce, so this many come only from a flood; more are told 404 at once.
HELD_MAX: Final = 2000
#: Frames in a bundle. Ten are two seconds of a busy room: a CDN reader's delay and his request rate both stay small.
BUNDLE: Final = 10
#: A file does not change (but for redactions, which name what to purge); after 120 s hardly anybody wants it.
KEEP: Final = "public, max-age=120"
#: What changes with the next frame.
BRIEFLY: Final = "public, max-age=1"
#: Where a room asks for a token, no shared cache may keep anything.
NEVER: Final = "private, no-store"

CONTENT_TYPES: Final = {JSON: "application/json", MSGPACK: "application/vnd.msgpack"}
_NAME: Final = re.compile(r"(0|[1-9][0-9]{0,14})(?:\.(json|msgpack))?")


class FrameFiles:
    """The handlers of one node."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._held = 0

    def add_to(self, app: web.Application) -> None:
        """Serve the files."""
        room = "/v1/rooms/{room}"
        app.router.add_get(f"{room}/frames/head", self.head)
        app.router.add_get(f"{room}/frames/{{epoch}}/{{name}}", self.frame)
        app.router.add_get(f"{room}/bundles/{{epoch}}/{{name}}", self.bundle)
        app.router.add_get(f"{room}/snapshot", self.snapshot)

    async def head(self, request: web.Request) -> web.Response:
        """Which frame is the last."""
        hub = await self._hub(request)
        view = hub.view
        body = msgspec.json.encode({"epoch": view.epoch, "seq": view.seq, "tick_ms": view.policy["tick_ms"]})
        return _file(request, hub, body, JSON, BRIEFLY)

    async def snapshot(self, request: web.Request) -> web.Response:
        """What a `welcome` has, but for what is the viewer's own."""
        hub = await self._hub(request)
        return _file(request, hub, hub.snapshot(), JSON, BRIEFLY)

    async def frame(self, request: web.Request) -> web.Response:
        """One frame."""
        hub = await self._hub(request)
        seq, codec = _named(request)
        await self._wait_for(hub, request.match_info["epoch"], seq)
        return _file(request, hub, _body(hub, seq, codec), codec, KEEP)

    async def bundle(self, request: web.Request) -> web.Response:
        """Ten frames in one file, once all are there. (Frame numbers begin with 1, so the first has nine.)"""
        hub = await self._hub(request)
        k, codec = _named(request)
        first, last = max(1, BUNDLE * k), BUNDLE * k + BUNDLE - 1
        await self._wait_for(hub, request.match_info["epoch"], last)
        return _file(request, hub, _array([_body(hub, seq, codec) for seq in range(first, last + 1)], codec), codec, KEEP)

    async def _hub(self, request: web.Request) -> RoomHub:
        room = request.match_info["room"]
        return await hub_of(self._node, room, await file_reader_of(self._node, request, room))

    async def _wait_for(self, hub: RoomHub, epoch: str, seq: int) -> None:
        """Return once frame `seq` was made; 404 if that takes too long, or is not to be expected."""
        if epoch == hub.view.epoch and seq <= hub.view.seq:
            return
        ahead = seq - hub.view.seq
        if epoch == hub.view.epoch and ahead <= AHEAD_MAX and self._held < HELD_MAX:
            self._held += 1
            try:
                if await hub.until(epoch, seq, HELD_S) is not None:
                    return
            finally:
                self._held -= 1
        raise _not_there(hub, epoch)


def _named(request: web.Request) -> tuple[int, Codec]:
    """The number and the form that a file's name asks for."""
    match = _NAME.fullmatch(request.match_info["name"])
    if match is None:
        raise ProblemError("not_found", "A file is named by a number, then .json, .msgpack or nothing.", headers=_cached(BRIEFLY))
    return int(match[1]), MSGPACK if match[2] == "msgpack" else JSON


def _body(hub: RoomHub, seq: int, codec: Codec) -> bytes:
    sealed = hub.sealed(seq)
    if sealed is None:
        if seq < 1:
            raise ProblemError("not_found", "Frame numbers begin with 1.", headers=_cached(_allowed(hub, BRIEFLY)))
        raise ProblemError("gone", "This frame is no longer kept.", headers=_cached(_allowed(hub, KEEP)))
    return sealed.body(codec)


def _array(bodies: list[bytes], codec: Codec) -> bytes:
    """Encoded values as one encoded list of them, without decoding any."""
    if codec is MSGPACK:
        return bytes((0x90 | len(bodies),)) + b"".join(bodies)  # fixarray: up to 15 items
    return b"[" + b",".join(bodies) + b"]"


def _file(request: web.Request, hub: RoomHub, body: bytes, codec: Codec, keep: str) -> web.Response:
    """`body` as a file. The entity tag is of the content, as a redaction rewrites frames in place."""
    tag = f'"{hashlib.blake2b(body, digest_size=9).hexdigest()}"'
    headers = {"Cache-Control": _allowed(hub, keep), "ETag": tag, "Surrogate-Key": surrogate_key(hub.room)}
    if none_match(request, tag):
        return web.Response(status=304, headers=headers)
    return web.Response(body=body, content_type=CONTENT_TYPES[codec], headers=headers)


def _allowed(hub: RoomHub, keep: str) -> str:
    return NEVER if hub.view.policy["anonymous"] == "off" else keep


def _not_there(hub: RoomHub, epoch: str) -> ProblemError:
    detail = "Not made yet." if epoch == hub.view.epoch else f"The epoch is {hub.view.epoch} now: begin with the snapshot."
    return ProblemError("not_found", detail, headers=_cached(_allowed(hub, BRIEFLY)))


def _cached(keep: str) -> dict[str, str]:
    return {"Cache-Control": keep}


def surrogate_key(room: str) -> str:
    """What to purge from a cache after a redaction in this room: all its files, of which there are three minutes' worth."""
    return f"livecast-{room}"
