"""One suite, every adapter: `stores` is a place that several processes could share, in memory, on a real Valkey, or on a cluster of
three. The cluster has its turn in `make chaos`: what is special about it is in `tests/adapters/redis/test_cluster.py`.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Protocol, TypeAlias

import pytest

from livecast.adapters.archive.store import SqlArchive, sqlite_url
from livecast.adapters.memory.bus import MemoryBus
from livecast.adapters.memory.formats import MemoryFormats
from livecast.adapters.memory.house import MemoryHouseRules
from livecast.adapters.memory.idempotency import MemoryIdempotency
from livecast.adapters.memory.ledger import MemoryLedger
from livecast.adapters.memory.log import MemoryRoomLog
from livecast.adapters.memory.records import MemoryRoomRecords
from livecast.adapters.memory.roster import MemoryRoster
from livecast.adapters.redis.bus import RedisBus
from livecast.adapters.redis.formats import RedisFormats
from livecast.adapters.redis.house import RedisHouseRules
from livecast.adapters.redis.idempotency import RedisIdempotency
from livecast.adapters.redis.ledger import RedisLedger
from livecast.adapters.redis.ledger_calls import LedgerServer
from livecast.adapters.redis.log import RedisRoomLog
from livecast.adapters.redis.records import RedisRoomRecords
from livecast.adapters.redis.roster import RedisRoster
from livecast.adapters.redis.server import RedisServer
from livecast.facts import Fact
from livecast.house import HouseRules
from livecast.ledger import Ledger
from livecast.ports import Bus, Formats, IdempotencyStore, RoomLog, RoomRecords, Roster

RECORD_BYTES_MAX = 2_000
"""Small enough to be filled by a test."""


class Facts:
    """An observer that keeps what it is told."""

    def __init__(self) -> None:
        self.seen: list[Fact] = []

    def observe(self, fact: Fact) -> None:
        """Keep it."""
        self.seen.append(fact)


class Stores(Protocol):
    """Each call gives the port as one more process would have it, over the same store."""

    def log(self) -> RoomLog:
        """A room log that leaves records, `RECORD_BYTES_MAX` of them."""

    def records(self) -> RoomRecords:
        """What the log leaves for the archive."""

    def bus(self) -> Bus:
        """A bus."""

    def roster(self) -> Roster:
        """Who is there, and who owns what; the fences are those of `log`."""

    def formats(self) -> Formats:
        """The mark of the store that `roster` is in."""

    def idempotency(self, clock: Callable[[], int]) -> IdempotencyStore:
        """An idempotency store; `clock` counts only where the store has none of its own."""

    def house(self) -> HouseRules:
        """What holds beyond rooms."""

    async def close(self) -> None:
        """End everything."""


class MemoryStores:
    """In memory there is one process only: all calls give the same objects."""

    def __init__(self) -> None:
        self._records = MemoryRoomRecords(RECORD_BYTES_MAX)
        self._log = MemoryRoomLog(self._records)
        self._bus = MemoryBus()
        self._roster: MemoryRoster | None = None
        self._formats: MemoryFormats | None = None
        self._idempotency: IdempotencyStore | None = None
        self._house = MemoryHouseRules()

    def log(self) -> RoomLog:
        return self._log

    def records(self) -> RoomRecords:
        return self._records

    def bus(self) -> Bus:
        return self._bus

    def roster(self) -> Roster:
        self._roster = self._roster or MemoryRoster(self._log)
        return self._roster

    def formats(self) -> Formats:
        self._formats = self._formats or MemoryFormats(self.roster())
        return self._formats

    def idempotency(self, clock: Callable[[], int]) -> IdempotencyStore:
        self._idempotency = self._idempotency or MemoryIdempotency(clock)
        return self._idempotency

    def house(self) -> HouseRules:
        return self._house

    async def close(self) -> None:
        await self._bus.close()
        await self._log.close()


class RedisStores:
    """On a Valkey: every call gives a new object with connections of its own."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._servers: list[RedisServer] = []
        self._ports: list[RoomLog | Bus] = []

    def _server(self) -> RedisServer:
        self._servers.append(RedisServer(self._url))
        return self._servers[-1]

    def log(self) -> RoomLog:
        self._ports.append(log := RedisRoomLog(self._server(), record_bytes_max=RECORD_BYTES_MAX))
        return log

    def records(self) -> RoomRecords:
        return RedisRoomRecords(self._server())

    def bus(self) -> Bus:
        self._ports.append(bus := RedisBus(self._server(), Facts()))
        return bus

    def roster(self) -> Roster:
        return RedisRoster(self._server())

    def formats(self) -> Formats:
        return RedisFormats(self._server(), "rooms")

    def idempotency(self, clock: Callable[[], int]) -> IdempotencyStore:
        del clock  # the server has its own
        return RedisIdempotency(self._server())

    def house(self) -> HouseRules:
        return RedisHouseRules(self._server())

    async def close(self) -> None:
        for port in self._ports:
            await port.close()
        for server in self._servers:
            await server.close()


CLUSTER = pytest.param("cluster", marks=pytest.mark.chaos)


def url_of(request: pytest.FixtureRequest, one: str) -> str:
    """The address of the store that is meant: `one` names the fixture of a single server."""
    url: str = request.getfixturevalue("cluster" if request.param == "cluster" else one)
    return url


@pytest.fixture(params=["memory", "redis", CLUSTER])
async def stores(request: pytest.FixtureRequest) -> AsyncIterator[Stores]:
    """A fresh store, in memory, on Valkey, and on a cluster."""
    made: Stores = MemoryStores() if request.param == "memory" else RedisStores(url_of(request, "valkey"))
    yield made
    await made.close()


Ledgers: TypeAlias = Callable[[], Ledger]
"""Each call gives the ledger as one more process would have it, over the same store."""


def wall_ms() -> int:
    """Unix ms, as a server's own clock has it."""
    return time.time_ns() // 1_000_000


@pytest.fixture(params=["memory", "redis", CLUSTER])
async def ledgers(request: pytest.FixtureRequest) -> AsyncIterator[Ledgers]:
    """A fresh ledger, in memory and on a Valkey that syncs every write."""
    if request.param == "memory":
        memory = MemoryLedger(wall_ms)
        yield lambda: memory
        return
    url = url_of(request, "ledger_valkey")
    servers: list[LedgerServer] = []

    def another() -> Ledger:
        servers.append(LedgerServer(url, deadline_s=10.0))  # a busy machine syncs late: nothing here is about being late
        return RedisLedger(servers[-1])

    yield another
    for server in servers:
        await server.close()


@pytest.fixture
def ledger(ledgers: Ledgers) -> Ledger:
    """The ledger of one process."""
    return ledgers()


Archives: TypeAlias = Callable[[], SqlArchive]
"""Each call gives the archive as one more process would have it, over the same store."""


@pytest.fixture(params=["sqlite", "postgres"])
async def archives(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Archives]:
    """An archive that nobody has opened yet, in a file and on PostgreSQL."""
    url: str = sqlite_url(tmp_path) if request.param == "sqlite" else request.getfixturevalue("postgres")
    made: list[SqlArchive] = []

    def another() -> SqlArchive:
        made.append(SqlArchive(url))
        return made[-1]

    yield another
    for each in made:
        await each.close()
