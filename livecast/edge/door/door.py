"""The front door: every connection begins here. A WebSocket handshake is answered by ourselves, all else goes to aiohttp.

A request's head is collected here until it is whole, for the first request of a connection and for every later one on a
connection kept alive: so a head that never ends is cut off at a deadline, and a proxy may send a handshake over a
connection on which it sent plain requests before.

Rules for whoever edits this file:
- Bytes are handed on untouched and exactly once. The boundary between two requests is where aiohttp waits for the next.
- Handshakes that came in one turn of the loop are answered together at its end, step by step (see `Arrivals`).
- No timer per connection; one door per connection lives only as long as it speaks HTTP.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, cast

from livecast.edge.deadlines import Deadlines
from livecast.edge.door.arrival import Comer
from livecast.edge.door.descriptors import Descriptors
from livecast.edge.door.listening import Listening
from livecast.facts import Refused
from livecast.wire.upgrade import UpgradeError, head_end, is_socket_request, parse_upgrade, refusal_response

if TYPE_CHECKING:
    from livecast.edge.node import Node


TOGETHER: Final = 64
"""Handshakes answered in one go: each step finds its code still in the processor's caches, and the loop is held up for 10 ms."""
_REQUEST_ID: Final = re.compile(rb"\r\nx-request-id:[ \t]*([A-Za-z0-9._:/+=-]{1,128})[ \t]*\r\n", re.IGNORECASE)
EARLY_BYTES_MAX: Final = 65_536
"""Bytes behind a handshake that are taken before it is answered; more stay in the kernel until then."""

HttpProtocol = Any
"""aiohttp's `RequestHandler`."""


class FrontDoor:
    """Makes a `Door` for each connection. `make_http` is aiohttp's `web.Server` (`AppRunner.server`)."""

    def __init__(self, node: Node, make_http: Callable[[], HttpProtocol]) -> None:
        self.node = node
        self.make_http = make_http
        self.waiting: Deadlines[Door] = Deadlines(node.rules.header_deadline_ms)
        """Doors whose head is not whole yet."""
        self._knocking: list[tuple[Door, bytes]] = []
        self._listening = Listening(node, self)
        self._descriptors = Descriptors(node.observer)
        node.on_sweep(self.sweep)

    def __call__(self) -> Door:
        """A door for a new connection."""
        self._listening.came()
        return Door(self)

    def sweep(self, now: int) -> None:
        """Cut off those whose head is overdue."""
        for descriptor in self._listening.descriptors()[:1]:
            self._descriptors.look(now, descriptor)
        self._listening.sweep(now)
        for door in self.waiting.expired(now):
            door.too_late()

    def knock(self, door: Door, head: bytes) -> None:
        """A handshake is there, and answered at the end of this turn of the loop."""
        if not self._knocking:
            asyncio.get_running_loop().call_soon(self._open)
        self._knocking.append((door, head))

    def _open(self) -> None:
        """Answer the handshakes that came, some at a time."""
        some, self._knocking = self._knocking[:TOGETHER], self._knocking[TOGETHER:]
        if self._knocking:
            asyncio.get_running_loop().call_soon(self._open)
        now = self.node.clock()
        self.node.arrivals.arrive([comer for door, head in some if (comer := door.answer(head, now)) is not None])

    async def listen(self, listener: socket.socket) -> asyncio.Server:
        """Accept connections at a bound socket, which is the door's from here on."""
        return await self._listening.at(listener)

    def close(self) -> None:
        """Accept nobody any more."""
        self._listening.close()


