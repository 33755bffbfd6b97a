"""Likes: taps are clamped per user and added up; the total is never set, only grows."""

from __future__ import annotations

from collections.abc import Iterable

from livecast.core.audience.deeds import Deeds
from livecast.core.chat.comments import CONFLICT, Replies
from livecast.core.errors import Refusal
from livecast.core.events import Liked, Verdict
from livecast.core.frames import Remembered
from livecast.core.limits import Taps
from livecast.core.rules import Policy, RoomRules
from livecast.core.tools.memory import Answers


class CountedTaps(Taps):
    """Taps that somebody counts. Its own class, so that uncounted taps, the hottest lines of the service, need not even ask."""

    __slots__ = ("_deeds",)

    def __init__(self, per_s: int, burst: int, deeds: Deeds) -> None:
        super().__init__(per_s, burst)
        self._deeds = deeds

    def take(self, user: str, n: int, now: int) -> int:
        """How many of `n` taps count; so many are counted."""
        counted = super().take(user, n, now)
        self._deeds.like(user, counted)
        return counted


class Hearts:
    """The likes of one room since the last flush (`delta`), and who may still add to them."""

    __slots__ = ("_answers", "_deeds", "_rules", "delta", "remember", "taps")

    def __init__(self, rules: RoomRules, policy: Policy) -> None:
        self._rules = rules
        self.taps = Taps(policy.like_max_per_s, rules.like_burst)
        """How many taps of each user still count; what is taken is added to `delta`."""
        self._deeds: Deeds | None = None
        self._answers: Answers[Remembered] | None = None  # most likes carry no cid
        self.delta = 0
        self.remember: list[Remembered] = []
        """Answers since the last flush, to be made durable with the next."""

    def like(self, liked: Liked, now: int, refusal: Refusal | None, replies: Replies) -> Refusal | None:
        """A like with a cid: refused at once, or answered with the next flush. `refusal` is what speaks against it now."""
        cid, user = liked.cid or "", liked.person.id
        answers = self._the_answers()
        known = answers.of(user, now)
        before = known.get(cid)
        if before is not None and not answers.expired(before, now):
            if before.body != liked.n:
                return CONFLICT
            replies.append((liked.origin, cid, before.answer))
            return None
        if refusal is not None:
            return refusal
        counted = self.taps.take(user, liked.n, now)
        self.delta += counted
        answer = Remembered(user, "like", cid, liked.n, now, Verdict("counted", counted=counted))
        answers.put(known, answer)
        self.remember.append(answer)
        replies.append((liked.origin, cid, answer.answer))
        return None

    def policy_changed(self, policy: Policy) -> None:
        """Another rate from now on."""
        self.taps.change(policy.like_max_per_s)

    def count_for(self, deeds: Deeds | None, policy: Policy) -> None:
        """From now on each user's taps are counted there (None: nowhere). As after a change of policy, what is owed is forgiven."""
        if deeds is not self._deeds:
            self._deeds = deeds
            rate, burst = policy.like_max_per_s, self._rules.like_burst
            self.taps = Taps(rate, burst) if deeds is None else CountedTaps(rate, burst, deeds)

    def restore(self, remembered: Iterable[Remembered], now: int) -> None:
        """Go on where a former owner stopped."""
        self._the_answers().fill((r for r in remembered if r.kind == "like"), now)

    def fade(self, now: int) -> bool:
        """Forget what is due; True if nothing is left that could matter."""
        if self._answers is not None and self._answers.fade(now):
            self._answers = None
        return self.taps.fade(now) and self._answers is None and not (self.delta or self.remember)

    def _the_answers(self) -> Answers[Remembered]:
        if self._answers is None:
            rules = self._rules
            self._answers = Answers(rules.cid_memory_ms, rules.cid_memory_per_user, rules.cid_memory_max)
        return self._answers
