"""Wallets, gifts and boards on Redis or Valkey: this part of `ledger.Ledger`. `lua/ledger/` says what the scripts keep where."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final, cast

import msgspec

from livecast.adapters.redis.ledger_calls import LedgerCalls, LedgerScript, place, refusal
from livecast.adapters.redis.server import Argument, Command
from livecast.core.errors import Refusal
from livecast.core.money.coins import (
    AMOUNT_MAX,
    GIFT_KEEP_MS,
    TX_KEEP_MS,
    Booking,
    Gift,
    GiftRecord,
    Moved,
    Movement,
    Pending,
    PendingKind,
    Rank,
    SpendLimits,
    Takings,
    Wallet,
    account_of,
    counted_by_host,
    day_of,
    month_of,
)
from livecast.core.nodes.placement import SHARDS, shard_of
from livecast.ledger import Bound, MovementAnswer
from livecast.ports import StoreError

MOVE: Final = LedgerScript("move", "wallet")
DEBIT: Final = LedgerScript("gift_debit", "wallet")
COMMIT: Final = LedgerScript("gift_commit", "board")
REVERSE: Final = LedgerScript("gift_reverse", "board")
BIND: Final = LedgerScript("tx_bind")
CLEAR: Final = LedgerScript("pending_clear")

encode = msgspec.msgpack.Encoder().encode
decode_gift = msgspec.msgpack.Decoder(Gift).decode
decode_booking = msgspec.msgpack.Decoder(tuple[int, int, int, str, str, str]).decode


class RedisMoney:
    """Wallets, gifts and boards."""

    def __init__(self, calls: LedgerCalls, opening: int) -> None:
        self._calls = calls
        self._opening = opening

    # --- Wallets ------------------------------------------------------------------------------------------------------
    async def move(self, movement: Movement, now: int) -> MovementAnswer:
        """Credit or debit a wallet."""
        shard, _ = place(movement.user)
        answer = await self._calls.operate(
            MOVE,
            shard,
            now,
            movement.user,
            movement.tx,
            movement.amount,
            movement.counter,
            movement.memo,
            self._opening,
            TX_KEEP_MS,
            AMOUNT_MAX,
            day_of(movement.spent_at) if movement.spent_at else b"",
            month_of(movement.spent_at) if movement.spent_at else b"",
        )
        return _moved(movement.tx, answer)

    async def wallet(self, user: str) -> Wallet:
        """The balance."""
        shard, tag = place(user)
        (balance, n), *_ = await self._calls.read(shard, ("HMGET", f"{tag}wallet:{user}", "balance", "n"))
        return Wallet(user, self._opening, 0) if balance is None else Wallet(user, int(balance), int(n))

    async def bookings(self, user: str, before: int | None, limit: int) -> list[Booking]:
        """A wallet's statement, newest first."""
        shard, tag = place(user)
        key = f"{tag}bookings:{user}"
        if before is None:
            (length,) = await self._calls.read(shard, ("LLEN", key))
            before = length + 1
        first, last = max(1, before - limit), before - 1
        if last < first:
            return []
        (lines,) = await self._calls.read(shard, ("LRANGE", key, first - 1, last - 1))
        return [Booking(number, *decode_booking(line)) for number, line in enumerate(lines, first)][::-1]

    async def bind_tx(self, tx: str, body: str, now: int) -> Bound:
        """Bind a service's id to one content."""
        answer = await self._calls.operate(BIND, place(tx)[0], now, tx, body, TX_KEEP_MS)
        return cast("Bound", answer[1].decode())

    async def unbind_tx(self, tx: str, body: str, now: int) -> None:
        """Let it go."""
        await self._calls.operate(BIND, place(tx)[0], now, tx, body, 0)

    # --- Gifts --------------------------------------------------------------------------------------------------------
    async def debit_gift(self, gift: Gift, limits: SpendLimits, now: int, objection: str = "") -> MovementAnswer:
        """Take a gift's value from its giver's wallet and note it as pending."""
        (answer,) = await self.debit_gifts([(gift, objection)], limits, now)
        if isinstance(answer, StoreError):
            raise answer
        return answer

    async def debit_gifts(
        self, debits: Sequence[tuple[Gift, str]], limits: SpendLimits, now: int
    ) -> list[MovementAnswer | StoreError]:
        """The same for many, each by itself."""
        bounds = [b"" if limit is None else limit for limit in (limits.per_gift, limits.per_day, limits.per_month)]
        shared = (self._opening, TX_KEEP_MS, *bounds, day_of(now), month_of(now))
        asked = [
            (
                shard_of(gift.user),
                (gift.tx, gift.body, gift.user, gift.value, objection, account_of(gift), gift.gift, *shared, encode(gift)),
            )
            for gift, objection in debits
        ]
        answers = await self._calls.operate_all(DEBIT, now, asked)
        return [
            answer if isinstance(answer, StoreError) else _moved(gift.tx, answer)
            for (gift, _), answer in zip(debits, answers, strict=True)
        ]

    async def commit_gift(self, gift: Gift, now: int) -> GiftRecord:
        """Book a gift in its room, once."""
        (record,) = await self.commit_gifts(place(gift.room)[0], [(gift, now)])
        return record

    async def commit_gifts(self, shard: int, gifts: Sequence[tuple[Gift, int]]) -> list[GiftRecord]:
        """Book gifts in their rooms."""
        arguments: list[Argument] = [GIFT_KEEP_MS]
        for gift, at in gifts:
            arguments += (gift.tx, gift.room, gift.broadcast, gift.user, gift.to, gift.value, gift.paid, at, encode(gift))
        _, *answers = await self._calls.operate(COMMIT, shard, gifts[0][1], *arguments, bulk=True)
        return [
            GiftRecord(decode_gift(before[0]) if before else gift, at, total)
            for (gift, _), (at, total, *before) in zip(gifts, answers, strict=True)
        ]

    async def clear_pending(self, pending: Pending, now: int) -> None:
        """The other half is done."""
        await self.clear_pendings(pending.shard, [pending], now)

    async def clear_pendings(self, shard: int, pendings: Sequence[Pending], now: int) -> None:
        """The other halves are done."""
        names = (f"{each.kind}/{each.gift.tx}" for each in pendings)
        await self._calls.operate(CLEAR, shard, now, *names, bulk=True)

    async def reverse_gift(self, room: str, tx: str, reason: str, now: int) -> GiftRecord | Refusal:
        """Take a gift off the board and the earnings."""
        shard, _ = place(room)
        answer = await self._calls.operate(REVERSE, shard, now, tx, room, reason)
        if answer[0] == b"REFUSED":
            return refusal(answer)
        _, kept, at, total, reversed_at, why = answer
        return GiftRecord(decode_gift(kept), at, total, reversed_at, why.decode())

    async def find_gift(self, tx: str, room: str | None = None) -> GiftRecord | None:
        """A gift by its id: one question to each shard that it may be in, all of them together."""
        fields = ("gift", "at", "total", "reversed_at", "reason")
        shards = range(SHARDS) if room is None else [place(room)[0]]
        asked = (self._calls.read(shard, ("HMGET", f"{{s{shard}}}:gift:{tx}", *fields)) for shard in shards)
        return next((gift_record(held) for (held,) in await asyncio.gather(*asked) if held[0] is not None), None)

    async def pending(self, shard: int, before: int, limit: int) -> list[Pending]:
        """What is half done, oldest first."""
        tag = f"{{s{shard}}}:"
        window = ("ZRANGE", f"{tag}pending:all", "-inf", f"({before}", "BYSCORE", "LIMIT", 0, limit, "WITHSCORES")
        (found,) = await self._calls.read(shard, window)
        if not found:
            return []
        (gifts,) = await self._calls.read(shard, ("HMGET", f"{tag}pending_gifts:all", *found[::2]))
        return [
            Pending(_kind_of(name), shard, decode_gift(gift), int(since))
            for name, since, gift in zip(found[::2], found[1::2], gifts, strict=True)
            if gift is not None  # cleared meanwhile
        ]

    async def board(self, room: str, broadcast: str, limit: int) -> list[Rank]:
        """Who gave most."""
        shard, tag = place(room)
        (found,) = await self._calls.read(shard, ("ZREVRANGE", f"{tag}board:{room}/{broadcast}", 0, limit - 1, "WITHSCORES"))
        return ranks(found)

    async def given(self, room: str, broadcast: str, user: str) -> int:
        """What `user` has given in the broadcast."""
        shard, tag = place(room)
        (member,) = await self._calls.read(shard, ("HGET", f"{tag}givers:{room}/{broadcast}", user))
        if member is None:
            return 0
        (value,) = await self._calls.read(shard, ("ZSCORE", f"{tag}board:{room}/{broadcast}", member))
        return 0 if value is None else int(value)

    async def takings(self, room: str, broadcast: str | None) -> Takings:
        """What the room earned."""
        shard, tag = place(room)
        return takings_of(*await self._calls.read(shard, *takings_at(tag, room if broadcast is None else f"{room}/{broadcast}")))


