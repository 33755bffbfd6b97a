"""A room as busy as it gets: so many comments, taps and gifts a second, evenly, by people with sockets of their own."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Coroutine
from typing import Any

from livecast.client import LivecastClient
from support.node import token

#: People: no rule of a room holds anybody of them back at the rates below.
PEOPLE = 50
COMMENTS_PER_S, TAPS_PER_S, GIFTS_PER_S = 40, 200, 5
#: Of those who give; each gift runs on as a combo.
GIVERS = 5
_WORDS = (
    "这个颜色很适合我",
    "where is it from?",
    "第三次买了",
    "love the sound of that",
    "有没有大号",
    "shipping to Lagos?",
    "主播辛苦了",
    "hello",
)


class Bustle:
    """Everybody of one room; `shown` are the ids of comments that were said to be shown."""

    def __init__(self, people: list[LivecastClient]) -> None:
        self._people = people
        self._numbers = itertools.count(1)
        self._asked: set[asyncio.Task[None]] = set()
        self.shown: list[str] = []

    async def go(self, for_s: float) -> None:
        """Talk, tap and give for so long, then hear what became of it."""
        began = time.monotonic()
        for beat in range(int(for_s * 20)):  # twenty times a second: two comments, ten taps, and every fourth time a gift
            await asyncio.sleep(max(0.0, began + beat / 20 - time.monotonic()))
            for _ in range(COMMENTS_PER_S // 20):
                self._do(self._say(next(self._numbers)))
            for n in range(TAPS_PER_S // 20):
                self._people[(beat * 10 + n) % PEOPLE].like()
            if beat % (20 // GIFTS_PER_S) == 0:
                self._do(self._give(beat))
        await asyncio.gather(*self._asked)  # a refusal is an answer; no answer at all is a fault

    def _do(self, what: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(what)
        self._asked.add(task)
        task.add_done_callback(self._asked.discard)

    async def _say(self, n: int) -> None:
        answer = await self._people[n % PEOPLE].comment(f"{_WORDS[n % len(_WORDS)]} {n}")
        if answer.ack is not None and answer.ack.verdict == "shown" and answer.ack.id:
            self.shown.append(answer.ack.id)

    async def _give(self, beat: int) -> None:
        giver = self._people[(beat // 40) % GIVERS]
        await giver.gift("rose" if beat % 40 else "heart")


@contextlib.asynccontextmanager
async def bustle(base: str, room: str) -> AsyncIterator[Bustle]:
    """Everybody is in."""
    names = [f"p{n}" for n in range(PEOPLE)]
    people = [
        LivecastClient(base, room, token=token(name, name=f"{name} 路人", level=n % 3), light=True) for n, name in enumerate(names)
    ]
    async with contextlib.AsyncExitStack() as stack:
        for person in people:
            await stack.enter_async_context(person)
        yield Bustle(people)
