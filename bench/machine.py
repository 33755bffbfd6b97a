"""The machine under the measurement: two cores, a C compiler, clocks, and what to print about them."""

from __future__ import annotations

import atexit
import os
import platform
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import Final

SOURCES: Final = Path(__file__).parent / "c"
CPUCLOCK_SCHED: Final = 2
"""linux/include/linux/posix-timers.h: the kind of CPU clock that counts nanoseconds on a core, not ticks of 10 ms."""


class Missing(SystemExit):
    """Something this machine lacks; says what to do about it."""

    def __init__(self, what: str) -> None:
        print(f"bench: {what}", file=sys.stderr)
        super().__init__(3)


@cache
def cores() -> tuple[int, int]:
    """The core of the service and the core of the load: the first two this process may use."""
    if not hasattr(os, "sched_getaffinity"):
        raise Missing("the measurements pin processes to cores and need Linux")
    ours = sorted(os.sched_getaffinity(0))
    if len(ours) < 2:
        raise Missing("one core is not enough: load and service would take turns, and no ratio would mean anything")
    return ours[0], ours[1]


@cache
def _built() -> Path:
    """Where compiled programs are; gone with this process."""
    directory = Path(tempfile.mkdtemp(prefix="livecast-bench-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return directory


@cache
def program(name: str) -> Path:
    """Compile `bench/c/NAME.c`, once per run."""
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if not compiler:
        raise Missing(
            "no C compiler (cc, gcc or clang), which the load and the comparison need. On Debian: apt install gcc libc6-dev"
        )
    target = _built() / name
    made = subprocess.run([compiler, "-O2", "-o", target, SOURCES / f"{name}.c"], capture_output=True, text=True, check=False)
    if made.returncode:
        raise Missing(f"{compiler} cannot compile {name}.c:\n{made.stderr}")
    return target


def allow_sockets(count: int) -> None:
    """Raise this process's bound on open files (children inherit it), or say that it is too low."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = count + 200
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise Missing(f"{needed} open files are needed, `ulimit -Hn` allows {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def pin(pid: int, core: int) -> None:
    """Keep a process, with all the threads it has now, to one core."""
    for thread in (Path("/proc") / str(pid) / "task").iterdir():
        os.sched_setaffinity(int(thread.name), {core})


def cpu_s(pid: int) -> float:
    """Seconds of CPU a process has used, all threads, user and kernel, to the nanosecond. 0 for one that is gone.

    It counts what the kernel does in its name: a `write` to a loopback socket includes delivery up to the reader's queue.
    """
    try:
        return time.clock_gettime((~pid << 3) | CPUCLOCK_SCHED)
    except OSError:
        return 0.0


def rss_kb(pid: int) -> int:
    """Resident memory of a process, without what the kernel holds for its sockets."""
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) if found else 0


def facts() -> str:
    """One line about this machine, for beside the figures."""
    cpu = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    return (
        f"{cpu[1] if cpu else platform.machine()}, {os.cpu_count()} cores, Linux {platform.release()}, "
        f"Python {platform.python_version()}, load average {os.getloadavg()[0]:.1f} at the start"
    )
