"""A room as people see it in a terminal: what `tail` and `crowd` draw, and the lines they print where there is no terminal.

`RoomScreen` is fed events and asked for a picture; it opens no socket and no screen, and time is handed in (seconds of a
monotonic clock). Text from strangers is shown without its control characters: a terminal would obey them.
"""

from __future__ import annotations

import re
import time
from collections import Counter, deque
from typing import Any, Final, Literal

import msgspec
from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.text import Text

from livecast.client import Answer, Bye, Connection, Error, Event, Frame, Notice, Welcome
from livecast.core.frames import Comment, Tally
from livecast.ops.screen.goods import Goods
from livecast.ops.screen.show import Show

LINES_MAX: Final = 1_000  # comments remembered; taller terminals are rare, and merges reach back 15 s at 40 comments/s
RATE_WINDOW_S: Final = 5.0
GROWN_S: Final = 1.5  # so long a count that grew is highlighted
NAME_CELLS: Final = 16
UNSEEN: Final = "(an earlier comment)"  # said by more people now, and not remembered: shown before we came, or removed
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]+")

Style = Literal["live", "plain", "json"]


def shown(text: str) -> str:
    """Text fit for a terminal: one line, no control characters, nothing that turns the writing direction."""
    return _CONTROL.sub(" ", text).strip()


class Line:
    """A comment on the screen and by how many people it is said now."""

    __slots__ = ("comment", "grown_s", "n")

    def __init__(self, comment: Comment) -> None:
        self.comment, self.n, self.grown_s = comment, comment.n, float("-inf")


class TallySum:
    """Σ of the tallies of many frames."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.rejected: Counter[str] = Counter()

    def add(self, tally: Tally) -> None:
        """One frame's."""
        self.counts.update(
            {
                "in": tally.in_,
                "shown": tally.shown,
                "merged": tally.merged,
                "sampled": tally.sampled,
                "held": tally.held,
                "rejected": sum(tally.rejected.values()),
            }
        )
        self.rejected.update(tally.rejected)

    def text(self) -> Text:
        """For people: `1,783 in = 1,022 shown + 310 merged + …`."""
        text = Text.assemble((f"{self.counts['in']:,}", "bold"), " in = ", (f"{self.counts['shown']:,} shown", "green"))
        for name, style in (("merged", "cyan"), ("sampled", "yellow"), ("held", "magenta"), ("rejected", "red")):
            if self.counts[name] or name in ("merged", "sampled", "rejected"):
                text.append(" + ")
                text.append(f"{self.counts[name]:,} {name}", style if self.counts[name] else "dim")
        if self.rejected:
            text.append(f" ({', '.join(f'{code} {n:,}' for code, n in self.rejected.most_common(4))})", "dim")
        return text


