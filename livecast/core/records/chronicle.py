"""What is kept of a room for later: frames and ledger entries become rows. Pure: nothing here knows where rows go.

Rules for whoever edits this file:
- A row is known by what it is about (a comment's id, a ledger position), so that writing it twice is writing it once. The
  rows whose numbers are added up (`Count`, `Tick`, `Word`) are written in one step with the cursor behind them.
- Rows are gathered until `drain`; what several frames say of the same thing is put together here, before it costs a write.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Struct

from livecast.core.books.bookkeeping import (
    BookEntry,
    DropChanged,
    GiftCommitted,
    GiftDebited,
    GiftReversed,
    OrderTaken,
    PotEntered,
    UnitsChanged,
    UnitsGranted,
    WalletMoved,
)
from livecast.core.events import Json
from livecast.core.frames import Comment, Custom, Frame, Snapshot, StaffAct, Tally
from livecast.core.records.words import words_of
from livecast.core.tools.patch import merge

BUCKET_MS: Final = 10_000
"""Figures are kept in steps of ten seconds: 720 in two hours, finer than any chart of them on paper."""
TAPPED: Final = "tap:"
"""How the count of taps on a product's card is named: the product follows."""
LATELY_MAX: Final = 20_000
"""Comments of which it is remembered what they say, so that their words count for those who join them: 15 s of 30 full rooms."""
FORGETTING: Final = "forget_user"
"""What staff do when a person is to be forgotten."""
DROP_KEPT: Final = ("title", "kind", "stock", "sku", "test")
"""What of a drop's card is kept: the rest is in the ledger, or says who won."""
SOLD_OUT: Final = '{"sold_out":true}'
"""`MoneyRow.data` of the grant that left nothing."""
REJECTED: Final = "rejected:"
"""How the count of comments refused with a code is named: the code follows."""

CardKind: TypeAlias = Literal["product", "poll", "drop"]


# --- Rows -------------------------------------------------------------------------------------------------------------
class CommentRow(Struct):
    """A comment that was shown. `n`: so many people said it. `more` is what else it was sent with, JSON, or empty."""

    room: str
    broadcast: str
    id: str
    at: int
    user: str
    name: str
    role: str
    text: str
    n: int
    lane: int
    more: str = ""


class Merged(Struct):
    """A comment of an earlier batch is said by `n` people now."""

    room: str
    id: str
    n: int


class Redaction(Struct):
    """A comment (`id`), or all that `user` said in the room up to then, is not to be shown any more."""

    room: str
    at: int
    id: str = ""
    user: str = ""


class Count(Struct):
    """So many more: `in`, `shown`, `merged`, `sampled`, `held`, `rejected:<code>`, `likes` of a broadcast."""

    room: str
    broadcast: str
    name: str
    n: int


class Height(Struct):
    """A figure of a broadcast that was told as it stood: `tap:<product>`. The highest is the last."""

    room: str
    broadcast: str
    name: str
    n: int


class Tick(Struct):
    """Ten seconds of a room from `at` on. `connections`, `users` are the highest seen, if (`told` 1) any were told; all else is
    added up.
    """

    room: str
    at: int
    told: int = 0
    connections: int = 0
    users: int = 0
    comments: int = 0
    shown: int = 0
    likes: int = 0
    gifts: int = 0
    gift_value: int = 0
    claims: int = 0
    orders: int = 0


class Word(Struct):
    """A word was said by so many more people."""

    room: str
    broadcast: str
    word: str
    n: int


class BroadcastRow(Struct):
    """What is known of a broadcast; what is None or 0 is not said here and stays as it was. `users`: distinct ones so far."""

    room: str
    id: str
    title: str | None = None
    merchant: str | None = None
    status: str | None = None
    started_at: int | None = None
    ended_at: int | None = None
    test: bool | None = None
    users: int = 0
    peak: int = 0


class Card(Struct):
    """The last word on a product, poll or drop as viewers saw it: a merge patch of what is known of it, or (`whole`) all."""

    room: str
    broadcast: str
    kind: CardKind
    id: str
    at: int
    doc: dict[str, Json]
    whole: bool = False


