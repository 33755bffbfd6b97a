"""What a room knows of its users for drops that ask: time watched, likes, keywords said. In doubt it is less."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livecast.core.audience import attendance, deeds
from livecast.core.audience.attendance import Attendance
from livecast.core.audience.deeds import Deeds
from livecast.core.errors import Refusal
from livecast.core.events import Ask, Presence
from livecast.core.filter.words import WordFilter
from livecast.core.money.drops import Facts
from livecast.core.tools.kept import Kept
from livecast.core.tools.patch import merge
from support.driven import HERE, SERVICE, Driven, gave, liked, offered, person, said, told


def seen(
    node: str, connections: int, *joined: str, left: tuple[str, ...] = (), present: tuple[str, ...] = (), ttl_ms: int = 75_000
) -> Presence:
    """A node's report with who came, who went and who was there all the time."""
    return Presence(node, connections, connections, tuple(person(j) for j in joined), ttl_ms, left, present)


def watched(room: Driven, user: str, at: int) -> int:
    """Seconds."""
    seconds: int = room.facts(user, at)["watch_s"]
    return seconds


# --- Time watched -----------------------------------------------------------------------------------------------------
def test_time_counts_while_any_node_has_the_user() -> None:
    """Coming and going, over two nodes at once, summed up."""
    room = Driven()
    room.feed(1000, seen("n1", 1, "ann"))
    room.feed(11_000, seen("n2", 1, "ann"))
    room.feed(21_000, seen("n1", 1, left=("ann",)))
    room.feed(31_000, seen("n2", 1, left=("ann",)))
    assert watched(room, "ann", 60_000) == 30
    room.feed(61_000, seen("n1", 1, "ann"))
    assert watched(room, "ann", 65_999) == 34
    assert watched(room, "nobody", 65_999) == 0


def test_who_came_and_went_within_one_report_is_gone() -> None:
    """And an anonymous viewer is nobody who could claim."""
    room = Driven()
    room.feed(1000, seen("n1", 1, "ann", "bob", left=("ann",)))
    room.feed(1000, Presence("n1", 2, 2, (person("a", anonymous=True),)))
    assert [watched(room, u, 11_000) for u in ("ann", "bob", "a")] == [0, 10, 0]


def test_a_silent_node_had_nobody_since_its_last_word() -> None:
    """Its people did not watch until it was given up; a node that says it has nobody means now."""
    room = Driven()
    room.feed(1000, seen("n1", 1, "ann", ttl_ms=9000), seen("n2", 1, "bob"))
    room.feed(6000, seen("n1", 1, ttl_ms=9000))
    room.feed(9000, seen("n2", 0))
    room.run(60_000)
    assert [watched(room, u, 60_000) for u in ("ann", "bob")] == [5, 8]


def test_a_broadcast_counts_its_own_time() -> None:
    """It begins at nothing for those who are there, and for those who were."""
    room = Driven()
    room.feed(1000, seen("n1", 2, "ann", "bob"))
    room.feed(5000, seen("n1", 1, left=("bob",)))
    room.feed(10_000, told("end"))
    room.feed(11_000, seen("n1", 1), told("start"))
    assert [watched(room, u, 16_000) for u in ("ann", "bob")] == [5, 0]
    assert set(room.room.snapshot().private["watch"]) == {"ann"}


def test_a_crash_takes_off_what_nobody_can_vouch_for() -> None:
    """Counted up to the last commit that said when it was, and on from when the nodes report again; another crash takes no more."""
    room = Driven()
    room.feed(100_000, seen("n1", 2, "ann", "bob"))
    room.feed(120_000, seen("n1", 1, left=("bob",)))
    room.feed(130_000, liked("x", 1))
    room.feed(139_000, liked("x", 1))  # less than ten seconds later: does not say when it was
    after = room.restart(200_000)
    assert [watched(after, u, 200_000) for u in ("ann", "bob")] == [30, 20]
    idle = room.restart(200_000)
    idle.feed(250_000, liked("x", 1))  # nobody has reported: ann may have gone long ago
    assert watched(idle.restart(300_000), "ann", 300_000) == 30
    after.feed(210_000, seen("n1", 1, present=("ann",)))
    assert watched(after, "ann", 215_000) == 35
    assert not [f for f in after.frames if f.activity]
    again = after.restart(300_000)
    assert watched(again, "ann", 400_000) == 30


