"""Whether a comment may be said: the checks that it passes on arrival, in an order that is a promise.

Live → form → mute and ban → mode → slow mode → pace → same text → word filter. Refused for its form a comment uses up
nothing; every other new one counts for the pace, and only an accepted one for slow mode and same text.
Staff and services skip everything from mode to same text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias

from msgspec import Struct

from livecast.core.chat.forms import check_meta, style_of
from livecast.core.chat.lanes import STAFF, TIPPED, lane_of
from livecast.core.control import Control
from livecast.core.errors import InvalidChange, Refusal
from livecast.core.events import Json, Origin, Person, Said, Verdict
from livecast.core.filter.words import BLOCK, HOLD, Words
from livecast.core.frames import Comment, Quote, Remembered
from livecast.core.limits import Fading, Pace
from livecast.core.rules import Policy, RoomRules, Styles
from livecast.core.staff.sanctions import Sanctions, Wide
from livecast.core.text import clean, merge_key, read

QUOTE_CHARS: Final = 60
"""What a reply shows of the comment it answers: one line on a telephone."""
QUOTABLE_MAX: Final = 300
"""Comments that can still be replied to (up to twice as many): what a chat list holds."""
QUOTABLE_KEEP_MS: Final = 3_600_000
"""In a quiet room an hour-old comment can still be answered."""
RAW_CHARS_MAX: Final = 4096
"""Text is not even cleaned above this; messages are no longer anyway."""
SLOW_MODE_MAX_MS: Final = 120_000
"""The longest slow mode a policy can ask for: so long its times are kept."""

ROOM_NOT_LIVE: Final = Refusal("room_not_live")
TOO_LARGE: Final = Refusal("too_large", field="text")
EMPTY: Final = Refusal("invalid", "Nothing is left of this text.", field="text")
UNKNOWN_REPLY: Final = Refusal("invalid", "The comment replied to is not known any more.", field="reply_to")
FORBIDDEN: Final = Refusal("forbidden")
REPEATED: Final = Refusal("repeated_text")
BLOCKED: Final = Refusal("blocked")


class Pending(Struct):
    """An accepted comment until the flush that decides it. `key` is None where it is never merged."""

    said: Said
    user: str
    at: int
    text: str
    key: str | None
    lane: int
    known: dict[str, Remembered | Pending]
    style: dict[str, Json] | None = None
    quote: Quote | None = None
    held: bool = False
    gone: bool = False
    """A redaction of its author came while it waited."""
    also: list[Origin] | None = None
    """Others who sent the same cid meanwhile, over other connections."""
    answer: Verdict | None = None
    group: list[Pending] | None = None
    """Set on the first of a group said by several people within this tick: all of them."""


#: What is known of one user's cids: the answer, or the comment that still waits for it.
Known: TypeAlias = dict[str, Remembered | Pending]


class Screening:
    """What a room remembers of users and comments in order to judge the next one."""

    __slots__ = ("_pace", "_quotable", "_rules", "_slow", "_texts", "sanctions", "slowed", "tipped", "wide", "words")

    def __init__(self, rules: RoomRules) -> None:
        self._rules = rules
        self._pace = Pace(rules.gcra_burst, rules.gcra_interval_ms)
        self._texts: Fading[tuple[str, str], int] = Fading(rules.repeated_text_ms)
        self._slow: Fading[str, int] = Fading(SLOW_MODE_MAX_MS)
        self._quotable: Fading[str, Comment] = Fading(QUOTABLE_KEEP_MS, QUOTABLE_MAX)
        self.slowed: dict[str, int] = {}
        """Slow-mode times since the last flush, to be made durable with the next."""
        self.sanctions: Sanctions | None = None
        """Who is muted or banned, once anybody is."""
        self.wide: Wide | None = None
        """Who is muted or banned beyond this room."""
        self.words: Words | None = None
        """The word filter, if there is one."""
        self.tipped: Mapping[str, None] | None = None
        """Who gave in this broadcast, once anybody did."""

    def judge(  # noqa: PLR0911 - a chain of checks, each with its own refusal: their order is the promise
        self, said: Said, now: int, control: Control, known: Known
    ) -> Pending | Refusal:
        """The comment on its way to the next flush, or why not. `known` is where its answer will be put."""
        if not control.live:
            return ROOM_NOT_LIVE
        policy = control.policy
        if len(said.text) > RAW_CHARS_MAX:
            return TOO_LARGE
        text, key = read(said.text)
        if not text:
            return EMPTY
        if len(text) > policy.comment_max_chars:
            return TOO_LARGE
        person = said.person
        user = person.id
        lane = lane_of(person, self._rules.lane_level_min) if self.tipped is None else self.lane(person)
        pending = Pending(said, user, now, text, key if lane != STAFF else None, lane, known)
        if said.reply_to is not None or said.mentions or said.style is not None or said.meta is not None:  # noqa: SIM102 - rare
            if (wrong := self._carry(pending, policy.styles)) is not None:
                return wrong
        if (muted := self.muted(user, now)) is not None:
            return muted
        saying = (user, key)
        if lane != STAFF and (refusal := self._too_much(saying, person.level, now, policy)) is not None:
            return refusal
        if self.words is not None and not self.reads(pending):
            return BLOCKED
        if lane != STAFF:
            self._texts.put(saying, now, now)
            if policy.slow_mode_s:
                self._slow.put(user, now, now)
                self.slowed[user] = now
        return pending

    def lane(self, person: Person) -> int:
        """The lane in which this person's comments ride now."""
        lane = lane_of(person, self._rules.lane_level_min)
        return TIPPED if lane > TIPPED and self.tipped is not None and person.id in self.tipped else lane

    def muted(self, user: str, now: int) -> Refusal | None:
        """Why this user may not speak at all, if so: muted or banned, here or beyond."""
        if self.sanctions is not None and (muted := self.sanctions.refusal(user, now)) is not None:
            return muted
        return None if self.wide is None else self.wide.refusal(user, now)

    def judge_paid(self, person: Person, said: str, now: int) -> tuple[str, bool] | None:
        """What of a gift's text may be shown, and whether a moderator decides; None: the gift shows without it.

        It is paid for already, so there is nothing to refuse; what a comment may not say it may not either.
        """
        text = clean(said)
        if not text or self.muted(person.id, now) is not None:
            return None
        if self.words is None:
            return text, False
        found, text = self.words.judge(text)
        return None if found == BLOCK else (text, found == HOLD)

    def _carry(self, pending: Pending, styles: Styles) -> Refusal | None:
        """Check what a comment carries besides its text, and put it into `pending`. Replies and mentions are never merged."""
        said = pending.said
        if said.reply_to is not None:
            quoted = self._quotable.get(said.reply_to)
            if quoted is None:
                return UNKNOWN_REPLY
            pending.quote = Quote(quoted.id, quoted.u, quoted.text[:QUOTE_CHARS])
            pending.key = None
        if said.mentions:
            pending.key = None
        if said.style is not None or said.meta is not None:
            try:
                pending.style = style_of(said.style, styles)
                check_meta(said.meta)
            except InvalidChange as wrong:
                return wrong.refusal
        return None

    def _too_much(self, saying: tuple[str, str], level: int, now: int, policy: Policy) -> Refusal | None:
        """Mode, slow mode, pace, same text. `saying` is who says what."""
        user = saying[0]
        if policy.mode != "all" and (policy.mode == "staff" or level < policy.min_level):
            return FORBIDDEN
        if policy.slow_mode_s:
            last = self._slow.get(user)
            if last is not None and (wait := last + policy.slow_mode_s * 1000 - now) > 0:
                return Refusal("slow_mode", retry_after_ms=wait)
        if wait := self._pace.wait_ms(user, now):
            return Refusal("rate_limited", retry_after_ms=wait)
        said_at = self._texts.get(saying)
        if said_at is not None and now - said_at < self._rules.repeated_text_ms:
            return REPEATED
        return None

    def reads(self, pending: Pending) -> bool:
        """Let the word filter read the text: False to block it; else it may be masked, or held for a moderator."""
        if self.words is None:
            return True
        found, text = self.words.judge(pending.text)
        pending.held = found == HOLD
        if text is not pending.text:
            pending.text = text
            pending.key = pending.key and merge_key(text)
        return found != BLOCK

    def shown(self, comment: Comment, now: int) -> None:
        """This one can be replied to from now on."""
        self._quotable.put(comment.id, comment, now)

    def redact(self, ids: set[str], users: set[str]) -> None:
        """These comments, and everything of these users, cannot be quoted any more."""
        for comment_id, comment in self._quotable.items():
            if comment_id in ids or comment.u.id in users:
                self._quotable.drop(comment_id)

    def new_broadcast(self) -> None:
        """The screens are empty again: there is nothing to reply to."""
        self._quotable = Fading(QUOTABLE_KEEP_MS, QUOTABLE_MAX)

    def slow_times(self, now: int) -> dict[str, int]:
        """When each user last used up slow-mode time, as far as it can still matter."""
        return {user: at for user, at in self._slow.items() if now - at < SLOW_MODE_MAX_MS}

    def restore(self, slow: dict[str, int], recent: Iterable[Comment], now: int) -> None:
        """Go on where a former owner stopped."""
        for user, at in slow.items():
            self._slow.put(user, at, now)
        for comment in recent:
            self._quotable.put(comment.id, comment, now)

    def fade(self, now: int) -> bool:
        """Forget what is due; True if nothing is left that could matter."""
        gone = [m.fade(now) for m in (self._pace, self._texts, self._slow, self._quotable)]
        return all(gone) and not self.slowed
