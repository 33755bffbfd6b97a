"""Polls: who may vote once, what repeats hear, what viewers see when, and what a new owner knows."""

from __future__ import annotations

from typing import Any

import pytest

from livecast.core.errors import Refusal
from livecast.core.events import Ask, Done, Verdict, Voted
from livecast.core.show.polls import OPEN_MAX, REMEMBERED_MS, STAYS_MS
from support.driven import HERE, SERVICE, Driven, person, told

COUNTED = Verdict("counted")


def vote(user: str, poll: str, choice: int, cid: str | None = None) -> Voted:
    """A vote; each user's cid is another one unless told."""
    name = cid or f"{user}-{poll}-{choice}"
    return Voted(HERE, person(user), name, poll, choice, hash(name))


def opened(room: Driven, at: int, **args: Any) -> str:
    """The id of a poll opened now."""
    room.feed(at, told("open_poll", **{"question": "Which?", "choices": ["red", "blue"]} | args))
    done = room.answer("open_poll")
    assert isinstance(done, Done)
    assert done.created
    return str(done.value["id"])


def figures(room: Driven, poll: str) -> list[int]:
    """What viewers see."""
    return [choice["votes"] for choice in room.view.state["polls"][poll]["choices"]]


def test_votes_are_counted_live() -> None:
    """One per user; answered with the flush that shows them; late joiners find them in the state."""
    room = Driven()
    poll = opened(room, 1000)
    assert room.view.state["polls"][poll] == {
        "id": poll,
        "question": "Which?",
        "choices": [{"text": "red", "votes": 0}, {"text": "blue", "votes": 0}],
        "state": "open",
        "results": "live",
    }
    room.feed(2000, vote("ann", poll, 0), vote("bob", poll, 1), vote("cid", poll, 1))
    room.run(3000)
    assert figures(room, poll) == [1, 2]
    assert room.answer(f"ann-{poll}-0") == COUNTED


def test_nobody_votes_twice() -> None:
    """The same again is the same answer; another choice is refused, under the same id as a conflict."""
    room = Driven()
    poll, other = opened(room, 1000), opened(room, 1500)
    room.feed(2000, vote("ann", poll, 0, "one"))
    room.run(2500)
    assert room.feed(3000, vote("ann", poll, 0, "one"), vote("ann", poll, 0, "two")) == [None, None]
    room.run(3500)
    assert (room.answer("one"), room.answer("two")) == (COUNTED, COUNTED)
    answers = room.feed(4000, vote("ann", poll, 1, "three"), vote("ann", poll, 1, "one"), vote("ann", other, 0, "one"))
    assert [answer.code for answer in answers if isinstance(answer, Refusal)] == ["already_voted", "conflict", "conflict"]
    room.run(5000)
    assert figures(room, poll) == [1, 0]


@pytest.mark.parametrize(("choice", "code"), [(2, "invalid"), (10**15, "invalid")])
def test_a_choice_that_is_not_there(choice: int, code: str) -> None:
    """Is refused, and so is a poll that is not there."""
    room = Driven()
    poll = opened(room, 1000)
    first, second = room.feed(2000, vote("ann", poll, choice), vote("ann", "nope", 0))
    assert isinstance(first, Refusal)
    assert isinstance(second, Refusal)
    assert (first.code, second.code) == (code, "unknown_poll")


def test_results_after_the_close() -> None:
    """Nobody sees figures before; staff do."""
    room = Driven()
    poll = opened(room, 1000, results="after_close", duration_s=60)
    room.feed(2000, vote("ann", poll, 1))
    room.run(3000)
    assert figures(room, poll) == [0, 0]
    asked = room.room.receive(Ask(HERE, SERVICE, "poll", {"poll": poll}), 3000)
    assert isinstance(asked, Done)
    assert [choice["votes"] for choice in asked.value["choices"]] == [0, 1]
    room.run(61_300)
    assert room.view.state["polls"][poll]["state"] == "closed"
    assert figures(room, poll) == [0, 1]


