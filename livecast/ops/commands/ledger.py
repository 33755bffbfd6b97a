"""`livecast ledger`: where the ledger stands, what is closed and why, and an operator's word that it may go on as it is."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import click
from msgspec import Struct

from livecast.adapters.redis.formats import RedisFormats
from livecast.adapters.redis.ledger import RedisLedger
from livecast.adapters.redis.positions import RedisPositions
from livecast.adapters.redis.server import RedisServer
from livecast.core.nodes.formats import Mark
from livecast.ledger import ShardStatus
from livecast.ops.commands.audit import ledger_of
from livecast.ops.commands.serve import settings_or_exit
from livecast.ops.configuration.settings import Settings
from livecast.ops.stores.access import EXIT_USAGE, NoStoreError, directory_of, opened, run, stop
from livecast.ops.stores.embedded import EmbeddedStoreError
from livecast.ops.stores.valkey_binary import NoValkeyError
from livecast.ports import StoreError, WrongFormat

EXIT_CLOSED: Final = 1


class Stand(Struct):
    """The ledger at one look: shards that have anything, what is remembered of them, and how durable its server is."""

    where: str
    durability: str
    statuses: list[ShardStatus]
    remembered: Mapping[int, int]
    mark: Mark | None = None


def _options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--ledger", metavar="URL", help="The ledger's server, if it is not an embedded one."),
        click.option("--redis", metavar="URL", help="The rooms' server, which remembers positions, if it is not embedded."),
        click.option("--data-dir", metavar="D", help="The node's data directory [default: .livecast]."),
        click.option(
            "--config", type=click.Path(path_type=Path), envvar="LIVECAST_CONFIG", metavar="FILE", help="The node's settings."
        ),
    ):
        command = option(command)
    return command


@click.group()
def command() -> None:
    """The ledger: everything that has value, in 256 shards.

    Each shard counts its operations; where it stands is remembered outside the ledger as well. A shard that is found behind that
    has lost something that may have been acknowledged: its money is closed until an operator has looked and confirms.
    """


@command.command()
@_options
def status(**options: Any) -> None:
    """Show where each shard stands, how durable the server is, what is closed and why.

    Works beside a running node and on a directory at rest. Exits 0 if everything is open, 1 if a shard is closed or will be as soon
    as it is used, 2 if there is no such ledger, 3 if it cannot be read.
    """
    stand = _run(_looked(_settings(options)))
    click.echo(f"Ledger: {stand.where}\nDurability: {stand.durability}")
    if stand.mark is not None:
        click.echo(f"Format: {stand.mark.reader}, as livecast {stand.mark.since or '?'} writes it")
    click.echo()
    lost = behind(stand)
    click.echo(table(stand))
    if lost:
        shards = f"{len(lost)} of {len(stand.statuses)} shards"
        click.echo(f"Money is CLOSED in {shards}. Look what happened to the ledger's disk; then: livecast ledger confirm")
        raise click.exceptions.Exit(EXIT_CLOSED)
    click.echo(f"Money is open: no shard is behind what is remembered of it ({len(stand.statuses)} in use).")


@command.command()
@_options
def confirm(**options: Any) -> None:
    """Open closed shards again as they are: what is missing is lost for good.

    Do this when you know why the ledger fell back, and that nothing better than what is there can be brought back (a backup, a
    replica). Entries that were lost stay lost, and what was acknowledged with them is no longer owed by the books. A running node
    goes on within seconds. The confirmation is an entry in the ledger, which `livecast audit` counts.

    Exits 0, also if nothing was closed.
    """
    settings = _settings(options)
    opened_again = _run(_confirmed(settings))
    for each, was in opened_again:
        click.echo(f"Shard {each.shard}: open again, on from position {each.position:,} ({was})")
    if opened_again:
        click.echo(f"{len(opened_again)} shards are open again." if len(opened_again) > 1 else "1 shard is open again.")
    else:
        click.echo("No shard was closed: there was nothing to confirm.")


def behind(stand: Stand) -> list[ShardStatus]:
    """Shards that are closed, or stand below what is remembered and close with the next operation."""
    return [each for each in stand.statuses if each.closed or each.position < stand.remembered.get(each.shard, 0)]


def table(stand: Stand) -> str:
    """A line for each shard that is used or remembered."""
    if not stand.statuses:
        return "  No shard has anything yet.\n"
    lost = {each.shard for each in behind(stand)}
    lines = [f"  {'shard':>5}  {'position':>22}  {'remembered':>22}  state"]
    for each in stand.statuses:
        known = f"{stand.remembered[each.shard]:,}" if each.shard in stand.remembered else "-"
        why = each.closed.partition(":")[0] or "it is behind what is remembered"
        state = f"CLOSED: {why}" if each.shard in lost else "open"
        lines.append(f"  {each.shard:>5}  {each.position:>22,}  {known:>22}  {state}")
    return "\n".join(lines) + "\n"


# --- What is done -----------------------------------------------------------------------------------------------------
def _settings(options: Mapping[str, Any]) -> Settings:
    return settings_or_exit(dev=True, **options)


def _run(work: Any) -> Any:
    try:
        return run(work)
    except NoStoreError as error:
        stop(str(error), EXIT_USAGE)
    except (EmbeddedStoreError, NoValkeyError, WrongFormat) as error:
        stop(str(error))
    except StoreError as error:
        stop(f"the ledger does not answer: {error}")


async def _looked(settings: Settings) -> Stand:
    async with ledger_of(settings) as (ledger, where), _positions(settings) as positions:
        remembered = await positions.seen() if positions is not None else {}
        statuses = [each for each in await ledger.statuses() if each.position or each.closed or each.shard in remembered]
        mark = await RedisFormats(ledger.server, "ledger").mark()
        return Stand(where, await _durability(ledger), statuses, remembered, mark)


async def _confirmed(settings: Settings) -> list[tuple[ShardStatus, str]]:
    """The shards that were closed, as they are now, and what was said of them before."""
    async with ledger_of(settings) as (ledger, _), _positions(settings) as positions:
        for shard, position in (await positions.seen() if positions is not None else {}).items():
            await ledger.expect(shard, position)
        closed = [each for each in await ledger.statuses() if each.closed]
        now = time.time_ns() // 1_000_000
        return [(await ledger.confirm(each.shard, now), each.closed.partition(":")[0]) for each in closed]


@asynccontextmanager
async def _positions(settings: Settings) -> AsyncIterator[RedisPositions | None]:
    """What remembers positions; None where there are no rooms yet."""
    if settings.redis.url:
        async with _server(settings.redis.url) as server:
            yield RedisPositions(server)
        return
    try:
        directory_of(settings.server.data_dir, "rooms")
    except NoStoreError:
        yield None
        return
    async with opened(settings.server.data_dir, "rooms") as (url, _), _server(url) as server:
        yield RedisPositions(server)


@asynccontextmanager
async def _server(url: str) -> AsyncIterator[RedisServer]:
    server = RedisServer(url)
    try:
        yield server
    finally:
        await server.close()


async def _durability(ledger: RedisLedger) -> str:
    """What the server says of how it keeps what it acknowledges."""
    try:
        flat = (await ledger.server.everywhere("CONFIG", "GET", "append*"))[0][1]
    except StoreError as error:
        return f'not shown by the server ({error}): money opens with [ledger] durability = "external" only'
    shown = {name.decode(): value.decode() for name, value in zip(flat[::2], flat[1::2], strict=True)}
    said = f"appendonly {shown.get('appendonly')}, appendfsync {shown.get('appendfsync')}"
    fit = shown.get("appendonly") == "yes" and shown.get("appendfsync") == "always"
    return said if fit else f"{said}: what it acknowledges could be lost, so money is closed. Set yes and always"