class Moment(Struct):
    """Something that happened at a point of the broadcast: `on_air` (`ref`: the product, "" for none), `poll`, `drop`, `status`."""

    room: str
    broadcast: str
    epoch: str
    seq: int
    at: int
    kind: str
    ref: str
    value: str = ""


class MoneyRow(Struct):
    """One line of a ledger entry. `amount` is in coins, of an order in the smallest unit of its currency. `data`: JSON, or empty.

    Users are named in `user`, `other` (whom a gift is for) and in front of the slash of `ref`, and nowhere else: all the rest
    can be kept when they have gone.
    """

    shard: int
    position: int
    line: int
    at: int
    kind: str
    room: str
    broadcast: str
    user: str
    ref: str
    amount: int
    other: str = ""
    state: str = ""
    data: str = ""


class StaffRow(Struct):
    """Something that staff did: who, what, to whom (where it was one user), with which arguments (JSON) and why.

    `number` is that of the commit that it was part of, within the room's epoch.
    """

    room: str
    broadcast: str
    epoch: str
    number: int
    line: int
    at: int
    who: str
    name: str
    role: str
    what: str
    whom: str
    args: str
    why: str


class Rows(Struct):
    """What one batch writes, each kind in the order in which it happened."""

    comments: list[CommentRow] = []
    merged: list[Merged] = []
    redactions: list[Redaction] = []
    counts: list[Count] = []
    heights: list[Height] = []
    ticks: list[Tick] = []
    words: list[Word] = []
    broadcasts: list[BroadcastRow] = []
    cards: list[Card] = []
    moments: list[Moment] = []
    money: list[MoneyRow] = []
    staff: list[StaffRow] = []

    def __len__(self) -> int:
        return sum(len(getattr(self, name)) for name in self.__struct_fields__)


