"""Room: one room as a value. Feed it events, ask when it wants to speak, drain it.

Rules for whoever edits this file:
- Time comes in as `now` (Unix ms, never going back) and effects go out as values; the same calls give the same bytes.
- Nothing is told before it is durable: what is not a refusal is answered with a flush, and so is the repeat of an answer.
- Everything kept is bounded by count or by time; an idle room has no timer and no parts but its settings (see `parts.py`).
- Within an epoch `likes.total` is what `welcome` said plus the deltas, so a new broadcast begins a new epoch.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from livecast.core.chat.comments import NEVER, Replies
from livecast.core.chat.review import ReviewAsked
from livecast.core.chat.screening import ROOM_NOT_LIVE
from livecast.core.control import CHANGES, Control
from livecast.core.errors import InvalidChange, Refusal
from livecast.core.events import (
    Answer,
    Ask,
    BoardChanged,
    Command,
    Done,
    Drawn,
    DropChanged,
    DropsDone,
    EdgeRefused,
    Event,
    GiftReversed,
    GiftShown,
    Json,
    LedgerEvent,
    Liked,
    Presence,
    Reported,
    Reviewed,
    Said,
    Sold,
    StockChanged,
    Tapped,
    Verdict,
    Voted,
)
from livecast.core.filter.words import Words
from livecast.core.frames import Comment, Flush, Frame, Remembered, Snapshot, StaffAct
from livecast.core.parts import NOTHING_WAITS, Parts
from livecast.core.policies import policy_dict
from livecast.core.rules import Policy, RoomRules
from livecast.core.show.ending import Ending
from livecast.core.staff.requests import act_of, answer, carry_out
from livecast.core.staff.sanctions import Wide
from livecast.core.state import DEFAULTS, advance_recent, whole
from livecast.core.telling import compose

UNAUTHORIZED: Final = Refusal("unauthorized")
VOTED: Final = Verdict("counted")


class Room:
    """A room. Made by `create` or `restore`; owned by one driver, which commits each flush before anybody hears of it."""

    __slots__ = (
        "_acts",
        "_before_start",
        "_control",
        "_ending",
        "_fresh",
        "_last_flush_at",
        "_parts",
        "_renewed",
        "_replies",
        "_rules",
        "_stretch_ms",
        "_untold_since",
        "_users_as",
        "epoch",
        "recent",
        "sells",
        "seq",
    )

    def __init__(self, room: str, epoch: str, rules: RoomRules, now: int) -> None:
        self.epoch = epoch
        self.seq = 0
        self.recent: tuple[Comment, ...] = ()
        self.sells = False
        """It may have drops: a broadcast ends only once somebody said `DropsDone`."""
        self._rules = rules
        self._control = Control(room, rules, now)
        self._parts = Parts(rules, self._control)
        self._replies: Replies = []
        self._acts: tuple[StaffAct, ...] = ()
        self._fresh = True  # nothing was ever flushed: nobody outside can know of this room
        self._before_start = NOTHING_WAITS  # comments and likes that wait and came before the new broadcast began
        self._renewed = False  # the last flush told of a new broadcast: the next epoch counts from zero
        self._users_as = self._control.policy.users  # under what names this epoch's frames show users
        self._stretch_ms = 0
        self._untold_since: int | None = None  # something waits for the next tick since then
        self._last_flush_at = NEVER
        self._ending: Ending | None = None

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
        private, control = snapshot.private, self._control
        control.restore(snapshot.state, snapshot.policy, private, now)
        self._ending = Ending.restore(control.ending, now)
        self._users_as = control.policy.users
        self.recent = tuple(snapshot.recent)[-rules.recent_max :] if rules.recent_max else ()
        if control.totals_of != control.broadcast:  # it died between telling of the new broadcast and counting for it
            control.zero_totals()
            self.recent = ()
        self._parts.restore(private, remembered, self.recent, epoch, now)
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
            case Voted() | Reported() | Command() | Ask():
                return self._answer(event, now)
            case Tapped():
                self._tap(event, now)
            case Reviewed():
                chat = self._parts.chat
                if chat is not None and chat.reviewed(event, now, self._control.policy, self._replies):
                    self._something_waits(now)
            case Presence():
                self._parts.report(event, now)
                if self._parts.staff_came:
                    self._something_waits(now)
            case EdgeRefused():
                self._parts.the_chat(self.epoch, now).refused_elsewhere(event.codes, now)
            case GiftShown() | GiftReversed() | BoardChanged() | DropChanged() | StockChanged() | Sold() | Drawn() | DropsDone():
                if self._hear(event, now):
                    self._something_waits(now)
        return None

    def load_rules(self, words: Words | None, wide: Wide | None) -> None:
        """What holds here beyond the room's own rules: a word filter, and mutes and bans of its merchant and of the platform."""
        self._parts.load_rules(words, wide)

    def have_reviewed(self, deadline_ms: int) -> None:
        """From now on comments are judged by somebody outside, who has so long for each: see `drain_reviews`."""
        self._parts.have_reviewed(deadline_ms)

    def drain_reviews(self) -> list[ReviewAsked]:
        """What somebody outside is to be asked; the answers come in as `Reviewed`."""
        chat = self._parts.chat
        return [] if chat is None or chat.reviews is None else chat.reviews.drain_asked()

    def remember(self, frames: Iterable[Frame]) -> None:
        """What the log still has of earlier frames, for staff who look something up. To be said right after `restore`."""
        for frame in frames:
            self._parts.the_backstage().take(frame)

    def note_users_total(self, total: int) -> None:
        """What the log counted: distinct users of this broadcast so far."""
        if total:
            self._parts.the_audience().note_total(total, self._last_flush_at)

    def note_catalogue(self, rev: int) -> None:
        """What viewers are told of the gifts there are (`gifts.catalogue_rev`). To be said before anybody hears of the room."""
        self._control.told_in_frame("gifts", _gifts(rev))

    def change_catalogue(self, rev: int, now: int) -> None:
        """There are other gifts now: viewers are told with the next frame."""
        self._control.show("gifts", _gifts(rev))
        if self._untold_since is None:
            self._untold_since = now

    def tick_stretch(self, ms: int) -> None:
        """The process is overloaded: ticks last so much longer than the policy says, up to `tick_max_ms` in all. 0: no more."""
        self._stretch_ms = ms

    def tidy(self, now: int) -> None:
        """Let go of what time has made pointless. Traffic does most of that by itself; this is for rooms that fell quiet."""
        self._parts.tidy(now)

    # --- Ask ----------------------------------------------------------------------------------------------------------
    def next_flush_at(self) -> int | None:
        """When `flush` has something to do, Unix ms (in the past: at once), or None: idle until something is received."""
        due = self._control.due_at()
        waits_since = self._untold_since
        if (trade := self._parts.trade) is not None:
            waits_since = _sooner(waits_since, trade.due_at())
        if self._ending is not None:
            due = _sooner(due, self._ending.due_at)
        if waits_since is not None:
            due = _sooner(due, max(waits_since, self._last_flush_at + self._tick_ms()))
        return _sooner(due, self._parts.due_at())

    @property
    def policy(self) -> Policy:
        """The policy as it is."""
        return self._control.policy

    @property
    def broadcast(self) -> str:
        """The id of the broadcast, empty before the first."""
        return self._control.broadcast

    @property
    def ending(self) -> bool:
        """Whether the broadcast is to end and waits for its drops."""
        return self._ending is not None

    @property
    def merchant(self) -> str:
        """Whose room it is, empty if nobody's."""
        return self._control.merchant

    @property
    def counts_for(self) -> str:
        """The broadcast that the last flush counted for: until its epoch begins a new one has no figures of its own."""
        return self._control.totals_of

    @property
    def watched(self) -> bool:
        """Whether any node has viewers."""
        audience = self._parts.audience
        return audience is not None and audience.watched

    @property
    def ledger_position(self) -> int:
        """The last gift that was heard of: a new feed may begin behind it. Hearing of it again does no harm."""
        return 0 if self._parts.trade is None else self._parts.trade.heard_position

    @property
    def gifts_waiting(self) -> int:
        """Gifts that were heard of and not told yet: above a few thousand the ledger's feed had better wait."""
        return 0 if self._parts.trade is None else self._parts.trade.waiting

    @property
    def state(self) -> dict[str, Json]:
        """The public state as of the last flush. Its values are shared: read only."""
        return whole(self._control.told)

    def summary(self) -> dict[str, Json]:
        """The room's line in the list of rooms. `waits`: something is due in it that must come true although nobody looks."""
        told = self._control.tell()
        line = {"room": told["id"], **{k: told[k] for k in ("title", "merchant", "status", "broadcast")}}
        if told["test"]:
            line["test"] = True
        if self._ending is not None or self._control.starts_by_itself_at is not None:
            line["waits"] = True
        return line if told["started_at"] is None else {**line, "started_at": told["started_at"]}

    def snapshot(self) -> Snapshot:
        """Everything a new owner or a joining node needs, as of the last flush."""
        private = self._control.private() | self._parts.private(self._last_flush_at)
        return Snapshot(self.epoch, self.seq, self.state, policy_dict(self._control.told_policy), self.recent, private)

    # --- Drain --------------------------------------------------------------------------------------------------------
    def flush(self, now: int) -> Flush | None:
        """What there is to say and to store at `now`; None if nothing. Everything of it belongs into one commit."""
        self._pass_time(now)
        control = self._control
        renew = control.renewing and not self._fresh
        rename = control.policy.users != self._users_as and not self._fresh  # nobody's names of both kinds are in one epoch
        replies, self._replies, self._untold_since = self._replies, [], None
        frame = self._frame(now, renew, replies)
        flush = Flush(frame, replies, control.drain_private(), [], [], [], renew or rename)
        flush.acts, self._acts = list(self._acts), ()
        self._parts.drain(flush, now)
        self._fresh, self._renewed = False, renew
        if renew:
            control.renewing = False
            if any(self._parts.waiting()):
                self._untold_since = now  # what came after the start is told in the epoch to come
        if self.gifts_waiting or (self._parts.desk is not None and self._parts.desk.redacting):
            self._untold_since = now
        if self._ending is not None and self._ending.is_sold:
            self._ending.told()
            self._untold_since = now  # the end comes with a frame of its own
        more = flush.private or flush.remembered or flush.notices or flush.new_users or flush.acts or flush.for_staff
        if not (frame or replies or renew or more):
            return None
        self._last_flush_at = now
        return flush

    def begin_epoch(self, epoch: str, now: int) -> Snapshot:
        """A new epoch: frames count from 1 again, and if a new broadcast began, so do its totals."""
        self.epoch = epoch
        self.seq = 0
        self._users_as = self._control.told_policy.users
        if self._renewed:
            self._renewed = False
            self._control.zero_totals()
            self.recent = ()
            self._parts.new_broadcast()
            self._last_flush_at = now
        return self.snapshot()

    def _frame(self, now: int, renew: bool, replies: Replies) -> Frame | None:
        control, before = self._control, self._before_start if renew else None
        known = not self._fresh
        frame = compose(self._parts, control, self.epoch, self.seq + 1, replies, now, known=known, before=before)
        if self._fresh:  # whoever comes gets all of it with the first snapshot
            self._users_as = control.policy.users
            control.renewing = False
            control.totals_of = control.broadcast
        if frame is None:
            return None
        self.seq = frame.seq
        self.recent = advance_recent(self.recent, frame, self._rules.recent_max)
        if frame.comments or self._parts.backstage is not None:
            self._parts.the_backstage().take(frame)
        return frame

    # --- Private ------------------------------------------------------------------------------------------------------
    def _say(self, said: Said, now: int) -> Answer | None:
        chat = self._parts.chat or self._parts.the_chat(self.epoch, now)
        refusal = chat.say(said, now, self._control, self._replies)
        if refusal is None and self._untold_since is None:
            self._untold_since = now
        return refusal

    def _answer(self, event: Voted | Reported | Command | Ask, now: int) -> Answer | None:
        match event:
            case Voted():
                return self._vote(event, now)
            case Reported():
                return self._report(event, now)
            case Command():
                return self._command(event, now)
            case Ask():
                return answer(self._parts, self._control, event, now)

    def _vote(self, voted: Voted, now: int) -> Refusal | None:
        refusal = self._parts.the_polls().vote(voted)
        if refusal is None:
            self._replies.append((voted.origin, voted.cid, VOTED))
            self._something_waits(now)
        return refusal

    def _tap(self, tapped: Tapped, now: int) -> None:
        """Taps are kept with the next commit that there is, and wait for one at most a tick."""
        if self._parts.the_shelf().tap(tapped, self._control, now):
            self._something_waits(now)

    def _report(self, reported: Reported, now: int) -> Refusal | None:
        backstage = self._parts.the_backstage()
        refusal, reply = backstage.reports.report(reported, backstage.find(reported), now)
        if reply is not None:
            self._replies.append(reply)
            self._something_waits(now)
        return refusal

    def _something_waits(self, now: int) -> None:
        if self._untold_since is None:
            self._untold_since = now

    def _like(self, liked: Liked, now: int) -> Answer | None:
        hearts = self._parts.hearts or self._parts.the_hearts()
        control, person = self._control, liked.person
        refusal: Refusal | None = None
        if not control.live:
            refusal = ROOM_NOT_LIVE
        elif (muted := self._parts.muted(person.id, now)) is not None:
            refusal = muted
        elif person.anonymous and control.policy.anonymous != "like":
            refusal = UNAUTHORIZED
        if liked.cid is not None:
            refusal = hearts.like(liked, now, refusal, self._replies)
        elif refusal is None:
            hearts.delta += hearts.taps.take(person.id, liked.n, now)
        if refusal is None:
            if self._untold_since is None and (hearts.delta or liked.cid is not None):
                self._untold_since = now
            return None
        return refusal if liked.cid is not None else None

    def _command(self, command: Command, now: int) -> Answer | None:
        control = self._control
        if command.if_rev is not None and command.if_rev != control.rev:
            return Refusal("precondition_failed")
        makes = command.name in ("put_room", "ensure") and not control.rev
        if command.name == "ensure" and not self._fresh:
            return Done(control.tell())
        began_at = control.last_began_at
        change = CHANGES.get(command.name)
        try:
            if command.name == "end" and self.sells and control.status in {"live", "paused"}:
                self._begin_to_end(command, now)
                return None
            if change is None:
                value, makes = carry_out(self._parts, control, command, self.epoch, now)
            else:
                if command.name != "ensure" or makes:
                    change(control, command.args, now)
                value = control.tell()
        except InvalidChange as wrong:
            return wrong.refusal
        if control.last_began_at != began_at:
            self._hold_back(now)
        self._parts.follow(command, now)
        if (act := act_of(command, now)) is not None:
            self._acts += (act,)
        self._replies.append((command.origin, command.cid, Done(value, makes)))
        self._something_waits(now)
        return None

    def _hear(self, event: LedgerEvent, now: int) -> bool:
        """Take in what the ledger says; whether there is something new in it."""
        if not isinstance(event, DropsDone):
            return self._parts.hear(event, now)
        is_news = self._ending is not None and not self._ending.is_sold
        if self._ending is not None:
            self._ending.sold()
        return is_news

    def _begin_to_end(self, command: Command, now: int) -> None:
        """Keep that the broadcast is to end; it does once its drops are done. Raises `InvalidChange`."""
        self._control.check_end(command.args)  # type: ignore[arg-type]  # as the command's name says
        if self._ending is None:
            self._ending = Ending.of(command, now)
            self._control.ending = self._ending.private()
        self._ending.join(command)
        self._something_waits(now)

    def _end(self, ending: Ending, now: int) -> None:
        """The broadcast is over."""
        control, command = self._control, ending.command()
        self._ending = control.ending = None
        control.end(command.args, now)  # type: ignore[arg-type]  # as the command's name says
        self._parts.follow(command, now)
        if (act := act_of(command, now)) is not None:
            self._acts += (act,)
        self._replies += ending.replies(control.tell())

    def _pass_time(self, now: int) -> None:
        control = self._control
        if self._ending is not None and self._ending.is_due(now):
            self._end(self._ending, now)
        due = control.due_at()
        if due is not None and now >= due:
            began_at = control.last_began_at
            control.pass_time(now)
            if control.last_began_at != began_at:
                self._hold_back(now)
        self._parts.pass_time(now)
        if self._parts.chat is not None:
            self._parts.chat.pass_time(now, control.policy, self._replies)

    def _hold_back(self, now: int) -> None:
        """A broadcast begins: note what still belongs to the one before it; what comes now waits for the epoch to come."""
        self._before_start = self._parts.waiting()
        self._parts.broadcast_began(now)

    def _tick_ms(self) -> int:
        tick_ms = self._control.policy.tick_ms
        return min(tick_ms + self._stretch_ms, max(self._rules.tick_max_ms, tick_ms))


@lru_cache(maxsize=8)
def _gifts(rev: int) -> dict[str, Json]:
    """What all rooms say of the gifts there are: one object for all of them."""
    return {**DEFAULTS["gifts"], "rev": rev}


def _sooner(a: int | None, b: int | None) -> int | None:
    if a is None or b is None:
        return b if a is None else a
    return min(a, b)
