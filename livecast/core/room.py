"""Room: one room as a value. Feed it events, ask when it wants to speak, drain it.

Rules for whoever edits this file:
- Time comes in as `now` (Unix ms, never going back) and effects go out as values; the same calls give the same bytes.
- Nothing is told before it is durable: what is not a refusal is answered with a flush, and so is the repeat of an answer.
- Everything kept is bounded by count or by time; an idle room has no timer and keeps next to nothing.
- Within an epoch `likes.total` is what `welcome` said plus the deltas, so a new broadcast begins a new epoch.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec
from msgspec import UNSET

from livecast.core.commands import Redactions
from livecast.core.comments import ROOM_NOT_LIVE, Chat, Decided, Replies
from livecast.core.control import Control
from livecast.core.desk import Desk, answer
from livecast.core.errors import InvalidChange, Refusal
from livecast.core.events import (
    Answer,
    Ask,
    Command,
    Comment,
    Custom,
    Done,
    EdgeRefused,
    Event,
    Flush,
    Frame,
    Json,
    Liked,
    Likes,
    Notice,
    Person,
    Presence,
    Redact,
    Remembered,
    Said,
    Snapshot,
    Viewers,
)
from livecast.core.likes import Hearts
from livecast.core.moderation import Words
from livecast.core.presence import Audience
from livecast.core.rules import Policy, RoomRules
from livecast.core.sanctions import Sanctions
from livecast.core.state import advance_recent, policy_dict, whole

NEVER: Final = -(10**15)
"""A moment before all others, for what has not happened yet."""
NOBODY_WATCHES: Final = Viewers(0, 0, 0)
NOTHING_SAID: Final = Decided()
NO_SANCTIONS: Final = Sanctions()
UNAUTHORIZED: Final = Refusal("unauthorized")


class Room:
    """A room. Made by `create` or `restore`; owned by one driver, which commits each flush before anybody hears of it."""

    __slots__ = (
        "_audience",
        "_before_start",
        "_chat",
        "_comment_ids",
        "_control",
        "_desk",
        "_fresh",
        "_hearts",
        "_last_flush_at",
        "_renewed",
        "_replies",
        "_rules",
        "_stretch_ms",
        "_tally_at",
        "_told_viewers",
        "_untold_since",
        "_users_total",
        "_viewers_at",
        "_viewers_since",
        "_words",
        "epoch",
        "recent",
        "seq",
    )

    def __init__(self, room: str, epoch: str, rules: RoomRules, now: int) -> None:
        self.epoch = epoch
        self.seq = 0
        self.recent: tuple[Comment, ...] = ()
        self._rules = rules
        self._control = Control(room, rules, now)
        self._desk: Desk | None = None
        self._chat: Chat | None = None
        self._hearts: Hearts | None = None
        self._audience: Audience | None = None
        self._words: Words | None = None
        self._replies: Replies = []
        self._fresh = True  # nothing was ever flushed: nobody outside can know of this room
        self._before_start = (0, 0)  # comments and likes that wait and came before the new broadcast began
        self._renewed = False  # the last flush told of a new broadcast: the next epoch counts from zero
        self._comment_ids = 0  # comments so far, while `_chat` is not there to count them
        self._users_total = 0
        self._told_viewers = NOBODY_WATCHES
        self._stretch_ms = 0
        self._untold_since: int | None = None  # something waits for the next tick since then
        self._viewers_since: int | None = None  # ... for the next count of viewers
        self._last_flush_at = NEVER
        self._tally_at = NEVER
        self._viewers_at = NEVER

    @classmethod
    def create(cls, room: str, epoch: str, rules: RoomRules, now: int) -> Room:
        """A room that never was. Its first flush makes it known."""
        return cls(room, epoch, rules, now)

    @classmethod
    def restore(  # noqa: PLR0917 - as `create`, and what was stored before the time
        cls, room: str, epoch: str, rules: RoomRules, snapshot: Snapshot, remembered: Iterable[Remembered], now: int
    ) -> Room:
        """A room as its former owner left it (see `recovery.recover`), in a new epoch. Limits per user start afresh."""
        self = cls(room, epoch, rules, now)
        self._fresh = False
        private = snapshot.private
        control = self._control
        control.restore(snapshot.state, snapshot.policy, private, now)
        self.recent = tuple(snapshot.recent)[-rules.recent_max :] if rules.recent_max else ()
        if control.totals_of != control.broadcast:  # it died between telling of the new broadcast and counting for it
            control.zero_totals()
            self.recent = ()
        self._told_viewers = Viewers(**whole(control.told)["viewers"])
        self._users_total = self._told_viewers.total
        if private.get("mutes") or private.get("bans"):
            self._the_desk().sanctions.restore(private)
        answers = list(remembered)
        if private.get("slow") or self.recent or any(a.kind == "comment" for a in answers):
            self._the_chat(now).restore(answers, private.get("slow", {}), self.recent, now)
        if any(a.kind == "like" for a in answers):
            self._the_hearts().restore(answers, now)
        return self

    # --- Feed ---------------------------------------------------------------------------------------------------------
    def receive(self, event: Event, now: int) -> Answer | None:
        """Take an event in. The answer, or None where it comes with a later flush (or none is due at all)."""
        kind = type(event)
        if kind is Said:
            return self._say(event, now)  # type: ignore[arg-type] # its exact type was asked for, which is faster
        if kind is Liked:
            return self._like(event, now)  # type: ignore[arg-type] # ... likewise
        match event:
            case Presence():
                self._report(event, now)
            case Command():
                return self._command(event, now)
            case Ask():
                return self._answer(event, now)
            case EdgeRefused():
                self._the_chat(now).refused_elsewhere(event.codes, now)
        return None

    def load_words(self, words: Words | None) -> None:
        """From now on comments pass this filter."""
        self._words = words
        if self._chat is not None:
            self._chat.words = words

    def note_users_total(self, total: int) -> None:
        """What the log counted: distinct users of this broadcast so far."""
        if total > self._users_total:
            self._users_total = total
            if self._viewers_since is None:
                self._viewers_since = self._last_flush_at

    def tick_stretch(self, ms: int) -> None:
        """The process is overloaded: ticks last so much longer than the policy says, up to `tick_max_ms` in all. 0: no more."""
        self._stretch_ms = ms

    def tidy(self, now: int) -> None:
        """Let go of what time has made pointless. Traffic does most of that by itself; this is for rooms that fell quiet."""
        if self._chat is not None and self._chat.fade(now):
            self._comment_ids = self._chat.ids
            self._chat = None
        if self._hearts is not None and self._hearts.fade(now):
            self._hearts = None
        if self._desk is not None and self._desk.fade(now):
            self._desk = None
            if self._chat is not None:
                self._chat.sanctions = None

    # --- Ask ----------------------------------------------------------------------------------------------------------
    def next_flush_at(self) -> int | None:
        """When `flush` has something to do, Unix ms (in the past: at once), or None: idle until something is received."""
        due = self._control.due_at()
        if self._untold_since is not None:
            due = _sooner(due, max(self._untold_since, self._last_flush_at + self._tick_ms()))
        chat, audience, alone_ms = self._chat, self._audience, self._rules.tally_alone_ms
        if chat is not None and chat.untold_since is not None:
            due = _sooner(due, max(chat.untold_since, self._tally_at + alone_ms))
        if audience is not None and audience.soonest is not None:
            due = _sooner(due, audience.soonest)
        if self._viewers_since is not None:
            due = _sooner(due, max(self._viewers_since, self._viewers_at + alone_ms))
        return due

    @property
    def policy(self) -> Policy:
        """The policy as it is."""
        return self._control.policy

    @property
    def broadcast(self) -> str:
        """The id of the broadcast, empty before the first."""
        return self._control.broadcast

    @property
    def watched(self) -> bool:
        """Whether any node has viewers."""
        return self._audience is not None and self._audience.watched

    @property
    def state(self) -> dict[str, Json]:
        """The public state as of the last flush. Its values are shared: read only."""
        return whole(self._control.told)

    def summary(self) -> dict[str, Json]:
        """The room's line in the list of rooms."""
        told = self._control.tell()
        line = {"room": told["id"], **{k: told[k] for k in ("title", "merchant", "status", "broadcast")}}
        return line if told["started_at"] is None else {**line, "started_at": told["started_at"]}

    def snapshot(self) -> Snapshot:
        """Everything a new owner or a joining node needs, as of the last flush."""
        private = self._control.private()
        if self._desk is not None:
            private |= self._desk.sanctions.private(self._last_flush_at)
        if self._chat is not None and (slow := self._chat.slow_times(self._last_flush_at)):
            private["slow"] = slow
        return Snapshot(self.epoch, self.seq, self.state, policy_dict(self._control.told_policy), self.recent, private)

    # --- Drain --------------------------------------------------------------------------------------------------------
    def flush(self, now: int) -> Flush | None:
        """What there is to say and to store at `now`; None if nothing. Everything of it belongs into one commit."""
        self._pass_time(now)
        control, desk = self._control, self._desk
        renew = control.renewing and not self._fresh
        replies, self._replies, self._untold_since = self._replies, [], None
        frame = self._frame(now, renew, replies)
        private = control.drain_private()
        notices: list[tuple[str, Notice]] = []
        remembered: list[Remembered] = []
        if desk is not None:
            private |= desk.drain_private()
            notices, desk.notices = desk.notices, []
        if self._chat is not None:
            remembered, self._chat.remember = self._chat.remember, []
            if self._chat.slowed:
                private["slow"], self._chat.slowed = self._chat.slowed, {}
        if self._hearts is not None and self._hearts.remember:
            remembered += self._hearts.remember
            self._hearts.remember = []
        new_users = [] if self._audience is None or not control.broadcast else self._audience.drain_users()
        self._fresh, self._renewed = False, renew
        if renew:
            control.renewing = False
            if (self._chat is not None and self._chat.waiting) or (self._hearts is not None and self._hearts.delta):
                self._untold_since = now  # what came after the start is told in the epoch to come
        if frame is None and not (replies or private or remembered or notices or new_users or renew):
            return None
        self._last_flush_at = now
        return Flush(frame, replies, private, remembered, notices, new_users, renew)

    def begin_epoch(self, epoch: str, now: int) -> Snapshot:
        """A new epoch: frames count from 1 again, and if a new broadcast began, so do its totals."""
        self.epoch = epoch
        self.seq = 0
        if self._renewed:
            self._renewed = False
            self._control.zero_totals()
            self._users_total = 0
            self._told_viewers = msgspec.structs.replace(self._told_viewers, total=0)
            self.recent = ()
            if self._chat is not None:
                self._chat.new_broadcast()
            self._last_flush_at = now
        return self.snapshot()

    def _frame(self, now: int, renew: bool, replies: Replies) -> Frame | None:
        seq = self.seq + 1
        chat, desk, control = self._chat, self._desk, self._control
        only = self._before_start if renew else (None, None)
        decided = NOTHING_SAID if chat is None else chat.decide(now, self.epoch, seq, replies, only[0])
        likes = self._likes(only[1])
        state = control.drain_state()
        if self._fresh:  # whoever comes gets it with the first snapshot
            state = {}
            control.renewing = False
            control.totals_of = control.broadcast
        viewers, activity = self._viewers(now)
        events: tuple[Custom, ...] = ()
        redact: Redact | None = None
        if desk is not None:
            events, desk.events = tuple(desk.events), []
            redact = desk.drain_redact()
        said = decided.comments or decided.merges or likes or state or viewers or activity or events or redact
        tally = None
        if chat is not None and (said or now >= self._tally_at + self._rules.tally_alone_ms):
            tally = chat.drain_tally()
        if not said and tally is None:
            return None
        if tally is not None:
            self._tally_at = now
        frame = Frame(
            epoch=self.epoch,
            seq=seq,
            ts=now,
            comments=decided.comments,
            merges=decided.merges,
            likes=likes,
            viewers=viewers,
            activity=activity,
            events=events,
            state=state or UNSET,
            redact=redact,
            tally=tally,
        )
        self.seq = seq
        self.recent = advance_recent(self.recent, frame, self._rules.recent_max)
        return frame

    def _likes(self, only: int | None) -> Likes | None:
        hearts, control = self._hearts, self._control
        if hearts is None or not hearts.delta:
            return None
        delta = hearts.delta if only is None else only
        hearts.delta -= delta
        if not delta:
            return None
        likes = Likes(delta, control.told.get("likes", 0) + delta)
        control.told_in_frame("likes", likes.total)
        return likes

    def _viewers(self, now: int) -> tuple[Viewers | None, dict[str, Json] | None]:
        """The count of viewers and who came in, at most so often."""
        if self._viewers_since is None or now < self._viewers_at + self._rules.tally_alone_ms:
            return None, None
        self._viewers_since = None
        count = self._count()
        changed = count != self._told_viewers
        joins = None if self._audience is None else self._audience.drain_joins()
        if changed:
            self._told_viewers = count
            self._control.told_in_frame("viewers", msgspec.to_builtins(count))
        if changed or joins is not None:
            self._viewers_at = now
        return count if changed else None, None if joins is None else {"joins": joins}

    # --- Private ------------------------------------------------------------------------------------------------------
    def _say(self, said: Said, now: int) -> Answer | None:
        chat = self._chat or self._the_chat(now)
        refusal = chat.say(said, now, self._control, self._replies)
        if refusal is None and self._untold_since is None:
            self._untold_since = now
        return refusal

    def _like(self, liked: Liked, now: int) -> Answer | None:
        hearts = self._hearts or self._the_hearts()
        refusal = self._against_liking(liked.person, now)
        if liked.cid is None:
            if refusal is None and hearts.tap(liked.person.id, liked.n, now) and self._untold_since is None:
                self._untold_since = now
            return None
        answer = hearts.like(liked, now, refusal, self._replies)
        if answer is None and self._untold_since is None:
            self._untold_since = now
        return answer

    def _against_liking(self, person: Person, now: int) -> Refusal | None:
        if not self._control.live:
            return ROOM_NOT_LIVE
        if self._desk is not None and (muted := self._desk.sanctions.refusal(person.id, now)) is not None:
            return muted
        if person.anonymous and self._control.policy.anonymous != "like":
            return UNAUTHORIZED
        return None

    def _report(self, presence: Presence, now: int) -> None:
        audience = self._audience
        if audience is None:
            audience = self._audience = Audience()
        audience.report(presence, now)
        if self._viewers_since is None and (presence.joined or self._count() != self._told_viewers):
            self._viewers_since = now

    def _count(self) -> Viewers:
        return Viewers(0, 0, self._users_total) if self._audience is None else self._audience.count(self._users_total)

    def _command(self, command: Command, now: int) -> Answer | None:
        control = self._control
        if command.if_rev is not None and command.if_rev != control.rev:
            return Refusal("precondition_failed")
        exists = control.rev > 0 or not self._fresh
        if command.name == "ensure" and exists and not self._fresh:
            return Done(control.tell())
        created = command.name in ("put_room", "ensure") and not exists
        began_at = control.last_began_at
        try:
            value = (
                control.tell()
                if command.name == "ensure" and exists
                else self._the_desk().carry_out(command, control, self.epoch, now)
            )
        except InvalidChange as wrong:
            return wrong.refusal
        if control.last_began_at != began_at:
            self._hold_back()
        self._follow(command)
        self._replies.append((command.origin, command.cid, Done(value, created)))
        if self._untold_since is None:
            self._untold_since = now
        return None

    def _follow(self, command: Command) -> None:
        """Let the other parts know of a change that concerns them."""
        if self._chat is not None:
            self._chat.policy_changed(self.policy)
            if isinstance(command.args, Redactions):
                self._chat.redact(set(command.args.comments), set(command.args.users))
        if self._hearts is not None:
            self._hearts.policy_changed(self.policy)

    def _answer(self, ask: Ask, now: int) -> Answer:
        if ask.what == "room":
            return Done(self._control.tell())
        if ask.what == "held":
            return Done({"data": [] if self._chat is None else self._chat.held(), "next_cursor": None})
        return answer(ask, NO_SANCTIONS if self._desk is None else self._desk.sanctions, now)

    def _pass_time(self, now: int) -> None:
        control = self._control
        due = control.due_at()
        if due is not None and now >= due:
            began_at = control.last_began_at
            control.pass_time(now)
            if control.last_began_at != began_at:
                self._hold_back()
        if self._audience is not None and self._audience.pass_time(now) and self._viewers_since is None:
            self._viewers_since = now

    def _hold_back(self) -> None:
        """A broadcast begins: note what still belongs to the one before it; what comes now waits for the epoch to come."""
        self._before_start = (0 if self._chat is None else self._chat.waiting, 0 if self._hearts is None else self._hearts.delta)

    def _tick_ms(self) -> int:
        tick_ms = self._control.policy.tick_ms
        return min(tick_ms + self._stretch_ms, max(self._rules.tick_max_ms, tick_ms))

    def _the_chat(self, now: int) -> Chat:
        if self._chat is None:
            self._chat = Chat(self._rules, self._control.policy, f"{self.epoch}{self._comment_ids}", now, self._comment_ids)
            self._chat.words = self._words
            self._chat.sanctions = None if self._desk is None else self._desk.sanctions
        return self._chat

    def _the_hearts(self) -> Hearts:
        if self._hearts is None:
            self._hearts = Hearts(self._rules, self._control.policy)
        return self._hearts

    def _the_desk(self) -> Desk:
        if self._desk is None:
            self._desk = Desk(self._rules)
            if self._chat is not None:
                self._chat.sanctions = self._desk.sanctions
        return self._desk


def _sooner(a: int | None, b: int) -> int:
    return b if a is None or b < a else a
