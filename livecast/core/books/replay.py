"""Entries of one shard replayed: what the books must hold, as far as they lead, and the first entry that cannot be.

Pure, and fed one entry at a time, from the first one or from behind a checkpoint (`checkpoint.py`): how long a ledger is does not
matter, what it amounts to is all that is kept. Entries must agree with each other: a balance is the sum of its bookings and never
below zero; serials follow each other; codes are distinct; nobody has more than their share; no drop gives out more than its stock;
a gift is debited, booked and reversed once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final

import msgspec

from livecast.core.books.bookkeeping import (
    BookEntry,
    BookFact,
    DropChanged,
    GiftCommitted,
    GiftDebited,
    GiftReversed,
    LaterFact,
    OrderTaken,
    PendingCleared,
    PotEntered,
    ShardConfirmed,
    UnitsChanged,
    UnitsGranted,
    WalletMoved,
)
from livecast.core.books.inventory import BookedGift, Difference, Found, Kind, Purse, Standing
from livecast.core.money.coins import UNCOUNTED, Gift, HostGifts, PendingKind, Takings, counted_by_host
from livecast.core.money.units import Drop, Entrant, Order, Unit, left_of

MONEY: Final[frozenset[Kind]] = frozenset({"wallets", "statements", "gifts", "pending", "givers", "board sizes", "takings"})


class ShardReplay:
    """The state that one shard's entries lead to: `apply` each, then ask what is `expected`."""

    def __init__(self, shard: int) -> None:
        self.shard = shard
        self.at = 0
        """Position of the last entry."""
        self.entries = self.granted = self.confirmed = self.reversed = self.gifts = self.gift_value = self.confirmations = 0
        """What was counted over all entries; `confirmations`: losses that an operator confirmed."""
        self.pending: dict[tuple[PendingKind, str], Gift] = {}
        self._wallets: defaultdict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
        self._debits: dict[str, int] = {}
        self._gifts: dict[str, tuple[int, BookedGift]] = {}
        self._purses: defaultdict[str, dict[str, tuple[int, int]]] = defaultdict(dict)
        self._boards: dict[str, list[Standing]] = {}
        """Boards in order, made when asked for."""
        self._takings: defaultdict[str, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
        self._gift_counts: defaultdict[str, int] = defaultdict(int)
        """By place; and by host, under the place, a line feed, and the names that `counted_by_host` takes."""
        self._drops: dict[str, Drop] = {}
        self._units: defaultdict[str, list[Unit]] = defaultdict(list)
        self._codes: defaultdict[str, set[str]] = defaultdict(set)
        self._entrants: defaultdict[str, list[Entrant]] = defaultdict(list)
        self._entered: defaultdict[str, dict[str, int]] = defaultdict(dict)
        self._taken: defaultdict[str, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
        self._orders: defaultdict[str, dict[str, Order]] = defaultdict(dict)
        self._by_name: dict[Kind, Mapping[str, Any]] = {
            "wallets": self._wallets,
            "boards": self._purses,
            "takings": self._takings,
            "drops": self._drops,
            "units": self._units,
            "entrants": self._entrants,
            "taken": self._taken,
            "orders": self._orders,
        }

    def apply(self, entry: BookEntry) -> None:
        """One entry more. Raises `Difference` if it cannot follow those before it."""
        self._demand(entry.position > self.at, f"entry {entry.position} follows {self.at}")
        self.at = entry.position
        self.entries += 1
        if not self._apply_money(entry.at, entry.fact):
            self._apply_goods(entry.at, entry.fact)

    # --- What follows -------------------------------------------------------------------------------------------------
    def names(self, kind: Kind) -> list[str]:
        """Under which names there is something of a kind."""
        return list(self._by_name[kind])

    def ids(self, kind: Kind, name: str = "") -> list[str]:
        """The ids of what is a dict: orders of a room, users who took units, gifts of the shard (`gifts`, by tx)."""
        return list(self._gifts if kind == "gifts" else self._by_name[kind].get(name, ()))

    def size(self, kind: Kind, name: str) -> int:
        """How long the list of a kind and a name is."""
        return len(self._by_name[kind].get(name, ()))

    def drop(self, name: str) -> Drop | None:
        """A drop as it follows."""
        return self._drops.get(name)

    def units(self, name: str, first: int, count: int) -> list[Unit]:
        """Units of a drop."""
        return self._units[name][first - 1 : first - 1 + count] if name in self._units else []

    def booked_at(self, tx: str) -> int:
        """When a gift was booked, by its asker's clock."""
        return self._gifts[tx][0]

    def purses(self) -> tuple[int, int]:
        """Wallets, and the coins in all of them."""
        return len(self._wallets), sum(balance for balance, _ in self._wallets.values())

    def reserved(self) -> int:
        """Units that wait to be confirmed."""
        return sum(drop.reserved for drop in self._drops.values())

    def returned(self) -> int:
        """Units that came back to stock."""
        return sum(drop.returned for drop in self._drops.values())

    def known(self) -> dict[str, dict[str, Any]]:
        """All that entries led to, under the names of its kinds: for whoever keeps it, or puts back what was kept."""
        return {
            "wallets": self._wallets,
            "debits": self._debits,
            "gifts": self._gifts,
            "purses": self._purses,
            "takings": self._takings,
            "gift_counts": self._gift_counts,
            "drops": self._drops,
            "units": self._units,
            "entrants": self._entrants,
            "taken": self._taken,
            "orders": self._orders,
        }

    def put_back(self) -> None:
        """What follows from what was put into `known`: codes that were given out, places in pots, and where an older version did
        not count gifts by host.
        """
        for name, units in self._units.items():
            self._codes[name] = {unit.code for unit in units if unit.code}
        for name, entrants in self._entrants.items():
            self._entered[name] = {entrant.user: entrant.number for entrant in entrants}
        for place, hosts in self._takings.items():
            if any(f"{place}\ng:{host}" not in self._gift_counts for host in hosts):
                self._gift_counts[f"{place}\n{UNCOUNTED}"] = 1

    def expected(self, found: Found) -> Any:
        """What must be where `found` was found, in the same form."""
        return self._money(found) if found.kind in MONEY else self._goods(found)

    def _money(self, found: Found) -> Any:  # noqa: PLR0911 - a table of kinds
        name = found.name
        match found.kind:
            case "wallets":
                return Purse(*self._wallets[name]) if name in self._wallets else None
            case "statements":
                return Purse(*self._wallets.get(name, (0, 0)))
            case "gifts":
                return {tx: self._gifts[tx][1] if tx in self._gifts else None for tx in found.of or ()}
            case "pending":
                return dict(self.pending)
            case "givers":
                purses = self._purses.get(name, {})
                return {user: purses[user][1] if user in purses else None for user in found.of or ()}
            case "board sizes":
                return self.size("boards", name)
            case _:
                return self._takings_of(name, found.value)

    def _takings_of(self, place: str, held: Takings | None) -> Takings | None:
        """What is counted by host is compared where both sides know it: books, or a checkpoint, may be older than that."""
        ever: Mapping[str, int] = self._takings.get(place, {})
        hosts = {host: value for host, value in ever.items() if value}
        gifts = self._gift_counts.get(place, 0)
        by_host = self._by_host(place, gifts, ever) if held is not None and held.by_host is not None else None
        if by_host is None and held is not None:
            by_host = held.by_host
        takings = Takings(gifts, sum(hosts.values()), hosts, by_host)
        return None if takings.is_nothing else takings

    def _by_host(self, place: str, gifts: int, ever: Iterable[str]) -> dict[str, HostGifts] | None:
        names = [UNCOUNTED, *(f"{what}:{host}" for host in ever for what in "grv")]
        return counted_by_host(gifts, {name: self._gift_counts.get(f"{place}\n{name}", 0) for name in names})

    def _goods(self, found: Found) -> Any:  # noqa: PLR0911 - a table of kinds
        name = found.name
        match found.kind:
            case "drops":
                return self._drops.get(name)
            case "unit counts":
                return self.size("units", name)
            case "entrant counts":
                return self.size("entrants", name)
            case "code counts":
                return self._drops[name].codes_held if name in self._drops else 0
            case "orders":
                orders = self._orders.get(name, {})
                return dict(orders) if found.of is None else {id_: orders.get(id_) for id_ in found.of}
            case "taken":
                users: Mapping[str, int] = self._taken.get(name, {})
                return {user: n for user, n in users.items() if n} if found.of is None else {u: users.get(u, 0) for u in found.of}
            case _:
                return _part(self._list(found.kind, name), found, partial(self._of_unit, found.kind, name))

    def _list(self, kind: Kind, name: str) -> Sequence[Any]:
        if kind == "boards":
            return self._board(name)
        return self._entrants.get(name, ()) if kind == "entrants" else self._units.get(name, ())

    def _of_unit(self, kind: Kind, name: str, each: Any) -> Any:
        """What else must be known of a unit; a line of another list stands for itself."""
        match kind:
            case "answers":  # who came into the pot was told so; all others were told their serial
                number = self._entered[name].get(each.user) if name in self._entered else None
                is_entry = number is not None and self._entrants[name][number - 1].cid == each.cid
                return "e" if is_entry else str(each.serial)
            case "holders":
                return each.serial
            case "expiring":
                return each.expires_at if each.state == "reserved" else None
            case "codes":
                return each.code
            case _:
                return each

    def _board(self, place: str) -> list[Standing]:
        if place not in self._boards:
            purses = self._purses.get(place, {})
            order = sorted(purses, key=lambda user: (-purses[user][0], purses[user][1]))
            self._boards[place] = [Standing(user, *purses[user]) for user in order]
        return self._boards[place]

    # --- Money --------------------------------------------------------------------------------------------------------
    def _apply_money(self, at: int, fact: BookFact) -> bool:
        """Whether it was about money."""
        match fact:
            case WalletMoved():
                self._book(fact.user, fact.amount, fact.balance, fact.number)
            case GiftDebited(gift=gift):
                self._demand(gift.tx not in self._debits, f"gift {gift.tx} is taken from {gift.user}'s wallet twice")
                self._debits[gift.tx] = at
                self._book(gift.user, -gift.value, fact.balance, fact.number)
                self.pending["commit", gift.tx] = gift
            case PendingCleared(kind=kind, tx=tx):
                self._demand((kind, tx) in self.pending, f"{kind} {tx} is cleared without having been pending")
                del self.pending[kind, tx]
            case GiftCommitted(gift=gift):
                self._demand(gift.tx not in self._gifts, f"gift {gift.tx} is booked twice")
                self._gifts[gift.tx] = (at, BookedGift(gift.user, gift.value, gift.broadcast, gift.paid, False))
                self._count(gift, 1, gift.value, fact.total)
            case GiftReversed(gift=gift):
                booked_at, booked = self._gifts.get(gift.tx, (0, None))
                if booked is None or booked.reversed:
                    raise self._difference(f"gift {gift.tx} is reversed without being booked, or twice")
                self._gifts[gift.tx] = (booked_at, msgspec.structs.replace(booked, reversed=True))
                self.reversed += 1
                self._count(gift, -1, -gift.value, fact.total)
                if gift.paid == "wallet":
                    self.pending["refund", gift.tx] = gift
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
        self._boards.pop(place, None)
        before = self._purses[place].get(gift.user, (0, 0))[0]
        self._demand(total == before + value, f"{gift.user} had given {before} in {place}, {value:+} makes {total}")
        if total:
            self._purses[place][gift.user] = (total, self.at)
        else:
            self._purses[place].pop(gift.user, None)
        self.gifts += gifts
        self.gift_value += value
        for where in (place, gift.room):
            self._gift_counts[where] += gifts
            self._gift_counts[f"{where}\ng:{gift.to}"] += gifts
            if gifts < 0:
                self._gift_counts[f"{where}\nr:{gift.to}"] -= gifts
                self._gift_counts[f"{where}\nv:{gift.to}"] -= value
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
            case ShardConfirmed():
                self.confirmations += 1
            case LaterFact(kind=kind):
                raise self._difference(f"entry {self.at} is a {kind!r}, which only a later version of livecast can replay")
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
            if grant.code:
                self._demand(grant.code not in self._codes[name], f"drop {name}: code {grant.code} is given out twice")
                self._codes[name].add(grant.code)
            units.append(Unit(grant.serial, grant.user, grant.cid, at, fact.of, state, grant.code, fact.expires_at))
        self.granted += len(fact.grants)
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
            self._demand(entrant.user not in self._entered[name], f"drop {name}: {entrant.user} is in the pot twice")
            self._entrants[name].append(entrant)
            self._entered[name][entrant.user] = entrant.number
        self._keep(name, msgspec.structs.replace(drop, entrants=len(self._entrants[name])))

    def _become(self, at: int, fact: UnitsChanged) -> None:
        name, drop = self._known(fact.room, fact.drop)
        units, reserved = self._units[name], drop.reserved
        for grant in fact.units:
            self._demand(1 <= grant.serial <= len(units), f"drop {name}: serial {grant.serial} was never granted")
            unit = units[grant.serial - 1]
            reserved -= unit.state == "reserved"
            self.confirmed += (fact.became == "confirmed") - (unit.state == "confirmed")
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
        self._drops[name] = msgspec.structs.replace(drop, changed=self.at)

    def _demand(self, holds: bool, otherwise: str) -> None:
        if not holds:
            raise self._difference(otherwise)

    def _difference(self, what: str) -> Difference:
        return Difference(f"shard {self.shard}, entry {self.at} of the ledger: {what}")


def _place_of(drop: Drop) -> str:
    """Where a drop's units are counted per user."""
    return f"{drop.room}/{drop.terms.limit_group} group" if drop.terms.limit_group else f"{drop.room}/{drop.id}"


def _part(whole: Sequence[Any], found: Found, shown: Callable[[Any], Any]) -> list[Any]:
    last = len(whole) if found.count is None else found.first - 1 + found.count
    return [shown(each) for each in whole[found.first - 1 : last]]
