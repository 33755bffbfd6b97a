"""What staff have a room do: held comments, reports, moderators, the panic button, what only they see, and the log of it all."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from livecast.core.chat.held import HELD_MAX
from livecast.core.errors import Refusal
from livecast.core.events import Ask, Done, Person, Presence, Reported, Sold
from livecast.core.filter.words import WordFilter
from livecast.core.frames import Comment, Frame
from livecast.core.staff.reports import BURST, KEPT_MS, OPEN_MAX
from livecast.core.staff.transcript import COMMENTS_MAX
from support.driven import HERE, SERVICE, Driven, person, said, told

MOD = Person("mod", "Mod", role="moderator")


def ask(room: Driven, what: str, **args: Any) -> Any:
    """The answer's value."""
    done = room.room.receive(Ask(HERE, SERVICE, what, args), room.now)
    assert isinstance(done, Done), done
    return done.value


def reported(by: str, cid: str, /, **about: Any) -> Reported:
    """A report."""
    return Reported(HERE, person(by), cid, about.pop("reason", "rude"), body=hash(str(about)), **about)


def filtered() -> Driven:
    """A room that blocks `damn` and holds `scam`."""
    room = Driven()
    room.room.load_rules(WordFilter(block=["damn"], hold=["scam"]), None)
    return room


# --- Held -------------------------------------------------------------------------------------------------------------
def test_an_approved_comment_is_shown_late() -> None:
    """In the next frame, marked, not counted again; its author is told; it can be replied to."""
    room = filtered()
    room.feed(1000, said("ann", "a scam", "c1", meta={"a": None}))
    held = room.answer("c1").id
    room.feed(5000, told("judge_held", by=MOD, id=held, action="approve"))
    [shown] = room.comments
    assert (shown.id, shown.text, shown.at, shown.late, shown.meta) == (held, "a scam", 1000, True, {"a": None})
    assert room.tally() == {"in": 1, "held": 1}
    user, notice = room.notices[-1]
    assert (user, notice.kind, notice.data) == ("ann", "comment.approved", {"id": held, "room": "room", "text": "a scam"})
    assert ask(room, "held")["data"] == []
    assert room.feed(6000, said("bob", "no", reply_to=held)) == [None]


def test_a_rejected_comment_is_not_shown() -> None:
    """Its author is told why; nobody decides about it twice."""
    room = filtered()
    room.feed(1000, said("ann", "a scam", "c1"))
    held = room.answer("c1").id
    room.feed(2000, told("judge_held", id=held, action="reject", reason="ads"))
    assert room.comments == []
    assert room.notices[-1][1].kind == "comment.rejected"
    assert room.notices[-1][1].data["reason"] == "ads"
    [refusal] = room.feed(3000, told("judge_held", id=held, action="approve"))
    assert isinstance(refusal, Refusal)
    assert refusal.code == "not_found"


@pytest.mark.parametrize("sentence", ["ban", "mute"])
def test_what_somebody_banned_or_muted_said_before_is_not_shown_after_it(sentence: str) -> None:
    """Whoever approves it is told, and it waits on: it can be rejected, and shown once the sentence is taken back."""
    room = filtered()
    room.feed(1000, said("ann", "a scam", "c1"), said("ann", "scam again", "c2"))
    first, second = room.answer("c1").id, room.answer("c2").id
    room.feed(2000, told(sentence, user="ann"))
    [refusal] = room.feed(3000, told("judge_held", id=first, action="approve"))
    assert isinstance(refusal, Refusal)
    assert refusal.code == "conflict"
    assert (room.comments, len(ask(room, "held")["data"])) == ([], 2)
    room.feed(4000, told("judge_held", id=first, action="reject"), told(f"un{sentence}", user="ann"))
    room.feed(5000, told("judge_held", id=second, action="approve"))
    assert [shown.id for shown in room.comments] == [second]


def test_held_comments_outlive_their_owner() -> None:
    """Whole, in order, and what was decided stays decided."""
    room = filtered()
    room.feed(1000, said("ann", "a scam", "c1", meta={"a": None}), said("bob", "scam 2", "c2"), said("cid", "scam 3", "c3"))
    room.feed(2000, told("judge_held", id=room.answer("c2").id, action="reject"))
    again = room.restart(3000)
    assert [held["text"] for held in ask(again, "held")["data"]] == ["a scam", "scam 3"]
    again.feed(4000, told("judge_held", id=room.answer("c1").id, action="approve"))
    assert [(c.text, c.meta) for c in again.comments] == [("a scam", {"a": None})]
    assert [held["text"] for held in ask(again.restart(5000), "held")["data"]] == ["scam 3"]


