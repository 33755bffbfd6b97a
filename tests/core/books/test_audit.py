"""The auditor against books that were cooked: each kind of fraud or fault is named."""

from __future__ import annotations

import msgspec
import pytest

from livecast.core.books.audit import Audit, Sums
from livecast.core.books.bookkeeping import (
    BookEntry,
    BookFact,
    DropChanged,
    GiftCommitted,
    GiftDebited,
    GiftReversed,
    Grant,
    OrderTaken,
    PendingCleared,
    PotEntered,
    UnitsChanged,
    UnitsGranted,
    WalletMoved,
)
from livecast.core.books.checkpoint import parts_of, replay_of
from livecast.core.books.inventory import Difference, Found, Purse
from livecast.core.books.replay import ShardReplay
from livecast.core.money.coins import Gift, HostGifts, Takings
from livecast.core.money.units import Drop, Entrant, Order, Terms
from livecast.core.nodes.placement import shard_of

ROSE = Gift("ann/c1", "ann", "demo", "b1", "rose", 1, 4)
DROP = Drop("demo", "d1", Terms(2), b"", "open", 2, 0, 0, 0, 0, 1)
COINS = WalletMoved("ann", "t1", 10, 10, 1, "key:k")
DEBIT = GiftDebited(ROSE, 6, 2)
GIFT = GiftCommitted(ROSE, 4)
BACK = WalletMoved("ann", "refund:ann/c1", 4, 10, 3, "host:demo/")


def granted(*grants: tuple[int, str], left: int) -> UnitsGranted:
    """Units of the drop."""
    state = "open" if left else "sold_out"
    return UnitsGranted("demo", "d1", 2, None, tuple(Grant(serial, user, "c") for serial, user in grants), left, state, 0)  # type: ignore[arg-type]  # one of them


def changed(serial: int, *, returned: bool, left: int) -> UnitsChanged:
    """A unit is revoked."""
    return UnitsChanged("demo", "d1", (Grant(serial, "ann", "c"),), "revoked", returned, False, left, "open")


def audit(*facts: BookFact, held: tuple[Found, ...] = ()) -> Sums:
    """All facts in one shard, and then what its books hold."""
    auditor = Audit()
    replay = auditor.begin(7)
    auditor.follow(replay, [BookEntry(n, 5, fact) for n, fact in enumerate(facts, 1)])
    for each in held:
        auditor.check(replay, each)
    auditor.end(replay)
    return auditor.finish()


def test_an_honest_ledger_passes_with_its_sums() -> None:
    """Coins, a gift that is reversed and paid back, a sold out drop with a revoked unit, an order."""
    facts: list[BookFact] = [
        COINS,
        DEBIT,
        GIFT,
        PendingCleared("commit", ROSE.tx),
        GiftReversed(ROSE, "", 0),
        BACK,
        PendingCleared("refund", ROSE.tx),
        DropChanged("create", DROP),
        granted((1, "ann"), (2, "bob"), left=0),
        changed(1, returned=True, left=1),
        OrderTaken("demo", Order("o1", "ann", "sku", 1, "EUR", "paid"), True),
    ]
    assert audit(*facts) == Sums(shards=1, entries=11, wallets=1, coins=10, reversed=1, drops=1, units=2, returned=1, orders=1)


