"""The auditor: replays a deployment's ledgers, compares what follows with what the books hold, and follows what goes from
shard to shard: each half of a gift has its other one, or is pending. The first thing that does not agree is a `Difference`.

Pure: entries and what books hold are handed in. What was followed to its end is forgotten, so that the memory it takes is that
of one shard's books and of the gifts that are half way.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, TypeAlias

from msgspec import Struct

from livecast.core.books.bookkeeping import BookEntry, GiftCommitted, GiftDebited, GiftReversed, WalletMoved
from livecast.core.books.inventory import Difference, Found, check
from livecast.core.books.replay import ShardReplay
from livecast.core.money.coins import Gift, PendingKind, refund_of
from livecast.core.nodes.placement import shard_of

__all__ = ["AWAITED", "Audit", "Difference", "HalfWay", "Sums"]


class Sums(Struct):
    """What an audit went over: gifts and their value without those reversed; `reserved` units wait to be confirmed.

    `rested`: of the entries those that checkpoints stand for, in `checkpoints` shards; the oldest is of `rested_since` (Unix ms).
    """

    shards: int = 0
    entries: int = 0
    checkpoints: int = 0
    rested: int = 0
    rested_since: int | None = None
    wallets: int = 0
    coins: int = 0
    gifts: int = 0
    gift_value: int = 0
    reversed: int = 0
    pending: int = 0
    boards: int = 0
    drops: int = 0
    units: int = 0
    reserved: int = 0
    confirmed: int = 0
    returned: int = 0
    entrants: int = 0
    orders: int = 0
    confirmations: int = 0


Half: TypeAlias = Literal["debit", "commit", "reversal", "refund"]
"""A half of a gift's way; of the first two and of the last two each needs the other."""
OTHER: dict[Half, Half] = {"debit": "commit", "commit": "debit", "reversal": "refund", "refund": "reversal"}
AWAITED: dict[Half, PendingKind] = {"debit": "commit", "reversal": "refund"}
"""The first halves, and as what they are pending until the second one is there."""


class HalfWay(Struct, frozen=True):
    """A half of a gift's way whose other one was not seen. `shard`: where it stands, `other_shard`: where the other belongs."""

    half: Half
    tx: str
    user: str
    value: int
    shard: int
    other_shard: int