def test_the_oldest_held_are_let_go_and_told() -> None:
    """What nobody looks at makes room, and its author hears of it."""
    room = filtered()
    for n in range(HELD_MAX + 1):
        room.feed(1000 + n, said(f"u{n}", "scam"))
    room.run(5000)
    assert len(ask(room, "held", limit=200)["data"]) == HELD_MAX
    assert [(user, notice.kind) for user, notice in room.notices] == [("u0", "comment.rejected")]


# --- Reports ----------------------------------------------------------------------------------------------------------
def test_reports_of_one_comment_are_one_line() -> None:
    """With a number, the first reasons, and each reporter once; acknowledged with the commit; the newest first."""
    room = Driven()
    room.feed(1000, said("ann", "buy elsewhere"), said("bob", "hello"))
    first, second = (c.id for c in room.comments)
    room.feed(2000, reported("x", "r1", comment=first), reported("y", "r2", comment=first, reason="spam"))
    room.feed(3000, reported("x", "r3", comment=first), reported("x", "r4", user="bob"))
    room.run(4000)
    assert [room.fate(cid) for cid in ("r1", "r2", "r3", "r4")] == ["reported"] * 4
    by_user, by_comment = ask(room, "reports")["data"]
    assert (by_user["user"], by_user["n"], "comment" in by_user) == ("bob", 1, False)
    assert (by_comment["comment"], by_comment["user"], by_comment["text"], by_comment["n"]) == (first, "ann", "buy elsewhere", 2)
    assert by_comment["reasons"] == [{"by": "x", "reason": "rude", "at": 2000}, {"by": "y", "reason": "spam", "at": 2000}]
    assert second != first


def test_a_repeated_report_is_answered_again() -> None:
    """The same id with another body is a conflict; a comment that is not known is not found, and may be asked about again."""
    room = Driven()
    room.feed(1000, said("ann", "hi"))
    comment = room.comments[0].id
    room.feed(2000, reported("x", "r1", comment=comment))
    assert room.feed(3000, reported("x", "r1", comment=comment)) == [None]
    conflict, unknown = room.feed(4000, reported("x", "r1", user="ann"), reported("x", "r2", comment="nope"))
    assert isinstance(conflict, Refusal)
    assert isinstance(unknown, Refusal)
    assert (conflict.code, unknown.code) == ("conflict", "not_found")
    again = room.restart(5000)
    assert again.feed(6000, reported("x", "r1", comment=comment)) == [None]


def test_reports_are_bounded() -> None:
    """Per user by their pace, per room by their number, and in time."""
    room = Driven()
    answers = room.feed(1000, *(reported("x", f"r{n}", user=f"u{n}") for n in range(BURST + 1)))
    assert isinstance(answers[-1], Refusal)
    assert answers[-1].code == "rate_limited"
    for n in range(OPEN_MAX + 20):
        room.feed(2000 + n, reported(f"x{n}", "r", user=f"v{n}"))
    room.run(5000)
    assert len(ask(room, "reports", limit=200)["data"]) == OPEN_MAX
    room.room.tidy(5000 + KEPT_MS)
    assert ask(room, "reports")["data"] == []


def test_reports_leave_when_they_are_settled() -> None:
    """By staff, or because what they are about is gone; a new owner knows the rest."""
    room = Driven()
    room.feed(1000, said("ann", "one"), said("bob", "two"), said("cid", "three"))
    ids = [c.id for c in room.comments]
    room.feed(2000, *(reported("x", f"r{n}", comment=comment) for n, comment in enumerate(ids)))
    room.feed(3000, told("redact", comments=[ids[0]]), told("settle_report", id=ids[1]))
    again = room.restart(4000)
    assert [line["comment"] for line in ask(again, "reports")["data"]] == [ids[2]]
    [refusal] = again.feed(5000, told("settle_report", id=ids[1]))
    assert isinstance(refusal, Refusal)


