"""Claims on their way to the ledger: those for one drop together, and each with an answer within a second.

A batch leaves 5 ms after its first claim, or full; while one is under way the next gathers, so the busier the drop the fuller
the batches. If the ledger does not answer, everybody who waits is told so at once: their outcome is open, and the same `cid`
will settle it.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct

from livecast.core.drops import Missing
from livecast.core.errors import Refusal
from livecast.core.events import Ask, Done
from livecast.core.receipts import Occasion, receipt_of
from livecast.core.units import CLAIMS_MAX, Claim, ClaimAnswer, Entered, NotWon, Unit, Won
from livecast.edge.cards import Card, Cards
from livecast.edge.entry import UNAVAILABLE
from livecast.edge.facts import ASK_S, NODE, FactBook
from livecast.edge.identity import Identity
from livecast.edge.receipts import ISSUER, Receipts
from livecast.ledger import Ledger
from livecast.ports import ClaimsDecided, StoreError, Trouble
from livecast.wire.messages import ClaimAck

if TYPE_CHECKING:
    from livecast.edge.hub import RoomHub
    from livecast.edge.node import Node

BATCH_S: Final = 0.005
"""How long the first claim of a batch waits for company."""
WAITING_MAX: Final = 20_000
"""Claims that wait for one drop; more are `overloaded`. At 25,000 a second that is most of the second they are promised."""
DEADLINE_S: Final = 0.95
"""For a batch in all: facts, ledger and those queued behind it. The ledger itself gives up after 800 ms."""
GRANTED: Final = (Won, Entered)
"""Answers that the ledger has an entry for."""
OVERLOADED: Final = Refusal("overloaded", retry_after_ms=1000)
UNKNOWN_DROP: Final = Refusal("unknown_drop")


class Waiting(Struct, gc=False):
    """A claim that waits: who, which click, whom to answer."""

    who: Identity
    cid: str
    asker: int


#: Tells answers: (asker, cid, answer) each.
Tell = Callable[[Sequence[tuple[int, str, "ClaimAck | Refusal"]]], None]


class Claims:
    """All claims of this node. `tell` brings answers back; `ring` tells the shard's owner that there is something to read."""

    def __init__(
        self,
        node: Node,
        ledger: Ledger,
        *,
        cards: Cards,
        facts: FactBook,
        receipts: Receipts,
        tell: Tell,
        ring: Callable[[str], None],
    ) -> None:
        self.node = node
        self.ledger = ledger
        self.cards = cards
        self.facts = facts
        self.tell = tell
        self.ring = ring
        self._receipts = receipts
        self._queues: dict[tuple[str, str], Queue] = {}
        self._merchants: dict[str, str] = {}

    def take(self, hub: RoomHub, who: Identity, drop: str, cid: str, asker: int) -> Refusal | None:
        """A claim. None: `tell` brings its answer within a second."""
        queue = self._queues.get((hub.room, drop))
        if queue is None:
            queue = self._queues[hub.room, drop] = Queue(self, hub, drop)
        if len(queue.waiting) >= WAITING_MAX:
            return OVERLOADED
        queue.put(Waiting(who, cid, asker))
        return None

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

    def won(self, card: Card, one: Waiting, won: Won, broadcast: str, merchant: str) -> ClaimAck:
        """What a winner is told. It follows from the unit, so a repeat is told the same."""
        unit = Unit(won.serial, one.who.person.id, one.cid, won.at, won.of, "granted", won.code, won.expires_at)
        code = card.code_of(unit)
        receipt = self.receipt(card, unit, code, broadcast, merchant)
        test = card.drop.terms.test or None
        return ClaimAck(one.cid, "won", won.serial, won.of, code or None, receipt, won.expires_at, test=test)

    def receipt(self, card: Card, unit: Unit, code: str, broadcast: str, merchant: str) -> str:
        """The receipt for a unit and its code, signed."""
        drop = card.drop
        occasion = Occasion(ISSUER, merchant, drop.room, broadcast, drop.id, card.sku, drop.terms.test)
        return self._receipts.sign(receipt_of(unit, occasion, code))


