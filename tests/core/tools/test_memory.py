"""Remembered answers: for their time, the last so many of a user, and never more than the room's bound."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from livecast.core.events import Verdict
from livecast.core.frames import Remembered
from livecast.core.tools.memory import Answers

OK = Verdict("ok")


def remembered(user: str, cid: str, at: int) -> Remembered:
    """An answer of that time."""
    return Remembered(user, "comment", cid, 0, at, OK)


def put(answers: Answers[Remembered], user: str, cid: str, at: int) -> None:
    """Remember an answer."""
    answers.put(answers.of(user, at), remembered(user, cid, at))


@given(st.lists(st.tuples(st.integers(0, 400), st.sampled_from("abc"), st.booleans()), max_size=80))
def test_an_answer_is_known_for_its_time(story: list[tuple[int, str, bool]]) -> None:
    """Whatever else happens meanwhile, every answer younger than its time is there, and an older one is expired or gone."""
    answers: Answers[Remembered] = Answers(1000, 100, 10_000)
    kept: dict[tuple[str, str], int] = {}
    now = 0
    for n, (gap, user, is_put) in enumerate(story):
        now += gap
        if is_put:
            put(answers, user, str(n), now)
            kept[user, str(n)] = now
        known = answers.of(user, now)
        for (who, cid), at in kept.items():
            if who == user:
                answer = known.get(cid)
                assert (now - at > 1000) == (answer is None or answers.expired(answer, now))


def test_a_clicker_forgets_only_his_own() -> None:
    """The last 256 of each user stay, however many another one sends."""
    answers: Answers[Remembered] = Answers(600_000, 256, 500_000)
    put(answers, "quiet", "once", 0)
    for n in range(5000):
        put(answers, "clicker", str(n), n)
    assert "once" in answers.of("quiet", 5000)
    assert list(answers.of("clicker", 5000)) == [str(n) for n in range(5000 - 256, 5000)]


def test_a_flood_of_users_is_bounded() -> None:
    """Beyond the room's bound the answers of those who were quiet the longest go first."""
    answers: Answers[Remembered] = Answers(600_000, 256, 1000)
    for n in range(20_000):
        put(answers, f"user{n}", "cid", n)
        assert len(answers) <= 1000
    assert "cid" in answers.of("user19999", 20_000)
    assert not answers.of("user0", 20_000)


def test_many_answers_of_few_users_are_bounded_too() -> None:
    """The bound counts answers, not people."""
    answers: Answers[Remembered] = Answers(600_000, 256, 1000)
    for n in range(30_000):
        put(answers, f"user{n % 50}", str(n), n)
        assert len(answers) <= 1000 + 256


def test_a_former_owners_answers_are_taken_over() -> None:
    """Those that are still young; time empties the rest."""
    answers: Answers[Remembered] = Answers(1000, 256, 1000)
    answers.fill([remembered("u", "old", 0), remembered("u", "young", 1500)], 2000)
    assert list(answers.of("u", 2000)) == ["young"]
    assert not answers.fade(2500)
    assert answers.fade(60_000)
    assert len(answers) == 0
