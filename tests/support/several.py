"""Nodes that share a store, on virtual time: owners, edges, viewers and faults, all drawn from one seed.

What is real: rooms and their loops, shards, ownership, the bus with its messages, and the edge with its views. What is not: the
store is the one in memory (which passes the same suite as the one on Valkey) behind a line with delays, lost answers and outages;
channels are lists; people are coroutines. A seed that fails is the bug report: `simulate(seed)` does the same again.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

import msgspec

from livecast.adapters.memory.log import MemoryRoomLog
from livecast.adapters.memory.roster import MemoryRoster
from livecast.adapters.redis import keys
from livecast.adapters.redis.bus import RedisBus
from livecast.adapters.redis.log import message_of
from livecast.adapters.redis.messages import join
from livecast.core.commands import Ensure
from livecast.core.errors import Refusal
from livecast.core.events import Command, Done, Notice, Person, Verdict
from livecast.core.nodes import membership, placement
from livecast.core.nodes.membership import holder_of
from livecast.core.rules import RoomRules
from livecast.edge.access.auth import Authenticator
from livecast.edge.access.identity import Identity
from livecast.edge.access.keys import KeyRing
from livecast.edge.node import Node
from livecast.edge.rules import EdgeRules
from livecast.facts import Fact, Trouble
from livecast.ports import Commit, Committed, Unavailable
from livecast.shard import ownership
from livecast.shard.ownership import Ownership
from livecast.shard.shards import Shards
from livecast.wire import records
from livecast.wire.codec import JSON
from livecast.wire.messages import Bye, CommentMessage
from livecast.wire.sealing import Sealed
from support.machines import HERE, Machine, MachineLoop

ROOMS: Final = ("r1", "r2", "r3")
HOST: Final = Person("host", "Host", role="host")
STORM_S: Final = 10.0
"""Faults come within this; then there is peace, and everything has to come right."""
PEACE_S: Final = 30.0
SOON_S: Final = 3.0
"""What was missed is made good in this time, and not with the next look around."""
HOP_S: Final = 0.001
AUTHENTICATOR: Final = Authenticator(["s" * 32])


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
    """As `redis_ears.Ears`."""

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
    """As `redis_outbox.Outbox`: what is said in one turn of the loop goes out in one message per channel."""

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
            monotonic_s=world.loop.time,
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


class World:
    """One seed. `wrong` is what was found; `told` counts answers."""

    def __init__(self, loop: MachineLoop, seed: int) -> None:
        self.loop = loop
        self.chance = random.Random(seed)
        self.channels = Channels(loop)
        self.log = PublishingLog(self.channels)
        self.roster = MemoryRoster(self.log)
        self.clock_jump_ms = self.chance.choice([-300_000, 300_000])
        """How far some nodes' wall clocks are off."""
        self.storm = 0.0
        self.store_away_until = 0.0
        self.hosts: list[Host] = []
        self.ever: list[Host] = []
        self.told: Counter[str] = Counter()
        self.acknowledged: list[tuple[str, str]] = []
        self.wrong: list[str] = []

    def observe(self, fact: Fact) -> None:
        self.told[type(fact).__name__] += 1
        if isinstance(fact, Trouble):
            self.told[fact.what] += 1
            if "report" in fact.advice:
                self.wrong.append(f"{fact.what}: {fact.advice}")

    def new_epoch(self) -> str:
        """The same for the same seed."""
        return f"{self.chance.getrandbits(40):010x}"

    # --- Nodes --------------------------------------------------------------------------------------------------------
    def add(self) -> Host:
        host = Host(self, len(self.ever))
        self.hosts.append(host)
        self.ever.append(host)
        host.machine.run(host.live)
        return host

    def remove(self, host: Host) -> None:
        self.hosts.remove(host)

    # --- A seed's life ------------------------------------------------------------------------------------------------
    async def run(self) -> None:
        for _ in range(self.chance.choice([2, 3])):
            self.add()
        await self.until(lambda: all(host.ready for host in self.hosts), "nodes", 20)
        for room in ROOMS:
            await self._make(room)
        people = [asyncio.create_task(self._person(n)) for n in range(30)]
        await self._faults()
        await asyncio.gather(*people)
        self.storm, self.store_away_until = 0.0, 0.0
        await self.until(lambda: not any(host.machine.asleep for host in self.hosts), "waking", PEACE_S)
        await self.until(self._shared, "fair shares of living nodes", PEACE_S)
        await self.until(self._all_seen, "every eye at the head of its room's log, though nobody speaks", SOON_S)
        for room in ROOMS:
            await self._say(room, f"last in {room}", f"last-{room}", within_s=PEACE_S)
        await self.until(self._all_seen, "every eye at the head of its room's log", PEACE_S)
        self._judge()

    async def _make(self, room: str) -> None:
        while True:
            node = self.chance.choice(self.hosts).node
            answer = await self._on(node, partial(node.ask, room, lambda origin: Command(origin, HOST, "ensure", Ensure())))
            if isinstance(answer, Done):
                return
            await asyncio.sleep(0.2)

    async def _on(self, node: Node, work: Callable[[], Any]) -> Any:
        """Do something on a node's machine, from outside; `unavailable` if it does not answer (it sleeps, or is no more)."""
        machine = next(host.machine for host in self.ever if host.node is node)
        task = machine.run(work)
        done, _ = await asyncio.wait({task}, timeout=4)
        return task.result() if done else Refusal("unavailable")

    # --- Faults -------------------------------------------------------------------------------------------------------
    async def _faults(self) -> None:
        end = self.loop.time() + STORM_S
        kinds = [self._kill, self._sleep, self._cut, self._storm, self._away, self._leave, self._join, self._lose_memory]
        while self.loop.time() < end:
            await asyncio.sleep(self.chance.uniform(0.2, 4))
            await self.chance.choice(kinds)()

    def _one(self) -> Host | None:
        fit = [host for host in self.hosts if host.ready and not host.machine.asleep]
        return self.chance.choice(fit) if len(fit) > 1 else None

    async def _kill(self) -> None:
        if (host := self._one()) is not None:
            self.told["killed"] += 1
            self.remove(host)
            host.kill()

    async def _sleep(self) -> None:
        if (host := self._one()) is not None:
            self.told["slept"] += 1
            host.machine.sleep()
            self.loop.call_later(self.chance.choice([0.4, 2.5, 4, 7]), host.machine.wake)

    async def _cut(self) -> None:
        if (host := self._one()) is not None:
            self.told["cut"] += 1
            host.bus.ears.cut = host.bus.mouth.cut = True
            self.loop.call_later(self.chance.uniform(0.1, 3), self._mend, host)

    @staticmethod
    def _mend(host: Host) -> None:
        host.bus.mouth.cut = False
        if host.machine.alive:
            host.machine.run(lambda: _soon(host.bus.ears.mend))

    async def _storm(self) -> None:
        self.storm = self.chance.choice([0.05, 0.3])
        self.loop.call_later(self.chance.uniform(0.5, 3), setattr, self, "storm", 0.0)

    async def _away(self) -> None:
        self.told["store away"] += 1
        self.store_away_until = self.loop.time() + self.chance.uniform(0.5, 5)

    async def _leave(self) -> None:
        if (host := self._one()) is not None:
            self.told["left"] += 1
            self.remove(host)
            host.machine.run(host.leave)

    async def _join(self) -> None:
        if len(self.hosts) < 4:
            self.add()

    async def _lose_memory(self) -> None:
        """The store comes back without its signs of life."""
        self.roster._beats.clear()

    # --- People -------------------------------------------------------------------------------------------------------
    async def _person(self, n: int) -> None:
        await asyncio.sleep(self.chance.uniform(0, STORM_S))
        await self._say(self.chance.choice(ROOMS), f"word {n}", f"c{n}", within_s=STORM_S)

    async def _say(self, room: str, text: str, cid: str, *, within_s: float) -> None:
        """Say it, again and again with the same id, on any node, until somebody knows."""
        end = self.loop.time() + within_s
        identity = Identity(Person(cid, cid))
        while True:
            host = self.chance.choice([host for host in self.hosts if host.ready])
            answer = await self._on(host.node, partial(host.node.enter, room, identity, CommentMessage(cid, text)))
            self.told[str(getattr(answer, "verdict", None) or answer.code)] += 1
            if isinstance(answer, Verdict):
                if answer.verdict == "shown":
                    self.acknowledged.append((room, text))
                return
            if self.loop.time() > end:
                if "last" in text:
                    self.wrong.append(f"{room} does not speak: {answer}")
                return
            await asyncio.sleep(self.chance.uniform(0.05, 0.5))

    # --- Peace --------------------------------------------------------------------------------------------------------
    async def until(self, condition: Callable[[], bool], what: str, within_s: float) -> None:
        end = self.loop.time() + within_s
        while not condition():
            if self.loop.time() > end:
                self.wrong.append(f"no {what} within {within_s} s")
                return
            await asyncio.sleep(0.1)

    def _shared(self) -> bool:
        owners = Counter(holder_of(self.log.fences.get(shard, "")) for shard in range(placement.SHARDS))
        living = {host.name for host in self.hosts}
        return set(owners) == living and max(owners.values()) - min(owners.values()) <= 1

    def _all_seen(self) -> bool:
        heads = {room: (kept.last.epoch, kept.last.seq) for room, kept in self.log._rooms.items() if kept.last is not None}
        return all(eye.at == heads[eye.hub.room] for host in self.hosts for eye in host.eyes)

    def _judge(self) -> None:
        said = Counter[tuple[str, str]]()
        for (room, _, _), frame in self.log.history.items():
            said.update((room, comment.text) for comment in records.decode_frame(frame).comments or ())
        self.wrong += [f"acknowledged and lost: {each}" for each in self.acknowledged if not said[each]]
        self.wrong += [f"shown {times} times: {each}" for each, times in said.items() if times > 1]
        for host in self.ever:
            for eye in host.eyes:
                self.wrong += eye.complaints
                heard = eye.frames.items()
                self.wrong += [f"another voice: {place}" for place, frame in heard if self.log.history.get(place) != frame]
        if not self.acknowledged:
            self.wrong.append("nobody was heard")


