"""Whether anybody is asked at all: not while nobody answers."""

from __future__ import annotations

from typing import Any

from livecast.core.chat.review import ReviewAsked
from livecast.core.events import Reviewed
from livecast.facts import CommentJudged, Trouble
from livecast.shard.reviewer import FAILURES_MAX, OPEN_MS, JudgeFailed, Reviewer, ReviewRules
from support.house import Notes, until


class HandClock:
    """Time as the test says."""

    now = 1_000_000

    def __call__(self) -> int:
        return self.now


class Scripted:
    """An answerer without a socket, for time: it fails while `broken`."""

    def __init__(self) -> None:
        self.broken = True
        self.asked = 0

    async def ask(self, _headers: Any, _body: bytes, _timeout_s: float) -> bytes:
        self.asked += 1
        if self.broken:
            raise JudgeFailed("broken")
        return b'{"action":"deny"}'


async def test_nobody_is_asked_while_nobody_answers() -> None:
    """After ten failures in a row the policy decides at once; now and then one is tried; the first answer opens the way again."""
    clock, notes, judge = HandClock(), Notes(), Scripted()
    reviewer = Reviewer(rules=ReviewRules(url="http://x"), judge=judge, clock=clock, observer=notes)
    told: list[Reviewed] = []

    async def ask(n: int) -> None:
        before = len(told)
        for ticket in range(n):
            one = ReviewAsked(ticket, "c", "u", "U", "viewer", 0, "hi", clock.now, clock.now + 200)
            reviewer.ask({"room": "r", "epoch": "e"}, [one], told.append)
            await until(lambda: len(told) > before + ticket, "an answer")  # noqa: B023 - waited for within the turn

    await ask(FAILURES_MAX)
    assert (judge.asked, {one.action for one in told}) == (FAILURES_MAX, {"none"})
    await ask(20)
    assert judge.asked == FAILURES_MAX
    assert len(notes.of(Trouble)) == 1
    clock.now += OPEN_MS
    await ask(5)
    assert judge.asked == FAILURES_MAX + 1
    judge.broken = False
    clock.now += OPEN_MS
    await ask(3)
    assert judge.asked == FAILURES_MAX + 4
    assert told[-1].action == "deny"
    assert [fact.outcome for fact in notes.of(CommentJudged)].count("skipped") == 24
