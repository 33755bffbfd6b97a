"""Limits: what one user and one room may do, over any times; what is forgotten could not matter any more."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from livecast.core.limits import Budget, Fading, Pace, Taps

steps = st.lists(st.tuples(st.integers(0, 3000), st.sampled_from("abc")), max_size=60)


@pytest.mark.parametrize(
    "story",
    [
        [(0, 0), (0, 0), (0, 0), (0, 1000), (999, 1), (1000, 0), (1000, 1000)],
        [(0, 0), (500, 0), (600, 0), (700, 300), (1000, 0), (1001, 999)],
        [(0, 0), (0, 0), (0, 0), (60_000, 0), (60_000, 0), (60_000, 0), (60_001, 999)],
    ],
)
def test_three_at_once_then_one_a_second(story: list[tuple[int, int]]) -> None:
    """GCRA with burst 3: (at, how long to wait; 0 is allowed). A refusal costs nothing."""
    pace = Pace(3, 1000)
    assert [pace.wait_ms("u", at) for at, _ in story] == [wait for _, wait in story]


@given(steps)
def test_pace_holds_under_any_interleaving(story: list[tuple[int, str]]) -> None:
    """In no stretch of time does a user get more than the burst and one per interval; others do not change that; waiting
    for as long as was said is enough.
    """
    pace, now = Pace(3, 1000), 10_000
    allowed: dict[str, list[int]] = {"a": [], "b": [], "c": []}
    alone = {user: Pace(3, 1000) for user in "abc"}
    for gap, user in story:
        now += gap
        wait = pace.wait_ms(user, now)
        assert wait == alone[user].wait_ms(user, now)
        if wait:
            now += wait
            assert pace.wait_ms(user, now) == alone[user].wait_ms(user, now) == 0
        allowed[user].append(now)
    for times in allowed.values():
        for i, first in enumerate(times):
            for j in range(i, len(times)):
                assert j - i + 1 <= 3 + (times[j] - first) / 1000


@pytest.mark.parametrize(
    "story",
    [
        [(0, 100, 100), (0, 1, 0), (50, 1, 1), (50, 1, 0), (1050, 100, 20), (6050, 100, 100)],
        [(0, 60, 60), (0, 60, 40), (49, 5, 0), (1000, 5, 5), (1000, 100, 15)],
    ],
)
def test_taps_are_clamped_not_refused(story: list[tuple[int, int, int]]) -> None:
    """20 a second and 100 saved up: (at, taps, how many count)."""
    taps = Taps(20, 100)
    assert [taps.take("u", n, at) for at, n, _ in story] == [counted for _, _, counted in story]


@given(st.lists(st.tuples(st.integers(0, 4000), st.sampled_from("abc"), st.integers(1, 100)), max_size=60), st.integers(1, 1000))
def test_taps_hold_under_any_interleaving(story: list[tuple[int, str, int]], per_s: int) -> None:
    """In no stretch of time do more than the burst and the rate count for a user, whoever else taps."""
    taps, now = Taps(per_s, 100), 0
    counted: dict[str, list[tuple[int, int]]] = {"a": [], "b": [], "c": []}
    alone = {user: Taps(per_s, 100) for user in "abc"}
    for gap, user, n in story:
        now += gap
        got = taps.take(user, n, now)
        assert 0 <= got <= n
        assert got == alone[user].take(user, n, now)
        counted[user].append((now, got))
    for times in counted.values():
        for i, (first, _) in enumerate(times):
            for j in range(i, len(times)):
                assert sum(n for _, n in times[i : j + 1]) <= 100 + (times[j][0] - first) * per_s / 1000


def test_another_rate_counts_from_now_on() -> None:
    """A change of policy takes effect at once and does not punish anybody for what was allowed before."""
    taps = Taps(20, 100)
    assert taps.take("u", 100, 0) == 100
    taps.change(20)
    assert taps.take("u", 1, 0) == 0
    taps.change(1000)
    assert taps.take("u", 100, 0) == 100
    assert taps.take("u", 100, 50) == 50


@given(st.integers(0, 60), st.lists(st.tuples(st.integers(0, 1500), st.integers(0, 90), st.booleans()), max_size=40))
def test_the_budget_holds_over_any_time(per_s: int, story: list[tuple[int, int, bool]]) -> None:
    """In no stretch of time is more shown than a second's worth, the overdraft, and the rate; everyone alone never overdraws."""
    budget, now = Budget(per_s, 0.5, 0), 0
    shown: list[tuple[int, int]] = []
    for gap, wanted, reserved in story:
        now += gap
        budget.refill(now)
        n = min(wanted, budget.room(reserved=reserved))
        budget.take(n)
        shown.append((now, n))
    for i, (first, _) in enumerate(shown):
        for j in range(i, len(shown)):
            assert sum(n for _, n in shown[i : j + 1]) <= 1.5 * per_s + (shown[j][0] - first) * per_s / 1000


def test_the_reserved_part_is_always_there_and_nothing_is_left_unused() -> None:
    """Lane 3 may take all there is; lanes 1 and 2 still get their half at once, which lane 3 then pays back by waiting."""
    budget = Budget(40, 0.5, 0)
    budget.refill(0)
    assert budget.room() == 40
    budget.take(40)
    assert (budget.room(), budget.room(reserved=True)) == (0, 20)
    budget.take(20)
    assert (budget.room(), budget.room(reserved=True)) == (0, 0)
    budget.refill(500)
    assert (budget.room(), budget.room(reserved=True)) == (0, 20)
    budget.refill(1000)
    assert budget.room() == 20
    budget.refill(60_000)
    assert budget.room() == 40


@given(st.lists(st.tuples(st.sampled_from([0, 1, 100, 500, 999, 1000, 2500]), st.integers(0, 3), st.booleans()), max_size=80))
@example([(0, 0, True), (999, 1, True), (1, 2, True), (1, 1, False)])
def test_what_is_put_in_stays_for_its_time(story: list[tuple[int, int, bool]]) -> None:
    """A fading map knows everything put in within its time, and nothing is ever there that was not put in."""
    fading: Fading[int, int] = Fading(1000)
    put: dict[int, int] = {}
    now = 0
    for gap, key, is_put in story:
        now += gap
        if is_put:
            fading.put(key, now, now)
            put[key] = now
        else:
            got = fading.get(key)
            assert got is None or got == put[key]
            assert got is not None or key not in put or now - put[key] >= 1000
        assert {k for k, at in put.items() if now - at < 1000} <= {k for k, _ in fading.items()}


def test_a_flood_of_users_does_not_grow_a_limit() -> None:
    """However many users come within a moment, no more than twice the bound are kept, and time empties what is left."""
    pace = Pace(3, 1000)
    pace._entries_max = 500
    for n in range(20_000):
        assert pace.wait_ms(f"user{n}", 1000) == 0
        assert len(pace) <= 1000
    assert not pace.fade(2000)
    assert pace.fade(200_000)
    assert len(pace) == 0
