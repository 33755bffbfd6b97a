"""The way of a comment: which check answers first, what each costs, what is remembered for a repeated cid."""

from __future__ import annotations

from typing import Any

import pytest

from livecast.core.chat.held import HELD_MAX
from livecast.core.errors import Refusal
from livecast.core.events import Ask, Done, EdgeRefused, Origin, Person, Said, Verdict
from livecast.core.filter.words import WordFilter
from support.driven import HERE, SERVICE, Driven, person, said, told

HOST = Person("host", "Host", role="host")


def test_a_comment_is_shown_with_the_next_frame() -> None:
    """After quiet at once, then every tick; the answer names the comment and the frame that shows it."""
    room = Driven()
    assert room.feed(1000, said("ann", "hi")) == [None]
    room.feed(1050, said("bob", "hello"))
    assert [f.ts for f in room.frames] == [1000]
    room.run(2000)
    assert [(f.ts, f.seq, [c.text for c in f.comments]) for f in room.frames] == [(1000, 1, ["hi"]), (1200, 2, ["hello"])]
    assert room.answer("hi") == Verdict("shown", id="epoch001-1", seq=1)
    assert room.answer("hello") == Verdict("shown", id="epoch001-2", seq=2)
    assert [c.at for c in room.comments] == [1000, 1050]
    assert room.room.next_flush_at() is None


@pytest.mark.parametrize(
    ("message", "code", "field"),
    [
        (said("u", ""), "invalid", "text"),
        (said("u", " \u200b\n"), "invalid", "text"),
        (said("u", "x" * 201), "too_large", "text"),
        (said("u", "x" * 5000), "too_large", "text"),
        (said("u", "hi", reply_to="epoch001-99"), "invalid", "reply_to"),
        (said("u", "hi", style={"mode": "top"}), "invalid", "style"),
        (said("u", "hi", style={"color": 1}), "invalid", "style"),
        (said("u", "hi", style={"color": -1}), "invalid", "style"),
        (said("u", "hi", meta={"a": "x" * 512}), "too_large", "meta"),
        (said("u", "hi", meta={"a": 2**60}), "invalid", "meta"),
    ],
)
def test_a_bad_form_is_refused_at_once_and_uses_up_nothing(message: Said, code: str, field: str) -> None:
    """It says which field was at fault; neither burst nor slow mode know of it; it counts in the tally."""
    room = Driven(policy={"slow_mode_s": 5, "styles": {"color": False, "modes": ["scroll"]}})
    for n in range(5):
        [refusal] = room.feed(
            1000 + n, Said(HERE, message.person, f"bad{n}", message.text, 0, message.reply_to, (), message.style, message.meta)
        )
        assert isinstance(refusal, Refusal)
        assert (refusal.code, refusal.field) == (code, field)
    room.feed(1010, said("u", "good"))
    room.run(3000)
    assert room.fate("good") == "shown"
    assert room.tally() == {"in": 6, "shown": 1, code: 5}


def test_length_is_counted_in_code_points_after_cleaning() -> None:
    """200 emoji are as long as 200 letters, and what is taken out does not count."""
    room = Driven()
    room.feed(1000, said("u", "\U0001f600" * 200, "emoji"), said("v", "\u200b" * 300 + "x" * 200 + "  ", "padded"))
    room.run(2000)
    assert (room.fate("emoji"), room.fate("padded")) == ("shown", "shown")


CHECKS: list[tuple[str, dict[str, Any], Said, str]] = [
    ("not live", {"status": "ended"}, said("muted", "x" * 300), "room_not_live"),
    ("form", {}, said("muted", "x" * 300), "too_large"),
    ("mute", {"policy": {"mode": "staff"}}, said("muted", "hi"), "muted"),
    ("mode", {"policy": {"mode": "staff", "slow_mode_s": 9}}, said("quick", "hi"), "forbidden"),
    ("level", {"policy": {"mode": "level", "min_level": 3}}, said(person("quick", level=2), "hi"), "forbidden"),
    ("slow mode", {"policy": {"slow_mode_s": 9}}, said("quick", "hi"), "slow_mode"),
    ("pace", {}, said("quick", "same"), "rate_limited"),
    ("same text", {}, said("twice", "SAME!!"), "repeated_text"),
    ("words", {}, said("new", "a damn thing"), "blocked"),
]


