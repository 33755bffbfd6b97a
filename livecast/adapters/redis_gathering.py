"""Work for one shard that comes in many small pieces, gathered for a moment into one call."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from copy import copy
from typing import Any, Generic, TypeAlias, TypeVar

Piece = TypeVar("Piece")
Answer = TypeVar("Answer")
Run: TypeAlias = Callable[[int, Sequence[Piece]], Awaitable[Sequence[Answer]]]


class Gathering(Generic[Piece, Answer]):
    """`run(shard, pieces)` gives an answer for each piece, in order, or fails for all of them.

    The first piece of a shard waits `gather_s` for others, so this is for work that nobody watches; at `pieces_max` they leave at
    once. Calls of a shard may be under way side by side.
    """

    def __init__(self, run: Run[Piece, Answer], *, gather_s: float, pieces_max: int) -> None:
        self._run = run
        self._gather_s = gather_s
        self._pieces_max = pieces_max
        self._waiting: dict[int, list[tuple[Piece, asyncio.Future[Answer]]]] = {}
        self._timers: dict[int, asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def call(self, shard: int, piece: Piece) -> Answer:
        """The answer to one piece. Raises what `run` raised."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()
        waiting = self._waiting.setdefault(shard, [])
        waiting.append((piece, answer))
        if len(waiting) == 1:
            self._timers[shard] = loop.call_later(self._gather_s, self._go, shard)
        elif len(waiting) >= self._pieces_max:
            self._go(shard)
        return await answer  # type: ignore[no-any-return]  # a future of Answer

    def _go(self, shard: int) -> None:
        self._timers.pop(shard).cancel()
        task = asyncio.get_running_loop().create_task(self._carry(shard, self._waiting.pop(shard)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry(self, shard: int, waiting: Sequence[tuple[Piece, asyncio.Future[Answer]]]) -> None:
        try:
            answers = await self._run(shard, [piece for piece, _ in waiting])
        except asyncio.CancelledError:
            for _, future in waiting:
                future.cancel()
            raise
        except Exception as fault:  # noqa: BLE001 - whatever it was is for those who wait to hear
            for _, future in waiting:
                if not future.done():
                    future.set_exception(copy(fault))  # one each: tracebacks would pile up on a shared one
            return
        for (_, future), answer in zip(waiting, answers, strict=True):
            if not future.done():  # its caller may be gone
                future.set_result(answer)
