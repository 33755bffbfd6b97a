"""Disks that can be watched, cut back, filled up and broken, under a real Valkey."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_name("disk.c")


@cache
def _library(directory: Path) -> Path:
    """`disk.c`, compiled. Skips where there is no compiler."""
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if not compiler:
        pytest.skip("no C compiler (cc, gcc or clang) for the library that watches fdatasync. On Debian: apt install gcc libc6-dev")
    target = directory / "disk.so"
    subprocess.run([compiler, "-O2", "-shared", "-fPIC", "-o", target, SOURCE, "-ldl"], check=True)
    return target


class Disk:
    """What a store's syncs are seen through. `env` goes to its process; `notes` is a directory of ours."""

    def __init__(self, directory: Path, under: str = "", slow_ms: int = 0) -> None:
        self.notes = directory / "notes"
        self.notes.mkdir()
        self.env = {"LD_PRELOAD": str(_library(directory)), "DISK_NOTES": str(self.notes), "DISK_UNDER": under}
        self.env["DISK_SLOW_MS"] = str(slow_ms)

    def synced(self, aof: Path) -> int:
        """How many bytes of an AOF were on disk at the end of its last sync; 0 if there was none."""
        with suppress(FileNotFoundError):
            return int((self.notes / aof.name).read_text() or 0)
        return 0

    def synced_in(self, store: Path) -> int:
        """The same for all files of the store in this directory."""
        return sum(self.synced(aof) for aof in _aofs(store))

    def unsynced(self, store: Path) -> int:
        """Bytes that a power cut would take from the store in this directory now."""
        return sum(aof.stat().st_size - self.synced(aof) for aof in _aofs(store))

    def cut_power(self, store: Path) -> int:
        """Leave of a killed store's files what was synced; the bytes that went."""
        lost = self.unsynced(store)
        for aof in _aofs(store):
            os.truncate(aof, self.synced(aof))
        return lost

    @contextmanager
    def failing(self) -> Iterator[None]:
        """Meanwhile every fdatasync answers EIO."""
        sign = self.notes / "fail"
        sign.touch()
        try:
            yield
        finally:
            sign.unlink()


def _aofs(store: Path) -> list[Path]:
    return list((store / "appendonlydir").glob("*.incr.aof"))


class SmallDisk:
    """A file system of a few megabytes in memory, that can be filled to the last byte."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def fill(self) -> None:
        """Until nothing fits any more."""
        with (self.directory / "filler").open("wb", buffering=0) as filler, suppress(OSError):
            while filler.write(bytes(65536)) == 65536:
                pass

    def clear(self) -> None:
        """Make room again."""
        (self.directory / "filler").unlink()


@contextmanager
def small_disk(directory: Path, megabytes: int = 48) -> Iterator[SmallDisk]:
    """A tmpfs at `directory`. Skips where we may not mount one."""
    directory.mkdir(exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=700", "livecast-chaos", str(directory)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False) if shutil.which("mount") else None
    if done is None or done.returncode:
        pytest.skip(f"a full disk needs a small file system of its own, which only root may mount ({done and done.stderr.strip()})")
    try:
        yield SmallDisk(directory)
    finally:
        subprocess.run(["umount", "-l", str(directory)], check=True)
