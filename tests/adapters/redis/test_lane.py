"""When calls leave: together where there are many, at once where there is one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from livecast.adapters.redis.lane import Lane
from livecast.ports import Unavailable

HOUR_MS = 3_600_000
"""A gap that no test can wait for."""


class Store:
    """Answers each call with itself, once it may."""

    def __init__(self) -> None:
        self.pipelines: list[list[Any]] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.was_asked = asyncio.Event()

    async def execute(self, calls: Sequence[Any]) -> list[Any]:
        """One pipeline."""
        self.pipelines.append(list(calls))
        self.was_asked.set()
        await self.may_answer.wait()
        return list(calls)


async def test_calls_one_after_the_other_wait_for_nobody() -> None:
    """An eager lane has no gap where nothing is under way."""
    store = Store()
    lane = Lane(store.execute, gap_ms=HOUR_MS, deadline_s=60, eager=True)
    async with asyncio.timeout(30):
        assert [await lane.call(n) for n in range(5)] == [(n,) for n in range(5)]
    assert len(store.pipelines) == 5
    await lane.close()


async def test_calls_gather_while_others_are_under_way() -> None:
    """What comes meanwhile leaves together after the gap, in an eager lane too; the end of the lane is told to all."""
    store = Store()
    store.may_answer.clear()
    lane = Lane(store.execute, gap_ms=HOUR_MS, deadline_s=60, eager=True)
    calls = [asyncio.ensure_future(lane.call(0))]
    await store.was_asked.wait()
    calls += [asyncio.ensure_future(lane.call(n)) for n in (1, 2)]
    for _ in range(20):
        await asyncio.sleep(0)
    assert store.pipelines == [[(0,)]]
    await lane.close()
    for call in calls:
        with pytest.raises(Unavailable):
            await call


async def test_calls_made_together_share_a_pipeline() -> None:
    """Also the very first ones."""
    store = Store()
    lane = Lane(store.execute, gap_ms=5, deadline_s=60)
    assert await asyncio.gather(*(lane.call(n) for n in range(3))) == [(0,), (1,), (2,)]
    assert store.pipelines == [[(0,), (1,), (2,)]]
    await lane.close()


async def test_many_calls_are_answered_in_their_order_and_fail_each_by_itself() -> None:
    """Shared with others, spread over servers and pipelines; what failed is an answer, also at the end of the lane."""
    store = Store()
    lane = Lane(store.execute, gap_ms=0, deadline_s=60, place_of=lambda call: str(call[0] % 2))
    alone = asyncio.ensure_future(lane.call(1))
    many = [(number,) for number in range(700)]
    async with asyncio.timeout(30):
        assert await lane.call_all(many) == many
        assert await alone == (1,)
        assert await lane.call_all([]) == []
    assert max(map(len, store.pipelines)) <= 256
    assert all(len({call[0] % 2 for call in pipeline}) == 1 for pipeline in store.pipelines)
    store.may_answer.clear()
    store.was_asked.clear()
    stuck = asyncio.ensure_future(lane.call_all(many[:3]))
    await store.was_asked.wait()
    await lane.close()
    assert [type(answer) for answer in await stuck] == [Unavailable] * 3
    assert [type(answer) for answer in await lane.call_all(many[:2])] == [Unavailable] * 2


async def test_many_calls_leave_side_by_side_in_pipelines_of_a_bounded_size() -> None:
    """A server answers what it read of a connection at once: more of it would wait for another of its syncs."""
    store = Store()
    store.may_answer.clear()
    lane = Lane(store.execute, gap_ms=0, deadline_s=60, eager=True, calls_max=3)
    answers = asyncio.ensure_future(lane.call_all([(n,) for n in range(8)]))
    async with asyncio.timeout(30):
        while len(store.pipelines) < 3:  # noqa: ASYNC110 - it is set by each
            await asyncio.sleep(0)
        assert sorted(map(len, store.pipelines)) == [2, 3, 3]
        store.may_answer.set()
        assert await answers == [(n,) for n in range(8)]
    await lane.close()
