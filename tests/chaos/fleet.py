"""Several nodes on the same two stores, as they are run: real processes that can be killed, frozen, cut off and told to stop."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from conftest import Valkey
from livecast.core.nodes.placement import shard_of
from support.node import NodeProcess

FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)


def receipt_key() -> str:
    """A key for receipts, the same on all nodes: a repeated claim is answered with the same receipt by each."""
    key = Ed25519PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def free_port() -> int:
    """A port of loopback that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Clock:
    """The clock of a store, which can be put forward and back while it runs (libfaketime)."""

    def __init__(self, directory: Path) -> None:
        if FAKETIME is None:
            pytest.skip("no libfaketime to put a store's clock forward with. On Debian: apt install libfaketime")
        self._file = directory / "faketime"
        self.jump(0)
        self.env = {
            "LD_PRELOAD": str(FAKETIME),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def jump(self, seconds: int) -> None:
        """From now on it is so many seconds later (or earlier) than it is."""
        fresh = self._file.with_suffix(".new")
        fresh.write_text(f"{seconds:+d}s\n")
        fresh.replace(self._file)


class Fleet:
    """`count` nodes; `nodes[0]` is whom the tests call. Leaving stops them all and reads their logs.

    `package`: a directory with another livecast in it (a planted bug). `workers`: of each node. `clock`: of the store of that role.
    """

    def __init__(
        self,
        count: int = 2,
        *,
        package: Path | None = None,
        workers: int = 1,
        clock: str = "",
        namespaces: Namespaces | None = None,
    ) -> None:
        self._dir = tempfile.TemporaryDirectory(prefix="lc-fleet-")
        self.directory = Path(self._dir.name)
        for role in ("rooms", "ledger"):
            (self.directory / role).mkdir()
        self.clock = Clock(self.directory) if clock else None
        listen = (
            {role: ("--port", str(free_port()), "--bind", namespaces.host) for role in ("rooms", "ledger")} if namespaces else {}
        )
        self.rooms, self.ledger = (
            Valkey(
                self.directory / role,
                fsync,
                *listen.get(role, ()),
                *(("--protected-mode", "no") if listen else ()),
                env=self.clock.env if self.clock is not None and clock == role else None,
            )
            for role, fsync in (("rooms", "no"), ("ledger", "always"))
        )
        urls = {
            role: f"redis://{listen[role][3]}:{listen[role][1]}" if listen else store.url
            for role, store in (("rooms", self.rooms), ("ledger", self.ledger))
        }
        self.ports = [int(words[1]) for words in listen.values()]
        env = {
            "LIVECAST_ARCHIVE__URL": f"sqlite:///{self.directory}/archive.db",
            "LIVECAST_LEDGER__RECEIPT_KEY": receipt_key(),
            "LIVECAST_LOG__LEVEL": "info",
            **({"PYTHONPATH": str(package)} if package else {}),
        }
        arguments = ["--redis", urls["rooms"], "--ledger", urls["ledger"], "--workers", str(workers)]
        self.nodes = [
            NodeProcess(
                *arguments,
                *(("--host", namespaces.addresses[n]) if namespaces else ()),
                env={**env, "LIVECAST_NODE__ID": f"n{n}"},
                within=namespaces.within(n) if namespaces else (),
            )
            for n in range(count)
        ]
        for node in self.nodes:
            node.flawed = package is not None
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            stack.callback(self._dir.cleanup)
            for store in (self.rooms, self.ledger):
                stack.callback(store.stop)
                store.start()
            for node in self.nodes:
                stack.enter_context(node)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for store in (self.rooms, self.ledger):
            with contextlib.suppress(ProcessLookupError):
                store.thaw()
        for node in self.nodes:
            if node.process is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(node.pid, signal.SIGCONT)
        self._stack.__exit__(kind, error, trace)

    @property
    def bases(self) -> list[str]:
        """Where they are."""
        return [node.base for node in self.nodes]

    def fence(self, room: str) -> str:
        """The token of whoever owns a room."""
        said = self.rooms.command("GET", f"{{s{shard_of(room)}}}:owner")
        return said.split(b"\r\n")[1].decode() if said.startswith(b"$") else ""

    def owner(self, room: str) -> int:
        """Which node owns a room."""
        token = self.fence(room)
        found = [n for n in range(len(self.nodes)) if f"n{n}-" in token]
        assert found, f"nobody owns {room}: its fence is {token!r}"
        return found[0]


class Namespaces:
    """A network namespace for each of `count` nodes, joined to ours by a pair of virtual interfaces. Needs root and iptables."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._name = f"lc{os.getpid() % 100_000}"
        network = f"10.{200 + os.getpid() % 50}.{os.getpid() // 50 % 250}"  # others may run at the same time
        self.host = f"{network}.1"
        self.addresses = [f"{network}.{10 + n}" for n in range(count)]
        self._rules: list[list[str]] = []

    def within(self, n: int) -> tuple[str, ...]:
        """What runs a command in the namespace of a node."""
        return ("ip", "netns", "exec", f"{self._name}n{n}")

    def __enter__(self) -> Self:
        if os.geteuid() or not shutil.which("ip") or not shutil.which("iptables"):
            pytest.skip("network namespaces need root, ip and iptables. On Debian: apt install iproute2 iptables")
        try:
            self._make()
        except subprocess.CalledProcessError as error:
            self.__exit__(None, None, None)
            pytest.skip(f"network namespaces cannot be made here: {error.stderr.strip()}")
        return self

    def _make(self) -> None:
        bridge = f"{self._name}b"
        _ip("link", "add", bridge, "type", "bridge")
        _ip("addr", "add", f"{self.host}/24", "dev", bridge)
        _ip("link", "set", bridge, "up")
        for n, address in enumerate(self.addresses):
            space, outside = f"{self._name}n{n}", f"{self._name}v{n}"
            _ip("netns", "add", space)
            _ip("link", "add", outside, "type", "veth", "peer", "name", "eth0", "netns", space)
            _ip("link", "set", outside, "master", bridge, "up")
            _ip("-n", space, "addr", "add", f"{address}/24", "dev", "eth0")
            _ip("-n", space, "link", "set", "lo", "up")
            _ip("-n", space, "link", "set", "eth0", "up")

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.mend()
        for n in range(self._count):
            subprocess.run(["ip", "netns", "del", f"{self._name}n{n}"], check=False, capture_output=True)
        subprocess.run(["ip", "link", "del", f"{self._name}b"], check=False, capture_output=True)

    def cut(self, n: int, *ports: int) -> None:
        """From now on packets between a node and these ports of ours are lost, without a word to either side."""
        for port in ports:
            for chain, direction in (
                ("INPUT", ("-s", self.addresses[n], "--dport")),
                ("OUTPUT", ("-d", self.addresses[n], "--sport")),
            ):
                rule = [chain, "-p", "tcp", *direction, str(port), "-j", "DROP"]
                subprocess.run(["iptables", "-w", "-I", *rule], check=True, capture_output=True)
                self._rules.append(rule)

    def mend(self) -> None:
        """Let them through again."""
        for rule in self._rules:
            subprocess.run(["iptables", "-w", "-D", *rule], check=False, capture_output=True)
        self._rules.clear()


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


def children(pid: int) -> list[int]:
    """The workers of a supervisor."""
    found = map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
    return [each for each in found if b"livecast.ops.processes.worker" in Path(f"/proc/{each}/cmdline").read_bytes()]


@contextlib.contextmanager
def frozen(pid: int) -> Iterator[None]:
    """Meanwhile a process stands still."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
