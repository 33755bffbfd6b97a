"""The room as a whole, under any story: nothing lost, nothing counted twice, the same bytes for the same story, no growth.

`support.driven.Driven` checks after each flush that the view says what the room says and that numbers and likes add up.
"""

from __future__ import annotations

import sys
from collections import Counter
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livecast.core.events import Done, EdgeRefused, Event, Liked, Origin, Person, Presence, Said, Verdict
from livecast.core.filter.words import WordFilter
from livecast.core.frames import Frame, Snapshot
from livecast.core.room import Room
from livecast.core.rules import RoomRules
from livecast.core.view import RoomView
from support.driven import Driven, gave, liked, offered, person, said, told, watching

PEOPLE = [person(f"u{n}") for n in range(6)] + [Person("vip", "Vip", level=9), Person("host", "Host", role="host")]
TEXTS = ["666", "666666", "好看", "好看！", "hello", "a damn thing", "oh shit", "scam", " ", "x" * 300, "what?", "yes"]
COMMANDS = [
    told("pause"),
    told("resume"),
    told("end"),
    told("start"),
    told("policy", patch={"slow_mode_s": 2}),
    told("policy", patch={"slow_mode_s": None, "chat_budget_per_s": 3, "like_max_per_s": 50}),
    told("mute", user="u1", for_s=3),
    told("unmute", user="u1"),
    told("ban", user="u2"),
    told("redact", users=["u3"]),
    told("redact", comments=["epoch001-1", "epoch001-2"]),
    told("custom", patch={"a": {"b": 1}}),
    told("custom", patch={"a": None}),
    told("notice", text="N", until=20_000),
    told("emit", type="x.e", data=[1]),
    told("emit", type="x.e", to="u1"),
    told("patch_room", title="T", starts_at=9000),
]

comments = st.builds(
    lambda p, text, cid, node: Said(Origin(f"n{node}", 1), p, f"c{cid}", text, len(text)),
    st.sampled_from(PEOPLE),
    st.sampled_from(TEXTS),
    st.integers(0, 40),
    st.integers(0, 1),
)
likes = st.builds(liked, st.sampled_from(PEOPLE), st.integers(1, 100), st.none() | st.sampled_from("abcdef"))
presence = st.builds(
    lambda node, n, who: watching(f"n{node}", n, *who),
    st.integers(0, 2),
    st.integers(0, 9),
    st.lists(st.sampled_from("abcd"), max_size=5),
)
refused = st.builds(lambda n: EdgeRefused("n0", {"too_large": n}), st.integers(0, 5))
gifts = st.builds(
    lambda at, user, total: gave(at, user, total=total), st.integers(1, 40), st.sampled_from("abc"), st.integers(1, 9)
)
drops = st.builds(
    lambda at, drop, state: offered(at, drop, state, eligibility={"liked": 5, "commented": "666"}),
    st.integers(1, 40),
    st.sampled_from("de"),
    st.sampled_from(["announced", "open", "closed"]),
)
events = st.one_of(comments, comments, comments, likes, presence, refused, gifts, drops, st.sampled_from(COMMANDS))
stories = st.lists(st.tuples(st.sampled_from([0, 0, 0, 1, 30, 200, 201, 1000, 5000]), events), max_size=60)


def play(story: list[tuple[int, Event]], **rules: Any) -> Driven:
    """The room after the story, and ten quiet seconds."""
    room = Driven(**rules)
    room.room.load_rules(WordFilter(block=["damn"], mask=["shit"], hold=["scam"]), None)
    now = 1000
    for gap, event in story:
        now += gap
        room.feed(now, event)
    room.run(now + 10_000)
    return room


def lasting(private: dict[str, Any], now: int) -> dict[str, Any]:
    """The private part without mutes that are over and books that are empty, everybody's watch time summed up."""
    books = {name: {u: s for u, s in private.get(name, {}).items() if not s[1] or s[1] > now} for name in ("mutes", "bans")}
    seen_at = private.get("watch_seen_at", 0)
    watch = {u: before + max(0, seen_at - since) if since else before for u, (before, since) in private.get("watch", {}).items()}
    return {name: value for name, value in {**private, **books, "watch": watch}.items() if value}


