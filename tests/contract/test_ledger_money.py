"""What every ledger promises of wallets and gifts."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from livecast.core.books.bookkeeping import GiftCommitted, GiftDebited, GiftReversed, PendingCleared, WalletMoved
from livecast.core.errors import Refusal
from livecast.core.money.coins import (
    AMOUNT_MAX,
    Booking,
    Gift,
    GiftRecord,
    HostGifts,
    Moved,
    Movement,
    Pending,
    Rank,
    SpendLimits,
    Takings,
    Wallet,
    service_tx,
    viewer_tx,
)
from livecast.core.nodes.placement import shard_of
from livecast.ledger import Ledger, audit, finish

NOW = 1_700_000_000_000
"""2023-11-14, 22:13:20 UTC."""
DAY_MS = 86_400_000
NO_LIMITS = SpendLimits()


def credit(user: str = "ann", tx: str = "t1", amount: int = 100) -> Movement:
    """A shop gives coins."""
    return Movement(user, tx, amount, "key:shop", "top-up")


def gift(cid: str = "c1", user: str = "ann", value: int = 10, **more: Any) -> Gift:
    """A viewer's roses."""
    fields: dict[str, Any] = {"body": 7, "to": "host"} | more
    return Gift(viewer_tx(user, cid), user, "demo", "b1", "rose", value, value, **fields)


async def give(ledger: Ledger, a_gift: Gift, now: int = NOW) -> GiftRecord:
    """The whole way of a gift."""
    assert isinstance(await ledger.debit_gift(a_gift, NO_LIMITS, now), Moved)
    record = await ledger.commit_gift(a_gift, now)
    await ledger.clear_pending(Pending("commit", shard_of(a_gift.user), a_gift, now), now)
    return record


async def facts(ledger: Ledger, place: str) -> list[object]:
    """All facts of a shard, in order."""
    entries = await ledger.read(shard_of(place), 0, 1000)
    assert [e.position for e in entries] == sorted({e.position for e in entries})
    return [entry.fact for entry in entries]


# --- Wallets ----------------------------------------------------------------------------------------------------------
async def test_a_wallet_begins_empty(ledger: Ledger) -> None:
    """Nobody needs to open one."""
    assert await ledger.wallet("ann") == Wallet("ann", 0, 0)
    assert await ledger.bookings("ann", None, 10) == []
    assert await ledger.move(Movement("ann", "t", -1, "key:shop"), NOW) == Refusal("insufficient_funds")


async def test_the_sum_of_bookings_is_the_balance(ledger: Ledger, ledgers: Any) -> None:
    """Every booking names its other side, and the entry says the same to whoever reads the ledger, also in another process."""
    assert await ledger.move(credit(amount=100), NOW) == Moved("t1", 100, 1, NOW)
    assert await ledger.move(Movement("ann", "t2", -30, "key:shop"), NOW + 5) == Moved("t2", 70, 2, NOW + 5)
    other = ledgers()
    assert await other.wallet("ann") == Wallet("ann", 70, 2)
    assert await other.bookings("ann", None, 10) == [
        Booking(2, NOW + 5, -30, 70, "key:shop", "t2"),
        Booking(1, NOW, 100, 100, "key:shop", "t1", "top-up"),
    ]
    assert await facts(other, "ann") == [
        WalletMoved("ann", "t1", 100, 100, 1, "key:shop", "top-up"),
        WalletMoved("ann", "t2", -30, 70, 2, "key:shop"),
    ]


async def test_a_statement_is_read_in_pages(ledger: Ledger) -> None:
    """Newest first, each page below the last one's last number; nothing twice, nothing left out, bookings made meanwhile not in."""
    for n in range(1, 8):
        await ledger.move(credit(tx=f"t{n}", amount=n), NOW + n)
    seen: list[int] = []
    before: int | None = None
    while page := await ledger.bookings("ann", before, 3):
        seen += [booking.number for booking in page]
        before = seen[-1]
        await ledger.move(credit(tx=f"later than {before}"), NOW + 100)
    assert seen == [7, 6, 5, 4, 3, 2, 1]


