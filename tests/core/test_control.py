"""The control plane in a room: its object, its broadcasts, policy, custom state and notice, each change told as a patch."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livecast.core.errors import Refusal
from livecast.core.events import Ask, Done
from livecast.core.policies import policy_dict
from livecast.core.rules import Policy
from support.driven import HERE, SERVICE, Driven, liked, said, told


def the_room(room: Driven) -> dict[str, Any]:
    """The room's object as it is."""
    done = room.room.receive(Ask(HERE, SERVICE, "room"), room.now)
    assert isinstance(done, Done)
    value: dict[str, Any] = done.value
    return value


def patches(room: Driven) -> list[Any]:
    """The state patches of all frames."""
    return [f.state for f in room.frames if f.state]


def test_a_room_is_made_by_its_first_put() -> None:
    """The answer says so and is the whole object; the first flush has no frame, for nobody can know the room yet."""
    room = Driven(live=False)
    room.feed(
        1000,
        told(
            "put_room",
            title=" My \u202eshow ",
            merchant="m1",
            hosts=[{"id": "h", "name": "H"}, {"id": "g"}, {"id": "h", "name": "Ha\u202ena", "avatar": "https://x/\u200by"}],
            custom={"a": {"b": None, "c": 1}},
        ),
    )
    [(_, done)] = room.answers
    assert isinstance(done, Done)
    assert done.created
    hosts = [{"id": "h", "name": "Hana", "avatar": "https://x/y"}, {"id": "g", "name": "g"}]
    assert done.value == {
        "id": "room",
        "title": "My show",
        "merchant": "m1",
        "hosts": hosts,
        "moderators": [],
        "status": "scheduled",
        "broadcast": "",
        "test": False,
        "starts_at": None,
        "started_at": None,
        "ended_at": None,
        "policy": policy_dict(Policy()),
        "custom": {"a": {"c": 1}},
        "notice": None,
        "created_at": 0,
        "rev": 1,
    }
    assert room.frames == []
    state = room.room.snapshot().state
    assert (state["title"], state["hosts"], state["custom"]) == ("My show", hosts, {"a": {"c": 1}})
    assert "merchant" not in state
    room.feed(2000, told("put_room", title="New"))
    assert room.answer("put_room").created is False
    assert the_room(room) == {**done.value, "title": "New", "merchant": "", "hosts": [], "custom": {}, "rev": 2}


def test_ensure_makes_and_starts_a_room_once() -> None:
    """Afterwards it answers at once and changes nothing, also while the first is on its way."""
    room = Driven(live=False)
    assert room.feed(1000, told("ensure"), told("ensure")) == [None, None]
    made, again = (a for _, a in room.answers)
    assert isinstance(made, Done)
    assert made.created
    assert again == Done(made.value)
    assert made.value["status"] == "live"
    assert room.feed(2000, told("ensure")) == [Done(made.value)]
    assert room.frames == []
    room.feed(3000, told("end"))
    [done] = room.feed(4000, told("ensure"))
    assert isinstance(done, Done)
    assert done.value["status"] == "ended"


def test_the_life_of_a_broadcast() -> None:
    """Start, pause, resume, end: told with a frame each; what does not fit is a conflict."""
    room = Driven(live=False)
    room.feed(0, told("put_room", title="T"))
    conflict = [Refusal("conflict", f"The broadcast is scheduled, not {s}.") for s in ("live", "paused")]
    assert room.feed(500, told("pause"), told("resume")) == conflict
    assert room.feed(500, told("end")) == [Refusal("conflict", "No broadcast is on.")]
    room.feed(1000, told("start", title="Night"))
    first = the_room(room)
    assert (first["status"], first["started_at"], first["title"]) == ("live", 1000, "Night")
    assert room.feed(2000, told("start")) == [Refusal("conflict", "A broadcast is on already.")]
    room.feed(3000, told("pause"))
    assert room.feed(3500, said("u", "hi")) == [Refusal("room_not_live")]
    room.feed(4000, told("resume"))
    room.feed(5000, said("u", "hi"))
    room.feed(6000, told("end", redirect="https://example.org/next"))
    assert room.feed(6500, told("end")) == [Refusal("conflict", "No broadcast is on.")]
    over = the_room(room)
    assert (over["status"], over["ended_at"], over["broadcast"]) == ("ended", 6000, first["broadcast"])
    room.feed(7000, told("start"))
    assert the_room(room)["broadcast"] != first["broadcast"]
    assert the_room(room)["ended_at"] is None
    assert patches(room) == [
        {"broadcast": first["broadcast"], "status": "live", "started_at": 1000, "title": "Night"},
        {"status": "paused"},
        {"status": "live"},
        {"status": "ended", "ended_at": 6000, "redirect": "https://example.org/next"},
        {"broadcast": the_room(room)["broadcast"], "status": "live", "started_at": 7000, "ended_at": None, "redirect": None},
    ]


