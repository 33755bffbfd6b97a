"""Drops and gifts in a terminal: what is left goes down, sold out is said once, and strangers' texts do nothing to the screen."""

from __future__ import annotations

import json

from livecast.client import Frame
from livecast.ops.screen.screen import RoomScreen
from support.stage import frame, welcome
from support.terminal import READER, drawn, told

CUPS = {"id": "d", "title": "Cups", "kind": "coupon", "state": "open", "stock": 5, "left": 5, "per_user": 1, "eligibility": {}}


def test_a_drop_sells_out_line_by_line() -> None:
    """Each change of what is left is a line for a pipe, and a bar on the screen; what did not change is no line."""
    screen = RoomScreen("r")
    assert told(screen, welcome())[1:] == []
    assert told(
        screen,
        frame(1, state={"drops": {"d": CUPS}}),
        frame(2, state={"drops": {"d": {"left": 2}}}),
        frame(3, state={"drops": {"d": {"meta": {"a": 1}}}}),
        frame(4, state={"drops": {"d": {"left": 0, "state": "sold_out"}}}),
    ) == ["-- drop Cups: open, 5 of 5 left", "-- drop Cups: open, 2 of 5 left", "-- drop Cups: sold out, 0 of 5 left"]
    assert "Cups  SOLD OUT  ████████████████████  0 of 5 left" in drawn(screen)
    assert told(screen, frame(5, state={"drops": {"d": None}})) == []
    assert "Cups" not in drawn(screen)


def test_a_gift_is_a_line_once_it_is_done() -> None:
    """Its growing lines are for the eyes of viewers."""
    screen = RoomScreen("r")
    told(screen, welcome())
    line = {"combo": "g1", "u": {"id": "ann", "name": "Ann"}, "gift": "rose", "n": 3, "value": 3, "tier": 1, "done": False}
    assert told(screen, frame(1, gifts=[line])) == []
    assert told(screen, frame(2, gifts=[{**line, "n": 1200, "value": 1200, "done": True}])) == ["-- Ann gave rose ×1200 (1,200)"]
    assert "Ann gave rose ×1200" in drawn(screen)


def test_a_title_does_nothing_to_the_screen() -> None:
    """A terminal would obey control characters."""
    screen = RoomScreen("r")
    told(screen, welcome())
    (line,) = told(screen, frame(1, state={"drops": {"d": {**CUPS, "title": "\x1b[2JCups"}}}))
    assert line == "-- drop [2JCups: open, 5 of 5 left"
    assert "\x1b[2J" not in drawn(screen)


def test_frames_without_goods_say_nothing() -> None:
    """A fresh screen has no line for them."""
    screen = RoomScreen("r")
    told(screen, welcome())
    assert isinstance(READER.read(json.dumps(frame(1)).encode()), Frame)
    assert told(screen, frame(1)) == []
    assert "drop" not in drawn(screen)