async def test_a_repeated_movement_is_booked_once(ledger: Ledger, ledgers: Any) -> None:
    """(user, tx) gets the first answer again, whatever the balance is by now; another amount or counter is a conflict."""
    first = await ledger.move(credit(), NOW)
    await ledger.move(Movement("ann", "t2", -100, "key:shop"), NOW)
    assert await ledgers().move(credit(), NOW + 9999) == first
    for other in (credit(amount=101), Movement("ann", "t1", 100, "key:other"), Movement("ann", "t1", -100, "key:shop")):
        assert await ledger.move(other, NOW) == Refusal("conflict")
    assert await ledger.wallet("ann") == Wallet("ann", 0, 2)


async def test_users_do_not_share_ids(ledger: Ledger) -> None:
    """The same tx for somebody else is another movement, also where user and tx could be mistaken for each other."""
    for user, tx in (("ann", "t1"), ("bob", "t1"), ("a", "nn:t1"), ("an", "n/t1")):
        assert isinstance(await ledger.move(credit(user, tx), NOW), Moved)


async def test_no_refusal_is_remembered(ledger: Ledger) -> None:
    """Once there are coins, the same tx goes through."""
    debit = Movement("ann", "t1", -50, "key:shop")
    assert await ledger.move(debit, NOW) == Refusal("insufficient_funds")
    await ledger.move(credit(tx="t0"), NOW)
    assert await ledger.move(debit, NOW) == Moved("t1", 50, 2, NOW)


async def test_amounts_are_exact_to_53_bits(ledger: Ledger) -> None:
    """And go no further: what would pass it is refused as a whole. Nothing moves nothing."""
    assert await ledger.move(credit(amount=AMOUNT_MAX - 2), NOW) == Moved("t1", AMOUNT_MAX - 2, 1, NOW)
    assert await ledger.move(credit(tx="t2", amount=3), NOW) == Refusal("invalid", field="amount")
    assert await ledger.move(credit(tx="t2", amount=2), NOW) == Moved("t2", AMOUNT_MAX, 2, NOW)
    assert await ledger.move(credit(tx="t3", amount=AMOUNT_MAX), NOW) == Refusal("invalid", field="amount")
    assert await ledger.move(credit(tx="t4", amount=0), NOW) == Refusal("invalid", field="amount")
    assert [booking.amount for booking in await ledger.bookings("ann", None, 9)] == [2, AMOUNT_MAX - 2]
    assert await ledger.move(Movement("ann", "t5", -AMOUNT_MAX, "key:shop"), NOW) == Moved("t5", 0, 3, NOW)


async def test_a_wallet_is_never_overdrawn_by_many_at_once(ledger: Ledger, ledgers: Any) -> None:
    """Thirty debits of 10 from 100 coins, through several processes: ten go through."""
    await ledger.move(credit(amount=100), NOW)
    processes = [ledgers() for _ in range(3)]
    debits = [processes[n % 3].move(Movement("ann", f"d{n}", -10, "key:shop"), NOW) for n in range(30)]
    answers = await asyncio.gather(*debits)
    assert sorted(type(answer).__name__ for answer in answers) == ["Moved"] * 10 + ["Refusal"] * 20
    assert await ledger.wallet("ann") == Wallet("ann", 0, 11)


# --- Gifts ------------------------------------------------------------------------------------------------------------
async def test_a_gift_goes_from_wallet_to_room(ledger: Ledger) -> None:
    """Debited, booked in the room, cleared: each with its entry; board and earnings show it."""
    await ledger.move(credit(amount=100), NOW)
    rose = gift(value=30, about=b"\x80\xff")
    assert await ledger.debit_gift(rose, NO_LIMITS, NOW + 1) == Moved(rose.tx, 70, 2, NOW + 1)
    half_done = Pending("commit", shard_of("ann"), rose, NOW + 1)
    assert await ledger.pending(shard_of("ann"), NOW + 2, 10) == [half_done]
    assert await ledger.commit_gift(rose, NOW + 2) == GiftRecord(rose, NOW + 2, 30)
    await ledger.clear_pending(half_done, NOW + 3)
    assert await ledger.pending(shard_of("ann"), NOW + 9, 10) == []
    assert await ledger.board("demo", "b1", 10) == [Rank("ann", 30)]
    assert await ledger.given("demo", "b1", "ann") == 30
    taken = Takings(1, 30, {"host": 30}, {"host": HostGifts(1)})
    assert await ledger.takings("demo", "b1") == await ledger.takings("demo", None) == taken
    assert await ledger.find_gift(rose.tx) == GiftRecord(rose, NOW + 2, 30)
    assert (await facts(ledger, "ann"))[1:] == [GiftDebited(rose, 70, 2), PendingCleared("commit", rose.tx)]
    assert await facts(ledger, "demo") == [GiftCommitted(rose, 30)]
    assert (await ledger.bookings("ann", None, 1))[0] == Booking(2, NOW + 1, -30, 70, "host:demo/host", rose.tx, "rose")