# --- What only staff see ----------------------------------------------------------------------------------------------
def test_staff_see_what_viewers_do_not() -> None:
    """Sampled, held, merged and blocked comments with their verdicts, how many are held, new reports, and who wrote them."""
    room = filtered()
    room.feed(500, told("policy", patch={"chat_budget_per_s": 1}))
    room.feed(1000, Presence("n1", 2, 2, staff=1), Presence("n2", 2, 2))
    room.feed(2000, said("ann", "one"))
    room.feed(2100, said("bob", "two"), said("cid", "scam"), said("dan", "damn"))
    room.feed(2200, reported("x", "r1", comment=room.comments[0].id))
    room.run(4000)
    told_to = [f.for_staff for f in room.flushes if f.for_staff is not None]
    assert {node for each in told_to for node in each.nodes} == {"n1"}
    comments = [c for each in told_to for c in each.told["comments"]]
    assert {(c["u"]["id"], c["verdict"], "id" in c) for c in comments} == {
        ("bob", "sampled", False),
        ("cid", "held", True),
        ("dan", "blocked", False),
    }
    assert told_to[-1].told["held"] == 1
    assert [r["comment"] for each in told_to for r in each.told["reports"]] == [room.comments[0].id]
    about = {user: facts for each in told_to for user, facts in each.told["users"].items()}
    assert about["dan"] == {"new": True, "watched_s": 0, "violations": 1, "gifted": False}
    msgspec.msgpack.encode(told_to[-1].told)


def test_staff_see_what_somebody_bought() -> None:
    """How many orders in this broadcast, and the last articles; for every owner, until the next broadcast."""
    room = filtered()
    room.feed(1000, *(Sold(n + 1, f"sku-{n % 4}", "ann") for n in range(5)), said("ann", "scam"))
    about = {"new": True, "watched_s": 0, "violations": 0, "gifted": False, "orders": 5, "bought": ["sku-2", "sku-3", "sku-0"]}
    room.run(2500)
    assert ask(room, "held")["data"][0]["about"] == about
    again = room.restart(3000)
    assert ask(again, "held")["data"][0]["about"] == about
    again.room.load_rules(WordFilter(hold=["scam"]), None)
    again.feed(4000, told("end"), told("start"))
    again.feed(6000, said("ann", "scam", "again"))
    assert "orders" not in ask(again, "held")["data"][0]["about"]


def test_without_staff_nothing_is_gathered() -> None:
    """And whoever comes is told at once how things stand, if only that nothing waits."""
    room = filtered()
    room.feed(1000, said("cid", "scam"), Presence("n1", 1, 1))
    room.run(3000)
    assert not [f for f in room.flushes if f.for_staff]
    room.feed(4000, Presence("n1", 2, 2, staff=1))
    room.run(5000)
    [came] = [f.for_staff for f in room.flushes if f.for_staff]
    assert (came.told["held"], came.told["comments"], came.nodes) == (1, [], ("n1",))
    room.feed(6000, Presence("n1", 1, 1))
    room.feed(7000, said("dan", "scam 2"))
    room.run(8000)
    assert len([f for f in room.flushes if f.for_staff]) == 1


# --- Looking up -------------------------------------------------------------------------------------------------------
def test_comments_are_looked_up() -> None:
    """The newest first, in pages, by user and by what was said; redacted ones without their text."""
    room = Driven()
    for n in range(60):
        room.feed(1000 * n + 1000, said(f"u{n % 3}", f"Comment {n}"))
    first = ask(room, "comments", limit=20)
    assert [c["text"] for c in first["data"]][:2] == ["Comment 59", "Comment 58"]
    second = ask(room, "comments", limit=50, before=first["next_cursor"])
    assert (second["data"][0]["text"], len(second["data"]), second["next_cursor"]) == ("Comment 39", 40, None)
    assert [c["text"] for c in ask(room, "comments", before=str(3000))["data"]] == ["Comment 1", "Comment 0"]
    assert {c["u"]["id"] for c in ask(room, "comments", user="u1", limit=200)["data"]} == {"u1"}
    assert [c["text"] for c in ask(room, "comments", q="COMMENT 1", limit=200)["data"]][-1] == "Comment 1"
    assert ask(room, "comments", before="gone-1")["data"] == []
    room.feed(70_000, told("redact", users=["u2"]))
    assert sum(c.get("redacted", False) for c in ask(room, "comments", limit=200)["data"]) == 20
    assert ask(room, "comments", user="u2")["data"] == []


def test_what_is_looked_up_does_not_quote_what_was_redacted() -> None:
    """Of a comment that was taken off, nothing is left in replies to it; neither of anything by a user."""
    room = Driven()
    room.feed(1000, said("eve", "my number is 1", "e1"), said("eve", "rude", "e2"))
    first, second = (room.answer(cid).id for cid in ("e1", "e2"))
    room.feed(2000, said("ann", "why?", "a1", reply_to=first), said("bob", "no", "b1", reply_to=second))
    room.feed(3000, told("redact", comments=[first]))
    quotes = {c["text"]: c.get("reply_to") for c in ask(room, "comments")["data"] if "text" in c}
    assert (quotes["why?"], quotes["no"]["text"]) == (None, "rude")
    room.feed(4000, told("redact", users=["eve"]))
    assert [c.get("reply_to") for c in ask(room, "comments")["data"]] == [None] * 4


