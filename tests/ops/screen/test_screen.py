"""What a terminal shows of a room: the model behind the picture, the picture itself, and the lines for pipes."""

from __future__ import annotations

import io
import json
from typing import Any

import msgspec
import pytest
from rich.cells import cell_len
from rich.console import Console

from livecast.client import Answer, Bye, Connection, Event, Frame, Welcome
from livecast.client.messages import Reader
from livecast.ops.screen.screen import LINES_MAX, RATE_WINDOW_S, RoomScreen, fit, json_lines, plain_lines, shown
from support.stage import comment, frame, welcome

READER = Reader("json")


def message(body: dict[str, Any]) -> Any:
    """As the client hands it on."""
    return READER.read(json.dumps(body).encode())


def screen_of(*bodies: dict[str, Any], now_s: float = 50.0) -> RoomScreen:
    """A screen that has seen these messages."""
    screen = RoomScreen("r")
    for body in (welcome(), *bodies):
        screen.take(message(body), now_s)
    return screen


def drawn(screen: RoomScreen, width: int = 100, height: int = 20, now_s: float = 50.0) -> list[str]:
    """The picture as lines of text."""
    out = io.StringIO()
    Console(file=out, width=width, height=height, force_terminal=True, color_system=None, legacy_windows=False).print(
        screen.picture(now_s, height)
    )
    return out.getvalue().split("\n")[:-1]


def test_merged_comments_grow_in_place() -> None:
    """A line keeps its place and says by how many people it is said now."""
    screen = screen_of(
        frame(1, comments=[comment(1, "666"), comment(2, "哈哈哈")]),
        frame(2, merges=[{"id": "epochAAA-1", "n": 4}, {"id": "gone", "n": 9}]),
    )
    assert [(line.comment.text, line.n) for line in screen.lines] == [("666", 4), ("哈哈哈", 1)]
    text = "\n".join(drawn(screen))
    assert text.index("×4") < text.index("666") < text.index("哈哈哈")


def test_figures_follow_the_frames() -> None:
    """Likes, viewers, frames a second, and the sum of all tallies."""
    tally = {"in": 7, "shown": 3, "merged": 2, "sampled": 1, "held": 0, "rejected": {"rate_limited": 1}}
    screen = screen_of(
        frame(1, likes={"delta": 5, "total": 1205}, tally=tally),
        frame(2, viewers={"connections": 30, "users": 28, "total": 90}, tally=tally),
    )
    text = "\n".join(drawn(screen))
    assert "♥ 1,205" in text
    assert "28 watching" in text
    assert "0.4 frames/s" in text
    assert "14 in = 6 shown + 4 merged + 2 sampled + 2 rejected (rate_limited 2)" in text
    assert screen.likes_per_s(50.0) == 1
    assert screen.frames_per_s(56.0) == 0


def test_redacted_comments_leave_the_screen() -> None:
    """By comment and by user, and they do not grow any more."""
    screen = screen_of(
        frame(1, comments=[comment(1, "ok"), comment(2, "bad"), comment(3, "worse")]),
        frame(2, redact={"comments": ["epochAAA-2"], "users": ["u3"]}, merges=[{"id": "epochAAA-2", "n": 5}]),
    )
    assert [line.comment.text for line in screen.lines] == ["ok"]
    assert screen.line_of("epochAAA-2") is None


def test_title_status_and_pinned_line_are_shown() -> None:
    """As they are now, after patches too."""
    screen = screen_of(frame(1, state={"title": "七夕专场", "status": "paused", "notice": {"text": "back in 5"}}))
    text = "\n".join(drawn(screen))
    assert "七夕专场" in text
    assert "PAUSED" in text
    assert "back in 5" in text
    screen.take(message(frame(2, state={"notice": None})), 51.0)
    assert "back in 5" not in "\n".join(drawn(screen))


@pytest.mark.parametrize(("width", "height"), [(40, 12), (80, 24), (200, 60)])
def test_the_picture_fits_the_terminal(width: int, height: int) -> None:
    """Never wider or higher than the terminal, with Chinese and emoji in it, however many comments there are."""
    words = ["这件有几个颜色，想要给妈妈也买一件" * 4, "😂😂😂", "plain", "é́́combining"]
    screen = screen_of(frame(1, comments=[comment(k, words[k % 4]) for k in range(120)]))
    screen.take(Bye(4000, "the server is going away"), 50.0)
    lines = drawn(screen, width, height)
    assert len(lines) == height
    assert max(cell_len(line) for line in lines) <= width


