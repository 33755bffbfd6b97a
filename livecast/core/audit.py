"""The auditor: replays ledgers from their first entry and says what the books must show, then what they show instead.

Pure: entries and pictures are handed in. Each shard's entries must agree with each other (a balance is the sum of its bookings
and never below zero; serials follow each other; nobody has more than their share; no drop gives out more than its stock; a gift
is booked once), its picture must agree with its entries, and what goes from shard to shard must arrive there or be pending.
The first thing that does not is raised as a `Difference`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Struct

from livecast.core.bookkeeping import (
    BookEntry,
    BookFact,
    DropChanged,
    GiftCommitted,
    GiftDebited,
    GiftReversed,
    OrderTaken,
    PendingCleared,
    PotEntered,
    ShardConfirmed,
    UnitsChanged,
    UnitsGranted,
    WalletMoved,
)
from livecast.core.errors import LivecastError
from livecast.core.money import Gift, PendingKind, Rank, Takings, refund_of
from livecast.core.units import Drop, Entrant, Order, Unit, left_of


class Difference(LivecastError):  # noqa: N818 - the field's word
    """The books do not agree; the message names where and how."""


class ShardPicture(Struct):
    """What a store holds of one shard, at one position: the same whether it was read there or follows from the entries.

    Keys: wallets by user (balance, bookings); pending by (kind, tx); boards by "room/broadcast"; takings by that and by room;
    drops, units and entrants by "room/drop"; `taken` by "room/drop" or "room/group group", then by user; orders by room, then
    by order id. What is empty or zero is left out.
    """

    shard: int
    position: int = 0
    wallets: dict[str, tuple[int, int]] = {}
    pending: dict[tuple[PendingKind, str], Gift] = {}
    boards: dict[str, list[Rank]] = {}
    takings: dict[str, Takings] = {}
    drops: dict[str, Drop] = {}
    units: dict[str, list[Unit]] = {}
    entrants: dict[str, list[Entrant]] = {}
    taken: dict[str, dict[str, int]] = {}
    orders: dict[str, dict[str, Order]] = {}


class Sums(Struct):
    """What an audit went over: gifts and their value without those reversed."""

    entries: int = 0
    wallets: int = 0
    coins: int = 0
    gifts: int = 0
    gift_value: int = 0
    drops: int = 0
    units: int = 0
    confirmations: int = 0


class Audit:
    """One pass over a deployment's ledgers: `replay` and `compare` each shard, then `finish`."""

    def __init__(self) -> None:
        self.sums = Sums()
        self._debited: dict[str, Gift] = {}
        self._committed: dict[str, Gift] = {}
        self._refund_due: dict[str, Gift] = {}
        self._refunded: dict[str, int] = {}
        self._pending: dict[tuple[PendingKind, str], Gift] = {}

    def replay(self, shard: int, entries: Iterable[BookEntry]) -> ShardReplay:
        """Go over a shard's entries. Raises `Difference`."""
        replay = ShardReplay(shard)
        for entry in entries:
            replay.apply(entry)
            self._follow(entry)
        return replay

    def compare(self, replay: ShardReplay, picture: ShardPicture) -> None:
        """The store's picture against what follows from its entries. Raises `Difference`."""
        compare(replay.picture(), picture)
        self._pending |= picture.pending
        self.sums.wallets += len(picture.wallets)
        self.sums.coins += sum(balance for balance, _ in picture.wallets.values())
        self.sums.drops += len(picture.drops)
        self.sums.units += sum(map(len, picture.units.values()))

    def finish(self) -> Sums:
        """What goes from shard to shard: each half of a gift has its other one, or is pending. Raises `Difference`."""
        for tx, gift in self._debited.items():
            if tx not in self._committed and ("commit", tx) not in self._pending:
                raise Difference(f"gift {tx} was taken from {gift.user}'s wallet, but is neither booked in {gift.room} nor pending")
        for tx, gift in self._committed.items():
            if gift.paid == "wallet" and tx not in self._debited:
                raise Difference(f"gift {tx} is booked in {gift.room}, but was never taken from {gift.user}'s wallet")
        for tx, gift in self._refund_due.items():
            if self._refunded.get(refund_of(gift).tx) != gift.value and ("refund", tx) not in self._pending:
                raise Difference(f"gift {tx} was reversed, but is neither back in {gift.user}'s wallet nor pending")
        return self.sums

    def _follow(self, entry: BookEntry) -> None:
        self.sums.entries += 1
        match entry.fact:
            case GiftDebited(gift=gift):
                self._debited[gift.tx] = gift
            case GiftCommitted(gift=gift):
                self._committed[gift.tx] = gift
                self.sums.gifts += 1
                self.sums.gift_value += gift.value
            case GiftReversed(gift=gift):
                self.sums.gifts -= 1
                self.sums.gift_value -= gift.value
                if gift.paid == "wallet":
                    self._refund_due[gift.tx] = gift
            case WalletMoved(tx=tx, amount=amount) if tx.startswith("refund:"):
                self._refunded[tx] = amount
            case ShardConfirmed():
                self.sums.confirmations += 1
            case _:
                pass


