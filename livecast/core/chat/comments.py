"""The way of a comment through a room: refused at once, or decided at the next flush as shown, merged, sampled or held.

Every distinct (user, cid) ends in exactly one column of the tally. Only what is final is remembered for its cid: what time
can change is judged anew when it is repeated.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, TypeAlias

from msgspec import Struct

from livecast.core.audience.deeds import Deeds
from livecast.core.chat.held import Held
from livecast.core.chat.lanes import STAFF, left_out
from livecast.core.chat.merging import Anchor, Merging
from livecast.core.chat.review import Action, Reviews
from livecast.core.chat.screening import BLOCKED, Pending, Screening
from livecast.core.control import Control
from livecast.core.errors import Refusal
from livecast.core.events import Answer, GiftShown, Origin, Reviewed, Said, Verdict
from livecast.core.frames import Comment, Merge, Remembered, Tally
from livecast.core.limits import Budget
from livecast.core.money.gifts import TIERS
from livecast.core.rules import Policy, RoomRules
from livecast.core.state import quotes, unquoted
from livecast.core.text import clean, merge_key
from livecast.core.tools.chance import SplitMix64
from livecast.core.tools.memory import Answers
from livecast.core.tools.numerals import base36

LEFT_OUT_MAX: Final = 200
"""Comments of a tick kept for staff to see although viewers do not; beyond it the first ones stand for the rest."""
NEVER: Final = -(10**15)
"""A moment before all others, for what has not happened yet."""
CONFLICT: Final = Refusal("conflict")

Replies: TypeAlias = list[tuple[Origin, str | None, Answer]]


class Decided(Struct):
    """What a flush made of the comments."""

    comments: tuple[Comment, ...] = ()
    merges: tuple[Merge, ...] = ()


NOTHING: Final = Decided()


class Chat:
    """The comments of one room.

    Feed it with `say` and `refused_elsewhere`, drain it with `decide` and `drain_tally`.
    """

    __slots__ = (
        "_answers",
        "_budget",
        "_chance",
        "_counted",
        "_left_out",
        "_merging",
        "_pending",
        "_rejected",
        "_rules",
        "_told_at",
        "_untold_since",
        "blocked",
        "deeds",
        "held",
        "ids",
        "late",
        "let_go",
        "put_aside",
        "remember",
        "reviews",
        "screening",
        "staff_watch",
    )

    def __init__(self, rules: RoomRules, policy: Policy, seed: str, now: int, ids: int = 0) -> None:
        self._rules = rules
        self._answers: Answers[Pending] = Answers(rules.cid_memory_ms, rules.cid_memory_per_user, rules.cid_memory_max)
        self._budget = Budget(policy.chat_budget_per_s, rules.reserved_share, now)
        self._chance = SplitMix64(seed)
        self._merging = Merging(rules)
        self.screening = Screening(rules)
        """The checks on arrival, and what they remember."""
        self.held = Held()
        """Comments that wait for a moderator."""
        self.late: list[Comment] = []
        """Held ones that were approved since the last flush: the next frame shows them."""
        self.put_aside: list[Comment] = []
        """Comments that are held since the last flush."""
        self.let_go: list[Comment] = []
        """Held ones that nobody looked at before there were too many, since the last flush."""
        self.blocked: list[str] = []
        """Users whose comments the word filter blocked since the last flush."""
        self.staff_watch = False
        """Whether what viewers do not get is to be kept for staff."""
        self._left_out: list[tuple[Comment, str]] = []
        self.reviews: Reviews | None = None
        """Comments that somebody outside judges, where there is somebody."""
        self._pending: list[Pending] = []
        self._rejected: dict[str, int] = {}
        self._counted = {"shown": 0, "merged": 0, "sampled": 0, "held": 0}
        self.deeds: Deeds | None = None
        """Who takes note of keywords, while a drop asks for one."""
        self.ids = ids
        """Comments that have got an id so far."""
        self.remember: list[Remembered] = []
        """Final answers since the last flush, to be made durable with the next."""
        self._untold_since: int | None = None  # the tally has something that no frame has said yet
        self._told_at = NEVER

    # --- Feed ---------------------------------------------------------------------------------------------------------
    def say(self, said: Said, now: int, control: Control, again: Replies) -> Refusal | None:
        """Take a comment in: a refusal at once, or None and an answer with a later flush.

        The answer of a known cid is put into `again`, so that nobody is told of what is not yet durable.
        """
        known = self._answers.of(said.person.id, now)
        before = known.get(said.cid)
        if before is not None and not self._answers.expired(before, now):
            return self._repeated(before, said, again)
        verdict = self.screening.judge(said, now, control, known)
        if isinstance(verdict, Pending):
            self._answers.wait(known, said.cid, verdict)
            if self.reviews is None:
                self._accept(verdict)
            else:
                self._ask(self.reviews, verdict, now, control.policy, again)
            return None
        self._reject(verdict.code, 1, now)
        if verdict.code == "blocked":
            self._note_blocked(said, now)
        if verdict.final:
            final = Remembered(said.person.id, "comment", said.cid, said.body, now, verdict)
            self._answers.put(known, final)
            self.remember.append(final)
        return verdict

    def reviewed(self, answer: Reviewed, now: int, policy: Policy, replies: Replies) -> bool:
        """Somebody outside judged a comment; whether that lets anything go on."""
        if self.reviews is None:
            return False
        ready = self.reviews.judged(answer, policy.comment_max_chars, _unjudged(policy))
        self._go_on(ready, now, replies)
        return bool(ready)

    def pass_time(self, now: int, policy: Policy, replies: Replies) -> None:
        """Decide as the policy says what nobody judged in time."""
        if self.reviews is not None and (due := self.reviews.due_at()) is not None and due <= now:
            self._go_on(self.reviews.pass_time(now, _unjudged(policy)), now, replies)

    def _accept(self, p: Pending) -> None:
        """Nothing speaks against it any more: the next flush decides whether it is shown."""
        self._pending.append(p)
        if self.deeds is not None and not p.held:
            self.deeds.say(p.user, merge_key(p.text))

    def _ask(self, reviews: Reviews, p: Pending, now: int, policy: Policy, replies: Replies) -> None:
        """Have it judged, unless that is settled already; it may still have to wait for what its author said before."""
        if policy.review == "off" or p.held or p.lane == STAFF:
            if not reviews.behind(p):
                self._accept(p)
            return
        self._go_on(reviews.take(p, now, policy.review), now, replies)

    def _go_on(self, ready: Iterable[tuple[Pending, Action]], now: int, replies: Replies) -> None:
        for p, action in ready:
            if (muted := self.screening.muted(p.user, now)) is not None:  # since it was asked about
                self._silence(p, muted, now, replies)
            elif action == "deny" or (action == "edit" and not self.screening.reads(p)):
                self._deny(p, now, replies)
            else:
                p.held = p.held or action == "hold"
                self._accept(p)

    def _deny(self, p: Pending, now: int, replies: Replies) -> None:
        """It is not shown, as if the word filter had said so."""
        said = p.said
        self._reject(BLOCKED.code, 1, now)
        self._note_blocked(said, now)
        final = Remembered(p.user, "comment", said.cid, said.body, now, BLOCKED)
        self._answers.put(p.known, final)
        self.remember.append(final)
        replies.extend((origin, said.cid, BLOCKED) for origin in (said.origin, *(p.also or ())))

    def _silence(self, p: Pending, muted: Refusal, now: int, replies: Replies) -> None:
        """Its author was muted or banned meanwhile. Nothing is remembered: time changes that."""
        self._reject(muted.code, 1, now)
        p.known.pop(p.said.cid, None)
        replies.extend((origin, p.said.cid, muted) for origin in (p.said.origin, *(p.also or ())))

    def refused_elsewhere(self, codes: dict[str, int], now: int) -> None:
        """Comments that a node refused before they came here."""
        for code, n in codes.items():
            if n > 0:
                self._reject(code, n, now)

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

    def _note_blocked(self, said: Said, now: int) -> None:
        self.blocked.append(said.person.id)
        if self.staff_watch and len(self._left_out) < LEFT_OUT_MAX:
            lane = self.screening.lane(said.person)
            self._left_out.append((Comment("", said.person, clean(said.text), now, lane=lane), "blocked"))

    def _reject(self, code: str, n: int, now: int) -> None:
        self._rejected[code] = self._rejected.get(code, 0) + n
        if self._untold_since is None:
            self._untold_since = now

    # --- Ask ----------------------------------------------------------------------------------------------------------
    @property
    def waiting(self) -> int:
        """Comments that the next flush will decide."""
        return len(self._pending)

    def tally_due_at(self) -> int | None:
        """When the tally may cause a frame if nothing else does; None if it has nothing to say."""
        since = self._untold_since
        return None if since is None else max(since, self._told_at + self._rules.tally_alone_ms)

    # --- Drain --------------------------------------------------------------------------------------------------------
    def decide(self, now: int, epoch: str, seq: int, replies: Replies, n: int | None = None) -> Decided:
        """Decide the first `n` waiting comments (all by default) for the frame `seq`, and answer them."""
        batch = self._pending if n is None else self._pending[:n]
        if not batch:
            return NOTHING
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
            if p.group is not None:
                p.group = None  # the group holds its first, which holds the group
            elif p.key is not None:
                self._merging.left_out(p.key, p.user, p.at)
        self._settle(batch, epoch, now, replies)
        return Decided(comments, self._merging.drain())

    def _settle(self, batch: list[Pending], epoch: str, now: int, replies: Replies) -> None:
        """Count, keep and hand out the answers."""
        counted, put, remember = self._counted, self._answers.put, self.remember
        for p in batch:
            answer = p.answer = p.answer or self._hold(p, epoch)
            said = p.said
            counted[answer.verdict] += 1
            final = Remembered(p.user, "comment", said.cid, said.body, now, answer)
            put(p.known, final)
            remember.append(final)
            replies.append((said.origin, said.cid, answer))
            if p.also is not None:
                replies.extend((origin, said.cid, answer) for origin in p.also)
        if self.staff_watch:
            self._note_left_out(batch)
        if self._untold_since is None:
            self._untold_since = now

    def _note_left_out(self, batch: list[Pending]) -> None:
        for p in batch:
            if len(self._left_out) >= LEFT_OUT_MAX:
                break
            if p.answer is not None and p.answer.verdict != "shown":
                comment_id = p.answer.id if p.answer.verdict == "held" else None
                comment = Comment(comment_id or "", p.said.person, p.text, p.at, style=p.style, lane=p.lane, reply_to=p.quote)
                self._left_out.append((comment, p.answer.verdict))

    def drain_left_out(self) -> list[tuple[Comment, str]]:
        """What viewers did not get since the last flush, each with its verdict; ids only of those that are held."""
        left_out, self._left_out = self._left_out, []
        return left_out

    def drain_late(self, now: int) -> list[Comment]:
        """Held comments that were approved: they are shown now, and were counted long ago."""
        late, self.late = self.late, []
        for comment in late:
            self.screening.shown(comment, now)
        return late

    def show_paid(self, gifts: Iterable[tuple[GiftShown, int]], epoch: str, now: int, *, only_staff: bool) -> list[Comment]:
        """The texts of these gifts, which came at these times: they cost no budget, never merge and stand outside the tally.
        `only_staff`: nobody else may speak now.
        """
        comments = []
        for gift, at in gifts:
            if only_staff and not gift.person.staff:
                continue
            verdict = self.screening.judge_paid(gift.person, gift.text, now)
            if verdict is None:
                continue
            text, held = verdict
            paid = {"gift": gift.gift, "value": gift.value, "pin_s": TIERS[gift.tier].pin_s}
            lane = self.screening.lane(gift.person)
            comment = Comment(self._next_id(epoch), gift.person, text, at, lane=lane, paid=paid, late=held)
            if held:
                self._put_aside(comment)
            else:
                self.screening.shown(comment, now)
                comments.append(comment)
        return comments

    def drain_tally(self, now: int, *, alone: bool) -> Tally | None:
        """What became of all comments since the last call; `alone`: only if it may cause a frame of its own now."""
        if self._untold_since is None or (alone and now < self._told_at + self._rules.tally_alone_ms):
            return None
        self._untold_since, self._told_at = None, now
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
            is_open, anchor = join(key, p.user, p.at)
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
            lane = self.screening.lane(person)
            merged = Verdict("merged", id=comment_id, seq=seq)
            for q in p.group:
                q.answer = merged
            p.group = None  # as above: no circles
        p.answer = Verdict("shown", id=comment_id, seq=seq)
        comment = Comment(comment_id, person, p.text, p.at, len(sayers), p.style, lane, p.quote, said.mentions, said.meta)
        self.screening.shown(comment, now)
        if p.key is not None:
            self._merging.shown(p.key, Anchor(comment_id, person.id, p.at, last_at, sayers, len(sayers)), now)
        return comment

    def _hold(self, p: Pending, epoch: str) -> Verdict:
        said = p.said
        comment_id = self._next_id(epoch)
        self._put_aside(
            Comment(comment_id, said.person, p.text, p.at, 1, p.style, p.lane, p.quote, said.mentions, said.meta, late=True)
        )
        return Verdict("held", id=comment_id)

    def _put_aside(self, comment: Comment) -> None:
        self.put_aside.append(comment)
        if (gone := self.held.put(comment)) is not None:
            self.let_go.append(gone)

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
        self.screening.redact(ids, users)
        self.held.redact(ids, users)
        self.late = [unquoted(c, ids, users) for c in self.late if c.id not in ids and c.u.id not in users]
        for p in (*self._pending, *(() if self.reviews is None else self.reviews.pendings())):
            p.gone = p.gone or p.user in users
            if quotes(p.quote, ids, users):
                p.quote = None

    def clean_screen(self) -> None:
        """What viewers wrote and nobody has seen yet is not shown any more."""
        self.late = []
        for p in (*self._pending, *(() if self.reviews is None else self.reviews.pendings())):
            p.gone = p.gone or not p.said.person.staff

    def new_broadcast(self) -> None:
        """The screens are empty again: nothing to join, to quote or to approve."""
        self._merging = Merging(self._rules)
        self.screening.new_broadcast()
        self.held.clear()
        self.late = []

    def restore(self, remembered: Iterable[Remembered], now: int) -> None:
        """Know the answers again that a former owner gave."""
        self._answers.fill((r for r in remembered if r.kind == "comment"), now)

    def fade(self, now: int) -> bool:
        """Forget what is due; True if nothing is left that could matter."""
        gone = [m.fade(now) for m in (self._answers, self._merging, self.screening)]
        waiting = (
            self._pending
            or (self.reviews is not None and len(self.reviews))
            or len(self.held)
            or self.held.kept.changed
            or self.late
            or self.let_go
            or self.blocked
        )
        return all(gone) and not (waiting or self._untold_since or self.remember)


def _unjudged(policy: Policy) -> Action:
    """What becomes of a comment that nobody judged in time. (Where judging was switched off meanwhile: it is shown.)"""
    return "allow" if policy.review == "off" else policy.review
