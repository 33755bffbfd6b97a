"""What viewers tell the moderators of comments and of each other: one line per comment or user, with a number.

Reports are part of every commit. They leave when staff settle them, when what they are about is taken off the screens, or after
a day.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from msgspec import Struct, field

from livecast.core.errors import InvalidChange, Refusal
from livecast.core.events import Json, Origin, Reported, Verdict
from livecast.core.frames import Comment, Happened, Remembered
from livecast.core.limits import Pace
from livecast.core.rules import RoomRules
from livecast.core.text import clean
from livecast.core.tools.kept import Kept
from livecast.core.tools.memory import Answers

OPEN_MAX: Final = 200
"""Lines at once: more than a moderator reads. Beyond it the one that was last reported longest ago goes."""
KEPT_MS: Final = 24 * 3_600_000
"""What nobody settled within a day was not worth it, and a broadcast is over by then."""
REPORTERS_MAX: Final = 100
"""People told apart per line; beyond it its number stays. A hundred reports need no further proof."""
REASONS_MAX: Final = 5
"""Reasons kept per line, the first ones: they say what the others say."""
BURST: Final = 5
INTERVAL_MS: Final = 10_000
"""Reports of one user: five at once, then one in ten seconds. More is a grudge."""

CONFLICT: Final = Refusal("conflict")
GONE: Final = Refusal("not_found", "The room does not know this comment (any more).", field="comment")


class Report(Struct):
    """One line: what it is about, by whom, since when (Unix ms). `reasons`: [who, why, when]."""

    id: str
    user: str
    comment: str
    text: str
    at: int
    last_at: int
    by: dict[str, None] = field(default_factory=dict)
    reasons: list[list[Json]] = field(default_factory=list)

    def tell(self) -> dict[str, Json]:
        """As staff see it."""
        about = {"comment": self.comment, "text": self.text} if self.comment else {}
        reasons = [{"by": by, "reason": reason, "at": at} for by, reason, at in self.reasons]
        return {
            "id": self.id,
            "user": self.user,
            **about,
            "n": len(self.by),
            "at": self.at,
            "last_at": self.last_at,
            "reasons": reasons,
        }


class Reports:
    """The open reports of one room. `kept` is what the next owner goes on from; `news` what staff have not been told yet."""

    __slots__ = ("_answers", "_first", "_lines", "_pace", "kept", "news", "remember")

    def __init__(self, rules: RoomRules) -> None:
        self._lines: dict[str, Report] = {}
        self._answers: Answers[Remembered] = Answers(rules.cid_memory_ms, rules.cid_memory_per_user, rules.cid_memory_max)
        self._pace = Pace(BURST, INTERVAL_MS)
        self.kept = Kept()
        self.news: dict[str, None] = {}
        self._first: list[str] = []
        self.remember: list[Remembered] = []
        """Answers since the last flush, to be made durable with the next."""

    # --- Feed ---------------------------------------------------------------------------------------------------------
    def report(self, said: Reported, about: Comment | None, now: int) -> tuple[Refusal | None, tuple[Origin, str, Verdict] | None]:
        """Take a report in: (a refusal at once, the answer that comes with the flush). `about` is the comment it names."""
        user = said.person.id
        known = self._answers.of(user, now)
        before = known.get(said.cid)
        if before is not None and not self._answers.expired(before, now):
            if before.body != said.body or isinstance(before.answer, Refusal):
                return CONFLICT, None
            return None, (said.origin, said.cid, before.answer)
        if said.comment is not None and about is None:
            return GONE, None
        if wait_ms := self._pace.wait_ms(user, now):
            return Refusal("rate_limited", retry_after_ms=wait_ms), None
        self._note(said, about, now)
        answer = Verdict("reported")
        final = Remembered(user, "report", said.cid, said.body, now, answer)
        self._answers.put(known, final)
        self.remember.append(final)
        return None, (said.origin, said.cid, answer)

    def settle(self, report_id: str) -> Json:
        """Staff looked at it. Raises `InvalidChange` (`not_found`)."""
        if report_id not in self._lines:
            raise InvalidChange(Refusal("not_found", "There is no such report (any more)."))
        told = self._lines[report_id].tell()
        self._drop(report_id)
        return told

    def redact(self, ids: set[str], users: set[str]) -> None:
        """These are off the screens: nobody need look at them any more. Reports of a user by himself stay."""
        for line in list(self._lines.values()):
            if line.comment and (line.comment in ids or line.user in users):
                self._drop(line.id)

    def forget_user(self, user: str) -> None:
        """Nothing about or by this user stays."""
        for line in list(self._lines.values()):
            if line.user == user:
                self._drop(line.id)
            elif user in line.by:
                del line.by[user]
                line.reasons = [reason for reason in line.reasons if reason[0] != user]
                self._keep(line)

    # --- Ask ----------------------------------------------------------------------------------------------------------
    def listed(self) -> list[Json]:
        """All that are open, what was last reported first."""
        return [line.tell() for line in sorted(self._lines.values(), key=lambda line: (-line.last_at, line.id))]

    def drain_first(self, now: int) -> list[Happened]:
        """Lines that are new since the last call; who joins in later is not told of."""
        first, self._first = self._first, []
        lines = [self._lines[name].tell() for name in first if name in self._lines]
        return [Happened("comment.reported", f"{line['id']}-{line['at']}", now, line) for line in lines]

    def drain_news(self) -> list[Json]:
        """Those that are new or have grown since the last call."""
        told = [self._lines[name].tell() for name in self.news if name in self._lines]
        self.news = {}
        return told

    def restore(self, kept: dict[str, Json], remembered: Iterable[Remembered], now: int) -> None:
        """Go on where a former owner stopped."""
        self.kept = Kept(kept)
        for name, (user, comment, text, at, last_at, by, reasons) in kept.items():
            self._lines[name] = Report(name, user, comment, text, at, last_at, dict.fromkeys(by), list(reasons))
        self._answers.fill((r for r in remembered if r.kind == "report"), now)
        self.fade(now)

    def fade(self, now: int) -> bool:
        """Forget what is due; True if nothing is left that could matter."""
        for line in list(self._lines.values()):
            if line.last_at + KEPT_MS <= now:
                self._drop(line.id)
        gone = [self._answers.fade(now), self._pace.fade(now)]
        return all(gone) and not (self._lines or self.remember or self.kept.changed)

    # --- Private ------------------------------------------------------------------------------------------------------
    def _note(self, said: Reported, about: Comment | None, now: int) -> None:
        name = about.id if about is not None else f"u-{said.user}"
        line = self._lines.get(name)
        if line is None:
            if len(self._lines) >= OPEN_MAX:
                self._drop(min(self._lines.values(), key=lambda line: line.last_at).id)
            user = about.u.id if about is not None else said.user or ""
            self._first.append(name)
            line = self._lines[name] = Report(
                name, user, "" if about is None else about.id, "" if about is None else about.text, now, now
            )
        if said.person.id in line.by:
            return
        line.last_at = now
        if len(line.by) < REPORTERS_MAX:
            line.by[said.person.id] = None
        if len(line.reasons) < REASONS_MAX:
            line.reasons.append([said.person.id, clean(said.reason), now])
        self._keep(line)

    def _keep(self, line: Report) -> None:
        self.kept.put(line.id, [line.user, line.comment, line.text, line.at, line.last_at, list(line.by), line.reasons])
        self.news[line.id] = None

    def _drop(self, name: str) -> None:
        del self._lines[name]
        self.kept.drop(name)
