"""Gifts on their way from a viewer's message to the ledger: what is asked, what speaks against it, and the rest of the way.

The giver is answered once the debit is safe. Then the gift is booked in its room; should we die between, the sweeper of the
giver's shard finds it and brings it there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final
from zlib import crc32

import msgspec
from msgspec import Struct

from livecast.core.errors import Refusal
from livecast.core.events import Person
from livecast.core.money.coins import (
    Gift,
    GiftRecord,
    Moved,
    Pending,
    SpendLimits,
    limit_ends_in,
    viewer_tx,
)
from livecast.core.money.gifts import CatalogueGift, about_of, paid_text
from livecast.core.nodes.placement import shard_of
from livecast.edge.access.identity import Identity
from livecast.edge.money.finishing import Finishing
from livecast.edge.viewers.entry import UNAVAILABLE
from livecast.facts import GiftsDecided, Trouble
from livecast.ledger import Ledger, MovementAnswer, finish
from livecast.ports import StoreError
from livecast.wire.codec import body_digest
from livecast.wire.messages import Ack, GiftMessage

if TYPE_CHECKING:
    from livecast.edge.node import Node
    from livecast.edge.rooms.hub import RoomHub

UNDER_WAY_MAX: Final = 2_000
"""Gifts whose debit is asked for now; more are `overloaded` (not done) before they would be `unavailable` (in doubt): at 2,500 a
second the last of them is answered within the ledger's 800 ms."""
GATHER_S: Final = 0.005
"""How long gifts wait to be debited together, as calls of the ledger would: so a batch costs what each of them would cost alone.
One that finds none under way leaves in the next turn of the loop."""
PENDING_MAX: Final = 500
"""Gifts on their way that are looked through for one of them."""
WHENEVER: Final = 2**53 - 1
OVERLOADED: Final = Refusal("overloaded", retry_after_ms=1000)
UNKNOWN_GIFT: Final = Refusal("unknown_gift")
NOT_LIVE: Final = Refusal("room_not_live")
NO_HOST: Final = Refusal("invalid", "No host of this room has such an id.", field="to")
STAFF_SPEAKS: Final = Refusal("forbidden", "Only staff may speak just now: give it without a text.", field="text")
PRICE_CHANGED: Final = Refusal("price_changed")


class Asked(Struct, gc=False):
    """A gift that waits for its debit, and whom to answer."""

    gift: Gift
    objection: Refusal | None
    cid: str
    asker: int


#: Tells answers: (asker, cid, answer) each.
Tell = Callable[[Sequence[tuple[int, str, "Ack | Refusal"]]], None]


