"""Wallets, gifts and boards in memory: this part of `ledger.Ledger`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from livecast.adapters.memory.books import Books, ForATime, ShardBooks
from livecast.core.books.bookkeeping import GiftCommitted, GiftDebited, GiftReversed, PendingCleared, WalletMoved
from livecast.core.errors import Refusal
from livecast.core.money.coins import (
    AMOUNT_MAX,
    GIFT_KEEP_MS,
    TX_KEEP_MS,
    Booking,
    Gift,
    GiftRecord,
    HostGifts,
    Moved,
    Movement,
    Pending,
    PendingKind,
    Rank,
    SpendLimits,
    Takings,
    Wallet,
    account_of,
    day_of,
    month_of,
    objection_to_gift,
)
from livecast.core.nodes.placement import shard_of
from livecast.ledger import Bound, MovementAnswer
from livecast.ports import StoreError


class KeptWallet:
    """One user's wallet."""

    __slots__ = ("balance", "bookings", "day", "month", "spent_day", "spent_month")

    def __init__(self) -> None:
        self.balance = 0
        self.bookings: list[Booking] = []
        self.day = self.month = self.spent_day = self.spent_month = 0

    def book(self, at: int, amount: int, counter: str, tx: str, memo: str = "") -> Booking:
        """Add a line to the statement."""
        self.balance += amount
        booking = Booking(len(self.bookings) + 1, at, amount, self.balance, counter, tx, memo)
        self.bookings.append(booking)
        return booking

    def give_back(self, amount: int, spent_at: int) -> None:
        """So much that was spent then counts no more, if its day or month is still on."""
        if self.day == day_of(spent_at):
            self.spent_day = max(0, self.spent_day - amount)
        if self.month == month_of(spent_at):
            self.spent_month = max(0, self.spent_month - amount)

    def turn_to(self, day: int, month: int) -> None:
        """A new day or month begins for the limits; a clock that goes back does not begin an old one again."""
        if day > self.day:
            self.day, self.spent_day = day, 0
        if month > self.month:
            self.month, self.spent_month = month, 0


class Purse(Struct):
    """What a user has given in a broadcast, and at which position that was reached."""

    value: int = 0
    reached: int = 0


class KeptTakings:
    """What a room earned, in a broadcast or ever."""

    __slots__ = ("by_host", "gifts", "hosts")

    def __init__(self) -> None:
        self.gifts = 0
        self.hosts: defaultdict[str, int] = defaultdict(int)
        self.by_host: dict[str, HostGifts] = {}

    def add(self, host: str, gifts: int, value: int) -> None:
        """Count a gift in (or, negative, out)."""
        self.gifts += gifts
        self.hosts[host] += value
        known = self.by_host.get(host, HostGifts())
        back = (1, -value) if gifts < 0 else (0, 0)
        self.by_host[host] = HostGifts(known.gifts + gifts, known.reversed + back[0], known.reversed_value + back[1])

    def picture(self) -> Takings:
        """As it is now."""
        hosts = {host: value for host, value in self.hosts.items() if value}
        return Takings(self.gifts, sum(hosts.values()), hosts, dict(self.by_host))


