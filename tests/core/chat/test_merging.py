"""Merging: when equal comments become one line, and with which number."""

from __future__ import annotations

from typing import Any

import pytest

from livecast.core.events import Person
from support.driven import Driven, person, said, told


def verdicts(room: Driven, *cids: str) -> list[str]:
    """What became of each."""
    return [room.fate(cid) for cid in cids]


def say_apart(room: Driven, *times: int, text: str = "好看") -> list[str]:
    """Somebody new says it at each of these times; what became of each."""
    for n, at in enumerate(times):
        room.feed(at, said(f"u{n}", text, f"c{n}"))
    room.run(times[-1] + 1000)
    return verdicts(room, *(f"c{n}" for n in range(len(times))))


def test_from_the_third_on_across_ticks() -> None:
    """Two are shown; the third joins the first, whose number counts all three; and so on."""
    room = Driven()
    assert say_apart(room, 1000, 2000, 3000, 4000) == ["shown", "shown", "merged", "merged"]
    first, second = room.comments
    assert room.numbers == {first.id: 4, second.id: 1}
    assert [m.n for f in room.frames for m in f.merges] == [3, 4]
    assert room.answer("c2").id == first.id
    assert room.view.recent[0].n == 4
    assert room.tally() == {"in": 4, "shown": 2, "merged": 2}


@pytest.mark.parametrize(("gap", "merged"), [(4999, True), (5000, True), (5001, False)])
def test_an_anchor_closes_after_five_idle_seconds(gap: int, merged: bool) -> None:
    """Exactly five seconds still merge."""
    assert say_apart(Driven(), 1000, 1000 + gap, 1000 + 2 * gap)[2] == ("merged" if merged else "shown")


@pytest.mark.parametrize(("age", "merged"), [(14_999, True), (15_000, False)])
def test_an_anchor_closes_at_fifteen_seconds(age: int, merged: bool) -> None:
    """However often it is repeated: its line has left the screen."""
    times = [1000, 5000, 9000, 13_000, 1000 + age]
    assert say_apart(Driven(), *times) == ["shown", "shown", "merged", "merged", "merged" if merged else "shown"]


def test_within_one_tick_from_three_on() -> None:
    """Two of a kind are shown both; three are one line with its number at once, the others merged into it."""
    room = Driven()
    room.feed(1000, said("x", "first"), *(said(f"u{n}", "twice", f"a{n}") for n in range(2)))
    room.feed(2000, *(said(f"u{n}", "thrice!"[: 6 + n % 2], f"b{n}") for n in range(3)))
    assert verdicts(room, "a0", "a1", "b0", "b1", "b2") == ["shown", "shown", "shown", "merged", "merged"]
    line = room.comments[-1]
    assert (line.text, line.n, line.u.id) == ("thrice", 3, "u0")
    assert {room.answer(c).id for c in ("b0", "b1", "b2")} == {line.id}
    assert not room.frames[-1].merges
    room.feed(3000, said("late", "thrice", "b3"))
    assert room.answer("b3").id == line.id
    assert room.numbers[line.id] == 4


def test_the_number_counts_people_not_comments() -> None:
    """One who repeats himself (where that is allowed) does not make it more, nor three of one."""
    room = Driven(repeated_text_ms=0, gcra_burst=10)
    room.feed(1000, *(said("u", "again", f"a{n}") for n in range(3)))
    assert verdicts(room, "a0", "a1", "a2") == ["shown", "shown", "shown"]
    room.feed(2000, said("v", "again", "b"), said("w", "again", "c"))
    assert verdicts(room, "b", "c") == ["shown", "merged"]
    room.feed(3000, said("w", "again", "d"))
    assert room.fate("d") == "merged"
    assert room.numbers[room.comments[0].id] == 3
    assert sum(bool(f.merges) for f in room.frames) == 1


@pytest.mark.parametrize("more", [{"mentions": ("u1",)}, {"reply_to": True}])
def test_replies_and_mentions_stand_alone(more: dict[str, Any]) -> None:
    """They are meant for somebody, so they are shown each."""
    room = Driven()
    room.feed(1000, said("x", "what?", "q"))
    if "reply_to" in more:
        more = {"reply_to": room.comments[0].id}
    room.feed(2000, *(said(f"u{n}", "yes", f"c{n}", **more) for n in range(5)))
    assert verdicts(room, *(f"c{n}" for n in range(5))) == ["shown"] * 5