@pytest.mark.parametrize(("setting", "message", "code"), [c[1:] for c in CHECKS], ids=[c[0] for c in CHECKS])
def test_the_order_of_the_checks(setting: dict[str, Any], message: Said, code: str) -> None:
    """Live, form, mute, mode, slow mode, pace, same text, words: the first that speaks against a comment answers."""
    room = Driven()
    room.room.load_rules(WordFilter(block=["damn"]), None)
    room.feed(0, told("policy", patch={"slow_mode_s": 1}))
    room.feed(500, told("mute", user="muted"))
    room.feed(1000, said("quick", "one", "q1"), said("twice", "same", "t1"))
    room.feed(1500, told("policy", patch={"slow_mode_s": 0}))
    room.feed(2000, said("quick", "two", "q2"), said("quick", "three", "q3"), said("quick", "same", "q4"))
    if "policy" in setting:
        room.feed(2000, told("policy", patch=setting["policy"]))
    if setting.get("status") == "ended":
        room.feed(2000, told("end"))
    [refusal] = room.feed(2000, message)
    assert isinstance(refusal, Refusal)
    assert refusal.code == code


def test_staff_and_services_skip_what_is_meant_for_the_crowd() -> None:
    """Mode, slow mode, pace, same text and budget are not for them; the word filter and mutes are."""
    room = Driven(policy={"mode": "staff", "slow_mode_s": 60, "chat_budget_per_s": 0})
    room.room.load_rules(WordFilter(block=["damn"]), None)
    room.feed(1000, *(said(who, "again", f"{who.id}{n}") for n in range(20) for who in (HOST, SERVICE)))
    assert room.tally() == {"in": 40, "shown": 40}
    assert {c.lane for c in room.comments} == {0}
    room.feed(2000, said(HOST, "damn", "d"), told("mute", user="host"), said(HOST, "hello", "m"))
    assert (room.fate("d"), room.fate("m")) == ("blocked", "muted")


def test_slow_mode_counts_accepted_comments_only() -> None:
    """The wait is told to the millisecond, being refused does not make it longer, and levels are let in from theirs on."""
    room = Driven(policy={"slow_mode_s": 5})
    room.feed(1000, said("u", "one"))
    assert room.feed(3000, said("u", "two")) == [Refusal("slow_mode", retry_after_ms=3000)]
    assert room.feed(5999, said("u", "two")) == [Refusal("slow_mode", retry_after_ms=1)]
    assert room.feed(6000, said("u", "two")) == [None]
    room.feed(7000, told("policy", patch={"mode": "level", "min_level": 3}))
    assert room.feed(7000, said(person("v", level=3), "in")) == [None]


def test_every_new_comment_counts_for_the_pace_also_a_refused_one() -> None:
    """Blocked and repeated ones use up the burst; what the pace refused uses up nothing, and may be tried again."""
    room = Driven()
    room.room.load_rules(WordFilter(block=["damn"]), None)
    refusals = room.feed(1000, said("u", "ok"), said("u", "damn"), said("u", "ok", "again"), said("u", "more"))
    assert refusals == [None, Refusal("blocked"), Refusal("repeated_text"), Refusal("rate_limited", retry_after_ms=1000)]
    assert room.feed(1999, said("u", "more")) == [Refusal("rate_limited", retry_after_ms=1)]
    assert room.feed(2000, said("u", "more")) == [None]
    room.run(4000)
    assert room.tally() == {"in": 6, "shown": 2, "blocked": 1, "repeated_text": 1, "rate_limited": 2}


