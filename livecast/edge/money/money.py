"""Everything that has value, as the rest of the edge uses it: `node.money`, or None on a node without a ledger.

What the HTTP API calls:

- reads go to `money.ledger` itself (`livecast.ledger.Ledger`); `StoreError` from it is a 503 already;
- drops, units, orders and wallets are changed with `money.ledger` too, and each change is followed by `money.ring(place)`, so
  that the shard's owner reads on at once: frames, notices and webhooks follow from the entries, not from the call;
- gifts of services: `give_elsewhere`, `reverse`; codes and receipts: `coder`, `jwks`; one's own: `mine`.

A viewer's gift has the id `USER/CID` (`core.money.viewer_tx`), which its `ack` tells as `tx`: in a path it spans two segments.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec
from msgspec import Struct, field

from livecast.core.errors import Refusal
from livecast.core.events import Notice, Person
from livecast.core.money.coins import GiftRecord, SpendLimits, service_tx
from livecast.core.money.drops import ASKING, read_about
from livecast.core.money.gifts import CATALOGUE, CatalogueGift
from livecast.core.money.units import HELD, Drop, Holding, Unit
from livecast.edge.access.identity import Identity
from livecast.edge.money.cards import Card, Cards
from livecast.edge.money.claims import Asker, Claims, as_told
from livecast.edge.money.facts import FactBook
from livecast.edge.money.giving import Giving
from livecast.edge.money.receipts import Receipts
from livecast.edge.rates import Rates
from livecast.ledger import Ledger
from livecast.ports import StoreError
from livecast.wire.messages import Ack, ClaimMessage, GiftMessage

if TYPE_CHECKING:
    from livecast.edge.node import Node
    from livecast.edge.rooms.hub import RoomHub

CodeOf: TypeAlias = Callable[[Unit], str]
"""The code of a unit, "" where the drop has none: generated ones follow from the serial and are not in the ledger."""

SECRET_BYTES: Final = 32
"""Of a drop's secret: nobody guesses 256 bits, and a commitment to them gives nothing away."""
HOLDINGS_MAX: Final = 50
"""Newest drops of a room that one's own are looked up in: more are not in a broadcast."""
BALANCES_MAX: Final = 50_000
"""Balances that are remembered for welcomes; when there are more, all are forgotten."""
BALANCE_KEEP_MS: Final = 30_000
"""How long a balance is told without asking. News of it travels at most once."""
LEARN_S: Final = 0.1
"""How long somebody who joins waits for their balance at most."""
BALANCES_PER_S: Final = 25
"""Balances read for those who join and are not known, so that a crowd that comes at once costs the ledger nothing."""


BOOKED_S: Final = 0.2
"""How long a question waits for gifts that were just given to be in their room's books. It takes some hundredths of a second."""


class MoneyRules(Struct, frozen=True):
    """What a deployment fixes about money: what can be given, how much of it, and how fast one may click."""

    catalogue: tuple[CatalogueGift, ...] = CATALOGUE
    limits: SpendLimits = field(default_factory=SpendLimits)
    claims_per_user_per_s: float = 5
    claims_per_user_burst: int = 20
    claims_per_address_per_s: float = 0
    shown_s: float = 2
    """How long the answer to a drop's step waits for viewers to see it, as for any word of a room. It is taken either way."""


