"""Drops, reservations, wallets and gifts in any order: both ledgers answer alike, and what must always be true is.

A machine does the same to a ledger in memory and to one on Valkey, remembers every answer, and repeats earlier requests at
random. The caller's clock runs an hour behind the stores' own, so that it alone decides.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from contract.conftest import wall_ms
from livecast.adapters.memory.ledger import MemoryLedger
from livecast.adapters.redis.ledger import RedisLedger
from livecast.adapters.redis.ledger_calls import LedgerServer
from livecast.core.books.bookkeeping import GiftCommitted, GiftDebited
from livecast.core.errors import Refusal
from livecast.core.money.coins import Gift, Moved, Movement, SpendLimits, viewer_tx
from livecast.core.money.units import Claim, Confirm, Drop, DropChange, NewDrop, Order, Release, Revoke, Terms, Won
from livecast.core.nodes.placement import shard_of
from livecast.ledger import Ledger, audit, finish

ROOM, BROADCAST = "demo", "b1"
USERS = ["ann", "bob", "cat"]
DROPS = ["d1", "d2", "d3"]
CIDS = ["c1", "c2", "c3", "c4"]
TERMS = [
    Terms(stock=2),
    Terms(stock=3, per_user=2, reserve_ms=1000),
    Terms(stock=2, per_user=2, reserve_ms=500, limit_group="g"),
    Terms(stock=1, limit_group="g", gifted=True),
    Terms(stock=2, codes="list"),
    Terms(stock=1, kind="draw", reserve_ms=700),
    Terms(stock=2, fair_window_ms=600),
]
STEPS = ["announce", "open", "open", "open", "pause", "resume", "resume", "close", "cancel", "settle"]
UNIT_STEPS = [Confirm("o1", 5, "EUR"), Confirm("o2"), Release(), Revoke("why", True), Revoke("why")]
Operation = Callable[..., Coroutine[Any, Any, Any]]

users, drops, cids = st.sampled_from(USERS), st.sampled_from(DROPS), st.sampled_from(CIDS)
serials = st.integers(1, 4)


class Machine(RuleBasedStateMachine):
    """The same to both."""

    valkey_server: Any = None

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.server = LedgerServer(self.valkey_server.url)
        assert self.valkey_server.command("FLUSHALL").startswith(b"+OK")
        self.valkey: Ledger = RedisLedger(self.server)
        self.memory: Ledger = MemoryLedger(wall_ms)
        self.now = wall_ms() - 3_600_000
        self.differ = False
        self.won: dict[tuple[str, str, str], Won] = {}
        self.moved: dict[tuple[str, str, str], Moved] = {}

    def teardown(self) -> None:
        """The auditor has the last word, on both."""
        try:
            if self.differ:
                return
            sums = [self.loop.run_until_complete(audit(ledger)) for ledger in (self.memory, self.valkey)]
            assert sums[0] == sums[1]
        finally:
            self.loop.run_until_complete(self.valkey.close())
            self.loop.run_until_complete(self.server.close())
            self.loop.close()

    def both(self, operation: Operation, *more: Any) -> Any:
        """The answer, which is the same of both."""
        first = self.loop.run_until_complete(operation(self.memory, *more))
        second = self.loop.run_until_complete(operation(self.valkey, *more))
        self.differ = first != second
        assert first == second, (first, second)
        return first

    # --- Wallets and gifts ---
    @initialize()
    def coins(self) -> None:
        """Everybody begins with some."""
        for user in USERS:
            self.both(lambda ledger, user: ledger.move(Movement(user, "start", 30, "key:k"), self.now), user)

    @rule(user=users, tx=cids, amount=st.integers(-20, 20))
    def move(self, user: str, tx: str, amount: int) -> None:
        """Also with the same tx and another amount."""
        self.moves("move", user, tx, self.both(lambda ledger: ledger.move(Movement(user, tx, amount, "key:k"), self.now)))

    def moves(self, kind: str, user: str, id_: str, answer: object) -> None:
        """Whoever was told that it is booked is told the same ever after."""
        if isinstance(answer, Moved):
            assert self.moved.setdefault((kind, user, id_), answer) == answer

    def gift(self, user: str, cid: str) -> Gift:
        """A gift whose value follows from its id."""
        value = 3 * (CIDS.index(cid) + 1)
        return Gift(viewer_tx(user, cid), user, ROOM, BROADCAST, "rose", 1, value, value, to=cid)

    @rule(user=users, cid=cids, day=st.sampled_from([None, 9, 20]))
    def debit(self, user: str, cid: str, day: int | None) -> None:
        """A gift leaves a wallet."""
        answer = self.both(lambda ledger: ledger.debit_gift(self.gift(user, cid), SpendLimits(per_day=day), self.now))
        self.moves("gift", user, cid, answer)

    @rule(user=users)
    def sweep(self, user: str) -> None:
        """Everything half done in the shard of a user, or of the room, is finished."""
        for place in (user, ROOM):
            for pending in self.both(lambda ledger, place: ledger.pending(shard_of(place), self.now + 1, 9), place):
                self.both(lambda ledger, pending: finish(ledger, pending, self.now), pending)

    @rule(user=users, cid=cids)
    def reverse(self, user: str, cid: str) -> None:
        """A gift is taken back."""
        self.both(lambda ledger: ledger.reverse_gift(ROOM, self.gift(user, cid).tx, "why", self.now))

    # --- Drops ---
    @rule(drop=drops, terms=st.sampled_from(TERMS))
    def put(self, drop: str, terms: Terms) -> None:
        """Make a drop, with its codes."""
        made = self.both(lambda ledger: ledger.put_drop(NewDrop(ROOM, drop, terms, b"about"), self.now))
        if isinstance(made, Drop) and terms.codes == "list":
            self.both(lambda ledger: ledger.put_codes(ROOM, drop, "up", 0, ["A", "B", "C"]))
            self.both(lambda ledger: ledger.finish_codes(ROOM, drop, "up", self.now))

    @rule(drop=drops, terms=st.sampled_from(TERMS))
    def put_open(self, drop: str, terms: Terms) -> None:
        """Make a drop and open it: what most stories begin with."""
        self.put(drop, terms)
        self.step(drop, "open")

    @rule(drop=drops, a_step=st.sampled_from(STEPS))
    def step(self, drop: str, a_step: Any) -> None:
        """Another state."""
        self.both(lambda ledger: ledger.step_drop(ROOM, drop, a_step, self.now))

    @rule(drop=drops, tx=cids, delta=st.integers(-2, 2))
    def change(self, drop: str, tx: str, delta: int) -> None:
        """More or less stock."""
        self.both(lambda ledger: ledger.change_drop(ROOM, drop, DropChange(tx, stock_delta=delta), self.now))

    # --- Claims ---
    @rule(drop=drops, claims=st.lists(st.builds(Claim, users, cids, missing=st.integers(0, 9).map(lambda n: n == 0)), max_size=6))
    def claim(self, drop: str, claims: list[Claim]) -> None:
        """Clicks, new and repeated. Whoever was told `won` is told the same ever after."""
        answers = self.both(lambda ledger: ledger.claim(ROOM, drop, BROADCAST, claims, self.now))
        for claim, answer in zip(claims, answers, strict=True):
            before = self.won.get((drop, claim.user, claim.cid))
            if before is not None:
                assert answer == before
            elif isinstance(answer, Won):
                assert not answer.again
                self.won[drop, claim.user, claim.cid] = Won(
                    answer.serial, answer.of, answer.at, answer.code, answer.expires_at, True
                )

    @rule(drop=drops, serial=serials, a_step=st.sampled_from(UNIT_STEPS))
    def step_unit(self, drop: str, serial: int, a_step: Any) -> None:
        """What becomes of a unit."""
        self.both(lambda ledger: ledger.step_unit(ROOM, drop, serial, a_step, self.now))

    @rule(ms=st.sampled_from([1, 499, 1000]))
    def time_passes(self, ms: int) -> None:
        """And what ran out is given back."""
        self.now += ms
        for lapsed in self.both(lambda ledger: ledger.lapsed(shard_of(ROOM), self.now, 99)):
            self.both(lambda ledger, lapsed: ledger.expire_units(ROOM, lapsed.drop, lapsed.serials, self.now), lapsed)

    @rule(drop=drops, order=st.permutations(USERS), offset=st.integers(0, 2))
    def draw(self, drop: str, order: list[str], offset: int) -> None:
        """Freeze, award, publish: as far as each is possible now."""
        self.both(lambda ledger: ledger.freeze_pot(ROOM, drop, self.now))
        entrants = {each.user for each in self.both(lambda ledger: ledger.entrants(ROOM, drop, 0, 99))}
        here = [user for user in order if user in entrants]
        if here:
            self.both(lambda ledger: ledger.award(ROOM, drop, 0, here, self.now))
            self.both(lambda ledger: ledger.award(ROOM, drop, offset, here, self.now))
        self.both(lambda ledger: ledger.draw_pot(ROOM, drop, b"result", self.now))

    @rule(id_=cids, user=users, status=st.sampled_from(["placed", "paid"]), drop=st.sampled_from(["", "d1"]))
    def order(self, id_: str, user: str, status: str, drop: str) -> None:
        """What was sold."""
        order = Order(id_, user, "sku", 5, "EUR", status, drop, 1 if drop else 0)
        self.both(lambda ledger: ledger.order(ROOM, order, self.now))

    # --- Always true ---
    @invariant()
    def no_drop_is_oversold(self) -> None:
        """Units out never pass the stock, nobody has more than their share, and all that was won is listed as it was told."""
        groups: Counter[tuple[str, str]] = Counter()
        for drop in self.both(lambda ledger: ledger.drops(ROOM, None, 9)):
            units = self.both(lambda ledger, id_: ledger.units(ROOM, id_, 0, 99), drop.id)
            out = [unit for unit in units if unit.state not in {"released", "expired"}]
            held = Counter(unit.user for unit in out)
            assert drop.granted - drop.returned <= drop.terms.stock
            assert drop.left >= 0
            assert [unit.serial for unit in units] == list(range(1, drop.granted + 1))
            assert all(n <= drop.terms.per_user for n in held.values())
            for user, n in held.items():
                groups[user, drop.terms.limit_group or drop.id] += n
            listed = {(unit.user, unit.cid): unit for unit in units}
            for (id_, user, cid), won in self.won.items():
                if id_ == drop.id:
                    unit = listed[user, cid]
                    assert (unit.serial, unit.code, unit.of, unit.at) == (won.serial, won.code, won.of, won.at)
        assert max(groups.values(), default=0) <= 2

    @invariant()
    def no_wallet_is_overdrawn(self) -> None:
        """The balance is the sum of its bookings at each of them, and never below zero."""
        for user in USERS:
            bookings = self.both(lambda ledger, user: ledger.bookings(user, None, 99), user)[::-1]
            balance = 0
            for booking in bookings:
                balance += booking.amount
                assert booking.balance == balance >= 0
            assert self.both(lambda ledger, user: ledger.wallet(user), user).balance == balance

    @invariant()
    def what_was_paid_is_booked_once(self) -> None:
        """Each acknowledged gift is debited once in the books of its giver's shard, and at most once in its room's."""
        facts = []
        for shard in {shard_of(place) for place in (ROOM, *USERS)}:
            facts += [entry.fact for entry in self.loop.run_until_complete(self.valkey.read(shard, 0, 9999))]
        debited = Counter(fact.gift.tx for fact in facts if isinstance(fact, GiftDebited))
        committed = Counter(fact.gift.tx for fact in facts if isinstance(fact, GiftCommitted))
        paid = {viewer_tx(user, cid) for kind, user, cid in self.moved if kind == "gift"}
        assert debited == dict.fromkeys(paid, 1)
        assert set(committed) <= paid
        assert max(committed.values(), default=1) == 1

    @invariant()
    def everybody_reads_the_same(self) -> None:
        """Boards, takings, holdings, orders and every entry since the beginning."""
        self.both(lambda ledger: ledger.board(ROOM, BROADCAST, 9))
        self.both(lambda ledger: ledger.takings(ROOM, BROADCAST))
        self.both(lambda ledger: ledger.holdings(ROOM, "ann", 9))
        self.both(lambda ledger: ledger.due(shard_of(ROOM), self.now + 9999, 9))
        assert not any(isinstance(each, Refusal) for each in self.both(lambda ledger: ledger.orders(ROOM, 0, 9)))
        for place in (ROOM, *USERS):
            self.both(lambda ledger, place: ledger.position(shard_of(place)), place)
            self.both(lambda ledger, place: ledger.read(shard_of(place), 0, 9999), place)


def tell(server: Any, stories: int, steps: int) -> None:
    """So many random stories of so many steps. One that breaks a promise is made as short as it can be, which takes minutes."""
    Machine.valkey_server = server
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    phases = [Phase.generate, Phase.shrink]
    told = settings(max_examples=stories, stateful_step_count=steps, deadline=None, phases=phases, suppress_health_check=checks)
    run_state_machine_as_test(Machine, settings=told)


@pytest.mark.timeout(600)
def test_both_ledgers_answer_alike_and_keep_what_is_always_true(ledger_server: Any) -> None:
    """A few stories, other ones each time."""
    tell(ledger_server, stories=8, steps=25)


@pytest.mark.chaos
@pytest.mark.timeout(1800)
def test_they_do_so_in_many_long_stories(ledger_server: Any) -> None:
    """Long enough for drops that sell out, run out and are refilled."""
    tell(ledger_server, stories=25, steps=50)