def test_a_new_broadcast_begins_a_new_epoch_with_totals_at_zero() -> None:
    """What came before it is told in the old epoch, what came after it in the new one, and nothing is lost between."""
    room = Driven()
    room.feed(1000, liked("u", 7), said("u", "old", "o"))
    room.feed(1100, liked("u", 5), said("v", "last", "l"), told("end"), told("start"), liked("w", 2), said("w", "new", "n"))
    room.run(3000)
    assert [(f.epoch, f.seq, f.likes and (f.likes.delta, f.likes.total), [c.text for c in f.comments]) for f in room.frames] == [
        ("epoch001", 1, (7, 7), ["old"]),
        ("epoch001", 2, (5, 12), ["last"]),
        ("epoch002", 1, (2, 2), ["new"]),
    ]
    assert room.flushes[-2].renew
    assert (room.stored.epoch, room.stored.seq, room.stored.recent, room.stored.state["likes"]) == ("epoch002", 0, (), 0)
    assert [room.answer(c).seq for c in "oln"] == [1, 2, 1]


def test_broadcasts_are_told_apart_however_short_they_are() -> None:
    """Ended and begun again twice within a millisecond, they are three."""
    room = Driven()
    broadcasts = {room.room.broadcast}
    for _ in range(2):
        room.feed(0, told("end"), told("start"))
        broadcasts.add(room.room.broadcast)
    room.run(1000)
    assert len(broadcasts) == 3


def test_the_first_broadcast_of_a_room_that_nobody_heard_of_needs_no_new_epoch() -> None:
    """Made and started in one tick: its first epoch is its broadcast's."""
    room = Driven(live=False)
    room.feed(1000, told("put_room"), told("start"), said("u", "hi"))
    assert not room.flushes[0].renew
    assert [f.epoch for f in room.frames] == ["epoch001"]
    assert room.room.snapshot().state["status"] == "live"


def test_a_scheduled_broadcast_begins_by_itself() -> None:
    """At its time, not before; starting by hand or ending it takes the appointment away."""
    room = Driven(live=False)
    room.feed(0, told("put_room", starts_at=10_000))
    assert room.room.next_flush_at() == 10_000
    room.run(9999)
    assert (the_room(room)["status"], the_room(room)["starts_at"]) == ("scheduled", 10_000)
    room.run(10_000)
    began = the_room(room)
    assert (began["status"], began["started_at"], began["starts_at"]) == ("live", 10_000, None)
    assert room.flushes[-1].renew
    room.feed(20_000, told("end"))
    room.feed(21_000, told("start", starts_at=30_000))
    assert the_room(room)["status"] == "scheduled"
    room.feed(22_000, told("end"))
    room.run(40_000)
    assert the_room(room)["status"] == "ended"
    room.feed(50_000, told("patch_room", starts_at=60_000))
    room.feed(55_000, told("start"))
    room.run(70_000)
    assert the_room(room)["started_at"] == 55_000
    room.feed(80_000, told("patch_room", starts_at=90_000))
    room.run(95_000)
    assert the_room(room)["started_at"] == 55_000
    room.feed(96_000, told("end"), told("patch_room", starts_at=5))
    room.run(99_000)
    assert the_room(room)["status"] == "ended"
    assert room.room.next_flush_at() is None


@pytest.mark.parametrize(
    ("patch", "field"),
    [
        ({"tick_ms": 49}, "tick_ms"),
        ({"tick_ms": 200.0}, "tick_ms"),
        ({"tick_ms": "200"}, "tick_ms"),
        ({"slow_mode_s": 121}, "slow_mode_s"),
        ({"mode": "nobody"}, "mode"),
        ({"unknown": 1}, "unknown"),
        ({"styles": {"modes": ["sideways"]}}, "styles.modes[0]"),
        ({"styles": {"shine": True}}, "styles.shine"),
        ({"styles": 1}, "styles"),
        ({"comment_max_chars": 2**70}, "policy"),
    ],
)
def test_a_wrong_policy_is_refused_with_the_member_at_fault(patch: dict[str, Any], field: str) -> None:
    """And nothing of it is taken, whichever way it came."""
    room = Driven()
    before = the_room(room)
    for name, command in (("policy", told("policy", patch={"board": "off", **patch})), ("put", told("put_room", policy=patch))):
        [refusal] = room.feed(1000, command)
        assert isinstance(refusal, Refusal)
        assert refusal.code == "invalid"
        assert refusal.field == (field if name == "policy" or field == "policy" else f"policy.{field}")
    assert the_room(room) == before
    assert room.frames == []


