"""`livecast replay`: a danmaku XML file played into a room, every comment by its own user through that user's socket."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any, Final

import click
import uvloop
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from livecast.client import ClientError, Event, LivecastClient, Welcome
from livecast.ops.danmaku_xml import Danmaku, Skipped, read_danmaku
from livecast.ops.people.seats import Seats
from livecast.ops.people.visitors import Tokens, speaker_options
from livecast.ops.processes.process import raise_file_limit
from livecast.ops.screen.screen import RoomScreen
from livecast.ops.screen.terminal import percentile, until, until_stopped

#: People come in so long before they speak, so that the handshake does not make them late. Longer would keep seats from others.
AHEAD_S: Final = 0.3
ANSWER_S: Final = 60.0  # a comment without a final answer by then is unanswered
#: After the last answer the tally may still be a frame away, alone it comes once a second.
SETTLE_S: Final = 4.0


class Replay:
    """One file played into one room."""

    def __init__(self, comments: list[Danmaku], seats: Seats, *, speed: float, likes: int) -> None:
        self.comments = sorted(comments, key=lambda comment: comment.at_s)
        self.verdicts: Counter[str] = Counter()
        self.unanswered: Counter[str] = Counter()
        self.late_ms: list[float] = []
        self.likes_counted = 0
        self.likes_sent = 0
        self._seats, self._speed, self._likes = seats, speed, likes
        self._left = Counter(comment.user for comment in comments)

    @property
    def done(self) -> int:
        """Comments whose fate is known, or given up."""
        return self.verdicts.total() + self.unanswered.total()

    async def play(self) -> None:
        """Every comment at its time; returns when the last has its answer."""
        began_s = time.monotonic() + AHEAD_S
        first_s = self.comments[0].at_s if self.comments else 0.0
        async with asyncio.TaskGroup() as group:
            for comment in self.comments:
                due_s = began_s + (comment.at_s - first_s) / self._speed
                if (ahead_s := due_s - AHEAD_S - time.monotonic()) > 0:
                    await asyncio.sleep(ahead_s)
                group.create_task(self._say(comment, due_s))

    async def _say(self, comment: Danmaku, due_s: float) -> None:
        user = comment.user
        try:
            client = await self._seats.take(user)
        except ClientError as error:
            self.unanswered[f"not let in: {error}"] += 1
            self._left[user] -= 1
            return
        try:
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            self.late_ms.append((time.monotonic() - due_s) * 1000)
            speaking = client.comment(comment.text, style=comment.style, timeout_s=ANSWER_S)
            answer, _ = await asyncio.gather(speaking, self._like(client))
            self.verdicts[answer.outcome] += 1
        except ClientError as error:
            self.unanswered[str(error) or type(error).__name__] += 1
        finally:
            self._left[user] -= 1
            self._seats.give_back(user)
        if not self._left[user]:
            await self._seats.leave(user)

    async def _like(self, client: LivecastClient) -> None:
        if not self._likes:
            return
        self.likes_sent += self._likes
        with contextlib.suppress(ClientError):
            answer = await client.like_counted(self._likes, timeout_s=ANSWER_S)
            self.likes_counted += (answer.ack.counted or 0) if answer.ack else 0


class Watcher:
    """What one viewer sees meanwhile: frames, gaps, the tally's sum, likes."""

    def __init__(self, url: str, room: str, token: str | None) -> None:
        self.screen = RoomScreen(room)
        self.likes_before = 0
        self._news = asyncio.Event()
        self.client = LivecastClient(url, room, token=token, listen=self._take)

    def _take(self, event: Event) -> None:
        if isinstance(event, Welcome) and not self.screen.frames:
            self.likes_before = int(event.state.get("likes") or 0)
        self.screen.take(event, time.monotonic())
        self._news.set()

    async def settle(self, comments: int) -> None:
        """Wait until the tally accounts for so many comments, but not for ever."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_S):
                while self.screen.tally.counts["in"] < comments:
                    self._news.clear()
                    await self._news.wait()


async def replay(
    file: Path,
    url: str,
    room: str,
    *,
    speed: float = 1.0,
    likes: int = 3,
    seats_max: int = 190,
    token_secret: str | None = None,
    api_key: str | None = None,
    console: Console | None = None,
) -> int:
    """Play `file` into `room` and print what became of it. Returns 0 only if every comment was answered."""
    raise_file_limit()
    console = console or Console()
    skipped = Skipped()
    try:
        comments = list(read_danmaku(file, skipped))
    except OSError as error:
        click.echo(f"livecast replay: cannot read {file}: {error.strerror or error}", err=True)
        return 1
    console.print(f"{file.name}: {len(comments):,} comments, {skipped.sentence()}", highlight=False)
    if not comments:
        click.echo(f"livecast replay: there is no comment in {file}; is it danmaku XML (<d p=…>…</d>)?", err=True)
    async with Tokens(url, room, token_secret=token_secret, api_key=api_key) as tokens:
        watcher = Watcher(url, room, await tokens.of("replay-watcher"))
        seats = Seats(url, room, tokens, seats_max)
        show = Replay(comments, seats, speed=speed, likes=likes)
        began_s = time.monotonic()
        with until_stopped() as stop:
            try:
                await until(watcher.client.start(), stop)
                await _play(show, stop)
                await watcher.settle(show.verdicts.total())
            except ClientError as error:
                click.echo(f"livecast replay: {error}", err=True)
                return 1
            finally:
                await seats.close()
                await watcher.client.close()
    console.print(_table(show, watcher, seats, time.monotonic() - began_s))
    for why, times in show.unanswered.most_common(5):
        console.print(f"[red]unanswered ×{times}[/]: {why}", highlight=False)
    return 0 if show.verdicts.total() == len(comments) else 1


async def _play(show: Replay, stop: asyncio.Event) -> None:
    """Play, with a bar on a terminal."""
    columns = (TextColumn("playing"), BarColumn(), MofNCompleteColumn(), TextColumn("comments answered"), TimeElapsedColumn())
    err = Console(stderr=True)
    with Progress(*columns, console=err, disable=not err.is_terminal, transient=True) as progress:
        bar = progress.add_task("playing", total=len(show.comments))
        playing = asyncio.create_task(until(show.play(), stop))
        while not playing.done():
            progress.update(bar, completed=show.done)
            await asyncio.wait({playing}, timeout=0.1)
        playing.result()


def _table(show: Replay, watcher: Watcher, seats: Seats, took_s: float) -> Table:
    """The summary."""
    table = Table(title=f"replayed into {watcher.screen.room}", show_header=False, title_justify="left")
    table.add_column(style="dim")
    table.add_column()
    screen, answered = watcher.screen, show.verdicts.total()
    table.add_row("took", f"{took_s:.1f} s, {len(show.comments):,} comments by {len({c.user for c in show.comments}):,} people")
    table.add_row("answered", f"{answered:,} of {len(show.comments):,}, {show.unanswered.total():,} unanswered")
    table.add_row("verdicts", ", ".join(f"{name} {n:,}" for name, n in show.verdicts.most_common()) or "none")
    table.add_row(
        "lateness",
        f"p50 {percentile(show.late_ms, 0.5):.0f} ms, p99 {percentile(show.late_ms, 0.99):.0f} ms, {seats.opened:,} sockets opened",
    )
    table.add_row(
        "a viewer saw",
        f"{screen.frames:,} frames over {watcher.client.connections} connection{'s' * (watcher.client.connections != 1)}",
    )
    table.add_row("tally", screen.tally.text())
    seen = f"seen {screen.likes_seen:,}, total {watcher.likes_before:,} → {screen.likes:,}"
    table.add_row("likes", f"{show.likes_sent:,} sent, {show.likes_counted:,} counted; {seen}")
    return table


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--room", required=True, metavar="R", help="The room to play into.")
@click.option(
    "--speed", type=click.FloatRange(0.01, 1000), default=1.0, show_default=True, metavar="X", help="So many times faster."
)
@click.option(
    "--likes",
    type=click.IntRange(0, 100),
    default=3,
    show_default=True,
    metavar="N",
    help="Taps after each comment; the recording has none.",
)
@click.option(
    "--sockets", "seats_max", type=click.IntRange(1, 10_000), default=190, show_default=True, metavar="N",
    help="Open at most so many sockets at once. A node allows 200 per address unless told otherwise; with --dev any number.",
)  # fmt: skip
@speaker_options
def command(*, file: Path, **options: Any) -> None:
    """Play a danmaku XML file into a room.

    Every comment is said by its own user, through a socket of theirs, at its time in the recording. Broken files are read as
    far as they go, and it is said what was left out. Ends when every comment has its answer; the exit status is 0 only then.

    \b
    Examples:
      livecast replay show.xml --room demo
      livecast replay show.xml.gz --room demo --speed 20
    """  # noqa: D301 - click wants the control character, not its name
    sys.exit(uvloop.run(replay(file, **options)))