class RoomScreen:
    """One room, as of the events fed so far."""

    def __init__(self, room: str) -> None:
        self.room = room
        self.state: dict[str, Any] = {}
        self.lines: deque[Line] = deque(maxlen=LINES_MAX)
        self.tally = TallySum()
        self.goods = Goods(shown)
        self.show = Show(shown)
        self.frames = 0
        self.likes = 0
        self.likes_seen = 0
        self.viewers: dict[str, int] = {}
        self.connection = Connection("connecting")
        self.where = ""
        self.notes: deque[str] = deque(maxlen=3)
        self._by_id: dict[str, Line] = {}
        self._frame_times: deque[float] = deque()
        self._like_times: deque[tuple[float, int]] = deque()

    # --- Feed ---------------------------------------------------------------------------------------------------------

    def take(self, event: Event, now_s: float) -> None:
        """Something happened."""
        match event:
            case Welcome():
                self._welcome(event)
            case Frame():
                self._frame(event, now_s)
            case Connection():
                self.connection = event
            case Notice():
                self.notes.append(f"notice {event.kind}: {shown(_brief(event.data))}")
            case Bye():
                self.notes.append(f"bye {event.code}: {shown(event.reason)}")
            case Error():
                self.notes.append(f"error {event.code}: {shown(event.message)}")
            case _:
                pass

    def _welcome(self, welcome: Welcome) -> None:
        self.state = dict(welcome.state)
        self.likes = int(welcome.state.get("likes") or 0)
        self.viewers = dict(welcome.state.get("viewers") or {})
        self.where = f"{welcome.epoch}:{welcome.seq}"
        self.goods.begin(self.state)
        self.show.begin(self.state, welcome.policy)
        if not welcome.recovered:
            for comment in welcome.recent:
                self._show(comment)

    def _frame(self, frame: Frame, now_s: float) -> None:
        self.frames += 1
        self.where = f"{frame.epoch}:{frame.seq}"
        self._frame_times.append(now_s)
        self._forget_before(now_s - RATE_WINDOW_S)
        self.goods.take(frame)
        self.show.take(frame)
        for comment in frame.comments:
            self._show(comment)
        for merge in frame.merges:
            if (line := self._by_id.get(merge.id)) is not None:
                line.n, line.grown_s = merge.n, now_s
        if frame.likes is not None:
            self.likes = frame.likes.total
            self.likes_seen += frame.likes.delta
            self._like_times.append((now_s, frame.likes.delta))
        if frame.viewers is not None:
            self.viewers = msgspec.to_builtins(frame.viewers)
        if frame.tally is not None:
            self.tally.add(frame.tally)
        if isinstance(frame.state, dict):
            for name in ("title", "status", "notice"):
                if name in frame.state:
                    self.state[name] = frame.state[name]
        if frame.redact is not None:
            gone, users = set(frame.redact.comments), set(frame.redact.users)
            kept = [line for line in self.lines if line.comment.id not in gone and line.comment.u.id not in users]
            self.lines = deque(kept, LINES_MAX)
            self._by_id = {line.comment.id: line for line in kept}

    def _show(self, comment: Comment) -> None:
        if comment.id in self._by_id:
            return
        if len(self.lines) == LINES_MAX:
            self._by_id.pop(self.lines[0].comment.id, None)
        line = self._by_id[comment.id] = Line(comment)
        self.lines.append(line)

    # --- Ask ----------------------------------------------------------------------------------------------------------

    def frames_per_s(self, now_s: float) -> float:
        """Over the last five seconds."""
        self._forget_before(now_s - RATE_WINDOW_S)
        return len(self._frame_times) / RATE_WINDOW_S

    def likes_per_s(self, now_s: float) -> float:
        """Over the last five seconds."""
        self._forget_before(now_s - RATE_WINDOW_S)
        return sum(n for _, n in self._like_times) / RATE_WINDOW_S

    def _forget_before(self, at_s: float) -> None:
        while self._frame_times and self._frame_times[0] < at_s:
            self._frame_times.popleft()
        while self._like_times and self._like_times[0][0] < at_s:
            self._like_times.popleft()

    def line_of(self, comment_id: str) -> Line | None:
        """The line of a comment that is still remembered."""
        return self._by_id.get(comment_id)

    # --- Draw ---------------------------------------------------------------------------------------------------------

    def picture(self, now_s: float, height: int, more: list[Text] | None = None) -> RenderableType:
        """The whole terminal; `more` are lines of the caller below the room's own."""
        below = [*self.show.lines(), *self.goods.lines(), self._tally_line(), *(more or []), *self._note_lines()]
        pinned = self.state.get("notice")
        above = (
            [Text.assemble(("📌 ", ""), (shown(str(pinned.get("text", ""))), "bold yellow"))] if isinstance(pinned, dict) else []
        )
        room_for = max(1, height - 3 - len(above) - len(below))
        lines = [self._line(line, now_s) for line in list(self.lines)[-room_for:]]
        filler = [Text("")] * (room_for - len(lines))
        comments = Group(*above, *filler, *lines)
        box = Panel(
            comments, title=self._title(), title_align="left", subtitle=self._connection(), subtitle_align="right", padding=(0, 1)
        )
        parts: list[RenderableType] = [self._head(now_s), box]
        for text in below:
            text.no_wrap, text.overflow = True, "ellipsis"
            parts.append(text)
        return Group(*parts)

    def _title(self) -> Text:
        status = str(self.state.get("status", ""))
        style = {"live": "bold white on red", "paused": "black on yellow", "ended": "dim"}.get(status, "cyan")
        title = shown(str(self.state.get("title") or ""))
        return Text.assemble(" ", (self.room, "bold"), f" · {title}" if title else "", " ", (f" {status.upper()} ", style), " ")

    def _head(self, now_s: float) -> Text:
        rate = self.likes_per_s(now_s)
        connections, users, total = (self.viewers.get(name, 0) for name in ("connections", "users", "total"))
        return Text.assemble(
            ("  ♥ ", "red"), (f"{self.likes:,}", "bold"), (f" +{rate:,.0f}/s" if rate else "", "dim"),
            "    ", (f"{users:,}", "bold"), " watching",
            "    ", (f"{self.frames_per_s(now_s):.1f}", "bold"), " frames/s",
            "    ", (f"{total:,}", "bold"), " people so far",
            "    ", (f"{connections:,} connections", "dim"),
            no_wrap=True, overflow="ellipsis",
        )  # fmt: skip

    def _line(self, line: Line, now_s: float) -> Text:
        comment = line.comment
        name = shown(comment.u.name) or comment.u.id
        text = Text(no_wrap=True, overflow="ellipsis")
        text.append(f"{clock(comment.at)} ", "dim")
        text.append(fit(name, NAME_CELLS), _name_style(comment))
        text.append(" ")
        if line.n > 1:
            fresh = now_s - line.grown_s < GROWN_S
            text.append(f"×{line.n:<4}", "bold black on yellow" if fresh else "bold yellow")
        else:
            text.append("     ")
        if comment.reply_to is not None:
            text.append(f"↩ {shown(comment.reply_to.text)}  ", "dim")
        color = (comment.style or {}).get("color")
        style = f"#{color:06x}" if isinstance(color, int) and 0 <= color <= 0xFFFFFF and _readable(color) else ""
        text.append(" " + shown(comment.text), style)
        return text

    def _tally_line(self) -> Text:
        return Text.assemble(("comments ", "dim"), self.tally.text())

    def _note_lines(self) -> list[Text]:
        return [Text(note, "magenta") for note in list(self.notes)[-2:]]

    def _connection(self) -> Text:
        return Text(f" {connection_text(self.connection)}{' · ' + self.where if self.where else ''} ", "dim")