@pytest.mark.parametrize(("gap", "code"), [(29_999, "repeated_text"), (30_000, "shown")])
def test_the_same_text_again_within_thirty_seconds(gap: int, code: str) -> None:
    """However it is dressed, by the same person; a refused repeat does not make it longer."""
    room = Driven()
    room.feed(1000, said("u", "buy mine"))
    room.feed(20_000, said("u", "BUY MINE!!", "early"))
    room.feed(1000 + gap, said("u", "Ｂｕｙ ｍｉｎｅ", "again"))
    room.run(40_000)
    assert room.fate("early") == "repeated_text"
    assert room.fate("again") == code


def test_a_repeated_cid_gets_the_first_final_answer_again() -> None:
    """Over another connection too; nothing is shown or counted twice; another body is a conflict, not counted either."""
    room = Driven()
    room.room.load_rules(WordFilter(block=["damn"]), None)
    first, second = Origin("n1", 1), Origin("n2", 2)
    ann = person("ann")
    shown, blocked = (Said(first, ann, cid, text, 7) for cid, text in (("a", "hi"), ("b", "damn")))
    room.feed(1000, shown, blocked)
    again = [Said(second, ann, "a", "hi", 7), Said(second, ann, "b", "damn", 7), Said(second, ann, "a", "ho", 8)]
    assert room.feed(5000, *again) == [None, Refusal("blocked"), Refusal("conflict")]
    assert room.flushes[-1].replies == [(second, "a", Verdict("shown", id="epoch001-1", seq=1))]
    assert room.flushes[-1].frame is None
    room.feed(9000, Said(second, person("bob"), "a", "hi", 7))
    room.run(20_000)
    assert room.tally() == {"in": 3, "shown": 2, "blocked": 1}


def test_a_cid_repeated_while_it_waits_is_answered_on_both_connections() -> None:
    """Two sockets that send the same at once hear the same."""
    room = Driven()
    room.feed(1000, said("x", "first"))
    one, two = Origin("n1", 1), Origin("n2", 2)
    answers = room.feed(
        1010, Said(one, person("u"), "a", "hi", 7), Said(two, person("u"), "a", "hi", 7), Said(two, person("u"), "a", "ho", 8)
    )
    assert answers == [None, None, Refusal("conflict")]
    room.run(2000)
    assert [(o, a) for o, _, a in room.flushes[-1].replies] == [(o, Verdict("shown", id="epoch001-2", seq=2)) for o in (one, two)]
    assert room.tally() == {"in": 2, "shown": 2}


def test_an_answer_is_forgotten_after_ten_minutes() -> None:
    """Then the same cid is a new comment; what time can change was never remembered at all."""
    room = Driven()
    room.feed(1000, said("u", "hi", "a"))
    room.feed(601_000, said("u", "hi", "a"))
    assert len(room.comments) == 1
    room.feed(601_001, said("u", "hi", "a"))
    room.run(602_000)
    assert len(room.comments) == 2
    room.feed(700_000, told("pause"))
    room.feed(700_001, said("u", "now", "p"))
    room.feed(700_002, told("resume"))
    room.feed(700_003, said("u", "now", "p"))
    room.run(800_000)
    assert room.fate("p") == "shown"


def test_a_reply_quotes_what_it_answers() -> None:
    """Sixty code points of it, by whom; a name that is not known any more is refused."""
    room = Driven()
    room.feed(1000, said("ann", "y" * 100, "q"))
    room.feed(2000, said("bob", "yes", "r", reply_to="epoch001-1"))
    quote = room.comments[-1].reply_to
    assert quote is not None
    assert (quote.id, quote.u, quote.text) == ("epoch001-1", person("ann"), "y" * 60)
    room.feed(3000, told("redact", comments=["epoch001-1"]))
    assert room.feed(4000, said("bob", "no", reply_to="epoch001-1"))[0] == Refusal(
        "invalid", "The comment replied to is not known any more.", field="reply_to"
    )


