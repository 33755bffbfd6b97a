"""`livecast backup` and `livecast restore`: everything in a data directory as one file, taken beside a running node, and back.

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
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Final

import click
import msgspec
from msgspec import Struct

from livecast import __version__
from livecast.adapters.archive.store import FILE_NAME as ARCHIVE
from livecast.adapters.redis_server import RedisServer
from livecast.core.errors import LivecastError
from livecast.edge.receipts import KEY_FILE
from livecast.ops.embedded import EmbeddedStoreError, EmbeddedValkey, Role
from livecast.ops.serve import settings_or_exit
from livecast.ops.store_access import AOF_DIRECTORY, EXIT_USAGE, NoStoreError, OnStderr, opened, run, stop
from livecast.ops.valkey_binary import NoValkeyError
from livecast.ports import StoreError

MANIFEST: Final = "manifest.json"
SNAPSHOT: Final = "dump.rdb"
"""What BGSAVE writes. A store of ours begins from its append-only files and never looks at it."""
SAVE_S: Final = 600.0
"""A snapshot of 10 GB on a slow disk."""
SAVE_LOOK_S: Final = 0.05
MANIFEST_BYTES_MAX: Final = 65_536
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


# --- Backup -----------------------------------------------------------------------------------------------------------
@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--config", type=click.Path(path_type=Path), envvar="LIVECAST_CONFIG", metavar="F", help="The node's settings.")
@click.option("--data-dir", metavar="D", help="The node's data directory [default: .livecast].")
def command(file: Path, config: Path | None, data_dir: str | None) -> None:
    """Write everything in a data directory to FILE, also while a node runs on it.

    In it are the stores of rooms and of the ledger, the archive, and the key that signs receipts: with it whoever has the file can
    sign receipts and knows coupon codes. It is made readable by its owner alone; keep it so. Settings are not in it.

    Each store is a snapshot of one moment, the ledger's the latest. Exits 0, 2 if there is nothing to back up or FILE is there
    already, 3 if a store does not answer.

    \b
    Examples:
      livecast backup /backups/livecast-$(date +%F).tar --data-dir /var/lib/livecast
    """  # noqa: D301 - click wants the control character, not its name
    settings = settings_or_exit(config=config, dev=True, data_dir=data_dir)
    if settings.redis.url or settings.ledger.url:
        stop("[redis] url or [ledger] url names a server of yours: back that up with its own tools (RDB or AOF)", EXIT_USAGE)
    if file.exists():
        stop(f"{file} is there already: give another name, or remove it", EXIT_USAGE)
    try:
        manifest = run(_backed_up(Path(settings.server.data_dir), file))
    except NoStoreError as error:
        stop(str(error), EXIT_USAGE)
    except (EmbeddedStoreError, NoValkeyError, StoreError, OSError, sqlite3.Error) as error:
        stop(f"there is no backup: {error}")
    click.echo(_table(manifest))
    click.echo(
        f"Backed up {settings.server.data_dir} to {file} ({file.stat().st_size:,} bytes). It holds keys: keep it like money."
    )


async def _backed_up(data_dir: Path, file: Path) -> Manifest:
    with _scratch(file) as scratch:
        keys = {"rooms.rdb": await _snapshot(data_dir, "rooms", scratch / "rooms.rdb")}
        await asyncio.to_thread(_copy_archive, data_dir / ARCHIVE, scratch / ARCHIVE)
        keys["ledger.rdb"] = await _snapshot(data_dir, "ledger", scratch / "ledger.rdb")
        if (data_dir / KEY_FILE).exists():
            shutil.copyfile(data_dir / KEY_FILE, scratch / KEY_FILE)
        return await asyncio.to_thread(_pack, scratch, file, keys)


@contextmanager
def _scratch(file: Path) -> Iterator[Path]:
    """A directory beside the file, for this user alone, gone afterwards."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{file.name}.", dir=file.parent) as directory:  # mkdtemp makes it 0700
        yield Path(directory)


async def _snapshot(data_dir: Path, role: Role, to: Path) -> int:
    """One moment's picture of a store; how many keys it has."""
    async with opened(data_dir, role) as (url, _):
        server = RedisServer(url)
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


def _table(manifest: Manifest) -> str:
    rows = [(name, f"{part.bytes:,}", "" if part.keys is None else f"{part.keys:,} keys") for name, part in manifest.parts.items()]
    width = max(len(size) for _, size, _ in rows)
    return "\n".join(f"  {name:<16}{size:>{width}} bytes  {keys}".rstrip() for name, size, keys in rows)