class Door(asyncio.Protocol):
    """One connection that speaks HTTP."""

    __slots__ = ("_address", "_behind", "_early", "_front", "_head", "_http", "_transport")

    def __init__(self, front: FrontDoor) -> None:
        self._front = front
        self._head = b""
        self._early = b""
        """What came before aiohttp was round to waiting for it."""
        self._behind: bytes | None = None
        """What came behind a handshake that is about to be answered; None: there is none."""
        self._http: HttpProtocol = None
        self._address: str | None = None
        """What it is counted for while it speaks HTTP."""
        self._transport: asyncio.Transport = cast("asyncio.Transport", None)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody is at the door."""
        self._transport = cast("asyncio.Transport", transport)
        self._front.waiting.add(self, self._front.node.clock())

    def data_received(self, data: bytes) -> None:
        """Collect a head, or hand on what belongs to a request under way."""
        http = self._http
        if self._behind is not None:
            self._behind += data
            if len(self._behind) > EARLY_BYTES_MAX:
                self._transport.pause_reading()
        elif self._early:
            self._early += data
        elif http is None or self._head or _waits_for_a_request(http):
            self._collect(data)
        elif _is_at_work(http):
            http.data_received(data)
        else:
            self._early = data
            asyncio.get_running_loop().call_soon(self._look_again)

    def _look_again(self) -> None:
        """What came behind an answer: aiohttp comes round to waiting a step later, and peers are quick enough to ask before.

        One step suffices, as its next one was due before this one. If it does not wait now, what came belongs to the request.
        """
        data, self._early = self._early, b""
        http = self._http
        if http is None:
            return  # the connection is gone
        if _waits_for_a_request(http):
            self._collect(data)
        else:
            http.data_received(data)

    def _collect(self, data: bytes) -> None:
        if self._http is not None and not self._head:
            self._front.waiting.add(self, self._front.node.clock())
        self._head += data
        try:
            end = head_end(self._head)
        except UpgradeError as fault:
            self._answer(fault.response(_request_id(self._head)))
            return
        if end >= 0:
            whole, self._head = self._head, b""
            self._front.waiting.discard(self)
            head = whole[:end]
            if is_socket_request(head):
                self._behind = whole[end:]
                self._front.knock(self, head)
            else:
                self._hand_on(whole)

    def _hand_on(self, data: bytes) -> None:
        http = self._http
        if http is None:
            address = self._front.node.address_of(self._transport)
            if not self._front.node.admission.hold_http(address):
                self._front.node.observer.observe(Refused("http", "rate_limited"))
                self._answer(refusal_response(429, "Too many connections.", _request_id(data), retry_after_ms=10_000))
                return
            self._address = address
            http = self._http = self._front.make_http()
            http.connection_made(self._transport)
        http.data_received(data)

    def answer(self, head: bytes, now: int) -> Comer | None:
        """Read a handshake. A refusal is answered here; any other connection is a viewer's from here on."""
        node, transport = self._front.node, self._transport
        if transport.is_closing():
            return None
        wait_ms = 1000 if node.draining else node.admission.handshake(now)
        if wait_ms:
            node.count_refusal("503")
            self._answer(refusal_response(503, "Too many at once: try again.", _request_id(head), retry_after_ms=wait_ms))
            return None
        try:
            request = parse_upgrade(head)
        except UpgradeError as fault:
            node.count_refusal(str(fault.status))
            self._answer(fault.response(_request_id(head)))
            return None
        spoke_http = self._http is not None
        if spoke_http:
            self._let_go_of_http()
        address = node.address_of(transport, request.headers.get("x-forwarded-for", ""))
        return Comer(transport, request, address, self._behind or b"", spoke_http)

    def _let_go_of_http(self) -> None:
        """Take the connection back from aiohttp, which waits for a next request that it will not get."""
        if (http := self._http) is not None:
            self._http = None
            self._count_out()
            http.transport = None  # or it would close what is not its own any more
            http.connection_lost(None)

    def too_late(self) -> None:
        """The head's deadline has passed. Who said nothing at all (browsers connect in advance) is told nothing."""
        if self._transport.is_closing():
            return
        if self._head:
            self._answer(refusal_response(408, "The request's head took too long.", _request_id(self._head)))
        elif self._http is None:
            self._transport.close()

    def _answer(self, response: bytes) -> None:
        """Answer and hang up."""
        self._front.waiting.discard(self)
        self._head, self._behind = b"", None
        self._let_go_of_http()
        self._transport.set_protocol(Farewell(self._front.node, self._transport))
        self._transport.write(response)
        self._front.node.closing.add(self._transport.get_protocol(), self._front.node.clock())  # type: ignore[arg-type] # just set

    def pause_writing(self) -> None:
        """Tell aiohttp."""
        if self._http is not None:
            self._http.pause_writing()

    def resume_writing(self) -> None:
        """Tell aiohttp."""
        if self._http is not None:
            self._http.resume_writing()

    def eof_received(self) -> bool | None:
        """The peer sends no more."""
        return self._http.eof_received() if self._http is not None else None

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._front.waiting.discard(self)
        if self._http is not None:
            self._count_out()
            self._http.connection_lost(exc)
            self._http = None

    def _count_out(self) -> None:
        """It speaks HTTP no longer."""
        if self._address is not None:
            self._front.node.admission.release_http(self._address)
            self._address = None


class Farewell(asyncio.Protocol):
    """What is left of a refused connection: it reads and forgets until the peer hangs up, or the close deadline passes.

    Closing at once, with bytes of the peer unread, would make the kernel send a reset, which may overtake the answer.
    """

    __slots__ = ("_node", "_transport")

    def __init__(self, node: Node, transport: asyncio.Transport) -> None:
        self._node = node
        self._transport = transport

    def close_deadline(self) -> None:
        """Enough."""
        self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - why is nobody's business
        """The connection is gone."""
        self._node.closing.discard(self)


def _request_id(head: bytes) -> str:
    """The id that a request gave itself, as far as its head is there; else one of our own."""
    given = _REQUEST_ID.search(head)
    return given[1].decode() if given else secrets.token_hex(8)


def _waits_for_a_request(http: HttpProtocol) -> bool:
    """Whether aiohttp has answered everything so far and waits for the next request's first byte.

    Its `RequestHandler` waits on the future `_waiter` then and only then. (Should a later aiohttp name it otherwise, every
    further request goes to it unseen: without a deadline for its head, and a handshake is refused by the application.)
    """
    waiter = getattr(http, "_waiter", None)
    return waiter is not None and not waiter.done()


def _is_at_work(http: HttpProtocol) -> bool:
    """Whether aiohttp is between a request's first step and the last byte of its answer."""
    return bool(getattr(http, "_request_in_progress", True))
