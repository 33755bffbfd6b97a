"""Claims on their way to the ledger: those for one drop together, and each with an answer within a second.

A batch leaves 5 ms after its first claim, or full; while one is under way the next gathers, so the busier the drop the fuller
the batches. If the ledger does not answer, everybody who waits is told so at once: their outcome is open, and the same `cid`
will settle it.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec
from msgspec import Struct

from livecast.core.errors import Refusal
from livecast.core.events import Ask, Done
from livecast.core.money.drops import Missing
from livecast.core.money.receipts import Occasion, receipt_of
from livecast.core.money.units import CLAIMS_MAX, Claim, ClaimAnswer, Entered, NotWon, Unit, Won
from livecast.edge.access.identity import Identity
from livecast.edge.money.cards import Card, Cards
from livecast.edge.money.facts import ASK_S, NODE, FactBook
from livecast.edge.money.receipts import ISSUER, Receipts
from livecast.edge.viewers.entry import UNAVAILABLE
from livecast.facts import ClaimsDecided, Trouble
from livecast.ledger import Ledger
from livecast.ports import StoreError
from livecast.wire.messages import ClaimAck, ClaimMessage

if TYPE_CHECKING:
    from livecast.edge.node import Node
    from livecast.edge.rooms.hub import RoomHub

BATCH_S: Final = 0.005
"""How long the first claim of a batch waits for company."""
WAITING_MAX: Final = 20_000
"""Claims that wait for one drop; more are `overloaded`. At 25,000 a second that is most of the second they are promised."""
DEADLINE_S: Final = 0.95
"""For a batch in all: facts, ledger and those queued behind it. The ledger itself gives up after 800 ms."""
SIGNED_TOGETHER: Final = 100
"""Receipts made before the loop gets a turn, some 4 ms: five hundred take 20 and more, and the room has frames to hand out."""
PLAIN: Final = frozenset({"sold_out", "limit", "closed"})
"""Verdicts that say all there is to say."""
OVERLOADED: Final = Refusal("overloaded", retry_after_ms=1000)
UNKNOWN_DROP: Final = Refusal("unknown_drop")


class Asker(Protocol):
    """Whoever claims hears one answer to each claim. All calls come on the loop, and must neither block nor raise."""

    def answer(self, cid: str | None, answer: ClaimAck | Refusal, /) -> None:
        """What became of it."""

    def verdict(self, cid: str, verdict: str, /) -> None:
        """The same as `answer(cid, ClaimAck(cid, verdict))`, for the many who hear but a word."""


class Waiting(Struct, gc=False):
    """A claim that waits: who, which click, since when, and whom to answer; nobody (None) once they were."""

    who: Identity
    user: str
    cid: str
    at: int
    asker: Asker | None

    def tell(self, answer: ClaimAck | Refusal) -> None:
        """What became of it, once."""
        if (asker := self.asker) is not None:
            self.asker = None
            asker.answer(self.cid, answer)


class Claims:
    """All claims of this node. `ring` tells the shard's owner that there is something to read; `booked` waits until a room's books
    have the gifts that were given here.
    """

    def __init__(
        self,
        node: Node,
        ledger: Ledger,
        *,
        cards: Cards,
        facts: FactBook,
        receipts: Receipts,
        ring: Callable[[str], None],
        booked: Callable[[str], Awaitable[None]],
    ) -> None:
        self.node = node
        self.ledger = ledger
        self.cards = cards
        self.facts = facts
        self.ring = ring
        self.booked = booked
        self._receipts = receipts
        self._queues: dict[tuple[str, str], Queue] = {}
        self._merchants: dict[str, str] = {}

    def take(self, hub: RoomHub, who: Identity, message: ClaimMessage, asker: Asker, now: int) -> Refusal | None:
        """A claim. None: `asker` hears its answer within a second."""
        place = hub.room, message.drop
        queue = self._queues.get(place)
        if queue is None:
            queue = self._queues[place] = Queue(self, hub, message.drop)
        if len(queue.waiting) >= WAITING_MAX:
            return OVERLOADED
        queue.put(Waiting(who, who.person.id, message.cid, now, asker))
        return None

    def sweep(self, now: int) -> None:
        """Who has waited for too long is told that it is open what becomes of their claim."""
        late = now - self.node.rules.answer_deadline_ms
        for queue in self._queues.values():
            queue.give_up(late)

    def done(self, queue: Queue) -> None:
        """Nobody waits there any more."""
        self._queues.pop((queue.hub.room, queue.drop), None)

    async def merchant(self, card: Card, hub: RoomHub) -> str | None:
        """Whose drop it is: the audience of its receipts. The drop says so; of an old one its room is asked, once a broadcast.
        None: that does not answer.
        """
        if card.merchant is not None:
            return card.merchant
        key = f"{hub.room}/{hub.view.state['broadcast']}"
        if key not in self._merchants:
            answer = await self.node.ask(hub.room, lambda origin: Ask(origin, NODE, "room"), ASK_S)
            if not isinstance(answer, Done):
                return None
            if len(self._merchants) > 10_000:  # rooms whose drops were claimed here; forgetting costs a question
                self._merchants.clear()
            self._merchants[key] = str(answer.value.get("merchant", ""))
        return self._merchants[key]

    def won(self, card: Card, winners: Sequence[tuple[Waiting, Won]], broadcast: str, merchant: str) -> list[ClaimAck]:
        """What winners are told. It follows from the unit, so a repeat is told the same."""
        units = [Unit(won.serial, one.user, one.cid, won.at, won.of, "granted", won.code, won.expires_at) for one, won in winners]
        codes = [card.code_of(unit) for unit in units]
        receipts = self.receipts(card, units, codes, broadcast, merchant)
        test = card.drop.terms.test or None
        return [
            ClaimAck(unit.cid, "won", unit.serial, unit.of, code or None, receipt, unit.expires_at, test=test)
            for unit, code, receipt in zip(units, codes, receipts, strict=True)
        ]

    def receipts(self, card: Card, units: Sequence[Unit], codes: Sequence[str], broadcast: str, merchant: str) -> list[str]:
        """The receipts for units and their codes, signed."""
        drop = card.drop
        occasion = Occasion(ISSUER, merchant, drop.room, broadcast, drop.id, card.sku, drop.terms.test)
        return self._receipts.sign_all([receipt_of(unit, occasion, code) for unit, code in zip(units, codes, strict=True)])


class Queue:
    """The claims of one drop that wait, and the batch under way."""

    __slots__ = ("_batch", "_claims", "_running", "_timer", "drop", "hub", "waiting")

    def __init__(self, claims: Claims, hub: RoomHub, drop: str) -> None:
        self._claims = claims
        self.hub = hub
        self.drop = drop
        self.waiting: deque[Waiting] = deque()
        self._batch: list[Waiting] = []
        self._timer: asyncio.TimerHandle | None = None
        self._running = False

    def put(self, one: Waiting) -> None:
        """One more."""
        self.waiting.append(one)
        if self._running:
            return
        if len(self.waiting) >= CLAIMS_MAX:
            self._go()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(BATCH_S, self._go)

    def give_up(self, late: int) -> None:
        """Those who wait since `late` (Unix ms) or longer need wait no more."""
        waiting = self.waiting
        while waiting and waiting[0].at <= late:
            waiting.popleft().tell(UNAVAILABLE)
        for one in self._batch:
            if one.at > late:
                return
            one.tell(UNAVAILABLE)

    def _go(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._running = True
        self._claims.node.spawn(self._run())

    async def _run(self) -> None:
        """Batch after batch, until nobody waits."""
        claims, waiting = self._claims, self.waiting
        try:
            while waiting:
                self._batch = [waiting.popleft() for _ in range(min(CLAIMS_MAX, len(waiting)))]
                try:
                    async with asyncio.timeout(DEADLINE_S):
                        await self._decide(self._batch)
                except (StoreError, TimeoutError) as fault:
                    advice = f"they are answered `unavailable`; is the ledger up? ({str(fault) or 'no answer in time'})"
                    claims.node.observer.observe(Trouble("claims not decided", self.hub.room, advice))
                    self._tell_all(UNAVAILABLE)
        except Exception:
            self._tell_all(UNAVAILABLE)  # a fault of ours: nobody knows what became of theirs
            raise
        finally:
            waiting.clear()
            self._batch = []
            self._running = False
            claims.done(self)

    def _tell_all(self, answer: Refusal) -> None:
        """The same to all who have heard nothing yet."""
        _tell(self._batch, answer)
        _tell(self.waiting, answer)
        self.waiting.clear()

    async def _decide(self, batch: Sequence[Waiting]) -> None:
        """Have a batch decided and tell everybody. If it raises, some may have heard nothing."""
        claims, hub = self._claims, self.hub
        try:
            card = await claims.cards.get(hub.room, self.drop)
        except msgspec.DecodeError as fault:
            claims.node.trouble("a drop cannot be read", f"{hub.room}/{self.drop}", fault)
            _tell(batch, UNAVAILABLE)
            return
        if card is None:
            _tell(batch, UNKNOWN_DROP)
            return
        lacking = dict[str, list[Missing] | None]()
        if card.asks_anything:
            people = {one.user: one.who for one in batch}
            lacking = await claims.facts.lacking(hub.room, card.eligibility, people.values(), ask=card.asks_the_room)
        if card.eligibility.gifted:
            await claims.booked(hub.room)
        broadcast, began = str(hub.view.state["broadcast"]), claims.node.clock()
        if lacking or card.has_pot:
            asked = [_claim(one, lacking.get(one.user, []), has_pot=card.has_pot) for one in batch]
        else:
            asked = [Claim(one.user, one.cid) for one in batch]
        decided = await claims.ledger.claim(hub.room, self.drop, broadcast, asked, began)
        winners = self._tell_most(batch, decided, lacking, claims.node.clock() - began)
        if winners:
            await self._tell_winners(card, winners, broadcast)

    def _tell_most(
        self, batch: Sequence[Waiting], decided: Sequence[ClaimAnswer], lacking: dict[str, list[Missing] | None], took_ms: int
    ) -> list[tuple[Waiting, Won]]:
        """Tell all but the winners, who need a receipt each: those are returned."""
        winners, verdicts, is_news = list[tuple[Waiting, Won]](), defaultdict[str, int](int), False
        verdict: str
        for one, answer in zip(batch, decided, strict=True):
            if isinstance(answer, NotWon):  # most of a crowd hears `sold_out`
                verdict = answer.verdict
                if verdict not in PLAIN:
                    one.tell(_refused(one, answer, lacking))
                elif (asker := one.asker) is not None:
                    one.asker = None
                    asker.verdict(one.cid, verdict)
            elif isinstance(answer, Won):
                verdict = "won"
                winners.append((one, answer))
                is_news |= not answer.again
            elif isinstance(answer, Entered):
                verdict = "entered"
                one.tell(ClaimAck(one.cid, verdict, nonce=answer.nonce or None))
                is_news |= not answer.again
            else:
                verdict = answer.code
                one.tell(UNAVAILABLE if verdict == "unavailable" else answer)
            verdicts[verdict] += 1
        self._claims.node.observer.observe(ClaimsDecided(len(batch), took_ms, verdicts))
        if is_news:
            self._claims.ring(self.hub.room)
        return winners

    async def _tell_winners(self, card: Card, winners: list[tuple[Waiting, Won]], broadcast: str) -> None:
        """Receipts take time: the others have heard by now, and the room goes on in between."""
        claims = self._claims
        merchant = await claims.merchant(card, self.hub)
        # Who asks again in a later broadcast gets the same receipt.
        broadcast = await claims.cards.broadcast(self.hub.room, self.drop) or broadcast
        if merchant is None:  # who won is told once they ask again: a receipt says whom it is for
            _tell((one for one, _ in winners), UNAVAILABLE)
            return
        acks = list[ClaimAck]()
        try:
            for first in range(0, len(winners), SIGNED_TOGETHER):
                if first:
                    await asyncio.sleep(0)
                acks += claims.won(card, winners[first : first + SIGNED_TOGETHER], broadcast, merchant)
        finally:  # all at once: what one viewer won goes out in one write
            for (one, _), ack in zip(winners, acks, strict=False):
                one.tell(ack)


def _tell(waiting: Iterable[Waiting], answer: Refusal) -> None:
    for one in waiting:
        one.tell(answer)


def _claim(one: Waiting, lacking: list[Missing] | None, *, has_pot: bool) -> Claim:
    nonce = secrets.token_hex(16) if has_pot else ""
    return Claim(one.user, one.cid, bool(lacking), "unavailable" if lacking is None else "", nonce)


def _refused(one: Waiting, answer: NotWon, lacking: dict[str, list[Missing] | None]) -> ClaimAck:
    if answer.verdict != "not_eligible":
        return ClaimAck(one.cid, answer.verdict, opens_in_ms=answer.opens_in_ms)
    gift = [Missing("gifted", have=False, need=True)] if answer.gifted else []
    return ClaimAck(one.cid, "not_eligible", missing=tuple(as_told([*(lacking.get(one.user) or []), *gift])))


def as_told(lacking: Sequence[Missing]) -> list[dict[str, Any]]:
    """What is missing, as clients read it."""
    return [{"rule": each.rule, "have": each.have, "need": each.need} for each in lacking]
