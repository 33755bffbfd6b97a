"""Claims, units, pots and orders on Redis or Valkey: this part of `ledger.Ledger`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from livecast.adapters.redis.drops import RedisDrops, digest
from livecast.adapters.redis.ledger_calls import LedgerScript, place, refusal
from livecast.adapters.redis.money import RedisMoney, encode
from livecast.adapters.redis.server import Argument
from livecast.core.errors import Refusal
from livecast.core.money.units import (
    CLAIMS_MAX,
    FACTS_KEEP_MS,
    REFUSALS_KEEP_MS,
    REFUSALS_KEPT_MAX,
    REVOKED_FOR_GOOD,
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
    Unit,
    UnitState,
    UnitStep,
    Won,
)
from livecast.ledger import DropAnswer

CLAIM: Final = LedgerScript("claim", "drop", "grant")
AWARD: Final = LedgerScript("award", "drop", "grant")
POT: Final = LedgerScript("pot", "drop")
UNIT_STEP: Final = LedgerScript("unit_step", "drop", "grant", "fate")
EXPIRE: Final = LedgerScript("units_expire", "drop", "grant", "fate")
ORDER: Final = LedgerScript("order")
FACTS: Final = LedgerScript("facts_put")

Record = tuple[int, str, str, str, int, int, int]
"""A unit as it was granted: serial, user, cid, code, at, of, expires_at (0: none)."""
Fate = list[Any]
"""What became of it: state, changed_at, order_id, amount ("": none), currency, reason; and what only the scripts ask for."""

_ALIKE: Final = {verdict: NotWon(verdict) for verdict in ("sold_out", "limit", "closed")}
"""What most of a crowd hears, one object each."""
_decode_answers = msgspec.msgpack.Decoder(list[str | list[Any]]).decode
decode_record = msgspec.msgpack.Decoder(Record).decode
_decode_fate = msgspec.msgpack.Decoder(Fate).decode
_decode_entrant = msgspec.msgpack.Decoder(tuple[str, str, str, int]).decode
decode_order = msgspec.msgpack.Decoder(Order).decode


class RedisClaims(RedisDrops, RedisMoney):
    """Deciding claims, and what becomes of units."""

    # --- Claims -------------------------------------------------------------------------------------------------------
    async def claim(self, room: str, drop: str, broadcast: str, claims: Sequence[Claim], now: int) -> list[ClaimAnswer]:
        """Decide claims in their order."""
        if len(claims) > CLAIMS_MAX:
            raise ValueError(f"at most {CLAIMS_MAX} claims in one call")
        asked = [[claim.user for claim in claims], [claim.cid for claim in claims]]
        if [claim for claim in claims if claim.missing or claim.objection or claim.nonce]:  # mostly nothing is known of anybody
            asked.append([claim.objection or ("-" if claim.missing else "") for claim in claims])
            asked.append([claim.nonce for claim in claims])
        arguments = (room, drop, broadcast, REFUSALS_KEPT_MAX, REFUSALS_KEEP_MS, encode(asked))
        answer = await self._calls.operate(CLAIM, place(room)[0], now, *arguments, bulk=True)
        if answer[0] == b"REFUSED":
            return [refusal(answer)] * len(claims)
        return [_ALIKE[each] if type(each) is str else _claim_answer(each) for each in _decode_answers(answer[1])]

    async def occasion(self, room: str, drop: str) -> str:
        """The broadcast of the drop's first claim."""
        shard, tag = place(room)
        (broadcast,) = await self._calls.read(shard, ("GET", f"{tag}occasion:{room}/{drop}"))
        return (broadcast or b"").decode()

    # --- Units --------------------------------------------------------------------------------------------------------
    async def units(self, room: str, drop: str, after: int, limit: int) -> list[Unit]:
        """Units in serial order."""
        first = max(0, after) + 1
        return await self._units(room, drop, range(first, first + limit))

    async def unit(self, room: str, drop: str, serial: int) -> Unit | None:
        """One unit."""
        return next(iter(await self._units(room, drop, [serial])), None)

    async def units_of(self, room: str, drop: str, user: str) -> list[Unit]:
        """A user's units."""
        shard, tag = place(room)
        (serials,) = await self._calls.read(shard, ("HGET", f"{tag}holders:{room}/{drop}", user))
        return await self._units(room, drop, [int(each) for each in serials.split(b",")]) if serials else []

    async def step_unit(self, room: str, drop: str, serial: int, step: UnitStep, now: int) -> Unit | Refusal:
        """Confirm, release or revoke a unit."""
        if isinstance(step, Confirm):
            amount = b"" if step.amount is None else step.amount
            details: tuple[Argument, ...] = ("confirm", step.order_id, amount, step.currency, b"", b"", b"")
        elif isinstance(step, Release):
            details = ("release", b"", b"", b"", b"", b"", b"")
        else:
            details = ("revoke", b"", b"", b"", step.reason, b"1" if step.return_stock else b"", REVOKED_FOR_GOOD)
        answer = await self._calls.operate(UNIT_STEP, place(room)[0], now, room, drop, serial, *details)
        return refusal(answer) if answer[0] == b"REFUSED" else unit_of(answer[1], answer[2])

    async def expire_units(self, room: str, drop: str, serials: Sequence[int], now: int) -> list[int]:
        """Give back those whose time is over."""
        answer = await self._calls.operate(EXPIRE, place(room)[0], now, room, drop, *dict.fromkeys(serials), bulk=True)
        return list(answer[1])

    async def holdings(self, room: str, user: str, limit: int) -> list[Holding]:
        """What a user has of the newest drops."""
        drops = await self.drops(room, None, limit)
        if not drops:
            return []
        shard, tag = place(room)
        kinds = ("holders", "entries")
        held = await self._calls.read(shard, *(("HGET", f"{tag}{kind}:{room}/{each.id}", user) for each in drops for kind in kinds))
        found = []
        for drop, serials, number in zip(drops, held[::2], held[1::2], strict=True):
            units = await self._units(room, drop.id, [int(each) for each in serials.split(b",")]) if serials else []
            entry = await self.entrants(room, drop.id, int(number) - 1, 1) if number else []
            if units or entry:
                found.append(Holding(drop, tuple(units), next(iter(entry), None)))
        return found

    async def lapsed(self, shard: int, until: int, limit: int) -> list[Lapsed]:
        """Reservations that ran out."""
        window = ("ZRANGE", f"{{s{shard}}}:expiring:all", "-inf", until, "BYSCORE", "LIMIT", 0, limit)
        (found,) = await self._calls.read(shard, window)
        lapsed: dict[tuple[str, str], list[int]] = {}
        for member in found:
            name, _, serial = member.decode().rpartition("#")
            room, _, drop = name.partition("/")
            lapsed.setdefault((room, drop), []).append(int(serial))
        return [Lapsed(room, drop, tuple(sorted(serials))) for (room, drop), serials in lapsed.items()]

    # --- Facts --------------------------------------------------------------------------------------------------------
    async def put_facts(self, room: str, user: str, facts: bytes, now: int, was: bytes | None = None) -> bool:
        """Keep what the platform says of a user."""
        seen = () if was is None else (was,)
        (said,) = await self._calls.operate(FACTS, place(room)[0], now, room, user, facts, FACTS_KEEP_MS, *seen)
        return bool(said == b"OK")

    async def facts(self, room: str, users: Sequence[str]) -> list[bytes]:
        """What the platform said of each of them."""
        shard, tag = place(room)
        (found,) = await self._calls.read(shard, ("MGET", *(f"{tag}facts:{room}/{user}" for user in users)))
        return [each or b"" for each in found]

    # --- Pots ---------------------------------------------------------------------------------------------------------
    async def freeze_pot(self, room: str, drop: str, now: int) -> DropAnswer:
        """Fix the entrants."""
        return await self._change(POT, room, now, f"{room}/{drop}", "freeze", b"")

    async def entrants(self, room: str, drop: str, after: int, limit: int) -> list[Entrant]:
        """The pot in order of arrival."""
        shard, tag = place(room)
        first = max(0, after)
        (found,) = await self._calls.read(shard, ("LRANGE", f"{tag}entrants:{room}/{drop}", first, first + limit - 1))
        return entrants_of(found, first + 1)

    async def award(self, room: str, drop: str, offset: int, users: Sequence[str], now: int) -> list[int] | Refusal:
        """Grant units to entrants in the order of the draw."""
        answer = await self._calls.operate(AWARD, place(room)[0], now, room, drop, offset, *users, bulk=True)
        return refusal(answer) if answer[0] == b"REFUSED" else [int(serial) for serial in answer[1]]

    async def draw_pot(self, room: str, drop: str, result: bytes, now: int) -> DropAnswer:
        """Publish the outcome."""
        return await self._change(POT, room, now, f"{room}/{drop}", "draw", result)

    async def told(self, room: str, drop: str, now: int) -> None:
        """The winners of a draw were told so."""
        await self._change(POT, room, now, f"{room}/{drop}", "told", b"")

    # --- Orders -------------------------------------------------------------------------------------------------------
    async def order(self, room: str, order: Order, now: int) -> Ordered | Refusal:
        """Take or change an order."""
        identity = digest((order.user, order.sku, order.drop, order.serial))
        arguments = (room, order.order_id, encode(order), identity, order.user, order.drop, order.serial)
        answer = await self._calls.operate(ORDER, place(room)[0], now, *arguments)
        if answer[0] == b"REFUSED":
            return refusal(answer)
        _, at, first, changed = answer
        return Ordered(order, at, first=bool(first), changed=bool(changed))

    async def orders(self, room: str, after: int, limit: int) -> list[Ordered]:
        """Orders in the order they were first made."""
        shard, tag = place(room)
        first = max(0, after)
        (ids,) = await self._calls.read(shard, ("LRANGE", f"{tag}order_ids:{room}", first, first + limit - 1))
        if not ids:
            return []
        (held,) = await self._calls.read(shard, ("HMGET", f"{tag}orders:{room}", *ids))
        return [ordered_of(each) for each in held]

    async def _units(self, room: str, drop: str, serials: Sequence[int]) -> list[Unit]:
        if not serials:
            return []
        shard, tag = place(room)
        name = f"{room}/{drop}"
        records, fates = await self._calls.read(
            shard, ("HMGET", f"{tag}units:{name}", *serials), ("HMGET", f"{tag}fates:{name}", *serials)
        )
        return [unit_of(record, fate) for record, fate in zip(records, fates, strict=True) if record is not None]