class Audit:
    """One pass over a deployment's ledgers: for each shard `begin`, then `follow` entries and `check` what is held, then `end`.

    Behind the last one, on books that went on meanwhile: for each of `half_way` look again whether it is pending or what new
    entries say (`follow_late`); then `finish`.
    """

    def __init__(self) -> None:
        self.sums = Sums()
        self.read_to: dict[int, int] = {}
        """shard -> position that it was audited at."""
        self._half_way: dict[tuple[Half, str], HalfWay] = {}
        self._pending: set[tuple[PendingKind, str]] = set()

    def begin(self, shard: int, rests_on: ShardReplay | None = None, at: int = 0) -> ShardReplay:
        """A shard's turn: from its first entry, or from a checkpoint that was made `at` (Unix ms)."""
        sums = self.sums
        sums.shards += 1
        if rests_on is None:
            return ShardReplay(shard)
        sums.checkpoints += 1
        sums.rested += rests_on.entries
        sums.rested_since = at if sums.rested_since is None else min(at, sums.rested_since)
        return rests_on

    def rest_on(self, halves: Iterable[HalfWay]) -> None:
        """What was half way when the checkpoints were made."""
        for each in halves:
            self._half_met(each, late=False)

    def open_halves(self) -> list[HalfWay]:
        """All halves whose other one was not seen, pending or not."""
        return list(self._half_way.values())

    def follow(self, replay: ShardReplay, entries: Iterable[BookEntry]) -> None:
        """Go on over a shard's entries. Raises `Difference`."""
        for entry in entries:
            replay.apply(entry)
            self._meet(replay.shard, entry)

    def check(self, replay: ShardReplay, found: Found) -> None:
        """What books hold, as of the entries followed so far. Raises `Difference`."""
        check(replay.expected(found), found, replay.shard)

    def end(self, replay: ShardReplay) -> None:
        """The shard is through."""
        self.read_to[replay.shard] = replay.at
        self._pending |= replay.pending.keys()
        sums = self.sums
        wallets, coins = replay.purses()
        sums.entries += replay.entries
        sums.gifts += replay.gifts
        sums.gift_value += replay.gift_value
        sums.confirmations += replay.confirmations
        sums.wallets += wallets
        sums.coins += coins
        sums.pending += len(replay.pending)
        sums.boards += sum(replay.size("boards", place) > 0 for place in replay.names("boards"))
        sums.drops += len(replay.names("drops"))
        sums.units += replay.granted
        sums.confirmed += replay.confirmed
        sums.reversed += replay.reversed
        sums.reserved += replay.reserved()
        sums.returned += replay.returned()
        sums.entrants += sum(replay.size("entrants", name) for name in replay.names("entrants"))
        sums.orders += sum(replay.size("orders", room) for room in replay.names("orders"))

    # --- From shard to shard ------------------------------------------------------------------------------------------
    def half_way(self) -> list[HalfWay]:
        """What is neither complete nor pending."""
        return [each for each in self._half_way.values() if not self.is_pending(each)]

    def is_pending(self, each: HalfWay) -> bool:
        """Whether a first half was seen to wait for its second."""
        kind = AWAITED.get(each.half)
        return kind is not None and (kind, each.tx) in self._pending

    def has_met(self, each: HalfWay) -> bool:
        """Whether its other half came meanwhile."""
        return (each.half, each.tx) not in self._half_way

    def note_pending(self, each: HalfWay) -> None:
        """A first half was looked at again, and waits for its second."""
        self._pending.add((AWAITED[each.half], each.tx))

    def follow_late(self, shard: int, entries: Iterable[BookEntry]) -> None:
        """Entries from behind what was audited, for the sake of those half way."""
        for entry in entries:
            self._meet(shard, entry, late=True)

    def finish(self) -> Sums:
        """The sums, if each half has its other one, or waits for it. Raises `Difference`."""
        for each in self.half_way():
            raise Difference(f"shard {each.shard}, gift {each.tx}: {_WRONG[each.half].format(user=each.user, value=each.value)}")
        return self.sums

    def _meet(self, shard: int, entry: BookEntry, *, late: bool = False) -> None:
        match entry.fact:
            case GiftDebited(gift=gift):
                self._pair("debit", gift, shard, shard_of(gift.room), late=late)
            case GiftCommitted(gift=gift):
                if gift.paid == "wallet":
                    self._pair("commit", gift, shard, shard_of(gift.user), late=late)
            case GiftReversed(gift=gift):
                if gift.paid == "wallet":
                    self._pair("reversal", gift, shard, shard_of(gift.user), late=late)
            case WalletMoved(user=user, tx=tx, amount=amount, counter=counter) if tx.startswith(_REFUND) and counter.startswith(
                "host:"
            ):
                room = counter.removeprefix("host:").partition("/")[0]
                gift = Gift(tx.removeprefix(_REFUND), user, room, "", "", 1, amount)
                self._pair("refund", gift, shard, shard_of(room), late=late)
            case _:
                pass

    def _pair(self, half: Half, gift: Gift, shard: int, other_shard: int, *, late: bool) -> None:
        self._half_met(HalfWay(half, gift.tx, gift.user, gift.value, shard, other_shard), late=late)

    def _half_met(self, one: HalfWay, *, late: bool) -> None:
        """Forget both halves once they have met; of late ones only those count that somebody waits for."""
        other = self._half_way.pop((OTHER[one.half], one.tx), None)
        if other is None:
            if not late:
                self._half_way[one.half, one.tx] = one
        elif (other.user, other.value) != (one.user, one.value):
            raise Difference(
                f"gift {one.tx}: the {other.half} in shard {other.shard} says {other.value} coins of {other.user}, "
                f"the {one.half} in shard {one.shard} says {one.value} coins of {one.user}"
            )


_REFUND = refund_of(Gift("", "", "", "", "", 1, 1)).tx
_WRONG: dict[Half, str] = {
    "debit": "{value} coins were taken from {user}'s wallet, but it is neither booked in its room nor pending",
    "commit": "it is booked in its room, but its {value} coins were never taken from {user}'s wallet",
    "reversal": "it was reversed, but its {value} coins are neither back in {user}'s wallet nor pending",
    "refund": "{value} coins went back into {user}'s wallet, but it was never reversed",
}
