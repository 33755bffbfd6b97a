"""What every ledger promises of draws, fair windows and orders."""

from __future__ import annotations

from typing import Any

from livecast.core.books.bookkeeping import DropChanged, OrderTaken, PotEntered, UnitsGranted
from livecast.core.errors import Refusal
from livecast.core.money.units import Claim, Drop, Entered, Entrant, Order, Ordered, Won
from livecast.core.nodes.placement import shard_of
from livecast.ledger import Ledger
from support.drops import NOW, ROOM, click, clicks, make, opened, short, step

HOUR_MS = 3_600_000


def is_conflict(answer: object) -> bool:
    """Refused because of how things are."""
    return isinstance(answer, Refusal) and answer.code == "conflict"


async def pot(ledger: Ledger, *users: str, id_: str = "d1", **terms: Any) -> None:
    """An open drop with people in its pot."""
    await opened(ledger, id_, **terms)
    answers = await clicks(ledger, [Claim(user, "c1", nonce=f"nonce of {user}") for user in users], id_)
    assert [short(answer) for answer in answers] == [f"entered {n}" for n in range(1, len(users) + 1)]


# --- Draws ------------------------------------------------------------------------------------------------------------
async def test_people_enter_a_draw_once(ledger: Ledger, ledgers: Any) -> None:
    """Each with their nonce, which a repeat tells again; a second try is told `limit`; more may enter than there is stock."""
    await pot(ledger, "ann", "bob", "cat", kind="draw", stock=1)
    assert await click(ledgers(), "bob", nonce="another") == Entered(2, "nonce of bob", NOW, again=True)
    assert short(await click(ledger, "ann", "c2")) == "limit"
    assert short(await click(ledger, "dan", missing=True)) == "not_eligible"
    twice = await clicks(ledger, [Claim("eve", "c1", nonce="n"), Claim("eve", "c2"), Claim("eve", "c1", nonce="m")])
    assert twice == [Entered(4, "n", NOW), twice[1], Entered(4, "n", NOW, again=True)]
    assert short(twice[1]) == "limit"
    drop = await ledger.drop(ROOM, "d1")
    assert drop is not None
    assert (drop.pot, drop.entrants, drop.left, drop.state) == ("open", 4, 1, "open")
    entrants = await ledger.entrants(ROOM, "d1", 1, 2)
    assert entrants == [Entrant(2, "bob", "c1", "nonce of bob", NOW), Entrant(3, "cat", "c1", "nonce of cat", NOW)]
    facts = [entry.fact for entry in await ledger.read(shard_of(ROOM), 0, 99)]
    entered = [fact for fact in facts if isinstance(fact, PotEntered)]
    assert [entrant.number for fact in entered for entrant in fact.entrants] == [1, 2, 3, 4]
    assert entered[0].entrants[1:] == tuple(entrants)


async def test_the_course_of_a_draw(ledger: Ledger) -> None:
    """Closed, frozen, awarded in the order of the draw, published: each step once, and only in this order."""
    await pot(ledger, "ann", "bob", "cat", kind="draw", stock=2)
    assert is_conflict(await ledger.freeze_pot(ROOM, "d1", NOW))
    await step(ledger, "close")
    assert short(await click(ledger, "late")) == "closed"
    assert is_conflict(await ledger.award(ROOM, "d1", 0, ["cat"], NOW))
    assert is_conflict(await ledger.draw_pot(ROOM, "d1", b"result", NOW))
    assert is_conflict(await ledger.step_drop(ROOM, "d1", "settle", NOW))
    for _ in range(2):
        frozen = await ledger.freeze_pot(ROOM, "d1", NOW)
        assert isinstance(frozen, Drop)
        assert frozen.pot == "frozen"
    for _ in range(2):
        assert await ledger.award(ROOM, "d1", 0, ["cat", "ann"], NOW + 5) == [1, 2]
        assert await ledger.award(ROOM, "d1", 2, ["bob"], NOW + 5) == [0]
    assert is_conflict(await ledger.award(ROOM, "d1", 4, ["bob"], NOW))
    assert is_conflict(await ledger.award(ROOM, "d1", 3, ["nobody"], NOW))
    for _ in range(2):
        drawn = await ledger.draw_pot(ROOM, "d1", b"result\xff", NOW + 9)
        assert isinstance(drawn, Drop)
        assert (drawn.state, drawn.pot, drawn.result, drawn.left) == ("settled", "drawn", b"result\xff", 0)
    assert is_conflict(await ledger.draw_pot(ROOM, "d1", b"another", NOW))
    assert [(unit.serial, unit.user, unit.cid) for unit in await ledger.units(ROOM, "d1", 0, 9)] == [
        (1, "cat", "c1"),
        (2, "ann", "c1"),
    ]
    assert await click(ledger, "ann") == Entered(1, "nonce of ann", NOW, again=True)
    steps = [entry.fact for entry in await ledger.read(shard_of(ROOM), 0, 99) if isinstance(entry.fact, DropChanged)]
    assert [(change.step, change.drop.pot) for change in steps[2:]] == [("close", "open"), ("freeze", "frozen"), ("draw", "drawn")]
    (holding,) = await ledger.holdings(ROOM, "bob", 9)
    assert (holding.units, holding.entry) == ((), Entrant(2, "bob", "c1", "nonce of bob", NOW))