def _claim_answer(answer: Any) -> ClaimAnswer:
    match answer:
        case ["W", serial, of, at, expires_at, code, again]:
            return Won(serial, of, at, code, expires_at or None, again)
        case ["E", number, nonce, at, again]:
            return Entered(number, nonce, at, again)
        case ["N", opens_in_ms]:
            return NotWon("not_open", None if opens_in_ms < 0 else opens_in_ms)
        case ["I", gifted]:
            return NotWon("not_eligible", gifted=gifted)
        case ["R", code]:
            return Refusal(code)
        case _:
            raise ValueError(f"the claim script answered {answer!r}")


def unit_of(record: bytes, fate: bytes | None) -> Unit:
    """A unit from what it was and what became of it."""
    serial, user, cid, code, at, of, expires_at = decode_record(record)
    state: UnitState = "reserved" if expires_at else "granted"
    unit = Unit(serial, user, cid, at, of, state, code, expires_at or None)
    if fate is None:
        return unit
    state, changed_at, order_id, amount, currency, reason, *_ = _decode_fate(fate)
    return msgspec.structs.replace(
        unit,
        state=state,
        changed_at=changed_at or None,
        order_id=order_id,
        amount=int(amount) if amount else None,
        currency=currency,
        reason=reason,
    )


def entrants_of(packed: Sequence[bytes], first: int) -> list[Entrant]:
    """Entrants from their records, numbered from `first` on."""
    entrants = []
    for number, each in enumerate(packed, first):
        user, cid, nonce, at = _decode_entrant(each)
        entrants.append(Entrant(number, user, cid, nonce, at))
    return entrants


def ordered_of(packed: bytes) -> Ordered:
    """An order from its record."""
    at, _, order = packed.split(b"\n", 2)
    return Ordered(decode_order(order), int(at), first=False, changed=False)