def test_a_room_that_is_over_forgets_its_people() -> None:
    """Once nobody watches: it may stay idle for months."""
    room = Driven()
    room.feed(1000, seen("n1", 1, "ann"))
    room.feed(2000, told("end"))
    room.room.tidy(3000)
    assert watched(room, "ann", 3000) == 2
    room.feed(4000, seen("n1", 0))
    room.room.tidy(9000)
    room.feed(10_000, told("clear_notice"))
    room.run(12_000)
    assert room.room._parts.attendance is None
    assert room.flushes[-1].private["watch"] is None
    assert watched(room, "ann", 12_000) == 0


REPORTS = st.lists(
    st.tuples(
        st.integers(0, 14_000),
        st.sampled_from(["n1", "n2"]),
        st.sets(st.sampled_from("abc")),
        st.booleans(),
    ),
    max_size=20,
)


@given(REPORTS)
def test_nobody_is_credited_more_than_a_clock_would(story: list[tuple[int, str, set[str], bool]]) -> None:
    """Against sets kept by hand: nodes that never fall silent give the exact time, however people move between them.

    And a new owner never knows of more than the one before.
    """
    room, now = Driven(), 1000
    here: dict[str, set[str]] = {"n1": set(), "n2": set()}
    by_hand = dict.fromkeys("abc", 0)
    for gap, node, users, back_and_forth in story:
        for user in by_hand:
            by_hand[user] += gap if any(user in who for who in here.values()) else 0
        now += gap
        came, went = users - here[node], here[node] - users
        if back_and_forth:
            came |= users & here[node]
        here[node] = users
        room.feed(now, *(seen(n, 1) for n in here), seen(node, 1, *sorted(came), left=tuple(sorted(went))))
        assert {u: watched(room, u, now) for u in by_hand} == {u: ms // 1000 for u, ms in by_hand.items()}
    after = room.restart(now + 1000)
    assert all(watched(after, u, now + 5000) <= by_hand[u] // 1000 for u in by_hand)


# --- Likes and keywords -----------------------------------------------------------------------------------------------
def test_likes_count_while_a_drop_asks_for_them() -> None:
    """From its announcement on, with and without a cid, as far as they counted; kept by the next owner, forgotten in the end."""
    room = Driven()
    room.feed(1000, liked("ann", 9))
    room.feed(2000, offered(1, "d", "announced", eligibility={"liked": 30}))
    room.feed(3000, liked("ann", 10), liked("ann", 10, "c"), liked("ann", 10, "c"), liked("bob", 1))
    room.feed(4000, liked("bob", 100), liked("bob", 100))
    for r in (room, room.restart(5000)):
        assert [r.facts(u, 5000)["liked"] for u in ("ann", "bob", "cid")] == [20, 101, 0]
        r.feed(6000, liked("ann", 1))
        assert r.facts("ann", 6000)["liked"] == 21
        before = r.facts("bob", 6000)["liked"]
        r.feed(6001, liked("bob", 100))
        r.feed(6001, offered(2, "d", eligibility={"liked": 30}), liked("bob", 100))  # nobody's taps are forgiven for that
        assert r.facts("bob", 6001)["liked"] <= before + 100
    room.feed(7000, offered(3, "d", "closed", ended_at=7000, eligibility={"liked": 30}))
    assert room.facts("ann", 7000)["liked"] == 0
    assert room.flushes[-1].private["liked"] is None
    room.feed(8000, liked("ann", 5))
    assert room.room._parts.deeds is None
    assert room.facts("ann", 8000)["liked"] == 0
    assert room.room.state["likes"] == 9 + 20 + 101 + 1 + 40 + 5


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("想要", True),
        ("我想要！！", True),
        ("想 要", False),
        ("ＷＡＮＴ想要", True),
        ("hello", False),
        ("shit 想要", True),
        ("scam 想要", False),
        ("damn 想要", False),
    ],
)
def test_a_keyword_is_said_by_a_comment_that_may_be_seen(text: str, counts: bool) -> None:
    """Anywhere in it and however it is dressed; not by one that was blocked or waits for a moderator."""
    room = Driven()
    room.room.load_rules(WordFilter(block=["damn"], mask=["shit"], hold=["scam"]), None)
    room.feed(1000, said("ann", text + "a", "before"))
    room.feed(2000, offered(1, "d", eligibility={"commented": "想要"}), offered(2, "e", eligibility={"commented": "want"}))
    assert room.facts("ann", 2000)["commented"] == []
    room.feed(3000, said("ann", text))
    expected = (["想要"] if counts else []) + (["want"] if "ＷＡＮＴ" in text else [])
    for r in (room, room.restart(4000)):
        assert sorted(r.facts("ann", 4000)["commented"]) == sorted(expected)
    room.feed(5000, offered(3, "d", "closed", ended_at=5000, eligibility={"commented": "想要"}))
    assert "想要" not in room.facts("ann", 5000)["commented"]
    assert room.restart(6000).facts("ann", 6000)["commented"] == room.facts("ann", 6000)["commented"]


