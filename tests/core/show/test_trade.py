"""What the ledger tells a room: the board, the drops on show, the lane of those who gave; each once, whoever owns the room."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livecast.core.events import BoardChanged, Drawn, Event, Person, Ranked, StockChanged
from livecast.core.show.board import RANKED_MAX
from livecast.core.show.showcase import SHOWN_MAX, STAYS_MS, Showcase
from livecast.core.show.trade import TIPPED_MAX, Trade
from livecast.core.staff.sanctions import Wide
from support.driven import Driven, gave, offered, person, said, taken_back, told


def board(room: Driven) -> list[tuple[str, int | None]]:
    """(user, value) as the state says."""
    return [(line["u"]["id"], line.get("value")) for line in room.room.state["board"]]


# --- The board --------------------------------------------------------------------------------------------------------
def test_the_board_says_who_gave_most() -> None:
    """Of two with the same the one who got there first; ten of them; names or values or nothing, as the policy says."""
    room = Driven(policy={"board": "values"})
    room.feed(1000, gave(1, "ann", total=5), gave(2, "bob", total=9), gave(3, "cid", total=5), gave(4, "ann", total=9))
    assert board(room) == [("bob", 9), ("ann", 9), ("cid", 5)]
    room.feed(2000, told("policy", patch={"board": "names"}))
    room.run(3000)
    assert room.room.state["board"][0] == {"u": {"id": "bob", "name": "Bob"}}
    room.feed(4000, *(gave(10 + i, f"u{i}", total=100 + i) for i in range(12)))
    assert [user for user, _ in board(room)] == [f"u{i}" for i in range(11, 1, -1)]
    room.feed(5000, told("policy", patch={"board": "off"}))
    room.run(6000)
    assert board(room) == []


def test_a_reversal_moves_people_down_the_board() -> None:
    """Somebody else moves up; who has nothing left is off it, and rides in no lane of theirs."""
    room = Driven(policy={"board": "values"})
    gifts = [gave(i + 1, f"u{i:02}", total=100 - i) for i in range(12)]
    room.feed(1000, *gifts)
    room.feed(2000, taken_back(20, gifts[0], total=95), taken_back(21, gifts[1]))
    assert board(room)[:2] == [("u02", 98), ("u03", 97)]
    assert ("u00", 95) in board(room)
    assert len(board(room)) == 10
    assert "u01" not in {user for user, _ in board(room)}
    room.feed(3000, said("u00", "I gave"), said("u01", "so did I"))
    assert {c.u.id: c.lane for c in room.comments} == {"u00": 1, "u01": 3}
    assert room.restart(4000).room.ledger_position == 21


def test_who_is_forgotten_is_on_the_board_no_more() -> None:
    """Nor in a lane for those who gave, nor with the next owner; the others move up."""
    room = Driven(policy={"board": "values"})
    room.feed(1000, gave(1, "ann", total=5), gave(2, "bob", total=9))
    room.feed(2000, told("forget_user", user="bob"))
    assert room.answer("forget_user").value["known"] is True
    room.run(3000)
    assert board(room) == [("ann", 5)]
    again = room.restart(4000)
    assert board(again) == [("ann", 5)]
    again.feed(5000, said("bob", "hi"))
    assert again.comments[-1].lane == 3


@pytest.mark.parametrize(
    ("policy", "shown"),
    [
        ("off", None),
        ("masked", [{"u": {"name": "王**"}, "serial": 1}, {"u": {"name": "b**"}, "serial": 2}]),
        ("names", [{"u": {"id": "ann", "name": "王小明"}, "serial": 1}, {"u": {"id": "bob", "name": "bob"}, "serial": 2}]),
    ],
)
def test_winners_are_told_as_the_policy_says(policy: str, shown: Any) -> None:
    """By the name that they were last seen under, or by id; with whatever else changes of the drop, and with the next owner."""
    room = Driven(policy={"winners": policy})
    room.feed(1000, said(Person("ann", "王小明"), "my luck"), offered(5, "d", "closed", ended_at=1000, result={"winners": 2}))
    room.feed(2000, Drawn(5, "d", (("ann", 1), ("bob", 2))))
    assert room.view.state["drops"]["d"].get("winners") == shown
    frames = len(room.frames)
    room.feed(3000, Drawn(5, "d", (("ann", 1), ("bob", 2))), Drawn(9, "unknown", (("ann", 1),)))
    room.feed(4000, offered(6, "d", "settled", ended_at=1000, result={"winners": 2}))
    assert len(room.frames) == frames + 1, "the same again is no news"
    again = room.restart(5000)
    assert again.view.state["drops"]["d"].get("winners") == shown
    again.feed(6000, told("forget_user", user="bob"))
    assert "bob" not in str(again.view.state["drops"]), "a masked name stays, it names nobody"


def test_who_is_forgotten_does_not_come_back_with_a_board_from_the_ledger() -> None:
    """The ledger's books keep the id; the board is made without it, and the others move up."""
    room = Driven(policy={"board": "values"})
    room.room.load_rules(None, Wide([], {"bob"}.__contains__))
    room.feed(1000, gave(1, "ann", total=5))
    room.feed(2000, BoardChanged(10, "b1", (Ranked(Person("bob", ""), 9), Ranked(Person("ann", ""), 5))))
    assert board(room) == [("ann", 5)]