BACK_ALONE = WalletMoved("ann", "refund:ann/c1", 4, 4, 1, "host:demo/")
MADE = DropChanged("create", DROP)
FRAUDS: dict[str, tuple[list[BookFact], str]] = {
    "a balance that does not add up": ([COINS, WalletMoved("ann", "t2", 5, 16, 2, "key:k")], r"ann had 10 coins, \+5 makes 16"),
    "a wallet below zero": ([WalletMoved("ann", "t1", -1, -1, 1, "key:k")], "ann has -1 coins"),
    "a booking left out": ([COINS, WalletMoved("ann", "t3", 1, 11, 3, "key:k")], "booking 3 of ann follows 1"),
    "a gift booked twice": ([COINS, DEBIT, GIFT, GIFT], "ann/c1 is booked twice"),
    "a gift nobody paid for": ([GIFT], "never taken from ann's wallet"),
    "a gift that never arrived": ([COINS, DEBIT, PendingCleared("commit", ROSE.tx)], "neither booked in its room nor pending"),
    "a reversal that was not paid back": (
        [COINS, DEBIT, GIFT, PendingCleared("commit", ROSE.tx), GiftReversed(ROSE, "", 0), PendingCleared("refund", ROSE.tx)],
        "neither back in ann's wallet nor pending",
    ),
    "a gift reversed twice": ([COINS, DEBIT, GIFT, GiftReversed(ROSE, "", 0), GiftReversed(ROSE, "", -4)], "reversed without"),
    "a wrong total": ([COINS, DEBIT, GiftCommitted(ROSE, 5)], r"ann had given 0 in demo/b1, \+4 makes 5"),
    "a refund from nowhere": ([BACK_ALONE], "never reversed"),
    "a gift taken twice": ([COINS, DEBIT, GiftDebited(ROSE, 2, 3)], "taken from ann's wallet twice"),
    "a code given out twice": (
        [MADE, UnitsGranted("demo", "d1", 2, None, (Grant(1, "a", "c", "K7"), Grant(2, "b", "c", "K7")), 0, "sold_out", 0)],
        "code K7 is given out twice",
    ),
    "pending cleared from nowhere": ([PendingCleared("commit", "x")], "without having been pending"),
    "an oversold drop": ([MADE, granted((1, "a"), (2, "b"), (3, "c"), left=0)], "3 units are out of a stock of 2"),
    "a serial used twice": ([MADE, granted((1, "a"), left=1), granted((1, "b"), left=0)], "serial 1 follows 1"),
    "a serial left out": ([MADE, granted((2, "a"), left=1)], "serial 2 follows 0"),
    "a user with too much": ([MADE, granted((1, "a"), left=1), granted((2, "a"), left=0)], "a has 2 units"),
    "stock from nowhere": ([MADE, granted((1, "a"), left=2)], "2 left, but it follows that there are 1"),
    "a unit returned that was not": ([MADE, granted((1, "a"), left=1), changed(1, returned=False, left=2)], "2 left"),
    "a unit never granted": ([MADE, changed(1, returned=False, left=2)], "serial 1 was never granted"),
    "a drop from nowhere": ([granted((1, "a"), left=1)], "demo/d1 was never made"),
    "a drop made twice": ([MADE, MADE], "made twice"),
    "grants forgotten by a change": (
        [MADE, granted((1, "a"), left=1), DropChanged("pause", msgspec.structs.replace(DROP, state="paused"))],
        "granted was 1, and 0 after a pause",
    ),
    "an entrant left out": ([MADE, PotEntered("demo", "d1", (Entrant(2, "a", "c", "n", 5),))], "entrant 2 follows 0"),
    "an order changed unmade": ([OrderTaken("demo", Order("o", "a", "s", 1, "EUR", "paid"), False)], "changed unmade"),
}


@pytest.mark.parametrize("what", list(FRAUDS))
def test_cooked_entries_are_found(what: str) -> None:
    """By what they say about each other alone."""
    facts, named = FRAUDS[what]
    with pytest.raises(Difference, match=named):
        audit(*facts)


def test_entries_must_follow_each_other() -> None:
    """A position twice, or a lower one."""
    auditor = Audit()
    for positions in ((1, 1), (2, 1)):
        with pytest.raises(Difference, match="follows"):
            auditor.follow(auditor.begin(7), [BookEntry(position, 5, MADE) for position in positions])


def test_the_first_difference_of_the_books_is_named() -> None:
    """With its shard, its place, what the ledger says and what the books say; something that should not be there as well."""
    audit(COINS, held=(Found("wallets", "ann", Purse(10, 1)), Found("wallets", "eve", None)))
    for held, named in (
        (
            Found("wallets", "ann", Purse(9, 1), where="{s7}:wallet:ann"),
            r"shard 7, wallets of ann \(\{s7\}:wallet:ann\): balance: the ledger says 10, the books say 9",
        ),
        (Found("wallets", "ann", None), "wallets of ann: the ledger says .*, the books say that there is nothing"),
        (Found("wallets", "eve", Purse(5, 1)), "wallets of eve: the ledger says that there is nothing"),
    ):
        with pytest.raises(Difference, match=named):
            audit(COINS, held=(held,))


