"""Comments judged by somebody outside: what each answer does, what silence does, and that nobody else waits."""

from __future__ import annotations

from typing import Any

import pytest

from livecast.core.chat.review import WAITING_MAX, ReviewAsked
from livecast.core.events import Person, Reviewed
from livecast.core.filter.words import WordFilter
from support.driven import Driven, said, told

MOD = Person("mod", "Mod", role="moderator")


def reviewed(**policy: Any) -> Driven:
    """A room whose comments are judged within 200 ms."""
    room = Driven()
    room.room.have_reviewed(200)
    if policy:
        room.feed(500, told("policy", patch=policy))
    return room


def asked(room: Driven) -> list[ReviewAsked]:
    """What is to be judged."""
    return room.room.drain_reviews()


def texts(room: Driven) -> list[str]:
    """What was shown."""
    return [comment.text for comment in room.comments]


@pytest.mark.parametrize(
    ("answer", "shown", "fate", "held"),
    [
        ({"action": "allow"}, ["hello"], "shown", 0),
        ({"action": "deny"}, [], "blocked", 0),
        ({"action": "hold"}, [], "held", 1),
        ({"action": "edit", "text": " he\u200bllo! "}, ["hello!"], "shown", 0),
        ({"action": "edit", "text": ""}, [], "blocked", 0),
        ({"action": "edit", "text": "x" * 201}, [], "blocked", 0),
    ],
)
def test_what_an_answer_does(answer: dict[str, Any], shown: list[str], fate: str, held: int) -> None:
    """Shown, refused for good, held, or shown as edited; counted once."""
    room = reviewed()
    assert room.feed(1000, said("ann", "hello", "c1")) == [None]
    [ask] = asked(room)
    assert (ask.user, ask.text, ask.at, ask.due_at, ask.cid) == ("ann", "hello", 1000, 1200, "c1")
    room.feed(1100, Reviewed(ask.ticket, **answer))
    room.run(3000)
    assert (texts(room), room.fate("c1")) == (shown, fate)
    assert room.tally() == {"in": 1, fate: 1}
    assert room.feed(4000, said("ann", "hello", "c1"))[0] == (room.answer("c1") if fate == "blocked" else None)
    assert room.tally()["in"] == 1
    again = room.restart(5000)
    assert (len(again.room.snapshot().private.get("held", {})), room.feed(5000)) == (held, [])


@pytest.mark.parametrize(
    ("edit", "shown", "fate"),
    [("damn you", [], "blocked"), ("a scam", [], "held"), ("you dolt", ["you ****"], "shown"), ("fine", ["fine"], "shown")],
)
def test_what_was_edited_passes_the_word_filter_again(edit: str, shown: list[str], fate: str) -> None:
    """Whoever judges outside may not say what nobody may."""
    room = reviewed()
    room.room.load_rules(WordFilter(block=["damn"], hold=["scam"], mask=["dolt"]), None)
    room.feed(1000, said("ann", "hello", "c1"))
    [ask] = asked(room)
    room.feed(1100, Reviewed(ask.ticket, "edit", edit))
    room.run(3000)
    assert (texts(room), room.fate("c1")) == (shown, fate)
    assert room.tally() == {"in": 1, fate: 1}


@pytest.mark.parametrize(("review", "fate"), [("allow", "shown"), ("deny", "blocked"), ("hold", "held")])
def test_silence_is_decided_by_the_policy(review: str, fate: str) -> None:
    """At the deadline, not before; an answer that comes later changes nothing."""
    room = reviewed(review=review)
    room.feed(1000, said("ann", "hello", "c1"))
    [ask] = asked(room)
    room.run(1199)
    assert "c1" not in [cid for cid, _ in room.answers]
    room.run(1500)
    assert room.fate("c1") == fate
    room.feed(2000, Reviewed(ask.ticket, "deny"))
    room.run(3000)
    assert room.fate("c1") == fate
    assert room.tally()["in"] == 1


