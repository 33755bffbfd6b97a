"""Gifts on the screen: what a tier may say, combos that grow and end once, paid comments, the way from the ledger."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from livecast.core.books import bookkeeping
from livecast.core.errors import Refusal
from livecast.core.events import GiftShown, Person
from livecast.core.filter.words import WordFilter
from livecast.core.frames import Combo
from livecast.core.money import coins as money
from livecast.core.money import gifts
from livecast.core.show.combos import OPEN_MAX, TXS_MAX, Combos
from livecast.core.show.trade import GIFTS_PER_FRAME_MAX
from support.driven import Driven, gave, said, taken_back, told


def lines(room: Driven) -> list[tuple[int, str, str, int, int, bool]]:
    """(at, combo, giver, n, value, done) of everything said about gifts."""
    return [(f.ts, c.combo, c.u.id, c.n, c.value, c.done) for f in room.frames for c in f.gifts]


# --- Combos -----------------------------------------------------------------------------------------------------------
def test_a_run_of_gifts_is_one_line_that_grows_and_ends_once() -> None:
    """At once, then with each tick; three seconds inclusive go on, longer ends it; the next gift is another combo."""
    room = Driven()
    room.feed(1000, gave(11, "ann", n=2, value=20))
    room.feed(1050, gave(12, "ann", value=10))
    room.feed(1100, gave(13, "ann", value=10))
    room.feed(4100, gave(14, "ann", n=99, value=990))
    room.feed(7101, gave(15, "ann", value=10))
    room.run(20_000)
    assert lines(room) == [
        (1000, "gb", "ann", 2, 20, False),
        (1200, "gb", "ann", 4, 40, False),
        (4100, "gb", "ann", 103, 1030, False),
        (7101, "gb", "ann", 103, 1030, True),
        (7301, "gf", "ann", 1, 10, False),
        (10_102, "gf", "ann", 1, 10, True),
    ]
    assert room.room.next_flush_at() is None


def test_another_giver_gift_or_host_is_another_combo() -> None:
    """They grow side by side, and each says whom it is for."""
    room = Driven()
    room.feed(1000, gave(1, "ann"), gave(2, "bob"), gave(3, "ann", "heart", tier=2), gave(4, "ann", to="h"), gave(5, "ann"))
    assert [(c.u.id, c.gift, c.tier, c.n) for c in room.combos] == [
        ("ann", "rose", 1, 2),
        ("bob", "rose", 1, 1),
        ("ann", "heart", 2, 1),
        ("ann", "rose", 1, 1),
    ]
    assert msgspec.to_builtins(room.combos[3])["to"] == "h"
    assert "to" not in msgspec.to_builtins(room.combos[0])


def test_gifts_are_shown_also_when_the_room_is_not_live() -> None:
    """Whoever paid sees it, before the show and after it."""
    room = Driven()
    room.feed(1000, told("end"))
    room.feed(2000, gave(1, "ann"))
    assert [c.n for c in room.combos] == [1]


def test_a_backlog_is_told_in_order_and_not_cut_up() -> None:
    """More gifts than a frame holds: the rest with the next ticks, nobody's run ends because others had to wait."""
    room = Driven()
    n = 2 * GIFTS_PER_FRAME_MAX + 500
    room.feed(1000, *(gave(i + 1, f"u{i % 2}") for i in range(n)))
    assert room.room.gifts_waiting == n - GIFTS_PER_FRAME_MAX
    room.run(10_000)
    assert [(f.ts, sum(c.n for c in f.gifts)) for f in room.frames] == [(1000, 1000), (1200, 2000), (1400, 2500), (4001, 2500)]
    assert room.room.gifts_waiting == 0
    assert [c.done for c in room.combos][-2:] == [True, True]


def test_a_long_backlog_keeps_the_pace_and_ends_nobodys_run() -> None:
    """Gifts that wait for longer than a combo stays open are still one combo, and frames come a tick apart."""
    room = Driven()
    n = 18 * GIFTS_PER_FRAME_MAX
    room.feed(1000, *(gave(i + 1, "ann") for i in range(n)))
    room.run(1000 + 17 * 200)
    assert [f.ts for f in room.frames] == list(range(1000, 1001 + 17 * 200, 200))
    assert {c.combo for c in room.combos} == {"g1"}
    assert [c.n for c in room.combos][-1] == n


def test_a_thousand_ends_are_told_with_the_ticks() -> None:
    """Runs that end at any millisecond do not make a frame each."""
    room = Driven()
    for i in range(500):
        room.feed(1000 + i, gave(i + 1, f"u{i}"))
    room.run(9000)
    assert sum(c.done for c in room.combos) == 500
    assert min(b.ts - a.ts for a, b in pairwise(room.frames)) == 200


