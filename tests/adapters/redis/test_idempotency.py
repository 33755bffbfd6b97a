"""First answers on a real Valkey that stands still for a moment. The rest of their promises are in `tests/contract`."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from livecast.adapters.redis import keys
from livecast.adapters.redis.idempotency import RedisIdempotency
from livecast.adapters.redis.server import RedisServer
from livecast.ports import InFlight, StoreError


async def _asked(store: RedisIdempotency) -> None:
    while True:
        try:
            return await store.finish("another", b"d", None)
        except StoreError:  # the machine is busy
            continue


async def test_a_request_is_not_held_up_by_itself(crashable_valkey: Any) -> None:
    """A store that froze carries out later what was given up: the repeat goes ahead where it was asked, and only one at a time."""
    hasty, patient = RedisServer(crashable_valkey.url, deadline_s=0.5), RedisServer(crashable_valkey.url, deadline_s=20)
    store, elsewhere = RedisIdempotency(hasty), RedisIdempotency(patient)
    for each in (elsewhere, store):  # both are connected, and the server knows the script
        await asyncio.wait_for(_asked(each), 20)
    await elsewhere.begin("the script", b"d", 60_000)
    crashable_valkey.freeze()
    try:
        with pytest.raises(StoreError):
            await store.begin("k", b"d", 60_000)
    finally:
        crashable_valkey.thaw()
    async with asyncio.timeout(20):
        while not await patient.run("EXISTS", keys.idempotency("k")):  # noqa: ASYNC110 - another process's doing
            await asyncio.sleep(0.01)
        with pytest.raises(InFlight):
            await elsewhere.begin("k", b"d", 60_000)
        while True:
            try:
                assert await store.begin("k", b"d", 60_000) is None
            except StoreError:  # the machine is busy: nobody was told to go ahead
                continue
            break
    for each in (elsewhere, elsewhere):
        with pytest.raises(InFlight):
            await each.begin("k", b"d", 60_000)
    await elsewhere.finish("k", b"d", b"answer")
    assert await elsewhere.begin("k", b"d", 60_000) == b"answer"
    for server in (hasty, patient):
        await server.close()
