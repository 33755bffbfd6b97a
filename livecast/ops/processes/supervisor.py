"""A node of several processes: the supervisor starts the workers, keeps them running, and tells them what to do.

It owns what must outlive a worker: the embedded stores, the port, the sum of what was counted. It serves nobody itself. Each
worker is a complete node with an event loop of its own; the kernel deals new connections out among them (SO_REUSEPORT), and the
stores make them one service, as they do with nodes on other machines.

SIGTERM and SIGINT end everything in good order; SIGHUP reads the configuration again; SIGUSR2 starts all workers anew, each before
its predecessor goes, so that there is always somebody at the door.
"""

from __future__ import annotations

import asyncio
import secrets
import signal
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any, Final, TypeAlias

import click
import uvloop
from prometheus_client import CollectorRegistry, Counter, Gauge, ProcessCollector, disable_created_metrics

from livecast.edge.door.headcount import KEY_BYTES, Table, new_memory
from livecast.edge.money.receipts import BadReceiptKey, kept_key
from livecast.facts import Trouble
from livecast.ops import logs
from livecast.ops.configuration.layers import Given, Layer, SettingsError
from livecast.ops.configuration.settings import Settings
from livecast.ops.configuration.source import FOR_GOOD, STORES, Source, entries, fixed
from livecast.ops.observers import LogObserver
from livecast.ops.processes import early_signals, systemd
from livecast.ops.processes.figures import Family, kept, merged, page, read
from livecast.ops.processes.line import Page, Reload, Reloaded, WantPage
from livecast.ops.processes.process import CannotListen, cores, raise_file_limit, reserved_port, url_of
from livecast.ops.processes.stopping import BYE_SPREAD_MS, EXIT_FORMAT, StartFailed, later, on_hang_up, told_to_stop, unless
from livecast.ops.processes.worker_process import Worker
from livecast.ops.stores.embedded import EmbeddedStoreError, EmbeddedValkey, Role, cause
from livecast.ops.stores.valkey_binary import NoValkeyError

#: What runs beside a node for as long as it does, given its address.
Beside: TypeAlias = Callable[[str], Coroutine[Any, Any, None]]

RESTART_MIN_S, RESTART_MAX_S = 0.1, 30.0
"""Pause before a dead worker is started again, doubled each time: its viewers are with the others meanwhile."""
STEADY_S: Final = 60.0
"""A worker that lived so long died of something new: the pauses begin from the shortest again."""
LOOK_S: Final = 10.0
"""How often workers are asked what they counted: so much of it may be lost with one that is killed. 4 ms of work each."""
SILENT_S: Final = 30.0
"""A worker that does not answer for so long will not any more: it is killed and started again."""
COUNT_S: Final = 1.0
"""How long a scrape waits for a worker; of one that is stuck the last figures count."""
START_S: Final = 60.0
"""A worker that is not ready by then is started again. It takes two seconds; a slow archive takes five more."""
STOP_S: Final = 11.5
"""How long all workers may take to stop, of the 15 s that a stop may: the rest is for the stores."""
STOP_VALKEY_S: Final = 2.5
SPARE_WORKERS: Final = 8
"""So many workers at least a reload may ask for; more need a new start, as the memory in which they count is made then."""
COME_BACK_MS: Final = 2
"""Viewers of a worker that is replaced come back over so long each: 500 a second."""


def run(settings: Settings, layer: Layer, source: Source, beside: Beside | None = None) -> int:
    """Run a node of several workers until SIGTERM or SIGINT. The exit code: 0 after a clean stop, 1 if it could not start, 4 if the
    stores need another version.

    `layer` is what the settings were made of, `source` where they are read again.
    """
    logs.configure(settings.log.format, settings.log.level)
    raise_file_limit()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(Supervisor(settings, layer, source).serve(beside))
    except (StartFailed, CannotListen) as error:
        click.echo(f"livecast: {error}", err=True)
        return error.code if isinstance(error, StartFailed) else 1
    return 0