def test_runs_end_in_the_order_in_which_they_rested() -> None:
    """Who began first and went on ends last."""
    room = Driven()
    for position, (at, user) in enumerate([(1000, "ann"), (2000, "bob"), (3000, "ann")], 1):
        room.feed(at, gave(position, user))
    room.run(9000)
    assert [(at, user) for at, _, user, _, _, done in lines(room) if done] == [(5001, "bob"), (6001, "ann")]


def test_a_reversed_gift_comes_off_its_combo_while_that_is_open() -> None:
    """Less of it, or done when nothing is left; a combo that is over stays as it was; another combo of the same is not touched."""
    room = Driven()
    first, second, third = gave(1, "ann", n=3), gave(2, "ann", n=2), gave(9, "ann", n=5)
    room.feed(1000, first, second)
    room.feed(2000, taken_back(3, first))
    room.feed(3000, taken_back(4, second), taken_back(5, second))
    room.feed(9000, third)
    room.feed(9500, taken_back(10, first))
    assert [(at, n, done) for at, _, _, n, _, done in lines(room)] == [
        (1000, 5, False),
        (2000, 2, False),
        (3000, 0, True),
        (9000, 5, False),
    ]


GIFTS = st.lists(
    st.tuples(
        st.sampled_from([0, 1, 150, 1000, 3000, 3001, 9000]),
        st.sampled_from("ab"),
        st.sampled_from(["rose", "heart"]),
        st.integers(1, 9),
    ),
    max_size=40,
)


@given(GIFTS, st.sets(st.integers(0, 39)))
def test_combos_tell_what_was_given_to_the_coin(story: list[tuple[int, str, str, int]], restarts: set[int]) -> None:
    """Whatever the gaps, also with new owners in between who hear everything from the start again: the last lines of all combos
    sum up to the gifts, each combo only grows, is done once, and after some silence all are done.
    """
    room, now, all_lines, ledger = Driven(), 1000, list[Combo](), list[GiftShown]()
    for i, (gap, user, gift, n) in enumerate(story):
        now += gap
        if i in restarts:
            room.run(now)
            all_lines += room.combos
            room = room.restart(now)
            room.feed(now, *ledger)
        ledger.append(gave(i + 1, user, gift, n, value=10 * n))
        room.feed(now, ledger[-1])
    room.run(now + 60_000)
    all_lines += room.combos
    by_id: dict[str, list[Combo]] = {}
    for line in all_lines:
        by_id.setdefault(line.combo, []).append(line)
    assert sum(run[-1].n for run in by_id.values()) == sum(n for *_, n in story)
    assert sum(run[-1].value for run in by_id.values()) == 10 * sum(n for *_, n in story)
    for run in by_id.values():
        assert [line.done for line in run] == [False] * (len(run) - 1) + [True]
        assert all(a.n <= b.n and a.value <= b.value for a, b in pairwise(run))
        assert len({(line.u.id, line.gift) for line in run}) == 1
    assert room.room.next_flush_at() is None


def test_open_combos_and_what_they_remember_are_bounded() -> None:
    """The one that rested longest ends early, nothing is lost of it; an old gift of a long run is not found any more."""
    combos = Combos()
    for i in range(OPEN_MAX + 2):
        combos.add(gave(i + 1, f"u{i}"), 1000)
    told_lines = {c.u.id: c for c in combos.drain()}
    assert [user for user, c in told_lines.items() if c.done] == ["u0", "u1"]
    assert len(combos._runs) == OPEN_MAX
    long_run = [gave(i + 1, "ann") for i in range(TXS_MAX + 1)]
    combos = Combos()
    for gift in long_run:
        combos.add(gift, 1000)
    combos.drain()
    combos.take_back(taken_back(99, long_run[0]))
    assert combos.drain() == ()
    combos.take_back(taken_back(99, long_run[1]))
    assert [c.n for c in combos.drain()] == [TXS_MAX]


# --- Paid comments ----------------------------------------------------------------------------------------------------
def test_a_paid_comment_costs_nothing_and_never_merges() -> None:
    """In the order of arrival among the others, with what was paid and how long it stays; outside tally and budget."""
    room = Driven(policy={"chat_budget_per_s": 0})
    room.feed(1000, said("bob", "hello"))
    room.feed(1010, gave(1, "ann", "heart", value=10, tier=2, text="hello"), said("cid", "hello"), said("dan", "hello"))
    room.feed(1020, gave(2, "ann", "rocket", value=1000, tier=3, text="hello"))
    room.run(3000)
    assert [(c.u.id, c.text, c.at, c.paid) for c in room.comments] == [
        ("ann", "hello", 1010, {"gift": "heart", "value": 10, "pin_s": 10}),
        ("ann", "hello", 1020, {"gift": "rocket", "value": 1000, "pin_s": 60}),
    ]
    assert room.tally() == {"in": 3, "sampled": 3}
    assert {c.lane for c in room.comments} == {1}
    assert room.room.recent == tuple(room.comments)
    room.feed(5000, said("zoe", "nice", reply_to=room.comments[0].id))
    assert room.fate("nice") == "sampled"  # known, or it were `invalid`


