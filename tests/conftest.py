"""What all tests share: a real Valkey, from the wheel that the service itself runs on."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from livecast.ops.processes.loading import no_collection
from livecast.ops.stores.valkey_binary import valkey_binary
from support.dealing import Dealer, turn
from support.postgres import Postgres, fresh_postgres, remove
from support.stores import Clustered, scratch

# How long an example takes says more about who else is at work on the machine than about us; a test as a whole has its time-out.
settings.register_profile("livecast", deadline=None)
settings.load_profile("livecast")


FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(optionalhook=True)  # there is no such hook without pytest-xdist
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Dealer | None:
    """Where files stay together, so do those that share a browser."""
    return Dealer(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is collected is kept: to look for garbage in it again and again takes a quarter of the time, and more later."""
    with no_collection():
        found = yield
    gc.freeze()
    return found


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In one of several processes: in the order in which they are dealt out."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: turn(item.nodeid))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note which tests failed."""
    report = yield
    item.stash[FAILED] = item.stash.get(FAILED, False) or report.failed
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """What a failed test left open is closed before the next one, which would be blamed for it otherwise."""
    done = yield
    if item.stash.get(FAILED, False):
        sys.last_exc = sys.last_value = sys.last_traceback = None  # type: ignore[attr-defined,unused-ignore] # from 3.12 on
        heard, sys.unraisablehook = sys.unraisablehook, lambda _: None
        try:
            gc.collect()
        finally:
            sys.unraisablehook = heard
    return done


class Valkey:
    """A Valkey of the tests' own on a unix socket in a private directory. It can be killed, frozen and started again.

    With `fsync` "always" it is fit for money. Otherwise every write is handed to the kernel before it is answered, so a
    kill -9 loses nothing. (`appendfsync no` does that. With `everysec`, oddly, writes wait up to 2 s while an fsync is under
    way, and a kill then loses what was acknowledged.) `options` are more words for its command line.
    """

    def __init__(self, directory: Path, fsync: str = "no", *options: str, env: dict[str, str] | None = None) -> None:
        self.directory = directory
        self._fsync = fsync
        self._more = options
        self._env = {**os.environ, **(env or {})}
        self.socket = directory / "valkey.sock"
        self.url = f"unix://{self.socket}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = ["--port", "0", "--unixsocket", str(self.socket), "--dir", str(self.directory), "--save", ""]
        options += ["--appendonly", "yes", "--appendfsync", self._fsync, "--logfile", "valkey.log", *self._more]
        nothing = subprocess.DEVNULL
        self._process = subprocess.Popen([valkey_binary(), *options], stdin=nothing, stdout=nothing, env=self._env)
        deadline = time.monotonic() + 30
        while not self._answers():
            assert self._process.poll() is None, (self.directory / "valkey.log").read_text()
            assert time.monotonic() < deadline, "Valkey does not answer"
            time.sleep(0.01)

    def command(self, *words: str) -> bytes:
        """Run one command on a connection of its own; the answer in the raw."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(5)
            s.connect(str(self.socket))
            s.sendall(b"".join([b"*%d\r\n" % len(words), *(b"$%d\r\n%s\r\n" % (len(w), w.encode()) for w in words)]))
            return s.recv(65536)

    def kill(self) -> None:
        """Kill -9."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def freeze(self) -> None:
        """Stop its clock: connections stay open and say nothing."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on where it was."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGCONT)

    def stop(self) -> None:
        """End it for good."""
        if self._process is not None and self._process.poll() is None:
            self.kill()

    def _answers(self) -> bool:
        try:
            return self.command("PING").startswith(b"+PONG")
        except OSError:
            return False


def _users(directory: Path) -> tuple[str, str]:
    """The users of `deploy/stores/users.acl`, as an option; but whoever comes without a name may do everything: the tests."""
    users = Path(__file__).parent.parent.joinpath("deploy", "stores", "users.acl").read_text().splitlines()
    kept = [line for line in users if not line.startswith("user default ")]
    file = directory / "users.acl"
    file.write_text("\n".join(["user default on nopass ~* &* +@all", *kept, ""]))
    return "--aclfile", str(file)


def _fresh_valkey(fsync: str = "no", user: str = "") -> Iterator[Valkey]:
    # Not pytest's tmp_path: a socket's path may have 108 bytes at most, and a test's name may be longer.
    directory = Path(tempfile.mkdtemp(prefix="livecast-test-"))  # mkdtemp makes it 0700
    server = Valkey(directory, fsync, *(_users(directory) if user else ()))
    if user:
        server.url = f"unix://{user}:change-me-{user}@{server.socket}"
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(directory, ignore_errors=True)  # a child that rewrites the AOF may outlive its parent for a moment


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[Valkey]:
    """One Valkey for the whole session, where we may do no more than an operator has to allow. Leave it running; use `valkey`."""
    yield from _fresh_valkey(user="rooms")


@pytest.fixture
def valkey(valkey_server: Valkey) -> str:
    """URL of a running Valkey, empty at the start of each test."""
    assert valkey_server.command("FLUSHALL").startswith(b"+OK")
    assert valkey_server.command("SCRIPT", "FLUSH").startswith(b"+OK")
    return valkey_server.url


@pytest.fixture(scope="module")
def valkey_of_module() -> Iterator[Valkey]:
    """A Valkey for one module of tests, where processes live as long as it."""
    yield from _fresh_valkey()


@pytest.fixture
def crashable_valkey() -> Iterator[Valkey]:
    """A Valkey for this test alone, to kill, freeze and start again."""
    yield from _fresh_valkey()


@pytest.fixture(scope="session")
def ledger_server() -> Iterator[Valkey]:
    """One Valkey that syncs every write, for the whole session, with as few rights. Leave it running; use `ledger_valkey`."""
    yield from _fresh_valkey("always", user="ledger")


@pytest.fixture
def ledger_valkey(ledger_server: Valkey) -> str:
    """URL of a running Valkey that syncs every write, empty at the start of each test."""
    assert ledger_server.command("FLUSHALL").startswith(b"+OK")
    return ledger_server.url


@pytest.fixture
def crashable_ledger() -> Iterator[Valkey]:
    """A Valkey that syncs every write, for this test alone."""
    yield from _fresh_valkey("always")


@pytest.fixture
def crashable_replica() -> Iterator[Valkey]:
    """A second one, to follow the first."""
    yield from _fresh_valkey("always")


@pytest.fixture(scope="session")
def cluster_servers() -> Iterator[Clustered]:
    """One cluster of three nodes that sync every write, for the whole session. Leave it running; use `cluster`."""
    with scratch() as directory:
        made = Clustered(directory, fsync="always")
        try:
            yield made.start()
        finally:
            made.stop()


@pytest.fixture
def cluster(cluster_servers: Clustered) -> str:
    """URL of a running cluster, empty at the start of each test."""
    cluster_servers.flush()
    return cluster_servers.url


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    """One PostgreSQL for the whole session. Leave it running; use `postgres`."""
    server = fresh_postgres()
    yield server
    remove(server)


@pytest.fixture
def postgres(postgres_server: Postgres) -> str:
    """URL of a running PostgreSQL, empty at the start of each test."""
    postgres_server.sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    return postgres_server.url


@pytest.fixture
def crashable_postgres() -> Iterator[Postgres]:
    """A PostgreSQL for this test alone, to kill and start again."""
    server = fresh_postgres()
    yield server
    remove(server)