async def test_many_gifts_are_noted_as_done_once(ledger: Ledger) -> None:
    """In one call, one of them named twice, one done before and one that never was: each that lay there has its entry, in order."""
    await ledger.move(credit(amount=100), NOW)
    roses = [gift(f"c{n}") for n in range(4)]
    for rose in roses[:3]:
        await ledger.debit_gift(rose, NO_LIMITS, NOW)
    shard = shard_of("ann")
    half_done = [Pending("commit", shard, rose, NOW) for rose in roses]
    await ledger.clear_pending(half_done[0], NOW)
    await ledger.clear_pendings(shard, [half_done[2], half_done[0], half_done[1], half_done[2], half_done[3]], NOW)
    assert await ledger.pending(shard, NOW + 9, 10) == []
    cleared = [fact.tx for fact in await facts(ledger, "ann") if isinstance(fact, PendingCleared)]
    assert cleared == [roses[n].tx for n in (0, 2, 1)]
    await ledger.move(credit(tx="t2"), NOW)
    assert isinstance((await facts(ledger, "ann"))[-1], WalletMoved)  # positions go on behind those that were taken at once


async def test_a_repeated_gift_is_harmless_at_every_stage(ledger: Ledger, ledgers: Any) -> None:
    """Debit, commit and clearing again, by anybody, change nothing and give the first answers."""
    await ledger.move(credit(), NOW)
    rose = gift()
    debited = await ledger.debit_gift(rose, NO_LIMITS, NOW)
    booked = await give(ledgers(), rose, NOW + 50)
    assert await ledger.debit_gift(rose, NO_LIMITS, NOW + 99, objection="price_changed") == debited
    assert await give(ledger, rose, NOW + 77) == booked
    assert (await ledger.wallet("ann")).balance == 90
    assert await ledger.takings("demo", "b1") == Takings(1, 10, {"host": 10}, {"host": HostGifts(1)})
    assert len(await facts(ledger, "demo")) == 1


async def test_the_same_gift_id_with_another_body_is_a_conflict(ledger: Ledger) -> None:
    """Nothing is taken for it."""
    await ledger.move(credit(), NOW)
    await ledger.debit_gift(gift(), NO_LIMITS, NOW)
    assert await ledger.debit_gift(gift(value=20, body=8), NO_LIMITS, NOW) == Refusal("conflict")
    assert (await ledger.wallet("ann")).balance == 90


async def test_many_gifts_at_once_are_decided_each_by_itself(ledger: Ledger) -> None:
    """Those of several givers in one call: in order, a repeat with its first answer, refusals beside what was done."""
    for user in ("ann", "bob"):
        await ledger.move(credit(user), NOW)
    asked = [
        (gift("c1"), ""),
        (gift("c1", "bob", 60), ""),
        (gift("c2"), "price_changed"),
        (gift("c1"), "price_changed"),
        (gift("c1", value=20, body=8), ""),
        (gift("c2", "bob", 60), ""),
        (gift("c3", "bob", 40), ""),
    ]
    assert await ledger.debit_gifts(asked, NO_LIMITS, NOW) == [
        Moved("ann/c1", 90, 2, NOW),
        Moved("bob/c1", 40, 2, NOW),
        Refusal("price_changed"),
        Moved("ann/c1", 90, 2, NOW),
        Refusal("conflict"),
        Refusal("insufficient_funds"),
        Moved("bob/c3", 0, 3, NOW),
    ]
    assert await ledger.debit_gifts([], NO_LIMITS, NOW) == []


