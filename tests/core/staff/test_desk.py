"""The staff's desk: events, mutes, bans and redactions; what viewers, the user and the log hear of each."""

from __future__ import annotations

from typing import Any

import pytest

from livecast.core.errors import Refusal
from livecast.core.events import Answer, Ask, Done, Notice, Person
from livecast.core.frames import Custom, Redact
from support.driven import HERE, SERVICE, Driven, person, said, told

MOD = Person("mod", "Mod", role="moderator")


def ask(room: Driven, what: str, by: Person = SERVICE, **args: Any) -> Any:
    """The answer's value."""
    done = room.room.receive(Ask(HERE, by, what, args), room.now)
    assert isinstance(done, Done)
    return done.value


def code_of(answer: Answer | None) -> str | None:
    """The code of a refusal, None where there is none."""
    return answer.code if isinstance(answer, Refusal) else None


def test_an_event_goes_to_all_or_to_one() -> None:
    """To all in a frame, with who sent it unless that was a service; to one user as a notice, in no frame."""
    room = Driven()
    room.feed(1000, told("emit", type="x.price", data={"now": 5}), told("emit", by=MOD, type="x.hint"))
    assert room.frames[-1].events == (
        Custom("epoch001-e1", "x.price", 1000, {"now": 5}),
        Custom("epoch001-e2", "x.hint", 1000, None, MOD),
    )
    room.feed(2000, told("emit", type="x.won", data=1, to="ann"))
    assert room.notices == [("ann", Notice("epoch001-e3", "x.won", 2000, 1))]
    assert room.answer("emit") == Done({"id": "epoch001-e3", "type": "x.won", "at": 2000, "data": 1, "to": "ann"})
    assert len(room.frames) == 1


def test_events_are_bounded_in_size_and_number() -> None:
    """4 KiB each; more in one frame than its bound are refused as `overloaded`, and the next frame has room again."""
    room = Driven(events_per_frame_max=3)
    [refusal] = room.feed(1000, told("emit", type="x.big", data="x" * 4095))
    assert refusal == Refusal("too_large", "At most 4096 bytes of JSON.", field="data")
    refusals = room.feed(1000, *(told("emit", type="x.e", data="x" * 4094) for _ in range(5)))
    assert [code_of(r) for r in refusals] == [None, None, None, "overloaded", "overloaded"]
    room.feed(2000, told("emit", type="x.e"))
    assert [len(f.events) for f in room.frames] == [3, 1]


def test_a_muted_user_is_told_and_so_is_staff() -> None:
    """The user gets a notice, may ask how long, and staff see who did it and why; unmuting takes it all back."""
    room = Driven()
    room.feed(1000, told("mute", by=MOD, user="ann", for_s=60, reason="spam"))
    entry = {"user": "ann", "until": 61_000, "reason": "spam", "by": "mod", "at": 1000, "scope": "room"}
    assert room.answer("mute") == Done(entry)
    assert room.notices == [("ann", Notice("epoch001-e1", "muted", 1000, {"until": 61_000, "reason": "spam"}))]
    assert ask(room, "me", person("ann")) == {
        "muted": True,
        "muted_until": 61_000,
        "banned": False,
        "banned_until": None,
        "votes": [],
    }
    assert ask(room, "mutes") == {"data": [entry], "next_cursor": None}
    assert room.feed(2000, said("ann", "hi")) == [Refusal("muted", retry_after_ms=59_000)]
    room.feed(3000, told("unmute", user="ann"))
    assert room.notices[-1][1].kind == "unmuted"
    assert ask(room, "me", person("ann"))["muted"] is False
    assert room.feed(4000, said("ann", "hi")) == [None]
    assert room.feed(5000, told("unmute", user="ann")) == [Refusal("not_found")]
    assert room.comments[0].u.id == "ann"


def test_a_ban_for_ever() -> None:
    """Told to the user's sockets as `banned`; until it is taken back."""
    room = Driven()
    room.feed(1000, told("ban", user="bob", reason="abuse"))
    assert room.notices[-1] == ("bob", Notice("epoch001-e1", "banned", 1000, {"until": None, "reason": "abuse"}))
    room.run(10**10)
    assert ask(room, "me", person("bob")) == {
        "muted": False,
        "muted_until": None,
        "banned": True,
        "banned_until": None,
        "votes": [],
    }
    assert [b["user"] for b in ask(room, "bans")["data"]] == ["bob"]
    assert room.feed(10**10, said("bob", "hi")) == [Refusal("muted", retry_after_ms=3_600_000)]
    room.feed(10**10, told("unban", user="bob"))
    assert ask(room, "bans")["data"] == []


def test_lists_come_in_pages() -> None:
    """In order of user id, from the cursor on, without what is over."""
    room = Driven()
    room.feed(1000, *(told("mute", user=f"u{n:03}", for_s=5 if n == 4 else 500) for n in range(120)))
    room.run(7000)
    first = ask(room, "mutes")
    assert (len(first["data"]), first["next_cursor"]) == (50, "u050")
    rest = ask(room, "mutes", cursor=first["next_cursor"], limit=200)
    assert (len(rest["data"]), rest["next_cursor"]) == (69, None)
    users = [m["user"] for m in first["data"] + rest["data"]]
    assert users == [f"u{n:03}" for n in range(120) if n != 4]
    assert len(ask(room, "mutes", limit=1)["data"]) == 1


def test_a_redaction_goes_to_every_screen_once() -> None:
    """Several in a tick are one part; nothing to redact is refused; too many wait."""
    room = Driven()
    room.feed(1000, said("ann", "one"), said("bob", "two"), said("cid", "three"))
    room.feed(2000, told("redact", comments=["epoch001-1"], reason="rude"), told("redact", comments=["epoch001-1"], users=["bob"]))
    assert room.frames[-1].redact == Redact(("epoch001-1",), ("bob",))
    assert [c.u.id for c in room.room.recent] == ["cid"]
    assert room.feed(3000, told("redact"))[0] == Refusal("invalid", "Name comments or users.", field="comments")
    ids = [f"c{n}" for n in range(200)]
    refusals = room.feed(4000, *(told("redact", comments=[f"{n}{i}" for i in ids]) for n in range(6)))
    assert [code_of(r) for r in refusals] == [None] * 5 + ["overloaded"]


def test_an_unknown_command_or_question_is_refused() -> None:
    """Rather than passed over in silence."""
    room = Driven()
    command = told("pause")
    [refusal] = room.feed(1000, type(command)(HERE, SERVICE, "dance", command.args))
    assert isinstance(refusal, Refusal)
    assert refusal.code == "invalid"
    answer = room.room.receive(Ask(HERE, SERVICE, "why"), 1000)
    assert isinstance(answer, Refusal)


@pytest.mark.parametrize("quiet", [True, False])
def test_commands_work_whether_the_room_is_live_or_not(quiet: bool) -> None:
    """Mutes, redactions and events do not need a broadcast."""
    room = Driven()
    if quiet:
        room.feed(500, told("end"))
    answers = room.feed(1000, told("mute", user="u"), told("redact", users=["u"]), told("emit", type="x.a"))
    assert answers == [None, None, None]
