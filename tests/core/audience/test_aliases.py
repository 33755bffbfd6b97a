"""Aliases: the same everywhere, nothing of the id in what viewers get, and the way back for staff."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from livecast.core.audience.aliases import Aliases, is_alias
from livecast.core.events import Person, Presence
from livecast.core.frames import Combo, Comment, Custom, Frame, Quote, Redact, Snapshot
from support.driven import Driven, said, told

KEY = b"k" * 32
ANN, BOB = Person("user-ann-17", "Ann"), Person("user-bob-18", "user-bob-18", avatar="https://x.test/user-bob-18.png")
HOST = Person("host-1", "Host", role="host")


def aliases(room: str = "r1", key: bytes = KEY) -> Aliases:
    """Of a room with one host."""
    made = Aliases(key, room)
    made.state({"hosts": [{"id": HOST.id, "name": "Host"}]})
    return made


@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="/"), min_size=1, max_size=128))
def test_an_alias_is_a_function_of_key_room_and_user(user: str) -> None:
    """The same on every node and after a restart; another one in another room; it has a form that can be told."""
    one = aliases()
    assert one.hidden(user) == aliases().hidden(user) != aliases("r2").hidden(user)
    assert one.hidden(user) != aliases(key=b"x" * 32).hidden(user)
    assert is_alias(one.hidden(user))
    assert one.user(one.hidden(user)) == user


def test_the_alias_is_what_the_contract_says() -> None:
    """Pinned: were it to change, everybody's would, in every room that is on."""
    assert aliases().of("ann") == "a_s7artluylq5rdcr3lkwz7hip3m"


def whole_frame() -> Frame:
    """Everything in a frame that can name somebody."""
    return Frame(
        epoch="e",
        seq=1,
        ts=1,
        comments=(
            Comment("c1", ANN, "hi", 1),
            Comment("c2", BOB, "ho", 1, reply_to=Quote("c1", ANN, "hi"), mentions=(ANN.id, HOST.id)),
            Comment("c3", HOST, "welcome", 1, reply_to=Quote("c2", msgspec.to_builtins(BOB), "ho")),
            Comment("c4", redacted=True),
        ),
        gifts=(Combo("g1", BOB, "rose", 1, 1, 1, done=False, to=HOST.id), Combo("g2", ANN, "rose", 1, 1, 1, done=True)),
        events=(Custom("e1", "x.quiz", 1, {}, ANN), Custom("e2", "x.quiz", 1, {})),
        state={
            "board": [{"u": msgspec.to_builtins(ANN), "value": 5}],
            "drops": {"d1": {"id": "d1", "winners": [{"u": {"id": BOB.id, "name": "b"}, "serial": 1}]}, "d2": None},
            "title": "night",
        },
        redact=Redact(("c9",), (ANN.id, HOST.id)),
    )


def test_nothing_of_an_id_is_left_in_a_frame() -> None:
    """Not in any part, not as a name, not in a picture's address; hosts are known to everybody."""
    veiled = aliases().frame(whole_frame())
    told = msgspec.json.encode(veiled).decode()
    assert ANN.id not in told
    assert BOB.id not in told
    ann, bob = aliases().of(ANN.id), aliases().of(BOB.id)
    c1, c2, c3, c4 = veiled.comments
    assert (c1.u.id, c1.u.name) == (ann, "Ann")
    assert (c2.u.id, c2.u.name, c2.u.avatar) == (bob, bob[:10], "")
    assert c2.reply_to is not None
    assert (c2.reply_to.u.id, c2.mentions) == (ann, (ann, HOST.id))
    assert c3.u == HOST
    assert c3.reply_to is not None
    assert c3.reply_to.u["id"] == bob
    assert c4 == Comment("c4", redacted=True)
    assert [(g.u.id, g.to) for g in veiled.gifts] == [(bob, HOST.id), (ann, msgspec.UNSET)]
    assert veiled.events[0].u is not None
    assert veiled.events[0].u.id == ann
    state: Any = veiled.state
    assert (state["board"][0]["u"]["id"], state["drops"]["d1"]["winners"][0]["u"]["id"]) == (ann, bob)
    assert veiled.redact is not None
    assert set(veiled.redact.users) == {ann, HOST.id, aliases().hidden(HOST.id)}


