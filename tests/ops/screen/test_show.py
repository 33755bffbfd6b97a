"""What hosts and moderators do, in a terminal: every step is a line for a pipe, what lasts is on the screen."""

from __future__ import annotations

from livecast.ops.screen.screen import RoomScreen
from support.stage import frame, welcome
from support.terminal import drawn, told

LIPSTICK = {"title": "Lip\x1b[31mstick", "price": {"amount": 1990, "currency": "CNY"}, "status": "available", "order": 1}
POLL = {"id": "p", "question": "Which?", "choices": [{"text": "red", "votes": 0}, {"text": "blue", "votes": 0}], "state": "open"}


def test_every_step_of_a_show_is_told() -> None:
    """Rules, shelf, card, poll, moderators, winners; each with the frame that says it."""
    screen = RoomScreen("r")
    assert told(
        screen,
        welcome(),
        frame(1, state={"policy": {"slow_mode_s": 5, "styles": {"color": False}}}),
        frame(2, state={"products": {"a": LIPSTICK}}),
        frame(3, state={"on_air": "a"}),
        frame(4, state={"polls": {"p": POLL}}),
        frame(5, state={"polls": {"p": {"choices": [{"text": "red", "votes": 1200}, {"text": "blue", "votes": 1}]}}}),
        frame(6, state={"moderators": [{"id": "ann", "name": "Ann"}, {"id": "bob"}]}),
    )[1:] == [
        "-- policy: slow_mode_s 5",
        "-- policy: styles color False",
        "-- product Lip [31mstick: on the shelf",
        "-- on air: Lip [31mstick",
        "-- poll Which? (open): red 0, blue 0",
        "-- poll Which? (open): red 1,200, blue 1",
        "-- moderators: Ann, bob",
    ]
    assert "on air Lip [31mstick" in drawn(screen)
    assert "poll Which? (open): red 1,200, blue 1" in drawn(screen)
    assert told(
        screen,
        frame(7, state={"polls": {"p": {"state": "closed"}}}),
        frame(8, state={"on_air": None, "products": {"a": None}}),
        frame(9, state={"moderators": None}),
        frame(10, state={"title": "T"}),
    ) == [
        "-- poll Which? (closed): red 1,200, blue 1",
        "-- on air: no product",
        "-- product a: taken off the shelf",
        "-- moderators: none",
        "-- title: T",
    ]
    assert "poll" not in drawn(screen)


def test_who_comes_late_is_told_what_is_on() -> None:
    """The card and open polls; rules are as they are."""
    screen = RoomScreen("r")
    closed = {**POLL, "state": "closed"}
    state = {"products": {"a": LIPSTICK}, "on_air": "a", "polls": {"p": POLL, "q": closed}, "moderators": [{"id": "ann"}]}
    assert told(screen, welcome(state=state))[1:] == ["-- on air: Lip [31mstick", "-- poll Which? (open): red 0, blue 0"]


def test_winners_are_named_once() -> None:
    """As the room names them."""
    screen = RoomScreen("r")
    luck = {"id": "d", "title": "Luck", "kind": "draw", "state": "settled", "stock": 2, "left": 0, "per_user": 1, "eligibility": {}}
    winners = [{"u": {"name": "王**"}, "serial": 1}, {"u": {"name": "A**"}, "serial": 2}]
    lines = told(
        screen,
        welcome(),
        frame(1, state={"drops": {"d": luck}}),
        frame(2, state={"drops": {"d": {"winners": winners}}}),
        frame(3, state={"drops": {"d": {"test": True}}}),
    )
    assert lines[1:] == ["-- drop Luck: settled, 0 of 2 left", "-- drop Luck: won by 王**, A**"]
