"""Calls made close together share a round trip."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias

from livecast.adapters.redis.server import DEADLINE_S, Command
from livecast.ports import StoreError, Unavailable

Execute: TypeAlias = Callable[[Sequence[Command]], Awaitable[list[Any]]]

CALLS_MAX = 256
"""Calls per pipeline. Far above it the answers of the first would wait for the last: 256 commits take the server some 20 ms."""
IN_FLIGHT_MAX = 4
"""Pipelines under way. One keeps a server busy; a few more keep going when one is stuck behind a lost connection."""


class _Batch:
    __slots__ = ("asked", "calls", "deadline")

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.calls: list[Command] = []
        self.asked: list[tuple[asyncio.Future[Any], int]] = []
        """Who waits for which of their answers: for the next one (0), or for a list of the next so many."""


class _Track:
    """The pipelines to one server."""

    __slots__ = ("boarding", "in_flight", "last_left", "under_way")

    def __init__(self, in_flight_max: int) -> None:
        self.boarding: _Batch | None = None
        self.in_flight = asyncio.Semaphore(in_flight_max)
        self.last_left = float("-inf")
        self.under_way = 0


class Lane:
    """Collects calls into pipelines that leave `gap_ms` apart.

    After a pause the first call leaves in the next turn of the event loop, so a quiet process pays no delay; a busy one
    pays up to `gap_ms` and saves four fifths of its CPU per call. `execute` runs the calls of one pipeline and gives an answer,
    or an exception, for each. A call that has no answer within `deadline_s` of its batch's first raises `Unavailable`.

    `place_of` says which server of a store a call is for (None: there is but one): each has pipelines of its own, so that one which
    does not answer holds up nobody else. `eager`: what finds nothing under way leaves without a gap, so that calls one after the
    other never wait for company.
    """

    def __init__(
        self,
        execute: Execute,
        *,
        gap_ms: float,
        deadline_s: float = DEADLINE_S,
        eager: bool = False,
        calls_max: int = CALLS_MAX,
        in_flight_max: int = IN_FLIGHT_MAX,
        place_of: Callable[[Command], str] | None = None,
    ) -> None:
        self._execute = execute
        self._gap_s = gap_ms / 1000
        self._deadline_s = deadline_s
        self._eager = eager
        self._calls_max = calls_max
        self._place_of = place_of
        self._tracks: defaultdict[str, _Track] = defaultdict(lambda: _Track(in_flight_max))
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    async def call(self, *command: Any) -> Any:
        """The answer to one call. Raises `Unavailable`, or what the store said."""
        if self._closed:
            raise Unavailable("the connection to the store is closed")
        return await self._board("" if self._place_of is None else self._place_of(command), [command], 0)

    async def call_all(self, commands: Sequence[Command]) -> list[Any]:
        """The answers to several calls, in their order. One that failed has its exception for an answer; nothing is raised."""
        if self._closed:
            return [Unavailable("the connection to the store is closed") for _ in commands]
        numbers_at = defaultdict[str, list[int]](list)
        for number, command in enumerate(commands):
            numbers_at["" if self._place_of is None else self._place_of(command)].append(number)
        asked = list[tuple[list[int], asyncio.Future[Any]]]()
        for place, numbers in numbers_at.items():
            for first in range(0, len(numbers), self._calls_max):
                some = numbers[first : first + self._calls_max]
                asked.append((some, self._board(place, [commands[number] for number in some], len(some))))
        answers: list[Any] = [None] * len(commands)
        for some, coming in asked:
            for number, answer in zip(some, await coming, strict=True):
                answers[number] = answer
        return answers

    def _board(self, place: str, commands: Sequence[Command], many: int) -> asyncio.Future[Any]:
        """Put calls into the pipeline that leaves next. `many` as in `_Batch.asked`."""
        loop, track = asyncio.get_running_loop(), self._tracks[place]
        batch = track.boarding
        if batch is None or len(batch.calls) + len(commands) > self._calls_max:
            batch = track.boarding = _Batch(loop.time() + self._deadline_s)
            task = loop.create_task(self._carry(track, batch))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        answer: asyncio.Future[Any] = loop.create_future()
        batch.calls += commands
        batch.asked.append((answer, many))
        return answer

    async def close(self) -> None:
        """Calls under way raise `Unavailable`."""
        self._closed = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _carry(self, track: _Track, batch: _Batch) -> None:
        failure: StoreError = Unavailable("the connection to the store was closed")
        try:
            async with asyncio.timeout_at(batch.deadline):
                await self._wait_for_gap(track)
                async with track.in_flight:
                    _depart(track, batch)
                    track.under_way += 1
                    try:
                        answers = await self._execute(batch.calls)
                    finally:
                        track.under_way -= 1
            if len(answers) != len(batch.calls):
                raise ValueError(f"{len(batch.calls)} calls have {len(answers)} answers")
            at = 0
            for future, many in batch.asked:
                _settle(future, answers[at : at + many] if many else answers[at])
                at += many or 1
        except TimeoutError:
            failure = Unavailable(f"no answer within {self._deadline_s} s")
        except StoreError as error:
            failure = error
        finally:
            if track.boarding is batch:
                track.boarding = None
            for future, many in batch.asked:  # one each: callers' tracebacks would pile up on a shared one
                failures = [type(failure)(*failure.args) for _ in range(many or 1)]
                _settle(future, failures if many else failures[0])

    async def _wait_for_gap(self, track: _Track) -> None:
        if self._eager and not track.under_way:
            return
        wait_s = track.last_left + self._gap_s - asyncio.get_running_loop().time()
        if wait_s > 0:
            await asyncio.sleep(wait_s)


def _depart(track: _Track, batch: _Batch) -> None:
    if track.boarding is batch:
        track.boarding = None
    track.last_left = asyncio.get_running_loop().time()


def _settle(future: asyncio.Future[Any], answer: Any) -> None:
    if future.done():
        return  # its caller was cancelled, or it is settled already
    if isinstance(answer, Exception):
        future.set_exception(answer)
    else:
        future.set_result(answer)
