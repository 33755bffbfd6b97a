"""Calls made close together share a round trip."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias

from livecast.adapters.redis_server import DEADLINE_S, Command
from livecast.ports import StoreError, Unavailable

Execute: TypeAlias = Callable[[Sequence[Command]], Awaitable[list[Any]]]

CALLS_MAX = 256
"""Calls per pipeline. Far above it the answers of the first would wait for the last: 256 commits take the server some 20 ms."""
IN_FLIGHT_MAX = 4
"""Pipelines under way. One keeps a server busy; a few more keep going when one is stuck behind a lost connection."""


class _Batch:
    __slots__ = ("calls", "deadline")

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.calls: list[tuple[Command, asyncio.Future[Any]]] = []


class Lane:
    """Collects calls into pipelines that leave `gap_ms` apart.

    After a pause the first call leaves in the next turn of the event loop, so a quiet process pays no delay; a busy one
    pays up to `gap_ms` and saves four fifths of its CPU per call. `execute` runs the calls of one pipeline and gives an answer,
    or an exception, for each. A call that has no answer within `deadline_s` of its batch's first raises `Unavailable`.

    `eager`: what finds nothing under way leaves without a gap, so that calls one after the other never wait for company.
    """

    def __init__(self, execute: Execute, *, gap_ms: float, deadline_s: float = DEADLINE_S, eager: bool = False) -> None:
        self._execute = execute
        self._gap_s = gap_ms / 1000
        self._deadline_s = deadline_s
        self._eager = eager
        self._under_way = 0
        self._boarding: _Batch | None = None
        self._last_left = float("-inf")
        self._in_flight = asyncio.Semaphore(IN_FLIGHT_MAX)
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    async def call(self, *command: Any) -> Any:
        """The answer to one call. Raises `Unavailable`, or what the store said."""
        if self._closed:
            raise Unavailable("the connection to the store is closed")
        loop = asyncio.get_running_loop()
        batch = self._boarding
        if batch is None or len(batch.calls) >= CALLS_MAX:
            batch = self._boarding = _Batch(loop.time() + self._deadline_s)
            task = loop.create_task(self._carry(batch))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        answer: asyncio.Future[Any] = loop.create_future()
        batch.calls.append((command, answer))
        return await answer

    async def close(self) -> None:
        """Calls under way raise `Unavailable`."""
        self._closed = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _carry(self, batch: _Batch) -> None:
        failure: StoreError = Unavailable("the connection to the store was closed")
        try:
            async with asyncio.timeout_at(batch.deadline):
                await self._wait_for_gap()
                async with self._in_flight:
                    self._depart(batch)
                    self._under_way += 1
                    try:
                        answers = await self._execute([command for command, _ in batch.calls])
                    finally:
                        self._under_way -= 1
            for (_, future), answer in zip(batch.calls, answers, strict=True):
                _settle(future, answer)
        except TimeoutError:
            failure = Unavailable(f"no answer within {self._deadline_s} s")
        except StoreError as error:
            failure = error
        finally:
            if self._boarding is batch:
                self._boarding = None
            for _, future in batch.calls:
                _settle(future, type(failure)(*failure.args))  # one each: callers' tracebacks would pile up on a shared one

    async def _wait_for_gap(self) -> None:
        if self._eager and not self._under_way:
            return
        wait_s = self._last_left + self._gap_s - asyncio.get_running_loop().time()
        if wait_s > 0:
            await asyncio.sleep(wait_s)

    def _depart(self, batch: _Batch) -> None:
        if self._boarding is batch:
            self._boarding = None
        self._last_left = asyncio.get_running_loop().time()


def _settle(future: asyncio.Future[Any], answer: Any) -> None:
    if future.done():
        return  # its caller was cancelled, or it is settled already
    if isinstance(answer, Exception):
        future.set_exception(answer)
    else:
        future.set_result(answer)
