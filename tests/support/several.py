"""Nodes that share a store, on virtual time: owners, edges, viewers and faults, all drawn from one seed.

What is real: rooms and their loops, shards, ownership, the bus with its messages, and the edge with its views. What is not: the
store is the one in memory (which passes the same suite as the one on Valkey) behind a line with delays, lost answers and outages;
channels are lists; people are coroutines. A seed that fails is the bug report: `simulate(seed)` does the same again.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

from livecast.adapters.memory.roster import MemoryRoster
from livecast.core.commands import Ensure
from livecast.core.errors import Refusal
from livecast.core.events import Command, Done, Person, Verdict
from livecast.core.nodes import membership, placement
from livecast.core.nodes.membership import holder_of
from livecast.edge.access.identity import Identity
from livecast.edge.node import Node
from livecast.facts import Fact, Trouble
from livecast.shard import ownership
from livecast.wire import records
from livecast.wire.messages import CommentMessage
from support.machines import MachineLoop
from support.several_hosts import ROOMS, Host
from support.several_wires import Channels, PublishingLog

HOST: Final = Person("host", "Host", role="host")
STORM_S: Final = 10.0
"""Faults come within this; then there is peace, and everything has to come right."""
PEACE_S: Final = 30.0
SOON_S: Final = 3.0
"""What was missed is made good in this time, and not with the next look around."""


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
        self.gone: list[str] = []
        """Nodes that were told that another one is gone."""

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