@pytest.mark.parametrize("what", [{"comments": ["epoch001-1"]}, {"users": ["ann"]}])
def test_a_redacted_text_does_not_live_on_in_quotes(what: dict[str, Any]) -> None:
    """Neither what late joiners are shown, nor a reply that was on its way, nor a held one, repeats it; the replies stay."""
    room = Driven()
    room.room.load_rules(WordFilter(hold=["scam"]), None)
    room.feed(1000, said("ann", "secret", "q"))
    room.feed(2000, said("bob", "yes", "r", reply_to="epoch001-1"), said("cyn", "a scam", "h", reply_to="epoch001-1"))
    room.feed(3000, said("dan", "really?", "s", reply_to="epoch001-1"), told("redact", **what))
    room.run(4000)
    assert [c.text for c in room.room.recent] == ["yes", "really?"]
    assert [c.reply_to for c in room.room.recent] == [None, None]
    assert [c.reply_to for c in room.frames[-1].comments] == [None]
    held = room.room.receive(Ask(HERE, SERVICE, "held", cid="a"), 5000)
    assert isinstance(held, Done)
    assert [c.get("reply_to") for c in held.value["data"]] == [None]


def test_what_a_comment_carries_reaches_the_screen() -> None:
    """Style, mentions and meta as they were, the known parts of a style only."""
    room = Driven()
    room.feed(1000, said("u", "hi", style={"color": 0xFF0000, "mode": "top", "size": 9}, mentions=("bob",), meta={"a": [1, None]}))
    [comment] = room.comments
    assert (comment.style, comment.mentions, comment.meta) == ({"color": 0xFF0000, "mode": "top"}, ("bob",), {"a": [1, None]})


def test_masked_and_held_comments() -> None:
    """A masked one is shown with stars; a held one waits, is answered so, counted so, and can be looked at."""
    room = Driven()
    room.room.load_rules(WordFilter(mask=["shit"], hold=["scam"]), None)
    room.feed(1000, said("u", "oh shit", "m"), said("v", "a scam", "h"))
    assert [c.text for c in room.comments] == ["oh ****"]
    assert room.answer("h").verdict == "held"
    assert room.tally() == {"in": 2, "shown": 1, "held": 1}
    done = room.room.receive(Ask(HERE, SERVICE, "held"), 2000)
    assert isinstance(done, Done)
    [held] = done.value["data"]
    assert (held["id"], held["text"], held["late"]) == (room.answer("h").id, "a scam", True)
    for n in range(HELD_MAX + 50):
        room.feed(3000 + n, said(f"u{n}", f"scam {n}"))
    room.run(10_000)
    done = room.room.receive(Ask(HERE, SERVICE, "held", {"limit": 200}), 10_000)
    assert isinstance(done, Done)
    assert len(done.value["data"]) == HELD_MAX


def test_what_nodes_refused_belongs_into_the_tally() -> None:
    """A tally with nothing else to say comes at once, then at most once a second, and rides with any other frame."""
    room = Driven()
    room.feed(1000, EdgeRefused("n", {"too_large": 2, "bad": 0}))
    room.feed(1100, EdgeRefused("n", {"rate_limited": 3}))
    room.feed(1900, EdgeRefused("n", {"rate_limited": 1}))
    room.run(1999)
    assert [f.ts for f in room.frames] == [1000]
    room.run(2500)
    assert [f.ts for f in room.frames] == [1000, 2000]
    room.feed(2600, EdgeRefused("n", {"rate_limited": 1}), said("u", "hi"))
    assert [f.ts for f in room.frames] == [1000, 2000, 2600]
    assert room.tally() == {"in": 8, "shown": 1, "too_large": 2, "rate_limited": 5}
    assert room.room.next_flush_at() is None


def test_over_the_budget_the_rest_is_sampled_and_told() -> None:
    """Of a thousand in a second forty are shown; the others are answered `sampled` with the number of a frame."""
    room = Driven()
    room.feed(1000, *(said(f"u{n}", f"text {n}", f"c{n}") for n in range(1000)))
    room.run(3000)
    assert room.tally() == {"in": 1000, "shown": 40, "sampled": 960}
    assert {room.answer(f"c{n}").seq for n in range(1000)} == {1}
    assert [c.at for c in room.comments] == sorted(c.at for c in room.comments)
