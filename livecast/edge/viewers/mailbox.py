"""Viewers' messages that come over HTTP: the same entry as a socket's, then the room's answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from livecast.core.errors import Refusal
from livecast.core.events import Answer, Event, Origin, Verdict
from livecast.edge.access.identity import Identity
from livecast.edge.door.admission import Rate
from livecast.edge.rooms.hub import RoomHub
from livecast.edge.viewers import entry
from livecast.edge.viewers.entry import UNAVAILABLE
from livecast.ports import StoreError
from livecast.wire.messages import Ack, Auth, ClaimAck, ClaimMessage, ClientMessage, CommentMessage, GiftMessage, Ping

if TYPE_CHECKING:
    from livecast.edge.node import Node

USERS_MAX: Final = 100_000
"""Users whose message rate is remembered; when there are more, all are forgotten, which errs on their side."""
OK: Final = Verdict("ok")


class Mailbox:
    """Messages without a connection: their rate is counted per user."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._rates: dict[str, Rate] = {}

    async def enter(self, room: str, identity: Identity, message: ClientMessage, address: str) -> Answer | Ack | ClaimAck:
        """One message; a like without `cid` and a `tap` are answered `ok` without waiting."""
        try:
            hub = await self._node.views.get(room)
        except StoreError:
            return UNAVAILABLE
        if hub is None:
            return Refusal("unknown_room")
        identity = hub.backstage.seen_as(identity)
        entered = self._refusal(hub, identity, message) or entry.enter(message, identity, hub, Origin(self._node.id, 0))
        if isinstance(entered, Refusal):
            if isinstance(message, CommentMessage) and not identity.person.anonymous:
                hub.count_refused(identity.person.id, message.cid, entered.code, final=entered.final)
            return entered
        if isinstance(message, ClaimMessage | GiftMessage):
            return await self._node.pay(hub, identity, message, address)
        if entered is None:
            return OK
        return await self._to_room(hub, identity, message, entered)

    async def _to_room(self, hub: RoomHub, identity: Identity, message: ClientMessage, entered: Event) -> Answer:
        room = hub.room
        if getattr(message, "cid", None) is None:
            return OK if self._node.bus.post(room, entered) else UNAVAILABLE

        def asked_by(origin: Origin) -> Event:
            return cast("Event", entry.enter(message, identity, hub, origin))  # an event a moment ago is one still

        return await self._node.ask(room, asked_by, self._node.rules.answer_deadline_ms / 1000)

    def _refusal(self, hub: RoomHub, identity: Identity, message: ClientMessage) -> Refusal | None:
        if isinstance(message, Auth | Ping):
            return Refusal("bad_message", "This message is for sockets only.")
        if (code := hub.refuses(identity)) is not None:
            return Refusal(code)
        user = identity.person.id
        rate = self._rates.get(user)
        if rate is None:
            if len(self._rates) >= USERS_MAX:
                self._rates.clear()
            rate = self._rates[user] = Rate(self._node.rules.messages_per_s, self._node.rules.messages_burst)
        wait_ms = rate.take(self._node.clock())
        return Refusal("rate_limited", retry_after_ms=wait_ms) if wait_ms else None
