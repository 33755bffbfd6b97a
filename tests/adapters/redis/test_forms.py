"""How a store is found: by Sentinels that do not agree or do not answer, in a cluster of which some nodes are gone; and what is
said of one that is not what its address says.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import pytest
from redis import exceptions as redis_errors

from livecast.adapters.redis.address import parse
from livecast.adapters.redis.ledger import RedisLedger
from livecast.adapters.redis.ledger_calls import LedgerServer
from livecast.adapters.redis.log import RedisRoomLog
from livecast.adapters.redis.sentinel import ASK_S, Sentinels
from livecast.adapters.redis.server import RedisServer
from livecast.core.nodes.placement import SHARDS
from livecast.ports import StoreError, Unavailable
from support.stores import Clustered, Guarded, scratch


class Said:
    """A Sentinel's client that has one answer, after a while. (A real one that was cut off and has not heard yet cannot be had: it
    hears within a second of being asked.)
    """

    def __init__(self, epoch: int, port: int, *, down: bool = False, after_s: float = 0.0, fault: Exception | None = None) -> None:
        self._state = {"config-epoch": epoch, "ip": "127.0.0.1", "port": port, "is_odown": down}
        self._after_s = after_s
        self._fault = fault

    async def sentinel_master(self, _name: str) -> dict[str, Any]:
        await asyncio.sleep(self._after_s)
        if self._fault is not None:
            raise self._fault
        return self._state


OLD, NEW, DOWN = Said(1, 1), Said(2, 2), Said(2, 2, down=True)
GONE, HANGS = Said(0, 0, fault=ConnectionError("gone")), Said(9, 9, after_s=0.2)
STRANGER = Said(0, 0, fault=redis_errors.ResponseError("No such master with that name"))


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ([OLD, OLD, NEW], 1),  # two agree: the third has not convinced anybody yet, or is asked again a second later
        ([NEW, OLD, OLD], 2),
        ([OLD, NEW, HANGS], 2),
        ([GONE, GONE, NEW], 2),
        ([GONE, NEW, STRANGER], 2),
        ([DOWN, OLD, OLD], redis_errors.ConnectionError),
        ([GONE, GONE, GONE], redis_errors.ConnectionError),
        ([STRANGER, STRANGER, GONE], redis_errors.ConnectionError),
    ],
)
async def test_the_newest_configuration_is_believed(said: list[Said], found: Any) -> None:
    """Of the first more than half that answer; nobody waits for one that hangs, or believes one that knows less."""
    sentinels = Sentinels(parse("redis+sentinel://a,b,c/shop"))
    clients, sentinels.sentinels = sentinels.sentinels, said  # type: ignore[assignment]  # all that is asked of them
    try:
        began = time.perf_counter()
        if isinstance(found, int):
            assert await sentinels.discover_master("shop") == ("127.0.0.1", found)
        else:
            with pytest.raises(found):
                await sentinels.discover_master("shop")
        assert time.perf_counter() - began < 0.15
    finally:
        await asyncio.sleep(0.25)
        sentinels.sentinels = clients
        await sentinels.aclose()


@pytest.fixture(scope="module")
def guarded() -> Iterator[Guarded]:
    """A primary and its replica under Sentinels."""
    with scratch() as directory:
        made = Guarded(directory)
        try:
            yield made.start()
        finally:
            made.stop()


async def test_sentinels_that_are_away(guarded: Guarded) -> None:
    """One that is frozen and one that is dead: the third is enough, and costs no more than the patience with the frozen one."""
    guarded.sentinels[0].freeze()
    server = RedisServer(guarded.url)
    try:
        began = time.perf_counter()
        assert await server.run("SET", "{s1}:x", "1") == b"OK"
        assert time.perf_counter() - began < 3 * ASK_S
        guarded.sentinels[1].kill()
        fresh = RedisServer(guarded.url)
        assert await fresh.run("GET", "{s1}:x") == b"1"
        await fresh.close()
    finally:
        guarded.sentinels[0].thaw()
        guarded.sentinels[1].start()
        await server.close()


async def test_what_is_not_what_its_address_says(guarded: Guarded, cluster_servers: Clustered) -> None:
    """Each is told what to write instead."""
    replica = next(each for each in guarded.servers if each is not guarded.primary)
    sentinel, node = guarded.sentinels[0], cluster_servers.servers[0]
    for url, says in (
        (f"redis://{replica.place}", "it is a replica"),
        (f"redis://{sentinel.place}", "it is a Sentinel: write redis+sentinel://"),
        (f"redis+sentinel://{sentinel.place}/shop", "know no primary by the name of shop"),
        (f"redis+sentinel://{replica.place}/mymaster", "unknown command"),
        (f"redis://{node.place}", "write redis+cluster://"),
        (f"redis+cluster://{guarded.primary.place}", "cluster support disabled"),
        ("redis+cluster://127.0.0.1:1", "Connect call failed"),
        ("redis+sentinel://127.0.0.1:1/m", "no Sentinel answers"),
    ):
        server = RedisServer(url)
        with pytest.raises(StoreError, match=says.replace("+", r"\+")):
            await server.check()
        await server.close()


async def test_a_cluster_of_which_one_address_answers(cluster_servers: Clustered, cluster: str) -> None:
    """Addresses that lead nowhere are no obstacle, as long as one of them leads to a node."""
    del cluster
    alive = cluster_servers.servers[2].place
    server = RedisServer(f"redis+cluster://127.0.0.1:1,127.0.0.1:2,{alive}")
    try:
        await server.pipeline([("SET", f"{{s{n}}}:x", n) for n in range(SHARDS)])
        found = await server.pipeline([("GET", f"{{s{n}}}:x") for n in range(SHARDS)])
        assert [int(each) for each in found] == list(range(SHARDS))
        assert len({server.route(f"{{s{n}}}:x") for n in range(SHARDS)}) == 3
    finally:
        await server.close()


async def test_a_clusters_ledger_says_which_node_has_whom(cluster_servers: Clustered, cluster: str) -> None:
    """So that nobody is asked together with those of another node. Before anything was asked it does not know."""
    server = LedgerServer(cluster, deadline_s=20)
    ledger = RedisLedger(server)
    users = [f"user{n}" for n in range(50)]
    places = {each.place for each in cluster_servers.servers}
    try:
        assert {ledger.server_of(user) for user in users} == {""}
        await ledger.wallet(users[0])
        assert {ledger.server_of(user) for user in users} == places
    finally:
        await ledger.close()
        await server.close()


async def test_a_server_that_was_started_again_is_another(crashable_valkey: Any) -> None:
    """Whoever keeps rooms there is told once, of all shards, however many connections find out."""
    server = RedisServer(crashable_valkey.url)
    log, told = RedisRoomLog(server), list[int]()
    log.on_reborn(lambda shards: told.append(len(shards)))
    try:
        await asyncio.gather(*(log.take(shard, "t") for shard in range(20)))
        assert told == []
        crashable_valkey.kill()
        crashable_valkey.start()
        async with asyncio.timeout(10):
            while not told:
                try:
                    await asyncio.gather(*(log.take(shard, "t") for shard in range(20)))
                except Unavailable:
                    await asyncio.sleep(0.01)
        await asyncio.gather(*(log.take(shard, "t") for shard in range(20)))
        assert told == [SHARDS]
    finally:
        await server.close()
