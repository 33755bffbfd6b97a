"""`livecast conform`: serve the scripted room to one client, and grade it."""

from __future__ import annotations

import asyncio
import sys
from typing import Final
from urllib.parse import urlsplit

import click
from aiohttp import web
from rich.console import Console

from livecast.ops.conform.example import Example
from livecast.ops.conform.grade import as_json, grade_of, show
from livecast.ops.conform.script import walk
from livecast.ops.conform.stage import ROOM, Stage

TOKEN: Final = "conform"  # noqa: S105 - any will do: the scripted room looks only whether there is one


async def conform(url: str, *, example: bool, tell: Console) -> tuple[Stage, bool]:
    """Serve the room at `url` until the walk is over: the stage with what was noted, and whether it went to the end."""
    where = urlsplit(url)
    stage = Stage(url.rstrip("/"), tell=lambda step: tell.print(f"  {step} …", highlight=False))
    runner = web.AppRunner(stage.app(), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    client: asyncio.Task[None] | None = None
    try:
        await web.TCPSite(runner, where.hostname, where.port).start()
        tell.print(guide(stage.url), highlight=False)
        if example:
            client = asyncio.create_task(Example(stage.url, TOKEN).run())
        return stage, await walk(stage)
    finally:
        if client is not None:
            client.cancel()
            await asyncio.wait({client})
        await runner.cleanup()


def guide(url: str) -> str:
    """What to do with a client now."""
    return (
        f"The scripted room `{ROOM}` is at {url}. Connect your client to\n"
        f"  ws{url[4:]}/v1/rooms/{ROOM}/ws     token: {TOKEN}\n"
        "and let it do what events of type `x.conform` say (`data.do`):\n"
        "  comment  say `data.text`\n"
        "  gift     send `data.n` of `data.gift`\n"
        "  show     POST what is on the screen to `data.url` as JSON: step (`data.step`), epoch, seq,\n"
        "           likes, title, notice, custom, comments [{id, text, n}] and gifts [{combo, n, done}]\n"
        "docs/conform.md shows it in twenty lines. Waiting two minutes for the client.\n"
    )


@click.command()
@click.argument("url", default="http://127.0.0.1:8091")
@click.option("--example", is_flag=True, help="Let livecast's own Python client walk through, to see what a good one looks like.")
@click.option("--json", "json_", is_flag=True, help="Print the outcome as JSON, for a front end's CI.")
def command(*, url: str, example: bool, json_: bool) -> None:
    """Walk a client through a scripted room and grade it.

    URL is where the room is offered. The client connects to it as to any room, and is led through resume, merges, redaction,
    combos, snapshots, a change of epoch, lost frames, doubt about money, refusals and a ban, in one to three minutes. Exits 0 with
    grade A or B, 1 with any other.
    """
    where = urlsplit(url)
    try:
        usable = where.scheme == "http" and bool(where.hostname) and where.port is not None and where.path in {"", "/"}
    except ValueError:
        usable = False
    if not usable:
        raise click.UsageError(f"{url!r} is not of the form http://HOST:PORT: it is where the scripted room will be offered")
    console = Console(stderr=json_)
    try:
        stage, whole = asyncio.run(conform(url, example=example, tell=console))
    except OSError as fault:
        raise click.ClickException(f"cannot listen at {url}: {fault.strerror or fault}") from None
    except KeyboardInterrupt:
        console.print("stopped")
        sys.exit(130)
    if json_:
        click.echo(as_json(stage.checks, whole=whole))
    else:
        show(console, stage.checks, whole=whole)
    sys.exit(0 if grade_of(stage.checks, whole=whole) in {"A", "B"} else 1)
