"""What the batches of claims save: the service's own writer against single calls of the same script, on one Valkey.

The bytes of all calls are what the writer itself would send, recorded beforehand; only it packs and reads within its time.
"""

from __future__ import annotations

import asyncio
import os
import socket
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Final, NamedTuple, TypeAlias
from urllib.parse import unquote, urlsplit

import hiredis

from bench.machine import cores, cpu_s, pin
from livecast.adapters.redis.ledger import RedisLedger
from livecast.adapters.redis.ledger_calls import LedgerServer
from livecast.adapters.redis.server import Command, pack
from livecast.core.money.units import CLAIMS_MAX, Claim, Drop, NewDrop, Terms
from livecast.facts import Fact
from livecast.ops.stores.embedded import EmbeddedValkey
from livecast.ports import Unavailable

ROOM: Final = "writer"
WAYS: Final = ("sequential", "pipelined", "batched", "writer")
"""One call per claim, each awaited; 500 such calls in one pipeline; one call for 500 claims; the same by the service's writer."""


class Rate(NamedTuple):
    """Claims per second by the wall, and microseconds of Valkey's CPU for each."""

    per_s: float
    ledger_us: float


class Silent:
    """An observer of a store that nobody disturbs."""

    def observe(self, fact: Fact) -> None:
        """Whatever it was, the figures would show it."""


class Recorder(LedgerServer):
    """Keeps what would be sent. Nothing ever answers."""

    sent: bytes = b""

    async def exchange(self, commands: Sequence[Command], *, follow: bool = True) -> list[object]:
        """Keep it."""
        del follow
        self.sent = pack(commands)
        raise Unavailable("this was only recorded")


class Bare:
    """A blocking connection that knows nothing but how many answers are due."""

    def __init__(self, url: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(unquote(urlsplit(url).path))
        self._reader = hiredis.Reader()

    def exchange(self, calls: bytes, answers: int) -> None:
        """Send and wait. Raises if one of the answers is an error."""
        self._socket.sendall(calls)
        while answers:
            while (answer := self._reader.gets()) is not False:
                if isinstance(answer, hiredis.HiredisError) or answer[1] != b"OK":
                    raise SystemExit(f"bench: the script answered {answer!r}")
                answers -= 1
            if answers:
                self._reader.feed(self._socket.recv(1 << 20))

    def close(self) -> None:
        """Hang up."""
        self._socket.close()


Run: TypeAlias = Callable[[], Awaitable[None]]


class Rounds:
    """One ledger, one drop that never sells out, and claims by users who come only once: each is won and written."""

    def __init__(self, url: str) -> None:
        self._server = LedgerServer(url)
        self._ledger = RedisLedger(self._server)
        self._recorder = Recorder(url)
        self._recording = RedisLedger(self._recorder)
        self._bare = Bare(url)
        self._users = 0
        self.claimed = 0

    async def open(self) -> None:
        """Make the drop. The first claim loads the script."""
        now = _now()
        await self._ledger.put_drop(NewDrop(ROOM, "d", Terms(stock=1_000_000, codes="generated")), now)
        await self._ledger.step_drop(ROOM, "d", "open", now)
        await self._ledger.claim(ROOM, "d", "b", self._claims(1), now)

    def _claims(self, count: int) -> list[Claim]:
        self._users += count
        self.claimed += count
        return [Claim(f"user-{number}", f"{number:016x}") for number in range(self._users - count, self._users)]

    async def _recorded(self, count: int) -> bytes:
        try:
            await self._recording.claim(ROOM, "d", "b", self._claims(count), _now())
        except Unavailable:
            return self._recorder.sent
        raise AssertionError("a recorder does not answer")

    async def prepared(self, way: str, batches: int) -> Run:
        """Everything that is no part of the time: users, and for bare connections the bytes."""
        if way == "writer":
            asked = [self._claims(CLAIMS_MAX) for _ in range(batches)]

            async def write() -> None:
                for claims in asked:
                    await self._ledger.claim(ROOM, "d", "b", claims, _now())

            return write
        if way == "batched":
            calls, answers = [await self._recorded(CLAIMS_MAX) for _ in range(batches)], 1
        else:
            calls, answers = [await self._recorded(1) for _ in range(CLAIMS_MAX * batches)], 1
            if way == "pipelined":
                answers = CLAIMS_MAX
                calls = [b"".join(some) for some in _grouped(calls, CLAIMS_MAX)]

        async def play() -> None:
            for each in calls:
                self._bare.exchange(each, answers)

        return play

    async def granted(self) -> int:
        """What the ledger says."""
        drop = await self._ledger.drop(ROOM, "d")
        assert isinstance(drop, Drop)
        return drop.granted

    async def close(self) -> None:
        """Hang up."""
        self._bare.close()
        for ledger, server in ((self._ledger, self._server), (self._recording, self._recorder)):
            await ledger.close()
            await server.close()


def _grouped(calls: Sequence[bytes], size: int) -> Iterator[Sequence[bytes]]:
    for first in range(0, len(calls), size):
        yield calls[first : first + size]


def _now() -> int:
    return time.time_ns() // 1_000_000


async def _compare(rounds: int, batches: dict[str, int]) -> list[dict[str, Rate]]:
    with tempfile.TemporaryDirectory(prefix="livecast-bench-") as directory:
        store = EmbeddedValkey(directory, "ledger", Silent())
        url = await store.start()
        try:
            pid = int((store.directory / "valkey.pid").read_text())
            pin(pid, cores()[1])
            stage = Rounds(url)
            await stage.open()
            found = []
            for number in range(rounds + 1):  # the first warms up
                rates = {}
                for way in WAYS[number % 4 :] + WAYS[: number % 4]:
                    run = await stage.prepared(way, batches[way])
                    cpu, start = cpu_s(pid), time.monotonic()
                    await run()
                    took, count = time.monotonic() - start, CLAIMS_MAX * batches[way]
                    rates[way] = Rate(count / took, (cpu_s(pid) - cpu) / count * 1e6)
                if number:
                    found.append(rates)
            if (granted := await stage.granted()) != stage.claimed:
                raise SystemExit(f"bench: {stage.claimed} claims, {granted} granted")
            await stage.close()
        finally:
            await store.stop()
    return found


def compare(rounds: int, batches: dict[str, int]) -> list[dict[str, Rate]]:
    """`rounds` of all ways in turn, so many batches of 500 each; client on the first core, Valkey on the second."""
    before, (core, _) = os.sched_getaffinity(0), cores()
    os.sched_setaffinity(0, {core})
    try:
        return asyncio.run(_compare(rounds, batches))
    finally:
        os.sched_setaffinity(0, before)


def middle(found: Sequence[dict[str, Rate]], way: str) -> Rate:
    """The median of one way."""
    return Rate(statistics.median(each[way].per_s for each in found), statistics.median(each[way].ledger_us for each in found))
