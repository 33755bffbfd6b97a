"""Server-sent events (the HTML standard): a room's welcome, frames and notices for whoever has no socket.

One `EventStream` per reader. The hub hands it frames without waiting; its own loop writes them as the reader takes them. A
reader that falls behind loses whole frames and is welcomed anew; one that takes nothing for 15 s is hung up on.
"""

from __future__ import annotations

import asyncio
import random
import re
import secrets
import socket
from collections import deque
from typing import Final

from aiohttp import web

from livecast.core.events import Notice
from livecast.edge.access.identity import Identity
from livecast.edge.http.problems import ProblemError
from livecast.edge.node import Node
from livecast.edge.rooms.hub import RoomHub
from livecast.edge.viewers.watching import hub_of, reader_of
from livecast.facts import Connected, Disconnected
from livecast.wire.codec import JSON
from livecast.wire.messages import Bye
from livecast.wire.sealing import Sealed, sse_event

#: A line of comment so often (the sweep adds less than a second to it: each 15 s), so that no proxy takes the stream for dead. Also
#: between frames: a reader may count on it without knowing when anything was said last.
COMMENT_MS: Final = 14_000
#: Bytes written at once. Above it the loop gets its turn.
CHUNK_BYTES: Final = 65_536
#: After a lost connection browsers come back within this many ms, each after a time of its own.
RETRY_MS: Final = (1000, 4000)

_SINCE: Final = re.compile(r"([A-Za-z0-9_-]{1,64}):(0|[1-9][0-9]{0,15})")
HEADERS: Final = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # nginx would collect 8 KiB before it sends anything
}


class EventStream:
    """One reader: a `Watcher` of the hub, and the loop that writes to it."""

    def __init__(self, hub: RoomHub, identity: Identity, conn: str, transport: asyncio.Transport) -> None:
        self.hub = hub
        self.identity = identity
        self.closed_with = 1006
        self._conn = conn
        self._transport = transport
        self._rules = hub.node.rules
        self._first: deque[Sealed | bytes] = deque()
        """The welcome and what was missed before this stream began: written before the queue, bounded by what a view keeps."""
        self._queue: deque[Sealed | bytes] = deque()
        """Frames, and notices as written, in order."""
        self._frame_bytes = 0
        """Size of the frames in the queue, as MessagePack: near enough for a bound."""
        self._notice_bytes = 0
        self._welcome_for: str | None = None
        """A welcome is due, for this reason; until it is written no frame is kept."""
        self._at = ""
        """The id of the last thing queued: where to go on from."""
        self._bye: Bye | None = None
        self._wake = asyncio.Event()
        now = hub.node.clock()
        self._commented_at = self._progress_at = now
        self._put = self._sent = 0
        """Bytes handed to the transport, and how many of them had left it when last looked at."""

    # --- What the hub says (see `livecast.edge.rooms.hub.Watcher`) ----------------------------------------------------------

    def frame(self, sealed: Sealed) -> None:
        """The next frame, unless a welcome is due anyway."""
        if self._welcome_for is not None:
            return
        if self._frame_bytes > self._rules.outbox_soft_bytes:
            self._skip("skipped")
            return
        self._frame_bytes += len(sealed.msgpack)
        self._queue.append(sealed)
        self._at = f"{self.hub.view.epoch}:{self.hub.view.seq}"
        self._wake.set()

    def renewed(self) -> None:
        """Everything before is void."""
        self._skip("epoch")

    def notice(self, notice: Notice) -> None:
        """Never skipped: who cannot take them is hung up on."""
        event = sse_event("notice", self._at or None, JSON.encode(notice))
        self._notice_bytes += len(event)
        if self._notice_bytes > self._rules.outbox_max_bytes:
            self.hang_up()
            return
        self._queue.append(event)
        self._wake.set()

    def bye(self, bye: Bye) -> None:
        """The last word. Who does not take it in time is hung up on."""
        self._bye = bye
        self.hub.node.closing.add(self, self.hub.node.clock())
        self._wake.set()

    def close_deadline(self) -> None:
        """Time is up."""
        self._transport.abort()

    # --- Being served -------------------------------------------------------------------------------------------------

    def join(self, since: tuple[str, int] | None) -> None:
        """Queue the welcome and what was missed, and watch from here on. Nothing may wait in between."""
        self._welcome("joined", since)
        self.hub.watch(self)

    async def run(self, response: web.StreamResponse) -> None:
        """Write until somebody has had enough."""
        while True:
            chunk = self._take()
            if chunk:
                self._put += len(chunk)
                await response.write(chunk)
            elif self._bye is not None:
                self.closed_with = self._bye.code
                await response.write(_bye_event(self._bye, self._at))
                return
            else:
                self._wake.clear()
                await self._wake.wait()

    def sweep(self, now: int) -> None:
        """Look after the stream: is the reader there, does it take anything, may it stay?"""
        if self._transport.is_closing():
            self.hang_up()
            return
        expires = self.identity.expires_at_ms
        if expires is not None and expires <= now and self._bye is None:
            self.hub.unwatch(self)
            self.bye(Bye(4001, "The token has expired.", reconnect=False, retry_after_ms=0))
        unsent = self._transport.get_write_buffer_size()
        if unsent == 0 or self._put - unsent > self._sent:
            self._sent, self._progress_at = self._put - unsent, now
        elif now - self._progress_at >= self._rules.outbox_stall_ms:
            self.closed_with = 4008
            self.hang_up()
            return
        if now - self._commented_at >= COMMENT_MS and not self._queue:
            self._commented_at = now
            self._queue.append(b":\n\n")
            self._wake.set()

    def hang_up(self) -> None:
        """Let go of a reader who is gone, or takes nothing: no word would reach it."""
        self.hub.unwatch(self)
        self._transport.abort()
        self._bye = self._bye or Bye(4008, "Too slow.", reconnect=True, retry_after_ms=0)
        self._wake.set()

    # --- Private ------------------------------------------------------------------------------------------------------

    def _welcome(self, reason: str, since: tuple[str, int] | None = None) -> None:
        joining = self.hub.welcome(JSON, self.identity, self._conn, reason=reason, since=since)
        epoch = self.hub.view.epoch
        event = sse_event("welcome", f"{epoch}:{joining.seq - len(joining.missed)}", joining.welcome)
        retry = b"retry: %d\n" % random.randint(*RETRY_MS)  # noqa: S311 - spreads reconnects, guards nothing
        self._first.append(retry + event if reason == "joined" else event)
        self._first.extend(joining.missed)
        self._at = f"{epoch}:{joining.seq}"

    def _skip(self, reason: str) -> None:
        """Forget the frames that wait, keep the notices; a welcome comes instead."""
        self._first.clear()
        self._queue = deque(item for item in self._queue if isinstance(item, bytes))
        self._frame_bytes = 0
        self._welcome_for = "epoch" if self._welcome_for == "epoch" else reason
        self._wake.set()

    def _take(self) -> bytes:
        """What to write next, about `CHUNK_BYTES` of it."""
        if self._welcome_for is not None:
            reason, self._welcome_for = self._welcome_for, None
            self._welcome(reason)
        parts: list[bytes] = []
        size = 0
        while size < CHUNK_BYTES and (self._first or self._queue):
            part = self._next()
            parts.append(part)
            size += len(part)
        return b"".join(parts)

    def _next(self) -> bytes:
        if self._first:
            item = self._first.popleft()
            return item if isinstance(item, bytes) else item.sse()
        item = self._queue.popleft()
        if isinstance(item, bytes):
            self._notice_bytes -= len(item)
            return item
        self._frame_bytes -= len(item.msgpack)
        return item.sse()