def _moved(tx: str, answer: Sequence[Any]) -> MovementAnswer:
    if answer[0] == b"REFUSED":
        return refusal(answer)
    _, balance, number, at = answer
    return Moved(tx, balance, number, at)


def _kind_of(name: bytes) -> PendingKind:
    return "commit" if name.startswith(b"commit/") else "refund"


def gift_record(held: Sequence[bytes]) -> GiftRecord:
    """A gift as its hash has it: gift, at, total, reversed_at, reason."""
    gift, at, total, reversed_at, reason = held
    return GiftRecord(
        decode_gift(gift), int(at), int(total), None if reversed_at is None else int(reversed_at), (reason or b"").decode()
    )


def ranks(found: Sequence[bytes]) -> list[Rank]:
    """A board from its members, each 16 digits and a user, and their values."""
    return [Rank(member[16:].decode(), int(value)) for member, value in zip(found[::2], found[1::2], strict=True)]


def takings_at(tag: str, place: str) -> tuple[Command, Command]:
    """What to ask for the takings of a room, or of a broadcast (`ROOM/BROADCAST`)."""
    return ("HGETALL", f"{tag}takings:{place}" if "/" in place else f"{tag}earnings:{place}"), ("HGETALL", f"{tag}hosts:{place}")


def takings_of(held: Sequence[bytes], counted: Sequence[bytes]) -> Takings:
    """Takings from their hashes, as `takings_at` asks for them."""
    fields = dict(zip(held[::2], map(int, held[1::2]), strict=True))
    gifts = fields.pop(b"gifts", 0)
    hosts = {name.removeprefix(b"host:").decode(): value for name, value in fields.items() if value}
    counts = {name.decode(): int(n) for name, n in zip(counted[::2], counted[1::2], strict=True)}
    by_host = None if held and not counts else counted_by_host(gifts, counts)
    return Takings(gifts, sum(hosts.values()), hosts, by_host)
