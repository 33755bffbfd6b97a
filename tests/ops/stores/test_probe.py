"""Looks at the stores, against real ones: what they use, what time they have, and that they are gone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from conftest import Valkey
from livecast.adapters.redis.ledger_calls import LedgerServer
from livecast.adapters.redis.server import RedisServer
from livecast.facts import Fact, MoneyLookedAt, StoreLookedAt
from livecast.ops.stores.probe import StoreProbe


class Seen:
    """Keeps what it is told, and lets tests wait for it."""

    def __init__(self) -> None:
        self.facts: list[Fact] = []
        self._more = asyncio.Event()

    def observe(self, fact: Fact) -> None:
        """Keep it."""
        self.facts.append(fact)
        self._more.set()

    async def until(self, wanted: Callable[[Fact], bool]) -> Fact:
        """The first fact from now on that is wanted."""
        self.facts.clear()
        async with asyncio.timeout(20):
            while not (found := [fact for fact in self.facts if wanted(fact)]):
                self._more.clear()
                await self._more.wait()
        return found[0]


def behind() -> int:
    """A node's clock that is a minute late."""
    return time.time_ns() // 1_000_000 - 60_000


async def test_a_store_is_seen_with_its_memory_and_its_clock(crashable_valkey: Valkey) -> None:
    """As long as it answers; then it is down, and up again once it is back. Memory: its bound, or its machine's."""
    seen, money = Seen(), [""]
    servers: dict[str, RedisServer] = {"rooms": RedisServer(crashable_valkey.url)}
    probe = StoreProbe(servers, lambda: money[0], behind, seen, look_s=0.02)
    probe.start()
    try:
        look = await seen.until(lambda fact: isinstance(fact, StoreLookedAt))
        assert isinstance(look, StoreLookedAt)
        assert (look.role, look.fault) == ("rooms", "")
        assert 59_000 < look.ahead_ms < 61_000
        assert 100_000 < look.memory < look.memory_max
        crashable_valkey.command("CONFIG", "SET", "maxmemory", "123456789")
        await seen.until(lambda fact: isinstance(fact, StoreLookedAt) and fact.memory_max == 123_456_789)
        money[0] = "shard 7 lost entries"
        await seen.until(lambda fact: fact == MoneyLookedAt(closed=True))
        crashable_valkey.kill()
        await seen.until(lambda fact: isinstance(fact, StoreLookedAt) and bool(fact.fault))
        crashable_valkey.start()
        await seen.until(lambda fact: isinstance(fact, StoreLookedAt) and not fact.fault)
    finally:
        await probe.stop()
        await servers["rooms"].close()


async def test_a_ledger_that_is_not_durable_is_down(valkey: str) -> None:
    """It answers, and yet no money can be kept there."""
    seen, server = Seen(), LedgerServer(valkey)
    probe = StoreProbe({"ledger": server}, str, behind, seen, look_s=0.02)
    probe.start()
    try:
        look = await seen.until(lambda fact: isinstance(fact, StoreLookedAt))
        assert isinstance(look, StoreLookedAt)
        assert "appendfsync" in look.fault
    finally:
        await probe.stop()
        await server.close()