class ShardReplay:
    """The state that one shard's entries lead to."""

    def __init__(self, shard: int) -> None:
        self._shard = shard
        self._at = 0
        self._wallets: defaultdict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
        self._pending: dict[tuple[PendingKind, str], Gift] = {}
        self._gifts: dict[str, bool] = {}
        self._purses: defaultdict[str, dict[str, tuple[int, int]]] = defaultdict(dict)
        self._takings: defaultdict[str, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
        self._gift_counts: defaultdict[str, int] = defaultdict(int)
        self._drops: dict[str, Drop] = {}
        self._units: defaultdict[str, list[Unit]] = defaultdict(list)
        self._entrants: defaultdict[str, list[Entrant]] = defaultdict(list)
        self._taken: defaultdict[str, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
        self._orders: defaultdict[str, dict[str, Order]] = defaultdict(dict)

    def apply(self, entry: BookEntry) -> None:
        """One entry more. Raises `Difference` if it cannot follow those before it."""
        self._demand(entry.position > self._at, f"entry {entry.position} follows {self._at}")
        self._at = entry.position
        if not self._apply_money(entry.fact):
            self._apply_goods(entry.at, entry.fact)

    def picture(self) -> ShardPicture:
        """What the store must show."""
        boards = {}
        for place, purses in self._purses.items():
            order = sorted(purses, key=lambda user: (-purses[user][0], purses[user][1]))
            boards[place] = [Rank(user, purses[user][0]) for user in order]
        takings = {}
        for place, hosts in self._takings.items():
            given = {host: value for host, value in hosts.items() if value}
            takings[place] = Takings(self._gift_counts[place], sum(given.values()), given)
        return ShardPicture(
            shard=self._shard,
            position=self._at,
            wallets=dict(self._wallets),
            pending=self._pending,
            boards=_filled(boards),
            takings={place: each for place, each in takings.items() if each != Takings()},
            drops=self._drops,
            units=_filled(self._units),
            entrants=_filled(self._entrants),
            taken=_filled({place: {user: n for user, n in users.items() if n} for place, users in self._taken.items()}),
            orders=_filled(self._orders),
        )

    # --- Money --------------------------------------------------------------------------------------------------------
    def _apply_money(self, fact: BookFact) -> bool:
        """Whether it was about money."""
        match fact:
            case WalletMoved():
                self._book(fact.user, fact.amount, fact.balance, fact.number)
            case GiftDebited(gift=gift):
                self._book(gift.user, -gift.value, fact.balance, fact.number)
                self._pending["commit", gift.tx] = gift
            case PendingCleared(kind=kind, tx=tx):
                self._demand((kind, tx) in self._pending, f"{kind} {tx} is cleared without having been pending")
                del self._pending[kind, tx]
            case GiftCommitted(gift=gift):
                self._demand(gift.tx not in self._gifts, f"gift {gift.tx} is booked twice")
                self._gifts[gift.tx] = False
                self._count(gift, 1, gift.value, fact.total)
            case GiftReversed(gift=gift):
                self._demand(self._gifts.get(gift.tx) is False, f"gift {gift.tx} is reversed without being booked")
                self._gifts[gift.tx] = True
                self._count(gift, -1, -gift.value, fact.total)
                if gift.paid == "wallet":
                    self._pending["refund", gift.tx] = gift
            case _:
                return False
        return True

    def _book(self, user: str, amount: int, balance: int, number: int) -> None:
        before, bookings = self._wallets[user]
        self._demand(number == bookings + 1, f"booking {number} of {user} follows {bookings}")
        self._demand(balance == before + amount, f"{user} had {before} coins, {amount:+} makes {balance}")
        self._demand(balance >= 0, f"{user} has {balance} coins")
        self._wallets[user] = (balance, number)

    def _count(self, gift: Gift, gifts: int, value: int, total: int) -> None:
        place = f"{gift.room}/{gift.broadcast}"
        before = self._purses[place].get(gift.user, (0, 0))[0]
        self._demand(total == before + value, f"{gift.user} had given {before} in {place}, {value:+} makes {total}")
        if total:
            self._purses[place][gift.user] = (total, self._at)
        else:
            self._purses[place].pop(gift.user, None)
        for where in (place, gift.room):
            self._gift_counts[where] += gifts
            self._takings[where][gift.to] += value

    # --- Goods --------------------------------------------------------------------------------------------------------
    def _apply_goods(self, at: int, fact: BookFact) -> None:
        match fact:
            case DropChanged():
                self._change(fact)
            case UnitsGranted():
                self._grant(at, fact)
            case PotEntered():
                self._enter(fact)
            case UnitsChanged():
                self._become(at, fact)
            case OrderTaken(room=room, order=order, first=first):
                known = order.order_id in self._orders[room]
                self._demand(known is not first, f"order {order.order_id} of {room} is first made twice, or changed unmade")
                self._orders[room][order.order_id] = order
            case _:
                pass

    def _change(self, fact: DropChanged) -> None:
        name = f"{fact.drop.room}/{fact.drop.id}"
        before = self._drops.get(name)
        self._demand((before is None) is (fact.step == "create"), f"drop {name} is made twice, or changed unmade")
        if before is not None:
            for field in ("granted", "returned", "reserved", "entrants"):
                was, is_ = getattr(before, field), getattr(fact.drop, field)
                self._demand(was == is_, f"drop {name}: {field} was {was}, and {is_} after a {fact.step}")
        self._keep(name, fact.drop)

    def _grant(self, at: int, fact: UnitsGranted) -> None:
        name, drop = self._known(fact.room, fact.drop)
        units, taken = self._units[name], self._taken[_place_of(drop)]
        for grant in fact.grants:
            self._demand(grant.serial == len(units) + 1, f"drop {name}: serial {grant.serial} follows {len(units)}")
            taken[grant.user] += 1
            self._demand(taken[grant.user] <= drop.terms.per_user, f"drop {name}: {grant.user} has {taken[grant.user]} units")
            state: Any = "granted" if fact.expires_at is None else "reserved"
            units.append(Unit(grant.serial, grant.user, grant.cid, at, fact.of, state, grant.code, fact.expires_at))
        reserved = drop.reserved + (len(fact.grants) if fact.expires_at is not None else 0)
        now = msgspec.structs.replace(
            drop, granted=len(units), reserved=reserved, left=fact.left, state=fact.state, sold_out_times=fact.sold_out_times
        )
        self._keep(name, now)

    def _enter(self, fact: PotEntered) -> None:
        name, drop = self._known(fact.room, fact.drop)
        for entrant in fact.entrants:
            entered = len(self._entrants[name])
            self._demand(entrant.number == entered + 1, f"drop {name}: entrant {entrant.number} follows {entered}")
            self._entrants[name].append(entrant)
        self._keep(name, msgspec.structs.replace(drop, entrants=len(self._entrants[name])))

    def _become(self, at: int, fact: UnitsChanged) -> None:
        name, drop = self._known(fact.room, fact.drop)
        units, reserved = self._units[name], drop.reserved
        for grant in fact.units:
            self._demand(1 <= grant.serial <= len(units), f"drop {name}: serial {grant.serial} was never granted")
            unit = units[grant.serial - 1]
            reserved -= unit.state == "reserved"
            units[grant.serial - 1] = msgspec.structs.replace(
                unit,
                state=fact.became,
                changed_at=at,
                order_id=fact.order_id or unit.order_id,
                amount=unit.amount if fact.amount is None else fact.amount,
                currency=fact.currency or unit.currency,
                reason=fact.reason,
            )
            if fact.freed:
                self._taken[_place_of(drop)][grant.user] -= 1
        returned = drop.returned + (len(fact.units) if fact.returned else 0)
        times = drop.sold_out_times
        self._keep(
            name,
            msgspec.structs.replace(
                drop, reserved=reserved, returned=returned, left=fact.left, state=fact.state, sold_out_times=times
            ),
        )

    def _known(self, room: str, id_: str) -> tuple[str, Drop]:
        name = f"{room}/{id_}"
        self._demand(name in self._drops, f"drop {name} was never made")
        return name, self._drops[name]

    def _keep(self, name: str, drop: Drop) -> None:
        left = left_of(drop.terms, drop.granted, drop.returned, drop.codes_held)
        self._demand(drop.left == left, f"drop {name}: {drop.left} left, but it follows that there are {left}")
        out = drop.granted - drop.returned
        self._demand(out <= drop.terms.stock, f"drop {name}: {out} units are out of a stock of {drop.terms.stock}")
        self._demand(drop.reserved >= 0, f"drop {name}: {drop.reserved} units are reserved")
        self._drops[name] = msgspec.structs.replace(drop, changed=self._at)

    def _demand(self, holds: bool, otherwise: str) -> None:
        if not holds:
            raise Difference(f"shard {self._shard}, position {self._at}: {otherwise}")


def compare(expected: ShardPicture, found: ShardPicture) -> None:
    """Raise the first `Difference` of a store's picture from what its entries say."""
    for field in ShardPicture.__struct_fields__:
        if field in {"shard", "position"}:
            continue
        want, have = getattr(expected, field), getattr(found, field)
        for key in [*want, *(key for key in have if key not in want)]:
            if want.get(key) != have.get(key):
                where = "/".join(key) if isinstance(key, tuple) else key
                detail = _detail(want.get(key), have.get(key))
                raise Difference(f"shard {expected.shard}, {field} of {where}: {detail}")


def _detail(want: Any, have: Any) -> str:
    """Where two values part, as closely as can be said."""
    if isinstance(want, list) and isinstance(have, list):
        for n, (one, other) in enumerate(zip(want, have, strict=False), 1):
            if one != other:
                return f"the {n}. should be {one}, but is {other}"
        return f"there should be {len(want)}, but there are {len(have)}"
    if isinstance(want, dict) and isinstance(have, dict):
        key = next(key for key in {**want, **have} if want.get(key) != have.get(key))
        return f"{key} should be {want.get(key)}, but is {have.get(key)}"
    if isinstance(want, Struct) and type(want) is type(have):
        field = next(name for name in want.__struct_fields__ if getattr(want, name) != getattr(have, name))
        return f"{field} should be {getattr(want, field)}, but is {getattr(have, field)}"
    return f"should be {want}, but is {have}"


def _place_of(drop: Drop) -> str:
    """Where a drop's units are counted per user."""
    return f"{drop.room}/{drop.terms.limit_group} group" if drop.terms.limit_group else f"{drop.room}/{drop.id}"


def _filled(mapping: Any) -> Any:
    return {key: value for key, value in mapping.items() if value}