# --- Gathering --------------------------------------------------------------------------------------------------------
class Chronicle:
    """Frames and entries of any rooms, gathered until `drain`."""

    def __init__(self) -> None:
        self._lately: dict[tuple[str, str], tuple[set[str], int]] = {}
        """Comments that more people may still join, their words and by how many they were said; oldest first."""
        self._clear()

    def _clear(self) -> None:
        self._rows = Rows()
        self._comments: dict[tuple[str, str], CommentRow] = {}
        self._merged: dict[tuple[str, str], Merged] = {}
        self._counts: dict[tuple[str, str, str], Count] = {}
        self._heights: dict[tuple[str, str, str], Height] = {}
        self._ticks: dict[tuple[str, int], Tick] = {}
        self._words: dict[tuple[str, str, str], Word] = {}
        self._broadcasts: dict[tuple[str, str], BroadcastRow] = {}
        self._cards: dict[tuple[str, str, str, str], Card] = {}

    def __len__(self) -> int:
        bare = len(self._comments) + len(self._merged) + len(self._counts) + len(self._heights) + len(self._ticks)
        return len(self._rows) + bare + len(self._words) + len(self._broadcasts) + len(self._cards)

    # --- Feed: rooms ----------------------------------------------------------------------------------------------------
    def take_summary(self, summary: dict[str, Json], at: int) -> None:
        """A room's line in the list of rooms, as of `at`."""
        if not summary.get("broadcast"):
            return
        row = self._broadcast(summary["room"], summary["broadcast"])
        row.title, row.merchant, row.status = summary.get("title"), summary.get("merchant"), summary.get("status")
        row.started_at, row.test = summary.get("started_at"), summary.get("test")
        row.ended_at = (row.ended_at or at) if row.status == "ended" else None

    def take_snapshot(self, room: str, broadcast: str, snapshot: Snapshot, at: int) -> None:
        """An epoch begins: the room as it is."""
        self._state(room, broadcast, snapshot.epoch, snapshot.seq, at, snapshot.state, whole=True)

    def take_frame(self, room: str, broadcast: str, frame: Frame) -> None:
        """What viewers were told, in `broadcast`."""
        for comment in frame.comments:
            self._comment(room, broadcast, comment)
        for merged in frame.merges:
            self._merge(room, broadcast, merged.id, merged.n)
        if frame.likes is not None:
            self._count(room, broadcast, "likes", frame.likes.delta)
            self._tick(room, frame.ts).likes += frame.likes.delta
        if frame.viewers is not None:
            tick, row = self._tick(room, frame.ts), self._broadcast(room, broadcast)
            tick.told = 1
            tick.connections = max(tick.connections, frame.viewers.connections)
            tick.users = max(tick.users, frame.viewers.users)
            row.users, row.peak = max(row.users, frame.viewers.total), max(row.peak, frame.viewers.users)
        if frame.tally is not None:
            self._tally(room, broadcast, frame.tally, frame.ts)
        if frame.state is not UNSET:
            self._state(room, broadcast, frame.epoch, frame.seq, frame.ts, frame.state, whole=False)
        for event in frame.events:
            self._event(room, broadcast, frame, event)
        if frame.redact is not None:
            self._rows.redactions += [Redaction(room, frame.ts, id=each) for each in frame.redact.comments]
            self._rows.redactions += [Redaction(room, frame.ts, user=each) for each in frame.redact.users]

    def take_acts(self, room: str, broadcast: str, epoch: str, number: int, acts: Sequence[StaffAct]) -> None:
        """What staff did in commit `number`. That somebody was forgotten is kept, and not who."""
        for line, act in enumerate(acts):
            args = {} if act.action == FORGETTING else act.args
            self._rows.staff.append(
                StaffRow(room, broadcast, epoch, number, line, act.at, act.by, act.name, act.role, act.action,
                         str(args.get("user") or ""), msgspec.json.encode(args).decode(), act.reason)
            )  # fmt: skip

    def take_taps(self, room: str, broadcast: str, taps: Mapping[str, int]) -> None:
        """How often products' cards were tapped in the broadcast so far."""
        for product, n in taps.items():
            name = TAPPED + product
            self._heights[room, broadcast, name] = Height(room, broadcast, name, n)

    # --- Feed: ledgers --------------------------------------------------------------------------------------------------
    def take_entry(self, shard: int, entry: BookEntry) -> None:
        """What the ledger decided."""
        lines = money_of(shard, entry)
        self._rows.money += lines
        for line in lines:
            if line.kind == "gift":
                tick = self._tick(line.room, line.at)
                tick.gifts += 1
                tick.gift_value += line.amount
            elif line.kind == "gift_reversed":
                tick = self._tick(line.room, line.at)
                tick.gifts -= 1
                tick.gift_value -= line.amount
            elif line.kind == "granted":
                self._tick(line.room, line.at).claims += 1
            elif line.kind == "order" and line.state == "first":
                self._tick(line.room, line.at).orders += 1

    # --- Drain ----------------------------------------------------------------------------------------------------------
    def drain(self) -> Rows:
        """All that was gathered, and begin anew."""
        rows = self._rows
        rows.comments = list(self._comments.values())
        rows.merged = sorted(self._merged.values(), key=lambda row: (row.room, row.id))
        # In the order of their keys: two writers never wait for each other crosswise.
        rows.counts = [self._counts[key] for key in sorted(self._counts)]
        rows.heights = [self._heights[key] for key in sorted(self._heights)]
        rows.ticks = [self._ticks[key] for key in sorted(self._ticks)]
        rows.words = [self._words[key] for key in sorted(self._words)]
        rows.broadcasts = [self._broadcasts[key] for key in sorted(self._broadcasts)]
        rows.cards = [self._cards[key] for key in sorted(self._cards)]
        self._clear()
        return rows

    # --- Private --------------------------------------------------------------------------------------------------------
    def _comment(self, room: str, broadcast: str, comment: Comment) -> None:
        if comment.redacted:
            return
        person = comment.u
        more = {
            "style": comment.style,
            "paid": comment.paid,
            "reply_to": comment.reply_to.id if comment.reply_to else None,
            "late": comment.late or None,
        }
        said = {name: value for name, value in more.items() if value is not None}
        self._comments[room, comment.id] = CommentRow(
            room, broadcast, comment.id, comment.at, person.id, person.name, person.role, comment.text, comment.n, comment.lane,
            msgspec.json.encode(said).decode() if said else "",
        )  # fmt: skip
        words = words_of(comment.text)
        for word in words:
            self._say(room, broadcast, word, comment.n)
        if len(self._lately) >= LATELY_MAX:
            del self._lately[next(iter(self._lately))]
        self._lately[room, comment.id] = (words, comment.n)

    def _merge(self, room: str, broadcast: str, comment: str, n: int) -> None:
        words, before = self._lately.get((room, comment), (set[str](), n))
        for word in words:
            self._say(room, broadcast, word, max(0, n - before))
        self._lately[room, comment] = (words, max(n, before))
        known = self._comments.get((room, comment))
        if known is not None:
            known.n = max(known.n, n)
        else:
            self._merged[room, comment] = Merged(room, comment, n)

    def _say(self, room: str, broadcast: str, word: str, n: int) -> None:
        row = self._words.get((room, broadcast, word))
        if row is None:
            row = self._words[room, broadcast, word] = Word(room, broadcast, word, 0)
        row.n += n

    def _tally(self, room: str, broadcast: str, tally: Tally, at: int) -> None:
        figures = {"in": tally.in_, "shown": tally.shown, "merged": tally.merged, "sampled": tally.sampled, "held": tally.held}
        for name, n in (figures | {REJECTED + code: n for code, n in tally.rejected.items()}).items():
            if n:
                self._count(room, broadcast, name, n)
        tick = self._tick(room, at)
        tick.comments += tally.in_
        tick.shown += tally.shown

    def _state(  # noqa: PLR0917 - a patch, and where it stands
        self, room: str, broadcast: str, epoch: str, seq: int, at: int, state: dict[str, Json], *, whole: bool
    ) -> None:
        kinds: tuple[tuple[CardKind, str], ...] = (("product", "products"), ("poll", "polls"), ("drop", "drops"))
        for kind, name in kinds:
            for id_, told in (state.get(name) or {}).items():
                if isinstance(told, dict):
                    # Who won a drop stands in the ledger, where a person can be forgotten.
                    patch = {key: told[key] for key in DROP_KEPT if key in told} if kind == "drop" else told
                    self._card(room, broadcast, kind, id_, at, patch, whole=whole)
        if "on_air" in state and not (whole and state["on_air"] is None):
            self._rows.moments.append(Moment(room, broadcast, epoch, seq, at, "on_air", state["on_air"] or ""))
        if "status" in state:
            self._rows.moments.append(Moment(room, broadcast, epoch, seq, at, "status", "", str(state["status"])))

    def _card(  # noqa: PLR0917 - likewise
        self, room: str, broadcast: str, kind: CardKind, id_: str, at: int, patch: dict[str, Json], *, whole: bool
    ) -> None:
        key = (room, broadcast, kind, id_)
        known = self._cards.get(key)
        if known is None or whole:
            self._cards[key] = Card(room, broadcast, kind, id_, at, merge({}, patch) if whole else patch, whole)
        else:
            self._cards[key] = Card(room, broadcast, kind, id_, at, combined(known.doc, patch), known.whole)

    def _event(self, room: str, broadcast: str, frame: Frame, event: Custom) -> None:
        self._rows.moments.append(Moment(room, broadcast, frame.epoch, frame.seq, event.at, "event", event.id, event.type))

    def _count(self, room: str, broadcast: str, name: str, n: int) -> None:
        row = self._counts.get((room, broadcast, name))
        if row is None:
            row = self._counts[room, broadcast, name] = Count(room, broadcast, name, 0)
        row.n += n

    def _tick(self, room: str, at: int) -> Tick:
        begin = at - at % BUCKET_MS
        row = self._ticks.get((room, begin))
        if row is None:
            row = self._ticks[room, begin] = Tick(room, begin)
        return row

    def _broadcast(self, room: str, broadcast: str) -> BroadcastRow:
        row = self._broadcasts.get((room, broadcast))
        if row is None:
            row = self._broadcasts[room, broadcast] = BroadcastRow(room, broadcast)
        return row


