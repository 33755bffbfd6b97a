"""The auditor against books that were cooked: each kind of fraud or fault is named."""

from __future__ import annotations

import msgspec
import pytest

from livecast.core.audit import Audit, Difference, ShardPicture, Sums
from livecast.core.bookkeeping import (
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
from livecast.core.money import Gift
from livecast.core.units import Drop, Entrant, Order, Terms

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


def audit(*facts: BookFact, picture: ShardPicture | None = None) -> Sums:
    """All facts in one shard, against a picture or else against what follows from them."""
    auditor = Audit()
    replay = auditor.replay(7, [BookEntry(n, 5, fact) for n, fact in enumerate(facts, 1)])
    auditor.compare(replay, replay.picture() if picture is None else picture)
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
    assert audit(*facts) == Sums(entries=11, wallets=1, coins=10, gifts=0, gift_value=0, drops=1, units=2)


MADE = DropChanged("create", DROP)
FRAUDS: dict[str, tuple[list[BookFact], str]] = {
    "a balance that does not add up": ([COINS, WalletMoved("ann", "t2", 5, 16, 2, "key:k")], r"ann had 10 coins, \+5 makes 16"),
    "a wallet below zero": ([WalletMoved("ann", "t1", -1, -1, 1, "key:k")], "ann has -1 coins"),
    "a booking left out": ([COINS, WalletMoved("ann", "t3", 1, 11, 3, "key:k")], "booking 3 of ann follows 1"),
    "a gift booked twice": ([COINS, DEBIT, GIFT, GIFT], "ann/c1 is booked twice"),
    "a gift nobody paid for": ([GIFT], "never taken from ann's wallet"),
    "a gift that never arrived": ([COINS, DEBIT, PendingCleared("commit", ROSE.tx)], "neither booked in demo nor pending"),
    "a reversal that was not paid back": (
        [COINS, DEBIT, GIFT, PendingCleared("commit", ROSE.tx), GiftReversed(ROSE, "", 0), PendingCleared("refund", ROSE.tx)],
        "neither back in ann's wallet nor pending",
    ),
    "a gift reversed twice": ([COINS, DEBIT, GIFT, GiftReversed(ROSE, "", 0), GiftReversed(ROSE, "", -4)], "reversed without"),
    "a wrong total": ([COINS, DEBIT, GiftCommitted(ROSE, 5)], r"ann had given 0 in demo/b1, \+4 makes 5"),
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
    for positions in ((1, 1), (2, 1)):
        with pytest.raises(Difference, match="follows"):
            Audit().replay(7, [BookEntry(position, 5, MADE) for position in positions])


def test_the_first_difference_of_a_picture_is_named() -> None:
    """With its shard, its place, what it should be and what it is; something that should not be there as well."""
    right = ShardPicture(7, 1, wallets={"ann": (10, 1)})
    audit(COINS, picture=right)
    for wallets, named in (
        ({"ann": (9, 1)}, r"shard 7, wallets of ann: should be \(10, 1\), but is \(9, 1\)"),
        ({}, "wallets of ann: should be .*, but is None"),
        ({"ann": (10, 1), "eve": (5, 1)}, "wallets of eve: should be None"),
    ):
        with pytest.raises(Difference, match=named):
            audit(COINS, picture=ShardPicture(7, 1, wallets=wallets))


def test_what_is_pending_is_not_missing() -> None:
    """A gift half way between two shards is where a crash may leave it."""
    audit(COINS, DEBIT)
    audit(COINS, DEBIT, GIFT, GiftReversed(ROSE, "", 0))