def test_a_board_read_from_the_ledger_replaces_what_the_room_put_together() -> None:
    """Names that only the room knows stay; gifts that are in it already do not count again, later ones do."""
    room = Driven(policy={"board": "values"})
    room.feed(1000, gave(1, "ann", total=5), gave(2, "bob", total=4))
    ranks = (Ranked(person("zoe"), 50), Ranked(Person("ann", ""), 7), Ranked(Person("new", "New"), 7))
    room.feed(2000, BoardChanged(10, "b1", ranks))
    assert board(room) == [("zoe", 50), ("ann", 7), ("new", 7)]
    assert room.room.state["board"][1]["u"]["name"] == "Ann"
    room.feed(3000, gave(9, "ann", total=6), gave(11, "new", total=8), gave(12, "dan", total=7))
    assert board(room) == [("zoe", 50), ("new", 8), ("ann", 7), ("dan", 7)]
    room.feed(4000, BoardChanged(8, "b1", ()), BoardChanged(30, "another", ()))
    assert len(board(room)) == 4


def test_a_board_that_was_read_while_gifts_came_misses_none() -> None:
    """It is as of its position: what the room heard from behind that stays on it."""
    room = Driven(policy={"board": "values"})
    room.feed(1000, gave(20, "late", total=60))
    room.feed(2000, BoardChanged(10, "b1", (Ranked(person("zoe"), 50),)))
    assert board(room) == [("late", 60), ("zoe", 50)]


def test_a_new_broadcast_begins_with_an_empty_board() -> None:
    """In the same frame that tells of it; a gift of the one before is shown and does not count; nobody has a lane for it."""
    room = Driven(policy={"board": "values"})
    room.feed(1000, gave(1, "ann", total=5))
    room.feed(2000, told("end"))
    room.feed(3000, told("start"))
    assert room.frames[-1].state["board"] == []  # type: ignore[index] # it says something
    room.feed(4000, gave(2, "bob", total=9), said("ann", "hi"))
    assert (board(room), room.comments[-1].lane) == ([], 3)
    assert [c.u.id for c in room.frames[-1].gifts] == ["bob"]
    room.feed(5000, gave(3, "cid", broadcast=room.room.broadcast, total=1))
    assert board(room) == [("cid", 1)]
    after = room.restart(9000)
    assert board(after) == [("cid", 1)]
    after.feed(10_000, said("ann", "again"), said("cid", "ho"))
    assert [(c.u.id, c.lane) for c in after.comments] == [("ann", 3), ("cid", 1)]


def test_a_text_that_was_paid_for_is_not_wiped_off_by_a_new_broadcast() -> None:
    """What comes between the command and its frame is told in the epoch to come."""
    room = Driven()
    room.feed(2000, told("end"))
    room.room.receive(told("start"), 2100)
    room.room.receive(gave(1, "ann", tier=2, text="first!"), 2150)
    room.run(5000)
    [frame] = [f for f in room.frames if f.comments]
    assert frame.epoch == room.room.epoch != "epoch001"
    assert [c.text for c in room.room.recent] == ["first!"]


# --- Lane 1 -----------------------------------------------------------------------------------------------------------
def test_who_gave_rides_in_a_lane_of_their_own() -> None:
    """Before those with a level, behind staff; from the gift to the end of the broadcast, also with a new owner."""
    room = Driven(policy={"chat_budget_per_s": 2})
    room.feed(1000, gave(1, "tip"), gave(2, Person("host", "H", role="host")))
    for r in (room, room.restart(2000)):
        everybody = [person(u) for u in "abcd"] + [person("vip", level=9), person("tip"), Person("host", "H", role="host")]
        r.feed(60_000, *(said(p, f"{p.id} says") for p in everybody))
        r.run(61_000)
        shown = {c.u.id: c.lane for c in r.comments}
        assert (shown["tip"], shown["host"]) == (1, 0)
        assert "vip" in shown


def test_a_group_that_somebody_who_gave_leads_shows_their_lane() -> None:
    """Merged comments too know who tipped."""
    room = Driven()
    room.feed(1000, gave(1, "tip"))
    room.feed(1010, said("tip", "666"), said("b", "666"), said("c", "666"))
    room.run(2000)
    assert [(c.u.id, c.n, c.lane) for c in room.comments] == [("tip", 3, 1)]