def test_staff_are_never_merged() -> None:
    """Nor does anybody merge into what they say."""
    room = Driven()
    host = Person("host", "Host", role="host")
    room.feed(1000, said(host, "welcome", "h"))
    room.feed(2000, *(said(f"u{n}", "welcome", f"c{n}") for n in range(4)), said(host, "welcome", "h2"))
    assert verdicts(room, "h", "c0", "c1", "c2", "c3", "h2") == ["shown", "shown", "merged", "merged", "merged", "shown"]
    assert room.comments[1].n == 4


def test_merging_costs_no_budget_and_a_group_is_left_out_as_a_whole() -> None:
    """A full room still counts who joins a line that is on the screen; a group over the budget is sampled with all its people."""
    room = Driven(policy={"chat_budget_per_s": 1})
    room.feed(1000, said("u0", "go", "c0"))
    room.feed(1300, said("u1", "go", "c1"))
    room.feed(1310, said("x0", "other", "x0"), *(said(f"u{n}", "go", f"c{n}") for n in range(2, 50)))
    room.feed(1310, *(said(f"g{n}", "group", f"g{n}") for n in range(5)))
    room.run(1600)
    assert {room.fate(f"c{n}") for n in range(2, 50)} == {"merged"}
    assert room.numbers[room.comments[0].id] == 50
    assert len({room.fate(f"g{n}") for n in range(5)}) == 1
    assert {room.fate("g0"), room.fate("x0")} == {"sampled"}


def test_what_was_left_out_was_said_all_the_same() -> None:
    """One whose comment the budget left out counts among those who said it."""
    room = Driven(policy={"chat_budget_per_s": 1})
    room.feed(1000, said("u0", "go", "c0"))
    room.feed(1300, said("u1", "go", "c1"))
    room.feed(1600, said("u2", "go", "c2"))
    assert verdicts(room, "c0", "c1", "c2") == ["shown", "sampled", "merged"]
    assert room.numbers[room.comments[0].id] == 3


def test_a_group_has_the_best_seat_of_its_people() -> None:
    """One with a badge among those who say the same lifts the line that they share, which still names its first."""
    room = Driven(policy={"chat_budget_per_s": 2})
    crowd = [said(f"x{n}", f"other {n}") for n in range(30)]
    group = [said("g0", "go", "g0"), said(person("g1", badges=("vip",)), "go", "g1"), said("g2", "go", "g2")]
    room.feed(1000, *crowd, *group)
    assert verdicts(room, "g0", "g1", "g2") == ["shown", "merged", "merged"]
    line = next(c for c in room.comments if c.text == "go")
    assert (line.u.id, line.lane, line.n) == ("g0", 3, 3)


def test_of_two_at_once_the_one_left_out_said_it_too() -> None:
    """Only one of them fits on the screen; the third to say it joins that line, which then counts all three."""
    room = Driven(policy={"chat_budget_per_s": 1})
    room.feed(1000, said("u0", "go", "c0"), said("u1", "go", "c1"))
    assert sorted(verdicts(room, "c0", "c1")) == ["sampled", "shown"]
    room.feed(2000, said("u2", "go", "c2"))
    assert room.fate("c2") == "merged"
    assert room.numbers[room.comments[0].id] == 3


def test_nobody_joins_what_was_redacted() -> None:
    """After a redaction of the line, or of its author, the same text begins anew."""
    redactions: list[dict[str, Any]] = [{"users": ["u0"]}, {"comments": ["epoch001-2"]}]
    for redact in redactions:
        room = Driven()
        room.feed(1000, said("x", "first", "x"), *(said(f"u{n}", "bad", f"a{n}") for n in range(3)))
        assert room.comments[1].n == 3
        room.feed(1500, told("redact", **redact))
        room.feed(2000, said("v", "bad", "b"))
        assert room.fate("b") == "shown"
        assert [c.u.id for c in room.view.recent] == ["x", "v"]


def test_what_waits_is_not_shown_after_its_author_was_redacted() -> None:
    """A comment on its way when all of a user is taken off the screens never gets there, nor makes a group."""
    room = Driven()
    room.feed(1000, said("x", "first", "x"))
    room.feed(1100, *(said(f"u{n}", "bad", f"a{n}") for n in range(3)), told("redact", users=["u0"]))
    room.run(2000)
    assert verdicts(room, "a0", "a1", "a2") == ["sampled", "shown", "shown"]
    assert [c.u.id for c in room.comments] == ["x", "u1", "u2"]


def test_a_new_broadcast_begins_with_an_empty_screen() -> None:
    """Nothing merges into a line of the last show."""
    room = Driven()
    room.feed(1000, *(said(f"u{n}", "hi", f"a{n}") for n in range(5)))
    room.feed(2000, told("end"))
    room.feed(2500, told("start"))
    room.feed(3000, said(person("v"), "hi", "b"))
    assert room.fate("b") == "shown"