def combined(first: Any, then: Any) -> Any:
    """One merge patch that does what two do after each other. (`patch.merge` would forget what the first takes away.)"""
    if not isinstance(first, dict) or not isinstance(then, dict):
        return then
    return {**first, **{name: combined(first.get(name), value) for name, value in then.items()}}


# --- Money ------------------------------------------------------------------------------------------------------------
def money_of(shard: int, entry: BookEntry) -> list[MoneyRow]:
    """The lines of a ledger entry. What has no value and nobody's name (a cleared note, an operator's confirmation) has none."""
    fact, at, position = entry.fact, entry.at, entry.position

    def line(kind: str, *, room: str = "", broadcast: str = "", user: str = "", ref: str = "", amount: int = 0,
             other: str = "", state: str = "", number: int = 0, **data: Json) -> MoneyRow:  # fmt: skip
        told = {name: value for name, value in data.items() if value not in (None, "", 0)}
        text = msgspec.json.encode(told).decode() if told else ""
        return MoneyRow(shard, position, number, at, kind, room, broadcast, user, ref, amount, other, state, text)

    match fact:
        case WalletMoved():
            kind = "credit" if fact.amount >= 0 else "debit"
            lines = [line(kind, user=fact.user, ref=fact.tx, amount=fact.amount, balance=fact.balance, booking=fact.number)]
        case GiftDebited(gift=gift):
            lines = [line("gift_debit", room=gift.room, broadcast=gift.broadcast, user=gift.user, ref=gift.tx,
                         amount=-gift.value, balance=fact.balance, booking=fact.number)]  # fmt: skip
        case GiftCommitted(gift=gift) | GiftReversed(gift=gift):
            kind = "gift" if isinstance(fact, GiftCommitted) else "gift_reversed"
            lines = [line(kind, room=gift.room, broadcast=gift.broadcast, user=gift.user, ref=gift.tx, amount=gift.value,
                         other=gift.to, gift=gift.gift, n=gift.n, paid=gift.paid)]  # fmt: skip
        case DropChanged(drop=drop):
            lines = [line("drop", room=drop.room, ref=drop.id, amount=drop.terms.stock, state=drop.state, step=fact.step,
                         left=drop.left, granted=drop.granted, returned=drop.returned, opened_at=drop.opened_at,
                         closed_at=drop.closed_at, entrants=drop.entrants, test=drop.terms.test or None)]  # fmt: skip
        case UnitsGranted():
            # The last unit says so: that is when the drop was sold out.
            # (Made without `line`: thousands win in a second, and that took twice as long.)
            room, ref, state = fact.room, fact.drop, "reserved" if fact.expires_at else "granted"
            lines = [MoneyRow(shard, position, number, at, "granted", room, "", grant.user, ref, grant.serial, "", state)
                    for number, grant in enumerate(fact.grants)]  # fmt: skip
            if fact.left == 0 and lines:
                lines[-1].data = SOLD_OUT
        case PotEntered():
            lines = [line("entered", room=fact.room, user=each.user, ref=fact.drop, amount=each.number, number=number)
                    for number, each in enumerate(fact.entrants)]  # fmt: skip
        case UnitsChanged():
            lines = [line("unit", room=fact.room, user=unit.user, ref=fact.drop, amount=unit.serial, number=number,
                         state=fact.became, order=fact.order_id, price=fact.amount, currency=fact.currency,
                         returned=fact.returned or None, reason=fact.reason)
                    for number, unit in enumerate(fact.units)]  # fmt: skip
        case OrderTaken(order=order):
            lines = [line("order", room=fact.room, user=order.user, ref=order.order_id, amount=order.amount,
                         state="first" if fact.first else "again", sku=order.sku, currency=order.currency,
                         status=order.status, drop=order.drop, serial=order.serial)]  # fmt: skip
        case _:
            lines = []
    return lines
