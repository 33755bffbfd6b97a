"""What only staff see of a room: the comments of a tick that viewers did not get, reports, and what is known of who wrote them.

While no node has staff watching, nothing is gathered. What is remembered of people (`violations`) is part of every commit.
"""

from __future__ import annotations

from typing import Final

import msgspec

from livecast.core.audience.attendance import Attendance
from livecast.core.chat.comments import Chat
from livecast.core.chat.questions import Questions
from livecast.core.events import Json, Presence, Reported
from livecast.core.frames import Comment, ForStaff, Frame
from livecast.core.rules import RoomRules
from livecast.core.staff.reports import Reports
from livecast.core.staff.transcript import Transcript
from livecast.core.tools.kept import Kept

COMMENTS_MAX: Final = 200
"""Comments in one message to staff: a thousand a second at the usual tick, far more than anybody reads."""
VIOLATORS_MAX: Final = 20_000
"""People whose violations are remembered, as many as can be muted; beyond it the first of them is forgotten."""
BUYERS_MAX: Final = 20_000
"""People of whom staff are told what they bought in the broadcast; those who come later bought nothing. About 5 MB."""
ASKED_ALTHOUGH: Final = frozenset({"merged", "sampled"})
"""Verdicts of comments that viewers did not get and that ask all the same; of held and blocked ones nobody is to answer."""
SKUS_MAX: Final = 3
"""Articles named of somebody's, the last ones: a moderator has a line for them."""
NEW_HERE_MS: Final = 600_000
"""Somebody who has watched for less, and of whom no comment is remembered, is new here."""


