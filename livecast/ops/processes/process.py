"""What a serving process does to itself: descriptors, garbage collection, the clock, the listening sockets, the lag probe."""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import resource
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from livecast.facts import LoopLag, Observer
from livecast.ports import Clock

#: Descriptors to ask for: 60,000 sockets and their files. More viewers than that saturate a process by CPU first.
FILES_WANTED: Final = 65_536
#: Objects made before the youngest generation is looked at. What we make per viewer lives on and what we make per message has
#: no cycles, so looking finds nothing. Over 25,000 joins (9.5 s of CPU): 345 collections and 0.19 s with Python's own
#: thresholds, 29 and 0.06 s with these; what counts is the pauses that do not happen.
GC_YOUNG: Final = 50_000
#: Young collections before the middle one, and middle ones before a full one.
GC_MIDDLE: Final = 20
GC_OLD: Final = 100
#: Microseconds of CPU per period that a container may use (Linux, cgroup v2), or `max`.
CPU_MAX: Final = Path("/sys/fs/cgroup/cpu.max")
LAG_PROBE_S: Final = 0.25
"""How often the loop's lateness is looked at: often enough to see a stall of half a second, too seldom to cost anything."""


class CannotListen(Exception):  # noqa: N818 - says what is wrong; the message says what to do
    """The address is not to be had."""


def steady_clock() -> Clock:
    """Unix ms that never step: the wall at this moment plus the monotonic clock."""
    offset_ns = time.time_ns() - time.monotonic_ns()
    monotonic_ns = time.monotonic_ns

    def now() -> int:
        return (offset_ns + monotonic_ns()) // 1_000_000

    return now


def raise_file_limit(wanted: int = FILES_WANTED) -> int:
    """Allow as many open files as wanted and permitted; what is allowed then. Each viewer is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    goal = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < goal:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (goal, hard))
        except (ValueError, OSError):  # macOS permits less than it says (kern.maxfilesperproc)
            return soft
        return goal
    return soft


def settle_memory() -> None:
    """Tell the garbage collector that what is loaded by now stays, and to look less often at what comes."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_YOUNG, GC_MIDDLE, GC_OLD)


def listening_sockets(host: str, port: int, *, shared: bool = False) -> list[socket.socket]:
    """Sockets bound to every address of `host`, not yet listening, so that a taken port is told before anything is started.

    Port 0 takes a free one, the same for all addresses. `shared`: other processes of this user may listen there as well, and
    the kernel deals connections out among them (Linux evenly, by a hash of the two addresses). Raises `CannotListen`.
    """
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError) as error:
        raise CannotListen(f"{host} is no address of this machine ({error}): give one with --host") from None
    bound: list[socket.socket] = []
    for family, kind, protocol, _, address in addresses:
        chosen = port or (bound[0].getsockname()[1] if bound else 0)
        listener = socket.socket(family, kind, protocol)
        bound.append(listener)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            # `::` alone means everybody, IPv4 included; beside an IPv4 address each family has its own socket.
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(len(addresses) > 1))
        try:
            listener.bind((address[0], chosen, *address[2:]))
            listener.setblocking(False)
        except OSError as error:
            for each in bound:
                each.close()
            raise CannotListen(_advice(error, host, chosen)) from None
    return bound


def reserved_port(host: str, port: int) -> list[socket.socket]:
    """Sockets that keep a port for workers to share, and never listen. Raises `CannotListen` if anybody listens there already."""
    alone = listening_sockets(host, port)
    chosen = int(alone[0].getsockname()[1])
    for each in alone:
        each.close()
    return listening_sockets(host, chosen, shared=True)


def cores() -> int:
    """Processors that this process may use, at least 1: what the system allows, and what a container's share comes to."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = CPU_MAX.read_text().split()
    except (OSError, ValueError):
        return allowed
    return max(1, min(allowed, int(quota) // int(period))) if quota.isdigit() and period.isdigit() else allowed


def _advice(error: OSError, host: str, port: int) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return f"port {port} on {host} is in use: stop what listens there, or take another with --port (0 takes a free one)"
        case errno.EACCES:
            return f"port {port} needs more rights than this user has: take one from 1024 on with --port"
        case errno.EADDRNOTAVAIL:
            return f"{host} is no address of this machine: give one with --host (127.0.0.1, or 0.0.0.0 for all)"
        case _:
            return f"cannot listen on {host}, port {port}: {error.strerror}"


def url_of(host: str, port: int) -> str:
    """How the node is reached, as the ready line says it."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class LagProbe:
    """Measures how late the event loop wakes a timer, as long as it runs."""

    def __init__(self, observer: Observer, clock: Callable[[], float] = time.perf_counter) -> None:
        self._observer = observer
        self._clock = clock
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0

    def start(self) -> None:
        """Begin, or go on."""
        self._due = self._clock() + LAG_PROBE_S
        self._timer = asyncio.get_running_loop().call_later(LAG_PROBE_S, self._wake)

    def _wake(self) -> None:
        self._observer.observe(LoopLag(max(0.0, (self._clock() - self._due) * 1000)))
        self.start()

    def stop(self) -> None:
        """No more."""
        if self._timer is not None:
            self._timer.cancel()
