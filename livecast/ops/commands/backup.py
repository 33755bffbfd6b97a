"""`livecast backup`: everything in a data directory, or on servers, as one file, taken beside running nodes.

The parts are taken one after the other, what remembers before what is remembered: rooms and archive know up to which position they
have seen the ledger, and would close the money of one that stands behind that. So the ledger comes last.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import sqlite3
import tarfile
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click
import msgspec
from msgspec import Struct

from livecast import __version__
from livecast.adapters.archive.store import FILE_NAME as ARCHIVE
from livecast.adapters.redis.address import parse, without_password
from livecast.adapters.redis.server import RedisServer
from livecast.adapters.redis.snapshot import take_snapshot
from livecast.core.errors import LivecastError
from livecast.edge.money.receipts import KEY_FILE
from livecast.ops.commands.serve import settings_or_exit
from livecast.ops.configuration.settings import Settings
from livecast.ops.stores.access import EXIT_USAGE, NoStoreError, opened, run, stop
from livecast.ops.stores.embedded import EmbeddedStoreError, Role
from livecast.ops.stores.valkey_binary import NoValkeyError
from livecast.ports import StoreError

MANIFEST: Final = "manifest.json"
SNAPSHOT: Final = "dump.rdb"
"""What BGSAVE writes. A store of ours begins from its append-only files and never looks at it."""
SAVE_S: Final = 600.0
"""A snapshot of 10 GB on a slow disk."""
SERVER_S: Final = 30.0
"""One page of a restore, on a slow disk."""
CLUSTER_ADVICE: Final = (
    "stop all nodes of livecast, then have every primary write its snapshot (BGSAVE) and keep those files together; or keep the "
    "ledger behind Sentinels, where one moment can be taken. docs/operations.md has the steps"
)
SAVE_LOOK_S: Final = 0.05
CHUNK: Final = 1024 * 1024


class Part(Struct, frozen=True):
    """One file of a backup. `keys`: how many the store had, for a look at it."""

    sha256: str
    bytes: int
    keys: int | None = None


class Manifest(Struct, frozen=True):
    """What a backup is: the first file in it."""

    v: int
    livecast: str
    made_at: str
    parts: dict[str, Part]


class BadBackupError(LivecastError):
    """The file is no backup, or damaged; the message says which."""


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--config", type=click.Path(path_type=Path), envvar="LIVECAST_CONFIG", metavar="F", help="The node's settings.")
@click.option("--data-dir", metavar="D", help="The node's data directory [default: .livecast].")
@click.option("--redis", metavar="URL", help="The rooms' store, as a user that may SYNC, if it is not an embedded one.")
@click.option("--ledger", metavar="URL", help="The ledger's store, as a user that may SYNC, if it is not an embedded one.")
def command(file: Path, config: Path | None, **options: str | None) -> None:
    """Write everything in a data directory, or on the servers that the settings name, to FILE, also while nodes run.

    In it are the stores of rooms and of the ledger, the archive of the data directory, and the key that signs receipts: with it
    whoever has the file can sign receipts and knows coupon codes. It is made readable by its owner alone; keep it so. Settings are
    not in it, and neither is an archive in PostgreSQL: take that with pg_dump before this, never after.

    A server is asked as a replica would ask it (SYNC): its user needs +sync, +replconf and +dbsize. Behind Sentinels that is the
    primary. The nodes of a cluster share no moment, so there is no backup of a cluster: see docs/operations.md for what to do.

    Each store is a snapshot of one moment, the ledger's the latest. Exits 0, 2 if there is nothing to back up or FILE is there
    already, 3 if a store does not answer.

    \b
    Examples:
      livecast backup /backups/livecast-$(date +%F).tar --data-dir /var/lib/livecast
    """  # noqa: D301 - click wants the control character, not its name
    settings = settings_or_exit(config=config, dev=True, **options)
    urls = urls_of(settings)
    for role, url in urls.items():
        if url and parse(url).form == "cluster":
            stop(f"the {role} store is a cluster, whose nodes share no moment: {CLUSTER_ADVICE}", EXIT_USAGE)
    if file.exists():
        stop(f"{file} is there already: give another name, or remove it", EXIT_USAGE)
    try:
        manifest = run(_backed_up(Path(settings.server.data_dir), urls, file))
    except NoStoreError as error:
        stop(str(error), EXIT_USAGE)
    except (EmbeddedStoreError, NoValkeyError, StoreError, OSError, sqlite3.Error) as error:
        stop(f"there is no backup: {error}")
    click.echo(table(manifest))
    what = " and ".join(dict.fromkeys(without_password(url) or settings.server.data_dir for url in urls.values()))
    click.echo(f"Backed up {what} to {file} ({file.stat().st_size:,} bytes). It holds keys: keep it like money.")


def urls_of(settings: Settings) -> dict[Role, str]:
    """Where the stores are: "" in the data directory."""
    return {"rooms": settings.redis.url, "ledger": settings.ledger.url}


async def _backed_up(data_dir: Path, urls: Mapping[Role, str], file: Path) -> Manifest:
    with _scratch(file) as scratch:
        keys = {"rooms.rdb": await _snapshot(data_dir, "rooms", urls["rooms"], scratch / "rooms.rdb")}
        await asyncio.to_thread(_copy_archive, data_dir / ARCHIVE, scratch / ARCHIVE)
        keys["ledger.rdb"] = await _snapshot(data_dir, "ledger", urls["ledger"], scratch / "ledger.rdb")
        if (data_dir / KEY_FILE).exists():
            shutil.copyfile(data_dir / KEY_FILE, scratch / KEY_FILE)
        return await asyncio.to_thread(_pack, scratch, file, keys)


@contextmanager
def _scratch(file: Path) -> Iterator[Path]:
    """A directory beside the file, for this user alone, gone afterwards."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{file.name}.", dir=file.parent) as directory:  # mkdtemp makes it 0700
        yield Path(directory)