def test_a_closed_poll_takes_no_votes_and_leaves() -> None:
    """Who voted still hears so for a week; who did not is told that it is over; after ten minutes it is off the screens."""
    room = Driven()
    poll = opened(room, 1000)
    room.feed(2000, vote("ann", poll, 0))
    room.feed(3000, told("close_poll", poll=poll))
    room.feed(3500, told("close_poll", poll=poll))
    assert room.feed(4000, vote("ann", poll, 0)) == [None]
    [late] = room.feed(4000, vote("bob", poll, 0))
    assert isinstance(late, Refusal)
    assert late.code == "conflict"
    room.run(3000 + STAYS_MS + 300)
    assert room.view.state["polls"] == {}
    room.run(5_000_000)
    assert room.feed(5_000_000, vote("ann", poll, 0)) == [None]
    week = 3000 + REMEMBERED_MS + 1
    opened(room, week)
    [forgotten] = room.feed(week + 1000, vote("ann", poll, 0))
    assert isinstance(forgotten, Refusal)
    assert forgotten.code == "unknown_poll"


def test_the_end_of_the_broadcast_closes_polls() -> None:
    """And none is opened where nothing is on."""
    room = Driven()
    poll = opened(room, 1000)
    room.feed(2000, told("end"))
    assert room.view.state["polls"][poll]["state"] == "closed"
    [refusal] = room.feed(3000, told("open_poll", question="?", choices=["a", "b"]))
    assert isinstance(refusal, Refusal)
    assert refusal.code == "room_not_live"


@pytest.mark.parametrize(
    "args",
    [
        {"choices": ["a", "a"]},
        {"choices": ["a", "\u200b"]},
        {"question": "\u200b"},
        {"closes_at": 5},
    ],
)
def test_polls_that_make_no_sense(args: dict[str, Any]) -> None:
    """Are refused."""
    room = Driven()
    [refusal] = room.feed(1000, told("open_poll", **{"question": "?", "choices": ["a", "b"]} | args))
    assert isinstance(refusal, Refusal)
    assert refusal.code == "invalid"


def test_not_too_many_at_once() -> None:
    """Ten are open; one more waits until one is closed."""
    room = Driven()
    polls = [opened(room, 1000 + 300 * n) for n in range(OPEN_MAX)]
    assert len(set(polls)) == OPEN_MAX
    [refusal] = room.feed(5000, told("open_poll", question="?", choices=["a", "b"]))
    assert isinstance(refusal, Refusal)
    room.feed(6000, told("close_poll", poll=polls[0]))
    assert room.feed(7000, told("open_poll", question="?", choices=["a", "b"])) == [None]


def test_a_new_owner_knows_who_voted_for_what() -> None:
    """From the commits alone: figures, repeats, the time of the close, and what the user may ask about himself."""
    room = Driven()
    poll = opened(room, 1000, duration_s=60)
    room.feed(2000, vote("ann", poll, 0, "one"), vote("bob", poll, 1))
    room.run(3000)
    again = room.restart(4000)
    assert figures(again, poll) == [1, 1]
    assert again.feed(5000, vote("ann", poll, 0, "one")) == [None]
    [refusal] = again.feed(5000, vote("ann", poll, 1, "other"))
    assert isinstance(refusal, Refusal)
    assert refusal.code == "already_voted"
    again.feed(5500, vote("cid", poll, 1))
    again.run(6000)
    assert figures(again, poll) == [1, 2]
    me = again.room.receive(Ask(HERE, person("bob"), "me"), 6000)
    assert isinstance(me, Done)
    assert me.value["votes"] == [{"poll": poll, "choice": 1}]
    again.run(70_000)
    assert again.view.state["polls"][poll]["state"] == "closed"
    assert again.restart(80_000).view.state["polls"][poll]["choices"][1]["votes"] == 2


def test_a_forgotten_user_leaves_a_figure() -> None:
    """Their vote counts on, under nobody's name, for every owner to come."""
    room = Driven()
    poll = opened(room, 1000)
    room.feed(2000, vote("ann", poll, 0), vote("bob", poll, 0))
    room.feed(3000, told("forget_user", user="ann"))
    assert figures(room, poll) == [2, 0]
    again = room.restart(4000)
    me = again.room.receive(Ask(HERE, person("ann"), "me"), 4000)
    assert isinstance(me, Done)
    assert me.value["votes"] == []
    again.feed(5000, vote("cid", poll, 0))
    again.run(6000)
    assert figures(again, poll) == [3, 0]


def test_a_poll_has_one_end() -> None:
    """Two that differ are refused: nobody could tell which one was meant."""
    room = Driven()
    [refusal] = room.feed(1000, told("open_poll", question="Which?", choices=["a", "b"], closes_at=90_000, duration_s=5))
    assert isinstance(refusal, Refusal)
    assert (refusal.code, refusal.field) == ("invalid", "duration_s")
