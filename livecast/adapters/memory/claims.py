"""Claims, units, pots and orders in memory: this part of `ledger.Ledger`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import msgspec

from livecast.adapters.memory.books import Books, ForATime, ShardBooks
from livecast.adapters.memory.drops import KeptDrop, MemoryDrops
from livecast.adapters.memory.money import MemoryMoney
from livecast.core.books.bookkeeping import Grant, OrderTaken, PotEntered, UnitsChanged, UnitsGranted
from livecast.core.errors import Refusal
from livecast.core.money.units import (
    BEFORE_OPENING,
    CLAIMS_MAX,
    FACTS_KEEP_MS,
    REFUSALS_KEEP_MS,
    REFUSALS_KEPT_MAX,
    REVOKED_FOR_GOOD,
    SELLING,
    UNIT_STEPS,
    Claim,
    ClaimAnswer,
    Confirm,
    Entered,
    Entrant,
    Holding,
    Lapsed,
    NotWon,
    Order,
    Ordered,
    Release,
    Revoke,
    Unit,
    UnitState,
    UnitStep,
    Won,
)
from livecast.core.nodes.placement import shard_of
from livecast.ledger import DropAnswer


class MemoryClaims(MemoryDrops, MemoryMoney):
    """Deciding claims, and what becomes of units. Nothing here awaits, so each call is atomic on the event loop."""

    def __init__(self, books: Books, opening: int) -> None:
        MemoryDrops.__init__(self, books)
        MemoryMoney.__init__(self, books, opening)
        self._orders: defaultdict[str, dict[str, tuple[Order, int]]] = defaultdict(dict)
        self._facts: ForATime[bytes] = ForATime(books.clock, FACTS_KEEP_MS)

    # --- Claims -------------------------------------------------------------------------------------------------------
    async def claim(self, room: str, drop: str, broadcast: str, claims: Sequence[Claim], now: int) -> list[ClaimAnswer]:
        """Decide claims in their order."""
        if len(claims) > CLAIMS_MAX:
            raise ValueError(f"at most {CLAIMS_MAX} claims in one call")
        shard = self._books.call(room)
        kept = self._drops[room].get(drop)
        if kept is None:
            return [Refusal("unknown_drop")] * len(claims)
        grants_before, entrants_before = len(kept.units), len(kept.entrants)
        answers = [self._decide(kept, broadcast, claim, now) for claim in claims]
        if not (grants_before or entrants_before) and (kept.units or kept.entrants):
            kept.occasion = broadcast
        if len(kept.units) > grants_before:
            _enter_grants(shard, kept, grants_before, now)
        if len(kept.entrants) > entrants_before:
            shard.append(now, PotEntered(room, drop, tuple(kept.entrants[entrants_before:])))
            kept.note(shard)
        return answers

    def _decide(self, kept: KeptDrop, broadcast: str, claim: Claim, now: int) -> ClaimAnswer:
        """The order of the checks is a promise."""
        return (
            self._known(kept, claim)
            or self._not_now(kept, claim, now)
            or self._not_entitled(kept, broadcast, claim)
            or self._over_limit(kept, claim)
            or (_enter_pot(kept, claim, now) if kept.picture.pot == "open" else None)
            or (self._refuse(kept, claim, NotWon("sold_out")) if kept.picture.left == 0 else None)
            or _win(kept, claim, now)
        )

    def _known(self, kept: KeptDrop, claim: Claim) -> ClaimAnswer | None:
        if (final := kept.answers.get((claim.user, claim.cid))) is not None:
            return final
        now = self._books.clock()
        for cid, verdict, until in kept.refused.get(claim.user, ()):
            if cid == claim.cid and until > now:
                return NotWon(verdict)
        return None

    def _not_now(self, kept: KeptDrop, claim: Claim, now: int) -> ClaimAnswer | None:
        drop, terms = kept.picture, kept.picture.terms
        agreed = self._books.agreed(now)
        if drop.state in BEFORE_OPENING:
            return NotWon("not_open", None if terms.opens_at is None else max(0, terms.opens_at - agreed))
        if drop.state == "paused" or (drop.state in SELLING and drop.pot == "frozen"):
            return NotWon("not_open")
        if drop.state not in SELLING or (terms.closes_at is not None and agreed >= terms.closes_at):
            return self._refuse(kept, claim, NotWon("closed"))
        return None

    def _not_entitled(self, kept: KeptDrop, broadcast: str, claim: Claim) -> ClaimAnswer | None:
        if claim.objection:
            return Refusal(claim.objection)
        not_gifted = kept.picture.terms.gifted and claim.user not in self._boards[kept.picture.room, broadcast]
        return NotWon("not_eligible", gifted=not_gifted) if claim.missing or not_gifted else None

    def _over_limit(self, kept: KeptDrop, claim: Claim) -> ClaimAnswer | None:
        is_in = kept.picture.pot == "open" and claim.user in kept.entry_of
        has_all = kept.taken.get(claim.user, 0) >= kept.picture.terms.per_user
        return self._refuse(kept, claim, NotWon("limit")) if is_in or has_all else None

    def _refuse(self, kept: KeptDrop, claim: Claim, answer: NotWon) -> NotWon:
        """Remember a refusal for a while, and forget those of users who were refused too long ago."""
        now = self._books.clock()
        mine = [*kept.refused.pop(claim.user, ()), (claim.cid, answer.verdict, now + REFUSALS_KEEP_MS)]
        kept.refused[claim.user] = mine[-REFUSALS_KEPT_MAX:]
        while next(iter(kept.refused.values()))[-1][2] <= now:
            del kept.refused[next(iter(kept.refused))]
        return answer

    async def occasion(self, room: str, drop: str) -> str:
        """The broadcast of the drop's first claim."""
        kept = self._drops[room].get(drop)
        return "" if kept is None else kept.occasion

    # --- Units --------------------------------------------------------------------------------------------------------
    async def units(self, room: str, drop: str, after: int, limit: int) -> list[Unit]:
        """Units in serial order."""
        kept = self._drops[room].get(drop)
        return [] if kept is None else kept.units[max(0, after) : max(0, after) + limit]

    async def unit(self, room: str, drop: str, serial: int) -> Unit | None:
        """One unit."""
        kept = self._drops[room].get(drop)
        return kept.units[serial - 1] if kept is not None and 1 <= serial <= len(kept.units) else None

    async def units_of(self, room: str, drop: str, user: str) -> list[Unit]:
        """A user's units."""
        kept = self._drops[room].get(drop)
        return [] if kept is None else [unit for unit in kept.units if unit.user == user]

    async def step_unit(self, room: str, drop: str, serial: int, step: UnitStep, now: int) -> Unit | Refusal:
        """Confirm, release or revoke a unit."""
        shard = self._books.call(room)
        if (kept := self._drops[room].get(drop)) is None:
            return Refusal("unknown_drop")
        if not 1 <= serial <= len(kept.units):
            return Refusal("not_found")
        unit = kept.units[serial - 1]
        sources, target = UNIT_STEPS[type(step)]
        if unit.state == target:
            objection = _objection_to_repeat(step, unit, came_back=serial in kept.came_back)
            return Refusal("conflict", objection) if objection else unit
        if unit.state not in sources:
            return Refusal("conflict", f"The unit is {unit.state}.")
        returned = isinstance(step, Release) or (isinstance(step, Revoke) and step.return_stock)
        fields = msgspec.structs.asdict(step)
        fields.pop("return_stock", None)
        _become(shard, kept, [serial], target, now, returned=returned, freed=isinstance(step, Release), **fields)
        return kept.units[serial - 1]

    async def expire_units(self, room: str, drop: str, serials: Sequence[int], now: int) -> list[int]:
        """Give back those whose time is over."""
        shard = self._books.call(room)
        kept = self._drops[room].get(drop)
        if kept is None:
            return []
        agreed = self._books.agreed(now)
        over = [s for s in dict.fromkeys(serials) if 1 <= s <= len(kept.units) and _is_over(kept.units[s - 1], agreed)]
        if over:
            _become(shard, kept, over, "expired", now, returned=True, freed=True)
        return over

    async def holdings(self, room: str, user: str, limit: int) -> list[Holding]:
        """What a user has of the newest drops."""
        found = []
        for drop in await self.drops(room, None, limit):
            kept = self._drops[room][drop.id]
            units = tuple(unit for unit in kept.units if unit.user == user)
            if units or user in kept.entry_of:
                found.append(Holding(drop, units, kept.entry_of.get(user)))
        return found

    async def lapsed(self, shard: int, until: int, limit: int) -> list[Lapsed]:
        """Reservations that ran out."""
        found: dict[tuple[str, str], list[int]] = {}
        waiting = [
            (unit.expires_at, room, id_, unit.serial)
            for room, drops in self._drops.items()
            if shard_of(room) == shard
            for id_, kept in drops.items()
            for unit in kept.units
            if unit.expires_at is not None and _is_over(unit, until)
        ]
        for _, room, id_, serial in sorted(waiting)[:limit]:
            found.setdefault((room, id_), []).append(serial)
        return [Lapsed(room, id_, tuple(serials)) for (room, id_), serials in found.items()]

    # --- Facts --------------------------------------------------------------------------------------------------------
    async def put_facts(self, room: str, user: str, facts: bytes, now: int, was: bytes | None = None) -> bool:
        """Keep what the platform says of a user."""
        del now
        self._books.call(room)
        if was is not None and (self._facts.get(room, user) or b"") != was:
            return False
        if facts:
            self._facts.put(facts, room, user)
        else:
            self._facts.forget(room, user)
        return True

    async def facts(self, room: str, users: Sequence[str]) -> list[bytes]:
        """What the platform said of each of them."""
        return [self._facts.get(room, user) or b"" for user in users]

    # --- Pots ---------------------------------------------------------------------------------------------------------
    async def freeze_pot(self, room: str, drop: str, now: int) -> DropAnswer:
        """Fix the entrants."""
        shard = self._books.call(room)
        if (kept := self._drops[room].get(drop)) is None:
            return Refusal("unknown_drop")
        was = kept.picture
        if was.pot in {"frozen", "drawn"}:
            return was
        if was.pot != "open" or was.state == "cancelled" or (was.terms.kind == "draw" and was.state != "closed"):
            return Refusal("conflict", "There is no pot to freeze.")
        if was.state != "closed" and was.opened_at is not None:
            wait_ms = was.opened_at + was.terms.fair_window_ms - self._books.agreed(now)
            if wait_ms > 0:
                return Refusal("conflict", "The window is open.", retry_after_ms=wait_ms)
        kept.change(pot="frozen")
        return kept.enter(shard, "freeze", now)

    async def entrants(self, room: str, drop: str, after: int, limit: int) -> list[Entrant]:
        """The pot in order of arrival."""
        kept = self._drops[room].get(drop)
        return [] if kept is None else kept.entrants[max(0, after) : max(0, after) + limit]

    async def award(self, room: str, drop: str, offset: int, users: Sequence[str], now: int) -> list[int] | Refusal:
        """Grant units to entrants in the order of the draw."""
        shard = self._books.call(room)
        if (kept := self._drops[room].get(drop)) is None:
            return Refusal("unknown_drop")
        done = len(kept.awards)
        if offset + len(users) <= done:
            return kept.awards[offset : offset + len(users)]
        is_frozen = kept.picture.pot == "frozen" and kept.picture.state != "cancelled"
        if not is_frozen or offset != done or any(user not in kept.entry_of for user in users):
            return Refusal("conflict")
        before = len(kept.units)
        for user in users:
            can = kept.picture.left > 0 and kept.taken.get(user, 0) < kept.picture.terms.per_user
            kept.awards.append(_grant(kept, user, kept.entry_of[user].cid, now).serial if can else 0)
        if len(kept.units) > before:
            _enter_grants(shard, kept, before, now)
        return kept.awards[offset:]

    async def draw_pot(self, room: str, drop: str, result: bytes, now: int) -> DropAnswer:
        """Publish the outcome."""
        shard = self._books.call(room)
        if (kept := self._drops[room].get(drop)) is None:
            return Refusal("unknown_drop")
        was = kept.picture
        if was.pot == "drawn":
            return was if was.result == result else Refusal("conflict")
        if was.pot != "frozen" or was.state == "cancelled":
            return Refusal("conflict")
        kept.change(pot="drawn", result=result, state="settled" if was.terms.kind == "draw" else was.state)
        kept.untold_since = now
        return kept.enter(shard, "draw", now)

    async def told(self, room: str, drop: str, now: int) -> None:
        """The winners of a draw were told so."""
        del now
        self._books.call(room)
        if (kept := self._drops[room].get(drop)) is not None:
            kept.untold_since = None

    # --- Orders -------------------------------------------------------------------------------------------------------
    async def order(self, room: str, order: Order, now: int) -> Ordered | Refusal:
        """Take or change an order."""
        shard = self._books.call(room)
        if (known := self._orders[room].get(order.order_id)) is not None:
            first, at = known
            if first == order:
                return Ordered(first, at, first=False, changed=False)
            if (first.user, first.sku, first.drop, first.serial) != (order.user, order.sku, order.drop, order.serial):
                return Refusal("conflict")
        elif order.drop and ((unit := await self.unit(room, order.drop, order.serial)) is None or unit.user != order.user):
            return Refusal("not_found")
        at = now if known is None else known[1]
        self._orders[room][order.order_id] = (order, at)
        shard.append(now, OrderTaken(room, order, first=known is None))
        return Ordered(order, at, first=known is None, changed=True)

    async def orders(self, room: str, after: int, limit: int) -> list[Ordered]:
        """Orders in the order they were first made."""
        kept = list(self._orders[room].values())[max(0, after) : max(0, after) + limit]
        return [Ordered(order, at, first=False, changed=False) for order, at in kept]


