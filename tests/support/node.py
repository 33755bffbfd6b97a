"""A livecast node as it is run: a process of its own, with its own Valkey, on a free port."""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
from types import TracebackType
from typing import Self

import jwt

DEV_SECRET = "livecast-development-secret-do-not-use"
DEV_KEY = {"Authorization": "Bearer lck_dev_dev"}
READY_WITHIN_S = 75.0


def token(sub: str, *, ttl_s: float = 3600, secret: str = DEV_SECRET, **claims: object) -> str:
    """A token as a platform's login would mint it, with a library of its own."""
    return jwt.encode({"sub": sub, "exp": int(time.time() + ttl_s), **claims}, secret, "HS256")


class NodeProcess:
    """`livecast serve`. Leaving the block stops it, reads its log for tracebacks, and takes its stores down.

    `within`: a command that becomes the one behind it, such as `ip netns exec NAME`.
    """

    def __init__(self, *args: str, dev: bool = True, env: dict[str, str] | None = None, within: tuple[str, ...] = ()) -> None:
        self._dir = tempfile.TemporaryDirectory(prefix="lc-")
        self.data = pathlib.Path(self._dir.name) / "data"
        self.log_path = pathlib.Path(self._dir.name) / "log"
        self._within = within
        self._args = [*(["--dev"] if dev else []), *args]
        self._env = {**os.environ, **(env or {})}
        self._port = 0
        self.base = ""
        self.flawed = False
        """A bug is planted in it: it may well find out by itself that something is wrong."""
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def ws(self) -> str:
        return self.base.replace("http", "ws", 1)

    @property
    def pid(self) -> int:
        assert self.process
        return self.process.pid

    def start(self) -> NodeProcess:
        """Start (again): on the same port and data directory as before."""
        if self.process and self.process.stdout:
            self.process.stdout.close()
        livecast = str(pathlib.Path(sys.executable).with_name("livecast"))
        command = [*self._within, livecast, "serve", "--port", str(self._port), "--data-dir", str(self.data), *self._args]
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, env=self._env, stdin=subprocess.DEVNULL)
        assert self.process.stdout
        os.set_blocking(self.process.stdout.fileno(), False)
        said, end = b"", time.monotonic() + READY_WITHIN_S
        while b"\n" not in said:
            said += self.process.stdout.read() or b""
            assert self.process.poll() is None, f"exit {self.process.returncode}: {self.log_text()[-2000:]}"
            assert time.monotonic() < end, f"not ready: {said!r} {self.log_text()[-2000:]}"
            time.sleep(0.02)  # polling a pipe of a process that starts: there is nothing to await
        words = said.decode().split()
        assert words[:2] == ["livecast", "ready"], said
        self.base = words[2]
        self._port = int(self.base.rsplit(":", 1)[1])
        return self

    def kill(self) -> None:
        """Kill -9: nothing is said goodbye to. Its Valkey goes on, or not."""
        assert self.process
        self.process.kill()
        self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        assert self.process
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)

    def rss_kb(self) -> int:
        """Resident memory of the node's process, without its Valkey."""
        status = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])

    def stores(self, role: str = "") -> list[int]:
        """Processes whose working directory lies in the data directory; of one `role` (`rooms`, `ledger`) or all."""
        found = []
        for entry in pathlib.Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != self.pid:
                with contextlib.suppress(OSError):
                    if (entry / "cwd").readlink().is_relative_to(self.data.resolve() / role):
                        found.append(int(entry.name))
        return found

    def log_text(self) -> str:
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException as error:
            self.__exit__(type(error), error, error.__traceback__)  # nothing of it is left for the tests that follow
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if self.process:
                self.stop()
                if self.process.stdout:
                    self.process.stdout.close()
            log = self.log_text()
        finally:
            if self.process and self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            for pid in self.stores() if self.process else []:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self._dir.cleanup()
        if kind is None and self.flawed:
            return
        if kind is None:
            assert "Traceback" not in log, log[-4000:]
        else:
            sys.stderr.write(log[-4000:])