def test_others_do_not_wait_and_ones_own_words_keep_their_order() -> None:
    """Whoever is not judged is shown at once; what one says later waits for what one said before."""
    room = reviewed()
    room.feed(1000, said("ann", "one"), said("bob", "hi"), said(MOD, "staff"))
    first, second = asked(room)
    assert texts(room) == ["staff"]
    room.feed(1010, said("ann", "two"))
    [third] = asked(room)
    room.feed(1020, Reviewed(third.ticket, "allow"), Reviewed(second.ticket, "allow"))
    room.run(1190)
    assert texts(room) == ["staff"] or texts(room) == ["staff", "hi"]
    room.feed(1195, Reviewed(first.ticket, "allow"))
    room.run(2000)
    assert [text for text in texts(room) if text in {"one", "two"}] == ["one", "two"]
    assert set(texts(room)) == {"staff", "hi", "one", "two"}


def test_what_is_settled_is_not_asked_about() -> None:
    """Blocked and held by the word filter, staff, and where the policy says `off`; but it keeps its place in the order."""
    room = reviewed()
    room.room.load_rules(WordFilter(block=["damn"], hold=["scam"]), None)
    room.feed(1000, said("ann", "damn"), said("bob", "scam"), said(MOD, "hi"))
    assert asked(room) == []
    assert (room.fate("damn"), room.fate("scam")) == ("blocked", "held")
    room.feed(2000, said("cid", "one"))
    room.feed(2010, said("cid", "scam two"))
    [ask] = asked(room)
    assert "scam two" not in [cid for cid, _ in room.answers]
    room.feed(2020, Reviewed(ask.ticket, "allow"), told("policy", patch={"review": "off"}))
    room.run(3000)
    assert room.fate("scam two") == "held"
    room.feed(4000, said("dan", "two"))
    assert asked(room) == []
    assert texts(room)[-1] == "two"


def test_a_repeat_meanwhile_hears_the_same() -> None:
    """Over another connection, whatever the answer."""
    room = reviewed()
    room.feed(1000, said("ann", "one", "c1"), said("ann", "one", "c1"))
    [ask] = asked(room)
    room.feed(1100, Reviewed(ask.ticket, "deny"))
    room.run(2000)
    assert [cid for cid, _ in room.answers].count("c1") == 2
    assert room.tally() == {"in": 1, "blocked": 1}


def test_a_redaction_reaches_those_who_wait() -> None:
    """What comes of it later is not shown."""
    room = reviewed()
    room.feed(1000, said("ann", "one"))
    [ask] = asked(room)
    room.feed(1010, told("redact", users=["ann"]))
    room.feed(1100, Reviewed(ask.ticket, "allow"))
    room.run(2000)
    assert texts(room) == []
    assert room.fate("one") == "sampled"


@pytest.mark.parametrize("deed", ["mute", "ban"])
@pytest.mark.parametrize("silence", [False, True])
def test_who_is_silenced_meanwhile_says_nothing_more(deed: str, silence: bool) -> None:
    """A comment that was being judged is not shown after its author was muted or banned; time may change that."""
    room = reviewed()
    room.feed(1000, said("ann", "one", "c1"))
    [ask] = asked(room)
    room.feed(1050, told(deed, user="ann", for_s=5))
    if not silence:
        room.feed(1100, Reviewed(ask.ticket, "allow"))
    room.run(3000)
    assert (texts(room), room.fate("c1")) == ([], "muted")
    assert room.tally() == {"in": 1, "muted": 1}
    room.feed(40_000, said("ann", "one", "c1"))
    [ask] = asked(room)
    room.feed(40_100, Reviewed(ask.ticket, "allow"))
    room.run(41_000)
    assert texts(room) == ["one"]


def test_not_too_many_are_asked_about_at_once() -> None:
    """Beyond the bound the policy decides at once."""
    room = reviewed(chat_budget_per_s=1000)
    room.feed(1000, *(said(f"u{n}", f"text {n}", f"c{n}") for n in range(WAITING_MAX + 5)))
    assert len(asked(room)) == WAITING_MAX
    room.run(1100)
    assert len([cid for cid, _ in room.answers if cid and cid.startswith("c")]) == 5
