"""`livecast audit`: replay the ledger of all shards against everything that is kept, and say whether the books agree."""

from __future__ import annotations

import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click

from livecast.adapters.archive.store import FILE_NAME, SqlArchive, sqlite_url
from livecast.adapters.redis.address import without_password
from livecast.adapters.redis.ledger import RedisLedger
from livecast.adapters.redis.ledger_calls import LedgerServer
from livecast.core.books.audit import Difference, Sums
from livecast.ledger import Ledger, ShardStatus, audit
from livecast.ops.commands.serve import settings_or_exit
from livecast.ops.configuration.settings import Settings
from livecast.ops.stores.access import EXIT_USAGE, NoStoreError, opened, run, stop
from livecast.ops.stores.embedded import EmbeddedStoreError
from livecast.ops.stores.holding import must_fit
from livecast.ops.stores.valkey_binary import NoValkeyError
from livecast.ports import StoreError

EXIT_DIFFERENCE: Final = 1
DEADLINE_S: Final = 30.0
"""For one page of an audit: nobody waits for it but a person, and a busy disk may take seconds."""


@asynccontextmanager
async def ledger_of(settings: Settings) -> AsyncIterator[tuple[RedisLedger, str]]:
    """The ledger that a node with these settings has, for a tool, and where that is in words."""
    if settings.ledger.url:
        async with _connected(settings.ledger.url) as ledger:
            yield ledger, without_password(settings.ledger.url)
        return
    async with opened(settings.server.data_dir, "ledger") as (url, beside), _connected(url) as ledger:
        where = Path(settings.server.data_dir) / "ledger"
        yield ledger, f"{where} ({'of the running node' if beside else 'no node is running on it'})"


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[RedisLedger]:
    # What is not durable enough for money is readable all the same.
    server = LedgerServer(url, durability="external", deadline_s=DEADLINE_S)
    ledger = RedisLedger(server)
    try:
        await must_fit(server)
        yield ledger
    finally:
        await ledger.close()
        await server.close()


@asynccontextmanager
async def checkpoints_of(settings: Settings, ledger: Ledger) -> AsyncIterator[SqlArchive | None]:
    """The archive that holds what a ledger's forgotten entries led to; None: it has forgotten none, or there is no such archive."""
    file = Path(settings.server.data_dir) / FILE_NAME
    has_some = bool(settings.archive.url) or file.exists()
    if settings.archive.url == "none" or not has_some or not any(span.begins for span in await ledger.spans()):
        yield None
        return
    archive = SqlArchive(settings.archive.url or sqlite_url(settings.server.data_dir))
    try:
        yield archive
    finally:
        await archive.close()


@click.command()
@click.option("--config", type=click.Path(path_type=Path), envvar="LIVECAST_CONFIG", metavar="FILE", help="The node's settings.")
@click.option("--data-dir", metavar="D", help="The node's data directory [default: .livecast].")
@click.option("--ledger", metavar="URL", help="The ledger's server, if it is not an embedded one.")
@click.option(
    "--textfile",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.prom",
    help="Also write the outcome for Prometheus: a file for node_exporter's textfile collector.",
)
def command(config: Path | None, data_dir: str | None, ledger: str | None, textfile: Path | None) -> None:
    """Replay the ledger against balances, gifts, boards, claims and stock.

    Works beside a running node, which it does not disturb, and on the data directory of one that is stopped or was killed.
    Every entry is replayed, those that the ledger has forgotten by the checkpoints in the archive that stand for them (the output
    says which part rests on these); what follows is compared with everything that is kept: wallets and their statements,
    each gift once and its reversal, boards and earnings, drops with their stock, units with serials, codes and holders, pots,
    limits per user and group, reservations, orders. Nothing is changed.

    Exits 0 if the books agree, 1 with the first difference (which shard and key, what the ledger says, what the books say) or
    where a shard is closed because entries were lost, 2 if there is no such ledger or the configuration is wrong, 3 if it could
    not be read to its end.

    \b
    Examples:
      livecast audit
      livecast audit --data-dir /var/lib/livecast
      livecast audit --ledger redis://10.0.0.6:6379
      livecast audit --config livecast.toml --textfile /var/lib/prometheus/node-exporter/livecast.prom
    """  # noqa: D301 - click wants the control character, not its name
    settings = settings_or_exit(config=config, dev=True, data_dir=data_dir, ledger=ledger)
    try:
        where, sums, closed, difference = run(_audited(settings))
    except NoStoreError as error:
        stop(str(error), EXIT_USAGE)
    except (EmbeddedStoreError, NoValkeyError) as error:
        stop(str(error))
    except StoreError as error:
        stop(f"the ledger could not be read to its end, so nothing is known about it: {error}")
    if textfile is not None:
        _tell(textfile, agrees=sums is not None and not closed)
    click.echo(f"Ledger: {where}")
    for each in closed:
        click.echo(f"Shard {each.shard} is closed: {each.closed.partition(':')[0]}")
    if sums is None:
        click.echo(f"The books do NOT agree: {difference}")
        raise click.exceptions.Exit(EXIT_DIFFERENCE)
    click.echo("\n" + table(sums) + "\n")
    if closed:
        click.echo("The books agree with the ledger, but the ledger has LOST entries: see livecast ledger status.")
        raise click.exceptions.Exit(EXIT_DIFFERENCE)
    click.echo("The books agree.")