async def test_an_objection_counts_only_for_a_new_gift(ledger: Ledger) -> None:
    """A known id is answered before whatever the caller has against it; a refused one is not remembered."""
    await ledger.move(credit(), NOW)
    assert await ledger.debit_gift(gift(), NO_LIMITS, NOW, objection="price_changed") == Refusal("price_changed")
    assert await ledger.debit_gift(gift(value=101), NO_LIMITS, NOW) == Refusal("insufficient_funds")
    assert isinstance(await ledger.debit_gift(gift(), NO_LIMITS, NOW), Moved)


async def test_spending_limits(ledger: Ledger) -> None:
    """Per gift, per day and per month of UTC, in that order; a clock that goes back begins no old day again."""
    await ledger.move(credit(amount=1000), NOW)
    limits = SpendLimits(per_gift=50, per_day=60, per_month=100)
    midnight = NOW // DAY_MS * DAY_MS + DAY_MS
    december = NOW + 17 * DAY_MS
    story: list[tuple[int, int, str | None]] = [
        (51, NOW, "per_gift"),
        (50, NOW, None),
        (11, midnight - 1, "per_day"),
        (10, midnight - 1, None),
        (1, midnight - 1, "per_day"),
        (40, midnight, None),
        (20, midnight - 1, "per_month"),
        (1, midnight + 10 * DAY_MS, "per_month"),
        (50, december, None),
        (11, midnight, "per_day"),
    ]
    for n, (value, at, refused) in enumerate(story):
        answer = await ledger.debit_gift(gift(f"c{n}", value=value), limits, at)
        got = answer.field if isinstance(answer, Refusal) else None
        assert got == refused, (n, answer)
    assert await ledger.wallet("ann") == Wallet("ann", 850, 5)


async def test_a_reversed_gift_gives_the_limits_back_of_the_day_and_month_it_was_given_on(ledger: Ledger) -> None:
    """Whoever was paid back may give as much again; what was given on another day counts against neither."""
    await ledger.move(credit(amount=1000), NOW)
    limits = SpendLimits(per_day=50, per_month=70)
    tomorrow = NOW + DAY_MS

    async def may_give(cid: str, value: int, at: int) -> bool:
        return isinstance(await ledger.debit_gift(gift(cid, value=value), limits, at), Moved)

    async def take_back(cid: str, value: int, at: int) -> None:
        await ledger.commit_gift(gift(cid, value=value), at)
        assert isinstance(await ledger.reverse_gift("demo", gift(cid).tx, "", NOW + 9), GiftRecord)
        for _ in range(2):
            await finish(ledger, Pending("refund", shard_of("demo"), gift(cid, value=value), NOW + 9), NOW + 9)

    assert await may_give("c1", 50, NOW)
    assert not await may_give("c2", 1, NOW)
    await take_back("c1", 50, NOW)
    assert await may_give("c3", 40, NOW + 10)
    assert await may_give("c4", 30, tomorrow)
    assert not await may_give("c5", 1, tomorrow)
    await take_back("c3", 40, NOW + 10)
    assert not await may_give("c6", 21, tomorrow)
    assert await may_give("c7", 20, tomorrow)


async def test_ties_on_the_board_go_to_who_got_there_first(ledger: Ledger) -> None:
    """Whatever the names are; who gives more later stands behind those who had as much before."""
    for n, (user, value) in enumerate([("zoe", 20), ("ann", 10), ("bob", 20), ("cat", 15), ("ann", 10), ("cat", 10)]):
        await ledger.commit_gift(gift(f"c{n}", user, value), NOW)
    assert await ledger.board("demo", "b1", 10) == [Rank("cat", 25), Rank("zoe", 20), Rank("bob", 20), Rank("ann", 20)]
    assert await ledger.board("demo", "b1", 2) == [Rank("cat", 25), Rank("zoe", 20)]
    assert await ledger.board("demo", "another night", 10) == []


