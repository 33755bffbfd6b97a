"""What every part of the edge shares: one `Node` per process, with the one timer that looks at all deadlines."""

from __future__ import annotations

import asyncio
import random
import socket
import traceback
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any, Final, Protocol, cast

from livecast.archive import Archive
from livecast.core.errors import Refusal
from livecast.core.events import Answer, Ask, Done, Event, Origin, Reply
from livecast.core.frames import TO_STAFF
from livecast.core.rules import RoomRules
from livecast.edge.access.auth import Authenticator
from livecast.edge.access.identity import Identity
from livecast.edge.access.keys import KeyRing
from livecast.edge.deadlines import Deadlines
from livecast.edge.door.admission import Admission
from livecast.edge.door.arrival import Arrivals
from livecast.edge.money.money import Money
from livecast.edge.rooms.hub import RoomHub
from livecast.edge.rooms.presence import Reports
from livecast.edge.rooms.rechecks import Rechecks
from livecast.edge.rooms.views import NODE, Views
from livecast.edge.rules import EdgeRules
from livecast.edge.viewers.answers import Answers
from livecast.edge.viewers.entry import UNAVAILABLE
from livecast.edge.viewers.inbox import Inbox
from livecast.edge.viewers.mailbox import Mailbox
from livecast.edge.viewers.notices import Notices
from livecast.edge.viewers.pulse import Pulse
from livecast.edge.viewers.unsent import Unsent
from livecast.edge.viewers.websocket import ViewerSocket
from livecast.edge.webhooks import WebhookDesk
from livecast.facts import Observer, Refused, Trouble
from livecast.ports import Bus, Clock, RoomLog
from livecast.shard.house import House
from livecast.wire.messages import Ack, Bye, ClaimAck, ClaimMessage, ClientMessage, GiftMessage

TICK_MS: Final = 1_000
"""Presence, refusals and idle views are looked at this often."""


class Closing(Protocol):
    """A connection that was told to close."""

    def __hash__(self) -> int: ...

    def close_deadline(self) -> None:
        """The peer took too long."""


class Caller:
    """Somebody who claims over HTTP and waits for the response."""

    __slots__ = ("_waiter",)

    def __init__(self, waiter: asyncio.Future[Refusal | Ack | ClaimAck]) -> None:
        self._waiter = waiter

    def answer(self, _cid: str | None, answer: Refusal | ClaimAck) -> None:
        """What became of it. (They may have gone.)"""
        if not self._waiter.done():
            self._waiter.set_result(answer)

    def verdict(self, cid: str, verdict: str) -> None:
        """Likewise."""
        self.answer(cid, ClaimAck(cid, verdict))