async def _soon(work: Callable[[], None]) -> None:
    work()


def _context_of_here() -> Any:
    from contextvars import copy_context  # noqa: PLC0415 - once per node

    assert HERE.get() is not None
    return copy_context()


@contextmanager
def fewer_shards(number: int = 16) -> Iterator[None]:
    """A deployment of another size, in which nothing is different but that a seed takes a quarter of the time."""
    whole = placement.SHARDS
    sized: tuple[Any, ...] = (placement, membership, ownership)
    for module in sized:
        module.SHARDS = number
    _forget_deals()
    try:
        yield
    finally:
        for module in sized:
            module.SHARDS = whole
        _forget_deals()


def _forget_deals() -> None:
    placement._dealt.cache_clear()
    placement._weights.cache_clear()


def simulate(seed: int) -> tuple[list[str], Counter[str]]:
    """What was found wrong, and how often things happened."""
    with fewer_shards():
        return _simulate(seed)


def _simulate(seed: int) -> tuple[list[str], Counter[str]]:
    loop = MachineLoop()
    loop.set_exception_handler(lambda *_: None)  # tasks of the dead are never ended
    asyncio.set_event_loop(loop)
    world = World(loop, seed)
    try:
        loop.run_until_complete(world.run())
    finally:
        loop.close()
        asyncio.set_event_loop(None)
    return world.wrong, world.told