def _name_style(comment: Comment) -> str:
    if comment.u.staff:
        return "bold magenta"
    if comment.paid is not None:
        return "bold yellow"
    return "cyan" if comment.lane < 3 else "blue"


def _readable(color: int) -> bool:
    """Dark colours vanish on a dark terminal; those get the terminal's own. Luma as in ITU-R BT.601."""
    return (color >> 16) * 299 + (color >> 8 & 0xFF) * 587 + (color & 0xFF) * 114 > 90_000


def clock(at_ms: int) -> str:
    """Local wall time, to the second."""
    return time.strftime("%H:%M:%S", time.localtime(at_ms / 1000))


def fit(text: str, cells: int) -> str:
    """Cut or filled up to so many columns of a terminal, where a Chinese character takes two."""
    if cell_len(text) > cells:
        while cell_len(text) > cells - 1:
            text = text[:-1]
        text += "…"
    return text + " " * (cells - cell_len(text))


def connection_text(connection: Connection) -> str:
    """For people."""
    why = f": {shown(connection.reason)}" if connection.reason else ""
    match connection.state:
        case "open":
            return "connected"
        case "waiting":
            return f"reconnecting in {connection.delay_s:.1f} s{why}"
        case "closed" if connection.code == 1000:
            return "left"
        case "closed":
            return f"closed{why} ({connection.code})"
        case _:
            return "connecting"


def plain_lines(event: Event, screen: RoomScreen) -> list[str]:
    """What a pipe gets of an event that `screen` has just taken: a line per thing that happened."""
    match event:
        case Frame():
            out = [_plain_comment(comment) for comment in event.comments]
            for merge in event.merges:
                line = screen.line_of(merge.id)
                out.append(f"{clock(event.ts)} ×{merge.n} {shown(line.comment.text) if line else UNSEEN}")
            if isinstance(event.state, dict):
                out += [
                    f"{clock(event.ts)} -- {name}: {shown(_brief(event.state[name]))}"
                    for name in ("title", "status", "notice")
                    if name in event.state
                ]
            out += [f"{clock(event.ts)} -- {news}" for news in (*screen.show.news, *screen.goods.news)]
            if event.redact is not None:
                out.append(f"{clock(event.ts)} -- removed: {len(event.redact.comments)} comments, {len(event.redact.users)} users")
            return out
        case Welcome():
            status = event.state.get("status", "")
            head = f"{clock(event.now)} -- {event.room}: {status}, {int(event.state.get('likes') or 0):,} likes"
            goods = [f"{clock(event.now)} -- {news}" for news in (*screen.show.news, *screen.goods.news)]
            return [head, *goods, *([] if event.recovered else [_plain_comment(comment) for comment in event.recent])]
        case Connection():
            told = event.state == "waiting" or (event.state == "closed" and event.code != 1000)
            return [f"-- {connection_text(event)}"] if told else []
        case Notice():
            return [f"{clock(event.at)} -- notice {event.kind}: {shown(_brief(event.data))}"]
        case Bye():
            return [f"-- bye {event.code}: {shown(event.reason)}"]
        case _:
            return []


def json_lines(event: Event) -> list[str]:
    """The event as one JSON object, as it stands on the wire; `connection` for what the client itself did."""
    if isinstance(event, Answer):
        return []
    body: Any = msgspec.to_builtins(event)
    if isinstance(event, Connection):
        body = {"t": "connection", **body}
    return [msgspec.json.encode(body).decode()]


def _plain_comment(comment: Comment) -> str:
    times = f" ×{comment.n}" if comment.n > 1 else ""
    return f"{clock(comment.at)} {shown(comment.u.name) or comment.u.id}: {shown(comment.text)}{times}"


def _brief(value: Any) -> str:
    if isinstance(value, dict) and "text" in value:
        return str(value["text"])
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()[:120]