class Node:
    """The context of the front door: who we are, what we keep to, and the ports behind us."""

    def __init__(
        self,
        *,
        id: str,  # noqa: A002 - it is the node's id
        clock: Clock,
        bus: Bus,
        log: RoomLog,
        authenticator: Authenticator,
        keys: KeyRing,
        observer: Observer,
        rules: EdgeRules | None = None,
        room_rules: RoomRules | None = None,
    ) -> None:
        self.id = id
        self.clock = clock
        self.bus = bus
        self.log = log
        self.authenticator = authenticator
        self.keys = keys
        self.observer = observer
        self.rules = rules or EdgeRules()
        self.room_rules = room_rules or RoomRules()
        self.draining = False
        self.admission = Admission(self.rules)
        self.views = Views(self)
        self.rechecks = Rechecks(self)
        self.arrivals = Arrivals(self)
        self.inbox = Inbox(self.clock)
        self.unsent = Unsent(self)
        self.mailbox = Mailbox(self)
        self.archive: Archive | None = None
        """What is told of broadcasts afterwards; the composition root puts it here where anything is archived."""
        self.money: Money | None = None
        """Claims, gifts and wallets; the composition root puts it here where there is a ledger."""
        self.webhooks: WebhookDesk | None = None
        """Where webhooks are kept; put here by the composition root where there is a ledger."""
        self.house: House | None = None
        """What holds beyond single rooms; put here by its `Doorman`."""
        # What the sweep looks at:
        self.pulse = Pulse(self.rules)
        self.keep_to(self.rules)
        self.reports = Reports(self)
        self.answers = Answers(self.rules.answer_deadline_ms)
        self.knocking: Deadlines[ViewerSocket] = Deadlines(self.rules.auth_deadline_ms)
        self.closing: Deadlines[Closing] = Deadlines(self.rules.close_deadline_ms)
        self.lagging: dict[ViewerSocket, None] = {}
        self.ending: dict[RoomHub, None] = {}
        """Rooms whose broadcast is over, until everybody was told."""
        self._sweeps: list[Callable[[int], None]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._next_tick = 0
        self._last_number = 0
        self._waiters: dict[int, asyncio.Future[Any]] = {}
        self._refusals: dict[str, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def keep_to(self, rules: EdgeRules) -> None:
        """These bounds hold from now on, as far as nothing was built with them: deadlines and pings stay as they are."""
        self.rules = rules
        # The token bucket of a connection, as every message looks at it: time that earns one, and a burst less the first.
        self.message_interval_ms = 1000 / rules.messages_per_s
        self.message_burst_ms = (rules.messages_burst - 1) * self.message_interval_ms
        self.admission.keep_to(rules)
        self.pulse.keep_to(rules)

    # --- Start and stop -----------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Be reachable on the bus and begin to keep deadlines."""
        await self.bus.attach(self.id, self._replies, Notices(self).deliver)
        self._wind_up()

    async def drain(self, spread_ms: int = 10_000) -> None:
        """Stop: refuse newcomers, tell everybody `bye` 4000 with a delay spread over `spread_ms`, and close.

        Takes as long as the slowest of those who take their `bye`, at most `close_deadline_ms`.
        """
        self.draining = True
        for hub in self.views.hubs():
            for member in list(hub.members()):
                delay = random.randrange(max(1, spread_ms))  # noqa: S311 - spreads load, guards nothing
                hub.say_bye([member], Bye(4000, "This node is going away.", reconnect=True, retry_after_ms=delay))
            self.reports.forget(hub)
        for _ in range(self.rules.close_deadline_ms // self.rules.sweep_ms + 1):
            if not self.closing:
                break
            await asyncio.sleep(self.rules.sweep_ms / 1000)
        self.close()

    def close(self) -> None:
        """Let go of everything at once."""
        self.draining = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for connection in self.closing.expired(2**62):
            connection.close_deadline()
        for viewer in [*self.pulse.sockets.values(), *self.knocking.expired(2**62)]:
            viewer.transport.abort()
        self.views.close()
        for task in tuple(self._tasks):
            task.cancel()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something that has to wait, and see to it that it is neither lost nor silent."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (fault := task.exception()) is not None:
            self.trouble("a task of the edge failed", self.id, fault)

    def trouble(self, what: str, about: str, fault: BaseException) -> None:
        """Report a fault of ours, with where it happened."""
        where = "".join(traceback.format_exception(fault))
        self.observer.observe(Trouble(what, about, f"please report this:\n{where}", "error"))

    # --- Asking rooms -------------------------------------------------------------------------------------------------

    def next_number(self) -> int:
        """A number that no other asker of this process has had."""
        self._last_number += 1
        return self._last_number

    async def ask(self, room: str, make_event: Callable[[Origin], Event], timeout_s: float = 2.0) -> Answer:
        """Post an event to the room's owner and wait for its answer; `Refusal("unavailable")` if none comes in time.

        An unknown room is answered by its owner with `Refusal("unknown_room")`.
        """
        number = -self.next_number()  # a call's: the room need not be followed here
        waiter = self._waiters[number] = asyncio.get_running_loop().create_future()
        try:
            if not self.bus.post(room, make_event(Origin(self.id, number))):
                return UNAVAILABLE
            return await asyncio.wait_for(waiter, timeout_s)
        except TimeoutError:
            return UNAVAILABLE
        finally:
            del self._waiters[number]

    async def enter(self, room: str, identity: Identity, message: ClientMessage, address: str = "") -> Answer | Ack | ClaimAck:
        """A viewer's message that came over HTTP: the same checks as on a socket, then the room's answer or the ledger's.

        Includes the per-user message rate. A like without `cid` and a `tap` are answered `ok` without waiting.
        """
        return await self.mailbox.enter(room, identity, message, address)

    async def pay(
        self, hub: RoomHub, identity: Identity, message: ClaimMessage | GiftMessage, address: str
    ) -> Refusal | Ack | ClaimAck:
        """Wait for what the ledger says to a claim or a gift; `unavailable` if it says nothing in time."""
        if self.money is None:
            return UNAVAILABLE
        number, answer = self.next_number(), cast("Refusal | Ack | ClaimAck | None", None)
        waiter: asyncio.Future[Refusal | Ack | ClaimAck] = asyncio.get_running_loop().create_future()
        self._waiters[number] = waiter
        try:
            if isinstance(message, ClaimMessage):
                answer = self.money.claim(hub, identity, message, address, Caller(waiter), self.clock())
            else:
                answer = self.money.give(hub, identity, message, number)
            return answer if answer is not None else await asyncio.wait_for(waiter, self.rules.answer_deadline_ms / 1000)
        except TimeoutError:
            return UNAVAILABLE
        finally:
            del self._waiters[number]

    # --- Answers and notices ------------------------------------------------------------------------------------------

    def _replies(self, replies: Sequence[Reply]) -> None:
        sockets, came = self.pulse.sockets, self.answers.came
        for reply in replies:
            if (waiter := self._waiters.get(reply.asker)) is not None:
                if not waiter.done():
                    waiter.set_result(reply.answer)
            elif reply.cid is not None and came((reply.asker, reply.cid)) and (viewer := sockets.get(reply.asker)):
                viewer.answer(reply.cid, reply.answer)
            elif (
                reply.asker == TO_STAFF and isinstance(reply.answer, Done) and (hub := self.views.peek(reply.answer.value["room"]))
            ):
                hub.tell_staff(reply.answer.value)

    def hear(self, answers: Sequence[tuple[int, str, Refusal | Ack | ClaimAck]]) -> None:
        """What the ledger says to gifts: (asker, cid, answer) each."""
        sockets, came, waiters = self.pulse.sockets, self.answers.came, self._waiters
        for asker, cid, answer in answers:
            if waiters and (waiter := waiters.get(asker)) is not None:
                if not waiter.done():
                    waiter.set_result(answer)
            elif came((asker, cid)) and (viewer := sockets.get(asker)):
                viewer.answer(cid, answer)

    # --- Connections --------------------------------------------------------------------------------------------------

    def forget(self, viewer: ViewerSocket) -> None:
        """A socket is on its way out."""
        self.pulse.remove(viewer)
        self.lagging.pop(viewer, None)
        if self.knocking.discard(viewer):
            self.arrivals.forget(viewer)
        if viewer.held:
            self.admission.release(viewer.address, viewer.counted_as)

    def jitter_ms(self) -> int:
        """When to come back."""
        return random.randrange(self.rules.bye_spread_ms)  # noqa: S311 - spreads load, guards nothing

    def count_refusal(self, code: str) -> None:
        """A connection was refused; told to the observer once a second."""
        self._refusals[code] = self._refusals.get(code, 0) + 1

    def address(self, peer: str, forwarded_for: str) -> str:
        """The client's address: `peer`, or behind trusted proxies the rightmost untrusted entry of `X-Forwarded-For`."""
        return self.admission.address(peer, forwarded_for)

    def address_of(self, transport: asyncio.BaseTransport, *forwarded_for: str) -> str:
        """The client's address of a connection; "" where nobody asks for it (then the system is not asked either).

        `forwarded_for` are all lines of `X-Forwarded-For`: together they are one list (RFC 9110, section 5.3), and a client
        may have written the first.
        """
        if not self.admission.knows_addresses:
            return ""
        peer = transport.get_extra_info("peername")
        # A peer without an address is a local proxy on a Unix socket.
        return self.address(str(peer[0]) if isinstance(peer, tuple) else "127.0.0.1", ",".join(forwarded_for))

    @staticmethod
    def make_room(transport: asyncio.BaseTransport) -> None:
        """Let the kernel take what a socket has unsent, although its peer reads nothing: so a last word goes out.

        The kernel sends it if the peer ever reads on; our own memory is free at once.
        """
        connection = transport.get_extra_info("socket")
        if connection is not None and not transport.is_closing():
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_194_304)  # it grants less where less is allowed

    # --- The sweep ----------------------------------------------------------------------------------------------------

    def on_sweep(self, sweep: Callable[[int], None]) -> None:
        """Have something looked at with every sweep."""
        self._sweeps.append(sweep)

    def _wind_up(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self.rules.sweep_ms / 1000, self._on_time)

    def _on_time(self) -> None:
        self._wind_up()
        try:
            self.sweep(self.clock())
        except Exception as fault:  # noqa: BLE001 - the next sweep must come whatever happened in this one
            self.trouble("a sweep failed", self.id, fault)

    def sweep(self, now: int) -> None:
        """Look at everything that may be due at `now` (Unix ms)."""
        for number, cid in self.answers.overdue(now):
            if (viewer := self.pulse.sockets.get(number)) is not None:
                viewer.answer(cid, UNAVAILABLE)
        for viewer in self.knocking.expired(now):
            self.arrivals.too_late(viewer)
        for viewer in list(self.lagging):
            viewer.check_lag(now)
        for connection in self.closing.expired(now):
            connection.close_deadline()
        self.pulse.sweep(now)
        for sweep in self._sweeps:
            sweep(now)
        if now >= self._next_tick:
            self._next_tick = now + TICK_MS
            self._tick(now)

    def _tick(self, now: int) -> None:
        self.reports.tick(now)
        for hub in list(self.ending):
            if hub.closes_at is None:
                del self.ending[hub]  # the next broadcast has begun
            elif hub.over():
                hub.say_bye(list(hub.members()), hub.bye_over())
        self.views.sweep(now)
        for hub in self.views.next_share():
            self.reports.repeat(hub, now)
            self.views.recheck(hub, now)
            if hub.bans_due(now):
                self.spawn(self._refresh_bans(hub))
        refusals, self._refusals = self._refusals, {}
        for code, times in refusals.items():
            self.observer.observe(Refused("socket", code, times))

    async def _refresh_bans(self, hub: RoomHub) -> None:
        """The news of a ban travels at most once; the list is asked for now and then, so that none stays unheard."""
        bans: dict[str, int | None] = {}
        cursor: str | None = ""
        while cursor is not None:
            question = partial(Ask, by=NODE, what="bans", args={"limit": 200, "cursor": cursor})
            answer = await self.ask(hub.room, question)
            if not isinstance(answer, Done):
                return  # the owner is busy: the list as we know it holds until it is asked for again
            bans.update({ban["user"]: ban["until"] for ban in answer.value["data"]})
            cursor = answer.value["next_cursor"]
            hub.belongs_to(answer.value["merchant"])
        hub.replace_bans(bans)
