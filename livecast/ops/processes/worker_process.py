"""One worker as its supervisor sees it: a process, the line to it, and what it last said of itself."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from livecast.edge.door.headcount import Table
from livecast.ops.processes.figures import Family
from livecast.ops.processes.line import (
    Begin,
    Count,
    Counted,
    Entry,
    Line,
    News,
    Ready,
    Reload,
    Reloaded,
    Stop,
    ToSupervisor,
    ToWorker,
    WantPage,
    to_worker,
)

#: Without `-P` Python would look for the package in the working directory first, whoever put one there.
COMMAND: Final = (sys.executable, "-P", "-m", "livecast.ops.processes.worker")
EXIT_S: Final = 2.0
"""Between its last word and its end."""
RELOAD_S: Final = 5.0
"""How long a worker may take to take settings over; it takes a millisecond."""
CONNECTIONS: Final = "livecast_connections"
#: The supervisor speaks with the service manager; a worker's word would be taken for its own.
NOT_FOR_WORKERS: Final = frozenset({"NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"})


class Worker:
    """A process that was started for the slot `number`. `on_page`: it asks for the metrics of all; `on_end`: it is gone."""

    def __init__(
        self,
        number: int,
        row: int,
        on_page: Callable[[Worker, WantPage], None],
        on_end: Callable[[Worker], None] = lambda _worker: None,
    ) -> None:
        self.number = number
        self.row = row
        """Of the table in which the node's connections are counted."""
        self.figures: list[Family] = []
        """What it had counted when it was last asked."""
        self.is_ready = False
        self.ended = asyncio.Event()
        self.code = 0
        """How it ended; below zero: by that signal."""
        self.settings: object = None
        """What it was started with, for whoever started it."""
        self.failure = ""
        """Why it could not even be started."""
        self._on_page = on_page
        self._on_end = on_end
        self._process: asyncio.subprocess.Process | None = None
        self._line: Line[ToSupervisor] | None = None
        self._reader: asyncio.Task[None] | None = None
        self._news = asyncio.Condition()
        self._heard_at = time.monotonic()
        self._asked = 0
        self._counts: dict[int, asyncio.Future[None]] = {}
        self._reloads: list[asyncio.Future[Reloaded]] = []

    @property
    def name(self) -> str:
        """For the log."""
        return f"worker {self.number}"

    @property
    def pid(self) -> int:
        """Its process, 0 before there is one."""
        return 0 if self._process is None else self._process.pid

    @property
    def silent_s(self) -> float:
        """For how long nothing was heard of it."""
        return time.monotonic() - self._heard_at

    @property
    def viewers(self) -> int:
        """Viewers it had when it was last asked."""
        samples = (each.samples for each in self.figures if each.name == CONNECTIONS)
        return int(sum(value for family in samples for _, _, value in family))

    # --- Its life -----------------------------------------------------------------------------------------------------
    async def start(self, settings: list[Entry], *, dev: bool, memory: int, table: Table) -> None:
        """Start the process and tell it who it is. `memory`: the descriptor of the `table`."""
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                self._process = await asyncio.create_subprocess_exec(
                    *COMMAND,
                    str(theirs.fileno()),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=sys.stderr,  # nothing is said there; should a library do so, it is no ready line
                    pass_fds=[theirs.fileno(), memory],
                    start_new_session=True,  # the terminal's Ctrl-C is for the supervisor, which ends its workers in good order
                    env={name: value for name, value in os.environ.items() if name not in NOT_FOR_WORKERS},
                )
            self._line = await to_worker(ours)
        except OSError as error:  # no memory, no descriptors: it is tried again like any other that ended
            ours.close()
            self.kill()
            self.code, self.failure = 1, str(error)
            self._on_end(self)
            self.ended.set()
            return
        except BaseException:
            ours.close()
            self.kill()
            raise
        self._line.say(Begin(self.number, dev, settings, (memory, table.rows, self.row, table.key)))
        self._reader = asyncio.create_task(self._read(self._process, self._line), name=f"hear worker {self.number}")

    async def _read(self, process: asyncio.subprocess.Process, line: Line[ToSupervisor]) -> None:
        while (message := await line.hear_known()) is not None:
            self._heard_at = time.monotonic()
            await self._hear(message)
        try:
            async with asyncio.timeout(EXIT_S):
                self.code = await process.wait()
        except TimeoutError:  # it has hung up and hangs itself: there is nothing to wait for
            self.kill()
            self.code = await process.wait()
        await line.close()
        for asked in self._counts.values():
            asked.cancel()
        for told in self._reloads:
            told.cancel()
        self._on_end(self)
        async with self._news:
            self.ended.set()
            self._news.notify_all()

    async def _hear(self, message: ToSupervisor) -> None:
        match message:
            case Ready():
                async with self._news:
                    self.is_ready = True
                    self._news.notify_all()
            case Counted(number, families):
                self.figures = families
                if (asked := self._counts.pop(number, None)) is not None and not asked.done():
                    asked.set_result(None)
            case Reloaded():
                if self._reloads:
                    self._reloads.pop(0).set_result(message)
            case WantPage():
                self._on_page(self, message)

    async def ready_or_ended(self, within_s: float) -> None:
        """Wait for it to accept connections, or to end; if it does neither it is killed."""
        async with self._news:
            try:
                async with asyncio.timeout(within_s):
                    await self._news.wait_for(lambda: self.is_ready or self.ended.is_set())
            except TimeoutError:
                self.kill()
        if not self.is_ready:
            await self.ended.wait()

    async def end_within(self, within_s: float) -> None:
        """Wait for it to end; kill it if it does not in time."""
        try:
            async with asyncio.timeout(within_s):
                await self.ended.wait()
        except TimeoutError:
            self.kill()
            await self.ended.wait()

    def kill(self) -> None:
        """At once."""
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.kill()

    # --- What it is told ----------------------------------------------------------------------------------------------
    def say(self, message: ToWorker) -> None:
        """Send it a message."""
        if self._line is not None:
            self._line.say(message)

    def stop(self, spread_ms: int, *, alone: bool) -> None:
        """Have it finish. `alone`: the others go on."""
        self.say(Stop(spread_ms, alone))

    def tell_news(self, degraded: tuple[str, ...]) -> None:
        """What is wrong with the others."""
        self.say(News(degraded))

    async def count(self, within_s: float) -> None:
        """Bring `figures` up to date, if it answers in time."""
        if not self.is_ready or self.ended.is_set():
            return
        self._asked = number = self._asked + 1
        asked = self._counts[number] = asyncio.get_running_loop().create_future()
        self.say(Count(number))
        await asyncio.wait([asked], timeout=within_s)
        self._counts.pop(number, None)

    async def reload(self, message: Reload) -> Reloaded | None:
        """Have it take these settings over; what it says to that, None if nothing."""
        if not self.is_ready or self.ended.is_set():
            return None
        told: asyncio.Future[Reloaded] = asyncio.get_running_loop().create_future()
        self._reloads.append(told)
        self.say(message)
        await asyncio.wait([told], timeout=RELOAD_S)
        return told.result() if told.done() and not told.cancelled() else None
