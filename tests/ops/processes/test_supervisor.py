"""A node of several processes: it says the same as a node of one, and goes on when a process does not."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from support.node import NodeProcess
from support.outside import Outsider

CONFIG = """
[server]
connections_per_user = {per_user}
ping_ms = {ping_ms}
[gifts]
catalogue = [{{id = "rose", name = "Rose", price = {price}, tier = 1}}]
"""


class Workers(NodeProcess):
    """`livecast serve --workers 2`, and what it tells a service manager."""

    def __init__(self, directory: Path) -> None:
        self.config = directory / "livecast.toml"
        self.configure()
        self.manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.manager.bind(str(directory / "notify"))
        self.manager.settimeout(30)
        super().__init__("--workers", "2", "--config", str(self.config), env={"NOTIFY_SOCKET": str(directory / "notify")})

    def configure(self, *, per_user: int = 20, ping_ms: int = 25_000, price: str = "1") -> None:
        """Write another configuration."""
        self.config.write_text(CONFIG.format(per_user=per_user, ping_ms=ping_ms, price=price))

    @property
    def workers(self) -> list[int]:
        """Its worker processes."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return [int(pid) for pid in children if b"livecast.ops.processes.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()]

    def descriptors(self, pid: int) -> int:
        """Open files of a process, sockets included."""
        return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())

    def get(self, path: str) -> Any:
        """The answer to a GET over a connection of its own: whichever worker the kernel chooses."""
        with urlopen(Request(self.base + path, headers={"Connection": "close"}), timeout=5) as answer:
            return answer.read().decode()

    def metric(self, name: str) -> float:
        """The value of one sample."""
        found = re.search(rf"^{re.escape(name)} (\S+)$", self.get("/metrics"), re.MULTILINE)
        return float(found[1]) if found else 0.0

    def told(self, wanted: str) -> str:
        """Wait until the service manager is told that."""
        while wanted not in (said := self.manager.recv(4096).decode()):
            pass
        return said

    def reload(self) -> None:
        """SIGHUP, and wait until it is done."""
        os.kill(self.pid, signal.SIGHUP)
        self.told("RELOADING=1")
        self.told("READY=1")

    def until(self, condition: Callable[[], Any], what: str, within_s: float = 60) -> None:
        """Wait for something that is only to be had by asking."""
        end = time.monotonic() + within_s
        while not condition():
            assert time.monotonic() < end, f"no {what}: {self.log_text()[-2000:]}"
            time.sleep(0.05)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workers]:
    """One for all; each test leaves two workers behind."""
    node = Workers(tmp_path_factory.mktemp("workers"))
    with contextlib.closing(node.manager), node:
        assert node.told("READY=1").endswith("2 of 2 workers serve")
        yield node


@contextlib.asynccontextmanager
async def crowd(node: Workers, count: int, room: str, user: str = "") -> AsyncIterator[list[Outsider]]:
    """So many viewers in a room, or so many connections of one, on both workers."""
    async with contextlib.AsyncExitStack() as stack:
        yield [await stack.enter_async_context(Outsider(node, room, user or f"u{n}")) for n in range(count)]


async def test_workers_share_the_port_and_one_page_counts_them_all(node: Workers) -> None:
    """Whichever of them answers: viewers of all in one sum, and what is a process's own with its number."""
    async with crowd(node, 24, "shared"):
        for _ in range(4):
            assert await asyncio.to_thread(node.metric, 'livecast_connections{kind="ws"}') == 24
        page = await asyncio.to_thread(node.get, "/metrics")
        assert page.count("# TYPE livecast_connections gauge") == 1
        assert set(re.findall(r'process_resident_memory_bytes\{worker="(\w+)"\}', page)) == {"0", "1", "supervisor"}
        assert dict(re.findall(r'livecast_worker_up\{worker="(\d)"\} (\S+)', page)) == {"0": "1.0", "1": "1.0"}
        shares = [node.descriptors(pid) for pid in node.workers]
        assert abs(shares[0] - shares[1]) < 24, "the kernel deals connections out among them"


async def test_a_killed_worker_is_replaced_and_what_it_counted_stays(node: Workers) -> None:
    """Others serve on and say what is wrong; no counter of the page ever falls."""
    opened = 'livecast_connections_opened_total{anonymous="no",kind="ws"}'
    async with crowd(node, 8, "killed") as viewers:
        before = await asyncio.to_thread(node.metric, opened)
        killed = node.workers[0]
        os.kill(killed, signal.SIGKILL)
        await asyncio.to_thread(node.told, "1 of 2 workers serve")
        ready = json.loads(await asyncio.to_thread(node.get, "/readyz"))
        assert ready == {"status": "degraded", "degraded": ["worker 0 ended (signal SIGKILL) and is started again"]}
        assert await asyncio.to_thread(node.metric, opened) >= before
        assert any(viewer.closed is None for viewer in viewers), "those of the other worker feel nothing"
        await asyncio.to_thread(node.told, "2 of 2 workers serve")
        assert json.loads(await asyncio.to_thread(node.get, "/readyz"))["status"] == "ok"
        assert killed not in node.workers
        assert await asyncio.to_thread(node.metric, 'livecast_worker_restarts_total{worker="0"}') == 1
        assert await asyncio.to_thread(node.metric, opened) >= before
    assert "worker 0 ended by itself (signal SIGKILL)" in node.log_text()


