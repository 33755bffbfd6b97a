"""`livecast restore`: what `livecast backup` wrote, as a data directory again, or in empty servers."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import tarfile
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Final

import click
import msgspec

from livecast.adapters.archive.store import FILE_NAME as ARCHIVE
from livecast.adapters.redis.address import without_password
from livecast.adapters.redis.snapshot import pour
from livecast.edge.money.receipts import KEY_FILE
from livecast.ops.commands.backup import CHUNK, MANIFEST, BadBackupError, Manifest, connected, table, urls_of
from livecast.ops.commands.serve import settings_or_exit
from livecast.ops.stores.access import EXIT_USAGE, OnStderr, run, stop
from livecast.ops.stores.embedded import EmbeddedStoreError, EmbeddedValkey, Role
from livecast.ops.stores.valkey_binary import NoValkeyError
from livecast.ops.stores.valkey_rewrites import AOF_DIRECTORY
from livecast.ports import StoreError

MANIFEST_BYTES_MAX: Final = 65_536


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--config", type=click.Path(path_type=Path), envvar="LIVECAST_CONFIG", metavar="F", help="The node's settings.")
@click.option("--data-dir", metavar="D", help="Where to: a directory that is empty or not there [default: .livecast].")
@click.option("--redis", metavar="URL", help="An empty store for the rooms, as a user that may RESTORE, instead.")
@click.option("--ledger", metavar="URL", help="An empty store for the ledger, as a user that may RESTORE, instead.")
def command(file: Path, config: Path | None, **options: str | None) -> None:
    """Make a data directory of what `livecast backup` wrote to FILE, or fill empty servers, or an empty cluster, with it.

    Servers are those of the settings, or of --redis and --ledger: they must hold nothing, and be no older than the Valkey that
    livecast brings along. The archive and the key of receipts come into the data directory in any case.

    What happened after the backup is not in it, whatever was acknowledged. Everything is checked before the directory appears: the
    sums, and that both stores start from it. A directory that has anything in it is not touched. Rooms begin new epochs, so
    that viewers get a whole picture.

    Exits 0, 1 if the backup is damaged, 2 if the directory is not empty or there is no such file, 3 if a store does not start.

    \b
    Examples:
      livecast restore /backups/livecast-2026-11-21.tar --data-dir /var/lib/livecast
    """  # noqa: D301 - click wants the control character, not its name
    settings = settings_or_exit(config=config, dev=True, **options)
    target, urls = Path(settings.server.data_dir).absolute(), urls_of(settings)
    if not file.exists():
        stop(f"there is no file {file}", EXIT_USAGE)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        stop(f"{target} is not empty, and nothing in it was touched: give another --data-dir, or move it away", EXIT_USAGE)
    try:
        manifest = run(_restored(file, target, urls))
    except BadBackupError as error:
        click.echo(f"livecast: {file} cannot be restored: {error}", err=True)
        raise click.exceptions.Exit(1) from None
    except (EmbeddedStoreError, NoValkeyError, StoreError, OSError) as error:
        stop(f"nothing was restored: {error}")
    click.echo(table(manifest))
    filled = "".join(f", {without_password(url)}" for url in urls.values() if url)
    where = f"--ledger {without_password(urls['ledger'])}" if urls["ledger"] else f"--data-dir {target}"
    click.echo(f"Restored {target}{filled} as of {manifest.made_at}. Now: livecast audit {where}")


async def _restored(file: Path, target: Path, urls: Mapping[Role, str]) -> Manifest:
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        manifest = await asyncio.to_thread(_unpack, file, draft)
        roles: tuple[Role, ...] = ("rooms", "ledger")
        for role in roles:
            await asyncio.to_thread(_lay_out, draft, role)
            await _started_once(draft, role, urls[role])
            if urls[role]:
                await asyncio.to_thread(shutil.rmtree, draft / role)
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


async def _started_once(draft: Path, role: Role, url: str) -> None:
    """A store that does not start from its files should say so now. Poured out to where it is wanted, if that is elsewhere."""
    valkey = EmbeddedValkey(draft, role, OnStderr())
    try:
        async with connected(await valkey.start()) as server:
            await server.run("DBSIZE")
            if url:
                async with connected(url) as target:
                    await pour(server, target)
    except EmbeddedStoreError as error:
        raise BadBackupError(f"the {role} store does not start from it ({error})") from error
    finally:
        await valkey.stop()
    for leftover in ("valkey.log", "valkey.pid", "livecast.lock"):
        with suppress(FileNotFoundError):
            (draft / role / leftover).unlink()
