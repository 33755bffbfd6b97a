"""What every ledger promises of claims and of the units they win."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from livecast.core.books.bookkeeping import DropChanged, Grant, UnitsChanged, UnitsGranted
from livecast.core.errors import Refusal
from livecast.core.money.units import (
    CLAIMS_MAX,
    REFUSALS_KEPT_MAX,
    REVOKED_FOR_GOOD,
    Claim,
    Confirm,
    DropChange,
    Holding,
    Lapsed,
    NotWon,
    Release,
    Revoke,
    Unit,
    Won,
)
from livecast.core.nodes.placement import shard_of
from livecast.ledger import Ledger
from support.drops import BROADCAST, NOW, ROOM, click, clicks, make, opened, rose, short, step

HOUR_MS = 3_600_000


async def entered_facts(ledger: Ledger) -> list[object]:
    """What the ledger says happened besides the drop's own changes."""
    entries = await ledger.read(shard_of(ROOM), 0, 10_000)
    return [entry.fact for entry in entries if not isinstance(entry.fact, DropChanged)]


# --- Winning ----------------------------------------------------------------------------------------------------------
async def test_units_are_granted_in_order_until_there_are_none(ledger: Ledger, ledgers: Any) -> None:
    """Serials from 1, in the order of the claims; list, entry and drop say the same, also in another process."""
    await opened(ledger, stock=2)
    answers = await clicks(ledger, [Claim("ann", "c1"), Claim("bob", "c1"), Claim("cat", "c1")], now=NOW + 5)
    assert answers == [Won(1, 2, NOW + 5), Won(2, 2, NOW + 5), NotWon("sold_out")]
    other = ledgers()
    assert await other.units(ROOM, "d1", 0, 10) == [
        Unit(1, "ann", "c1", NOW + 5, 2, "granted"),
        Unit(2, "bob", "c1", NOW + 5, 2, "granted"),
    ]
    drop = await other.drop(ROOM, "d1")
    assert drop is not None
    assert (drop.state, drop.left, drop.granted, drop.sold_out_times) == ("sold_out", 0, 2, 1)
    assert await entered_facts(other) == [
        UnitsGranted(ROOM, "d1", 2, None, (Grant(1, "ann", "c1"), Grant(2, "bob", "c1")), 0, "sold_out", 1)
    ]
    assert (await other.read(shard_of(ROOM), drop.changed - 1, 10))[0].position == drop.changed


async def test_a_known_cid_gets_its_first_answer(ledger: Ledger, ledgers: Any) -> None:
    """Whatever happened since: closed, sold out, another process; also twice in one call. Nothing more is granted."""
    await opened(ledger, stock=2, per_user=2)
    first = await click(ledger, "ann", now=NOW + 1)
    assert first == Won(1, 2, NOW + 1)
    again = Won(1, 2, NOW + 1, again=True)
    both = await clicks(ledgers(), [Claim("ann", "c1"), Claim("ann", "c2"), Claim("ann", "c2"), Claim("ann", "c1", missing=True)])
    assert both == [again, Won(2, 2, NOW), Won(2, 2, NOW, again=True), again]
    await step(ledger, "close")
    assert await click(ledger, "ann", objection="unavailable", now=NOW + HOUR_MS) == again
    assert len(await ledger.units(ROOM, "d1", 0, 10)) == 2


async def test_a_cid_belongs_to_its_user(ledger: Ledger) -> None:
    """The same cid of somebody else is another claim, also where user and cid could be mistaken for each other."""
    await opened(ledger, stock=10)
    assert [short(await click(ledger, user, cid)) for user, cid in (("a", "c"), ("b", "c"), ("a:b", "c"), ("a", "b:c"))] == [
        1,
        2,
        3,
        "limit",
    ]


