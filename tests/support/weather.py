"""A ledger in bad weather: answers that get lost, come too late, or come to a question that was carried out twice.

What it does to callers is what a real store does that is frozen, killed or cut off: `Unavailable`, and nobody knows whether it
was done; it may be done even later, after its own repeat. All by seed and on the loop's clock.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

from livecast.adapters.memory.ledger import MemoryLedger
from livecast.ports import Unavailable

READS = {"wallet", "bookings", "find_gift", "pending", "board", "given", "takings", "secret", "drop", "drops", "units", "unit"}
READS |= {"holdings", "entrants", "orders", "due", "lapsed", "position", "read"}
DEADLINE_S = 0.8
"""When callers of a real one are told that there is no answer."""
ROUND_TRIP_S = 0.004


class StormyLedger:
    """All of `ledger.Ledger`, on top of a calm one. `storm`: how likely each call is to go wrong, from 0 to 1."""

    def __init__(self, calm: MemoryLedger, seed: int) -> None:
        self.calm = calm
        self.storm = 0.0
        self._chance = random.Random(seed)
        self._late: set[asyncio.Task[Any]] = set()
        self._thawed = asyncio.Event()
        self._thawed.set()

    def __getattr__(self, name: str) -> Any:
        operation = getattr(self.calm, name)
        if name in {"pictures", "close", "server_of"}:  # asked of nobody
            return operation

        async def called(*args: Any, **more: Any) -> Any:
            if name not in READS:
                return await self._in_this_weather(lambda: operation(*args, **more))
            if self._thawed.is_set() and self._chance.random() >= self.storm:
                return await operation(*args, **more)
            raise Unavailable("a read that failed: there is nothing to be in doubt about")

        return called

    async def freeze(self, for_s: float) -> None:
        """Nobody gets an answer for so long; about half of what is asked meanwhile is carried out when it thaws."""
        self._thawed.clear()
        await asyncio.sleep(for_s)
        self._thawed.set()

    async def calm_down(self) -> None:
        """No more faults, and all that is late has come."""
        self.storm = 0.0
        await self._thawed.wait()
        await asyncio.gather(*self._late)

    async def _in_this_weather(self, operation: Callable[[], Awaitable[Any]]) -> Any:
        chance = self._chance
        await asyncio.sleep(chance.uniform(0, ROUND_TRIP_S))
        if not self._thawed.is_set():
            if chance.random() < 0.5:
                self._carry_out_later(operation, 0)
            await asyncio.sleep(DEADLINE_S)
            raise Unavailable("frozen")
        if chance.random() >= self.storm:
            return await operation()
        match chance.choice(["not done", "not heard", "too late", "twice"]):
            case "not done":
                raise Unavailable("the connection broke before it was asked")
            case "not heard":
                await operation()
                raise Unavailable("the connection broke before it was answered")
            case "too late":
                self._carry_out_later(operation, chance.uniform(0, 3))
                await asyncio.sleep(DEADLINE_S)
                raise Unavailable("no answer in time")
            case _:
                self._carry_out_later(operation, chance.uniform(0, 3))
                return await operation()

    def _carry_out_later(self, operation: Callable[[], Awaitable[Any]], after_s: float) -> None:
        async def later() -> None:
            await asyncio.sleep(after_s)
            await self._thawed.wait()
            await operation()

        task = asyncio.get_running_loop().create_task(later())
        self._late.add(task)
        task.add_done_callback(self._late.discard)