def test_paid_and_free_comments_stand_in_order_of_arrival() -> None:
    """Whatever it cost."""
    room = Driven()
    room.feed(900, said("bob", "0"))
    room.feed(1000, said("bob", "1"))
    room.feed(1010, gave(1, "ann", tier=2, text="2"))
    room.feed(1020, said("cid", "3"))
    room.run(2000)
    assert [c.text for c in room.comments] == ["0", "1", "2", "3"]
    assert len({c.id for c in room.comments}) == 4


def test_money_buys_no_way_around_the_rules() -> None:
    """Muted, blocked, redacted: the gift shows without its text; masked words are masked; held ones wait for a moderator."""
    room = Driven()
    room.room.load_rules(WordFilter(block=["damn"], mask=["shit"], hold=["scam"]), None)
    room.feed(1000, told("mute", user="m"))
    texts = [("m", "hi"), ("ann", "damn"), ("ann", "shit"), ("ann", "scam"), ("ann", "\u200b")]
    room.feed(2000, *(gave(i + 1, user, tier=2, text=text) for i, (user, text) in enumerate(texts)))
    assert [c.text for c in room.comments] == ["****"]
    assert {c.u.id: c.n for c in room.combos} == {"m": 1, "ann": 4}
    assert [(c.text, c.late) for c in room.room._parts.the_chat("e", 0).held] == [("scam", True)]
    room.feed(3000, gave(8, "bob"))
    room.feed(3010, gave(9, "ann", tier=2, text="too late"), told("redact", users=["ann"]))
    room.run(9000)
    assert [c.text for c in room.comments] == ["****"]
    room.feed(10_000, told("policy", patch={"mode": "staff"}))
    host = Person("host", "H", role="host")
    room.feed(11_000, gave(10, "bob", tier=2, text="hear me"), gave(11, host, tier=2, text="wait"))
    room.run(12_000)
    assert [c.text for c in room.comments] == ["****", "wait"]


@pytest.mark.parametrize(
    ("text", "tier", "answer"),
    [
        (None, 1, ""),
        ("hi", 1, Refusal("invalid", "This gift carries no text.", field="text")),
        (" h\u202ei ", 2, "hi"),
        ("x" * 100, 2, "x" * 100),
        ("x" * 101, 2, Refusal("too_large", "At most 100 characters with this gift.", field="text")),
        ("x" * 200, 3, "x" * 200),
        ("x" * 201, 3, Refusal("too_large", "At most 200 characters with this gift.", field="text")),
        ("\u200b", 3, Refusal("invalid", "Nothing is left of this text.", field="text")),
    ],
)
def test_a_text_is_judged_before_it_is_paid_for(text: str | None, tier: int, answer: str | Refusal) -> None:
    """By the gift's tier, after cleaning, inclusive."""
    assert gifts.paid_text(text, tier) == answer


def test_every_tier_of_the_catalogue_is_known() -> None:
    """A gift without a tier's rules could be sold and not shown; ids are used once."""
    assert {gift.tier for gift in gifts.CATALOGUE} == set(gifts.TIERS) == {1, 2, 3}
    assert len({gift.id for gift in gifts.CATALOGUE}) == len(gifts.CATALOGUE)


def test_the_catalogues_number_follows_its_content() -> None:
    """The same on every node, another when a price changes."""
    dearer = [msgspec.structs.replace(gifts.CATALOGUE[0], price=2), *gifts.CATALOGUE[1:]]
    assert gifts.catalogue_rev(gifts.CATALOGUE) == gifts.catalogue_rev(list(gifts.CATALOGUE)) != gifts.catalogue_rev(dearer)
    room = Driven(live=False)
    room.room.note_catalogue(7)
    room.feed(1000, told("ensure"))
    assert room.view.state["gifts"] == {"rev": 7, "url": "/v1/gifts"}


def test_a_gift_comes_from_the_ledger_as_it_was_given() -> None:
    """What the edge wrote into `about` is what the room shows."""
    about = gifts.about_of(Person("ann", "Ann", level=3, badges=("vip",)), 3, "hi")
    gift = money.Gift("ann/c1", "ann", "r", "b1", "rocket", 2, 2000, to="h", about=about)
    shown = gifts.shown(bookkeeping.GiftCommitted(gift, 2500), 77)
    assert (shown.position, shown.person.badges, shown.tier, shown.text, shown.to, shown.total) == (
        77,
        ("vip",),
        3,
        "hi",
        "h",
        2500,
    )
    back = gifts.taken_back(bookkeeping.GiftReversed(gift, "card", 500), 78)
    assert (back.tx, back.user, back.total) == (shown.tx, "ann", 500) == ("ann/c1", "ann", back.total)
    assert (back.n, back.value, back.to, back.position) == (2, 2000, "h", 78)
