"""Where a node runs: in a process of its own (`Alone`), or as one of several workers (`Seat`).

That is all the difference there is between the two: who tells a node to stop and to read its settings again, who hears that it
accepts connections, and whose metrics its page shows.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from msgspec import Struct

from livecast.edge.door.headcount import Table
from livecast.edge.http.health import Readiness
from livecast.edge.node import Node
from livecast.facts import Observer, Trouble
from livecast.ops.configuration.layers import SettingsError
from livecast.ops.configuration.reloading import Reloading
from livecast.ops.configuration.settings import load
from livecast.ops.configuration.source import Source, layer_of
from livecast.ops.observers import PrometheusObserver
from livecast.ops.processes import systemd
from livecast.ops.processes.figures import read
from livecast.ops.processes.line import Count, Counted, Entry, Line, News, Page, Ready, Reload, Reloaded, Stop, ToWorker, WantPage
from livecast.ops.processes.stopping import BYE_SPREAD_MS, Stopping, on_hang_up, told_to_stop

PAGE_S: Final = 3.0
"""How long a scrape waits for the supervisor; then it is told of this worker alone."""
STATUS_ALONE: Final = "serving"


class Parts(Struct, frozen=True):
    """What of a running node its place has to do with."""

    observer: Observer
    reloading: Reloading
    count: Callable[[], PrometheusObserver]
    """The metrics, with everything in them that is only looked at now and then."""


class Place(Protocol):
    """What a node is told by its surroundings, and tells them."""

    shared: bool
    """Others of this node listen on the same port."""
    stop: Stopping
    parts: Parts
    """Put here before the door is open."""

    def enter(self) -> None:
        """The event loop runs."""

    def begin(self, url: str) -> None:
        """The node accepts connections."""

    def furnish(self, node: Node) -> None:
        """The node is built, and nobody has come yet."""

    async def page(self) -> bytes:
        """The metrics in Prometheus' text format."""

    async def readiness(self, look: Callable[[], Awaitable[Readiness]]) -> Readiness:
        """What `/readyz` says, given what this process says of itself."""

    async def leave(self) -> None:
        """The node has stopped, or could not start."""


class Alone:
    """A process of its own. `source`: where SIGHUP finds the settings again."""

    shared = False
    stop: Stopping
    parts: Parts

    def __init__(self, source: Source) -> None:
        self._source = source
        self._alive = systemd.KeepAlive()

    def enter(self) -> None:
        """Listen to SIGTERM and SIGINT."""
        self.stop = told_to_stop()

    def begin(self, url: str) -> None:
        """Say it on stdout, and to the service manager; listen to SIGHUP."""
        print(f"livecast ready {url}", flush=True)  # noqa: T201 - the one line on stdout that scripts wait for
        on_hang_up(reload=self._reload, stop=self.stop.set)
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR2, self._cannot_roll)
        systemd.ready(STATUS_ALONE)
        self._alive.start()

    def _cannot_roll(self) -> None:
        advice = "one process cannot be replaced without a break: restart it, or serve with --workers 2"
        self.parts.observer.observe(Trouble("there are no workers to replace", "SIGUSR2", advice))

    def _reload(self) -> None:
        systemd.reloading()
        try:
            settings, _ = self._source.read()
        except SettingsError as error:
            problems = "; ".join(map(str, error.problems))
            self.parts.observer.observe(Trouble("the configuration is wrong and stays as it was", "SIGHUP", problems, "error"))
        else:
            taken, waits = self.parts.reloading.take_over(settings)
            advice = f"{', '.join(waits)} will hold at the next start" if waits else ""
            said = Trouble("the configuration was read again", ", ".join(taken) or "nothing new", advice, "info")
            self.parts.observer.observe(said)
        systemd.ready(STATUS_ALONE)

    def furnish(self, node: Node) -> None:
        """It counts by itself."""

    async def page(self) -> bytes:
        """Its own."""
        return self.parts.count().exposition()

    async def readiness(self, look: Callable[[], Awaitable[Readiness]]) -> Readiness:
        """Its own."""
        return await look()

    async def leave(self) -> None:
        """Nobody has to be told: whoever started us sees it."""