def _win(kept: KeptDrop, claim: Claim, now: int) -> Won:
    unit = _grant(kept, claim.user, claim.cid, now)
    won = Won(unit.serial, unit.of, now, unit.code, unit.expires_at)
    kept.answers[claim.user, claim.cid] = msgspec.structs.replace(won, again=True)
    return won


def _grant(kept: KeptDrop, user: str, cid: str, now: int) -> Unit:
    """One more unit for somebody who may have it."""
    drop, terms = kept.picture, kept.picture.terms
    serial = drop.granted + 1
    code = kept.codes[serial - 1] if terms.codes == "list" and not terms.test else ""
    expires_at = now + terms.reserve_ms if terms.reserve_ms else None
    state: UnitState = "granted" if expires_at is None else "reserved"
    unit = Unit(serial, user, cid, now, terms.stock, state, code, expires_at)
    kept.units.append(unit)
    kept.taken[user] = kept.taken.get(user, 0) + 1
    kept.change(granted=serial, reserved=drop.reserved + (state == "reserved"))
    return unit


def _enter_grants(shard: ShardBooks, kept: KeptDrop, before: int, now: int) -> None:
    units = kept.units[before:]
    grants = tuple(Grant(unit.serial, unit.user, unit.cid, unit.code) for unit in units)
    drop, first = kept.picture, units[0]
    entry = UnitsGranted(drop.room, drop.id, first.of, first.expires_at, grants, drop.left, drop.state, drop.sold_out_times)
    shard.append(now, entry)
    kept.note(shard)