async def test_a_reversed_gift_counts_no_more_and_is_paid_back_once(ledger: Ledger) -> None:
    """Board and earnings are corrected, the refund is pending until it is in the wallet, and the statement shows both."""
    await ledger.move(credit(), NOW)
    await give(ledger, gift("c1", value=10))
    await give(ledger, gift("c2", value=30))
    reversal = await ledger.reverse_gift("demo", gift("c2").tx, "chargeback", NOW + 5)
    assert isinstance(reversal, GiftRecord)
    assert (reversal.reversed_at, reversal.reason, reversal.total) == (NOW + 5, "chargeback", 10)
    assert await ledger.reverse_gift("demo", gift("c2").tx, "again", NOW + 6) == reversal
    assert await ledger.find_gift(gift("c2").tx) == reversal
    assert await ledger.board("demo", "b1", 10) == [Rank("ann", 10)]
    for broadcast in ("b1", None):
        assert await ledger.takings("demo", broadcast) == Takings(1, 10, {"host": 10}, {"host": HostGifts(1, 1, 30)})
    (refund,) = await ledger.pending(shard_of("demo"), NOW + 6, 10)
    assert refund == Pending("refund", shard_of("demo"), gift("c2", value=30), NOW + 5)
    for _ in range(2):
        await finish(ledger, refund, NOW + 7)
    assert await ledger.pending(shard_of("demo"), NOW + 9, 10) == []
    assert await ledger.wallet("ann") == Wallet("ann", 90, 4)
    assert [each for each in await facts(ledger, "demo") if isinstance(each, GiftReversed)] == [
        GiftReversed(gift("c2", value=30), "chargeback", 10)
    ]


async def test_gifts_that_come_together_are_booked_one_by_one(ledger: Ledger) -> None:
    """Each once, in their order, with its own time and its giver's total by then; whoever reached a total first stands higher."""
    gifts = [gift("c1", "ann"), gift("c1", "bob", 30), gift("c2", "ann", 20), gift("c1", "ann"), gift("c1", "cat", 5, to="")]
    booked = await asyncio.gather(*(ledger.commit_gift(one, NOW + n) for n, one in enumerate(gifts)))
    assert [(record.at - NOW, record.total) for record in booked] == [(0, 10), (1, 30), (2, 30), (0, 10), (4, 5)]
    assert await ledger.board("demo", "b1", 10) == [Rank("bob", 30), Rank("ann", 30), Rank("cat", 5)]
    assert await ledger.takings("demo", "b1") == Takings(4, 65, {"host": 60, "": 5}, {"host": HostGifts(3), "": HostGifts(1)})
    entered = [fact for fact in await facts(ledger, "demo") if isinstance(fact, GiftCommitted)]
    assert [(fact.gift.tx, fact.total) for fact in entered] == [("ann/c1", 10), ("bob/c1", 30), ("ann/c2", 30), ("cat/c1", 5)]
    again = await asyncio.gather(*(ledger.commit_gift(one, NOW + 9) for one in [*gifts, gift("c3", "cat", 5)]))
    assert again[:5] == booked
    assert (again[5].at, again[5].total) == (NOW + 9, 10)
    for cid in ("c1", "c3"):
        assert isinstance(await ledger.reverse_gift("demo", f"cat/{cid}", "", NOW + 10), GiftRecord)
    assert [rank.user for rank in await ledger.board("demo", "b1", 10)] == ["bob", "ann"]


async def test_who_has_nothing_left_leaves_the_board(ledger: Ledger) -> None:
    """A repeated commit after a reversal books nothing and answers as at first."""
    booked = await ledger.commit_gift(gift(), NOW)
    await ledger.reverse_gift("demo", gift().tx, "", NOW)
    assert await ledger.board("demo", "b1", 10) == []
    assert await ledger.given("demo", "b1", "ann") == 0
    assert await ledger.commit_gift(gift(), NOW + 1) == booked
    assert await ledger.board("demo", "b1", 10) == []


async def test_only_a_booked_gift_of_the_room_is_reversed(ledger: Ledger) -> None:
    """Unknown ids, other rooms, and what is still on its way: `not_found`."""
    await ledger.move(credit(), NOW)
    await ledger.debit_gift(gift(), NO_LIMITS, NOW)
    assert await ledger.reverse_gift("demo", gift().tx, "", NOW) == Refusal("not_found")
    await ledger.commit_gift(gift(), NOW)
    assert await ledger.reverse_gift("other", gift().tx, "", NOW) == Refusal("not_found")
    assert await ledger.find_gift("nothing") is None


