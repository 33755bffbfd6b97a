"""Answers kept for repeated ids: the same (user, cid) never acts twice and hears the first final answer again.

One of these per kind (comment, like). Bounded in time, per user and per room; a user who repeats wildly forgets only his own.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, Protocol, TypeVar

from livecast.core.frames import Remembered


class Waiting(Protocol):
    """A message whose answer is not decided yet stands in for the answer until then."""

    @property
    def at(self) -> int:
        """When it came, Unix ms."""


W = TypeVar("W", bound=Waiting)


class Answers(Generic[W]):
    """user -> cid -> what was answered (`Remembered`), or the message that still waits for its answer (`W`).

    Two generations of users as in `limits.Fading`: whoever did nothing for `keep_ms` is forgotten as a whole, earlier only
    if others fill half of `answers_max` meanwhile. So every answer is kept for `keep_ms` at up to
    `answers_max` / 2 answers in that time.
    """

    __slots__ = ("_count", "_half", "_keep_ms", "_old", "_per_user", "_turn_at", "_young")

    def __init__(self, keep_ms: int, per_user: int, answers_max: int) -> None:
        self._keep_ms = keep_ms
        self._per_user = per_user
        self._half = answers_max // 2
        self._young: dict[str, dict[str, Remembered | W]] = {}
        self._old: dict[str, dict[str, Remembered | W]] = {}
        self._count = 0  # users and answers in the young generation
        self._turn_at = 0

    def of(self, user: str, now: int) -> dict[str, Remembered | W]:
        """What is known of this user, to look into, and to hand to `wait` and `put`."""
        if now >= self._turn_at or self._count >= self._half:
            self._turn(now)
        known = self._young.get(user)
        if known is None:
            known = self._old.pop(user, None)
            if known is None:
                known = {}
            self._young[user] = known
            self._count += 1 + len(known)
        return known

    def expired(self, answer: Remembered | W, now: int) -> bool:
        """Whether this one was kept for its time and does not count any more."""
        return now - answer.at > self._keep_ms

    def wait(self, known: dict[str, Remembered | W], cid: str, waiting: W) -> None:
        """Let `waiting` stand for the answer of `cid` until that is `put`."""
        known[cid] = waiting
        self._count += 1

    def put(self, known: dict[str, Remembered | W], answer: Remembered) -> None:
        """Keep `answer` among `known`, which `of` returned for its user."""
        if answer.cid not in known:
            self._count += 1
        known[answer.cid] = answer
        if len(known) > self._per_user:
            del known[next(iter(known))]
            self._count -= 1

    def fill(self, answers: Iterable[Remembered], now: int) -> None:
        """Take over what a former owner remembered, the oldest first."""
        for answer in answers:
            if not self.expired(answer, now):
                self.put(self.of(answer.user, now), answer)

    def fade(self, now: int) -> bool:
        """Forget what is due; True if nothing is left."""
        if now >= self._turn_at and (self._young or self._old):
            self._turn(now)
        return not (self._young or self._old)

    def _turn(self, now: int) -> None:
        self._old = self._young if now < self._turn_at + self._keep_ms else {}
        self._young = {}
        self._count = 0
        self._turn_at = now + self._keep_ms

    def __len__(self) -> int:
        return sum(len(known) for generation in (self._young, self._old) for known in generation.values())
