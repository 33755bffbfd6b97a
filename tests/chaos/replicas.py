"""A ledger with a replica: two Valkeys that sync every write, the second of which can be frozen, or become the first."""

from __future__ import annotations

import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from conftest import Valkey


class Pair:
    """`url` is where the primary is, whoever that is."""

    def __init__(self, first: Path, second: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = str(free.getsockname()[1])
        self.url = f"redis://127.0.0.1:{self._port}/0"
        strict = ("--min-replicas-to-write", "1", "--repl-diskless-sync-delay", "0")
        self.primary = Valkey(first, "always", "--port", self._port, *strict)
        self.replica = Valkey(second, "always")

    def start(self) -> None:
        """Both, until the second has everything that the first has, on its disk."""
        self.primary.start()
        self.replica.start()
        assert self.replica.command("REPLICAOF", "127.0.0.1", self._port).startswith(b"+OK")
        end = time.monotonic() + 20
        while b"state=online" not in self.primary.command("INFO", "replication") or self._is_rewriting():
            assert time.monotonic() < end, "the replica does not get in step"
            time.sleep(0.02)

    def _is_rewriting(self) -> bool:
        """A replica's first AOF is written in the background: until then it has nothing on disk to vouch for."""
        said = self.replica.command("INFO", "persistence")
        return b"aof_rewrite_in_progress:0" not in said or b"aof_rewrite_scheduled:0" not in said

    def fail_over(self) -> None:
        """The primary is lost for good. The replica takes its place and address, with what is on its disk."""
        self.primary.kill()
        self.replica.kill()  # also what the kernel still held for it is gone
        heir = Valkey(self.replica.directory, "always", "--port", self._port)
        heir.start()
        assert heir.command("REPLICAOF", "NO", "ONE").startswith(b"+OK")
        self.primary = heir

    def stop(self) -> None:
        """End both."""
        self.primary.stop()
        self.replica.stop()


@contextmanager
def pair() -> Iterator[Pair]:
    """A primary and its replica in step with it."""
    with tempfile.TemporaryDirectory(prefix="lc-") as first, tempfile.TemporaryDirectory(prefix="lc-") as second:
        both = Pair(Path(first), Path(second))
        try:
            both.start()
            yield both
        finally:
            both.stop()