async def test_a_gift_paid_elsewhere_touches_no_wallet(ledger: Ledger) -> None:
    """It counts in the room like any other; reversed, nothing is paid back here."""
    tx = service_tx("partner", "c1")
    assert tx != viewer_tx("partner", "c1")
    elsewhere = Gift(tx, "ann", "demo", "b1", "rocket", 1, 1000, paid="elsewhere")
    await ledger.commit_gift(elsewhere, NOW)
    assert await ledger.takings("demo", "b1") == Takings(1, 1000, {"": 1000}, {"": HostGifts(1)})
    assert isinstance(await ledger.reverse_gift("demo", tx, "", NOW), GiftRecord)
    assert await ledger.takings("demo", "b1") == Takings(0, 0, {}, {"": HostGifts(0, 1, 1000)})
    assert await ledger.pending(shard_of("demo"), NOW + 1, 10) == []
    assert await ledger.wallet("ann") == Wallet("ann", 0, 0)


async def test_pending_gifts_are_found_oldest_first_and_finished(ledger: Ledger, ledgers: Any) -> None:
    """What a crash left between two shards is brought to its end by anybody, once, also by two sweepers at a time."""
    await ledger.move(credit(), NOW)
    for n in range(5):
        await ledger.debit_gift(gift(f"c{n}"), NO_LIMITS, NOW + n)
    shard = shard_of("ann")
    assert [each.since for each in await ledger.pending(shard, NOW + 3, 10)] == [NOW, NOW + 1, NOW + 2]
    assert [each.since for each in await ledger.pending(shard, NOW + 9, 2)] == [NOW, NOW + 1]
    half_done = await ledgers().pending(shard, NOW + 9, 10)
    sweepers = [ledgers(), ledgers()]
    await asyncio.gather(*(finish(sweeper, each, NOW + 9) for sweeper in sweepers for each in half_done))
    assert await ledger.pending(shard, NOW + 99, 10) == []
    assert await ledger.takings("demo", "b1") == Takings(5, 50, {"host": 50}, {"host": HostGifts(5)})


@pytest.mark.parametrize("host", ["", "h", "some-host", "gifts"])
async def test_earnings_are_counted_by_host(ledger: Ledger, host: str) -> None:
    """Also where a host has a name that the books use themselves; what is taken back is counted beside it, and the books agree."""
    for cid, to in (("c1", host), ("c2", "another"), ("c3", host)):
        await ledger.commit_gift(msgspec.structs.replace(gift(cid, to=to), paid="elsewhere"), NOW)
    assert await ledger.takings("demo", "b1") == Takings(
        3, 30, {host: 20, "another": 10}, {host: HostGifts(2), "another": HostGifts(1)}
    )
    for cid in ("c2", "c3"):
        await ledger.reverse_gift("demo", gift(cid).tx, "", NOW)
    assert await ledger.takings("demo", None) == Takings(
        1, 10, {host: 10}, {host: HostGifts(1, 1, 10), "another": HostGifts(0, 1, 10)}
    )
    assert (await audit(ledger)).reversed == 2


async def test_an_id_of_a_service_is_bound_to_one_content(ledger: Ledger, ledgers: Any) -> None:
    """For all processes; who let go of what came to nothing may bind it anew, and nobody lets go of another's."""
    assert await ledger.bind_tx("/shop/t1", "one", NOW) == "new"
    other = ledgers()
    assert await other.bind_tx("/shop/t1", "one", NOW) == "same"
    assert await other.bind_tx("/shop/t1", "two", NOW) == "other"
    assert await other.bind_tx("/till/t1", "two", NOW) == "new"
    await other.unbind_tx("/shop/t1", "two", NOW)
    assert await ledger.bind_tx("/shop/t1", "two", NOW) == "other"
    await other.unbind_tx("/shop/t1", "one", NOW)
    assert await ledger.bind_tx("/shop/t1", "two", NOW) == "new"


async def test_a_gift_is_found_in_its_room_alone_if_that_is_asked(ledger: Ledger) -> None:
    """One shard is asked."""
    a_gift = gift()
    assert await ledger.find_gift(a_gift.tx, a_gift.room) is None
    record = await ledger.commit_gift(a_gift, NOW)
    assert await ledger.find_gift(a_gift.tx, a_gift.room) == record
    elsewhere = next(f"room{n}" for n in range(99) if shard_of(f"room{n}") != shard_of(a_gift.room))
    assert await ledger.find_gift(a_gift.tx, elsewhere) is None
