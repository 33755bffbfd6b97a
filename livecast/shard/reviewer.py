"""Asks somebody outside what becomes of comments: over HTTP, signed, within a deadline, and not at all while nobody is there.

No room waits for this: it asks, goes on, and hears the answer as an event. What cannot be asked or is not answered well is told at
once as `none`, so that the room's policy decides without waiting for the deadline.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal, Protocol

import msgspec
from msgspec import Meta, Struct
from standardwebhooks import Webhook

from livecast.core.chat.review import ReviewAsked
from livecast.core.events import Reviewed
from livecast.core.tools.globs import glob_matches
from livecast.facts import CommentJudged, Observer, Trouble
from livecast.ports import Clock
from livecast.shard.background import Background

FAILURES_MAX: Final = 10
"""After so many failures in a row nobody is asked for a while: two seconds' worth for one slow answerer."""
OPEN_MS: Final = 5_000
"""... for so long; then one comment is tried. Long enough to let an overloaded answerer breathe, short enough to notice it back."""
TEXT_CHARS_MAX: Final = 4_096
"""Of an edited text; what is longer is no answer."""


class ReviewRules(Struct, frozen=True, forbid_unknown_fields=True):
    """Who judges comments outside, before they are shown. What becomes of one that is not judged in time says `[room] review`."""

    url: str = ""
    """Where each comment is posted as JSON. The answer is `{"action": "allow" | "deny" | "hold" | "edit", "text"?}`. Empty: nobody
    judges."""
    secret: str = ""
    """`whsec_…`, of 24 to 64 random bytes in base64: requests are signed with it as Standard Webhooks are."""
    rooms: tuple[str, ...] = ("*",)
    """Globs of the rooms whose comments are judged."""
    deadline_ms: Annotated[int, Meta(ge=10, le=1_500)] = 200
    """An answer may take so long; a comment waits no longer. Within a tick or two nobody notices."""
    in_flight_max: Annotated[int, Meta(ge=1, le=10_000)] = 256
    """Comments asked about at the same time by one process; beyond it the policy decides at once."""


class Judge(Protocol):
    """The way out."""

    async def ask(self, headers: Mapping[str, str], body: bytes, timeout_s: float) -> bytes:
        """POST it once; the answer's body. Raises `JudgeFailed`, within the time."""


class JudgeFailed(Exception):  # noqa: N818 - says what happened
    """No answer, or none that is one; the message says why."""


class ReviewAnswer(Struct, frozen=True):
    """What the answerer says. An `edit` says to what."""

    action: Literal["allow", "deny", "hold", "edit"]
    text: Annotated[str, Meta(max_length=TEXT_CHARS_MAX)] | None = None

    def __post_init__(self) -> None:
        """An edit to nothing at all is a slip."""
        if self.action == "edit" and self.text is None:
            raise ValueError("an edit without a text")


_answer = msgspec.json.Decoder(ReviewAnswer)
Tell = Callable[[Reviewed], None]


class Reviewer:
    """Asks about comments for all rooms of one process."""

    def __init__(self, *, rules: ReviewRules, judge: Judge, clock: Clock, observer: Observer) -> None:
        self.rules = rules
        self._judge = judge
        self._clock = clock
        self._observer = observer
        self._signer = Webhook(rules.secret) if rules.secret else None
        self._in_flight = 0
        self._failures = 0
        self._closed_until = 0
        self._background = Background(observer, "asking about a comment failed", "[review] url")

    def covers(self, room: str) -> bool:
        """Whether comments of this room are judged."""
        return any(glob_matches(glob, room) for glob in self.rules.rooms)

    def ask(self, about: dict[str, Any], asked: Sequence[ReviewAsked], tell: Tell) -> None:
        """Ask about these comments of a room (`about`: its id as `room`, `epoch`, `broadcast`, `merchant`); each answer is told
        once, in a later turn.
        """
        loop = asyncio.get_running_loop()
        for one in asked:
            if self._in_flight >= self.rules.in_flight_max or not self._may_ask():
                self._observer.observe(CommentJudged("skipped", 0))
                loop.call_soon(tell, Reviewed(one.ticket, "none"))
                continue
            self._in_flight += 1
            self._background.spawn(self._ask(about, one, tell), "review")

    def stop(self) -> None:
        """Ask nobody any more."""
        self._background.stop()

    # --- Private ------------------------------------------------------------------------------------------------------
    def _may_ask(self) -> bool:
        """Whether there is hope: after too many failures only one comment is tried now and then."""
        if self._failures < FAILURES_MAX:
            return True
        now = self._clock()
        if now < self._closed_until:
            return False
        self._closed_until = now + OPEN_MS
        return True

    async def _ask(self, about: dict[str, Any], one: ReviewAsked, tell: Tell) -> None:
        began = self._clock()
        try:
            body = _body(about, one)
            headers = self._headers(about, one, began, body)
            answer = _answer.decode(await self._judge.ask(headers, body, (one.due_at - began) / 1000))
        except (JudgeFailed, msgspec.MsgspecError, UnicodeDecodeError) as fault:
            self._failed(str(fault) if isinstance(fault, JudgeFailed) else "the answer is not what it should be")
            outcome, told = "failed", Reviewed(one.ticket, "none")
        else:
            self._failures = 0
            outcome, told = answer.action, Reviewed(one.ticket, answer.action, answer.text or "")
        finally:
            self._in_flight -= 1
        self._observer.observe(CommentJudged(outcome, self._clock() - began))
        tell(told)

    def _failed(self, why: str) -> None:
        self._failures += 1
        if self._failures >= FAILURES_MAX:
            if self._failures == FAILURES_MAX:
                advice = f"comments go as [room] review says; asking again every {OPEN_MS // 1000} s ({why})"
                self._observer.observe(Trouble("comments are not judged", "[review] url", advice, "error"))
            self._closed_until = self._clock() + OPEN_MS

    def _headers(self, about: dict[str, Any], one: ReviewAsked, now: int, body: bytes) -> dict[str, str]:
        """As Standard Webhooks 1.0.0 names them."""
        id_ = f"review_{about['room']}_{about['epoch']}_{one.ticket}"
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "livecast",
            "webhook-id": id_,
            "webhook-timestamp": str(now // 1000),
        }
        if self._signer is not None:
            headers["webhook-signature"] = self._signer.sign(id_, datetime.fromtimestamp(now // 1000, UTC), body.decode())
        return headers


def _body(about: dict[str, Any], one: ReviewAsked) -> bytes:
    user = {"id": one.user, "name": one.name, "role": one.role, "level": one.level}
    comment = {"cid": one.cid, "text": one.text, "at": one.at, "u": user}
    said = {"type": "comment.review", "timestamp": one.at, **about, "deadline_at": one.due_at, "comment": comment}
    return msgspec.json.encode(said)
