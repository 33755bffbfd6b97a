"""Claims on their way to the ledger: those for one drop together, and each with an answer within a second.

A batch leaves 5 ms after its first claim, or full; while one is under way the next gathers, so the busier the drop the fuller
the batches. Winners are told while the ledger decides the next batch: to sign their receipts takes the node as long. If the ledger
does not answer, everybody who waits is told so at once: their outcome is open, and the same `cid` will settle it.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

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
    """The claims of one drop that wait, the batch under way, and the winners of the one before it while they are told."""

    __slots__ = ("_batch", "_claims", "_running", "_timer", "_winners", "drop", "hub", "waiting")

    def __init__(self, claims: Claims, hub: RoomHub, drop: str) -> None:
        self._claims = claims
        self.hub = hub
        self.drop = drop
        self.waiting: deque[Waiting] = deque()
        self._batch: list[Waiting] = []
        self._winners: list[Waiting] = []
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
        for one in (*self._winners, *self._batch):
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
        telling: asyncio.Task[None] | None = None
        try:
            while waiting or telling is not None:
                won = await self._decide_next() if waiting else None
                if telling is not None:
                    await telling  # who was decided first hears first
                self._winners = [] if won is None else [one for one, _ in won.units]
                telling = asyncio.create_task(self._tell_winners(won)) if won is not None else None
        except Exception:
            for those in (self._winners, self._batch, waiting):
                _tell(those, UNAVAILABLE)  # a fault of ours: nobody knows what became of theirs
            raise
        finally:
            if telling is not None:
                telling.cancel()
            waiting.clear()
            self._batch, self._winners = [], []
            self._running = False
            claims.done(self)

    async def _decide_next(self) -> _Winners | None:
        """A batch of those who wait. Raises nothing but for faults of ours."""
        waiting = self.waiting
        self._batch = [waiting.popleft() for _ in range(min(CLAIMS_MAX, len(waiting)))]
        try:
            async with asyncio.timeout(DEADLINE_S):
                return await self._decide(self._batch)
        except (StoreError, TimeoutError) as fault:
            self._in_doubt(fault, [*self._batch, *waiting])
            waiting.clear()
            return None

    def _in_doubt(self, fault: Exception, those: Sequence[Waiting]) -> None:
        """The ledger, or who else had to be asked, did not say what became of these."""
        advice = f"they are answered `unavailable`; is the ledger up? ({str(fault) or 'no answer in time'})"
        self._claims.node.observer.observe(Trouble("claims not decided", self.hub.room, advice))
        _tell(those, UNAVAILABLE)

    async def _decide(self, batch: Sequence[Waiting]) -> _Winners | None:
        """Have a batch decided and tell everybody but those who won. If it raises, some may have heard nothing."""
        claims, hub = self._claims, self.hub
        try:
            card = await claims.cards.get(hub.room, self.drop)
        except msgspec.DecodeError as fault:
            claims.node.trouble("a drop cannot be read", f"{hub.room}/{self.drop}", fault)
            _tell(batch, UNAVAILABLE)
            return None
        if card is None:
            _tell(batch, UNKNOWN_DROP)
            return None
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
        return _Winners(card, winners, broadcast) if winners else None

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

    async def _tell_winners(self, won: _Winners) -> None:
        """Receipts take time: the others have heard by now, and the room goes on in between."""
        try:
            async with asyncio.timeout(DEADLINE_S):
                acks = await self._acks(won)
        except (StoreError, TimeoutError) as fault:
            self._in_doubt(fault, self._winners)
            return
        if acks is None:  # who won is told once they ask again: a receipt says whom it is for
            _tell(self._winners, UNAVAILABLE)
            return
        for one, ack in zip(self._winners, acks, strict=True):  # all at once: what one viewer won goes out in one write
            one.tell(ack)

    async def _acks(self, won: _Winners) -> list[ClaimAck] | None:
        """What they are told, or None if nobody says whose drop it is."""
        claims, card, units = self._claims, won.card, won.units
        merchant = await claims.merchant(card, self.hub)
        if merchant is None:
            return None
        # Who asks again in a later broadcast gets the same receipt.
        broadcast = await claims.cards.broadcast(self.hub.room, self.drop) or won.broadcast
        acks = list[ClaimAck]()
        for first in range(0, len(units), SIGNED_TOGETHER):
            if first:
                await asyncio.sleep(0)
            acks += claims.won(card, units[first : first + SIGNED_TOGETHER], broadcast, merchant)
        return acks


class _Winners(NamedTuple):
    """Who won something in a batch, and what a receipt says of it."""

    card: Card
    units: list[tuple[Waiting, Won]]
    broadcast: str


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