@given(stories)
@settings(max_examples=150)
def test_every_comment_ends_in_one_column_of_the_tally(story: list[tuple[int, Event]]) -> None:
    """What the frames' tallies say is what was answered: each distinct (user, cid) once, a repeat of an answer not at all.

    And what is called shown is on the screen, what is merged has joined something that is.
    """
    room = play(story)
    tally = room.tally()
    counted = sum(tally.values()) - tally.get("in", 0)
    assert tally.get("in", 0) == counted
    at_nodes = sum(n for _, e in story if isinstance(e, EdgeRefused) for n in e.codes.values())
    first: set[tuple[str, str]] = set()
    shown = Counter[str]()
    for flush in room.flushes:
        for remembered in flush.remembered:
            if remembered.kind == "comment":
                assert (remembered.user, remembered.cid) not in first
                first.add((remembered.user, remembered.cid))
                shown[remembered.answer.verdict if isinstance(remembered.answer, Verdict) else remembered.answer.code] += 1
    tally["too_large"] = tally.get("too_large", 0) - at_nodes
    for column in ("shown", "merged", "sampled", "held", "blocked", "repeated_text", "invalid", "too_large"):
        assert tally.get(column, 0) == shown[column]
    assert len(room.comments) == len({c.id for c in room.comments}) == shown["shown"]
    on_screen = room.numbers
    assert sum(on_screen.values()) >= len(on_screen)
    for flush in room.flushes:
        for _, _, answer in flush.replies:
            if isinstance(answer, Verdict) and answer.verdict in ("shown", "merged"):
                assert answer.id in on_screen


@given(stories)
@settings(max_examples=150)
def test_frames_are_in_order_and_merges_only_grow(story: list[tuple[int, Event]]) -> None:
    """Numbers count from one in each epoch, time never goes back, comments stand in the order of arrival, a merge names a
    comment that an earlier frame of the epoch showed and a larger number than before.
    """
    room = play(story)
    last: dict[str, int] = {}
    numbers: dict[str, int] = {}
    at = 0
    for frame in room.frames:
        assert frame.seq == last.get(frame.epoch, 0) + 1
        last[frame.epoch] = frame.seq
        assert frame.ts >= at
        at = frame.ts
        for merge in frame.merges:
            assert merge.n > numbers[merge.id]
            numbers[merge.id] = merge.n
        assert [c.at for c in frame.comments] == sorted(c.at for c in frame.comments)
        numbers.update({c.id: c.n for c in frame.comments})
    frames = room.frames
    for before, frame in pairwise(frames):
        alone = frame.tally and not (
            frame.comments or frame.merges or frame.likes or frame.viewers or frame.events or frame.redact or frame.gifts
        )
        if alone and not frame.state and before.tally and not frame.activity:
            assert frame.ts - before.ts >= 1000
    told_viewers = [f.ts for f in frames if f.viewers]
    assert all(b - a >= 1000 for a, b in pairwise(told_viewers))


@given(stories)
@settings(max_examples=60)
def test_the_same_story_gives_the_same_bytes(story: list[tuple[int, Event]]) -> None:
    """Twice the same events at the same times: frames, snapshot, private parts and remembered answers are equal to the byte."""
    first, again = play(story), play(story)
    encode = msgspec.msgpack.encode
    assert [encode(f) for f in first.flushes] == [encode(f) for f in again.flushes]
    assert encode(first.room.snapshot()) == encode(again.room.snapshot())


@given(stories)
@settings(max_examples=100)
def test_a_restart_after_any_story_keeps_what_it_must(story: list[tuple[int, Event]]) -> None:
    """State, policy, recent comments and sanctions are as they were told; every remembered answer is given again."""
    room = play(story)
    after = room.restart(room.now)
    old, new = room.room.snapshot(), after.room.snapshot()
    assert {**old.state, "viewers": 0} == {**new.state, "viewers": 0}
    assert (old.policy, old.recent) == (new.policy, new.recent)
    assert lasting(old.private, room.now) == lasting(new.private, room.now)
    answers = {(r.user, r.kind, r.cid): r for f in room.flushes for r in f.remembered}
    for remembered in answers.values():
        who = Person(remembered.user, "")
        at = room.now
        if remembered.kind == "comment":
            answer = after.room.receive(Said(Origin("n", 1), who, remembered.cid, "?", remembered.body), at)
        else:
            answer = after.room.receive(Liked(Origin("n", 1), who, remembered.body, remembered.cid), at)
        given_again = answer or after.room._replies[-1][2]
        assert given_again == remembered.answer


@given(st.lists(st.tuples(st.integers(0, 700), st.sampled_from("abc"), st.integers(0, 3)), max_size=50), st.integers(0, 3))
def test_limits_hold_for_each_user_whoever_else_writes(story: list[tuple[int, str, int]], slow_mode_s: int) -> None:
    """Of one user's new texts no more than the pace and slow mode allow get through, in any stretch of time."""
    room = Driven(policy={"slow_mode_s": slow_mode_s})
    now, passed = 1000, {"a": list[int](), "b": list[int](), "c": list[int]()}
    for n, (gap, user, _) in enumerate(story):
        now += gap
        if room.feed(now, said(user, f"text number {n}")) == [None]:
            passed[user].append(now)
    for times in passed.values():
        for i, first in enumerate(times):
            for j in range(i, len(times)):
                assert j - i + 1 <= 3 + (times[j] - first) / 1000
        assert all(b - a >= slow_mode_s * 1000 for a, b in pairwise(times))