def _enter_pot(kept: KeptDrop, claim: Claim, now: int) -> Entered:
    entrant = Entrant(len(kept.entrants) + 1, claim.user, claim.cid, claim.nonce, now)
    kept.entrants.append(entrant)
    kept.entry_of[claim.user] = entrant
    kept.change(entrants=entrant.number)
    entered = Entered(entrant.number, entrant.nonce, now)
    kept.answers[claim.user, claim.cid] = msgspec.structs.replace(entered, again=True)
    return entered


def _is_over(unit: Unit, now: int) -> bool:
    return unit.state == "reserved" and unit.expires_at is not None and unit.expires_at <= now


def _objection_to_repeat(step: UnitStep, unit: Unit, *, came_back: bool) -> str:
    """What is wrong with asking again for what became of a unit already."""
    if isinstance(step, Confirm) and step.order_id != unit.order_id:
        return "It was confirmed with another order."
    return REVOKED_FOR_GOOD if isinstance(step, Revoke) and step.return_stock and not came_back else ""


def _become(
    shard: ShardBooks,
    kept: KeptDrop,
    serials: list[int],
    state: UnitState,
    now: int,
    *,
    returned: bool,
    freed: bool,
    order_id: str = "",
    amount: int | None = None,
    currency: str = "",
    reason: str = "",
) -> None:
    """Units take on a new state, all the same one."""
    drop = kept.picture
    reserved = 0
    for serial in serials:
        unit = kept.units[serial - 1]
        reserved += unit.state == "reserved"
        kept.units[serial - 1] = msgspec.structs.replace(
            unit,
            state=state,
            changed_at=now,
            order_id=order_id or unit.order_id,
            amount=amount if amount is not None else unit.amount,
            currency=currency or unit.currency,
            reason=reason,
        )
        if freed:
            kept.taken[unit.user] -= 1
        if returned:
            kept.came_back.add(serial)
    kept.change(reserved=drop.reserved - reserved, returned=drop.returned + (len(serials) if returned else 0))
    units = tuple(Grant(s, kept.units[s - 1].user, kept.units[s - 1].cid, kept.units[s - 1].code) for s in serials)
    left, now_state = kept.picture.left, kept.picture.state
    fact = UnitsChanged(drop.room, drop.id, units, state, returned, freed, left, now_state, order_id, amount, currency, reason)
    shard.append(now, fact)
    kept.note(shard)
