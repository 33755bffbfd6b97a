"""From an answered handshake into the room: who is it, may they, which room, and the welcome.

Whatever speaks against it is told in the socket (`bye`, then a close code 44xx or 4503), because a page cannot see the
status of a refused handshake. Usually nothing here waits, and the handshake's answer and the welcome leave in one write.

Those who came in one turn of the loop come in together: each step is taken for all of them before the next one. What a single
arrival costs is mostly the processor fetching code that it did not need since the last one; together they share that.
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Final, cast

from livecast.edge.access.identity import AuthError, Identity, anonymous
from livecast.edge.access.jwks import KeysStale
from livecast.edge.rooms.fanout import VARIANTS
from livecast.edge.viewers.outbox import Lag
from livecast.edge.viewers.websocket import ViewerSocket
from livecast.facts import Connected
from livecast.ports import StoreError
from livecast.wire.messages import Ack, Bye, ClientMessage
from livecast.wire.sealing import Sealed, socket_message
from livecast.wire.upgrade import SocketRequest
from livecast.wire.websocket import frame

if TYPE_CHECKING:
    from livecast.edge.money.money import Money
    from livecast.edge.node import Node
    from livecast.edge.rooms.hub import RoomHub

ROOM_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
_VARIANT_OF: Final = {(codec.name, deflate): index for index, (codec, deflate) in enumerate(VARIANTS)}
_CONNECTED: Final = {is_anonymous: Connected("ws", is_anonymous) for is_anonymous in (False, True)}

Since = tuple[str, int] | None


class Comer:
    """A connection whose handshake was read: on its way from the door to a room."""

    __slots__ = ("address", "asks", "behind", "hub", "request", "socket", "spoke_http", "transport")

    def __init__(self, transport: asyncio.Transport, request: SocketRequest, address: str, behind: bytes, spoke_http: bool) -> None:
        self.transport = transport
        self.request = request
        self.address = address
        self.behind = behind
        """Bytes that came behind the handshake."""
        self.spoke_http = spoke_http
        """It answered plain requests before, of which the transport may still have bytes to send."""
        self.socket: ViewerSocket = cast("ViewerSocket", None)
        self.hub: RoomHub | None = None
        self.asks = False
        """The ledger is asked for their balance, and nothing else keeps them waiting."""


class Arrivals:
    """Viewers between the door and their room."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._knocking: dict[ViewerSocket, Since] = {}
        self._held_back: dict[ViewerSocket, list[ClientMessage]] = {}
        """Messages of those who have signed in and are about to enter."""

    def arrive(self, comers: list[Comer]) -> None:
        """Take connections over from the door."""
        for step in (self._seat, self._identify, self._let_in, self._answer):
            failed: list[Comer] = []
            for comer in comers:
                try:
                    step(comer)
                except Exception as fault:  # noqa: BLE001 - one connection's fault must not keep the others out
                    self._node.trouble("a viewer could not be let in", comer.request.room, fault)
                    comer.transport.abort()
                    failed.append(comer)
            if failed:
                comers = [comer for comer in comers if comer not in failed]

    def _seat(self, comer: Comer) -> None:
        """The connection is a viewer's from here on."""
        request, transport = comer.request, comer.transport
        variant = _VARIANT_OF[request.codec.name, request.deflate]
        socket = comer.socket = ViewerSocket(self._node, transport, room=request.room, variant=variant, address=comer.address)
        transport.set_protocol(socket)
        socket.acks = [request.response]

    def _identify(self, comer: Comer) -> None:
        """Who is it, and is there such a room? Both as far as it can be told without waiting."""
        node, request, socket = self._node, comer.request, comer.socket
        headers = request.headers
        if not ROOM_ID.match(request.room):
            self._refuse(socket, 4400, "Not a room id.")
        elif (origin := headers.get("origin")) is not None and not node.admission.origin_allowed(origin, headers["host"]):
            self._refuse(socket, 4403, "Pages of this origin may not connect.")
        elif (hub := node.views.peek(request.room)) is not None and self._identify_at_once(socket, request):
            if node.money is None or socket.closing or not node.money.must_ask(socket.identity):
                comer.hub = hub
            else:
                comer.asks = True

    def _let_in(self, comer: Comer) -> None:
        """Into the room, or not."""
        socket = comer.socket
        if comer.hub is not None and not socket.closing:
            self._enter(socket, comer.hub, comer.request.since, has_token=comer.request.token is not None)

    def _answer(self, comer: Comer) -> None:
        """Everything that there is to say so far, in one write."""
        socket, transport = comer.socket, comer.transport
        socket.flush_acks()
        if comer.hub is None and not socket.closing:
            if not transport.is_closing():  # it may have been reset behind the handshake
                transport.pause_reading()
                self._node.spawn(self._arrive_slowly(comer))
            return
        self._mind_what_is_unsent(comer)
        if comer.behind:
            if not transport.is_closing():
                transport.resume_reading()  # harmless where it reads
            socket.data_received(comer.behind)

    def knocked(self, socket: ViewerSocket, cid: str) -> None:
        """A viewer without a token, before a room that asks for one, has signed in."""
        since = self._knocking.pop(socket, None)
        self._node.knocking.discard(socket)
        money = self._node.money
        if money is not None and money.must_ask(socket.identity):
            self._held_back[socket] = []
            self._node.spawn(self._enter_with_balance(money, socket, since, cid))
        else:
            self._enter_signed_in(socket, since, cid)

    def holds_back(self, socket: ViewerSocket, message: ClientMessage) -> bool:
        """Whether the message is kept until the socket, which is signed in, has entered. (Its rate bounds how many there are.)"""
        held = self._held_back.get(socket)
        if held is not None:
            held.append(message)
        return held is not None

    async def _enter_with_balance(self, money: Money, socket: ViewerSocket, since: Since, cid: str) -> None:
        """Answer and welcome wait until they can tell the balance."""
        await money.learn(socket.identity)
        held = self._held_back.pop(socket, [])
        if not socket.closing:
            self._enter_signed_in(socket, since, cid)
            socket.take_held_back(held)

    def _enter_signed_in(self, socket: ViewerSocket, since: Since, cid: str) -> None:
        hub = self._node.views.peek(socket.room)
        if hub is None:
            self._refuse(socket, 4503, "The room is not ready.", reconnect=True)
            return
        socket.queue(socket_message(socket.codec, Ack(cid, "ok", you=hub.you(socket.identity))))
        self._enter(socket, hub, since, has_token=True)

    def too_late(self, socket: ViewerSocket) -> None:
        """Nobody signed in before the deadline."""
        self._refuse(socket, 4401, "This room asks for a token.")

    def forget(self, socket: ViewerSocket) -> None:
        """The connection is gone."""
        self._knocking.pop(socket, None)

    # ------------------------------------------------------------------------------------------------------------------

    def _identify_at_once(self, socket: ViewerSocket, request: SocketRequest) -> bool:
        """Set the socket's identity, or refuse it; False if that takes waiting for keys."""
        if request.token is None:
            socket.identity = anonymous(socket.conn)
            return True
        try:
            socket.identity = self._node.authenticator.check(request.token, request.room, self._node.clock())
        except KeysStale:
            return False
        except AuthError as fault:
            self._refuse_token(socket, fault)
        return True

    @staticmethod
    def _mind_what_is_unsent(comer: Comer) -> None:
        """Of an answer that stayed behind before, the transport has told whoever it spoke HTTP with, and will not tell again."""
        if comer.spoke_http and comer.socket.unsent_bytes:
            comer.socket.pause_writing()

    async def _arrive_slowly(self, comer: Comer) -> None:
        """The same with waiting: for the issuer's keys, for a balance, for the room's view."""
        node, socket, request = self._node, comer.socket, comer.request
        try:
            if request.token is None:
                identity = anonymous(socket.conn)
            else:
                identity = await node.authenticator.authenticate(request.token, request.room, node.clock())
            if node.money is not None and (comer.asks or node.money.must_ask(identity)):
                await node.money.learn(identity)
            hub = await node.views.get(request.room)
        except AuthError as fault:
            self._refuse_token(socket, fault)
            hub = None
        except StoreError:
            self._refuse(socket, 4503, "The room cannot be read just now.", reconnect=True)
            hub = None
        else:
            if hub is None:
                self._refuse(socket, 4404, "There is no such room.")
        if socket.transport.is_closing():
            return
        socket.transport.resume_reading()
        if hub is not None and not socket.closing:
            socket.identity = identity
            self._enter(socket, hub, request.since, has_token=request.token is not None)
        self._mind_what_is_unsent(comer)
        if comer.behind:
            socket.data_received(comer.behind)

    def _enter(self, socket: ViewerSocket, hub: RoomHub, since: Since, *, has_token: bool) -> None:
        """The last checks, then into the room."""
        node, identity = self._node, socket.identity
        refusal = hub.refuses(identity)
        if node.draining:
            self._refuse(socket, 4503, "This node is going away.", reconnect=True)
        elif hub.over():
            socket.bye(hub.bye_over())
        elif refusal == "forbidden":
            self._refuse(socket, 4403, "You may not watch this room.")
        elif refusal == "unavailable":
            self._refuse(socket, 4503, "Whose room this is cannot be told just now.", reconnect=True)
        elif not socket.held and not self._hold(socket, identity):
            self._refuse(socket, 4429, "Too many connections.", reconnect=True)
        elif refusal is not None and not has_token:
            self._knocking[socket] = since
            node.knocking.add(socket, node.clock())
            socket.flush_acks()
        else:
            self._join(socket, hub, since)

    def _hold(self, socket: ViewerSocket, identity: Identity) -> bool:
        user = None if identity.person.anonymous else identity.person.id
        socket.held = self._node.admission.hold(socket.address, user)
        socket.counted_as = user if socket.held else None
        return socket.held

    def _join(self, socket: ViewerSocket, hub: RoomHub, since: Since) -> None:
        """No turn of the loop lies between reading the view and being in the hub, so no frame is missed or sent twice."""
        node, codec = self._node, socket.codec
        joining = hub.welcome(codec, socket.identity, socket.conn, since=since)
        socket.hub = hub
        socket.after = joining.seq
        hub.join(socket)
        data = frame(joining.welcome, codec.opcode)
        if joining.missed:
            data += self._begin_catching_up(socket, hub, joining.missed, joining.seq)
        socket.queue(data)
        node.pulse.add(socket, node.clock())
        node.observer.observe(_CONNECTED[socket.identity.person.anonymous])

    def _begin_catching_up(self, socket: ViewerSocket, hub: RoomHub, missed: list[Sealed], seq: int) -> bytes:
        """The first of the missed frames; if there are more than fit, the rest follow as fast as the viewer takes them."""
        lag = Lag(seq, 0, self._node.clock())
        lag.catch_up.extend(missed)
        first = lag.next_slice(lambda sealed: hub.form(sealed, socket.variant), self._node.rules.outbox_soft_bytes)
        if lag.catch_up:
            socket.start_lagging(lag)
        return first

    def _refuse_token(self, socket: ViewerSocket, fault: AuthError) -> None:
        code = {"forbidden": 4403, "unavailable": 4503}.get(fault.code, 4401)
        self._refuse(socket, code, fault.message, reconnect=code == 4503)

    def _refuse(self, socket: ViewerSocket, code: int, reason: str, *, reconnect: bool = False) -> None:
        self._node.count_refusal(str(code))
        retry_after_ms = self._node.jitter_ms() if reconnect else 0
        socket.bye(Bye(code, reason, reconnect=reconnect, retry_after_ms=retry_after_ms))
