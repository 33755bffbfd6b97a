"""Looks at the stores from time to time: do they answer, what do they use, and does their clock agree with ours?"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from livecast.adapters.redis.server import RedisServer
from livecast.facts import MoneyLookedAt, Observer, StoreLookedAt
from livecast.ports import Clock, StoreError

LOOK_S: Final = 5.0
"""How often: three looks between two scrapes of the usual 15 s, for a call a second of the two stores together at five nodes."""


class StoreProbe:
    """Looks at the servers of `roles` (`rooms`, `ledger`) for as long as it runs.

    `money_closed` says why money is closed although the ledger answers, or nothing.
    """

    def __init__(
        self,
        roles: dict[str, RedisServer],
        money_closed: Callable[[], str],
        clock: Clock,
        observer: Observer,
        look_s: float = LOOK_S,
    ) -> None:
        self._roles = roles
        self._money_closed = money_closed
        self._clock = clock
        self._observer = observer
        self._look_s = look_s
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin with a look at once."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="look at the stores")

    async def stop(self) -> None:
        """No more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _run(self) -> None:
        while True:
            looks = await asyncio.gather(*(self._look(role, server) for role, server in self._roles.items()))
            for seen in looks:
                self._observer.observe(seen)
            self._observer.observe(MoneyLookedAt(bool(self._money_closed())))
            await asyncio.sleep(self._look_s)

    async def _look(self, role: str, server: RedisServer) -> StoreLookedAt:
        try:
            asked = self._clock()
            seconds, micros = await server.run("TIME")
            answered = self._clock()
            told = [_memory(str(answer, "utf-8", "replace")) for _, answer in await server.everywhere("INFO", "memory")]
        except StoreError as fault:
            return StoreLookedAt(role, str(fault) or type(fault).__name__)
        # The answer was made somewhere between question and answer: half the way is the best guess.
        ahead_ms = int(seconds) * 1000 + int(micros) / 1000 - (asked + answered) / 2
        used, at_most = max(told, key=lambda each: each[0] / (each[1] or 1))  # of a cluster the node that is fullest
        return StoreLookedAt(role, "", ahead_ms, used, at_most)


def _memory(told: str) -> tuple[int, int]:
    """What a server uses, and what it may use: its own bound, or all that its machine has."""
    info = dict(line.split(":", 1) for line in told.splitlines() if ":" in line)
    used, at_most, machine = (int(info.get(name, 0)) for name in ("used_memory", "maxmemory", "total_system_memory"))
    return used, at_most or machine
