"""A small Valkey of our own, for a node that stands alone: started, watched, started again, and ended in good order.

Its directory belongs to one node at a time (a lock says so, and the kernel lifts it when that node dies, however it dies).
It listens on a unix socket that only this user can reach, and on no port.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal, TypeAlias

from livecast.core.errors import LivecastError
from livecast.facts import Observer, Trouble
from livecast.ops.stores import valkey_socket
from livecast.ops.stores.valkey_binary import valkey_binary
from livecast.ops.stores.valkey_remains import PID_FILE, TERM_S, end_left_behind
from livecast.ops.stores.valkey_rewrites import APPENDED_MAX, rewrite_when_quiet

Role: TypeAlias = Literal["rooms", "ledger"]

FSYNC: Final[dict[Role, str]] = {"rooms": "everysec", "ledger": "always"}
"""A second of chat may be lost with the power; an acknowledged payment may not."""
LISTPACK_MAX: Final = 64
"""Fields up to which a hash is one packed piece, searched from its start. By default 512, which makes the hashes of a drop of 500
units the slowest of all: a claim of its crowd cost 2.5 times as much. Wallets and drops have fewer fields than this."""
STREAM_NODE_BYTES: Final = 1024
"""Of a stream's packed pieces; so much is set aside for the first entry. By default it is 4096, four times the weight of a room in
which nothing happens but that its staff did something once. Smaller pieces cost a lively room's commit 1.5 µs."""
LOCK_FILE = "livecast.lock"
LOG_FILE = "valkey.log"
LOG_BYTES_MAX = 1024 * 1024
"""The log is put aside (one old one is kept) at a start that finds it longer: a Valkey writes some 2 KB a start."""
READY_S = 10.0
"""Time to answer at all. It takes 50 ms; a machine short of memory or disk takes seconds."""
LOADING_S = 120.0
"""Time to read its files back: about 1 GB."""
LOOK_S = 0.01
RESTART_MIN_S, RESTART_MAX_S = 0.1, 5.0
"""Pause before starting a dead store again, doubled each time: at 5 s at the latest, the bound within which money is back."""
STEADY_S = 30.0
"""A store that lived so long died of something new: the pauses begin from the shortest again."""

#: What the store's log says when it cannot start or go on -> what to do.
_ADVICE: Final = (
    ("No space left on device", "the disk is full: make room, then start again"),
    ("Short write while writing to the AOF file", "the disk is full: make room, and it goes on by itself"),
    ("Permission denied", "this user may not write there: change the owner of the directory, or give another one with --data-dir"),
    ("Read-only file system", "the file system is read-only: give another directory with --data-dir"),
    ("Bad file format", "its files are damaged: restore a backup, or move the directory away to begin empty"),
    ("Cannot allocate memory", "the machine is out of memory"),
    ("Input/output error", "the disk fails: look at the kernel's log"),
)


class EmbeddedStoreError(LivecastError):
    """An embedded store cannot be started; the message says why and what to do."""


class DirectoryInUse(EmbeddedStoreError):  # noqa: N818 - says what it is
    """A living process holds the directory."""


