"""What a room weighs in which nothing happens: thousands of them are in memory at once."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import livecast
from livecast.adapters.memory.bus import MemoryBus
from livecast.adapters.memory.house import MemoryHouseRules
from livecast.adapters.memory.log import MemoryRoomLog
from livecast.core.commands import PutRoom, Start
from livecast.core.events import Command, Origin, Person
from livecast.core.frames import Happened
from livecast.core.rules import RoomRules
from livecast.facts import Fact
from livecast.shard.house import House
from livecast.shard.shards import Shards
from support.virtual import VirtualLoop, run_virtual

PLATFORM = Person("key:p", "p", role="service")
ROOMS: Final = 60
WEIGHS_AT_MOST: Final = 1_700
"""Bytes in objects of a room and what drives it. It was 3,000 when each had copies of what all have alike."""


class Unmoved:
    """A watch that keeps nothing."""

    def awake(self, room: str) -> None: ...
    def asleep(self, room: str) -> None: ...
    def say(self, room: str, summary: bytes) -> None: ...
    def happened(self, room: str, happened: Sequence[Happened]) -> None: ...
    def ending(self, room: str) -> None: ...
    def ended(self, room: str) -> None: ...


def ours() -> int:
    """Bytes in what `core` and `shard` have made and is still there."""
    gc.collect()
    where = Path(livecast.__file__).parent
    kept = [tracemalloc.Filter(True, str(where / part / "*")) for part in ("core", "shard")]
    return sum(trace.size for trace in tracemalloc.take_snapshot().filter_traces(kept).traces)


def test_a_room_at_rest_is_light() -> None:
    """Made and started over the control plane, as a platform does for all its hosts, with gifts to give and the house's rules."""

    async def main(loop: VirtualLoop) -> None:
        bus, clock = MemoryBus(), loop.unix_ms
        facts: list[Fact] = []

        class Noting:
            def observe(self, fact: Fact) -> None:
                facts.append(fact)

        shards = Shards(bus=bus, log=MemoryRoomLog(), clock=clock, rules=RoomRules(), observer=Noting())
        house = House(id="h", rules=MemoryHouseRules(), bus=bus, clock=clock, observer=Noting())
        shards.keep_to(house)
        shards.watch(Unmoved(), 7)
        answered = asyncio.Event()
        await bus.attach("n", lambda _replies: answered.set(), lambda *_: None)
        await house.start()
        await shards.start()

        async def make(name: str) -> None:
            for what, args in (("put_room", PutRoom(title=name, merchant="acme")), ("start", Start())):
                answered.clear()
                bus.post(name, Command(Origin("n", 1), PLATFORM, what, args))
                await answered.wait()

        await make("first")
        tracemalloc.start()
        try:
            before = ours()
            for n in range(ROOMS):
                await make(f"room-{n}")
            await asyncio.sleep(1)  # what follows an answer is done
            facts.clear()
            weight = (ours() - before) / ROOMS
        finally:
            tracemalloc.stop()
        assert shards.owned == ROOMS + 1
        assert not shards.active
        assert 1_000 < weight < WEIGHS_AT_MOST
        house.stop()
        await shards.drain()

    run_virtual(main)