# --- Restore ----------------------------------------------------------------------------------------------------------
@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--config", type=click.Path(path_type=Path), envvar="LIVECAST_CONFIG", metavar="F", help="The node's settings.")
@click.option("--data-dir", metavar="D", help="Where to: a directory that is empty or not there [default: .livecast].")
def restore(file: Path, config: Path | None, data_dir: str | None) -> None:
    """Make a data directory of what `livecast backup` wrote to FILE.

    What happened after the backup is not in it, whatever was acknowledged. Everything is checked before the directory appears: the
    sums, and that both stores start from it. A directory that has anything in it is not touched. Rooms begin new epochs, so
    that viewers get a whole picture.

    Exits 0, 1 if the backup is damaged, 2 if the directory is not empty or there is no such file, 3 if a store does not start.

    \b
    Examples:
      livecast restore /backups/livecast-2026-11-21.tar --data-dir /var/lib/livecast
    """  # noqa: D301 - click wants the control character, not its name
    target = Path(settings_or_exit(config=config, dev=True, data_dir=data_dir).server.data_dir).absolute()
    if not file.exists():
        stop(f"there is no file {file}", EXIT_USAGE)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        stop(f"{target} is not empty, and nothing in it was touched: give another --data-dir, or move it away", EXIT_USAGE)
    try:
        manifest = run(_restored(file, target))
    except BadBackupError as error:
        click.echo(f"livecast: {file} cannot be restored: {error}", err=True)
        raise click.exceptions.Exit(1) from None
    except (EmbeddedStoreError, NoValkeyError, StoreError, OSError) as error:
        stop(f"nothing was restored: {error}")
    click.echo(_table(manifest))
    click.echo(f"Restored {target} as of {manifest.made_at}. Now: livecast audit --data-dir {target}")


async def _restored(file: Path, target: Path) -> Manifest:
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        manifest = await asyncio.to_thread(_unpack, file, draft)
        roles: tuple[Role, ...] = ("rooms", "ledger")
        for role in roles:
            await asyncio.to_thread(_lay_out, draft, role)
            await _started_once(draft, role)
        await asyncio.to_thread(_put_in_place, draft, target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return manifest


def _put_in_place(draft: Path, target: Path) -> None:
    """Whole or not at all. Fails where something came to be meanwhile."""
    if target.exists():
        target.rmdir()
    draft.rename(target)


def _unpack(file: Path, draft: Path) -> Manifest:
    """The parts, each checked, by the names that the manifest has for them. Raises `BadBackupError`."""
    try:
        with tarfile.open(file, "r:") as tar:
            manifest = _manifest(tar)
            for name, part in manifest.parts.items():
                source = tar.extractfile(name)
                if source is None:
                    raise BadBackupError(f"{name} is no file in it")
                with os.fdopen(os.open(draft / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
                    digest = _copied(source, out)
                if digest != part.sha256:
                    raise BadBackupError(f"{name} is damaged: its SHA-256 is {digest}, and should be {part.sha256}")
    except (tarfile.TarError, KeyError, EOFError) as error:
        raise BadBackupError(f"it is no backup, or was cut short ({error})") from error
    return manifest


def _manifest(tar: tarfile.TarFile) -> Manifest:
    found = tar.extractfile(MANIFEST)
    try:
        manifest = msgspec.json.decode(b"" if found is None else found.read(MANIFEST_BYTES_MAX), type=Manifest)
    except msgspec.DecodeError as error:
        raise BadBackupError(f"it is no backup ({error})") from error
    if manifest.v != 1:
        raise BadBackupError(f"it is of version {manifest.v}, made by livecast {manifest.livecast}: use that or a later one")
    known = {"rooms.rdb", "ledger.rdb", ARCHIVE, KEY_FILE}
    if not {"rooms.rdb", "ledger.rdb"} <= manifest.parts.keys() <= known:
        raise BadBackupError(f"it has {', '.join(manifest.parts) or 'nothing'}, which is not what a backup has")
    return manifest


def _copied(source: IO[bytes], out: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while chunk := source.read(CHUNK):
        digest.update(chunk)
        out.write(chunk)
    out.flush()
    os.fsync(out.fileno())
    return digest.hexdigest()


def _lay_out(draft: Path, role: Role) -> None:
    """A snapshot as the base of append-only files, as Valkey's manifest of them describes it."""
    files = draft / role / AOF_DIRECTORY
    files.mkdir(mode=0o700, parents=True)
    files.parent.chmod(0o700)
    (draft / f"{role}.rdb").rename(files / "appendonly.aof.1.base.rdb")
    (files / "appendonly.aof.1.incr.aof").touch(mode=0o600)
    listed = "file appendonly.aof.1.base.rdb seq 1 type b\nfile appendonly.aof.1.incr.aof seq 1 type i\n"
    (files / "appendonly.aof.manifest").write_text(listed)


async def _started_once(draft: Path, role: Role) -> None:
    """A store that does not start from its files should say so now."""
    valkey = EmbeddedValkey(draft, role, OnStderr())
    try:
        server = RedisServer(await valkey.start())
        try:
            await server.run("DBSIZE")
        finally:
            await server.close()
    except EmbeddedStoreError as error:
        raise BadBackupError(f"the {role} store does not start from it ({error})") from error
    finally:
        await valkey.stop()
    for leftover in ("valkey.log", "valkey.pid", "livecast.lock"):
        with suppress(FileNotFoundError):
            (draft / role / leftover).unlink()
