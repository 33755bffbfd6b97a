"""A PostgreSQL of the tests' own, as an unprivileged process on a unix socket in a private directory."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

#: Debian keeps the server's programs out of PATH.
PLACES = (*sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True), Path("/usr/local/bin"), Path("/opt/homebrew/bin"))


class Postgres:
    """It can be killed and started again. The server refuses to run as root: then it runs as the user that Debian made for it."""

    def __init__(self, bin_dir: Path, directory: Path) -> None:
        self._bin = bin_dir
        self.directory = directory
        self.url = f"postgresql://livecast@/postgres?host={directory}"
        self._process: subprocess.Popen[bytes] | None = None
        self._user = "postgres" if os.geteuid() == 0 else None
        if self._user is not None:
            owner = pwd.getpwnam(self._user)
            os.chown(directory, owner.pw_uid, owner.pw_gid)

    def create(self) -> None:
        """Make the data directory. Nothing is synced: what is tested is a killed process, not a power cut."""
        data = str(self.directory / "data")
        options = ["--pgdata", data, "--username", "livecast", "--auth", "trust", "--locale", "C.UTF-8", "--no-sync"]
        made = subprocess.run(
            [str(self._bin / "initdb"), *options], user=self._user, cwd=self.directory, capture_output=True, text=True, check=False
        )
        assert made.returncode == 0, made.stderr

    def start(self) -> None:
        """Start it and wait until it answers."""
        settings = ["listen-addresses=", f"unix-socket-directories={self.directory}", "fsync=off", "max-connections=40"]
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(self._bin / "postgres"), "-D", str(self.directory / "data"), *(f"--{each}" for each in settings)],
                user=self._user, cwd=self.directory, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        deadline = time.monotonic() + 30
        while not self._answers():
            assert self._process.poll() is None, (self.directory / "log").read_text()
            assert time.monotonic() < deadline, "PostgreSQL does not answer"
            time.sleep(0.05)

    def sql(self, statement: str) -> str:
        """Run a statement as an operator would; what psql prints."""
        command = [
            str(self._bin / "psql"),
            "--quiet",
            "--no-psqlrc",
            "--tuples-only",
            "--no-align",
            "--command",
            statement,
            self.url,
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def kill(self) -> None:
        """Kill -9, all of it."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def stop(self) -> None:
        """End it for good."""
        if self._process is not None and self._process.poll() is None:
            self.kill()

    def _answers(self) -> bool:
        asked = [str(self._bin / "pg_isready"), "--quiet", "--host", str(self.directory), "--username", "livecast"]
        return subprocess.run(asked, check=False, timeout=10).returncode == 0


def fresh_postgres() -> Postgres:
    """A running server. Skips the test where none is installed."""
    found = next((place for place in PLACES if (place / "initdb").exists() and (place / "postgres").exists()), None)
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("no PostgreSQL server here: the archive has to be tested on it in CI")
        pytest.skip("no PostgreSQL server is installed (Debian: apt install postgresql)")
    if os.geteuid() == 0 and "postgres" not in {user.pw_name for user in pwd.getpwall()}:
        pytest.skip("PostgreSQL does not run as root, and there is no user `postgres` to run it as")
    server = Postgres(found, Path(tempfile.mkdtemp(prefix="livecast-pg-")))
    try:
        server.create()
        server.start()
    except BaseException:
        remove(server)
        raise
    return server


def remove(server: Postgres) -> None:
    """Stop it and take its files away."""
    server.stop()
    shutil.rmtree(server.directory, ignore_errors=True)
