"""`livecast demo`: a development node with a living room in it.

The crowd is a process of its own, so that the node's loop serves the crowd and does not play it. It holds the read end of a
pipe from here and stops when that closes, however the node ends.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import sys
from functools import partial
from pathlib import Path
from typing import Any, Final

import click

from livecast.ops.commands.serve import node_options, run_or_exit
from livecast.ops.configuration.groups import DEFAULT_PORT, DEV_KEY

ROOM: Final = "demo"
STOP_S: Final = 5.0  # for the crowd to say goodbye; then it is killed


async def show(url: str, *, viewers: int, rate: float, likes: float, gifts: float) -> None:
    """Start the crowd beside the node at `url`, say where to look, and keep the crowd going until cancelled."""
    click.echo(guide(url, viewers))
    command = [sys.executable, "-c", "from livecast.ops.cli import main; main()", "crowd", "--room", ROOM, "--url", url]
    command += ["--viewers", str(viewers), "--rate", str(rate), "--likes", str(likes), "--gifts", str(gifts), "--host", "--sale"]
    command += ["--quiet", "--until-eof"]
    # A session of its own: Ctrl-C in the terminal is the node's business, which then ends the crowd in good order.
    crowd = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.PIPE, stdout=sys.stderr, start_new_session=True)
    try:
        if await crowd.wait():
            click.echo("livecast demo: the crowd has gone; the node goes on without it.", err=True)
    finally:
        if crowd.returncode is None:
            if crowd.stdin is not None:
                crowd.stdin.close()
            try:
                async with asyncio.timeout(STOP_S):
                    await crowd.wait()
            except TimeoutError:
                click.echo("livecast demo: the crowd did not go by itself and is killed.", err=True)
                crowd.kill()
                await crowd.wait()


def guide(url: str, viewers: int) -> str:
    """What to do with a demo that runs at `url`."""
    me = "livecast" if shutil.which("livecast") else _short(sys.argv[0])
    where = "" if url == f"http://127.0.0.1:{DEFAULT_PORT}" else f" --url {url}"
    rows = (
        ("watch it in a browser", f"{url}/"),
        ("run it as the host", f"{url}/host/{ROOM}"),
        ("sell in it as a merchant", f"{url}/merchant"),
        ("watch it in the terminal", f"{me} tail --room {ROOM}{where}"),
        ("send more people", f"{me} crowd --room {ROOM}{where}"),
        (
            "say something",
            f"curl -s {url}/v1/rooms/{ROOM}/comments -H 'Authorization: Bearer {DEV_KEY}' --json '{{\"text\": \"hello\"}}'",
        ),
        ("the room now", f"{url}/v1/rooms/{ROOM}/snapshot"),
        ("as an event stream", f"{url}/v1/rooms/{ROOM}/events"),
        ("the control plane", f"{url}/docs"),
        ("metrics", f"{url}/metrics"),
    )
    width = max(len(what) for what, _ in rows)
    lines = [f"  {what:<{width}}  {how}" for what, how in rows]
    head = f"\nRoom `{ROOM}` is live with a simulated crowd of {viewers} people. In another terminal or a browser:\n"
    return "\n".join(
        [head, *lines, "", "Everything here uses secrets that everybody knows: for trying out only. Ctrl-C stops it.\n"]
    )


def _short(program: str) -> str:
    """How to call this program from where we are."""
    relative = os.path.relpath(program)
    return shlex.quote(relative if not relative.startswith("..") else str(Path(program).absolute()))


@click.command()
@node_options
@click.option("--viewers", type=click.IntRange(1, 5000), default=120, show_default=True, metavar="N", help="People in the crowd.")
@click.option(
    "--rate", type=click.FloatRange(0, 1000), default=8.0, show_default=True, metavar="R", help="Comments per second, on average."
)
@click.option(
    "--likes", type=click.FloatRange(0, 100_000), default=40.0, show_default=True, metavar="R", help="Taps per second, on average."
)
@click.option("--gifts", type=click.FloatRange(0, 1000), default=0.8, show_default=True, metavar="R", help="Gifts per second.")
def command(*, viewers: int, rate: float, likes: float, gifts: float, **options: Any) -> None:
    """Run a development node with a simulated sale in room `demo`, and print what to open.

    People chat, tap and send gifts; the host sells from a shelf, gives coupons away every minute, asks and draws. The same as
    `livecast serve --dev` and `livecast crowd --room demo --sale` together.
    """
    run_or_exit(beside=partial(show, viewers=viewers, rate=rate, likes=likes, gifts=gifts), dev=True, **options)