def test_a_new_owner_looks_up_what_the_log_has() -> None:
    """The frames that are still kept."""
    room = Driven()
    room.feed(1000, said("ann", "one"), said("bob", "two"))
    again = room.restart(2000)
    again.room.remember(room.frames)
    assert [c["text"] for c in ask(again, "comments")["data"]] == ["two", "one"]


# --- Panic ------------------------------------------------------------------------------------------------------------
def test_the_panic_button() -> None:
    """Staff alone may speak, and every screen is clean: what was shown, what is kept for replay, what was about to be shown."""
    room = filtered()
    for n in range(30):
        room.feed(1000 * n + 1000, said(f"u{n}", f"text {n}"))
    room.feed(31_000, said("z", "one"))
    room.feed(31_050, said("late", "too late"), said(MOD, "keep calm"))
    room.feed(31_060, told("panic", by=MOD, reason="raid"))
    room.run(32_000)
    assert room.answer("panic").value["redacted"] == 31
    assert room.view.policy["mode"] == "staff"
    assert [c.text for c in room.view.recent] == ["keep calm"]
    assert room.fate("too late") == "sampled"
    kept = [room.view.frame(seq) for seq in range(room.view.first_seq, room.view.seq + 1)]
    assert kept
    [refusal] = room.feed(33_000, said("u1", "again"))
    assert isinstance(refusal, Refusal)
    assert refusal.code == "forbidden"


def test_a_large_screen_takes_several_frames() -> None:
    """A thousand comments a frame, until all are off."""
    room = Driven(gcra_burst=10_000)
    room.feed(500, told("policy", patch={"chat_budget_per_s": 1000}))
    for n in range(12):
        room.feed(1000 + 300 * n, *(said(f"u{i}", f"{n} {i}", f"c{n}-{i}") for i in range(200)))
    room.run(9000)
    shown = {c.id for c in room.comments}
    room.feed(10_000, told("panic"))
    room.run(12_000)
    gone = [set(f.redact.comments) for f in room.frames if f.redact is not None]
    assert len(gone) == 3
    assert set.union(*gone) == shown


def test_the_transcript_is_bounded() -> None:
    """The oldest go; users' numbers go with them."""
    room = Driven()
    room.room.remember(Frame("e", n, n, (Comment(f"e-{n}", person(f"u{n}"), "x", n),)) for n in range(COMMENTS_MAX + 10))
    assert ask(room, "comments", user="u5")["data"] == []
    assert len(ask(room, "comments", user=f"u{COMMENTS_MAX}")["data"]) == 1


# --- Moderators -------------------------------------------------------------------------------------------------------
def test_moderators_are_appointed_and_dismissed() -> None:
    """They stand in the state, where every node sees them, and outlive the owner."""
    room = Driven()
    room.feed(1000, told("appoint", user="ann", name="Ann"), told("appoint", user="bob"))
    assert room.view.state["moderators"] == [{"id": "ann", "name": "Ann"}, {"id": "bob"}]
    room.feed(2000, told("dismiss", user="ann"))
    again = room.restart(3000)
    assert ask(again, "moderators")["data"] == [{"id": "bob"}]
    again.feed(4000, told("dismiss", user="bob"))
    assert "moderators" not in again.view.state
    [refusal] = again.feed(5000, told("dismiss", user="bob"))
    assert isinstance(refusal, Refusal)
    assert refusal.code == "not_found"


def test_moderators_do_not_silence_those_above_them() -> None:
    """Neither hosts nor each other, whether their token or the room made them so; hosts and services do."""
    room = Driven()
    room.feed(1000, told("patch_room", hosts=[{"id": "hana"}]), told("appoint", user="ann"))
    appointed, host = person("ann"), Person("hana", "Hana", role="host")
    for n, (by, user) in enumerate([(MOD, "hana"), (MOD, "ann"), (appointed, "hana"), (appointed, "ann")]):
        for deed in ("mute", "ban"):
            [refusal] = room.feed(2000 + n, told(deed, by=by, user=user))
            assert isinstance(refusal, Refusal)
            assert refusal.code == "forbidden"
    assert ask(room, "bans")["data"] == ask(room, "mutes")["data"] == []
    room.feed(3000, told("ban", by=appointed, user="eve"), told("ban", by=host, user="ann"), told("mute", user="hana"))
    assert ([b["user"] for b in ask(room, "bans")["data"]], len(ask(room, "mutes")["data"])) == (["ann", "eve"], 1)


