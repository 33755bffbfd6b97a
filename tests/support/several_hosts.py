"""One simulated node: a machine with the owner's parts and the edge's, its line to the store, and its viewers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import msgspec

from livecast.core.events import Notice, Person
from livecast.core.rules import RoomRules
from livecast.edge.access.auth import Authenticator
from livecast.edge.access.identity import Identity
from livecast.edge.access.keys import KeyRing
from livecast.edge.node import Node
from livecast.edge.rules import EdgeRules
from livecast.ports import Unavailable
from livecast.shard.ownership import Ownership
from livecast.shard.shards import Shards
from livecast.wire import records
from livecast.wire.codec import JSON
from livecast.wire.messages import Bye
from livecast.wire.sealing import Sealed
from support.machines import Machine
from support.several_wires import SimulatedBus

if TYPE_CHECKING:
    from support.several import World

ROOMS: Final = ("r1", "r2", "r3")
AUTHENTICATOR: Final = Authenticator(["s" * 32])


class Line:
    """The way from one node to the store and back: takes its time; in a storm answers are lost, before or after it was done."""

    def __init__(self, world: World, store: Any) -> None:
        self._world = world
        self._store = store

    def __getattr__(self, name: str) -> Any:
        operation = getattr(self._store, name)
        if not asyncio.iscoroutinefunction(operation):
            return operation

        async def called(*args: Any) -> Any:
            await self._way()
            answer = await operation(*args)
            await self._way()
            return answer

        return called

    async def _way(self) -> None:
        world = self._world
        await asyncio.sleep(world.chance.uniform(0.0002, 0.002))
        if world.store_away_until > world.loop.time():
            await asyncio.sleep(min(2.0, world.store_away_until - world.loop.time()))
            if world.chance.random() < 0.7:
                raise Unavailable("the store is away")
        if world.chance.random() < world.storm:
            raise Unavailable("lost on the way")


class Eye:
    """A viewer: keeps what it was shown, and complains of holes."""

    def __init__(self, name: str, hub: Any) -> None:
        self.identity = Identity(Person(name, name))
        self.hub = hub
        self.shown: list[tuple[str, int]] = []
        self.at = (hub.view.epoch, hub.view.seq)
        self.frames: dict[tuple[str, str, int], bytes] = {}
        self.complaints: list[str] = []
        hub.welcome(JSON, self.identity, name)
        hub.watch(self)

    def frame(self, sealed: Sealed) -> None:
        frame = records.decode_frame(sealed.msgpack)
        if (frame.epoch, frame.seq - 1) != self.at:
            self.complaints.append(f"{self.hub.room}: {frame.epoch}:{frame.seq} came after {self.at}")
        self.at = (frame.epoch, frame.seq)
        self.frames[self.hub.room, frame.epoch, frame.seq] = sealed.msgpack

    def renewed(self) -> None:
        self.at = (self.hub.view.epoch, self.hub.view.seq)

    def notice(self, notice: Notice) -> None:
        """Nobody is told anything here."""

    def bye(self, bye: Bye) -> None:
        """Nobody goes."""


class Host:
    """One node: a machine, the owner's parts and the edge's."""

    def __init__(self, world: World, number: int) -> None:
        self.world = world
        self.name = f"n{number}"
        self.machine = Machine(self.name, world.loop)
        self.eyes: list[Eye] = []
        self.clock_off_ms = world.chance.choice([0, world.clock_jump_ms])
        self.ready = self.left = False

    def clock(self) -> int:
        return self.world.loop.unix_ms() + self.clock_off_ms

    async def live(self) -> None:
        """From start to having viewers."""
        world = self.world
        self.log: Any = Line(world, world.log)
        self.roster: Any = Line(world, world.roster)
        self.bus = SimulatedBus(world.channels, world)
        self.shards = Shards(bus=self.bus, log=self.log, clock=self.clock, rules=RoomRules(), observer=world)
        self.shards._around = msgspec.structs.replace(self.shards._around, new_epoch=world.new_epoch)
        self.ownership = Ownership(
            me=self.name, shards=self.shards, roster=self.roster, bus=self.bus, clock=self.clock, observer=world,
            on_gone=lambda: world.gone.append(self.name), monotonic_s=world.loop.time,
        )  # fmt: skip
        self.node = Node(
            id=self.name, clock=self.clock, bus=self.bus, log=self.log, authenticator=AUTHENTICATOR, keys=KeyRing([]),
            observer=world, rules=EdgeRules(messages_per_s=1000, messages_burst=1000), room_rules=RoomRules(),
        )  # fmt: skip
        while True:
            try:
                await self.node.start()
                await self.ownership.start()
                break
            except Unavailable:
                await asyncio.sleep(0.2)
        self.ready = True
        for room in ROOMS:
            await self._watch(room)

    async def _watch(self, room: str) -> None:
        while True:
            try:
                if (hub := await self.node.views.get(room)) is not None:
                    self.eyes.append(Eye(f"{self.name}-{room}", hub))
                    return
            except Unavailable:
                pass
            await asyncio.sleep(0.3)

    async def leave(self) -> None:
        """SIGTERM."""
        await self.ownership.leave()
        self.left = True

    def kill(self) -> None:
        self.machine.kill()
        self.bus.ears.die()