class Slot:
    """A worker's place: whoever fills it has its number."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.worker: Worker | None = None
        self.trouble = ""
        """Why nobody fills it, in words for an operator."""
        self.surplus = False
        """There shall be fewer workers."""
        self.filling = asyncio.Lock()
        """Somebody is being started for it."""
        self.keeper: asyncio.Task[None] | None = None


class Supervisor:
    """Keeps `settings.server.workers` workers running."""

    def __init__(self, settings: Settings, layer: Layer, source: Source) -> None:
        self._begun = settings
        self._source = source
        self._layer = dict(layer)
        """What workers are started with."""
        self._observer = LogObserver(settings.log.level)
        self._slots: list[Slot] = []
        self._leaving: set[Worker] = set()
        """Replaced, and on their way out."""
        self._gone: list[Family] = []
        self._serving = self._stopping = False
        self._busy = asyncio.Lock()
        """One change of all workers at a time."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._figures: asyncio.Task[bytes] | None = None
        disable_created_metrics()  # type: ignore[no-untyped-call]  # no types there
        rows = 2 * max(wanted(settings), SPARE_WORKERS)  # each may have a successor while it goes
        self._memory = new_memory(rows)
        self._table = Table(self._memory, rows, secrets.token_bytes(KEY_BYTES))
        self._rows = list(range(rows))
        registry = self._registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._up = Gauge("livecast_worker_up", "Whether a worker serves, by its number.", ["worker"], registry=registry)
        self._restarts = Counter("livecast_worker_restarts", "Times a worker ended by itself.", ["worker"], registry=registry)

    # --- From start to stop -------------------------------------------------------------------------------------------
    async def serve(self, beside: Beside | None) -> None:
        """Start everything, say so, and go on until told to stop. Raises `StartFailed`, `CannotListen`."""
        stop = told_to_stop(then=self._kill_all)
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._end_tasks)
            if not await unless(stop, self._start(stack)):
                return
            loop = asyncio.get_running_loop()
            on_hang_up(reload=lambda: self._spawn(self._reload()), stop=stop.set)
            loop.add_signal_handler(signal.SIGUSR2, lambda: self._spawn(self._roll()))
            if early_signals.noted(signal.SIGUSR2):
                self._spawn(self._roll())
            server = self._begun.server
            url = url_of(server.host, int(self._layer["server", "port"].value))
            print(f"livecast ready {url}", flush=True)  # noqa: T201 - the one line on stdout that scripts wait for
            self._serving = True
            self._tell_manager()
            alive = systemd.KeepAlive()
            alive.start()
            stack.callback(alive.stop)
            self._spawn(self._look())
            if beside is None or await unless(stop, beside(url)):
                await stop.wait()
            systemd.stopping()

    async def _start(self, stack: AsyncExitStack) -> None:
        settings = self._begun
        for held in (reserved := reserved_port(settings.server.host, settings.server.port)):
            stack.callback(held.close)
        self._layer["server", "port"] = Given(reserved[0].getsockname()[1], "the port that is reserved")
        for advice in settings.advice:
            self._observer.observe(Trouble("configuration", "settings", advice))
        if not settings.redis.url:
            await self._own_store("rooms", "redis", stack)
        if not settings.ledger.url:
            await self._own_store("ledger", "ledger", stack)
        if not settings.ledger.receipt_key and not settings.redis.url:
            try:
                kept_key(settings.server.data_dir)  # made once, before several need it at the same time
            except (OSError, BadReceiptKey) as error:
                raise StartFailed(f"receipts cannot be signed: {error}") from error
        stack.push_async_callback(self._stop_workers)  # before the stores
        # The first one alone: it brings the archive's tables up to date, and if it cannot start none can.
        for slots in ([0], range(1, wanted(settings))):
            await asyncio.gather(*(self._first(number) for number in slots))

    async def _own_store(self, role: Role, section: str, stack: AsyncExitStack) -> None:
        valkey = EmbeddedValkey(self._begun.server.data_dir, role, self._observer)
        later(stack, self._observer, valkey.stop, STOP_VALKEY_S)
        try:
            self._layer[section, "url"] = Given(await valkey.start(), f"the supervisor's own store of the {role}")
        except (EmbeddedStoreError, NoValkeyError) as error:
            raise StartFailed(str(error)) from error

    async def _first(self, number: int) -> None:
        """Fill a slot for the first time. Raises `StartFailed`."""
        slot = self._add(number)
        worker = await self._launch(slot)
        if not worker.is_ready:
            code = EXIT_FORMAT if worker.code == EXIT_FORMAT else 1
            raise StartFailed(f"worker {number} did not start ({cause(worker.code)}): what it said stands above", code)
        self._fill(slot, worker)
        slot.keeper = asyncio.create_task(self._keep(slot), name=f"keep worker {number}")

    async def _stop_workers(self) -> None:
        """Tell all to finish, wait, and end those that do not."""
        self._stopping = True
        for slot in self._slots:
            if slot.keeper is not None:
                slot.keeper.cancel()
        everybody = self._everybody()
        for worker in everybody:
            worker.stop(BYE_SPREAD_MS, alone=False)
        try:
            async with asyncio.timeout(STOP_S):
                await asyncio.gather(*(worker.ended.wait() for worker in everybody))
        except TimeoutError:
            for worker in everybody:
                if not worker.ended.is_set():
                    self._say(f"{worker.name} did not stop within {STOP_S:g} s and is killed", "", level="error")
                    worker.kill()
            await asyncio.gather(*(worker.ended.wait() for worker in everybody))

    def _everybody(self) -> list[Worker]:
        return [*(slot.worker for slot in self._slots if slot.worker is not None), *self._leaving]

    def _kill_all(self) -> None:
        """Somebody is in a hurry."""
        for worker in self._everybody():
            worker.kill()

    # --- Keeping workers running --------------------------------------------------------------------------------------
    def _add(self, number: int) -> Slot:
        slot = Slot(number)
        self._slots.append(slot)
        self._up.labels(str(number)).set(0)
        self._restarts.labels(str(number))
        return slot

    async def _launch(self, slot: Slot) -> Worker:
        """A new process for this slot; returns when it is ready, or was not in time and is ended."""
        row = self._rows.pop()
        worker = Worker(slot.number, row, on_page=self._on_page, on_end=self._count_out)
        worker.settings = self._layer
        self._leaving.add(worker)  # until it has a place it is somebody to be ended with the rest
        try:
            await worker.start(entries(self._layer), dev=self._begun.dev, memory=self._memory, table=self._table)
            await worker.ready_or_ended(START_S)
        except BaseException:
            worker.kill()
            raise
        finally:
            self._leaving.discard(worker)
        return worker

    def _fill(self, slot: Slot, worker: Worker) -> None:
        slot.worker, slot.trouble = worker, ""
        if worker.settings is not self._layer:  # they were read again while it started
            worker.say(Reload(entries(self._layer)))
        self._up.labels(str(slot.number)).set(1)
        self._say(f"worker {slot.number} serves", f"process {worker.pid}", level="info")
        self._tell_news()

    async def _keep(self, slot: Slot) -> None:
        """See to it that somebody fills the slot."""
        loop, pause_s = asyncio.get_running_loop(), RESTART_MIN_S
        while True:
            began = loop.time()
            async with slot.filling:
                if (worker := slot.worker) is None:
                    worker = await self._launch(slot)
                    if worker.is_ready:
                        self._fill(slot, worker)
            await worker.ended.wait()
            if slot.worker is not None and slot.worker is not worker:
                continue  # it was replaced
            slot.worker = None
            if slot.surplus:
                return
            if loop.time() - began > STEADY_S:
                pause_s = RESTART_MIN_S
            self._up.labels(str(slot.number)).set(0)
            self._restarts.labels(str(slot.number)).inc()
            how = worker.failure or cause(worker.code)
            slot.trouble = f"worker {slot.number} ended ({how}) and is started again"
            self._say(
                f"worker {slot.number} ended by itself ({how})",
                f"process {worker.pid}",
                f"it is started again in {pause_s:g} s; its viewers come back to the others",
                level="error",
            )
            self._tell_news()
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, RESTART_MAX_S)

    def _count_out(self, worker: Worker) -> None:
        """A worker is gone, and its viewers with it; what it has counted stays in the sum."""
        self._table.wipe(worker.row)
        self._rows.append(worker.row)
        self._gone = kept(self._gone, worker.figures)
        worker.figures = []

    async def _replace(self, slot: Slot) -> bool:
        """Somebody new for the slot before the one who fills it goes; False (and all is as it was) if they do not start."""
        async with slot.filling:
            successor = await self._launch(slot)
            if not successor.is_ready:
                return False
            former = slot.worker
            self._fill(slot, successor)
        if former is not None:
            await self._dismiss(former)
        return True

    async def _dismiss(self, worker: Worker) -> None:
        """Let a worker finish while the others go on."""
        self._leaving.add(worker)
        await worker.count(COUNT_S)
        worker.stop(min(worker.viewers * COME_BACK_MS, BYE_SPREAD_MS), alone=True)
        await worker.end_within(STOP_S)
        self._leaving.discard(worker)

    async def _look(self) -> None:
        """Ask everybody now and then what they counted; who says nothing for long is given up."""
        while True:
            await asyncio.sleep(LOOK_S)
            await asyncio.gather(*(worker.count(LOOK_S) for worker in self._everybody()))
            for worker in self._everybody():
                if worker.is_ready and worker.silent_s > SILENT_S:
                    self._say(f"{worker.name} is stuck and is killed", f"process {worker.pid}", level="error")
                    worker.kill()

    # --- Signals ------------------------------------------------------------------------------------------------------
    async def _roll(self) -> None:
        """All workers anew, one after the other."""
        async with self._busy:
            self._say("all workers are replaced", "SIGUSR2", level="info")
            for slot in list(self._slots):
                replaced = await self._replace(slot)
                if self._stopping:
                    return
                if not replaced:
                    self._say(f"worker {slot.number} is not replaced: its successor did not start", "SIGUSR2", level="error")
                    return
            self._say("all workers are replaced: done", "SIGUSR2", level="info")

    async def _reload(self) -> None:
        """The configuration as it is now, if it is right."""
        async with self._busy:
            systemd.reloading()
            try:
                settings, layer = self._source.read()
            except SettingsError as error:
                what = "the configuration is wrong and stays as it was"
                self._say(what, "SIGHUP", "; ".join(map(str, error.problems)), level="error")
            else:
                await self._take_over(settings, layer)
            self._tell_manager()

    async def _take_over(self, settings: Settings, layer: Layer) -> None:
        begun = self._begun
        waits = fixed(begun, settings)
        own_stores = {path for path in STORES if not begun.value(*path)}
        for path in {*FOR_GOOD, *own_stores, *waits}:
            if path in self._layer:
                layer[path] = self._layer[path]
            else:
                layer.pop(path, None)
        self._layer = layer
        logs.configure(settings.log.format, settings.log.level)
        self._observer = LogObserver(settings.log.level)
        told = await asyncio.gather(*(worker.reload(Reload(entries(layer))) for worker in self._everybody()))
        if len(self._slots) != wanted(settings):
            await self._resize(wanted(settings))
        self._report([each for each in told if each is not None], [f"{section}.{key}" for section, key in waits])

    def _report(self, answers: list[Reloaded], waits: list[str]) -> None:
        taken = sorted({key for answer in answers for key in answer.taken})
        later_on = sorted({key for answer in answers for key in answer.waits} - {*waits, "server.workers"})
        advice = f"{', '.join(later_on)} will hold when the workers are replaced (SIGUSR2)" if later_on else ""
        if waits:
            advice += f"{'; ' if advice else ''}{', '.join(waits)} will hold at the next start"
        self._say("the configuration was read again", ", ".join(taken) or "nothing new", advice, level="info")

    async def _resize(self, count: int) -> None:
        """More workers, or fewer."""
        if count > self._table.rows // 2:
            self._say(f"{count} workers need a new start", "server.workers", f"there will be {self._table.rows // 2} until then")
            count = self._table.rows // 2
        for number in range(len(self._slots), count):
            slot = self._add(number)
            slot.keeper = asyncio.create_task(self._keep(slot), name=f"keep worker {number}")
        for slot in self._slots[count:]:
            slot.surplus = True
            self._slots.remove(slot)
            if slot.worker is not None:
                await self._dismiss(slot.worker)
            elif slot.keeper is not None:
                slot.keeper.cancel()
            self._up.remove(str(slot.number))
            self._restarts.remove(str(slot.number))
        self._tell_news()

    # --- Telling ------------------------------------------------------------------------------------------------------
    def _on_page(self, worker: Worker, want: WantPage) -> None:
        """Somebody asked a worker for the figures of all."""

        async def answer() -> None:
            worker.say(Page(want.number, await self.figures()))

        self._spawn(answer())

    async def figures(self) -> bytes:
        """The metrics of all workers, and of ourselves, in Prometheus' text format. Who asks meanwhile gets the same."""
        if self._figures is None or self._figures.done():
            self._figures = asyncio.create_task(self._read_figures())
        return await asyncio.shield(self._figures)

    async def _read_figures(self) -> bytes:
        everybody = self._everybody()
        await asyncio.gather(*(worker.count(COUNT_S) for worker in everybody))
        living = {slot.worker: str(slot.number) for slot in self._slots if slot.worker is not None}
        of = [(living.get(worker, ""), worker.figures) for worker in everybody]
        return page(merged([("supervisor", read(self._registry)), *of], self._gone))

    def _tell_news(self) -> None:
        """What is wrong with each, to the others: `/readyz` says it."""
        for worker in self._everybody():
            worker.tell_news(tuple(slot.trouble for slot in self._slots if slot.trouble and slot.worker is not worker))
        self._tell_manager()

    def _tell_manager(self) -> None:
        if self._serving:
            serving = sum(slot.worker is not None for slot in self._slots)
            systemd.ready(f"{serving} of {len(self._slots)} workers serve")

    def _say(self, what: str, about: str, advice: str = "", level: str = "warning") -> None:
        self._observer.observe(Trouble(what, about, advice, level))

    # --- Tasks --------------------------------------------------------------------------------------------------------
    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (fault := task.exception()) is not None:
            self._say("a task of the supervisor failed", repr(fault), "please report this", level="error")

    async def _end_tasks(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def wanted(settings: Settings) -> int:
    """How many workers there shall be."""
    workers = settings.server.workers
    return cores() if workers == "auto" else workers