@pytest.mark.parametrize("per_user", [1, 2, 10])
async def test_nobody_gets_more_than_their_share(ledger: Ledger, per_user: int) -> None:
    """However often they click, in one call or in many; and a winner is told so also when all is gone."""
    await opened(ledger, stock=per_user + 1, per_user=per_user)
    answers = await clicks(ledger, [Claim("ann", f"c{n}") for n in range(per_user + 2)])
    assert [short(answer) for answer in answers] == [*range(1, per_user + 1), "limit", "limit"]
    assert short(await click(ledger, "ann", "later")) == "limit"
    assert short(await click(ledger, "bob")) == per_user + 1
    assert [short(await click(ledger, user, "z")) for user in ("ann", "cat")] == ["limit", "sold_out"]


async def test_a_limit_group_spans_drops(ledger: Ledger) -> None:
    """Of the room's drops with the same group together, a user has at most `per_user`; others are not concerned."""
    for id_ in ("d1", "d2", "d3"):
        await opened(ledger, id_, stock=5, per_user=2, limit_group="summer" if id_ != "d3" else "")
    won = [short(await click(ledger, "ann", f"c{n}", id_)) for n, id_ in enumerate(("d1", "d2", "d1", "d2", "d3", "d3", "d3"))]
    assert won == [1, 1, "limit", "limit", 1, 2, "limit"]


async def test_the_order_of_the_checks(ledger: Ledger) -> None:
    """State before eligibility before the limit before the stock: of several reasons the first is told."""
    against: dict[str, Any] = {"missing": True}
    await make(ledger, stock=1)
    assert short(await click(ledger, "ann", **against)) == "not_open"
    await step(ledger, "open")
    assert short(await click(ledger, "ann", missing=True, objection="unavailable")) == "unavailable"
    assert short(await click(ledger, "ann", **against)) == "not_eligible"
    assert short(await click(ledger, "ann")) == 1
    assert short(await click(ledger, "ann", "c2", **against)) == "not_eligible"
    assert short(await click(ledger, "ann", "c3")) == "limit"
    assert short(await click(ledger, "bob", **against)) == "not_eligible"
    assert short(await click(ledger, "bob")) == "sold_out"
    await step(ledger, "close")
    assert short(await click(ledger, "cat", **against)) == "closed"


async def test_what_time_can_change_is_not_remembered(ledger: Ledger) -> None:
    """`not_open`, `not_eligible` and objections: the same cid wins once nothing is against it any more."""
    await make(ledger, opens_at=NOW + 5000)
    assert await click(ledger, "ann") == NotWon("not_open", opens_in_ms=5000)
    assert await click(ledger, "ann", now=NOW + 6000) == NotWon("not_open", opens_in_ms=0)
    await step(ledger, "open", now=NOW + 6000)
    await step(ledger, "pause")
    assert await click(ledger, "ann") == NotWon("not_open")
    await step(ledger, "resume")
    assert short(await click(ledger, "ann", missing=True)) == "not_eligible"
    assert await click(ledger, "ann", objection="unavailable") == Refusal("unavailable")
    assert short(await click(ledger, "ann")) == 1
    assert len(await entered_facts(ledger)) == 1


