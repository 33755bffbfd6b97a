"""Frames and ledger entries become rows."""

from __future__ import annotations

from typing import Any

import pytest

from livecast.core.books.bookkeeping import (
    BookEntry,
    DropChanged,
    GiftCommitted,
    GiftDebited,
    GiftReversed,
    Grant,
    OrderTaken,
    PendingCleared,
    PotEntered,
    ShardConfirmed,
    UnitsChanged,
    UnitsGranted,
    WalletMoved,
)
from livecast.core.events import Person
from livecast.core.frames import Comment, Frame, Likes, Merge, Redact, Snapshot, StaffAct, Tally, Viewers
from livecast.core.money.coins import Gift
from livecast.core.money.units import Drop, Entrant, Order, Terms
from livecast.core.records.chronicle import SOLD_OUT, Chronicle, combined, money_of
from livecast.core.room import Room
from livecast.core.rules import RoomRules
from livecast.core.tools.patch import merge
from support.driven import said, told

T = 1_700_000_000_000
ANN = Person("ann", "Ann", level=3)


def frame(seq: int, ts: int = T, **parts: Any) -> Frame:
    """A frame of epoch `e`."""
    return Frame("e", seq, ts, **parts)


def comment(number: int, text: str = "好看的口红", **more: Any) -> Comment:
    """A comment of the epoch."""
    return Comment(f"e-{number}", ANN, text, T + number, **more)


def test_a_comment_and_those_who_joined_it() -> None:
    """Merges of the same batch are in the row; later ones are rows of their own. Its words count for all who said it."""
    chronicle = Chronicle()
    styled = comment(1, n=3, style={"color": 255}, paid={"gift": "rose"})
    chronicle.take_frame("r", "b", frame(1, comments=(styled,)))
    chronicle.take_frame("r", "b", frame(2, merges=(Merge("e-1", 5),)))
    rows = chronicle.drain()
    assert [(row.id, row.at, row.user, row.n, row.more) for row in rows.comments] == [
        ("e-1", T + 1, "ann", 5, '{"style":{"color":255},"paid":{"gift":"rose"}}')
    ]
    assert {row.word: row.n for row in rows.words} == {"好看": 5, "口红": 5}
    chronicle.take_frame("r", "b", frame(3, merges=(Merge("e-1", 9), Merge("e-0", 4))))
    rows = chronicle.drain()
    assert [(row.id, row.n) for row in rows.merged] == [("e-0", 4), ("e-1", 9)]
    assert {row.word: row.n for row in rows.words} == {"好看": 4, "口红": 4}
    assert len(chronicle) == 0 == len(chronicle.drain())


def test_figures_are_added_up() -> None:
    """Tallies and likes by broadcast and by ten seconds; of viewers the highest."""
    chronicle = Chronicle()
    tally = Tally(10, 3, 2, 1, 1, {"muted": 3})
    for n in range(3):
        chronicle.take_frame(
            "r", "b", frame(n, T + n * 6_000, tally=tally, likes=Likes(5, 5 * (n + 1)), viewers=Viewers(9 - n, 7, 20 + n))
        )
    rows = chronicle.drain()
    assert {row.name: row.n for row in rows.counts} == {
        "in": 30, "shown": 9, "merged": 6, "sampled": 3, "held": 3, "rejected:muted": 9, "likes": 15,
    }  # fmt: skip
    assert [(t.at - T, t.comments, t.shown, t.likes, t.connections, t.users) for t in rows.ticks] == [
        (0, 20, 6, 10, 9, 7), (10_000, 10, 3, 5, 7, 7),
    ]  # fmt: skip
    assert [(b.id, b.users, b.peak) for b in rows.broadcasts] == [("b", 22, 7)]


def test_what_belongs_to_which_broadcast() -> None:
    """A frame counts for the broadcast it is handed in with, also when it tells of the next one."""
    chronicle = Chronicle()
    chronicle.take_frame("r", "b1", frame(1, tally=Tally(1, 1), state={"broadcast": "b2", "status": "live"}))
    chronicle.take_summary({"room": "r", "broadcast": "b2", "status": "live", "started_at": T, "title": "x"}, T)
    rows = chronicle.drain()
    assert {row.broadcast for row in rows.counts} == {"b1"}
    assert [(row.id, row.status, row.started_at, row.ended_at) for row in rows.broadcasts] == [("b2", "live", T, None)]


