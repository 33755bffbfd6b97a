"""Deadlines and awaited answers, as tables with time in the test's hand."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from livecast.edge.deadlines import Deadlines
from livecast.edge.rules import EdgeRules
from livecast.edge.viewers.answers import Answers
from livecast.edge.viewers.outbox import CATCH_UP_FRAMES_MAX, Lag


def test_deadlines_table():
    """Due exactly when its time is over, once; put in again it is due later; what was done with never is."""
    due: Deadlines[str] = Deadlines(100)
    due.add("a", 0)
    due.add("b", 10)
    due.add("c", 20)
    assert not list(due.expired(99))
    due.add("a", 50)
    assert due.discard("b")
    assert not due.discard("b")
    assert not list(due.expired(119))
    assert list(due.expired(120)) == ["c"]
    assert "a" in due
    assert list(due.expired(150)) == ["a"]
    assert len(due) == 0


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 50), st.sampled_from(["add", "discard", "look"])), max_size=100))
def test_deadlines_against_a_model(steps):
    """Under any interleaving the same things are due as in a plain dictionary that is searched whole."""
    due, model, now = Deadlines[int](100), {}, 0
    for item, gap, what in steps:
        now += gap
        if what == "add":
            due.add(item, now)
            model[item] = now + 100
        elif what == "discard":
            assert due.discard(item) == (model.pop(item, None) is not None)
        else:
            ready = {one for one, at in model.items() if at <= now}
            assert set(due.expired(now)) == ready
            model = {one: at for one, at in model.items() if one not in ready}
        assert len(due) == len(model)


def test_things_may_come_and_go_during_a_sweep():
    """Whoever is being looked at may put others in and take others out."""
    due: Deadlines[str] = Deadlines(10)
    for one in "abc":
        due.add(one, 0)
    seen = []
    for one in due.expired(10):
        seen.append(one)
        due.discard("b")
        due.add("d", 10)
    assert seen == ["a", "c"]
    assert "d" in due


def test_each_message_has_one_answer():
    """A cid asked twice while it waits is answered twice; a third answer, or one after the deadline, is nobody's."""
    answers = Answers(100)
    answers.expect((1, "a"), 0)
    answers.expect((1, "a"), 10)
    answers.expect((2, "a"), 10)
    assert answers.came((1, "a"))
    assert answers.came((1, "a"))
    assert not answers.came((1, "a"))
    answers.expect((3, "b"), 20)
    answers.expect((3, "b"), 30)
    answers.expect((3, "b"), 40)
    assert answers.came((3, "b"))
    assert list(answers.overdue(110)) == [(2, "a")]
    assert list(answers.overdue(120)) == [(3, "b"), (3, "b")]
    assert not answers.came((3, "b"))
    assert not answers.came((2, "a"))


def test_lag_table():
    """Hung up on after so long without a byte leaving, or above so many; a byte that leaves starts the time afresh."""
    rules = EdgeRules(outbox_stall_ms=1000, outbox_max_bytes=10_000)
    lag = Lag(5, 3000, 0)
    assert not lag.too_slow(3000, 999, rules)
    lag.put += 500
    assert not lag.too_slow(3499, 999, rules)  # one byte left, although more is unsent than before
    assert not lag.too_slow(3499, 1998, rules)
    assert lag.too_slow(3499, 1999, rules)
    assert Lag(5, 10_001, 0).too_slow(10_001, 0, rules)


def test_catching_up_is_bounded():
    """Frames that wait behind a resume are bounded; left out, they are replaced by a welcome."""
    lag = Lag(5, 0, 0)
    sealed = [object()] * CATCH_UP_FRAMES_MAX
    assert all(lag.catch_up_with(one) for one in sealed)  # type: ignore[arg-type] # any object can wait
    assert not lag.catch_up_with(sealed[0])  # type: ignore[arg-type]
    assert lag.next_slice(lambda _: b"x" * 10, 25) == b"x" * 30
    assert len(lag.catch_up) == CATCH_UP_FRAMES_MAX - 3
    lag.skip()
    assert lag.skipped
    assert not lag.catch_up
