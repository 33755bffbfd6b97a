"""Who watches: summed over nodes, forgotten when a node falls silent, told at most once a second."""

from __future__ import annotations

from livecast.core.events import Presence, Sold
from livecast.core.frames import Viewers
from support.driven import Driven, person, told, watching


def counts(room: Driven) -> list[tuple[int, int, int, int]]:
    """(at, connections, users, total) of every frame that says so."""
    return [(f.ts, f.viewers.connections, f.viewers.users, f.viewers.total) for f in room.frames if f.viewers]


def test_nodes_are_summed_and_told_once_a_second() -> None:
    """The first change at once, further ones a second later together, nothing where nothing changed."""
    room = Driven()
    room.feed(1000, watching("n1", 3))
    room.feed(1100, watching("n2", 2))
    room.feed(1500, watching("n1", 4))
    room.run(5000)
    assert counts(room) == [(1000, 3, 3, 0), (2000, 6, 6, 0)]
    room.feed(6000, watching("n1", 4))
    room.feed(7000, watching("n1", 5))
    room.feed(7001, watching("n1", 4))
    room.run(7900)
    assert counts(room)[2:] == [(7000, 7, 7, 0)]
    room.feed(7950, watching("n1", 5))
    room.run(10_000)
    assert counts(room)[3:] == []


def test_a_silent_node_is_forgotten() -> None:
    """After its time, by a timer of the room's own; with nobody left the room has no timer."""
    room = Driven()
    room.feed(1000, watching("n1", 3, ttl_ms=5000), watching("n2", 1, ttl_ms=9000))
    room.feed(4000, watching("n1", 3, ttl_ms=5000))
    room.run(20_000)
    assert counts(room) == [(1000, 4, 4, 0), (9000, 1, 1, 0), (10_000, 0, 0, 0)]
    assert room.room.next_flush_at() is None
    assert not room.room.watched


def test_a_node_that_reports_nobody_is_off_the_count() -> None:
    """At once, not after its time."""
    room = Driven()
    room.feed(1000, watching("n1", 3))
    assert room.room.watched
    room.feed(3000, watching("n1", 0))
    assert counts(room)[-1] == (3000, 0, 0, 0)
    assert room.room.next_flush_at() is None


def test_who_comes_in_is_counted_and_sampled() -> None:
    """One line a second: how many, and the names of three of them; anonymous ones have none."""
    room = Driven()
    nobody = person("anon-1", anonymous=True)
    room.feed(1000, Presence("n1", 2, 2, (nobody, person("ann"))))
    room.feed(1100, watching("n1", 8, "bob", "cid", "dan", "eve"), watching("n2", 1, "bob"))
    room.run(5000)
    assert [f.activity for f in room.frames if f.activity] == [
        {"joins": {"n": 2, "who": ["Ann"]}},
        {"joins": {"n": 5, "who": ["Bob", "Cid", "Dan"]}},
    ]
    assert [u for f in room.flushes for u in f.new_users] == ["anon-1", "ann", "bob", "cid", "dan", "eve"]


def test_what_is_sold_is_counted_and_sampled() -> None:
    """One line a second, together with who came: how many orders, and of three articles how many each; nobody's name."""
    room = Driven()
    room.feed(1000, Sold(1, "cup"))
    room.feed(1100, watching("n1", 1, "bob"), *(Sold(n, sku) for n, sku in enumerate(["cup", "bag", "cup", "hat", "pen"], 2)))
    room.run(5000)
    assert [(f.ts, f.activity) for f in room.frames if f.activity] == [
        (1000, {"orders": {"n": 1, "skus": {"cup": 1}}}),
        (2000, {"joins": {"n": 1, "who": ["Bob"]}, "orders": {"n": 5, "skus": {"cup": 2, "bag": 1, "hat": 1}}}),
    ]
    assert room.room.next_flush_at() is not None
    room.feed(6000, watching("n1", 0))
    assert room.room.next_flush_at() is None


def test_the_logs_count_of_users_is_told() -> None:
    """`total` is what the log counted; it never goes down within a broadcast and begins anew with the next."""
    room = Driven()
    room.feed(1000, watching("n1", 2, "ann", "bob"))
    room.room.note_users_total(2)
    room.room.note_users_total(1)
    room.run(3000)
    assert counts(room) == [(1000, 2, 2, 0), (2000, 2, 2, 2)]
    room.feed(4000, told("end"))
    room.feed(5000, told("start"))
    assert room.room.state["viewers"] == {"connections": 2, "users": 2, "total": 0}
    room.room.note_users_total(1)
    room.run(7000)
    assert counts(room)[-1][3] == 1


def test_before_the_first_broadcast_people_are_kept_for_it() -> None:
    """Who waits for the show counts as its user once it begins."""
    room = Driven(live=False)
    room.feed(1000, told("put_room"))
    room.feed(2000, watching("n1", 1, "early"))
    assert [f.new_users for f in room.flushes] == [[], []]
    room.feed(3000, told("start"))
    assert room.flushes[-1].new_users == ["early"]
    assert room.room.snapshot().state["viewers"] == {"connections": 1, "users": 1, "total": 0}
    assert Viewers(1, 1, 0) == room.room._parts.the_audience().told