class Money:
    """What `node.money` offers. Everything that asks the ledger may raise `StoreError` (then: outcome unknown, ask again)."""

    def __init__(
        self, node: Node, ledger: Ledger, receipts: Receipts, ring: Callable[[str], None], rules: MoneyRules | None = None
    ) -> None:
        self.ledger = ledger
        self.rules = rules or MoneyRules()
        self.receipts = receipts
        self.ring = ring
        """The ledger of a room's or a user's shard has a new entry: its owner shall read on. Never waits, never fails."""
        self.closed: Callable[[], str] = str
        """Why money is closed somewhere, or ""; the composition root puts here who knows."""
        self._node = node
        self._cards = Cards(ledger)
        self._facts = FactBook(node, ledger)
        self._claims = Claims(node, ledger, cards=self._cards, facts=self._facts, receipts=receipts, ring=ring, booked=self.booked)
        node.on_sweep(self._claims.sweep)
        self._giving = Giving(node, ledger, tell=self._tell, ring=ring, told=self.note_balance)
        self.keep_to(self.rules)
        self._balances: dict[str, tuple[int, int]] = {}
        self._look_ups = Rates(BALANCES_PER_S, 4 * BALANCES_PER_S)

    def keep_to(self, rules: MoneyRules) -> None:
        """These hold from now on: gifts under way were asked for at the old prices and get them."""
        self.rules = rules
        self._giving.keep_to(rules.catalogue, rules.limits)
        self._by_user = Rates(rules.claims_per_user_per_s, rules.claims_per_user_burst)
        per_address = rules.claims_per_address_per_s
        self._by_address = Rates(per_address, max(1, int(2 * per_address))) if per_address else None

    # --- Claims and gifts ---------------------------------------------------------------------------------------------
    def claim(  # noqa: PLR0917 - a click has so much about it, and names cost a twentieth of what it does
        self, hub: RoomHub, who: Identity, message: ClaimMessage, address: str, asker: Asker, now: int
    ) -> Refusal | None:
        """A claim of somebody who may make one. None: `asker` hears the answer within a second."""
        wait_ms = self._by_user.take(who.person.id, now)
        if self._by_address is not None and not wait_ms:
            wait_ms = self._by_address.take(address, now)
        if wait_ms:
            return Refusal("rate_limited", retry_after_ms=wait_ms)
        return self._claims.take(hub, who, message, asker, now)

    def give(self, hub: RoomHub, who: Identity, message: GiftMessage, asker: int) -> Refusal | None:
        """A gift of somebody who may give one. None: the node hears the answer for (asker, cid) within a second."""
        return self._giving.take(hub, who, message, asker)

    async def give_elsewhere(
        self, room: str, key: str, tx: str, *, person: Person, gift: str, n: int, to: str = ""
    ) -> GiftRecord | Refusal:
        """A gift that was paid for elsewhere, told by the service `key`: booked once per (key, tx), shown, on the board.

        `person`: the giver as the room shall see them. Refused: `unknown_gift`, `invalid` (`to` is no host), `room_not_live`,
        `unknown_room`, `conflict` (same tx, other body).
        """
        hub = await self._node.views.get(room)
        if hub is None:
            return Refusal("unknown_room")
        return await self._giving.give_elsewhere(hub, service_tx(key, tx), person, gift=gift, n=n, to=to)

    async def booked(self, room: str) -> None:
        """Wait until the room's books have the gifts that this node told `sent`, if that does not take too long: who was told so
        and asks for the board, or claims what is for givers, finds theirs there.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(BOOKED_S):
                await self._giving.booked(room)

    async def find(self, tx: str) -> GiftRecord | None:
        """A gift by its id (`viewer_tx`, `service_tx`), in whichever room, from the moment at which its giver was answered."""
        return await self._giving.find(tx)

    async def reverse(self, room: str, tx: str, reason: str) -> GiftRecord | Refusal:
        """Take a gift back: off board and earnings, coins back to the wallet it was paid from. `tx` as in `core.money`
        (`viewer_tx`, `service_tx`). Again: the first reversal. Refused: `not_found`.
        """
        return await self._giving.reverse(room, tx, reason)

    def _tell(self, answers: Sequence[tuple[int, str, Ack | Refusal]]) -> None:
        self._node.hear(answers)

    # --- Drops --------------------------------------------------------------------------------------------------------
    @staticmethod
    def new_secret() -> bytes:
        """A fresh `NewDrop.secret`: what its codes (`core.codes.code_key`) and its draw (`core.draw.seed_of`) are made with."""
        return secrets.token_bytes(SECRET_BYTES)

    async def coder(self, room: str, drop: str) -> CodeOf:
        """What tells the codes of a drop's units (for lists, CSV, webhooks)."""
        card = await self._cards.get(room, drop)
        return (lambda unit: unit.code) if card is None else card.code_of

    def note_facts(self, room: str, user: str) -> None:
        """The platform says something else of a user."""
        self._facts.platform.forget(room, user)

    def jwks(self) -> dict[str, Any]:
        """The public keys of receipts, as `/.well-known/jwks.json` shows them (RFC 7517)."""
        return self.receipts.jwks()

    # --- One's own ----------------------------------------------------------------------------------------------------
    async def mine(self, room: str, who: Identity) -> dict[str, Any]:
        """The money part of `GET …/me`: `{balance, claims: [{drop, title, kind, serial, of, code?, state, at,
        expires_at?, order_id?, receipt?, test?}], entries: [{drop, title, kind, number, nonce, at, state, won: [serial]}],
        eligibility: {drop: {eligible, missing}}}`.
        """
        wallet = await self.ledger.wallet(who.person.id)
        self.note_balance(who.person.id, wallet.balance)
        holdings = await self.ledger.holdings(room, who.person.id, HOLDINGS_MAX)
        claims = [await self._claim_as_told(holding, unit) for holding in holdings for unit in holding.units]
        return {
            "balance": wallet.balance,
            "claims": claims,
            "entries": [_entry_as_told(holding) for holding in holdings if holding.entry is not None],
            "eligibility": await self._eligibility(room, who),
        }

    async def _claim_as_told(self, holding: Holding, unit: Unit) -> dict[str, Any]:
        drop = holding.drop
        card = await self._cards.get(drop.room, drop.id)
        code = unit.code if card is None else card.code_of(unit)
        told = {
            **_named(drop),
            "serial": unit.serial,
            "of": unit.of,
            "code": code or None,
            "state": unit.state,
            "at": unit.at,
            "expires_at": unit.expires_at,
            "order_id": unit.order_id or None,
            "receipt": None if card is None or unit.state not in HELD else await self._receipt(card, unit, code),
            "test": drop.terms.test or None,
        }
        return {name: value for name, value in told.items() if value is not None}

    async def _receipt(self, card: Card, unit: Unit, code: str) -> str | None:
        """What the winner was told, also where they won by a draw. Once it is confirmed the unit does not lapse any more."""
        drop = card.drop
        hub = await self._node.views.get(drop.room)
        merchant = card.merchant if hub is None else await self._claims.merchant(card, hub)
        if merchant is None:
            return None  # not now: a receipt says whom it is for
        if unit.state == "confirmed":
            unit = msgspec.structs.replace(unit, expires_at=None)
        broadcast = await self._cards.broadcast(drop.room, drop.id)
        return self._claims.receipts(card, [unit], [code], broadcast, merchant)[0]

    async def _eligibility(self, room: str, who: Identity) -> dict[str, Any]:
        hub = await self._node.views.get(room)
        if hub is None:
            return {}
        said: dict[str, Any] = {}
        shown = [drop for drop, view in hub.view.state["drops"].items() if view["state"] in ASKING]
        for drop in shown:
            card = await self._cards.get(room, drop)
            if card is None:
                continue
            lacking = (await self._facts.lacking(room, card.eligibility, [who], ask=card.asks_the_room))[who.person.id]
            given = 1
            if card.eligibility.gifted:
                await self.booked(room)
                given = await self.ledger.given(room, str(hub.view.state["broadcast"]), who.person.id)
            known = lacking or []
            gift = [] if given else [{"rule": "gifted", "have": False, "need": True}]
            missing = [*as_told(known), *gift]
            said[drop] = {"eligible": None if lacking is None else not missing, "missing": missing}
        return said

    # --- Balances in welcomes -----------------------------------------------------------------------------------------
    def note_balance(self, user: str, balance: int) -> None:
        """Somebody's balance, as it was just heard."""
        if len(self._balances) >= BALANCES_MAX:
            self._balances.clear()
        self._balances[user] = (self._node.clock(), balance)

    def heard(self, user: str, notice: Notice) -> None:
        """News of a wallet, which matters only where its balance is remembered."""
        if user in self._balances and isinstance(notice.data, dict) and isinstance(balance := notice.data.get("balance"), int):
            self.note_balance(user, balance)

    def balance(self, who: Identity) -> int | None:
        """The balance for a welcome, where it is known just now. Where it is not, it is asked for, and known next time."""
        if who.person.anonymous or "gift" not in who.can:
            return None
        known, now = self._balances.get(who.person.id), self._node.clock()
        if known is not None and now - known[0] < BALANCE_KEEP_MS:
            return known[1]
        if not self._look_ups.take("all", now):
            self._node.spawn(self._look_up(who.person.id))
        return None

    def must_ask(self, who: Identity) -> bool:
        """Whether a welcome shall wait until the balance is learnt: it is not known, and not many are asked for just now."""
        if who.person.anonymous or "gift" not in who.can:
            return False
        known, now = self._balances.get(who.person.id), self._node.clock()
        return (known is None or now - known[0] >= BALANCE_KEEP_MS) and not self._look_ups.take("all", now)

    async def learn(self, who: Identity) -> None:
        """Ask the ledger for a balance. It takes a millisecond or two; a ledger that does not answer is not waited for."""
        answered = asyncio.Event()
        self._node.spawn(self._look_up(who.person.id, answered))
        with suppress(TimeoutError):
            await asyncio.wait_for(answered.wait(), LEARN_S)

    async def _look_up(self, user: str, answered: asyncio.Event | None = None) -> None:
        try:
            self.note_balance(user, (await self.ledger.wallet(user)).balance)
        except StoreError:
            return  # it is a kindness, not a promise
        finally:
            if answered is not None:
                answered.set()


def _named(drop: Drop) -> dict[str, Any]:
    """Which drop it is, also when it has left the room's state."""
    return {"drop": drop.id, "title": read_about(drop).title, "kind": drop.terms.kind}


def _entry_as_told(holding: Holding) -> dict[str, Any]:
    entry, drop = holding.entry, holding.drop
    if entry is None:
        raise ValueError("no entry")
    state = drop.pot if drop.state != "cancelled" else "cancelled"
    won = [unit.serial for unit in holding.units if unit.cid == entry.cid]
    return {**_named(drop), "number": entry.number, "nonce": entry.nonce, "at": entry.at, "state": state, "won": won}
