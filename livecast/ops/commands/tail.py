"""`livecast tail`: a room in the terminal."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from typing import Any

import click
from rich.console import Console

from livecast.client import ClientError, Connection, Event, LivecastClient
from livecast.ops.people.visitors import reader_options
from livecast.ops.screen.screen import RoomScreen, Style, connection_text, json_lines, plain_lines
from livecast.ops.screen.terminal import draw, is_live, say, until, until_stopped


async def watch(
    url: str,
    room: str,
    *,
    token: str | None = None,
    style: Style = "plain",
    console: Console | None = None,
    frames_max: int | None = None,
    wait_s: float = 10.0,
) -> int:
    """Show `room` until stopped, `frames_max` frames have come, or the server ends it. Returns the exit status.

    `wait_s`: how long to try for a first connection.
    """
    console = console or Console()
    screen = RoomScreen(room)
    with until_stopped() as stop:

        def take(event: Event) -> None:
            screen.take(event, time.monotonic())
            if not all(say(line) for line in lines_of(event)):
                stop.set()
            if (frames_max is not None and screen.frames >= frames_max) or _is_end(event):
                stop.set()

        lines_of = _lines(style, screen)
        client = LivecastClient(url, room, token=token, listen=take, connect_timeout_s=wait_s)
        try:
            await until(client.start(), stop)
            if style == "live":
                await draw(console, lambda height: screen.picture(time.monotonic(), height), stop)
            else:
                await stop.wait()
        except ClientError as error:
            click.echo(f"livecast tail: {error}", err=True)
            return 1
        finally:
            await client.close()
    if style != "json":
        _summary(screen, console if style == "live" else Console(file=sys.stderr))
    ended = client.ended
    return 1 if ended is not None and ended.code not in (1000, 4010) else 0


def _lines(style: Style, screen: RoomScreen) -> Callable[[Event], list[str]]:
    """What to print of an event."""
    match style:
        case "json":
            return json_lines
        case "plain":
            return lambda event: plain_lines(event, screen)
        case _:
            return lambda _: []


def _is_end(event: Event) -> bool:
    return isinstance(event, Connection) and event.state == "closed"


def _summary(screen: RoomScreen, console: Console) -> None:
    """The last word: what was seen in all."""
    console.print(f"{screen.room}: {connection_text(screen.connection)}")
    console.print(
        f"{screen.frames:,} frames, {screen.likes_seen:,} likes seen (the broadcast has {screen.likes:,})", highlight=False
    )
    console.print("comments", screen.tally.text())


@click.command()
@click.option("--room", required=True, metavar="R", help="The room to watch.")
@reader_options
@click.option("--token", envvar="LIVECAST_TOKEN", metavar="JWT", help="Watch as somebody; without it, anonymously.")
@click.option("--plain", "style", flag_value="plain", help="One line per comment; the default where there is no terminal.")
@click.option("--json", "style", flag_value="json", help="One JSON object per message, as on the wire.")
@click.option("--frames", "frames_max", type=click.IntRange(1), metavar="N", help="Stop after so many frames.")
@click.option(
    "--wait", "wait_s", type=click.FloatRange(0), default=10.0, show_default=True, metavar="S", help="Try to connect for so long."
)
def command(*, style: Style | None, **options: Any) -> None:
    """Watch a room in the terminal.

    Shows the comments as viewers see them, merged ones growing in place, with likes, viewers, and what became of everything
    that was said. Reconnects and resumes by itself. Ctrl-C ends it.

    \b
    Examples:
      livecast tail --room demo
      livecast tail --room demo --url https://live.example.com --token "$(livecast token --sub me)"
      livecast tail --room demo --json | jq .likes
    """  # noqa: D301 - click wants the control character, not its name
    console = Console()
    chosen: Style = style or ("live" if is_live(console) else "plain")
    try:
        sys.exit(asyncio.run(watch(style=chosen, console=console, **options)))
    except KeyboardInterrupt:
        sys.exit(0)