async def test_final_refusals_are_remembered(ledger: Ledger, ledgers: Any) -> None:
    """`sold_out`, `limit` and `closed` stay for their cid although a new one would win by now."""
    await opened(ledger, stock=1, reserve_ms=1000)
    assert [short(await click(ledger, user, cid)) for user, cid in (("ann", "c1"), ("ann", "c2"), ("bob", "c1"))] == [
        1,
        "limit",
        "sold_out",
    ]
    await ledger.step_unit(ROOM, "d1", 1, Release(), NOW)
    assert [short(await click(ledgers(), user, cid)) for user, cid in (("ann", "c2"), ("bob", "c1"))] == ["limit", "sold_out"]
    assert [short(await click(ledger, user, "new")) for user in ("bob", "ann")] == [2, "sold_out"]
    await ledger.change_drop(ROOM, "d1", DropChange("t1", closes_at=NOW + 10), NOW)
    assert short(await click(ledger, "dan", now=NOW + 10)) == "closed"
    await ledger.change_drop(ROOM, "d1", DropChange("t2", closes_at=NOW + HOUR_MS // 2, stock_delta=5), NOW)
    assert [short(await click(ledger, "dan", cid, now=NOW + 20)) for cid in ("c1", "c2")] == ["closed", 3]


async def test_a_clicker_does_not_fill_the_memory(ledger: Ledger) -> None:
    """Only the last few refusals of a user are remembered, so that clicking costs the store nothing."""
    await opened(ledger, stock=1)
    await click(ledger, "ann")
    for n in range(3 * REFUSALS_KEPT_MAX):
        assert short(await click(ledger, "bob", f"c{n}")) == "sold_out"
    await ledger.change_drop(ROOM, "d1", DropChange("t", stock_delta=1), NOW)
    kept = range(2 * REFUSALS_KEPT_MAX, 3 * REFUSALS_KEPT_MAX)
    assert {short(await click(ledger, "bob", f"c{n}")) for n in kept} == {"sold_out"}
    assert short(await click(ledger, "bob", "c0")) == 2


async def test_a_gift_in_the_broadcast_can_be_the_condition(ledger: Ledger) -> None:
    """The ledger knows itself who gave; a reversed gift is none, nor is one of another night."""
    await opened(ledger, gifted=True)
    await ledger.commit_gift(rose("ann"), NOW)
    await ledger.commit_gift(rose("bob"), NOW)
    await ledger.reverse_gift(ROOM, rose("bob").tx, "", NOW)
    assert await click(ledger, "bob") == NotWon("not_eligible", gifted=True)
    assert await click(ledger, "ann", missing=True) == NotWon("not_eligible")
    assert short((await ledger.claim(ROOM, "d1", "another night", [Claim("ann", "c1")], NOW))[0]) == "not_eligible"
    assert short(await click(ledger, "ann")) == 1


async def test_claims_for_nothing(ledger: Ledger) -> None:
    """An unknown drop, a drop of another room, no claims at all, too many."""
    await opened(ledger)
    assert await ledger.claim(ROOM, "nothing", BROADCAST, [Claim("ann", "c")] * 2, NOW) == [Refusal("unknown_drop")] * 2
    assert await ledger.claim("other", "d1", BROADCAST, [Claim("ann", "c")], NOW) == [Refusal("unknown_drop")]
    assert await clicks(ledger, []) == []
    with pytest.raises(ValueError, match="at most"):
        await clicks(ledger, [Claim("ann", "c")] * (CLAIMS_MAX + 1))


async def test_a_full_call_from_many_processes(ledgers: Any) -> None:
    """500 units, 4,000 claims of 1,500 users in shuffled full calls through four processes: 500 winners, serials 1 to 500."""
    processes = [ledgers() for _ in range(4)]
    await opened(processes[0], stock=500)
    claims = [Claim(f"user-{n % 1500}", f"cid-{n // 1500}") for n in range(4000)]
    random.Random(7).shuffle(claims)
    calls = [claims[at : at + CLAIMS_MAX] for at in range(0, len(claims), CLAIMS_MAX)]
    answers = await asyncio.gather(*(clicks(processes[n % 4], call) for n, call in enumerate(calls)))
    won = {
        (claim.user, answer.serial)
        for call, some in zip(calls, answers, strict=True)
        for claim, answer in zip(call, some, strict=True)
        if isinstance(answer, Won)
    }
    assert sorted(serial for _, serial in won) == list(range(1, 501))
    assert len({user for user, _ in won}) == 500
    units = [unit for after in range(0, 500, 170) for unit in await processes[1].units(ROOM, "d1", after, 170)]
    assert {(unit.user, unit.serial) for unit in units} == won


async def test_odd_names_stay_themselves(ledger: Ledger) -> None:
    """Ids with separators, quotes, digits, bytes beyond ASCII: what was claimed is what is listed."""
    await opened(ledger, stock=20)
    users = ["1", "01", "1e3", "a#1", "a b", "a'b", "{s1}", "nil", "-", "0"]
    cids = ["1", "é", "\n", "\x00", "/", "雪", "-", "", "'", '"']
    answers = await clicks(ledger, [Claim(user, cid) for user, cid in zip(users, cids, strict=True)])
    assert [short(answer) for answer in answers] == list(range(1, 11))
    assert [(unit.user, unit.cid) for unit in await ledger.units(ROOM, "d1", 0, 20)] == list(zip(users, cids, strict=True))
    assert [short(await click(ledger, user, cid)) for user, cid in zip(users, cids, strict=True)] == list(range(1, 11))


# --- Codes ------------------------------------------------------------------------------------------------------------
async def test_codes_of_a_list_follow_the_serials(ledger: Ledger) -> None:
    """The n-th grant gets the n-th line; a repeat, the list and the entry say the same code."""
    await make(ledger, codes="list", stock=3)
    await ledger.put_codes(ROOM, "d1", "up", 0, ["AAA", "BBB", "CCC"])
    await ledger.finish_codes(ROOM, "d1", "up", NOW)
    await step(ledger, "open")
    assert await clicks(ledger, [Claim("ann", "c"), Claim("bob", "c")]) == [Won(1, 3, NOW, "AAA"), Won(2, 3, NOW, "BBB")]
    assert await clicks(ledger, [Claim("ann", "c"), Claim("cat", "c")]) == [
        Won(1, 3, NOW, "AAA", again=True),
        Won(3, 3, NOW, "CCC"),
    ]
    assert [unit.code for unit in await ledger.units(ROOM, "d1", 0, 9)] == ["AAA", "BBB", "CCC"]
    granted = [fact for fact in await entered_facts(ledger) if isinstance(fact, UnitsGranted)]
    assert [grant.code for fact in granted for grant in fact.grants] == ["AAA", "BBB", "CCC"]


async def test_a_test_drop_touches_no_codes(ledger: Ledger) -> None:
    """It opens without a list and hands out none of it."""
    await make(ledger, codes="list", stock=2, test=True)
    await ledger.put_codes(ROOM, "d1", "up", 0, ["AAA"])
    await ledger.finish_codes(ROOM, "d1", "up", NOW)
    await step(ledger, "open")
    assert await clicks(ledger, [Claim("ann", "c"), Claim("bob", "c")]) == [Won(1, 2, NOW), Won(2, 2, NOW)]


async def test_a_list_can_end_before_the_stock(ledger: Ledger) -> None:
    """A returned unit's code is not given away again, so without a further line it is sold out."""
    await make(ledger, codes="list", stock=1, reserve_ms=1000)
    await ledger.put_codes(ROOM, "d1", "up", 0, ["AAA"])
    await ledger.finish_codes(ROOM, "d1", "up", NOW)
    await step(ledger, "open")
    assert short(await click(ledger, "ann")) == 1
    await ledger.step_unit(ROOM, "d1", 1, Release(), NOW)
    assert short(await click(ledger, "bob")) == "sold_out"


# --- Reservations and what becomes of units ---------------------------------------------------------------------------
async def test_a_reserved_unit_is_confirmed(ledger: Ledger) -> None:
    """With its order; the same order again changes nothing, another is a conflict."""
    await opened(ledger, reserve_ms=60_000)
    assert await click(ledger, "ann") == Won(1, 3, NOW, expires_at=NOW + 60_000)
    drop = await ledger.drop(ROOM, "d1")
    assert drop is not None
    assert (drop.reserved, drop.left) == (1, 2)
    confirmed = await ledger.step_unit(ROOM, "d1", 1, Confirm("o1", 1999, "EUR"), NOW + 5)
    assert confirmed == Unit(1, "ann", "c1", NOW, 3, "confirmed", "", NOW + 60_000, NOW + 5, "o1", 1999, "EUR")
    assert await ledger.step_unit(ROOM, "d1", 1, Confirm("o1"), NOW + 9) == confirmed
    again = await ledger.step_unit(ROOM, "d1", 1, Confirm("o2"), NOW + 9)
    assert isinstance(again, Refusal)
    assert again.code == "conflict"
    assert await ledger.expire_units(ROOM, "d1", [1], NOW + 70_000) == []
    assert await ledger.unit(ROOM, "d1", 1) == confirmed
    grant = (Grant(1, "ann", "c1"),)
    assert (await entered_facts(ledger))[1:] == [
        UnitsChanged(ROOM, "d1", grant, "confirmed", False, False, 2, "open", "o1", 1999, "EUR")
    ]


async def test_a_reservation_that_runs_out_goes_back_to_stock(ledger: Ledger) -> None:
    """Not before its time; then somebody else may have one, with the next serial, and its user may try again."""
    await opened(ledger, stock=1, reserve_ms=60_000)
    await click(ledger, "ann")
    shard = shard_of(ROOM)
    assert await ledger.lapsed(shard, NOW + 59_999, 10) == []
    assert await ledger.expire_units(ROOM, "d1", [1], NOW + 59_999) == []
    assert await ledger.lapsed(shard, NOW + 60_000, 10) == [Lapsed(ROOM, "d1", (1,))]
    assert await ledger.expire_units(ROOM, "d1", [1, 1, 2, 99], NOW + 60_000) == [1]
    assert await ledger.expire_units(ROOM, "d1", [1], NOW + 60_000) == []
    assert await ledger.lapsed(shard, NOW + 99_000, 10) == []
    assert [short(await click(ledger, user, "c2", now=NOW + 60_000)) for user in ("ann", "bob")] == [2, "sold_out"]
    assert await click(ledger, "ann", "c1") == Won(1, 1, NOW, expires_at=NOW + 60_000, again=True)
    unit = await ledger.unit(ROOM, "d1", 1)
    assert unit is not None
    assert (unit.state, unit.changed_at) == ("expired", NOW + 60_000)
    late = await ledger.step_unit(ROOM, "d1", 1, Confirm("o1"), NOW + 60_001)
    assert isinstance(late, Refusal)


async def test_a_clock_that_runs_ahead_expires_nothing(ledger: Ledger) -> None:
    """Both clocks must agree that the time is over: here the caller's is far ahead of the store's."""
    real = NOW + HOUR_MS
    await opened(ledger, reserve_ms=600_000)
    await click(ledger, "ann", now=real)
    assert await ledger.expire_units(ROOM, "d1", [1], real + 900_000) == []


async def test_a_released_unit_is_free_for_everybody(ledger: Ledger) -> None:
    """Its user included. Only a reserved one can be released; a repeat changes nothing."""
    await opened(ledger, stock=1, reserve_ms=1000)
    await opened(ledger, "d2")
    await click(ledger, "ann")
    released = await ledger.step_unit(ROOM, "d1", 1, Release(), NOW)
    assert isinstance(released, Unit)
    assert released.state == "released"
    assert await ledger.step_unit(ROOM, "d1", 1, Release(), NOW + 5) == released
    assert short(await click(ledger, "ann", "c2")) == 2
    drop = await ledger.drop(ROOM, "d1")
    assert drop is not None
    assert (drop.granted, drop.returned, drop.left, drop.state, drop.sold_out_times) == (2, 1, 0, "sold_out", 2)
    await click(ledger, "ann", id_="d2")
    refused = await ledger.step_unit(ROOM, "d2", 1, Release(), NOW)
    assert isinstance(refused, Refusal)


@pytest.mark.parametrize("return_stock", [True, False])
async def test_a_revoked_unit_is_lost_to_its_user(ledger: Ledger, return_stock: bool) -> None:
    """Somebody else may have one if the stock comes back; its user may not."""
    await opened(ledger, stock=1)
    await click(ledger, "ann")
    revoked = await ledger.step_unit(ROOM, "d1", 1, Revoke("fraud", return_stock), NOW + 5)
    assert revoked == Unit(1, "ann", "c1", NOW, 1, "revoked", changed_at=NOW + 5, reason="fraud")
    assert await ledger.step_unit(ROOM, "d1", 1, Revoke("again"), NOW + 6) == revoked
    again = await ledger.step_unit(ROOM, "d1", 1, Revoke("and its stock", return_stock=True), NOW + 6)
    assert again == (revoked if return_stock else Refusal("conflict", REVOKED_FOR_GOOD))
    assert short(await click(ledger, "ann", "c2")) == "limit"
    assert short(await click(ledger, "bob")) == (2 if return_stock else "sold_out")
    for step_ in (Confirm("o1"), Release()):
        assert isinstance(await ledger.step_unit(ROOM, "d1", 1, step_, NOW), Refusal)


async def test_units_that_are_not_there(ledger: Ledger) -> None:
    """No such drop, no such serial."""
    await opened(ledger)
    assert await ledger.step_unit(ROOM, "nothing", 1, Release(), NOW) == Refusal("unknown_drop")
    for serial in (0, 1, -1):
        assert await ledger.step_unit(ROOM, "d1", serial, Release(), NOW) == Refusal("not_found")
        assert await ledger.unit(ROOM, "d1", serial) is None
    assert await ledger.units(ROOM, "nothing", 0, 10) == []
    assert await ledger.expire_units(ROOM, "nothing", [1], NOW) == []


async def test_everybody_sees_what_they_hold(ledger: Ledger) -> None:
    """Units of all the room's drops, newest drop first, with what became of them."""
    await opened(ledger, "d1", per_user=2)
    await opened(ledger, "d2", reserve_ms=1000)
    await opened(ledger, "d3")
    for cid, id_ in (("c1", "d1"), ("c2", "d1"), ("c1", "d2")):
        await click(ledger, "ann", cid, id_)
    await click(ledger, "bob", id_="d3")
    await ledger.step_unit(ROOM, "d1", 2, Confirm("o1"), NOW)
    holdings = await ledger.holdings(ROOM, "ann", 10)
    assert [(each.drop.id, [(unit.serial, unit.state) for unit in each.units]) for each in holdings] == [
        ("d2", [(1, "reserved")]),
        ("d1", [(1, "granted"), (2, "confirmed")]),
    ]
    assert await ledger.holdings(ROOM, "nobody", 10) == []
    assert [type(each) for each in await ledger.holdings(ROOM, "bob", 1)] == [Holding]


async def test_what_a_platform_said_of_users_is_kept(ledger: Ledger, ledgers: Any) -> None:
    """The last it said, by room and user, for all processes; empty takes it back."""
    await ledger.put_facts(ROOM, "ann", b'{"vip":true}', NOW)
    await ledger.put_facts(ROOM, "bob", b"{}", NOW)
    await ledger.put_facts("other", "ann", b"[]", NOW)
    await ledger.put_facts(ROOM, "bob", b'{"vip":false}', NOW)
    assert await ledgers().facts(ROOM, ["bob", "cyn", "ann"]) == [b'{"vip":false}', b"", b'{"vip":true}']
    assert not await ledger.put_facts(ROOM, "bob", b"{}", NOW, b"seen by nobody")
    assert await ledger.put_facts(ROOM, "bob", b'{"n":1}', NOW, b'{"vip":false}')
    assert not await ledger.put_facts(ROOM, "bob", b"{}", NOW, b"")
    assert await ledger.put_facts(ROOM, "bob", b'{"vip":false}', NOW, b'{"n":1}')
    assert await ledger.put_facts(ROOM, "cid", b"", NOW, b"")
    await ledger.put_facts(ROOM, "ann", b"", NOW)
    assert await ledger.facts(ROOM, ["ann"]) == [b""]


@pytest.mark.parametrize("kind", ["coupon", "draw"])
async def test_a_drop_remembers_the_broadcast_of_its_first_claim(ledger: Ledger, ledgers: Any, kind: Any) -> None:
    """Refusals do not count, and later broadcasts do not either."""
    await opened(ledger, kind=kind)
    await ledger.claim(ROOM, "d1", "b0", [Claim("ann", "c1", missing=True)], NOW)
    assert await ledger.occasion(ROOM, "d1") == ""
    await ledger.claim(ROOM, "d1", "b1", [Claim("ann", "c1")], NOW)
    await ledger.claim(ROOM, "d1", "b2", [Claim("bob", "c1")], NOW)
    assert await ledgers().occasion(ROOM, "d1") == "b1"
    assert await ledger.occasion(ROOM, "nothing") == ""