async def test_a_draw_of_nobody(ledger: Ledger) -> None:
    """It can be drawn all the same."""
    await opened(ledger, kind="draw")
    await step(ledger, "close")
    await ledger.freeze_pot(ROOM, "d1", NOW)
    assert await ledger.award(ROOM, "d1", 0, [], NOW) == []
    drawn = await ledger.draw_pot(ROOM, "d1", b"nobody", NOW)
    assert isinstance(drawn, Drop)
    assert drawn.state == "settled"


async def test_a_cancelled_draw_is_not_drawn(ledger: Ledger) -> None:
    """Nobody wins."""
    await pot(ledger, "ann", kind="draw")
    await step(ledger, "cancel")
    assert is_conflict(await ledger.freeze_pot(ROOM, "d1", NOW))
    await pot(ledger, "ann", kind="draw", id_="d2")
    await step(ledger, "close", "d2")
    await ledger.freeze_pot(ROOM, "d2", NOW)
    await step(ledger, "cancel", "d2")
    assert is_conflict(await ledger.award(ROOM, "d2", 0, ["ann"], NOW))
    assert is_conflict(await ledger.draw_pot(ROOM, "d2", b"", NOW))
    assert await ledger.units(ROOM, "d2", 0, 9) == []


async def test_pots_of_drops_that_are_not_there(ledger: Ledger) -> None:
    """`unknown_drop`, and a coupon without a window has no pot."""
    unknown = Refusal("unknown_drop")
    assert await ledger.freeze_pot(ROOM, "d9", NOW) == unknown
    assert await ledger.award(ROOM, "d9", 0, ["ann"], NOW) == unknown
    assert await ledger.draw_pot(ROOM, "d9", b"", NOW) == unknown
    assert await ledger.entrants(ROOM, "d9", 0, 9) == []
    await opened(ledger)
    assert is_conflict(await ledger.freeze_pot(ROOM, "d1", NOW))


# --- Fair windows -----------------------------------------------------------------------------------------------------
async def test_a_fair_window_is_one_pot_and_then_first_come(ledger: Ledger) -> None:
    """Its claims enter; between freezing and the outcome nobody is served; then what is left goes to whoever clicks."""
    await pot(ledger, "ann", "bob", "cat", stock=4, per_user=1, fair_window_ms=1000)
    early = await ledger.freeze_pot(ROOM, "d1", NOW + 999)
    assert isinstance(early, Refusal)
    assert early.retry_after_ms == 1
    assert short(await click(ledger, "dan", now=NOW + 1001)) == "entered 4"
    frozen = await ledger.freeze_pot(ROOM, "d1", NOW + 1001)
    assert isinstance(frozen, Drop)
    assert (frozen.state, frozen.pot, frozen.left) == ("open", "frozen", 4)
    assert short(await click(ledger, "eve")) == "not_open"
    assert await ledger.award(ROOM, "d1", 0, ["dan", "bob", "ann"], NOW + 1002) == [1, 2, 3]
    await ledger.draw_pot(ROOM, "d1", b"result", NOW + 1003)
    assert [short(await click(ledger, user, "c2")) for user in ("bob", "cat", "eve")] == ["limit", 4, "sold_out"]
    drop = await ledger.drop(ROOM, "d1")
    assert drop is not None
    assert (drop.state, drop.granted, drop.pot) == ("sold_out", 4, "drawn")