class EmbeddedValkey:
    """The store of one role, with `data_dir/role` as its working directory.

    `start` returns when it answers; from then on its death is reported to `observer` and it is started again until `stop`.
    """

    def __init__(self, data_dir: str | os.PathLike[str], role: Role, observer: Observer) -> None:
        self.directory = Path(data_dir).absolute() / role
        self._role = role
        self._observer = observer
        self._lock: int | None = None
        self._socket = Path()
        self._process: asyncio.subprocess.Process | None = None
        self._log_start = 0
        self._watchers: list[asyncio.Task[None]] = []

    async def start(self) -> str:
        """The address (`unix://…`) once it answers. Raises `EmbeddedStoreError`."""
        try:
            self._take_directory()
            await self._take_over()
            await self._launch()
        except OSError as error:
            self._let_go()
            raise EmbeddedStoreError(_failure(self.directory, str(error))) from error
        except BaseException:
            await self._end()
            self._let_go()
            raise
        self._watchers.append(asyncio.create_task(self._watch()))
        if self._role == "ledger":
            self._watchers.append(asyncio.create_task(rewrite_when_quiet(self.directory, self._socket)))
        return valkey_socket.url(self._socket)

    async def stop(self) -> None:
        """End it in good order, with everything on disk. Twice is harmless."""
        for watcher in self._watchers:
            watcher.cancel()
        await asyncio.gather(*self._watchers, return_exceptions=True)
        self._watchers.clear()
        await self._end()
        if self._lock is not None:
            valkey_socket.clear(self._socket, self.directory)
        self._let_go()

    def _take_directory(self) -> None:
        """Make it ours alone: 0700, and locked against a second node."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.directory = self.directory.resolve()
        if self.directory.stat().st_mode & 0o077:  # a tool with rights to read only may look at what is another user's
            self.directory.chmod(0o700)
        lock = os.open(self.directory / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(lock, 20, 0).decode(errors="replace").strip() or "unknown"
            os.close(lock)
            raise DirectoryInUse(
                f"another livecast node (process {holder}) is running on {self.directory}: stop it first, or give this one "
                f"another directory with --data-dir"
            ) from None
        os.ftruncate(lock, 0)
        os.pwrite(lock, b"%d\n" % os.getpid(), 0)
        self._lock = lock

    async def _take_over(self) -> None:
        """After a node that was killed: end its store, clear its socket away."""
        for pid in await end_left_behind(self.directory):
            what = f"ended the {self._role} store that a killed node left running (process {pid})"
            self._observer.observe(Trouble(what, str(self.directory), "", level="info"))
        self._socket = valkey_socket.socket_path(self.directory)
        with suppress(FileNotFoundError):
            self._socket.unlink()

    async def _launch(self) -> None:
        """Start the server and wait until it answers. Raises `EmbeddedStoreError`, then nothing runs."""
        log = self._open_log()
        try:
            self._process = await asyncio.create_subprocess_exec(
                valkey_binary(),
                *self._options(),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.directory,
                start_new_session=True,  # the terminal's Ctrl-C is for the node, which ends its store last
            )
        finally:
            os.close(log)
        try:
            await self._ready(self._process)
        except BaseException:
            await self._end()
            raise

    def _options(self) -> list[str]:
        options = {
            "port": "0",
            "unixsocket": str(self._socket),
            "unixsocketperm": "700",
            "daemonize": "no",
            "pidfile": PID_FILE,
            "dir": str(self.directory),
            "save": "",
            "appendonly": "yes",
            "appendfsync": FSYNC[self._role],
            "aof-load-truncated": "yes",  # power loss cuts the last command short: go on with all before it
            "hash-max-listpack-entries": str(LISTPACK_MAX),
            "always-show-logo": "no",
        }
        if self._role == "rooms":
            options["stream-node-max-bytes"] = str(STREAM_NODE_BYTES)
        else:
            options["auto-aof-rewrite-min-size"] = APPENDED_MAX
        return [word for name, value in options.items() for word in (f"--{name}", value)]

    def _open_log(self) -> int:
        path = self.directory / LOG_FILE
        with suppress(FileNotFoundError):
            if path.stat().st_size > LOG_BYTES_MAX:
                path.replace(path.with_suffix(".log.1"))
        log = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._log_start = os.fstat(log).st_size
        return log

    async def _ready(self, process: asyncio.subprocess.Process) -> None:
        loop = asyncio.get_running_loop()
        began, said = loop.time(), "nothing"
        while process.returncode is None:
            with suppress(OSError):
                said = await valkey_socket.ping(self._socket)
                if said == "PONG":
                    return
            if loop.time() - began > (LOADING_S if said.startswith("LOADING") else READY_S):
                raise EmbeddedStoreError(_failure(self.directory, f"it does not answer (it says: {said})"))
            await asyncio.sleep(LOOK_S)
        raise EmbeddedStoreError(_failure(self.directory, self._last_words() or f"it ended with {process.returncode}"))

    async def _watch(self) -> None:
        """Start it again whenever it dies, with growing pauses."""
        loop = asyncio.get_running_loop()
        pause_s = RESTART_MIN_S
        while self._process is not None:
            began = loop.time()
            code = await self._process.wait()
            if loop.time() - began > STEADY_S:
                pause_s = RESTART_MIN_S
            why = self._last_words()
            self._trouble(f"the {self._role} store ended by itself ({cause(code)})", why)
            while True:
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, RESTART_MAX_S)
                try:
                    await self._launch()
                except (OSError, LivecastError) as error:
                    self._trouble(f"the {self._role} store does not start", str(error))
                else:
                    break
            what = f"the {self._role} store runs again"
            self._observer.observe(Trouble(what, str(self.directory), "", level="info"))

    def _trouble(self, what: str, why: str) -> None:
        advice = _advice(why) or f"see {self.directory / LOG_FILE}"
        self._observer.observe(Trouble(f"{what}: {why}" if why else what, str(self.directory), advice, level="error"))

    def _last_words(self) -> str:
        """What the store warned of since its start: the last lines of its log that carry a `#`."""
        try:
            with (self.directory / LOG_FILE).open("rb") as log:
                log.seek(self._log_start)
                lines = log.read(256 * 1024).decode(errors="replace").splitlines()
        except OSError:
            return ""
        warnings = [line.split(" # ", 1)[1] for line in lines if " # " in line]
        plain = [line for line in lines if " # " not in line and " * " not in line]
        return "; ".join((warnings or plain)[-3:])

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)  # to Valkey the same as SHUTDOWN: write out, sync, leave
        try:
            async with asyncio.timeout(TERM_S):
                await process.wait()
        except TimeoutError:
            self._trouble(f"the {self._role} store did not end within {TERM_S:g} s and was killed", "")
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    def _let_go(self) -> None:
        if self._lock is not None:
            os.close(self._lock)  # and with it the lock; the file stays, or a third node could lock another of that name
            self._lock = None


def _advice(text: str) -> str:
    return next((advice for sign, advice in _ADVICE if sign in text), "")


def _failure(directory: Path, why: str) -> str:
    advice = _advice(why) or f"see {directory / LOG_FILE}, or use a running server with --redis"
    return f"the store in {directory} cannot be started: {why}. What to do: {advice}"


def cause(code: int) -> str:
    """How a process ended, in words."""
    return f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"
