"""What every store of first answers promises."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from livecast.ports import IdempotencyStore, InFlight, OtherBody


class Time:
    """A clock set by hand."""

    def __init__(self) -> None:
        self.now = 1_000_000

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def store(stores: Any) -> IdempotencyStore:
    """An empty one."""
    made: IdempotencyStore = stores.idempotency(Time())
    return made


async def test_the_first_answer_is_given_again(store: IdempotencyStore) -> None:
    """Once answered, the same key and body get the same bytes, any number of times."""
    assert await store.begin("k", b"digest", 60_000) is None
    await store.finish("k", b"digest", b"answer \x00\xff")
    for _ in range(2):
        assert await store.begin("k", b"digest", 60_000) == b"answer \x00\xff"


async def test_an_empty_answer_is_an_answer(store: IdempotencyStore) -> None:
    """No bytes is not nothing."""
    await store.begin("k", b"digest", 60_000)
    await store.finish("k", b"digest", b"")
    assert await store.begin("k", b"digest", 60_000) == b""


async def test_a_key_in_flight_is_refused(store: IdempotencyStore) -> None:
    """Of two requests at the same time one goes ahead, the other is told."""
    assert await store.begin("k", b"digest", 60_000) is None
    with pytest.raises(InFlight):
        await store.begin("k", b"digest", 60_000)
    assert await store.begin("other key", b"digest", 60_000) is None


async def test_another_body_is_refused(store: IdempotencyStore) -> None:
    """A key belongs to one body, while in flight and after."""
    await store.begin("k", b"digest", 60_000)
    with pytest.raises(OtherBody):
        await store.begin("k", b"another", 60_000)
    await store.finish("k", b"digest", b"answer")
    with pytest.raises(OtherBody):
        await store.begin("k", b"another", 60_000)
    await store.finish("k", b"another", b"not mine")
    assert await store.begin("k", b"digest", 60_000) == b"answer"


async def test_a_forgotten_key_can_be_tried_again(store: IdempotencyStore) -> None:
    """An answer that is not to be repeated (429, 5xx) leaves the key free, also for another body."""
    await store.begin("k", b"digest", 60_000)
    await store.finish("k", b"digest", None)
    assert await store.begin("k", b"another", 60_000) is None


async def test_an_answer_once_stored_stays(store: IdempotencyStore) -> None:
    """A request that outlived its lease neither replaces nor erases what the next one answered."""
    await store.begin("k", b"digest", 60_000)
    await store.finish("k", b"digest", b"first")
    await store.finish("k", b"digest", b"second")
    await store.finish("k", b"digest", None)
    assert await store.begin("k", b"digest", 60_000) == b"first"


async def test_a_lease_ends(stores: Any) -> None:
    """A key whose holder died is free again after `lease_ms`."""
    time = Time()
    store = stores.idempotency(time)
    assert await store.begin("k", b"digest", 20) is None
    time.now += 20
    deadline = asyncio.get_running_loop().time() + 5
    while True:
        try:
            assert await store.begin("k", b"digest", 60_000) is None
            break
        except InFlight:
            assert asyncio.get_running_loop().time() < deadline
            await asyncio.sleep(0.005)  # the server's clock is not ours to move