async def _snapshot(data_dir: Path, role: Role, url: str, to: Path) -> int:
    """One moment's picture of a store; how many keys it has."""
    if url:
        async with connected(url) as server:
            return await take_snapshot(server, to)
    async with opened(data_dir, role) as (own, _):
        server = RedisServer(own)
        try:
            directory = Path((await server.run("CONFIG", "GET", "dir"))[1].decode())
            saves = await _persistence(server)
            await server.run("BGSAVE", "SCHEDULE")  # after a rewrite of the append-only file, should one be under way
            await _saved(server, int(saves["rdb_saves"]))
            await asyncio.to_thread(shutil.copyfile, directory / SNAPSHOT, to)
            (directory / SNAPSHOT).unlink()
            return int(await server.run("DBSIZE"))
        finally:
            await server.close()


async def _saved(server: RedisServer, before: int) -> None:
    """Wait for a snapshot to be on disk."""
    end = time.monotonic() + SAVE_S
    while True:
        now = await _persistence(server)
        if int(now["rdb_saves"]) > before and now["rdb_bgsave_in_progress"] == "0":
            return
        if now["rdb_bgsave_in_progress"] == "0" and now["rdb_last_bgsave_status"] != "ok":
            raise StoreError("the store cannot write a snapshot of itself: is its disk full?")
        if time.monotonic() > end:
            raise StoreError(f"the store does not finish a snapshot within {SAVE_S:g} s")
        await asyncio.sleep(SAVE_LOOK_S)


async def _persistence(server: RedisServer) -> dict[str, str]:
    lines = bytes(await server.run("INFO", "persistence")).decode().splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)


def _copy_archive(source: Path, to: Path) -> None:
    """The archive as of one moment, also while it is written to: SQLite's own way."""
    if source.exists():
        with closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as origin, closing(sqlite3.connect(to)) as copy:
            origin.backup(copy)


def _pack(scratch: Path, file: Path, keys: dict[str, int]) -> Manifest:
    """All parts as one file, which is there whole or not at all."""
    paths = sorted(path for path in scratch.iterdir() if path.is_file())
    parts = {path.name: Part(_digest(path), path.stat().st_size, keys.get(path.name)) for path in paths}
    manifest = Manifest(1, __version__, datetime.now(UTC).isoformat(timespec="seconds"), parts)
    (scratch / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=2))
    whole = scratch / "whole"
    with os.fdopen(os.open(whole, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        with tarfile.open(fileobj=out, mode="w") as tar:
            for path in (scratch / MANIFEST, *paths):
                tar.add(path, path.name)
        out.flush()
        os.fsync(out.fileno())
    file.hardlink_to(whole)  # and never over a file that came to be meanwhile
    return manifest


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def table(manifest: Manifest) -> str:
    """The parts, a line each."""
    rows = [(name, f"{part.bytes:,}", "" if part.keys is None else f"{part.keys:,} keys") for name, part in manifest.parts.items()]
    width = max(len(size) for _, size, _ in rows)
    return "\n".join(f"  {name:<16}{size:>{width}} bytes  {keys}".rstrip() for name, size, keys in rows)


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[RedisServer]:
    """A store, for something that nobody waits for."""
    server = RedisServer(url, deadline_s=SERVER_S)
    try:
        yield server
    finally:
        await server.close()