class Queue:
    """The claims of one drop that wait, and the batch under way."""

    __slots__ = ("_claims", "_running", "_timer", "drop", "hub", "waiting")

    def __init__(self, claims: Claims, hub: RoomHub, drop: str) -> None:
        self._claims = claims
        self.hub = hub
        self.drop = drop
        self.waiting: deque[Waiting] = deque()
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

    def _go(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._running = True
        self._claims.node.spawn(self._run())

    async def _run(self) -> None:
        """Batch after batch, until nobody waits."""
        claims = self._claims
        try:
            while self.waiting:
                batch = [self.waiting.popleft() for _ in range(min(CLAIMS_MAX, len(self.waiting)))]
                try:
                    async with asyncio.timeout(DEADLINE_S):
                        answers = await self._decide(batch)
                except (StoreError, TimeoutError) as fault:
                    batch += self.waiting
                    self.waiting.clear()
                    answers = [UNAVAILABLE] * len(batch)
                    advice = f"they are answered `unavailable`; is the ledger up? ({str(fault) or 'no answer in time'})"
                    claims.node.observer.observe(Trouble("claims not decided", self.hub.room, advice))
                claims.tell([(one.asker, one.cid, answer) for one, answer in zip(batch, answers, strict=True)])
        except BaseException:
            # A fault of ours (or the end of the node): those who wait are told by their own deadline.
            self.waiting.clear()
            raise
        finally:
            self._running = False
            claims.done(self)

    async def _decide(self, batch: list[Waiting]) -> list[ClaimAck | Refusal]:
        claims, hub = self._claims, self.hub
        try:
            card = await claims.cards.get(hub.room, self.drop)
        except msgspec.DecodeError as fault:
            claims.node.trouble("a drop cannot be read", f"{hub.room}/{self.drop}", fault)
            return [UNAVAILABLE] * len(batch)
        if card is None:
            return [UNKNOWN_DROP] * len(batch)
        people = {one.who.person.id: one.who for one in batch}
        lacking = await claims.facts.lacking(hub.room, card.eligibility, people.values(), ask=card.asks_the_room)
        broadcast, began = str(hub.view.state["broadcast"]), claims.node.clock()
        has_pot = card.has_pot
        asked = [_claim(one, lacking[one.who.person.id], has_pot=has_pot) for one in batch]
        decided = await claims.ledger.claim(hub.room, self.drop, broadcast, asked, began)
        verdicts = Counter(map(verdict_of, decided))
        claims.node.observer.observe(ClaimsDecided(len(batch), claims.node.clock() - began, verdicts))
        if any(isinstance(answer, GRANTED) and not answer.again for answer in decided):
            claims.ring(hub.room)
        merchant: str | None = ""
        if verdicts["won"]:
            merchant = await claims.merchant(card, hub)
            # Who asks again in a later broadcast gets the same receipt.
            broadcast = await claims.cards.broadcast(hub.room, self.drop) or broadcast
        if merchant is None:  # who won is told once they ask again: a receipt says whom it is for
            decided = [Refusal("unavailable") if isinstance(answer, Won) else answer for answer in decided]
        return [
            claims.won(card, one, answer, broadcast, merchant or "")
            if isinstance(answer, Won)
            else _told(one, answer, lacking[one.who.person.id] or [])
            for one, answer in zip(batch, decided, strict=True)
        ]


def _claim(one: Waiting, lacking: list[Missing] | None, *, has_pot: bool) -> Claim:
    nonce = secrets.token_hex(16) if has_pot else ""
    return Claim(one.who.person.id, one.cid, bool(lacking), "unavailable" if lacking is None else "", nonce)


def _told(one: Waiting, answer: ClaimAnswer, lacking: list[Missing]) -> ClaimAck | Refusal:
    if isinstance(answer, NotWon):  # most of a crowd hears `sold_out`
        if answer.verdict != "not_eligible":
            return ClaimAck(one.cid, answer.verdict, opens_in_ms=answer.opens_in_ms)
        gift = [Missing("gifted", have=False, need=True)] if answer.gifted else []
        return ClaimAck(one.cid, "not_eligible", missing=tuple(as_told([*lacking, *gift])))
    if isinstance(answer, Entered):
        return ClaimAck(one.cid, "entered", nonce=answer.nonce or None)
    if isinstance(answer, Refusal):
        return UNAVAILABLE if answer.code == "unavailable" else answer
    raise TypeError("wins are told with their receipt")


def as_told(lacking: Sequence[Missing]) -> list[dict[str, Any]]:
    """What is missing, as clients read it."""
    return [{"rule": each.rule, "have": each.have, "need": each.need} for each in lacking]


def verdict_of(answer: ClaimAnswer) -> str:
    """An answer in one word, for those who count."""
    if isinstance(answer, NotWon):
        return answer.verdict
    if isinstance(answer, Won):
        return "won"
    return "entered" if isinstance(answer, Entered) else answer.code