def test_what_strangers_write_cannot_steer_the_terminal() -> None:
    """Escape sequences, bells, new lines and direction marks are taken out of names and texts."""
    evil = "\x1b[2J\x07red\u202ehello\r\n\x9b31m"
    assert shown(evil) == "[2J red hello 31m"
    body = comment(1, evil)
    body["u"]["name"] = "\x1b]0;pwned\x07"
    screen = screen_of(frame(1, comments=[body]))
    for text in ["\n".join(drawn(screen)), *plain_lines(message(frame(1, comments=[body])), screen)]:
        assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(text)


def test_memory_is_bounded() -> None:
    """Old lines go, and with them their place in the index."""
    screen = RoomScreen("r")
    for k in range(LINES_MAX + 100):
        screen.take(message(frame(k + 1, comments=[comment(k)])), 1.0)
    assert len(screen.lines) == len(screen._by_id) == LINES_MAX
    assert screen.line_of("epochAAA-99") is None
    assert screen.line_of("epochAAA-100") is not None


def test_plain_lines_tell_what_happened() -> None:
    """One line per comment, merge, change and farewell; nothing for the rest."""
    screen = RoomScreen("r")

    def lines(event: Event) -> list[str]:
        screen.take(event, 1.0)
        return [line[9:] if line[2:3] == ":" else line for line in plain_lines(event, screen)]

    assert lines(message(welcome(recent=[comment(1, "before")], state={"status": "live", "likes": 1200}))) == [
        "-- r: live, 1,200 likes",
        "U1: before",
    ]
    assert lines(message(frame(1, comments=[{**comment(2, "666"), "n": 3}]))) == ["U2: 666 ×3"]
    merges = [{"id": "epochAAA-2", "n": 5}, {"id": "epochAAA-0", "n": 3}]
    assert lines(message(frame(2, merges=merges, state={"title": "T"}))) == ["×5 666", "×3 (an earlier comment)", "-- title: T"]
    assert lines(message(frame(3, redact={"comments": ["epochAAA-2"]}))) == ["-- removed: 1 comments, 0 users"]
    assert lines(message(frame(4, likes={"delta": 1, "total": 1201}))) == []
    assert lines(Connection("waiting", "the server is going away", 4000, 1, 1.25)) == [
        "-- reconnecting in 1.2 s: the server is going away"
    ]
    assert lines(message(welcome(recovered=True)))[1:] == []
    assert lines(Connection("closed", "the broadcast ended", 4010)) == ["-- closed: the broadcast ended (4010)"]
    assert lines(Connection("closed", "closed by us", 1000)) == []
    assert lines(Answer("c", "shown")) == []


def test_json_lines_are_the_messages() -> None:
    """What came over the wire goes out as it was; the connection's own news are marked."""
    body = frame(1, comments=[comment(1, "你好")], likes={"delta": 1, "total": 1})
    (line,) = json_lines(message(body))
    assert msgspec.json.decode(line, type=Frame) == message(body)
    assert json.loads(line)["comments"][0]["text"] == "你好"
    assert json.loads(json_lines(message(welcome()))[0])["t"] == "welcome"
    assert json.loads(json_lines(Connection("open"))[0]) == {
        "t": "connection", "state": "open", "reason": "", "code": 0, "attempt": 0, "delay_s": 0.0,
    }  # fmt: skip
    assert isinstance(message(welcome()), Welcome)


@pytest.mark.parametrize("text", ["", "ab", "abcdefgh", "小美小美小美小美", "a小b美c丽d"])
def test_names_take_the_same_columns(text: str) -> None:
    """Cut or filled to the width of a terminal, where a Chinese character takes two columns."""
    assert cell_len(fit(text, 8)) == 8


def test_what_rates_are_made_of_is_bounded() -> None:
    """Also where nobody asks for them, as in a pipe: of a night of frames the last seconds are kept."""
    screen = screen_of()
    for n in range(1, 101):
        screen.take(message(frame(n, likes={"delta": 1, "total": n})), float(n))
    assert len(screen._frame_times) <= RATE_WINDOW_S + 1
    assert len(screen._like_times) <= RATE_WINDOW_S + 1
    assert screen.likes_per_s(100.0) > 0