def test_tippers_are_bounded() -> None:
    """The one who gave first is forgotten, also by the next owner."""
    trade, room = Trade(), Driven()
    for i in range(TIPPED_MAX + 1):
        trade.receive(gave(i + 1, f"u{i}"), room.room._control, 1000)
    while trade.waiting:
        trade.drain(room.room._control)
    patch = trade.drain_private()
    assert len(trade.tipped) == len(patch["tipped"]) == TIPPED_MAX
    assert "u0" not in patch["tipped"]


# --- Drops on show ----------------------------------------------------------------------------------------------------
def test_drops_are_told_in_the_ledgers_order() -> None:
    """Whole or just what is left; older news and repeats change nothing; null takes one away."""
    room = Driven()
    room.feed(1000, offered(10, "d", "announced", eligibility={"liked": 3}), offered(11, "e"))
    room.feed(2000, offered(20, "d", left=4, meta={"a": None, "b": 1}), offered(10, "d", "announced"), offered(20, "d", left=5))
    room.feed(3000, StockChanged(21, "d", 1, "open"), StockChanged(15, "d", 5, "open"), StockChanged(30, "unknown", 1, "open"))
    drop = room.room.state["drops"]["d"]
    assert (drop["left"], drop["state"], drop["meta"], drop["eligibility"]) == (1, "open", {"b": 1}, {})
    room.feed(4000, StockChanged(22, "d", 0, "sold_out"), taken_off(23, "e"))
    assert room.frames[-1].state == {"drops": {"d": {"left": 0, "state": "sold_out"}, "e": None}}
    room.feed(5000, offered(12, "e"))
    assert set(room.room.state["drops"]) == {"d"}


def taken_off(position: int, drop: str) -> Any:
    """A drop that is not to be seen."""
    event = offered(position, drop)
    return type(event)(position, drop, None)


def test_a_draft_that_is_cancelled_was_never_there() -> None:
    """Viewers hear of what they saw alone."""
    room = Driven()
    room.feed(1000, offered(1, "seen", "announced"))
    room.feed(2000, offered(2, "draft", "cancelled", ended_at=2000), offered(3, "seen", "cancelled", ended_at=2000))
    assert {drop: view["state"] for drop, view in room.room.state["drops"].items()} == {"seen": "cancelled"}


def test_what_is_left_is_told_once_a_tick() -> None:
    """However fast it sells; the last figure is exact."""
    room = Driven()
    room.feed(1000, offered(1, "d", left=500, stock=500))
    for i in range(500):
        room.feed(1000 + i, StockChanged(2 + i, "d", 499 - i, "open" if i < 499 else "sold_out"))
    room.run(3000)
    assert [f.ts for f in room.frames] == [1000, 1200, 1400, 1600]
    assert room.room.state["drops"]["d"]["left"] == 0


def test_a_drop_leaves_ten_minutes_after_it_ended() -> None:
    """By a timer of the room's own; news of it that come later do not bring it back; also with a new owner."""
    room = Driven()
    room.feed(1000, offered(1, "d"), offered(2, "e"))
    room.feed(5000, offered(3, "d", "closed", ended_at=4000))
    room.feed(60_000, offered(4, "d", "settled", ended_at=4000))
    other = room.restart(100_000)
    for r in (room, other):
        assert r.room.next_flush_at() == 4000 + STAYS_MS
        r.run(4000 + STAYS_MS)
        assert set(r.room.state["drops"]) == {"e"}
        assert r.room.next_flush_at() is None
        spoken = len(r.flushes)
        r.feed(4000 + STAYS_MS, offered(5, "d", "settled", ended_at=4000))
        assert len(r.flushes) == spoken
        assert set(r.room.state["drops"]) == {"e"}


def test_drops_on_show_are_bounded() -> None:
    """The one that ended first goes early, or else the one that has not changed for longest."""
    case = Showcase()
    for i in range(SHOWN_MAX):
        case.put(offered(i + 1, f"d{i}", "closed" if i == 7 else "open", ended_at=5 if i == 7 else None), 1)
    case.put(offered(100, "d0"), 2)
    case.put(offered(101, "x"), 2)
    assert "d7" not in case.drops
    case.put(offered(102, "y"), 2)
    assert "d1" not in case.drops
    assert "d0" in case.drops
    assert len(case.drops) == SHOWN_MAX