def test_a_snapshot_is_veiled_likewise() -> None:
    """Recent comments and the board."""
    snapshot = Snapshot(
        "e", 1, {"board": [{"u": msgspec.to_builtins(ANN)}]}, {}, (Comment("c1", BOB, "hi", 1),), {"bans": {ANN.id: []}}
    )
    veiled = aliases().snapshot(snapshot)
    assert re.search("user-(ann|bob)", msgspec.json.encode((veiled.state, veiled.recent)).decode()) is None


def test_moderators_keep_their_id_while_they_are_moderators() -> None:
    """Whichever frames a node has seen; on a screen they may stand under both names, and go under both."""
    one, late = aliases(), aliases()
    one.frame(Frame("e", 1, 1, state={"moderators": [{"id": ANN.id}]}))
    assert (one.of(ANN.id), one.of(HOST.id)) == (ANN.id, HOST.id)
    late.snapshot(Snapshot("e", 1, {"hosts": [{"id": HOST.id}], "moderators": [{"id": ANN.id}]}, {}, ()))
    assert late.of(ANN.id) == ANN.id
    for each in (one, late):
        each.frame(Frame("e", 2, 2, state={"moderators": None}))
        assert is_alias(each.of(ANN.id))
        assert set(each.redact(Redact(users=(ANN.id, BOB.id))).users) == {ANN.id, each.hidden(ANN.id), each.hidden(BOB.id)}
    one.snapshot(Snapshot("f", 1, {}, {}, ()))
    assert is_alias(one.of(HOST.id)), "an epoch begins with who is there now"


def test_viewers_name_only_whom_they_see() -> None:
    """A viewer who could mention real ids would be told whose alias is whose; staff know them anyway."""
    one = aliases()
    alias = one.of(ANN.id)
    stranger = aliases("other").hidden("x")
    assert one.mentioned([alias, BOB.id, HOST.id, stranger], by_staff=False) == (ANN.id, HOST.id, stranger)
    assert one.mentioned([alias, BOB.id], by_staff=True) == (ANN.id, BOB.id)


def test_the_way_back_is_bounded_and_can_be_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond so many the first is forgotten; among given users it is still found."""
    monkeypatch.setattr("livecast.core.audience.aliases.KNOWN_MAX", 2)
    one = aliases()
    first, *_ = [one.of(user) for user in ("a", "b", "c")]
    assert one.user(first) is None
    assert one.search(["b", "a"], {first}) == {first: "a"}
    assert one.user("a") == "a"


def test_a_room_that_hides_its_users_begins_an_epoch() -> None:
    """So that no epoch shows somebody under two names; its figures stay. Nobody is named by id on coming in."""
    room = Driven()
    room.feed(1000, said("ann", "hello"))
    room.run(2000)
    before = room.room.epoch
    room.feed(2000, told("policy", patch={"users": "aliases"}))
    room.run(3000)
    epoch = room.room.epoch
    assert epoch != before
    assert room.room.snapshot().policy["users"] == "aliases"
    assert [c.text for c in room.room.recent] == ["hello"], "nothing but names changes"
    room.feed(3000, told("policy", patch={"slow_mode_s": 1}))
    room.run(4000)
    assert room.room.epoch == epoch
    room.feed(4000, Presence("n1", 2, 2, (Person("ann", "ann"), Person("bob", "Bob")), 15_000))
    room.run(6000)
    assert [f.activity["joins"] for f in room.frames if f.activity] == [{"n": 2, "who": ["Bob"]}]
    again = room.restart(7000)
    again.feed(7000, said("bob", "hi"))
    again.run(8000)
    assert again.room.epoch == "restarted", "whoever takes over begins no second one"


def test_a_room_that_is_made_so_begins_once() -> None:
    """The policy that a room is made with is that of its first epoch."""
    room = Driven(live=False)
    room.feed(1000, told("put_room", policy={"users": "aliases"}))
    room.run(2000)
    room.feed(2000, told("notice", text="soon"))
    room.run(3000)
    assert room.room.epoch == "epoch001"