def test_a_broadcast_ends_once() -> None:
    """What is said of an ended one later makes it no longer. A room without a broadcast has no row."""
    chronicle = Chronicle()
    ended = {"room": "r", "broadcast": "b", "status": "ended", "started_at": T}
    chronicle.take_summary(ended, T + 5)
    chronicle.take_summary(ended, T + 50_000)
    chronicle.take_summary({"room": "q", "broadcast": "", "status": "scheduled"}, T)
    assert [(row.room, row.ended_at) for row in chronicle.drain().broadcasts] == [("r", T + 5)]


def test_redactions_staff_and_taps() -> None:
    """Comments that came as tombstones are no comments."""
    chronicle = Chronicle()
    chronicle.take_frame("r", "b", frame(1, comments=(Comment("e-9", redacted=True),), redact=Redact(("e-1",), ("bob",))))
    act = StaffAct(T, "mod", "Mod", "moderator", "mute", {"user": "bob", "for_s": 5}, "spam")
    forgotten = StaffAct(T, "mod", "Mod", "service", "forget_user", {"user": "bob"}, "")
    chronicle.take_acts("r", "b", "e", 7, [act, forgotten])
    chronicle.take_taps("r", "b", {"p": 3})
    chronicle.take_taps("r", "b", {"p": 8})
    rows = chronicle.drain()
    assert rows.comments == []
    assert [(row.id, row.user) for row in rows.redactions] == [("e-1", ""), ("", "bob")]
    assert [(row.number, row.line, row.who, row.what, row.whom, row.args, row.why) for row in rows.staff] == [
        (7, 0, "mod", "mute", "bob", '{"user":"bob","for_s":5}', "spam"),
        (7, 1, "mod", "forget_user", "", "{}", ""),
    ]
    assert [(row.name, row.n) for row in rows.heights] == [("tap:p", 8)]


def test_cards_and_moments() -> None:
    """Patches of a batch become one; a snapshot's is whole. What goes on air is a moment each time."""
    chronicle = Chronicle()
    chronicle.take_snapshot(
        "r", "b", Snapshot("e", 0, {"status": "live", "on_air": None, "polls": {"q": {"a": 1, "b": None}}}, {}, ()), T
    )
    chronicle.take_frame("r", "b", frame(1, state={"on_air": "p", "polls": {"q": {"a": 2}, "gone": None}}))
    chronicle.take_frame("r", "b", frame(2, state={"on_air": None, "products": {"p": {"title": "x"}}}))
    rows = chronicle.drain()
    assert [(row.kind, row.id, row.doc, row.whole) for row in rows.cards] == [
        ("poll", "q", {"a": 2}, True), ("product", "p", {"title": "x"}, False),
    ]  # fmt: skip
    assert [(row.seq, row.kind, row.ref, row.value) for row in rows.moments] == [
        (0, "status", "", "live"), (1, "on_air", "p", ""), (2, "on_air", "", ""),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ({"a": 1}, {"b": {"c": 2}}),
        ({"a": {"x": 1}}, {"a": {"x": None, "y": 2}}),
        ({"a": None}, {"a": 1}),
        ({"a": 1}, {"a": None}),
        ({}, {}),
    ],
)
def test_two_patches_as_one(first: Any, then: Any) -> None:
    """What they do after each other."""
    for start in ({}, {"a": 9}, {"a": {"x": 7}, "b": {"d": 1}}):
        assert merge(start, combined(first, then)) == merge(merge(start, first), then)


# --- Money ------------------------------------------------------------------------------------------------------------
GIFT = Gift("ann/c1", "ann", "r", "b", "rose", 2, 20, to="host")
DROP = Drop("r", "d", Terms(3), b"", "open", 3, 0, 0, 0, T, 1, opened_at=T)
GRANTS = (Grant(1, "ann", "c"), Grant(2, "bob", "c"))


def lines(fact: Any) -> list[tuple[Any, ...]]:
    """(line, kind, room, user, ref, amount, other, state, data) of an entry."""
    rows = money_of(3, BookEntry(9, T, fact))
    assert all((row.shard, row.position, row.at) == (3, 9, T) for row in rows)
    return [(row.line, row.kind, row.room, row.user, row.ref, row.amount, row.other, row.state, row.data) for row in rows]


