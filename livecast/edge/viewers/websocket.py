"""One viewer's WebSocket, from the answered handshake to the last byte.

Rules for whoever edits this file:
- Writing never waits, and what was promised to go out first does: acks before the frame that shows what they acknowledge.
- There is one of these per viewer and many thousands per node: a new slot costs 8 bytes times all of them, a dict 200.
- No timers: whatever is due is put where the node's sweep looks.
"""

from __future__ import annotations

import asyncio
from math import ceil
from socket import AF_INET, SOCK_STREAM, SocketType
from typing import TYPE_CHECKING, cast

from livecast.core.errors import RETRYABLE, Refusal
from livecast.core.events import Answer, Event, Notice, Origin
from livecast.edge.access.identity import NOBODY, AuthError, Identity
from livecast.edge.access.jwks import KeysStale
from livecast.edge.rooms.fanout import VARIANTS
from livecast.edge.viewers import entry
from livecast.edge.viewers.entry import UNAVAILABLE
from livecast.edge.viewers.outbox import GONE, LAGGING, Lag
from livecast.facts import Disconnected
from livecast.wire.codec import ACKS, WireError, ack_of
from livecast.wire.messages import (
    Ack,
    Auth,
    Bye,
    ClaimAck,
    ClaimMessage,
    ClientMessage,
    CommentMessage,
    ErrorMessage,
    GiftMessage,
    Ping,
    Pong,
)
from livecast.wire.sealing import Sealed, socket_message, verdict_message
from livecast.wire.websocket import (
    CLOSE,
    PING,
    PONG,
    FrameParser,
    close_code_of,
    close_frame,
    frame,
)

if TYPE_CHECKING:
    from livecast.edge.money.money import Money
    from livecast.edge.node import Node
    from livecast.edge.rooms.hub import RoomHub