def test_a_part_of_a_list_is_compared_with_that_part() -> None:
    """And the number of a line counts in the whole list."""
    facts: list[BookFact] = [MADE, granted((1, "ann"), (2, "bob"), left=0)]
    auditor = Audit()
    replay = auditor.begin(7)
    auditor.follow(replay, [BookEntry(n, 5, fact) for n, fact in enumerate(facts, 1)])
    both = replay.units("demo/d1", 1, 9)
    auditor.check(replay, Found("units", "demo/d1", both[1:], 2, 500))
    with pytest.raises(Difference, match="number 2: serial: the ledger says 2, the books say 1"):
        auditor.check(replay, Found("units", "demo/d1", both[:1], 2, 500))
    with pytest.raises(Difference, match="the ledger says that there are 2, the books say 1"):
        auditor.check(replay, Found("units", "demo/d1", [], 2, 500))


def test_halves_may_meet_late() -> None:
    """Beside a running node the other shard may have been looked at before: its newer entries count, others' are left alone."""
    auditor = Audit()
    replay = auditor.begin(shard_of("ann"))
    auditor.follow(replay, [BookEntry(1, 5, COINS), BookEntry(2, 5, DEBIT), BookEntry(3, 5, PendingCleared("commit", ROSE.tx))])
    auditor.end(replay)
    (half,) = auditor.half_way()
    assert (half.half, half.tx, half.other_shard) == ("debit", ROSE.tx, shard_of("demo"))
    other = msgspec.structs.replace(ROSE, tx="ann/c9")
    auditor.follow_late(half.other_shard, [BookEntry(1, 5, GiftCommitted(other, 4)), BookEntry(2, 5, GIFT)])
    assert auditor.has_met(half)
    auditor.finish()


def test_halves_that_do_not_fit_are_told_apart() -> None:
    """Another value in the room than was taken from the wallet."""
    with pytest.raises(Difference, match="says 4 coins of ann, the commit in shard 7 says 5"):
        audit(COINS, DEBIT, GiftCommitted(msgspec.structs.replace(ROSE, value=5), 5))


def test_what_is_pending_is_not_missing() -> None:
    """A gift half way between two shards is where a crash may leave it."""
    audit(COINS, DEBIT)
    audit(COINS, DEBIT, GIFT, GiftReversed(ROSE, "", 0))


def test_gifts_by_host_rest_on_a_checkpoint() -> None:
    """As if all had been replayed; behind a checkpoint that does not have them nobody knows, and books that do are believed."""
    to_mei = [msgspec.structs.replace(ROSE, tx=f"ann/c{n}", to="mei", paid="elsewhere") for n in range(2)]
    replay = ShardReplay(7)
    replay.apply(BookEntry(1, 5, GiftCommitted(to_mei[0], 4)))
    replay.apply(BookEntry(2, 5, GiftReversed(to_mei[0], "", 0)))
    parts = [*parts_of(replay, 5)]
    for name in [name for name in replay.known()["gift_counts"] if "\n" in name]:
        del replay.known()["gift_counts"][name]
    for kept, is_known in ((parts, True), ([*parts_of(replay, 5)], False)):
        again = replay_of(7, 2, kept)
        again.apply(BookEntry(3, 5, GiftCommitted(to_mei[1], 4)))
        for counts in (HostGifts(1, 1, 4), HostGifts(1)):
            held = Takings(1, 4, {"mei": 4}, {"mei": counts})
            assert (again.expected(Found("takings", "demo", held)) == held) is (counts.reversed == 1 or not is_known)
        assert again.expected(Found("takings", "demo/b1", None)) == Takings(1, 4, {"mei": 4})