class Backstage:
    """The staff's side of one room."""

    __slots__ = (
        "_bought",
        "_kept_bought",
        "_kept_violations",
        "_seen_held",
        "_staff",
        "_violations",
        "questions",
        "reports",
        "transcript",
    )

    def __init__(self, rules: RoomRules) -> None:
        self.transcript = Transcript()
        self.reports = Reports(rules)
        self.questions = Questions()
        self._staff: dict[str, int] = {}
        """Node -> connections of staff there."""
        self._violations: dict[str, int] = {}
        self._kept_violations = Kept()
        self._bought: dict[str, tuple[int, list[str]]] = {}
        """User -> orders in this broadcast, and the last articles."""
        self._kept_bought = Kept()
        self._seen_held = -1  # what staff were told last of how many are held; -1: somebody has to be told

    # --- Feed ---------------------------------------------------------------------------------------------------------
    def report_presence(self, presence: Presence) -> bool:
        """A node says who watches there; whether staff came who have to be told how things stand."""
        before = self._staff.get(presence.node, 0)
        if presence.connections > 0 and presence.staff > 0:
            self._staff[presence.node] = presence.staff
        else:
            self._staff.pop(presence.node, None)
        if presence.staff > before:
            self._seen_held = -1
            self.reports.news = dict.fromkeys(line["id"] for line in self.reports.listed())
        return presence.staff > before

    def nodes_gone(self, nodes: list[str]) -> None:
        """These fell silent."""
        for node in nodes:
            self._staff.pop(node, None)

    def violated(self, user: str) -> None:
        """Somebody was blocked, muted, banned, redacted or rejected."""
        n = self._violations.pop(user, 0) + 1
        if len(self._violations) >= VIOLATORS_MAX:
            first = next(iter(self._violations))
            del self._violations[first]
            self._kept_violations.drop(first)
        self._violations[user] = n
        self._kept_violations.put(user, n)

    def bought(self, user: str, sku: str) -> None:
        """Somebody placed an order."""
        if user not in self._bought and len(self._bought) >= BUYERS_MAX:
            return
        n, skus = self._bought.get(user, (0, []))
        self._bought[user] = n + 1, [*(one for one in skus if one != sku), sku][-SKUS_MAX:]
        self._kept_bought.put(user, list(self._bought[user]))

    def new_broadcast(self) -> None:
        """Nobody has bought anything yet."""
        self._bought = {}
        self._kept_bought.clear()

    def redact(self, ids: set[str], users: set[str]) -> None:
        """Staff take these off the screens."""
        for user in users | {c.u.id for i in ids if (c := self.transcript.get(i)) is not None}:
            self.violated(user)
        self.reports.redact(ids, users)
        self.questions.redact(ids, users)

    def forget_user(self, user: str) -> None:
        """Nothing of this user stays."""
        self.reports.forget_user(user)
        self.questions.redact(set(), {user})
        self.transcript.redact(set(), {user})
        if self._violations.pop(user, None) is not None:
            self._kept_violations.drop(user)
        if self._bought.pop(user, None) is not None:
            self._kept_bought.drop(user)

    # --- Ask ----------------------------------------------------------------------------------------------------------
    @property
    def watched(self) -> bool:
        """Whether staff are there to see anything."""
        return bool(self._staff)

    def about(self, user: str, now: int, *, attendance: Attendance | None, gifted: bool) -> dict[str, Json]:
        """What is known of somebody."""
        watched_ms = 0 if attendance is None else attendance.watched_ms(user, now)
        new = watched_ms < NEW_HERE_MS and not self.transcript.said_by(user)
        told: dict[str, Json] = {
            "new": new,
            "watched_s": watched_ms // 1000,
            "violations": self._violations.get(user, 0),
            "gifted": gifted,
        }
        if user in self._bought:
            told["orders"], told["bought"] = self._bought[user]
        return told

    def mentions(self, user: str) -> bool:
        """Whether anything is known of this user here."""
        noted = user in self._violations or user in self._bought or bool(self.transcript.said_by(user))
        noted = noted or self.questions.mentions(user)
        return noted or any(report["user"] == user for report in self.reports.listed())

    def restore(self, violations: dict[str, int], bought: dict[str, Json]) -> None:
        """Go on where a former owner stopped (`reports` is restored by itself)."""
        self._violations = dict(violations)
        self._kept_violations = Kept(violations)
        self._bought = {user: (n, list(skus)) for user, (n, skus) in bought.items()}
        self._kept_bought = Kept(bought)

    # --- Drain --------------------------------------------------------------------------------------------------------
    def drain(self, chat: Chat | None, room: str) -> ForStaff | None:
        """What staff are to be told of this tick; `users` of it is to be filled in by who knows them."""
        left_out = chat.drain_left_out() if chat is not None else []
        if not self._staff:
            return None
        for comment, verdict in left_out:
            if verdict in ASKED_ALTHOUGH:
                self._hear(comment, "")
        held = 0 if chat is None else len(chat.held)
        news = self.reports.drain_news()
        if not (left_out or news) and held == self._seen_held:
            return None
        self._seen_held = held
        told = {
            "t": "desk",
            "room": room,
            "comments": [_told(*one) for one in left_out[:COMMENTS_MAX]],
            "held": held,
            "reports": news,
        }
        return ForStaff(tuple(self._staff), told)

    def drain_private(self) -> dict[str, Json]:
        """The patch for the next commit."""
        patch: dict[str, Json] = {}
        if violations := self._kept_violations.drain():
            patch["violations"] = violations
        if bought := self._kept_bought.drain():
            patch["bought"] = bought
        if reports := self.reports.kept.drain():
            patch["reports"] = reports
        return patch

    def private(self) -> dict[str, Json]:
        """What the next owner needs, as of the last commit."""
        kept = {"violations": self._kept_violations.told, "bought": self._kept_bought.told, "reports": self.reports.kept.told}
        return {name: dict(book) for name, book in kept.items() if book}

    def fade(self, now: int) -> bool:
        """Forget what is due; True if nothing is left that could matter."""
        gone = [self.transcript.fade(now), self.reports.fade(now), self.questions.fade(now)]
        changed = self._kept_violations.changed or self._kept_bought.changed
        return all(gone) and not (self._staff or self._violations or self._bought or changed)

    def take(self, frame: Frame) -> None:
        """A frame was made."""
        if frame.comments or frame.merges or frame.redact is not None:
            self.transcript.take(frame)
        if self._staff:
            for comment in frame.comments:
                if not comment.redacted:
                    self._hear(comment, comment.id)

    def _hear(self, comment: Comment, shown_as: str) -> None:
        if comment.u.role == "viewer":
            self.questions.hear(comment.text, comment.u.id, shown_as, comment.at)

    def find(self, reported: Reported) -> Comment | None:
        """The comment that a report names."""
        return None if reported.comment is None else self.transcript.get(reported.comment)


def _told(comment: Comment, verdict: str) -> dict[str, Json]:
    """A comment that viewers did not get; without an id where it never had one."""
    told: dict[str, Json] = {**msgspec.to_builtins(comment), "verdict": verdict}
    if not comment.id:
        del told["id"]
    return told
