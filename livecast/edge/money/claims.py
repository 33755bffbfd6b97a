"""Claims on their way to the ledger: those for one drop together, and each with an answer within a second.

A batch leaves 5 ms after its first claim, or full; while one is under way the next gathers, so the busier the drop the fuller
the batches. If the ledger does not answer, everybody who waits is told so at once: their outcome is open, and the same `cid`
will settle it.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec
from msgspec import Struct

from livecast.core.errors import Refusal
from livecast.core.events import Ask, Done
from livecast.core.money.drops import Missing
from livecast.core.money.receipts import Occasion, receipt_of
from livecast.core.money.units import CLAIMS_MAX, Claim, Entered, NotWon, Unit, Won
from livecast.edge.access.identity import Identity
from livecast.edge.money.cards import Card, Cards
from livecast.edge.money.facts import ASK_S, NODE, FactBook
from livecast.edge.money.receipts import ISSUER, Receipts
from livecast.edge.viewers.entry import UNAVAILABLE
from livecast.facts import ClaimsDecided, Trouble
from livecast.ledger import Ledger
from livecast.ports import StoreError
from livecast.wire.messages import ClaimAck

if TYPE_CHECKING:
    from livecast.edge.node import Node
    from livecast.edge.rooms.hub import RoomHub

BATCH_S: Final = 0.005
"""How long the first claim of a batch waits for company."""
WAITING_MAX: Final = 20_000
"""Claims that wait for one drop; more are `overloaded`. At 25,000 a second that is most of the second they are promised."""
DEADLINE_S: Final = 0.95
"""For a batch in all: facts, ledger and those queued behind it. The ledger itself gives up after 800 ms."""
SLICE_S: Final = 0.004
"""How long receipts are made before the loop gets a turn: five hundred take 20 ms and more, and the room has frames to hand out."""
PLAIN: Final = frozenset({"sold_out", "limit", "closed"})
"""Verdicts that say all there is to say."""
OVERLOADED: Final = Refusal("overloaded", retry_after_ms=1000)
UNKNOWN_DROP: Final = Refusal("unknown_drop")


class Waiting(Struct, gc=False):
    """A claim that waits: who, which click, whom to answer."""

    who: Identity
    user: str
    cid: str
    asker: int


Told: TypeAlias = "tuple[int, str, ClaimAck | Refusal]"
"""An answer on its way: asker, cid, what."""
#: Tells answers.
Tell = Callable[[Sequence[Told]], None]


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
        queue.put(Waiting(who, who.person.id, cid, asker))
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
        unit = Unit(won.serial, one.user, one.cid, won.at, won.of, "granted", won.code, won.expires_at)
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
                untold = [self.waiting.popleft() for _ in range(min(CLAIMS_MAX, len(self.waiting)))]
                try:
                    async with asyncio.timeout(DEADLINE_S):
                        await self._decide(untold)
                except (StoreError, TimeoutError) as fault:
                    untold += self.waiting
                    self.waiting.clear()
                    advice = f"they are answered `unavailable`; is the ledger up? ({str(fault) or 'no answer in time'})"
                    claims.node.observer.observe(Trouble("claims not decided", self.hub.room, advice))
                    claims.tell(_all(untold, UNAVAILABLE))
        except BaseException:
            # A fault of ours (or the end of the node): those who wait are told by their own deadline.
            self.waiting.clear()
            raise
        finally:
            self._running = False
            claims.done(self)

    async def _decide(self, untold: list[Waiting]) -> None:
        """Have a batch decided and tell everybody. If it raises, those who are left in `untold` have heard nothing."""
        claims, hub = self._claims, self.hub
        try:
            card = await claims.cards.get(hub.room, self.drop)
        except msgspec.DecodeError as fault:
            claims.node.trouble("a drop cannot be read", f"{hub.room}/{self.drop}", fault)
            claims.tell(_all(untold, UNAVAILABLE))
            return
        if card is None:
            claims.tell(_all(untold, UNKNOWN_DROP))
            return
        lacking = dict[str, list[Missing] | None]()
        if card.asks_anything:
            people = {one.user: one.who for one in untold}
            lacking = await claims.facts.lacking(hub.room, card.eligibility, people.values(), ask=card.asks_the_room)
        broadcast, began = str(hub.view.state["broadcast"]), claims.node.clock()
        if lacking or card.has_pot:
            asked = [_claim(one, lacking.get(one.user, []), has_pot=card.has_pot) for one in untold]
        else:
            asked = [Claim(one.user, one.cid) for one in untold]
        decided = await claims.ledger.claim(hub.room, self.drop, broadcast, asked, began)
        took_ms = claims.node.clock() - began
        told, winners = list[Told](), list[tuple[Waiting, Won]]()
        verdicts, is_news = dict[str, int](), False
        verdict: str
        for one, answer in zip(untold, decided, strict=True):
            if isinstance(answer, NotWon):  # most of a crowd hears `sold_out`
                verdict = answer.verdict
                cid = one.cid
                told.append((one.asker, cid, ClaimAck(cid, verdict) if verdict in PLAIN else _refused(one, answer, lacking)))
            elif isinstance(answer, Won):
                verdict = "won"
                winners.append((one, answer))
                is_news |= not answer.again
            elif isinstance(answer, Entered):
                verdict = "entered"
                told.append((one.asker, one.cid, ClaimAck(one.cid, verdict, nonce=answer.nonce or None)))
                is_news |= not answer.again
            else:
                verdict = answer.code
                told.append((one.asker, one.cid, UNAVAILABLE if verdict == "unavailable" else answer))
            verdicts[verdict] = verdicts.get(verdict, 0) + 1
        claims.node.observer.observe(ClaimsDecided(len(untold), took_ms, verdicts))
        if is_news:
            claims.ring(hub.room)
        untold[:] = [one for one, _ in winners]
        claims.tell(told)
        if winners:
            await self._tell_winners(card, winners, broadcast, untold)

    async def _tell_winners(self, card: Card, winners: list[tuple[Waiting, Won]], broadcast: str, untold: list[Waiting]) -> None:
        """Receipts take time: the others have heard by now, and the room goes on in between."""
        claims = self._claims
        merchant = await claims.merchant(card, self.hub)
        # Who asks again in a later broadcast gets the same receipt.
        broadcast = await claims.cards.broadcast(self.hub.room, self.drop) or broadcast
        if merchant is None:  # who won is told once they ask again: a receipt says whom it is for
            claims.tell(_all(untold, UNAVAILABLE))
            return
        time, told = asyncio.get_running_loop().time, list[Told]()
        try:
            until = time() + SLICE_S
            for one, answer in winners:
                told.append((one.asker, one.cid, claims.won(card, one, answer, broadcast, merchant)))
                if time() >= until:
                    await asyncio.sleep(0)
                    until = time() + SLICE_S
        finally:  # all at once: what one viewer won goes out in one write
            untold[:] = untold[len(told) :]
            claims.tell(told)


def _all(waiting: Sequence[Waiting], answer: Refusal) -> list[Told]:
    return [(one.asker, one.cid, answer) for one in waiting]


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
