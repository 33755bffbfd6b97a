"""The way of a comment through a room: refused at once, or decided at the next flush as shown, merged, sampled or held.

The order of the checks is a promise (see `Chat._judge`), and every distinct (user, cid) ends in exactly one column of the
tally. Only what is final is remembered for its cid: what time can change is judged anew when it is repeated.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, TypeAlias

from msgspec import Struct

from livecast.core.chance import SplitMix64
from livecast.core.control import Control
from livecast.core.errors import InvalidChange, Refusal
from livecast.core.events import Answer, Comment, Json, Merge, Origin, Quote, Remembered, Said, Tally, Verdict
from livecast.core.forms import check_meta, style_of
from livecast.core.lanes import STAFF, lane_of, left_out
from livecast.core.limits import Budget, Fading, Pace
from livecast.core.memory import Answers
from livecast.core.merging import Anchor, Merging
from livecast.core.moderation import BLOCK, HOLD, Words
from livecast.core.numerals import base36
from livecast.core.rules import Policy, RoomRules, Styles
from livecast.core.sanctions import Sanctions
from livecast.core.text import merge_key, read

QUOTE_CHARS: Final = 60
"""What a reply shows of the comment it answers: one line on a telephone."""
QUOTABLE_MAX: Final = 300
"""Comments that can still be replied to (up to twice as many): what a chat list holds."""
QUOTABLE_KEEP_MS: Final = 3_600_000
"""In a quiet room an hour-old comment can still be answered."""
HELD_MAX: Final = 200
"""Comments waiting for a moderator; beyond it the oldest are let go, as nobody looked at them."""
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
CONFLICT: Final = Refusal("conflict")

Replies: TypeAlias = list[tuple[Origin, str | None, Answer]]


class Pending(Struct):
    """An accepted comment until the flush that decides it. `key` is None where it is never merged."""

    said: Said
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

    @property
    def user(self) -> str:
        """Whose it is."""
        return self.said.person.id


class Decided(Struct):
    """What a flush made of the comments."""

    comments: tuple[Comment, ...] = ()
    merges: tuple[Merge, ...] = ()


class Chat:
    """The comments of one room.

    Feed it with `say` and `refused_elsewhere`, drain it with `decide` and `drain_tally`.
    """

    __slots__ = (
        "_answers",
        "_budget",
        "_chance",
        "_counted",
        "_held",
        "_merging",
        "_pace",
        "_pending",
        "_quotable",
        "_rejected",
        "_rules",
        "_slow",
        "_texts",
        "ids",
        "remember",
        "sanctions",
        "slowed",
        "untold_since",
        "words",
    )

    def __init__(self, rules: RoomRules, policy: Policy, seed: str, now: int, ids: int = 0) -> None:
        self._rules = rules
        self._answers: Answers[Pending] = Answers(rules.cid_memory_ms, rules.cid_memory_per_user, rules.cid_memory_max)
        self._budget = Budget(policy.chat_budget_per_s, rules.reserved_share, now)
        self._chance = SplitMix64(seed)
        self._merging = Merging(rules)
        self._pace = Pace(rules.gcra_burst, rules.gcra_interval_ms)
        self._texts: Fading[tuple[str, str], int] = Fading(rules.repeated_text_ms)
        self._slow: Fading[str, int] = Fading(SLOW_MODE_MAX_MS)
        self._quotable: Fading[str, Comment] = Fading(QUOTABLE_KEEP_MS, QUOTABLE_MAX)
        self._held: dict[str, Comment] = {}
        self._pending: list[Pending] = []
        self._rejected: dict[str, int] = {}
        self._counted = {"shown": 0, "merged": 0, "sampled": 0, "held": 0}
        self.ids = ids
        """Comments that have got an id so far."""
        self.remember: list[Remembered] = []
        """Final answers since the last flush, to be made durable with the next."""
        self.slowed: dict[str, int] = {}
        """Slow-mode times since the last flush, to be made durable likewise."""
        self.sanctions: Sanctions | None = None
        """Who is muted or banned, once anybody is."""
        self.words: Words | None = None
        """The word filter, if there is one."""
        self.untold_since: int | None = None
        """Since when the tally has something that no frame has said yet."""

    # --- Feed ---------------------------------------------------------------------------------------------------------
    def say(self, said: Said, now: int, control: Control, again: Replies) -> Refusal | None:
        """Take a comment in: a refusal at once, or None and an answer with a later flush.

        The answer of a known cid is put into `again`, so that nobody is told of what is not yet durable.
        """
        known = self._answers.of(said.person.id, now)
        before = known.get(said.cid)
        if before is not None and not self._answers.expired(before, now):
            return self._repeated(before, said, again)
        verdict = self._judge(said, now, control, known)
        if isinstance(verdict, Pending):
            self._pending.append(verdict)
            self._answers.wait(known, said.cid, verdict)
            return None
        self._reject(verdict.code, 1, now)
        if verdict.final:
            self._keep(known, Remembered(said.person.id, "comment", said.cid, said.body, now, verdict))
        return verdict

    def refused_elsewhere(self, codes: dict[str, int], now: int) -> None:
        """Comments that a node refused before they came here."""
        for code, n in codes.items():
            if n > 0:
                self._reject(code, n, now)

    def _judge(  # noqa: PLR0911 - a chain of checks, each with its own refusal: their order is the promise
        self, said: Said, now: int, control: Control, known: dict[str, Remembered | Pending]
    ) -> Pending | Refusal:
        """Live → form → mute and ban → mode → slow mode → pace → same text → word filter. Staff skip mode to same text."""
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
        lane = lane_of(said.person, self._rules.lane_level_min)
        pending = Pending(said, now, text, key if lane != STAFF else None, lane, known)
        if (wrong := self._carry(pending, policy.styles)) is not None:
            return wrong
        person = said.person
        if self.sanctions is not None and (muted := self.sanctions.refusal(person.id, now)) is not None:
            return muted
        if pending.lane != STAFF and (refusal := self._too_much(pending, now, policy, key)) is not None:
            return refusal
        if self.words is not None:
            found, text = self.words.judge(pending.text)
            if found == BLOCK:
                return BLOCKED
            pending.held = found == HOLD
            if text is not pending.text:
                pending.text = text
                pending.key = pending.key and merge_key(text)
        if pending.lane != STAFF:
            self._accept(person.id, key, now, policy)
        return pending

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

    def _too_much(self, pending: Pending, now: int, policy: Policy, key: str) -> Refusal | None:
        person = pending.said.person
        if policy.mode != "all" and (policy.mode == "staff" or person.level < policy.min_level):
            return FORBIDDEN
        if policy.slow_mode_s:
            last = self._slow.get(person.id)
            if last is not None and (wait := last + policy.slow_mode_s * 1000 - now) > 0:
                return Refusal("slow_mode", retry_after_ms=wait)
        if wait := self._pace.wait_ms(person.id, now):
            return Refusal("rate_limited", retry_after_ms=wait)
        said_at = self._texts.get((person.id, key))
        if said_at is not None and now - said_at < self._rules.repeated_text_ms:
            return REPEATED
        return None

    def _accept(self, user: str, key: str, now: int, policy: Policy) -> None:
        """Only accepted comments use up slow-mode time and count as said."""
        if self._rules.repeated_text_ms:
            self._texts.put((user, key), now, now)
        if policy.slow_mode_s:
            self._slow.put(user, now, now)
            self.slowed[user] = now

    def _repeated(self, before: Remembered | Pending, said: Said, again: Replies) -> Refusal | None:
        if isinstance(before, Pending):
            if before.said.body != said.body:
                return CONFLICT
            if before.also is None:
                before.also = []
            before.also.append(said.origin)
            return None
        if before.body != said.body:
            return CONFLICT
        if isinstance(before.answer, Refusal):
            return before.answer
        again.append((said.origin, said.cid, before.answer))
        return None

    def _reject(self, code: str, n: int, now: int) -> None:
        self._rejected[code] = self._rejected.get(code, 0) + n
        if self.untold_since is None:
            self.untold_since = now

    def _keep(self, known: dict[str, Remembered | Pending], answer: Remembered) -> None:
        self._answers.put(known, answer)
        self.remember.append(answer)

    # --- Ask ----------------------------------------------------------------------------------------------------------
    @property
    def waiting(self) -> int:
        """Comments that the next flush will decide."""
        return len(self._pending)

    def slow_times(self, now: int) -> dict[str, int]:
        """When each user last used up slow-mode time, as far as it can still matter."""
        return {user: at for user, at in self._slow.items() if now - at < SLOW_MODE_MAX_MS}

    def held(self) -> list[Comment]:
        """Comments that wait for a moderator, oldest first."""
        return list(self._held.values())

    # --- Drain --------------------------------------------------------------------------------------------------------
    def decide(self, now: int, epoch: str, seq: int, replies: Replies, n: int | None = None) -> Decided:
        """Decide the first `n` waiting comments (all by default) for the frame `seq`, and answer them."""
        batch = self._pending if n is None else self._pending[:n]
        self._pending = [] if n is None else self._pending[n:]
        self._budget.refill(now)
        sampled = Verdict("sampled", seq=seq)
        for p in batch:
            if p.gone:
                p.answer = sampled
        candidates = self._merge(batch, seq)
        out = left_out(candidates, self._budget, self._chance)
        for head in out:
            for p in head.group or (head,):
                p.answer = sampled
        comments = tuple([self._show(p, epoch, seq, now) for p in candidates if p.answer is None])
        for p in out:
            if p.key is not None and p.group is None:
                self._merging.left_out(p.key, p.user, p.at)
        for p in batch:
            self._settle(p, epoch, now, replies)
        if batch and self.untold_since is None:
            self.untold_since = now
        return Decided(comments, self._merging.drain())

    def drain_tally(self) -> Tally | None:
        """What became of all comments since the last call."""
        if self.untold_since is None:
            return None
        self.untold_since = None
        counted, rejected = self._counted, self._rejected
        self._counted, self._rejected = dict.fromkeys(counted, 0), {}
        return Tally(sum(counted.values()) + sum(rejected.values()), **counted, rejected=rejected)

    def _merge(self, batch: list[Pending], seq: int) -> list[Pending]:
        """Answer those who join an anchor; the others, one for each group, in the order of arrival."""
        candidates: list[Pending] = []
        groups: dict[str, list[Pending]] = {}
        join = self._merging.join
        for p in batch:
            if p.held or p.gone:
                continue
            key = p.key
            if key is None:
                candidates.append(p)
                continue
            is_open, anchor = join(key, p.said.person.id, p.at)
            if anchor is not None:
                p.answer = Verdict("merged", id=anchor.id, seq=seq)
                continue
            candidates.append(p)
            if not is_open:
                group = groups.get(key)
                if group is None:
                    groups[key] = [p]
                else:
                    group.append(p)
        return self._grouped(candidates, groups)

    def _grouped(self, candidates: list[Pending], groups: dict[str, list[Pending]]) -> list[Pending]:
        least = self._rules.merge_min_users
        behind: set[int] = set()
        for group in groups.values():
            if len(group) >= least and len({p.user for p in group}) >= least:
                group[0].group = group
                group[0].lane = min(p.lane for p in group)  # the best seat that anybody in the group has
                behind.update(id(p) for p in group[1:])
        return [p for p in candidates if id(p) not in behind] if behind else candidates

    def _show(self, p: Pending, epoch: str, seq: int, now: int) -> Comment:
        said, lane = p.said, p.lane
        person = said.person
        comment_id = self._next_id(epoch)
        sayers = {person.id}
        last_at = p.at
        if p.group is not None:
            sayers.update(q.user for q in p.group)
            last_at = p.group[-1].at
            lane = lane_of(person, self._rules.lane_level_min)
            merged = Verdict("merged", id=comment_id, seq=seq)
            for q in p.group:
                q.answer = merged
        p.answer = Verdict("shown", id=comment_id, seq=seq)
        comment = Comment(comment_id, person, p.text, p.at, len(sayers), p.style, lane, p.quote, said.mentions, said.meta)
        self._quotable.put(comment_id, comment, now)
        if p.key is not None:
            self._merging.shown(p.key, Anchor(comment_id, person.id, p.at, last_at, sayers, len(sayers)), now)
        return comment

    def _settle(self, p: Pending, epoch: str, now: int, replies: Replies) -> None:
        answer = p.answer
        if answer is None:
            answer = self._hold(p, epoch)
        self._counted[answer.verdict] += 1
        said = p.said
        self._keep(p.known, Remembered(said.person.id, "comment", said.cid, said.body, now, answer))
        replies.append((said.origin, said.cid, answer))
        if p.also is not None:
            replies.extend((origin, said.cid, answer) for origin in p.also)

    def _hold(self, p: Pending, epoch: str) -> Verdict:
        said = p.said
        comment_id = self._next_id(epoch)
        if len(self._held) >= HELD_MAX:
            del self._held[next(iter(self._held))]
        self._held[comment_id] = Comment(
            comment_id, said.person, p.text, p.at, 1, p.style, p.lane, p.quote, said.mentions, said.meta, late=True
        )
        return Verdict("held", id=comment_id)

    def _next_id(self, epoch: str) -> str:
        self.ids += 1
        return f"{epoch}-{base36(self.ids)}"

    # --- Keep house ---------------------------------------------------------------------------------------------------
    def policy_changed(self, policy: Policy) -> None:
        """Another budget from now on; all else is read from the policy as it is needed."""
        self._budget.change(policy.chat_budget_per_s, self._rules.reserved_share)

    def redact(self, ids: set[str], users: set[str]) -> None:
        """These comments, and everything of these users, are off the screens: nobody joins, quotes or approves them."""
        self._merging.drop(ids, users)
        for comment_id, comment in self._quotable.items():
            if comment_id in ids or comment.u.id in users:
                self._quotable.drop(comment_id)
        self._held = {k: c for k, c in self._held.items() if k not in ids and c.u.id not in users}
        for p in self._pending:
            p.gone = p.gone or p.user in users

    def new_broadcast(self) -> None:
        """The screens are empty again: nothing to join, to quote or to approve."""
        self._merging = Merging(self._rules)
        self._quotable = Fading(QUOTABLE_KEEP_MS, QUOTABLE_MAX)
        self._held = {}

    def restore(self, remembered: Iterable[Remembered], slow: dict[str, int], recent: Iterable[Comment], now: int) -> None:
        """Go on where a former owner stopped."""
        self._answers.fill((r for r in remembered if r.kind == "comment"), now)
        for user, at in slow.items():
            self._slow.put(user, at, now)
        for comment in recent:
            self._quotable.put(comment.id, comment, now)

    def fade(self, now: int) -> bool:
        """Forget what is due; True if nothing is left that could matter."""
        gone = [m.fade(now) for m in (self._answers, self._merging, self._pace, self._texts, self._slow, self._quotable)]
        return all(gone) and not (self._pending or self._held or self.untold_since or self.remember or self.slowed)