# --- A new owner ------------------------------------------------------------------------------------------------------
def test_what_was_told_is_not_told_again() -> None:
    """The next owner knows the position: it hears the ledger from the start again and only says what is new."""
    room = Driven(policy={"board": "values"})
    ledger: list[Event] = [gave(1, "ann", total=1, tier=2, text="one"), gave(2, "bob", total=3, tier=2, text="two")]
    room.feed(1000, *ledger, offered(3, "d"))
    room.feed(1050, gave(4, "cid", total=2, tier=2, text="not committed"))
    after = room.restart(2000)
    assert after.room.ledger_position == 2
    after.feed(2000, *ledger, offered(3, "d"), gave(4, "cid", total=2, tier=2, text="three"))
    after.run(9000)
    assert [c.text for c in after.comments] == ["three"]
    assert [(c.u.id, c.n, c.done) for c in after.combos if not c.done] == [("cid", 1, False)]
    assert board(after) == [("bob", 3), ("cid", 2), ("ann", 1)]
    assert set(after.room.state["drops"]) == {"d"}


EVENTS = st.one_of(
    st.builds(
        lambda u, n, text: ("gift", u, n, text), st.sampled_from("abcdefghijkl"), st.integers(1, 5), st.sampled_from(["", "hi"])
    ),
    st.builds(lambda k: ("back", k), st.integers(0, 30)),
    st.builds(
        lambda d, s: ("drop", d, s),
        st.sampled_from("xyz"),
        st.sampled_from(["announced", "open", "sold_out", "closed", "cancelled", None]),
    ),
    st.builds(lambda d, left: ("left", d, left), st.sampled_from("xyz"), st.integers(0, 5)),
    st.just(("start",)),
)


@given(
    st.lists(st.tuples(st.sampled_from([0, 10, 300, 4000, STAYS_MS]), EVENTS), max_size=40), st.sets(st.integers(0, 39), max_size=4)
)
def test_the_room_agrees_with_the_ledger_after_any_story(story: list[tuple[int, tuple[Any, ...]]], restarts: set[int]) -> None:
    """Totals kept by hand make the same board and the same drops, with new owners in between that hear everything again.

    (`Driven` checks at each frame that views say the same as the room.)
    """
    room, now = Driven(policy={"board": "values"}), 1000
    ledger: list[Event] = []
    gifts: list[Any] = []
    totals: dict[str, int] = {}
    since: dict[str, int] = {}
    drops: dict[str, tuple[Any, int | None]] = {}
    for i, (gap, what) in enumerate(story):
        now += gap
        position = i + 1
        if i in restarts:
            room.run(now)
            room = room.restart(now)
            room.feed(now, *ledger)
        room.run(now)
        match what:
            case ("gift", user, n, text):
                totals[user] = totals.get(user, 0) + n
                since[user] = position
                event: Event = gave(
                    position, user, n=n, total=totals[user], tier=2, text=text, broadcast=room.room._control.broadcast
                )
                gifts.append(event)
            case ("back", k) if k < len(gifts) and gifts[k] is not None and gifts[k].broadcast == room.room._control.broadcast:
                gift, gifts[k] = gifts[k], None
                user = gift.person.id
                totals[user] -= gift.n
                since[user] = position
                event = taken_back(position, gift, totals[user])
            case ("drop", drop, None):
                event = taken_off(position, drop)
                drops.pop(drop, None)
            case ("drop", drop, state):
                ended = now if state in {"closed", "cancelled"} else None
                event = offered(position, drop, state, ended_at=ended)
                if state != "cancelled" or drop in drops:  # nobody hears of a draft that came to nothing
                    drops[drop] = (event.view, ended)
            case ("left", drop, left):
                event = StockChanged(position, drop, left, "open")
                if drop in drops:
                    drops[drop] = ({**drops[drop][0], "left": left, "state": "open"}, drops[drop][1])
            case ("start",):
                room.feed(now, told("end"))
                room.feed(now + 1000, told("start"))
                now += 2000
                room.run(now)
                totals, since = {}, {}
                continue
            case _:
                continue
        drops = {d: (view, ended) for d, (view, ended) in drops.items() if ended is None or now < ended + STAYS_MS}
        ledger.append(event)
        room.feed(now, event)
    now += 3000
    room.run(now)
    best = sorted((-total, since[user], user) for user, total in totals.items() if total > 0)[:10]
    assert board(room) == [(user, -negative) for negative, _, user in best]
    drops = {d: (view, ended) for d, (view, ended) in drops.items() if ended is None or now < ended + STAYS_MS}
    assert room.room.state["drops"] == {d: view for d, (view, _) in drops.items()}


@pytest.mark.parametrize("users", [RANKED_MAX + 5])
def test_who_is_far_from_the_top_costs_the_next_commit_nothing(users: int) -> None:
    """In a large room most gifts change nothing on the board, and are not stored for it."""
    room = Driven()
    room.feed(1000, *(gave(i + 1, f"u{i}", total=1000 - i) for i in range(users)))
    assert len(room.room.snapshot().private["board"]) == RANKED_MAX
    room.feed(2000, gave(99, "late", total=1))
    assert "board" not in room.flushes[-1].private