def test_policy_changes_ride_in_the_state() -> None:
    """Only what changed is told; null falls back to what the deployment says, and an empty change tells nothing."""
    room = Driven(policy={"tick_ms": 300, "styles": {"color": False}})
    room.feed(1000, told("policy", patch={"tick_ms": 500, "styles": {"modes": ["top"]}}))
    room.feed(2000, told("policy", patch={"tick_ms": 500}))
    room.feed(3000, told("policy", patch={"tick_ms": None, "styles": None}))
    assert patches(room) == [
        {"policy": {"tick_ms": 500, "styles": {"modes": ["top"]}}},
        {"policy": {"tick_ms": 300, "styles": {"modes": ["scroll", "top", "bottom"]}}},
    ]
    assert the_room(room)["policy"] == policy_dict(room.rules.policy)
    assert room.room.policy is room.rules.policy


def test_custom_state_is_merged_and_bounded() -> None:
    """Nulls take members away; what would grow over the bound is refused whole."""
    room = Driven(custom_bytes_max=100)
    room.feed(1000, told("custom", patch={"a": {"b": 1, "c": 2}, "n": None}))
    room.feed(2000, told("custom", patch={"a": {"b": None}, "d": [None]}))
    assert patches(room) == [{"custom": {"a": {"b": 1, "c": 2}}}, {"custom": {"a": {"b": None}, "d": [None]}}]
    [refusal] = room.feed(3000, told("custom", patch={"e": "x" * 100}))
    assert isinstance(refusal, Refusal)
    assert (refusal.code, refusal.field) == ("too_large", "custom")
    assert the_room(room)["custom"] == {"a": {"c": 2}, "d": [None]}
    room.feed(4000, told("patch_room", custom=None, title=None, hosts=None, merchant=None, policy=None))
    assert (the_room(room)["custom"], room.view.state["custom"]) == ({}, {})


def test_a_notice_stays_until_its_time() -> None:
    """It is taken away by hand or by the clock; one that is over already, or empty, is refused."""
    room = Driven()
    room.feed(1000, told("notice", text=" Sale! ", until=5000))
    assert room.view.state["notice"] == {"text": "Sale!", "until": 5000}
    room.run(4999)
    assert room.view.state["notice"]
    room.run(5000)
    assert room.view.state["notice"] is None
    room.feed(6000, told("notice", text="For ever"))
    assert room.room.next_flush_at() is None
    room.feed(7000, told("clear_notice"))
    room.feed(8000, told("clear_notice"))
    assert patches(room)[-1] == {"notice": None}
    assert len(patches(room)) == 4
    refusals = room.feed(9000, told("notice", text="late", until=9000), told("notice", text="\u200b"))
    assert [(r.code, r.field) for r in refusals if isinstance(r, Refusal)] == [("invalid", "until"), ("invalid", "text")]


def test_a_change_may_be_bound_to_a_revision() -> None:
    """Every change makes the revision grow; a command for another one is refused and changes nothing."""
    room = Driven(live=False)
    assert room.feed(500, told("put_room", if_rev=3)) == [Refusal("precondition_failed")]
    room.feed(1000, told("put_room", if_rev=0))
    assert the_room(room)["rev"] == 1
    assert room.feed(2000, told("put_room", if_rev=0)) == [Refusal("precondition_failed")]
    room.feed(3000, told("policy", patch={"tick_ms": 500}, if_rev=1), told("policy", patch={"tick_ms": 600}, if_rev=1))
    assert (the_room(room)["rev"], the_room(room)["policy"]["tick_ms"]) == (2, 500)
    steps = [
        told("start"),
        told("pause"),
        told("resume"),
        told("end"),
        told("notice", text="N"),
        told("clear_notice"),
        told("custom", patch={}),
    ]
    for n, step in enumerate(steps):
        room.feed(4000 + n, step)
        assert the_room(room)["rev"] == 3 + n


json = st.recursive(st.none() | st.integers(0, 3), lambda v: st.dictionaries(st.sampled_from("ab"), v, max_size=2), max_leaves=5)


@given(
    st.lists(st.tuples(st.integers(0, 300), st.dictionaries(st.sampled_from("ab"), json, max_size=2), st.booleans()), max_size=12)
)
def test_viewers_have_the_custom_state_of_the_room(story: list[tuple[int, dict[str, Any], bool]]) -> None:
    """Whatever is put and patched, several times a tick or apart: the patches lead every view to the same state."""
    room = Driven()
    now = 1000
    for gap, custom, put in story:
        now += gap
        room.feed(now, told("put_room", custom=custom) if put else told("custom", patch=custom))
    room.run(now + 1000)
    assert room.view.state["custom"] == the_room(room)["custom"]
