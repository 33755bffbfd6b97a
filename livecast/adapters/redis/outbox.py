"""Saying: messages to other processes, collected into few round trips, in order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeAlias

from livecast.adapters.redis.messages import join
from livecast.adapters.redis.server import RedisServer
from livecast.facts import Observer, Trouble, fault_of
from livecast.ports import StoreError, Unavailable

OnLost: TypeAlias = Callable[[bool], None]
"""Told that nobody got an item: for sure (True: nobody listens), or as far as anybody knows."""

GAP_MS = 2
"""Pipelines leave at least so far apart; after a pause the first leaves at once. 2 ms are lost in a tick of 200, and a node
that posts 10,000 events a second sends 500 pipelines instead."""
BYTES_MAX = 8 * 1024 * 1024
"""Bytes waiting. A server that takes none for 2 s loses what waited; a node that fills this before refuses new events."""
FAREWELL_S = 0.5
"""How long closing waits for the last messages to leave."""


class Outbox:
    """Publishes to sharded channels, each at the server that has it; one that does not answer holds up nothing for the others. Per
    channel, items arrive in the order they were put in, those put in close together in one message; also while a channel moves
    to another server.
    """

    def __init__(self, server: RedisServer, observer: Observer) -> None:
        self._server = server
        self._observer = observer
        self._posts: dict[str, _Post] = {}

    def put(self, channel: str, item: bytes, on_lost: OnLost | None = None) -> bool:
        """Send an encoded item. False if too much waits already.

        `on_lost` is called if nobody listens on the channel, or if the server did not say that it took it.
        """
        place = self._server.route(channel)
        if place not in self._posts:
            self._posts[place] = _Post(self._server, self._observer)
        post = self._posts[place]
        if len(self._posts) > 1:  # behind what is on its way to where the channel was
            post = next((each for each in self._posts.values() if each.has(channel)), post)
        return post.put(channel, item, on_lost)

    async def close(self) -> None:
        """Send what waits, for a moment at most."""
        await asyncio.gather(*(post.close() for post in self._posts.values()))


class _Post:
    """What goes to one server.

    One pipeline is under way at a time: two connections would race. (A pipeline given up at its deadline may still lie before
    a frozen server, which then takes it late, beside newer ones.)
    """

    def __init__(self, server: RedisServer, observer: Observer) -> None:
        self._server = server
        self._observer = observer
        self._waiting: dict[str, list[tuple[bytes, OnLost | None]]] = {}
        self._leaving: dict[str, list[tuple[bytes, OnLost | None]]] = {}
        self._bytes = 0
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._idle = asyncio.Event()
        self._idle.set()
        self._troubled = False

    def put(self, channel: str, item: bytes, on_lost: OnLost | None = None) -> bool:
        """As `Outbox.put`."""
        if self._bytes + len(item) > BYTES_MAX:
            return False
        self._bytes += len(item)
        self._waiting.setdefault(channel, []).append((item, on_lost))
        self._idle.clear()
        self._wake.set()
        self._task = self._task or asyncio.get_running_loop().create_task(self._live())
        return True

    def has(self, channel: str) -> bool:
        """Whether anything for the channel is on its way."""
        return channel in self._waiting or channel in self._leaving

    async def close(self) -> None:
        """As `Outbox.close`."""
        if self._task is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(FAREWELL_S):
                    await self._idle.wait()
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _live(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            self._leaving, self._waiting, self._bytes = self._waiting, {}, 0
            try:
                await self._publish(self._leaving)
            except Exception as error:  # noqa: BLE001 - a fault in who is told must not make the whole node mute
                self._observer.observe(fault_of("what became of messages was not taken in", "redis", error))
            self._leaving = {}
            if not self._waiting:
                self._idle.set()
            await asyncio.sleep(GAP_MS / 1000)

    async def _publish(self, waiting: dict[str, list[tuple[bytes, OnLost | None]]]) -> None:
        commands = [("SPUBLISH", channel, join([item for item, _ in items])) for channel, items in waiting.items()]
        receivers: Sequence[Any] = ()
        try:
            async with asyncio.timeout(self._server.deadline_s):
                receivers = await self._server.exchange(commands)
            self._troubled = False
        except TimeoutError:
            self._report(Unavailable(f"no answer within {self._server.deadline_s} s"))
        except StoreError as error:
            self._report(error)
        for n, items in enumerate(waiting.values()):
            answer = receivers[n] if n < len(receivers) else None
            if not isinstance(answer, int) or answer == 0:
                for _, on_lost in items:
                    if on_lost is not None:
                        on_lost(answer == 0)

    def _report(self, error: StoreError) -> None:
        if not self._troubled:
            self._troubled = True
            advice = "events and answers between nodes are lost until it is back: check the server and the network to it"
            self._observer.observe(Trouble(f"messages could not be sent: {error}", "redis", advice))
