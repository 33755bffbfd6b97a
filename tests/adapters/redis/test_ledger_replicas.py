"""Acknowledged means on a replica's disk, where that is asked for."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

from livecast.adapters.redis.ledger import RedisLedger
from livecast.adapters.redis.ledger_calls import LedgerServer
from livecast.core.money.coins import Movement
from livecast.core.money.units import Won
from livecast.ledger import audit
from livecast.ports import Unavailable
from support.drops import NOW, ROOM, click, opened


@pytest.fixture
async def pair(crashable_ledger: Any, crashable_replica: Any) -> Any:
    """A primary, reachable on loopback, and its replica in step with it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    assert crashable_ledger.command("CONFIG", "SET", "repl-diskless-sync-delay", "0").startswith(b"+OK")
    assert crashable_ledger.command("CONFIG", "SET", "port", port).startswith(b"+OK")
    assert crashable_replica.command("REPLICAOF", "127.0.0.1", port).startswith(b"+OK")
    async with asyncio.timeout(20):
        while b"state=online" not in crashable_ledger.command("INFO", "replication"):  # noqa: ASYNC110 - another process's state
            await asyncio.sleep(0.02)
    return crashable_ledger, crashable_replica


@pytest.fixture
async def careful(pair: Any) -> AsyncIterator[RedisLedger]:
    """A ledger that waits for the replica."""
    server = LedgerServer(pair[0].url, replicas=1)
    ledger = RedisLedger(server)
    async with asyncio.timeout(20):
        while True:
            try:
                await opened(ledger)
                break
            except Unavailable:  # the replica's first AOF is still being written
                await asyncio.sleep(0.05)
    yield ledger
    await ledger.close()
    await server.close()


async def test_what_is_answered_is_on_the_replica(careful: RedisLedger, pair: Any) -> None:
    """The primary is lost for good at once: its replica, made primary, has every answered win and nothing else."""
    answers = await asyncio.gather(*(click(careful, f"u{n}") for n in range(3)))
    assert sorted(each.serial for each in answers if isinstance(each, Won)) == [1, 2, 3]
    primary, replica = pair
    primary.kill()
    replica.kill()
    replica.start()
    assert replica.command("REPLICAOF", "NO", "ONE").startswith(b"+OK")
    server = LedgerServer(replica.url)
    heir = RedisLedger(server)
    assert [unit.serial for unit in await heir.units(ROOM, "d1", 0, 9)] == [1, 2, 3]
    assert (await audit(heir)).units == 3
    await server.close()


async def test_a_frozen_replica_leaves_every_answer_in_doubt(careful: RedisLedger, pair: Any) -> None:
    """The claim, its repeat over another connection, and whoever reads the list: nobody is told of a win that one machine alone
    has. Thawed, the same cid says what became of it.
    """
    server = LedgerServer(pair[0].url, replicas=1)
    other = RedisLedger(server)
    pair[1].freeze()
    try:
        with pytest.raises(Unavailable):
            await click(careful, "ann")
        for call in (click(other, "ann"), other.units(ROOM, "d1", 0, 9), other.holdings(ROOM, "ann", 9)):
            with pytest.raises(Unavailable):
                await call
        with pytest.raises(Unavailable):
            await asyncio.gather(*(careful.move(Movement("ann", f"t{n}", 1, "key:k"), NOW) for n in range(9)))
    finally:
        pair[1].thaw()
    async with asyncio.timeout(20):
        while True:
            try:
                answer = await click(other, "ann")
                break
            except Unavailable:
                await asyncio.sleep(0.05)
    assert isinstance(answer, Won)
    assert (answer.serial, answer.again) == (1, True)
    await other.close()
    await server.close()
