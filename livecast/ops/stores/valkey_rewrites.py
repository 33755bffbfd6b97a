"""When the ledger's append-only file is written anew: in quiet moments, if there are any.

Behind its last rewrite the file has every command since. After a crash all of them are done again, 32 MB of them a second here
(119 MB of 70,000 gifts took 4 s), where what a rewrite leaves takes 9 µs a gift; so it must not grow without bound. But a rewrite
puts the whole ledger on the disk, and while it does the file system has the acknowledgements' syncs wait behind that: two of them
for 0.2 s each at 2,000 gifts a second. Priorities of the process that writes, for processor and disk, changed nothing about it.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from livecast.ops.stores import valkey_socket

AOF_DIRECTORY: Final = "appendonlydir"
"""Where Valkey keeps what it appends, below its working directory."""
APPENDED_MAX: Final = "128mb"
"""Of the append-only file, from where Valkey rewrites it in whatever moment: four seconds after a crash, where money is to be back
in five. It is a minute of 2,000 gifts a second; by default it is 64 MB, and a rewrite comes with each 25,000 gifts. One that is
twice as large as after its last rewrite by then only: a ledger of 128 MB takes longer to be read in any case."""
APPENDED_WORTH_IT: Final = 16 * 1024 * 1024
"""Appended since the last rewrite, half a second after a crash: for less nothing is written anew..."""
SHARE_WORTH_IT: Final = 4
"""... nor for less than one part in so many of what the rewrite would write."""
QUIET_S: Final = 5.0
QUIET_BYTES: Final = 256 * 1024
"""A moment is quiet if no more was appended in that time: 20 gifts a second. If more come meanwhile, a few of them wait."""
LOOK_S: Final = 1.0
AGAIN_S: Final = 60.0
"""Before it is asked for again: one fails where the disk is full, and one of some GB takes that long."""


class Appended(NamedTuple):
    """Bytes on disk: what the last rewrite left, and what came since."""

    base: int
    since: int


def appended(directory: Path) -> Appended:
    """Of the store in `directory`. Raises `OSError` if there is nothing to look at."""
    base = since = 0
    with os.scandir(directory / AOF_DIRECTORY) as files:
        for file in files:
            with suppress(FileNotFoundError):  # a rewrite ended meanwhile
                if file.name.endswith(".incr.aof"):
                    since += file.stat().st_size
                elif ".base." in file.name:
                    base += file.stat().st_size
    return Appended(base, since)


class QuietMoments:
    """Says when a rewrite is due, from what is on disk and the time in seconds."""

    def __init__(self) -> None:
        self._quiet_since: tuple[float, int] | None = None
        self._not_before = 0.0

    def is_one(self, found: Appended, now: float) -> bool:
        """Whether to rewrite now. Looked at about each second."""
        if self._quiet_since is None or abs(found.since - self._quiet_since[1]) > QUIET_BYTES:
            self._quiet_since = (now, found.since)
        worth_it = found.since >= max(APPENDED_WORTH_IT, found.base // SHARE_WORTH_IT)
        if not worth_it or now - self._quiet_since[0] < QUIET_S or now < self._not_before:
            return False
        self._not_before = now + AGAIN_S
        return True


async def rewrite_when_quiet(directory: Path, socket: Path) -> None:
    """Look after the store in `directory`, until cancelled."""
    loop, moments = asyncio.get_running_loop(), QuietMoments()
    while True:
        await asyncio.sleep(LOOK_S)
        with suppress(OSError):  # it is being started again: whoever watches it tells of that, and there is a next time
            if moments.is_one(appended(directory), loop.time()):
                # Refused while a backup is written: likewise.
                await valkey_socket.ask(socket, "BGREWRITEAOF")
