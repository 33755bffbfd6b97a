"""The nginx of `deploy/nginx.conf`, run on loopback: the file as it is, but for addresses, directories and its processes."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

CONFIG: Final = Path(__file__).parent.parent / "deploy" / "nginx.conf"
READY_WITHIN_S: Final = 20.0


def binary() -> str | None:
    """The installed nginx, if there is one. (Debian: apt install nginx-light)."""
    return shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def rendered(text: str, *, upstreams: list[str], listen: str, directory: Path, more: str = "") -> str:
    """The configuration for this machine. Every place that is changed has to be there, so that none is changed in vain."""
    servers = "\n".join(f"    server {each} max_fails=2 fail_timeout=3s;" for each in upstreams)
    for pattern, new, times in (
        (r"^worker_processes.*$", "worker_processes 1;\ndaemon off;", 1),
        (r"^worker_rlimit_nofile.*$", "", 1),
        (r"worker_connections \d+;", "worker_connections 4096;", 1),
        (r"(?<= )/tmp/", f"{directory}/", 6),
        (r"/dev/(stdout|stderr)", rf"{directory}/\1.log", 2),
        (r"/var/cache/nginx", f"{directory}/cache", 1),
        (r"^    server node-1:8080 .*\n    server node-2:8080 .*$", servers, 3),
        (r"^    listen 8080 ", f"    listen {listen} ", 1),
        (r"^http \{$", f"http {{\n{more}", 1),
    ):
        text, found = re.subn(pattern, new, text, flags=re.MULTILINE)
        if found != times:
            raise ValueError(f"deploy/nginx.conf has {pattern} {found} times, not {times}")
    return text


class Nginx:
    """One worker process of it. A context manager: leaving stops it and removes its files.

    `more` goes into `http {}`: what a measurement or a test needs besides.
    """

    def __init__(self, upstreams: list[str], *, more: str = "") -> None:
        self._upstreams = upstreams
        self._more = more
        self._directory = Path(tempfile.mkdtemp(prefix="livecast-nginx-"))
        self._directory.chmod(0o755)  # its worker may be another user
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            self.port = taken.getsockname()[1]

    @property
    def base(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        nginx = binary()
        if nginx is None:
            raise FileNotFoundError("there is no nginx. On Debian: apt install nginx-light")
        config = self._directory / "nginx.conf"
        config.write_text(
            rendered(CONFIG.read_text(), upstreams=self._upstreams, listen=f"127.0.0.1:{self.port}", directory=self._directory,
                     more=self._more)
        )  # fmt: skip
        (self._directory / "cache").mkdir()
        with (self._directory / "start.log").open("wb") as said:
            self._process = subprocess.Popen([nginx, "-c", str(config)], stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        try:
            self._until_it_answers()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _until_it_answers(self) -> None:
        deadline = time.monotonic() + READY_WITHIN_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"nginx does not start: {self._directory.joinpath('start.log').read_text()}") from None
                time.sleep(0.02)
            else:
                return

    @property
    def worker(self) -> int:
        """The process that answers."""
        return int(Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()[0])

    def logs(self) -> str:
        """All that it wrote, anywhere: buffered lines too."""
        self._process.send_signal(signal.SIGUSR1)  # reopens its logs, having written what it held
        time.sleep(0.2)
        return "".join(file.read_text(errors="replace") for file in sorted(self._directory.glob("*.log")))