class ViewerSocket(asyncio.Protocol):
    """A viewer. `hub` is None while they are not (or no longer) in the room."""

    __slots__ = (
        "_bad",
        "_full_at",
        "_origin",
        "acks",
        "address",
        "after",
        "close_code",
        "codec",
        "counted_as",
        "held",
        "hub",
        "identity",
        "lag",
        "node",
        "number",
        "parser",
        "room",
        "silent",
        "sock",
        "transport",
        "variant",
    )

    def __init__(self, node: Node, transport: asyncio.Transport, *, room: str, variant: int, address: str) -> None:
        self.node = node
        self.transport = transport
        self.room = room
        self.variant = variant
        """Index into `fanout.VARIANTS`."""
        self.codec, deflate = VARIANTS[variant]
        self.identity = NOBODY
        self.address = address
        self.hub: RoomHub | None = None
        self.number = node.next_number()
        self.after = 0
        """The last frame that this socket must not get (again); `LAGGING` and `GONE` are above all of them."""
        self.acks: list[bytes] | None = None
        """What goes out with the next write: at the end of this turn of the loop, or with a frame, see `Crowd`."""
        self.lag: Lag | None = None
        self.silent = 0
        """Pings since anything was heard."""
        self.close_code = 1006
        self.held = False
        """Counted by admission."""
        self.counted_as: str | None = None
        """The user it is counted for there; None while it counts for its address alone."""
        self.parser = FrameParser(deflate=deflate)
        self._origin: Origin | None = None
        self._full_at = 0.0
        self._bad = 0
        transport.set_write_buffer_limits(high=0)  # tell us of every byte that stays behind; a healthy socket has none
        self.sock = SocketType(AF_INET, SOCK_STREAM, 0, transport.get_extra_info("socket").fileno())
        """The connection's descriptor, for fan-out: `send` of it is a shorter way through the kernel than `os.write`. The
        transport owns and closes it, behind `connection_lost`, where we let go of it. (The family does not matter for `send`.)"""

    @property
    def conn(self) -> str:
        """The connection's name, for support."""
        return f"{self.node.id}-{self.number:x}"

    @property
    def closing(self) -> bool:
        """A close frame was sent, or the connection is gone."""
        return self.after == GONE

    # --- Receive ------------------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Bytes from the viewer: read with all that came in this turn."""
        self.silent = 0
        self.node.inbox.put(self, data)

    def read_failed(self, fault: Exception) -> None:
        """Taking a message in raised: a fault of ours, which ends this connection alone."""
        self.node.trouble("a viewer's message could not be taken in", f"{self.room} {self.conn}", fault)
        self.transport.abort()

    def take(self, messages: list[tuple[int, bytes]], now: int) -> None:
        """What `parser` made of bytes, at `now` (Unix ms)."""
        node, codec = self.node, self.codec
        for opcode, payload in messages:
            if opcode == codec.opcode and self.after != GONE:
                # One from the connection's token bucket: `_full_at` is when it will be full again.
                late = self._full_at - now
                if late <= 0:
                    self._full_at = now + node.message_interval_ms
                elif late <= node.message_burst_ms:
                    self._full_at += node.message_interval_ms
                else:
                    self._too_fast(payload, ceil(late - node.message_burst_ms))
                    continue
                try:
                    message = codec.decode(payload)
                except WireError as fault:
                    self._not_understood(fault)
                else:
                    self._bad = 0
                    self._take(message, now)
            elif opcode == CLOSE:
                self._closed_by_peer(close_code_of(payload))
                return
            elif self.after != GONE:
                self._take_other(opcode, payload, now)

    def take_held_back(self, messages: list[ClientMessage]) -> None:
        """What came while this socket was about to enter."""
        for message in messages:
            if self.after != GONE:
                self._take(message, self.node.clock())

    def _take_other(self, opcode: int, payload: bytes, now: int) -> None:
        """What is no message of this socket's codec."""
        if opcode == PING:
            # One may leave pings unanswered but the last (RFC 6455 section 5.5.3): a flood of them goes unanswered.
            if self._full_at - now <= self.node.message_burst_ms:
                self._full_at = max(self._full_at, now) + self.node.message_interval_ms
                self.send(frame(payload, PONG))
        elif opcode != PONG:
            self._bad_message(ErrorMessage("bad_message", f"This socket speaks {self.codec.name}."))

    def _take(self, message: ClientMessage, now: int) -> None:
        """One message in its time: answer it, or pass it on to the room."""
        kind, hub = type(message), self.hub
        if kind is ClaimMessage and hub is not None:
            self._claim(cast("ClaimMessage", message), hub, now)
        elif kind is Ping:
            self._pong(cast("Ping", message), now)
        elif kind is Auth:
            self._authenticate(cast("Auth", message), now)
        elif hub is None:
            if not self.node.arrivals.holds_back(self, message):
                self._refuse(message, entry.SIGN_IN)
        else:
            node, origin = self.node, self._origin
            if origin is None:
                origin = self._origin = Origin(node.id, self.number)
            entered = entry.ENTRIES[kind](message, self.identity, hub, origin)
            if entered is None:
                if kind is GiftMessage:
                    self._give(cast("GiftMessage", message), hub, now)
                return
            if type(entered) is Refusal:
                self._refuse(message, entered)
                return
            cid: str | None = entered.cid  # type: ignore[union-attr] # viewers' events have one or None
            if cid is None:
                node.bus.post(self.room, cast("Event", entered))
                return
            asked = (self.number, cid)
            node.answers.expect(asked, now)
            if not node.bus.post(self.room, cast("Event", entered)) and node.answers.came(asked):
                self._say(ack_of(cid, UNAVAILABLE))

    def _claim(self, message: ClaimMessage, hub: RoomHub, now: int) -> None:
        """A click: the ledger decides, and `answer` or `verdict` hears of it. (Tens of thousands come in a second.)"""
        refusal, money = entry.claim(message, self.identity, hub, None), self.node.money
        if refusal is None and money is not None:
            refusal = money.claim(hub, self.identity, message, self.address, self, now)
        if refusal is not None:
            self._say(ack_of(message.cid, refusal))

    def _give(self, message: GiftMessage, hub: RoomHub, now: int) -> None:
        """A gift: the ledger decides."""
        node, cid = self.node, message.cid
        if (money := node.money) is None:
            return
        asked = (self.number, cid)
        node.answers.expect(asked, now)
        answer = money.give(hub, self.identity, message, self.number)
        if answer is not None and node.answers.came(asked):
            self._say(ack_of(cid, answer))

    def _too_fast(self, payload: bytes, wait_ms: int) -> None:
        """A message beyond the connection's rate is read all the same: its cid for the answer, its kind for the tally."""
        try:
            message = self.codec.decode(payload)
        except WireError as fault:
            if fault.code == "bad_message":
                self._bad_message(fault.answer())
            else:
                self._say(ErrorMessage("rate_limited", "Too fast: wait a moment.", fault.cid, wait_ms))
        else:
            self._bad = 0
            self._refuse(message, Refusal("rate_limited", retry_after_ms=wait_ms))

    def _not_understood(self, fault: WireError) -> None:
        if fault.code == "bad_message":
            self._bad_message(fault.answer())
        else:
            self._say(fault.answer())

    def _refuse(self, message: ClientMessage, refusal: Refusal) -> None:
        cid: str | None = getattr(message, "cid", None)
        if isinstance(message, CommentMessage) and self.hub is not None and not self.identity.person.anonymous:
            self.hub.count_refused(self.identity.person.id, message.cid, refusal.code, final=refusal.final)
        self._say(ack_of(cid, refusal))

    def _bad_message(self, answer: ErrorMessage) -> None:
        self._say(answer)
        self._bad += 1
        if self._bad >= self.node.rules.bad_messages_max:
            self.bye(Bye(4002, "Too many bad messages.", reconnect=False, retry_after_ms=0))

    def _pong(self, message: Ping, now: int) -> None:
        if (hub := self.hub) is None:
            self._refuse(message, entry.SIGN_IN)
            return
        seq = hub.view.seq if self.after == LAGGING else max(hub.sent_seq, self.after)
        self._say(Pong(now, hub.view.epoch, seq, message.cid))

    # --- Identity -----------------------------------------------------------------------------------------------------

    def _authenticate(self, message: Auth, now: int) -> None:
        if self.hub is None and self.node.arrivals.holds_back(self, message):
            return
        try:
            identity = self.node.authenticator.check(message.token, self.room, now)
        except KeysStale:
            self.node.spawn(self._authenticate_slowly(message))
        except AuthError as fault:
            self._not_believed(message, fault)
        else:
            self._become(identity, message.cid)

    async def _authenticate_slowly(self, message: Auth) -> None:
        """The issuer's keys have to be fetched first."""
        try:
            identity = await self.node.authenticator.authenticate(message.token, self.room, self.node.clock())
        except AuthError as fault:
            if not self.closing:
                self._not_believed(message, fault)
        else:
            if not self.closing:
                self._become(identity, message.cid)

    def _not_believed(self, message: Auth, fault: AuthError) -> None:
        retry_after_ms = 1000 if fault.code in RETRYABLE else None
        self._say(ErrorMessage(fault.code, fault.message, message.cid, retry_after_ms))

    def _become(self, identity: Identity, cid: str) -> None:
        """Renew the token, or sign an anonymous viewer in."""
        is_now, user = self.identity.person, identity.person.id
        if not is_now.anonymous and is_now.id != user:
            self._say(ErrorMessage("forbidden", "This socket is signed in as somebody else.", cid))
            return
        hub = self.hub
        if hub is None:
            if not self._count_for(user, cid):
                return
            self.identity = identity
            self.node.arrivals.knocked(self, cid)
            return
        if hub.banned(user):
            self._say(ErrorMessage("forbidden", "You were put out of this room.", cid))
            self.bye(Bye(4003, "You were put out of this room.", reconnect=False, retry_after_ms=0))
            return
        if (refusal := hub.refuses(identity)) is not None:
            self._say(ErrorMessage(refusal, "This token is not meant for this room.", cid))
            return
        if not self._count_for(user, cid):
            return
        hub.signed_in(self, identity)
        self.node.pulse.add(self, self.node.clock())
        money = self.node.money
        if money is not None and money.must_ask(identity):
            self.node.spawn(self._answer_with_balance(money, identity, cid))
        else:
            self._say(Ack(cid, "ok", you=hub.you(identity)))

    async def _answer_with_balance(self, money: Money, identity: Identity, cid: str) -> None:
        """They are signed in already; the answer alone waits until it can tell the balance, as a welcome does."""
        await money.learn(identity)
        if self.hub is not None and not self.closing:
            self._say(Ack(cid, "ok", you=self.hub.you(identity)))

    def _count_for(self, user: str, cid: str) -> bool:
        """Count this connection for `user` from now on; False, and told so, if they have too many."""
        if self.counted_as is None:
            if not self.node.admission.sign_in(user):
                self._say(ErrorMessage("rate_limited", "Too many connections of this user.", cid, 10_000))
                return False
            self.counted_as = user
        return True

    # --- Send ---------------------------------------------------------------------------------------------------------

    def send(self, data: bytes) -> None:
        """Write now, behind the acks that wait."""
        if (acks := self.acks) is not None:
            self.acks = None
            acks.append(data)
            data = b"".join(acks)
        self._write(data)

    def flush_acks(self) -> None:
        """Write the acks that wait: where nothing is unsent before them straight to the descriptor, as fan-out does."""
        if (acks := self.acks) is None:
            return
        self.acks = None
        data = acks[0] if len(acks) == 1 else b"".join(acks)
        if self.lag is not None or self.after == GONE:
            self._write(data)
            return
        try:
            taken = self.sock.send(data)
        except OSError:  # the kernel's buffer is full, or the connection broke: the transport knows what is to be done
            self._write(data)
        else:
            if taken != len(data):
                self._write(data[taken:])

    def _write(self, data: bytes) -> None:
        """Hand bytes to the transport, unless the connection broke: `connection_lost` is on its way then, maybe a turn later."""
        if self.transport.is_closing():
            return
        if self.lag is not None:
            self.lag.put += len(data)
        self.transport.write(data)

    def write(self, data: bytes) -> None:
        """Leave these bytes to the transport, whatever comes of it."""
        try:
            self._write(data)
        except Exception as fault:  # noqa: BLE001 - as where it is called: the others go on
            self.write_failed(fault)

    def write_failed(self, fault: Exception) -> None:
        """Writing raised. A connection that broke meanwhile is nobody's fault; anything else is ours, and ends this one alone."""
        if not self.transport.is_closing():
            self.node.trouble("a viewer could not be written to", f"{self.room} {self.conn}", fault)
            self.transport.abort()

    @property
    def unsent_bytes(self) -> int:
        """What the transport still has to send; 0 of a connection that broke (which cannot be asked any more)."""
        return 0 if self.transport.is_closing() else self.transport.get_write_buffer_size()

    def queue(self, data: bytes) -> None:
        """Write at the end of this turn, or with a frame: see `Crowd`."""
        if self.acks is None:
            self.acks = [data]
            if self.hub is None or not self.hub.takes_along(self):
                self.node.unsent.put(self)
        else:
            self.acks.append(data)

    def _say(self, message: Ack | ClaimAck | ErrorMessage | Pong) -> None:
        self.queue(socket_message(self.codec, message))

    def answer(self, cid: str | None, answer: Answer | Ack | ClaimAck) -> None:
        """The room's or the ledger's answer to a message of this viewer."""
        if self.after != GONE:
            codec = self.codec
            self.queue(frame(codec.encode(answer if type(answer) in ACKS else ack_of(cid, answer)), codec.opcode))

    def verdict(self, cid: str, verdict: str) -> None:
        """`answer` with a claim's verdict that says all there is to say."""
        if self.after != GONE:
            self.queue(verdict_message(self.codec, cid, verdict))

    def notice(self, notice: Notice) -> None:
        """To this viewer alone; never skipped."""
        if self.after != GONE:
            self.queue(socket_message(self.codec, notice))

    # --- Falling behind -----------------------------------------------------------------------------------------------

    def pause_writing(self) -> None:
        """Bytes stayed behind."""
        if self.lag is None and self.after != GONE:
            self.lag = Lag(self.after, self.unsent_bytes, self.node.clock())
            self.after = LAGGING
            self.node.lagging[self] = None
            if self.hub is not None:
                self.hub.shuffled()

    def resume_writing(self) -> None:
        """They are gone. (Told in the midst of the transport's own work: answer in the next turn.)"""
        if self.lag is not None:
            asyncio.get_running_loop().call_soon(self._drained)

    def offer(self, sealed: Sealed, data: bytes, seq: int) -> bool:
        """A frame for a lagging socket; False if it is left out."""
        lag = self.lag
        if lag is None or lag.skipped:
            return False
        if seq <= lag.after:
            return True
        if lag.catch_up:
            if lag.catch_up_with(sealed):
                return True
        elif self.unsent_bytes <= self.node.rules.outbox_soft_bytes:
            self.send(data)
            return True
        lag.skip()
        return False

    def start_lagging(self, lag: Lag) -> None:
        """Begin with more than fits at once: a resume over many frames."""
        self.lag = lag
        self.after = LAGGING
        self.node.lagging[self] = None
        asyncio.get_running_loop().call_soon(self._drained)

    def _drained(self) -> None:
        lag, hub = self.lag, self.hub
        if lag is None or hub is None or self.unsent_bytes:
            return
        if lag.catch_up:
            soft = self.node.rules.outbox_soft_bytes
            self.send(lag.next_slice(lambda sealed: hub.form(sealed, self.variant), soft))
            if not self.unsent_bytes:
                asyncio.get_running_loop().call_soon(self._drained)
            return
        self.lag = None
        self.node.lagging.pop(self, None)
        self.after = lag.after
        hub.shuffled()
        if lag.skipped:
            self.welcome_again("skipped")

    def welcome_again(self, reason: str) -> None:
        """What this viewer knew does not hold any more: tell the room as it is. One who lags hears it once drained."""
        if self.after == GONE or self.hub is None:
            return
        if self.lag is not None:
            self.lag.skip()
            return
        joining = self.hub.welcome(self.codec, self.identity, self.conn, reason=reason)
        self.after = joining.seq
        self.hub.shuffled()
        self.send(frame(joining.welcome, self.codec.opcode))

    def check_lag(self, now: int) -> None:
        """The sweep looks at a lagging socket: hang up on it if it takes nothing or too little."""
        lag = self.lag
        if lag is None or not lag.too_slow(self.unsent_bytes, now, self.node.rules):
            return
        self.node.make_room(self.transport)
        self.bye(Bye(4008, "Too slow.", reconnect=True, retry_after_ms=self.node.jitter_ms()))

    def check_message(self) -> None:
        """The pulse looks at every socket once per `ping_ms`: a message that was under way at two looks in a row is given up."""
        if self.parser.stalled():
            self.bye(Bye(4008, "A message did not come to its end.", reconnect=True, retry_after_ms=self.node.jitter_ms()))

    # --- Close --------------------------------------------------------------------------------------------------------

    def bye(self, bye: Bye) -> None:
        """Say why, close, and give the viewer a moment to take it."""
        if self.after != GONE:
            self.queue(socket_message(self.codec, bye))
            self.close(bye.code, bye.reason)

    def close(self, code: int, reason: str) -> None:
        """Send a close frame; the connection ends when the peer has answered it, or at the close deadline."""
        if self.after == GONE:
            return
        self._leave(code)
        self.send(close_frame(code, reason))
        self.node.closing.add(self, self.node.clock())

    def _closed_by_peer(self, code: int) -> None:
        if self.after != GONE:
            self._leave(code)
            self.send(close_frame(1000 if code == 1005 else code))
        self.transport.close()

    def close_deadline(self) -> None:
        """The peer did not answer our close frame in time."""
        if self.unsent_bytes:
            self.transport.abort()
        else:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - why it broke is nobody's business
        """The connection is gone."""
        self.node.inbox.take_in()  # what it said last counts
        self.sock.detach()
        self._leave(self.close_code)
        self.acks = None
        self.node.closing.discard(self)

    def _leave(self, code: int) -> None:
        """Out of the room and out of every list, once."""
        if self.after == GONE:
            return
        self.after, self.close_code, self.lag = GONE, code, None
        node = self.node
        if self.hub is not None:
            self.hub.leave(self)
            self.hub = None
            node.observer.observe(Disconnected("ws", code))
        node.forget(self)
