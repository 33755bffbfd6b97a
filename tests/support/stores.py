"""Stores in all their forms, real ones on free ports of loopback: a primary with replicas under Sentinels, and a cluster.

Ports, and those of cluster buses 10,000 above, are taken from below the range that the kernel deals out by itself, or a connection
of somebody else's might sit on one when its server starts again.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from livecast.ops.stores.valkey_binary import valkey_binary

WITHIN_S = 40.0
PORTS = range(12_000, 22_000)
BLOCK = 10
FAST = ("--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1")
"""No waiting for more replicas before a first sync; a replica that is gone is noticed soon."""


class PortBlock:
    """`BLOCK` ports next to each other that no other process of these tests takes, also not those that run at the same time."""

    def __init__(self) -> None:
        self._lock: IO[str] | None = None
        start = PORTS.start + (os.getpid() * 7919 % (len(PORTS) // BLOCK)) * BLOCK
        for offset in range(0, len(PORTS), BLOCK):
            first = PORTS.start + (start - PORTS.start + offset) % len(PORTS)
            if self._take(first):
                self.first = first
                return
        raise AssertionError("no free ports")

    def _take(self, first: int) -> bool:
        lock = (Path(tempfile.gettempdir()) / f"livecast-test-ports-{first}").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for port in (*range(first, first + BLOCK), *range(first + 10_000, first + 10_000 + BLOCK)):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            lock.close()
            return False
        self._lock = lock
        return True

    def give_back(self) -> None:
        """Others may have them."""
        if self._lock is not None:
            with contextlib.suppress(OSError):
                Path(self._lock.name).unlink()
            self._lock.close()


class Server:
    """One Valkey (or Sentinel, with a file of settings) on a port of loopback. It can be killed, frozen and started again."""

    def __init__(self, directory: Path, port: int, *options: str, settings: str = "", host: str = "127.0.0.1") -> None:
        self.directory, self.port, self.host = directory, port, host
        self.login: tuple[str, ...] = ()
        self._options = options
        self._settings = settings
        self.process: subprocess.Popen[bytes] | None = None
        directory.mkdir(parents=True, exist_ok=True)

    @property
    def place(self) -> str:
        return f"{self.host}:{self.port}"

    def start(self) -> Server:
        """Start it; whoever needs it to answer waits for that."""
        words = list(self._options)
        if self._settings:
            file = self.directory / "sentinel.conf"
            if not file.exists():
                file.write_text(self._settings)
            words = [str(file), "--sentinel"]
        else:
            words += ["--port", str(self.port), "--bind", self.host, "--dir", str(self.directory), "--logfile", "valkey.log"]
            words += ["--save", ""]
        nothing = subprocess.DEVNULL
        self.process = subprocess.Popen(
            [valkey_binary(), *words], stdin=nothing, stdout=nothing, stderr=nothing, cwd=self.directory
        )
        return self

    def command(self, *words: str) -> bytes:
        """Run one command on a connection of its own; the answer in the raw, "" if there is none."""
        with contextlib.suppress(OSError), socket.socket() as s:
            s.settimeout(2)
            s.connect((self.host, self.port))
            for each in (("AUTH", *self.login) if self.login else (), words):
                if each:
                    s.sendall(b"".join([b"*%d\r\n" % len(each), *(b"$%d\r\n%s\r\n" % (len(w), w.encode()) for w in each)]))
                    said = s.recv(1_000_000)
            return said
        return b""

    @property
    def lives(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def info(self, section: str) -> dict[str, str]:
        lines = self.command("INFO", section).decode(errors="replace").splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)

    def info_cluster(self) -> dict[str, str]:
        lines = self.command("CLUSTER", "INFO").decode(errors="replace").splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def freeze(self) -> None:
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGCONT)

    def stop(self) -> None:
        if self.lives:
            self.kill()


def until(condition: Callable[[], object], what: str, within_s: float = WITHIN_S) -> None:
    """Look at other processes until it is so."""
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end, f"no {what} within {within_s} s"
        time.sleep(0.03)  # another process's state: there is nothing to wait for


class Guarded:
    """A primary, its replicas, and three Sentinels that call it `mymaster`."""

    def __init__(
        self, directory: Path, *, fsync: str = "always", replicas: int = 1, down_after_ms: int = 700, conf: Path | None = None
    ) -> None:
        self._ports = PortBlock()
        first = self._ports.first
        options: tuple[str, ...] = (*([str(conf)] if conf else []), "--appendonly", "yes", "--appendfsync", fsync, *FAST)
        self.servers = [Server(directory / f"data{n}", first + n, *options) for n in range(1 + replicas)]
        for replica in self.servers[1:]:
            replica._options = (*options, "--replicaof", "127.0.0.1", str(first))
        settings = (
            "port {port}\nbind 127.0.0.1\ndir {dir}\nlogfile sentinel.log\n"
            f"sentinel monitor mymaster 127.0.0.1 {first} 2\n"
            f"sentinel down-after-milliseconds mymaster {down_after_ms}\n"
            "sentinel failover-timeout mymaster 4000\nsentinel parallel-syncs mymaster 5\n"
        )
        self.sentinels = [
            Server(
                directory / f"sentinel{n}",
                first + 6 + n,
                settings=settings.format(port=first + 6 + n, dir=directory / f"sentinel{n}"),
            )
            for n in range(3)
        ]
        self.url = f"redis+sentinel://{','.join(each.place for each in self.sentinels)}/mymaster"

    def start(self) -> Guarded:
        """All of them, until the Sentinels know each other and all replicas, and those have everything on their disks."""
        for each in self.servers:
            each.start()
        until(lambda: all(b"PONG" in each.command("PING") for each in self.servers), "answer")
        for each in self.sentinels:
            each.start()
        until(lambda: all(self._knows_all(each) for each in self.sentinels), "Sentinels that know everybody")
        until(lambda: self.in_step, "replicas in step")
        return self

    def _knows_all(self, sentinel: Server) -> bool:
        said = sentinel.info("sentinel").get("master0", "")
        return f"slaves={len(self.servers) - 1}" in said and "sentinels=3" in said and "status=ok" in said

    @property
    def primary(self) -> Server:
        """Whom most Sentinels name."""
        named = [each.command("SENTINEL", "GET-PRIMARY-ADDR-BY-NAME", "mymaster").decode() for each in self.sentinels if each.lives]
        return max(self.servers, key=lambda server: sum(f"\r\n{server.port}\r\n" in said for said in named))

    @property
    def in_step(self) -> bool:
        """Whether everybody who lives follows the primary, with everything on disk."""
        primary = self.primary
        others = [each for each in self.servers if each.lives and each is not primary]
        return all(
            (said := each.info("replication")).get("master_link_status") == "up"
            and said.get("master_port") == str(primary.port)
            and each.info("persistence").get("aof_rewrite_in_progress") == "0"
            and each.info("persistence").get("aof_rewrite_scheduled") == "0"
            for each in others
        )

    def rejoin(self, former: Server) -> None:
        """Have a former primary follow at once, as Sentinels would have it in ten seconds."""
        primary = self.primary
        if former is not primary:
            until(lambda: b"OK" in former.command("REPLICAOF", primary.host, str(primary.port)), "answer of the former primary")

    def stop(self) -> None:
        for each in (*self.sentinels, *self.servers):
            each.stop()
        self._ports.give_back()


class Clustered:
    """A cluster of `primaries`, each with so many replicas. The first `primaries` servers have the slots at the beginning."""

    def __init__(
        self,
        directory: Path,
        *,
        primaries: int = 3,
        replicas: int = 0,
        fsync: str = "no",
        timeout_ms: int = 1500,
        conf: Path | None = None,
    ) -> None:
        self._ports = PortBlock()
        self._primaries = primaries
        self._replicas = replicas
        options = (
            *([str(conf)] if conf else []),
            *("--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf", "--cluster-node-timeout", str(timeout_ms)),
            *("--appendonly", "yes", "--appendfsync", fsync, "--cluster-replica-validity-factor", "0", *FAST),
        )
        count = primaries * (1 + replicas)
        self.servers = [Server(directory / f"node{n}", self._ports.first + n, *options) for n in range(count)]
        self.url = f"redis+cluster://{','.join(each.place for each in self.servers[:2])}"

    def start(self) -> Clustered:
        """All of them, until everybody agrees on who has what, and replicas are in step."""
        for each in self.servers:
            each.start()
        until(lambda: all(b"PONG" in each.command("PING") for each in self.servers), "answer")
        primaries = self.servers[: self._primaries]
        for n, each in enumerate(primaries):
            first, last = 16384 * n // self._primaries, 16384 * (n + 1) // self._primaries - 1
            assert b"OK" in each.command("CLUSTER", "ADDSLOTSRANGE", str(first), str(last))
            each.command("CLUSTER", "SET-CONFIG-EPOCH", str(n + 1))
        for each in self.servers[1:]:
            assert b"OK" in self.servers[0].command("CLUSTER", "MEET", "127.0.0.1", str(each.port))
        until(lambda: all(self._sees_all(each) for each in self.servers), "cluster of all")
        for n, each in enumerate(self.servers[self._primaries :]):
            of = self.id_of(primaries[n % self._primaries])
            until(lambda each=each, of=of: b"OK" in each.command("CLUSTER", "REPLICATE", of), "replica")  # type: ignore[misc]
        until(lambda: self.is_well, "cluster that is well")
        return self

    def _sees_all(self, server: Server) -> bool:
        said = server.info_cluster()
        return said.get("cluster_known_nodes") == str(len(self.servers)) and (
            said.get("cluster_slots_ok") == "16384" or server not in self.servers[: self._primaries]
        )

    @staticmethod
    def id_of(server: Server) -> str:
        return server.command("CLUSTER", "MYID").decode().split("\r\n")[1]

    @property
    def is_well(self) -> bool:
        """Whether everybody who lives says that all slots are served, and every replica is in step."""
        living = [each for each in self.servers if each.lives]
        return all(each.info_cluster().get("cluster_state") == "ok" for each in living) and all(
            (said := each.info("replication")).get("role") == "master" or said.get("master_link_status") == "up" for each in living
        ) and all(each.info("persistence").get("aof_rewrite_in_progress") == "0" for each in living)  # fmt: skip

    def owner(self, slot: int) -> Server | None:
        """Who has a slot, as the first of the others says who answers; None: nobody."""
        for each in self.servers:
            if each.lives:
                for line in each.command("CLUSTER", "NODES").decode().splitlines():
                    words = line.split()
                    if len(words) > 8 and "master" in words[2] and "fail" not in words[2].replace("fail?", ""):
                        for span in words[8:]:
                            first, _, last = span.partition("-")
                            if first.isdigit() and int(first) <= slot <= int(last or first):
                                port = int(words[1].split("@")[0].rsplit(":", 1)[1])
                                return next(server for server in self.servers if server.port == port)
        return None

    def flush(self) -> None:
        """Empty, and without scripts."""
        for each in self.servers:
            if each.info("replication").get("role") == "master":
                assert b"OK" in each.command("FLUSHALL")
                each.command("SCRIPT", "FLUSH")

    def stop(self) -> None:
        for each in self.servers:
            each.stop()
        self._ports.give_back()


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A directory for servers, gone afterwards."""
    directory = Path(tempfile.mkdtemp(prefix="livecast-stores-"))
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)