def test_a_comment_counts_however_little_room_there_was() -> None:
    """Merged, sampled, a reply: its author has said it. Refused: not."""
    room = Driven(policy={"chat_budget_per_s": 0})
    room.feed(1000, said("zoe", "x"), offered(1, "d", eligibility={"commented": "666"}))
    room.feed(2000, *(said(u, "66666!") for u in "abcd"), said("e", "666", mentions=("a",)))
    room.feed(2001, *(said("f", f"no {i}", f"c{i}") for i in range(3)), said("f", "666", "late"))
    assert [bool(room.facts(u, 3000)["commented"]) for u in "abcdef"] == [True] * 5 + [False]
    assert room.fate("late") == "rate_limited"


def test_who_gave_is_known_too() -> None:
    """As far as the room heard; the ledger has the last word on it."""
    room = Driven()
    room.feed(1000, gave(1, "ann"))
    assert [room.facts(u, 1000)["gifted"] for u in ("ann", "bob")] == [True, False]


def test_facts_are_those_that_drops_look_at() -> None:
    """The names are `drops.Facts`'; what the room does not know is not among them; too many at once are refused."""
    room = Driven()
    assert room.facts("ann", 1000).keys() <= set(Facts.__struct_fields__)
    for wrong in (None, "ann", ["u"] * 501):
        answer: Any = room.room.receive(Ask(HERE, SERVICE, "facts", {"users": wrong}), 1000)
        assert isinstance(answer, Refusal)
        assert (answer.code, answer.field) == ("invalid", "users")


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those who come after so many have watched nothing and done nothing."""
    monkeypatch.setattr(attendance, "WATCHERS_MAX", 3)
    monkeypatch.setattr(deeds, "DOERS_MAX", 3)
    present = Attendance()
    present.report(seen("n", 5, *"abcde"), 1000)
    assert [present.watched_ms(u, 2000) for u in "abcde"] == [1000, 1000, 1000, 0, 0]
    assert len(present.drain_private(2000, others=True)["watch"]) == 3
    book = Deeds()
    book.ask({"d": {"state": "open", "eligibility": {"liked": 1, "commented": "hi"}}})
    for user in "abcdea":
        book.like(user, 1)
        book.say(user, "hi")
    assert [book.liked(u) for u in "abcde"] == [2, 1, 1, 0, 0]
    assert [book.said(u) for u in "abcde"] == [["hi"]] * 3 + [[]] * 2


# --- Storing ----------------------------------------------------------------------------------------------------------
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("put"), st.sampled_from("abc"), st.integers()),
            st.sampled_from([("drop", "a"), ("drop", "b"), ("clear",), ("drain",)]),
        )
    )
)
def test_a_map_is_stored_change_by_change(story: list[tuple[Any, ...]]) -> None:
    """The patches one after the other make the map, and what was told is always the sum of them."""
    kept, by_hand, stored = Kept(), dict[str, int](), dict[str, int]()
    for what, *more in [*story, ("drain",)]:
        match what:
            case "put":
                kept.put(*more)
                by_hand[more[0]] = more[1]
            case "drop":
                kept.drop(*more)
                by_hand.pop(more[0], None)
            case "clear":
                kept.clear()
                by_hand.clear()
            case "drain":
                stored = merge(stored, kept.drain())
                assert stored == kept.told == by_hand