def test_hosts_by_token_alone_are_not_silenced_either() -> None:
    """Whom the room has seen with a staff token, with whoever owns it; not who was dismissed, or came back as a viewer."""
    room = Driven()
    host, helper = Person("hana", "Hana", role="host"), Person("hal", "Hal", role="moderator")
    room.feed(1000, Presence("n1", 2, 2, (host, person("eve")), 15_000), told("custom", by=helper, patch={"a": 1}))
    assert ask(room, "staff", user="hana") is ask(room, "staff", user="hal") is True
    assert ask(room, "staff", user="eve") is False
    again = room.restart(2000)
    for owner, at in ((room, 3000), (again, 3000)):
        for user in ("hana", "hal"):
            [refusal] = owner.feed(at, told("ban", by=MOD, user=user))
            assert isinstance(refusal, Refusal)
            assert refusal.code == "forbidden"
        assert owner.feed(at, told("ban", by=MOD, user="eve")) == [None]
        assert owner.feed(at, told("ban", by=host, user="hal")) == [None], "hosts do"
    again.feed(4000, Presence("n1", 1, 1, (person("hana"),), 15_000))
    assert again.feed(5000, told("mute", by=MOD, user="hana")) == [None], "with a viewer's token one is a viewer"
    again.feed(6000, told("appoint", user="ann"), Presence("n1", 1, 1, (Person("ann", "Ann", role="moderator"),), 15_000))
    again.feed(7000, told("dismiss", user="ann"))
    assert again.feed(8000, told("ban", by=MOD, user="ann")) == [None]
    [refusal] = room.feed(3000 + 23 * 3_600_000, told("ban", by=MOD, user="hana"))
    assert isinstance(refusal, Refusal)
    assert room.feed(3000 + 25 * 3_600_000, told("ban", by=MOD, user="hana")) == [None], "a day later a token has ended"


# --- The log ----------------------------------------------------------------------------------------------------------
def test_every_deed_is_logged_with_its_commit() -> None:
    """Who, what, when, why; nothing for what was refused, nor for a platform's events."""
    room = Driven()
    room.feed(1000, told("mute", by=MOD, user="ann", for_s=60, reason="spam"))
    room.feed(2000, told("unmute", user="nobody"), told("emit", type="x.hint"))
    room.feed(3000, told("policy", patch={"slow_mode_s": 5}))
    acts = [act for f in room.flushes for act in f.acts]
    assert [(a.at, a.by, a.role, a.action, a.args, a.reason) for a in acts] == [
        (1000, "mod", "moderator", "mute", {"user": "ann", "for_s": 60, "scope": "room"}, "spam"),
        (3000, "shop", "service", "policy", {"patch": {"slow_mode_s": 5}}, ""),
    ]


def test_large_arguments_are_named_only() -> None:
    """The log is for people."""
    room = Driven()
    room.feed(1000, told("custom", patch={"x": "y" * 5000}))
    [act] = [act for f in room.flushes for act in f.acts]
    assert act.args == {"given": ["patch"]}


# --- What others may want to hear of -----------------------------------------------------------------------------------
def test_other_services_hear_of_it() -> None:
    """Of each held comment, of the first report of each line, of each ban; each once, with its commit."""
    room = filtered()
    room.feed(1000, said("ann", "a scam", "c1"), said("bob", "hi"))
    shown = room.comments[0].id
    room.feed(2000, reported("x", "r1", comment=shown), reported("y", "r2", comment=shown), told("ban", user="ann", reason="ads"))
    room.run(4000)
    happened = [one for f in room.flushes for one in f.happened]
    assert [(one.type, one.data.get("user") or one.data["u"]["id"]) for one in happened] == [
        ("comment.held", "ann"),
        ("user.banned", "ann"),
        ("comment.reported", "bob"),
    ]
    assert len({one.id for one in happened}) == 3
    assert happened[0].data["text"] == "a scam"


# --- Forgetting -------------------------------------------------------------------------------------------------------
def test_a_user_is_forgotten() -> None:
    """Off the screens, out of what staff see; a ban stays. Of somebody unknown nothing is said."""
    room = filtered()
    room.feed(1000, said("ann", "hello"), told("ban", user="ann"), told("appoint", user="ann"))
    room.feed(2000, told("forget_user", user="ann"))
    assert room.answer("forget_user").value == {"user": "ann", "known": True}
    assert room.view.recent == ()
    assert ask(room, "comments", user="ann")["data"] == []
    assert [ban["user"] for ban in ask(room, "bans")["data"]] == ["ann"]
    assert "moderators" not in room.view.state
    frames = len(room.frames)
    room.feed(3000, told("forget_user", user="nobody"))
    assert room.answer("forget_user").value == {"user": "nobody", "known": False}
    assert len(room.frames) == frames