def test_a_busy_room_speaks_every_tick_and_an_overloaded_one_less_often() -> None:
    """200 ms as the policy says, longer by the stretch, never longer than the deployment allows."""
    for stretch, tick in ((0, 200), (300, 500), (5000, 1000)):
        room = Driven()
        room.room.tick_stretch(stretch)
        for at in range(1000, 6000, 10):
            room.feed(at, liked(f"u{at}", 1))
        gaps = {b.ts - a.ts for a, b in pairwise(room.frames)}
        assert gaps == {tick}
    slow = Driven(policy={"tick_ms": 1000}, tick_max_ms=500)
    slow.room.tick_stretch(500)
    for at in range(1000, 4000, 10):
        slow.feed(at, liked(f"u{at}", 1))
    assert [f.ts for f in slow.frames] == [1000, 2000, 3000]


def test_ten_thousand_quiet_rooms_are_small() -> None:
    """A room that was made, started and left alone, with the view of it as another process would build it: under 2.5 KB."""
    rules, seen = RoomRules(), set[int]()

    def size(thing: object) -> int:
        """Bytes of what only this room refers to."""
        if id(thing) in seen or isinstance(thing, type) or thing is rules or thing is rules.policy:
            return 0
        seen.add(id(thing))
        inner: list[object] = []
        if isinstance(thing, dict):
            inner = [*thing.values()]
        elif isinstance(thing, list | tuple):
            inner = [*thing]
        elif hasattr(thing, "__slots__"):
            inner = [getattr(thing, name) for name in type(thing).__slots__ if hasattr(thing, name)]
        return sys.getsizeof(thing) + sum(map(size, inner))

    def quiet_room(n: int) -> tuple[Room, RoomView]:
        room = Room.create(f"room-{n}", f"epoch{n:03}", rules, n)
        room.receive(told("ensure"), 1000 + n)
        assert room.flush(1000 + n) is not None
        view = RoomView(rules)
        view.reset(msgspec.msgpack.decode(msgspec.msgpack.encode(room.snapshot()), type=Snapshot))
        assert room.next_flush_at() is None
        return room, view

    size(quiet_room(1))  # what they share is seen once
    assert size(quiet_room(2)) < 2500


def test_a_flood_of_distinct_users_leaves_bounded_memory() -> None:
    """Fifty thousand people who say one thing each: what is kept per person stays within the bounds, and time takes it."""
    room = Driven(cid_memory_max=10_000)
    for n in range(50_000):
        room.room.receive(said(f"u{n}", f"text {n % 5000}", "c"), 1000 + n)
        if n % 1000 == 0:
            room.run(1000 + n)
            room.flushes.clear()
            room.log.clear()
    room.run(60_000)
    chat = room.room._parts.chat
    assert chat is not None
    room.feed(70_000, said("u", "the last", "last"))
    assert len(chat._answers) <= 10_000
    for n in range(4):
        room.room.tidy(60_000 + 3_600_000 * (n + 1))
    assert room.room._parts.chat is None
    room.feed(10**8, said("u", "again"))
    last, first_after = (int(c.id.rpartition("-")[2], 36) for c in room.comments[-2:])
    assert first_after == last + 1


@pytest.mark.parametrize("event", [liked("u", 1), said("u", "hi"), watching("n", 1), told("notice", text="N")])
def test_the_first_event_after_quiet_leaves_at_once(event: Event) -> None:
    """And with nothing more to say the room goes to sleep again."""
    room = Driven()
    room.feed(50_000, event)
    assert [f.ts for f in room.frames] == [50_000]
    assert room.room.next_flush_at() == (65_000 if isinstance(event, Presence) else None)


def test_what_a_frame_says_is_its_wire_shape() -> None:
    """Absent parts are not sent, and a tally has its five columns."""
    room = Driven()
    room.feed(1000, said("u", "hi"))
    assert msgspec.json.decode(msgspec.json.encode(room.frames[0])) == {
        "t": "frame",
        "epoch": "epoch001",
        "seq": 1,
        "ts": 1000,
        "comments": [{"id": "epoch001-1", "u": {"id": "u", "name": "U"}, "text": "hi", "at": 1000}],
        "tally": {"in": 1, "shown": 1, "merged": 0, "sampled": 0, "held": 0, "rejected": {}},
    }
    assert msgspec.json.decode(msgspec.json.encode(room.frames[0]), type=Frame) == room.frames[0]
    assert isinstance(room.answers[0][1], Done)
