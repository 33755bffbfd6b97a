"""What remembers positions of the ledger outside of it: in memory and on a server."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from contract.conftest import CLUSTER, url_of
from livecast.adapters.memory.positions import MemoryPositions
from livecast.adapters.redis.positions import RedisPositions
from livecast.adapters.redis.server import RedisServer
from livecast.ledger import Positions


@pytest.fixture(params=["memory", "redis", CLUSTER])
async def positions(request: pytest.FixtureRequest) -> AsyncIterator[Positions]:
    """Each implementation, with nothing remembered."""
    if request.param == "memory":
        yield MemoryPositions()
        return
    server = RedisServer(url_of(request, "valkey"))
    yield RedisPositions(server)
    await server.close()


async def test_the_highest_position_is_remembered(positions: Positions) -> None:
    """Of each shard, in whatever order they are told: a process that stands behind takes nothing back."""
    assert await positions.seen() == {}
    await positions.note({17: 5, 200: 2**50})
    await positions.note({17: 4, 200: 2**50 + 1, 3: 1})
    assert await positions.seen() == {17: 5, 200: 2**50 + 1, 3: 1}