class Seat:
    """The place of a worker, at the end of the line to its supervisor, with its row of the table that all workers count in."""

    shared = True
    stop: Stopping
    parts: Parts

    def __init__(self, line: Line[ToWorker], table: Table, row: int) -> None:
        self._line = line
        self._table = table
        self._row = row
        self._degraded: tuple[str, ...] = ()
        self._pages: dict[int, asyncio.Future[bytes]] = {}
        self._asked = 0
        self._serves = False
        self._reader: asyncio.Task[None] | None = None

    def enter(self) -> None:
        """Listen to the supervisor, and to SIGTERM for this worker alone."""
        self.stop = told_to_stop()
        self.stop.alone = True
        for number in (signal.SIGHUP, signal.SIGUSR2):  # meant for the supervisor, and not for everything of that name
            signal.signal(number, signal.SIG_IGN)
        self._reader = asyncio.create_task(self._listen(), name="hear the supervisor")

    async def _listen(self) -> None:
        while (message := await self._line.hear_known()) is not None:
            self._hear(message)
        # Without a supervisor there is no store of our own any more, nor anybody to start us again.
        self.stop.tell(BYE_SPREAD_MS, alone=False)

    def _hear(self, message: ToWorker) -> None:
        match message:
            case Stop(spread_ms, alone):
                self.stop.tell(spread_ms, alone=alone)
            case News(degraded):
                self._degraded = degraded
            case Page(number, text):
                if (asked := self._pages.pop(number, None)) is not None and not asked.done():
                    asked.set_result(text)
            case Count(number) if self._serves:
                self._tell_count(number)
            case Reload(sent) if self._serves:
                self._reload(sent)
            case _:
                pass

    def _reload(self, sent: list[Entry]) -> None:
        taken: tuple[str, ...] = ()
        waits: tuple[str, ...] = ()
        try:
            settings = load(options=layer_of(sent), dev=self.parts.reloading.settings.dev)
            taken, waits = self.parts.reloading.take_over(settings)
        except Exception as fault:  # noqa: BLE001 - such as another version's settings; we must hear what comes next
            self.parts.observer.observe(Trouble("settings were not taken over", "SIGHUP", repr(fault), "error"))
        self._line.say(Reloaded(taken, waits))

    def _tell_count(self, number: int) -> None:
        self._line.say(Counted(number, read(self.parts.count().registry)))

    def begin(self, url: str) -> None:  # noqa: ARG002 - the supervisor knows it
        """Tell the supervisor."""
        self._serves = True
        self._line.say(Ready())

    def furnish(self, node: Node) -> None:
        """Count connections together with the other workers."""
        node.admission.count_together(self._table, self._row)

    async def page(self) -> bytes:
        """Of all workers, from the supervisor; of this one if it does not answer."""
        self._asked = number = self._asked + 1
        asked = self._pages[number] = asyncio.get_running_loop().create_future()
        self._line.say(WantPage(number))
        await asyncio.wait([asked], timeout=PAGE_S)
        self._pages.pop(number, None)
        return asked.result() if asked.done() else self.parts.count().exposition()

    async def readiness(self, look: Callable[[], Awaitable[Readiness]]) -> Readiness:
        """Its own, with what is wrong with the others. While it is replaced the node is as ready as before."""
        if self.stop.is_set() and self.stop.alone:
            return Readiness("degraded", ("this worker is being replaced: its connections move to the others",))
        now = await look()
        if not self._degraded or now.status not in {"ok", "degraded"}:
            return now
        return Readiness("degraded", (*now.degraded, *self._degraded))

    async def leave(self) -> None:
        """The last word: what was counted."""
        if self._serves:
            self._tell_count(0)
        if self._reader is not None:
            self._reader.cancel()
        await self._line.close()
