"""Between simulated nodes: channels that are lists, their two ends in each process, and the log that publishes to them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextvars import copy_context
from typing import Any, Final

from livecast.adapters.memory.log import MemoryRoomLog
from livecast.adapters.redis import keys
from livecast.adapters.redis.bus import RedisBus
from livecast.adapters.redis.log import message_of
from livecast.adapters.redis.messages import join
from livecast.ports import Commit, Committed, Unavailable
from support.machines import HERE, MachineLoop

HOP_S: Final = 0.001


class PublishingLog(MemoryRoomLog):
    """The log in memory, publishing like the script does, and remembering every frame that it ever took."""

    def __init__(self, channels: Channels) -> None:
        super().__init__()
        self._channels = channels
        self.history: dict[tuple[str, str, int], bytes] = {}

    async def commit(self, commit: Commit) -> Committed:
        kept = self._rooms.get(commit.room)
        last = kept.last if kept is not None else None
        done = await super().commit(commit)
        if last is None or (last.token, last.epoch, last.number) != (commit.token, commit.epoch, commit.number):
            if commit.frame is not None:
                assert (commit.room, commit.epoch, commit.seq) not in self.history, "two frames in one place"
                self.history[commit.room, commit.epoch, commit.seq] = commit.frame
            if message := message_of(commit):
                self._channels.say(keys.of_room("out", commit.room), message)
        return done


class Channels:
    """Pub/sub: who listens hears, in order; who is cut off does not."""

    def __init__(self, loop: MachineLoop) -> None:
        self.loop = loop
        self.ears: dict[str, list[SimulatedEars]] = {}

    def say(self, channel: str, body: bytes) -> int:
        """Hand a message to all who listen; how many they are."""
        there = [ears for ears in self.ears.get(channel, ()) if not ears.cut]
        for ears in there:
            self.loop.call_later(HOP_S, ears.hear, channel, body, context=ears.context)
        return len(there)


class SimulatedEars:
    """As `redis.ears.Ears`."""

    def __init__(self, channels: Channels, on_gap: Callable[[str], None]) -> None:
        self._channels = channels
        self._on_gap = on_gap
        self._wanted: dict[str, Callable[[bytes], None]] = {}
        self.cut = False
        self.context = _context_of_here()

    async def add(self, channels: Mapping[str, Callable[[bytes], None]]) -> None:
        if self.cut:
            await asyncio.sleep(1)
        for channel, heard in channels.items():
            if channel not in self._wanted:
                self._channels.ears.setdefault(channel, []).append(self)
            self._wanted[channel] = heard
        await asyncio.sleep(HOP_S)
        if self.cut:
            raise Unavailable("not confirmed")

    def drop(self, channels: Iterable[str]) -> None:
        for channel in channels:
            if self._wanted.pop(channel, None) is not None and self in self._channels.ears[channel]:  # else it is being left
                self._channels.ears[channel].remove(self)

    async def leave(self, channels: Iterable[str]) -> None:
        leaving = [channel for channel in channels if channel in self._wanted]
        for channel in leaving:
            self._channels.ears[channel].remove(self)
        await asyncio.sleep(3 * HOP_S)  # what is on its way is still heard
        for channel in leaving:
            self._wanted.pop(channel, None)

    def hear(self, channel: str, body: bytes) -> None:
        if not self.cut and (heard := self._wanted.get(channel)) is not None:
            heard(body)

    def mend(self) -> None:
        """The connection is back."""
        self.cut = False
        for channel in list(self._wanted):
            self._on_gap(channel)

    def die(self) -> None:
        """The process is gone, and its connection with it."""
        self.drop(list(self._wanted))

    async def close(self) -> None:
        self.die()


class SimulatedOutbox:
    """As `redis.outbox.Outbox`: what is said in one turn of the loop goes out in one message per channel."""

    def __init__(self, channels: Channels) -> None:
        self._channels = channels
        self._waiting: dict[str, list[tuple[bytes, Callable[[bool], None] | None]]] = {}
        self.cut = False

    def put(self, channel: str, item: bytes, on_lost: Callable[[bool], None] | None = None) -> bool:
        if not self._waiting:
            asyncio.get_running_loop().call_later(HOP_S, self._send)
        self._waiting.setdefault(channel, []).append((item, on_lost))
        return True

    def _send(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for channel, items in waiting.items():
            receivers = 0 if self.cut else self._channels.say(channel, join([item for item, _ in items]))
            if not receivers:
                for _, on_lost in items:
                    if on_lost is not None:
                        on_lost(not self.cut)

    async def close(self) -> None:
        self._waiting.clear()


class _NoServer:
    moved: list[Any] = []  # noqa: RUF012 - nobody adds anything that counts


class SimulatedBus(RedisBus):
    """The bus between processes, on channels that are lists."""

    def __init__(self, channels: Channels, observer: Any) -> None:
        super().__init__(_NoServer(), observer)  # type: ignore[arg-type] # what it would talk to is replaced here
        self._listener = self.ears = SimulatedEars(channels, self._on_gap)  # type: ignore[assignment] # speaks as it does
        self._outbox = self.mouth = SimulatedOutbox(channels)  # type: ignore[assignment] # likewise


def _context_of_here() -> Any:
    assert HERE.get() is not None
    return copy_context()