class Giving:
    """Gifts of this node. `tell` brings answers back; `ring` tells a shard's owner that there is something to read; `told` hears of
    each new balance.
    """

    def __init__(
        self,
        node: Node,
        ledger: Ledger,
        *,
        tell: Tell,
        ring: Callable[[str], None],
        told: Callable[[str, int], None],
    ) -> None:
        self._node = node
        self._ledger = ledger
        self._tell = tell
        self._ring = ring
        self._told = told
        self._waiting: list[Asked] = []
        self._timer: asyncio.TimerHandle | None = None
        self._under_way = 0
        self._finishing = Finishing(node, ledger, ring)
        self._catalogue: dict[str, CatalogueGift] = {}
        self._limits = SpendLimits()

    def keep_to(self, catalogue: Iterable[CatalogueGift], limits: SpendLimits) -> None:
        """What can be given from now on, and how much of it."""
        self._catalogue = {gift.id: gift for gift in catalogue}
        self._limits = limits

    def take(self, hub: RoomHub, who: Identity, message: GiftMessage, asker: int) -> Refusal | None:
        """A viewer's gift. None: `tell` brings its answer within a second."""
        if self._under_way + len(self._waiting) >= UNDER_WAY_MAX:
            return OVERLOADED
        gift, objection = self._asked(hub, who, message)
        self._waiting.append(Asked(gift, objection, message.cid, asker))
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(GATHER_S if self._under_way else 0, self._go)
        return None

    def _go(self) -> None:
        self._timer = None
        some, self._waiting = self._waiting, []
        by_server: dict[str, list[Asked]] = {}
        for each in some:  # one server that does not answer delays nobody else's gifts
            by_server.setdefault(self._ledger.server_of(each.gift.user), []).append(each)
        for together in by_server.values():
            self._node.spawn(self._debit(together))

    async def _debit(self, some: Sequence[Asked]) -> None:
        """Have these debited, and tell everybody what became of theirs."""
        node, began = self._node, self._node.clock()
        self._under_way += len(some)
        answers: Sequence[MovementAnswer | StoreError]
        try:
            debits = [(each.gift, each.objection.code if each.objection else "") for each in some]
            answers = await self._ledger.debit_gifts(debits, self._limits, began)
        except StoreError as fault:
            answers = [fault] * len(some)
        finally:
            self._under_way -= len(some)
        told, verdicts = list[tuple[int, str, Ack | Refusal]](), dict[str, int]()
        said: Ack | Refusal
        unknown: tuple[str, StoreError] | None = None
        for each, answer in zip(some, answers, strict=True):
            if isinstance(answer, StoreError):
                unknown, said = (each.gift.room, answer), UNAVAILABLE
                # If it was debited, the owner of the shard has to hear of it: one that slept is read on every half a minute.
                self._ring(each.gift.user)
            elif isinstance(answer, Moved):
                said = self._sent(each, answer, began)
            else:
                said = _refused(each, answer, began)
            verdict = "sent" if isinstance(said, Ack) else said.code
            verdicts[verdict] = verdicts.get(verdict, 0) + 1
            told.append((each.asker, each.cid, said))
        if unknown is not None:  # one speaks for all
            advice = f"gifts are answered `unavailable`; is the ledger up? ({unknown[1]})"
            node.observer.observe(Trouble("a gift was not decided", unknown[0], advice))
        node.observer.observe(GiftsDecided(len(some), node.clock() - began, verdicts))
        self._tell(told)

    def _sent(self, asked: Asked, moved: Moved, began: int) -> Ack:
        gift = asked.gift
        self._told(gift.user, moved.balance)
        if moved.at == began:
            self._finishing.take(Pending("commit", shard_of(gift.user), gift, began))
        else:  # of a repeat we do not know what the first one was booked as: the sweeper does, once it has heard of it
            self._ring(gift.user)
        return Ack(asked.cid, "sent", tx=moved.tx, balance=moved.balance)

    async def give_elsewhere(self, hub: RoomHub, tx: str, person: Person, *, gift: str, n: int, to: str) -> GiftRecord | Refusal:
        """A gift that was paid for elsewhere. Raises `StoreError`."""
        content = msgspec.json.encode((hub.room, person.id, gift, n, to))
        body, digest = crc32(content), sha256(content).hexdigest()
        # Its room's shard cannot know of a gift with the same id in another room: the id's own shard does.
        bound = await self._ledger.bind_tx(tx, digest, self._node.clock())
        if bound == "other":
            return Refusal("conflict")
        kind = self._catalogue.get(gift)
        state = hub.view.state
        objection = UNKNOWN_GIFT if kind is None else self._objection(state, kind, to)
        if kind is None or objection is not None:
            known = await self._ledger.find_gift(tx, hub.room)
            if known is None and bound == "new":
                await self._ledger.unbind_tx(tx, digest, self._node.clock())
            return known or objection or UNKNOWN_GIFT
        about = about_of(person, kind.tier)
        asked = Gift(tx, person.id, hub.room, str(state["broadcast"]), gift, n, kind.price * n, body, to, "elsewhere", about)
        record = await self._ledger.commit_gift(asked, self._node.clock())
        if record.gift.body != body:  # an id of months ago: the gift is kept for longer than what its id is bound to
            return Refusal("conflict")
        self._ring(hub.room)
        return record

    async def booked(self, room: str) -> None:
        """Wait until the gifts whose givers were answered are in the books of their room."""
        await self._finishing.booked(room)

    async def find(self, tx: str) -> GiftRecord | None:
        """A gift by its id, wherever it is. One that was paid for and is still on its way is brought to its room first: its giver
        has its id, so it may be asked for. Raises `StoreError`.
        """
        giver, now = tx.partition("/")[0], self._node.clock()
        on_their_way = await self._ledger.pending(shard_of(giver), WHENEVER, PENDING_MAX) if giver else []
        for pending in on_their_way:
            if (pending.kind, pending.gift.tx) == ("commit", tx):
                await finish(self._ledger, pending, now)
                self._ring(pending.gift.room)
                return await self._ledger.find_gift(tx, pending.gift.room)
        return await self._ledger.find_gift(tx)

    async def reverse(self, room: str, tx: str, reason: str) -> GiftRecord | Refusal:
        """Take a gift back. Raises `StoreError`."""
        record = await self._ledger.reverse_gift(room, tx, reason, self._node.clock())
        if isinstance(record, Refusal):
            return record
        self._ring(room)
        if record.gift.paid == "wallet":
            await self._pay_back(Pending("refund", shard_of(room), record.gift, record.reversed_at or record.at))
        return record

    async def _pay_back(self, pending: Pending) -> None:
        """The other half of a reversal; what fails here is the sweeper's."""
        try:
            await finish(self._ledger, pending, self._node.clock())
        except StoreError as fault:
            advice = f"it is finished once the ledger answers ({fault})"
            self._node.observer.observe(Trouble("a gift is half done", pending.gift.room, advice))
            return
        self._ring(pending.gift.user)

    def _asked(self, hub: RoomHub, who: Identity, message: GiftMessage) -> tuple[Gift, Refusal | None]:
        """The gift, and what speaks against a new one."""
        kind = self._catalogue.get(message.gift)
        state = hub.view.state
        objection: Refusal | None = UNKNOWN_GIFT
        text = ""
        if kind is not None:
            said = paid_text(message.text, kind.tier)
            objection = self._objection(state, kind, message.to or "", message.unit_price)
            if isinstance(said, Refusal):
                objection = objection or said
            elif said and hub.view.policy["mode"] == "staff" and not who.person.staff:
                objection = objection or STAFF_SPEAKS
            else:
                text = said
        gift = Gift(
            tx=viewer_tx(who.person.id, message.cid),
            user=who.person.id,
            room=hub.room,
            broadcast=str(state["broadcast"]),
            gift=message.gift,
            n=message.n,
            value=message.n * (kind.price if kind else 1),
            body=crc32(hub.room.encode(), body_digest(message)),
            to=message.to or "",
            about=about_of(who.person, kind.tier if kind else 1, text),
        )
        return gift, objection

    @staticmethod
    def _objection(state: dict[str, Any], kind: CatalogueGift, to: str, unit_price: int | None = None) -> Refusal | None:
        if state["status"] != "live":
            return NOT_LIVE
        if to and all(to != host["id"] for host in state["hosts"]):
            return NO_HOST
        return PRICE_CHANGED if unit_price is not None and unit_price != kind.price else None


def _refused(asked: Asked, refusal: Refusal, began: int) -> Refusal:
    """As it is told: the ledger knows an objection by its code alone, and not when a limit ends."""
    if refusal.code == "spend_limit":
        return msgspec.structs.replace(refusal, retry_after_ms=limit_ends_in(refusal.field, began))
    objection = asked.objection
    return objection if objection is not None and refusal.code == objection.code else refusal