async def test_a_reload_takes_over_what_can_change_and_names_what_waits(node: Workers) -> None:
    """On all workers, without a connection lost; viewers inside are told of other gifts."""
    async with Outsider(node, "reload", "ada") as viewer, crowd(node, 3, "reload", "bob"):
        rev = viewer.welcome["state"]["gifts"]["rev"]
        node.configure(per_user=1, ping_ms=20_000, price="7")
        await asyncio.to_thread(node.reload)
        await viewer.until(
            lambda: any(f.get("state", {}).get("gifts", {}).get("rev", rev) != rev for f in viewer.frames), what="news"
        )
        assert (await viewer.ask(t="gift", cid="g", gift="rose", n=1))["balance"] == 10_000 - 7
        assert viewer.closed is None
        for _ in range(6):
            async with Outsider(node, "reload", "bob") as refused:
                await refused.until(lambda refused=refused: refused.closed, what="refusal")
                assert refused.closed
                assert refused.closed[0] == 4429, "both workers count together"
    said = [json.loads(line) for line in node.log_text().splitlines() if "was read again" in line][-1]
    assert said["about"] == "gifts.catalogue, server.connections_per_user"
    assert said["advice"] == "server.ping_ms will hold when the workers are replaced (SIGUSR2)"


async def test_a_wrong_configuration_changes_nothing(node: Workers) -> None:
    """Refused with everything that is wrong; what was in force stays so."""
    node.configure(price="0", per_user=-3)
    await asyncio.to_thread(node.reload)
    said = [json.loads(line) for line in node.log_text().splitlines() if "stays as it was" in line][-1]
    assert "price" in said["advice"]
    assert "connections_per_user" in said["advice"]
    assert len(node.workers) == 2
    node.configure()
    await asyncio.to_thread(node.reload)


async def test_workers_are_replaced_one_by_one_and_somebody_is_always_at_the_door(node: Workers) -> None:
    """Every viewer is told when to come back, every request meanwhile is answered or can be asked again, and counters stay."""
    opened = 'livecast_connections_opened_total{anonymous="no",kind="ws"}'
    async with crowd(node, 8, "roll") as viewers:
        before, former = await asyncio.to_thread(node.metric, opened), set(node.workers)
        os.kill(node.pid, signal.SIGUSR2)
        refused = 0
        while "all workers are replaced: done" not in node.log_text():
            try:
                await asyncio.to_thread(node.get, "/healthz")
            except HTTPError as error:
                raise AssertionError(f"answered {error.code} while workers are replaced") from error
            except OSError:
                refused += 1  # it stood in the queue of a door that closed
        assert refused <= 2
        assert not former & set(node.workers)
        assert len(node.workers) == 2
        for viewer in viewers:
            await viewer.until(lambda viewer=viewer: viewer.closed, what="goodbye")
            bye = viewer.said[-1]
            assert (bye["t"], bye["code"], bye["reconnect"]) == ("bye", 4000, True)
            assert bye["retry_after_ms"] <= 1000, "eight come back sooner than five thousand"
        assert await asyncio.to_thread(node.metric, opened) >= before
        assert await asyncio.to_thread(node.metric, 'livecast_worker_restarts_total{worker="1"}') == 0, "that was no crash"


@pytest.mark.chaos  # three more starts
def test_workers_go_when_their_supervisor_is_killed(node: Workers) -> None:
    """Nobody is left who could start them again: they finish, and the next start has the port and the directory at once."""
    orphans = node.workers
    node.kill()
    node.start()
    assert json.loads(node.get("/readyz"))["status"] == "ok"
    node.until(lambda: not [pid for pid in orphans if Path(f"/proc/{pid}").exists()], "end of those left behind", within_s=20)


def test_a_stop_ends_everything_in_good_order(node: Workers) -> None:
    """Exit 0 within the 15 s of a stop; no worker and no store is left."""
    workers = node.workers
    began = time.monotonic()
    assert node.stop() == 0
    assert time.monotonic() - began < 15
    assert node.stores() == []
    assert not [pid for pid in workers if Path(f"/proc/{pid}").exists()]
    assert '"error"' not in re.sub(r".*worker 0 ended by itself.*|.*stays as it was.*", "", node.log_text())