@pytest.mark.parametrize(
    ("fact", "expected"),
    [
        (WalletMoved("ann", "t", -5, 95, 2, "key:k", "memo"),
         [(0, "debit", "", "ann", "t", -5, "", "", '{"balance":95,"booking":2}')]),
        (WalletMoved("ann", "t", 5, 0, 1, "key:k"), [(0, "credit", "", "ann", "t", 5, "", "", '{"booking":1}')]),
        (GiftDebited(GIFT, 80, 3), [(0, "gift_debit", "r", "ann", "ann/c1", -20, "", "", '{"balance":80,"booking":3}')]),
        (GiftCommitted(GIFT, 20), [(0, "gift", "r", "ann", "ann/c1", 20, "host", "", '{"gift":"rose","n":2,"paid":"wallet"}')]),
        (
            GiftReversed(GIFT, "why", 0),
            [(0, "gift_reversed", "r", "ann", "ann/c1", 20, "host", "", '{"gift":"rose","n":2,"paid":"wallet"}')],
        ),
        (DropChanged("open", DROP), [(0, "drop", "r", "", "d", 3, "", "open", f'{{"step":"open","left":3,"opened_at":{T}}}')]),
        (
            UnitsGranted("r", "d", 2, None, GRANTS, 0, "sold_out", 1),
            [(0, "granted", "r", "ann", "d", 1, "", "granted", ""), (1, "granted", "r", "bob", "d", 2, "", "granted", SOLD_OUT)],
        ),
        (
            UnitsGranted("r", "d", 5, T, GRANTS[:1], 3, "open", 0),
            [(0, "granted", "r", "ann", "d", 1, "", "reserved", "")],
        ),
        (PotEntered("r", "d", (Entrant(7, "ann", "c", "n", T),)), [(0, "entered", "r", "ann", "d", 7, "", "", "")]),
        (
            UnitsChanged("r", "d", GRANTS[:1], "confirmed", returned=False, freed=False, left=0, state="open",
                         order_id="o", amount=5, currency="EUR"),
            [(0, "unit", "r", "ann", "d", 1, "", "confirmed", '{"order":"o","price":5,"currency":"EUR"}')],
        ),
        (
            OrderTaken("r", Order("o", "ann", "s", 500, "EUR", "paid", "d", 1), first=True),
            [(0, "order", "r", "ann", "o", 500, "", "first", '{"sku":"s","currency":"EUR","status":"paid","drop":"d","serial":1}')],
        ),
        (PendingCleared("commit", "t"), []),
        (ShardConfirmed(5, 3), []),
    ],
)  # fmt: skip
def test_entries_become_lines(fact: Any, expected: list[Any]) -> None:
    """Each of its people a line; nobody is named but in the columns for it."""
    assert lines(fact) == expected
    for *_, data in lines(fact):
        assert "ann" not in data


def test_money_counts_in_its_ten_seconds() -> None:
    """Gifts and what they are worth, less reversed ones; claims; orders once, however often they change."""
    chronicle = Chronicle()
    order = Order("o", "ann", "s", 1, "EUR", "paid")
    facts: list[Any] = [
        GiftCommitted(GIFT, 20), GiftCommitted(GIFT, 40), GiftReversed(GIFT, "", 20),
        UnitsGranted("r", "d", 2, None, GRANTS, 0, "sold_out", 1),
        OrderTaken("r", order, first=True), OrderTaken("r", order, first=False),
    ]  # fmt: skip
    for position, fact in enumerate(facts):
        chronicle.take_entry(3, BookEntry(position, T + position, fact))
    (tick,) = chronicle.drain().ticks
    assert (tick.gifts, tick.gift_value, tick.claims, tick.orders) == (1, 20, 2, 1)


def test_what_came_before_a_start_counts_for_the_broadcast_before() -> None:
    """The frame that tells of a new broadcast carries what was refused until then: its commit says for which one it counts."""
    room = Room.create("r", "e1", RoomRules(), T)
    room.receive(told("ensure"), T)
    room.flush(T)
    first = room.broadcast
    assert room.counts_for == first
    room.receive(told("end"), T + 1_000)
    room.flush(T + 1_000)
    room.receive(said("ann", "too late"), T + 2_000)
    room.receive(told("start"), T + 2_000)
    flush = room.flush(T + 2_000)
    assert flush is not None
    assert flush.renew
    assert flush.frame is not None
    assert flush.frame.tally is not None
    assert flush.frame.tally.rejected == {"room_not_live": 1}
    assert room.broadcast != first
    assert room.counts_for == first
    room.begin_epoch("e2", T + 2_000)
    assert room.counts_for == room.broadcast