class EventStreams:
    """All streams of one node. The node's sweep looks after them."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._streams: set[EventStream] = set()
        node.on_sweep(self.sweep)

    def add_to(self, app: web.Application) -> None:
        """Serve streams."""
        app.router.add_get("/v1/rooms/{room}/events", self.serve)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """One stream, from the first word to the last."""
        node, room, conn = self._node, request.match_info["room"], secrets.token_hex(6)
        if wait_ms := node.admission.handshake(node.clock()):
            raise ProblemError("unavailable", "Too many arrive at once.", retry_after_ms=wait_ms)
        identity = await reader_of(node, request, room, conn)
        hub = await hub_of(node, room, identity)
        if hub.over():
            return web.Response(status=204)
        if node.draining:
            raise ProblemError("unavailable", "This server is going away: try again.")
        response = web.StreamResponse(headers=HEADERS)
        transport = request.transport
        if request.method == "HEAD" or transport is None:
            return response
        address = node.address_of(transport, *request.headers.getall("X-Forwarded-For", ()))
        user = None if identity.person.anonymous else identity.person.id
        if not node.admission.hold(address, user):
            raise ProblemError("rate_limited", "Too many connections.", retry_after_ms=10_000)
        stream = EventStream(hub, identity, conn, transport)
        try:
            _bound_send_buffer(transport, node.rules.send_buffer_bytes)
            self._streams.add(stream)
            stream.join(since_of(request))
            node.observer.observe(Connected("sse", identity.person.anonymous))
            try:
                await response.prepare(request)
                await stream.run(response)
            except ConnectionError:
                pass  # the reader has gone; that is how streams end
            except Exception:
                transport.abort()  # half a stream is said already: no problem can be told in it
                raise
            finally:
                node.observer.observe(Disconnected("sse", stream.closed_with))
        finally:
            hub.unwatch(stream)
            self._streams.discard(stream)
            node.closing.discard(stream)
            node.admission.release(address, user)
        return response

    def sweep(self, now: int) -> None:
        """Look at every stream."""
        for stream in tuple(self._streams):
            stream.sweep(now)


def _bound_send_buffer(transport: asyncio.Transport, size: int) -> None:
    """Keep the kernel from holding megabytes for a reader that does not read, which would also hide its slowness."""
    sock = transport.get_extra_info("socket")
    if size and sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size)


def _bye_event(bye: Bye, at: str) -> bytes:
    """`retry` makes a browser wait as long as the message says."""
    event = sse_event("bye", at or None, JSON.encode(bye))
    return b"retry: %d\n" % bye.retry_after_ms + event if bye.reconnect else event


def since_of(request: web.Request) -> tuple[str, int] | None:
    """Where the reader wants to go on: `Last-Event-ID` wins over `since`. What is no position of ours counts as none."""
    match = _SINCE.fullmatch(request.headers.get("Last-Event-ID") or request.query.get("since", ""))
    return (match[1], int(match[2])) if match else None
