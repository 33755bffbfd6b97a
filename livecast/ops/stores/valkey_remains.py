"""A Valkey that a killed node left running: find it by its working directory, and end it in good order.

Kill -9 of a node leaves its store alive. Two stores must never write one directory, so the next start looks for the old one
first. It is not gone on with: a fresh one has this release's options, and is a child whose death is noticed.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

PID_FILE = "valkey.pid"
PROC = Path("/proc")
TERM_S = 10.0
"""Time to write out what is unsaved: some hundred MB at a slow disk's pace."""
KILL_S = 5.0
"""Time for the kernel to clear away a killed process, also one that waits for its disk."""
LOOK_S = 0.01


async def end_left_behind(directory: Path) -> list[int]:
    """Stop every Valkey whose working directory this is; their process ids. Raises `TimeoutError` if one cannot be stopped."""
    found = list(left_behind(directory))
    for pid in found:
        # SIGCONT: one that was frozen must wake up to hear of its end.
        if await _gone(pid, directory, (signal.SIGTERM, signal.SIGCONT), TERM_S):
            continue
        if not await _gone(pid, directory, (signal.SIGKILL,), KILL_S):
            raise TimeoutError(f"process {pid} uses {directory} and does not end")
    return found


def left_behind(directory: Path) -> Iterator[int]:
    """Process ids of Valkeys at work in `directory`."""
    return (pid for pid in _candidates(directory) if pid != os.getpid() and _works_in(pid, directory))


def _candidates(directory: Path) -> list[int]:
    """Every process where /proc tells of all; elsewhere what the store itself noted at its start."""
    if PROC.is_dir():
        return [int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit()]
    with suppress(OSError, ValueError):
        return [int((directory / PID_FILE).read_text())]
    return []


def _works_in(pid: int, directory: Path) -> bool:
    """Whether `pid` is a living Valkey in `directory`. Without /proc (macOS) its note and its name must do."""
    if PROC.is_dir():
        with suppress(OSError):  # ended meanwhile, a zombie, or another user's
            named = (PROC / str(pid) / "comm").read_text().startswith("valkey")
            return named and (PROC / str(pid) / "cwd").readlink() == directory.resolve()
        return False
    ps = subprocess.run(["/bin/ps", "-o", "comm=", "-p", str(pid)], capture_output=True, check=False)  # noqa: S603 - a number
    return b"valkey" in ps.stdout


async def _gone(pid: int, directory: Path, signals: tuple[signal.Signals, ...], within_s: float) -> bool:
    for number in signals:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
    with suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            while _works_in(pid, directory):  # noqa: ASYNC110 - another's child gives no signal of its end
                await asyncio.sleep(LOOK_S)
            return True
    return False