class MemoryMoney:
    """Wallets, gifts and boards. Nothing here awaits, so each call is atomic on the event loop."""

    def __init__(self, books: Books, opening: int) -> None:
        self._books = books
        self._opening = opening
        self._wallets: dict[str, KeptWallet] = {}
        self._moved: ForATime[tuple[Movement, Moved]] = ForATime(books.clock, TX_KEEP_MS)
        self._debited: ForATime[tuple[int, Moved]] = ForATime(books.clock, TX_KEEP_MS)
        self._bound: ForATime[str] = ForATime(books.clock, TX_KEEP_MS)
        self._pending: dict[tuple[int, PendingKind, str], Pending] = {}
        self._gifts: ForATime[tuple[GiftRecord, GiftRecord]] = ForATime(books.clock, GIFT_KEEP_MS)  # as first booked, and as now
        self._boards: defaultdict[tuple[str, str], defaultdict[str, Purse]] = defaultdict(lambda: defaultdict(Purse))
        self._takings: defaultdict[tuple[str, str | None], KeptTakings] = defaultdict(KeptTakings)

    # --- Wallets ------------------------------------------------------------------------------------------------------
    async def move(self, movement: Movement, now: int) -> MovementAnswer:
        """Credit or debit a wallet."""
        shard = self._books.call(movement.user)
        if (known := self._moved.get(movement.user, movement.tx)) is not None:
            first, moved = known
            return moved if first == movement else Refusal("conflict")
        wallet = self._wallet_of(shard, movement.user, now)
        if wallet.balance + movement.amount < 0:
            return Refusal("insufficient_funds")
        if movement.amount == 0 or wallet.balance + movement.amount > AMOUNT_MAX:
            return Refusal("invalid", field="amount")
        if movement.spent_at:
            wallet.give_back(movement.amount, movement.spent_at)
        booking = wallet.book(now, movement.amount, movement.counter, movement.tx, movement.memo)
        moved = Moved(movement.tx, booking.balance, booking.number, now)
        self._moved.put((movement, moved), movement.user, movement.tx)
        shard.append(now, _entry_of(movement.user, booking))
        return moved

    async def wallet(self, user: str) -> Wallet:
        """The balance."""
        kept = self._wallets.get(user)
        return Wallet(user, kept.balance, len(kept.bookings)) if kept else Wallet(user, self._opening, 0)

    async def bookings(self, user: str, before: int | None, limit: int) -> list[Booking]:
        """A wallet's statement, newest first."""
        kept = self._wallets.get(user)
        lines = kept.bookings if kept else []
        end = len(lines) if before is None else max(0, min(len(lines), before - 1))
        return lines[max(0, end - limit) : end][::-1]

    def _wallet_of(self, shard: ShardBooks, user: str, now: int) -> KeptWallet:
        """The wallet; a new one begins with the opening balance."""
        wallet = self._wallets.get(user)
        if wallet is None:
            wallet = self._wallets[user] = KeptWallet()
            if self._opening:
                shard.append(now, _entry_of(user, wallet.book(now, self._opening, "opening", "opening")))
        return wallet

    async def bind_tx(self, tx: str, body: str, now: int) -> Bound:
        """Bind a service's id to one content."""
        del now
        self._books.call(tx)
        known = self._bound.get(tx)
        if known is None:
            self._bound.put(body, tx)
            return "new"
        return "same" if known == body else "other"

    async def unbind_tx(self, tx: str, body: str, now: int) -> None:
        """Let it go."""
        del now
        self._books.call(tx)
        if self._bound.get(tx) == body:
            self._bound.forget(tx)

    # --- Gifts --------------------------------------------------------------------------------------------------------
    async def debit_gift(self, gift: Gift, limits: SpendLimits, now: int, objection: str = "") -> MovementAnswer:
        """Take a gift's value from its giver's wallet and note it as pending."""
        shard = self._books.call(gift.user)
        if (known := self._debited.get(gift.tx)) is not None:
            body, moved = known
            return moved if body == gift.body else Refusal("conflict")
        if objection:
            return Refusal(objection)
        wallet = self._wallet_of(shard, gift.user, now)
        wallet.turn_to(day_of(now), month_of(now))
        if (over := objection_to_gift(gift, limits, wallet.spent_day, wallet.spent_month)) is not None:
            return over
        if wallet.balance < gift.value:
            return Refusal("insufficient_funds")
        wallet.spent_day += gift.value
        wallet.spent_month += gift.value
        booking = wallet.book(now, -gift.value, account_of(gift), gift.tx, gift.gift)
        moved = Moved(gift.tx, booking.balance, booking.number, now)
        self._debited.put((gift.body, moved), gift.tx)
        self._note(Pending("commit", shard_of(gift.user), gift, now))
        shard.append(now, GiftDebited(gift, booking.balance, booking.number))
        return moved

    async def debit_gifts(
        self, debits: Sequence[tuple[Gift, str]], limits: SpendLimits, now: int
    ) -> list[MovementAnswer | StoreError]:
        """The same for many, each by itself."""
        answers = list[MovementAnswer | StoreError]()
        for gift, objection in debits:
            try:
                answers.append(await self.debit_gift(gift, limits, now, objection))
            except StoreError as fault:
                answers.append(fault)
        return answers

    async def commit_gift(self, gift: Gift, now: int) -> GiftRecord:
        """Book a gift in its room, once."""
        shard = self._books.call(gift.room)
        if (known := self._gifts.get(_shard_key(gift.room), gift.tx)) is not None:
            return known[0]
        total = self._count(gift, 1, gift.value)
        record = GiftRecord(gift, now, total)
        self._gifts.put((record, record), _shard_key(gift.room), gift.tx)
        self._reached(gift, shard.append(now, GiftCommitted(gift, total)))
        return record

    async def commit_gifts(self, shard: int, gifts: Sequence[tuple[Gift, int]]) -> list[GiftRecord]:
        """Book gifts in their rooms."""
        del shard
        return [await self.commit_gift(gift, at) for gift, at in gifts]

    async def clear_pendings(self, shard: int, pendings: Sequence[Pending], now: int) -> None:
        """The other halves are done."""
        del shard
        for pending in pendings:
            await self.clear_pending(pending, now)

    async def clear_pending(self, pending: Pending, now: int) -> None:
        """The other half is done."""
        shard = self._books.shards[pending.shard]
        shard.call()
        if self._pending.pop((pending.shard, pending.kind, pending.gift.tx), None) is not None:
            shard.append(now, PendingCleared(pending.kind, pending.gift.tx))

    async def reverse_gift(self, room: str, tx: str, reason: str, now: int) -> GiftRecord | Refusal:
        """Take a gift off the board and the earnings."""
        shard = self._books.call(room)
        kept = self._gifts.get(_shard_key(room), tx)
        if kept is None or kept[0].gift.room != room:
            return Refusal("not_found")
        first, record = kept
        if record.reversed_at is not None:
            return record
        gift = record.gift
        total = self._count(gift, -1, -gift.value)
        record = msgspec.structs.replace(record, reversed_at=now, reason=reason, total=total)
        self._gifts.put((first, record), _shard_key(room), tx)
        if gift.paid == "wallet":
            self._note(Pending("refund", shard_of(room), gift, now))
        self._reached(gift, shard.append(now, GiftReversed(gift, reason, total)))
        return record

    async def find_gift(self, tx: str, room: str | None = None) -> GiftRecord | None:
        """A gift by its id."""
        if room is not None:
            kept = self._gifts.get(_shard_key(room), tx)
            return None if kept is None else kept[1]
        return next((record for (_, known), (_, record) in self._gifts.items() if known == tx), None)

    async def pending(self, shard: int, before: int, limit: int) -> list[Pending]:
        """What is half done, oldest first."""
        found = [each for each in self._pending.values() if each.shard == shard and each.since < before]
        # Of the same moment in the order of ids, as a sorted set has them.
        return sorted(found, key=lambda each: (each.since, f"{each.kind}/{each.gift.tx}".encode()))[:limit]

    async def board(self, room: str, broadcast: str, limit: int) -> list[Rank]:
        """Who gave most."""
        purses = self._boards[room, broadcast]
        order = sorted(purses, key=lambda user: (-purses[user].value, purses[user].reached))
        return [Rank(user, purses[user].value) for user in order[:limit]]

    async def given(self, room: str, broadcast: str, user: str) -> int:
        """What `user` has given in the broadcast."""
        purse = self._boards[room, broadcast].get(user)
        return purse.value if purse else 0

    async def takings(self, room: str, broadcast: str | None) -> Takings:
        """What the room earned."""
        return self._takings[room, broadcast].picture()

    def _note(self, pending: Pending) -> None:
        self._pending[pending.shard, pending.kind, pending.gift.tx] = pending

    def _count(self, gift: Gift, gifts: int, value: int) -> int:
        purse = self._boards[gift.room, gift.broadcast][gift.user]
        purse.value += value
        for broadcast in (gift.broadcast, None):
            self._takings[gift.room, broadcast].add(gift.to, gifts, value)
        return purse.value

    def _reached(self, gift: Gift, position: int) -> None:
        """The giver stands where they stand since `position`; who has nothing left on the board leaves it."""
        purses = self._boards[gift.room, gift.broadcast]
        purses[gift.user].reached = position
        if purses[gift.user].value == 0:
            del purses[gift.user]


def _shard_key(room: str) -> str:
    return str(shard_of(room))


def _entry_of(user: str, booking: Booking) -> WalletMoved:
    return WalletMoved(user, booking.tx, booking.amount, booking.balance, booking.number, booking.counter, booking.memo)
