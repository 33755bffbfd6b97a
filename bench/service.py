"""The service under test: `livecast serve --dev` on the first core, with its own Valkeys, in a directory of its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self

import jwt

from bench.machine import cores, cpu_s, rss_kb

SECRET: Final = "livecast-development-secret-do-not-use"
KEY: Final = "lck_dev_dev"
READY_WITHIN_S: Final = 30.0


class Cpu(NamedTuple):
    """Seconds of CPU used so far, or between two readings."""

    at: float
    node: float
    stores: float

    def since(self, before: Cpu) -> Cpu:
        """What was used in between; `at` becomes the time that passed."""
        return Cpu(self.at - before.at, self.node - before.node, self.stores - before.stores)


class Service:
    """A running node. A context manager: leaving stops it and removes its data.

    `settings` are environment variables of the configuration (`LIVECAST_ROOM__TICK_MS`), for what a measurement must relax.
    """

    def __init__(self, settings: Mapping[str, str] | None = None) -> None:
        self._settings = dict(settings or {})
        self._directory = Path(tempfile.mkdtemp(prefix="livecast-bench-"))
        self.port = 0

    def __enter__(self) -> Self:
        core = cores()[0]
        with (self._directory / "out").open("wb") as out, (self._directory / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [str(Path(sys.executable).parent / "livecast"), "serve", "--dev", "--host", "127.0.0.1", "--port", "0",
                 "--data-dir", str(self._directory / "data")],
                env={**os.environ, "LIVECAST_LOG__LEVEL": "warning", **self._settings},
                stdin=subprocess.DEVNULL, stdout=out, stderr=log, start_new_session=True,
                preexec_fn=lambda: os.sched_setaffinity(0, {core}),  # noqa: PLW1509 - no threads here
            )  # fmt: skip
        try:
            self.port = self._ready()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        stores = self._stores() if self.port else []
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        for pid in stores:
            try:
                os.kill(pid, signal.SIGTERM)
            except ProcessLookupError:
                continue
        if kind is not None:
            print(f"--- the node's log\n{self.log()[-3000:]}", file=sys.stderr)
        shutil.rmtree(self._directory, ignore_errors=True)

    def _ready(self) -> int:
        deadline = time.monotonic() + READY_WITHIN_S
        while time.monotonic() < deadline and self._process.poll() is None:
            for line in (self._directory / "out").read_text().splitlines():
                if line.startswith("livecast ready http://"):
                    return int(line.rsplit(":", 1)[1])
            time.sleep(0.05)
        raise SystemExit(f"bench: the service did not start (exit {self._process.poll()}):\n{self.log()[-3000:]}")

    def log(self) -> str:
        """What it wrote to standard error so far."""
        return (self._directory / "log").read_text(errors="replace")

    @property
    def base(self) -> str:
        """Where its control plane is."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The serving process."""
        return self._process.pid

    def _stores(self) -> list[int]:
        """Its Valkeys: found by working directory, because they give themselves a name that hides their arguments."""
        found = []
        for each in Path("/proc").iterdir():
            try:
                if each.name.isdigit() and (each / "cwd").readlink().is_relative_to(self._directory) and each.name != str(self.pid):
                    found.append(int(each.name))
            except OSError:
                continue
        return found

    def cpu(self) -> Cpu:
        """CPU used so far: by the node, and by its Valkeys beside it."""
        return Cpu(time.monotonic(), cpu_s(self.pid), sum(cpu_s(pid) for pid in self._stores()))

    def rss_kb(self) -> tuple[int, int]:
        """Resident memory now: of the node, and of its Valkeys."""
        return rss_kb(self.pid), sum(rss_kb(pid) for pid in self._stores())


def token(user: str) -> str:
    """A viewer's own token, for an hour."""
    return jwt.encode({"sub": user, "name": user, "role": "viewer", "exp": int(time.time()) + 3600}, SECRET, "HS256")


def guests(count: int, room: str, prefix: str = "u") -> str:
    """Lines `room token` for `Viewers.join`, a user each."""
    return "".join(f"{room} {token(f'{prefix}{number}')}\n" for number in range(count))