async def _audited(settings: Settings) -> tuple[str, Sums | None, list[ShardStatus], str]:
    async with ledger_of(settings) as (ledger, where):
        closed = [status for status in await ledger.statuses() if status.closed]
        try:
            async with checkpoints_of(settings, ledger) as checkpoints:
                return where, await audit(ledger, checkpoints), closed, ""
        except Difference as difference:
            return where, None, closed, str(difference)


def _tell(textfile: Path, *, agrees: bool) -> None:
    """Replace the file in one step, as whoever reads it may do so at any time."""
    lines = (
        "# HELP livecast_audit_agrees 1 if the last audit found that the books agree with the ledger, else 0.",
        "# TYPE livecast_audit_agrees gauge",
        f"livecast_audit_agrees {int(agrees)}",
        "# HELP livecast_audit_finished_timestamp_seconds When the last audit that came to its end did so, Unix s.",
        "# TYPE livecast_audit_finished_timestamp_seconds gauge",
        f"livecast_audit_finished_timestamp_seconds {time.time():.0f}",
    )
    try:
        with tempfile.NamedTemporaryFile("w", dir=textfile.parent, prefix=f".{textfile.name}.", delete=False) as file:
            file.write("\n".join(lines) + "\n")
        Path(file.name).chmod(0o644)  # for the exporter, which is another user
        Path(file.name).replace(textfile)
    except OSError as error:
        stop(f"the outcome cannot be written to {textfile}: {error.strerror}")


def table(sums: Sums) -> str:
    """The sums for people: what was counted, how much, and what belongs to it."""
    rows = (
        ("entries replayed", sums.entries - sums.rested, f"in {_many(sums.shards, 'shard')}"),
        *([("of checkpoints", sums.rested, _rests_on(sums))] if sums.rested_since is not None else []),
        ("wallets", sums.wallets, f"holding {_many(sums.coins, 'coin')}"),
        (
            "gifts",
            sums.gifts,
            f"worth {_many(sums.gift_value, 'coin')}; {sums.reversed:,} reversed, {sums.pending:,} half way",
        ),
        ("boards", sums.boards, ""),
        ("drops", sums.drops, f"{_many(sums.entrants, 'entrant')} in pots"),
        ("units granted", sums.units, f"{sums.confirmed:,} confirmed, {sums.reserved:,} reserved, {sums.returned:,} back in stock"),
        ("orders", sums.orders, ""),
        *([("confirmations", sums.confirmations, "a loss that an operator confirmed")] if sums.confirmations else []),
    )
    width = max(len(f"{count:,}") for _, count, _ in rows)
    return "\n".join(f"  {name:<18}{count:>{width},}  {note}".rstrip() for name, count, note in rows)


def _rests_on(sums: Sums) -> str:
    """What stands for the entries that were not replayed."""
    since = datetime.fromtimestamp((sums.rested_since or 0) / 1000, UTC)
    return f"entries before those: {_many(sums.checkpoints, 'shard')} rest on checkpoints, the oldest of {since:%Y-%m-%d %H:%M} UTC"


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}" + ("" if count == 1 else "s")
