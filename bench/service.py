"""The service under test: `livecast serve --dev` on the first core, with its own Valkeys, in a directory of its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

import jwt
import msgspec

from bench.machine import cores, cpu_s, pin, rss_kb
from livecast.ops.stores.valkey_socket import socket_path

SECRET: Final = "livecast-development-secret-do-not-use"
KEY: Final = "lck_dev_dev"
READY_WITHIN_S: Final = 60.0


class Cpu(NamedTuple):
    """Seconds of CPU used so far, or between two readings."""

    at: float
    node: float
    stores: float
    ledger: float
    """Of the stores, the one that keeps the money."""

    def since(self, before: Cpu) -> Cpu:
        """What was used in between; `at` becomes the time that passed."""
        return Cpu(self.at - before.at, self.node - before.node, self.stores - before.stores, self.ledger - before.ledger)


class Service:
    """A running node. A context manager: leaving stops it and removes its data.

    `settings` are environment variables of the configuration (`LIVECAST_ROOM__TICK_MS`), for what a measurement must relax.
    `stores_aside`: its Valkeys share the second core with the load, so that node and ledger can work at the same time.
    `options`: more words for the command line. With several workers nothing is kept to a core.
    """

    def __init__(
        self,
        settings: Mapping[str, str] | None = None,
        *,
        stores_aside: bool = False,
        options: Sequence[str] = (),
        pinned: bool = True,
    ) -> None:
        self._settings = dict(settings or {})
        self._options = tuple(options)
        self._pinned = pinned
        self._stores_aside = stores_aside
        self._directory = Path(tempfile.mkdtemp(prefix="livecast-bench-"))
        self.port = 0

    def __enter__(self) -> Self:
        allowed = {cores()[0]} if self._pinned else set(cores())
        with (self._directory / "out").open("wb") as out, (self._directory / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [str(Path(sys.executable).parent / "livecast"), "serve", "--dev", "--host", "127.0.0.1", "--port", "0",
                 "--data-dir", str(self._directory / "data"), *self._options],
                env={**os.environ, "LIVECAST_LOG__LEVEL": "warning", **self._settings},
                stdin=subprocess.DEVNULL, stdout=out, stderr=log, start_new_session=True,
                preexec_fn=lambda: os.sched_setaffinity(0, allowed),  # noqa: PLW1509 - no threads here
            )  # fmt: skip
        try:
            self.port = self._ready()
            if self._stores_aside:
                for pid in self._stores():
                    pin(pid, cores()[1])
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        stores = list(self._stores()) if self.port else []
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

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """A call of the control plane, as a service; its answer. Raises if it is refused."""
        head = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
        data = None if body is None else msgspec.json.encode(body)
        request = urllib.request.Request(f"{self.base}{path}", data, head, method=method)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return msgspec.json.decode(answer.read())
        except urllib.error.HTTPError as refused:
            raise SystemExit(f"bench: {method} {path} was answered {refused.code}: {refused.read().decode()}") from None

    def text(self, path: str) -> str:
        """A page as it is."""
        with urllib.request.urlopen(f"{self.base}{path}", timeout=20) as answer:
            return str(answer.read(), "utf-8")

    @property
    def ledger_socket(self) -> str:
        """Where its ledger's Valkey listens."""
        return str(socket_path((self._directory / "data" / "ledger").absolute()))

    @property
    def pid(self) -> int:
        """The serving process."""
        return self._process.pid

    @property
    def workers(self) -> list[int]:
        """The processes of its workers; none where it serves alone."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return [int(pid) for pid in children if b"livecast.ops.processes.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()]

    def _stores(self) -> dict[int, str]:
        """Its Valkeys by their role: found by working directory, because they give themselves a name that hides their arguments."""
        found = {}
        for each in Path("/proc").iterdir():
            try:
                if each.name.isdigit() and each.name != str(self.pid):
                    directory = (each / "cwd").readlink()
                    if directory.is_relative_to(self._directory):
                        found[int(each.name)] = directory.name
            except OSError:
                continue
        return found

    def cpu(self) -> Cpu:
        """CPU used so far: by the node, and by its Valkeys beside it."""
        stores = {role: cpu_s(pid) for pid, role in self._stores().items()}
        node = sum(cpu_s(pid) for pid in (self.pid, *self.workers))
        return Cpu(time.monotonic(), node, sum(stores.values()), stores.get("ledger", 0.0))

    def rss_kb(self) -> tuple[int, int]:
        """Resident memory now: of the node, and of its Valkeys."""
        return rss_kb(self.pid), sum(rss_kb(pid) for pid in self._stores())


def token(user: str) -> str:
    """A viewer's own token, for an hour."""
    return jwt.encode({"sub": user, "name": user, "role": "viewer", "exp": int(time.time()) + 3600}, SECRET, "HS256")


def guests(count: int, room: str, prefix: str = "u") -> str:
    """Lines `room token` for `Viewers.join`, a user each."""
    return "".join(f"{room} {token(f'{prefix}{number}')}\n" for number in range(count))