async def test_a_window_of_a_drop_that_closed_early_is_drawn_all_the_same(ledger: Ledger) -> None:
    """Those in its pot have claimed in time. Reserved units of winners wait like any others."""
    await pot(ledger, "ann", stock=1, fair_window_ms=5000, reserve_ms=1000)
    await step(ledger, "close")
    assert isinstance(await ledger.freeze_pot(ROOM, "d1", NOW), Drop)
    assert await ledger.award(ROOM, "d1", 0, ["ann"], NOW) == [1]
    drawn = await ledger.draw_pot(ROOM, "d1", b"", NOW)
    assert isinstance(drawn, Drop)
    assert (drawn.state, drawn.reserved) == ("closed", 1)
    assert is_conflict(await ledger.step_drop(ROOM, "d1", "settle", NOW))
    await ledger.expire_units(ROOM, "d1", [1], NOW + 1000)
    assert (await step(ledger, "settle")).state == "settled"


async def test_a_window_opens_no_way_around_the_limit(ledger: Ledger) -> None:
    """Who has their share from another drop of the group cannot enter; who got it after entering is passed over."""
    await opened(ledger, "d2", stock=9, limit_group="g")
    assert short(await click(ledger, "ann", id_="d2")) == 1
    await make(ledger, stock=2, fair_window_ms=1000, limit_group="g")
    await step(ledger, "open")
    assert short(await click(ledger, "ann")) == "limit"
    assert [short(await click(ledger, user)) for user in ("bob", "cat", "dan")] == ["entered 1", "entered 2", "entered 3"]
    assert short(await click(ledger, "bob", id_="d2")) == 2
    await ledger.freeze_pot(ROOM, "d1", NOW + 1000)
    assert await ledger.award(ROOM, "d1", 0, ["bob", "cat", "dan"], NOW + 1000) == [0, 1, 2]
    granted = [entry.fact for entry in await ledger.read(shard_of(ROOM), 0, 99) if isinstance(entry.fact, UnitsGranted)]
    assert [grant.user for grant in granted[-1].grants] == ["cat", "dan"]


# --- Orders -----------------------------------------------------------------------------------------------------------
ORDER = Order("o1", "ann", "sku-1", 1999, "EUR", "placed", "d1", 1)


async def test_an_order_is_tied_to_its_unit(ledger: Ledger, ledgers: Any) -> None:
    """Only to one that its user has."""
    await opened(ledger)
    assert await ledger.order(ROOM, ORDER, NOW) == Refusal("not_found")
    assert isinstance(await click(ledger, "ann"), Won)
    assert await ledger.order(ROOM, Order("o0", "bob", "sku-1", 1, "EUR", "placed", "d1", 1), NOW) == Refusal("not_found")
    assert await ledger.order(ROOM, ORDER, NOW + 1) == Ordered(ORDER, NOW + 1, first=True, changed=True)
    assert await ledgers().order(ROOM, ORDER, NOW + 2) == Ordered(ORDER, NOW + 1, first=False, changed=False)
    facts = [entry.fact for entry in await ledger.read(shard_of(ROOM), 0, 99)]
    assert [fact for fact in facts if isinstance(fact, OrderTaken)] == [OrderTaken(ROOM, ORDER, first=True)]


async def test_an_order_changes_amount_and_status_only(ledger: Ledger) -> None:
    """Each change is entered; user, goods and unit stay."""
    free = Order("o1", "ann", "sku-1", 1999, "EUR", "placed")
    paid = Order("o1", "ann", "sku-1", 1899, "EUR", "paid")
    await ledger.order(ROOM, free, NOW)
    assert await ledger.order(ROOM, paid, NOW + 5) == Ordered(paid, NOW, first=False, changed=True)
    for wrong in (Order("o1", "bob", "sku-1", 1999, "EUR", "placed"), Order("o1", "ann", "sku-2", 1999, "EUR", "placed"), ORDER):
        assert await ledger.order(ROOM, wrong, NOW) == Refusal("conflict")
    await ledger.order(ROOM, Order("o2", "bob", "sku-1", 5, "EUR", "placed"), NOW + 6)
    assert [(each.order.order_id, each.order.status, each.at) for each in await ledger.orders(ROOM, 0, 9)] == [
        ("o1", "paid", NOW),
        ("o2", "placed", NOW + 6),
    ]
    assert [each.order.order_id for each in await ledger.orders(ROOM, 1, 9)] == ["o2"]
    assert await ledger.orders("other", 0, 9) == []
