"""Who owns what, step by step, on virtual time: 16 shards, nodes on machines of their own, a store with a line to it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from livecast.core.events import Liked, Origin, Person
from livecast.core.nodes.membership import FREE, holder_of
from livecast.core.nodes.placement import shard_of
from livecast.facts import Fact, ShardsHeld, ShardsMoved, Trouble
from support.machines import MachineLoop
from support.several import World, fewer_shards
from support.several_hosts import ROOMS, Host

SHARDS = 16


class Calm(World):
    """A world in which nothing happens but what a test does. `facts` is everything told."""

    def __init__(self, loop: MachineLoop) -> None:
        super().__init__(loop, 1)
        self.facts: list[Fact] = []

    def observe(self, fact: Fact) -> None:
        super().observe(fact)
        self.facts.append(fact)

    async def begin(self, nodes: int) -> list[Host]:
        hosts = []
        for _ in range(nodes):
            hosts.append(self.add())
            await self.within(10, lambda: hosts[-1].ready or self.loop.time() > 1_005, "a node")
            if len(hosts) == 1:
                for room in ROOMS:
                    await self._make(room)
        await self.within(10, self._shared, "fair shares")
        return hosts

    async def within(self, seconds: float, condition: Callable[[], Any], what: str) -> float:
        """Wait for it; how long it took."""
        began = self.loop.time()
        while not condition():
            assert self.loop.time() - began < seconds, f"no {what} within {seconds} s: {self.log.fences} {self.facts[-5:]}"
            await asyncio.sleep(0.01)
        return self.loop.time() - began

    def moved(self) -> Counter[str]:
        """How many shards came or went, how."""
        total: Counter[str] = Counter()
        for fact in self.facts:
            if isinstance(fact, ShardsMoved):
                total[fact.how] += fact.shards
        return total

    def owners(self) -> Counter[str]:
        return Counter(holder_of(self.log.fences.get(shard, "")) for shard in range(SHARDS))


@pytest.fixture(autouse=True)
def _sixteen() -> Iterator[None]:
    with fewer_shards(SHARDS):
        yield


def run(main: Callable[[Calm], Awaitable[None]]) -> None:
    """Run a test on a loop of its own."""
    loop = MachineLoop()
    loop.set_exception_handler(lambda *_: None)
    asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(_whole(loop, main))
    finally:
        loop.close()
        asyncio.set_event_loop(None)


async def _whole(loop: MachineLoop, main: Callable[[Calm], Awaitable[None]]) -> None:
    world = Calm(loop)
    await main(world)
    assert not world.wrong


def test_a_second_node_gets_its_half_in_order() -> None:
    """Nobody is fenced for it, nobody waits for anybody's death, and each hears what the other has."""

    async def main(world: Calm) -> None:
        await world.begin(2)
        assert world.owners() == {"n0": 8, "n1": 8}
        assert world.moved() == {"taken": 24, "given": 8}
        await asyncio.sleep(1)
        assert [fact for fact in world.facts if isinstance(fact, ShardsHeld)][-1] == ShardsHeld(8, 2, 0)

    run(main)


def test_a_hand_over_takes_no_longer_than_a_tick_or_two() -> None:
    """From the owner's stop to a new epoch for those who watch."""

    async def main(world: Calm) -> None:
        hosts = await world.begin(2)
        await world.within(5, lambda: len(hosts[0].eyes) == len(ROOMS), "eyes")
        room = next(room for room in ROOMS if holder_of(world.log.fences[shard_of(room)]) == "n1")
        eye = next(eye for eye in hosts[0].eyes if eye.hub.room == room)
        epoch = eye.hub.view.epoch
        hosts[1].machine.run(hosts[1].leave)
        assert await world.within(2, lambda: eye.hub.view.epoch != epoch, "new epoch") < 0.4
        await world.within(5, lambda: hosts[1].left, "the end")
        assert world.owners() == {"n0": SHARDS}
        assert set(world.roster._beats) == {"n0"}
        assert eye.complaints == []

    run(main)


def test_who_leaves_last_leaves_everything_free() -> None:
    """The next start waits for nobody."""

    async def main(world: Calm) -> None:
        (host,) = await world.begin(1)
        host.machine.run(host.leave)
        await world.within(5, lambda: host.left, "the end")
        assert set(world.log.fences.values()) == {FREE}
        world.remove(host)
        new = world.add()
        assert await world.within(5, lambda: world.owners() == {new.name: SHARDS}, "a new start") < 1

    run(main)


def test_what_a_dead_process_left_is_taken_once_it_is_known_dead() -> None:
    """A sign of life that was left over is waited for, and not for longer than it takes."""

    async def main(world: Calm) -> None:
        (first,) = await world.begin(1)
        world.remove(first)
        first.kill()
        new = world.add()
        took = await world.within(8, lambda: world.owners() == {new.name: SHARDS}, "everything")
        assert 3 <= took < 4.5
        assert world.moved()["taken_over"] == SHARDS

    run(main)


def test_who_is_left_hears_of_a_death_once() -> None:
    """So that they look for what it left half done; each death is one."""

    async def main(world: Calm) -> None:
        first, second = await world.begin(2)
        assert not world.gone
        world.remove(first)
        first.kill()
        await world.within(8, lambda: world.owners() == {second.name: SHARDS}, "everything")
        await asyncio.sleep(5)
        assert world.gone == [second.name]

    run(main)


def test_a_holder_that_nobody_ever_saw_is_waited_for_like_any_other() -> None:
    """It may be there, and only not have come through to the store yet."""

    async def main(world: Calm) -> None:
        world.log.fences[3] = "somebody-unheard-of.00"
        new = world.add()
        await world.within(1, lambda: world.owners()[new.name] == SHARDS - 1, "the others")
        assert 2 <= await world.within(5, lambda: world.owners()[new.name] == SHARDS, "the last one") < 4.5
        assert any(isinstance(fact, Trouble) and "somebody-unheard-of" in fact.about for fact in world.facts)

    run(main)


def test_a_store_that_lost_its_last_second_leaves_no_shard_lying() -> None:
    """A fence says again that it is somebody's who gave it up long ago, and lives: its owner steps down, and takes it anew."""

    async def main(world: Calm) -> None:
        hosts = await world.begin(2)
        room = next(room for room in ROOMS if holder_of(world.log.fences[shard_of(room)]) == "n1")
        world.log.fences[shard_of(room)] = "n0.0123456789abcdef"
        await world._say(room, "still there", "c1", within_s=15)
        assert holder_of(world.log.fences[shard_of(room)]) == "n1"
        assert world.moved()["lost"] == 1
        assert len(hosts[1].shards.tokens) == 8

    run(main)


def test_who_slept_answers_nothing_before_it_has_asked() -> None:
    """What a room would say at once, before any commit could be refused, would be a second voice."""

    async def main(world: Calm) -> None:
        hosts = await world.begin(2)
        room = next(room for room in ROOMS if holder_of(world.log.fences[shard_of(room)]) == "n1")
        heard: list[Any] = []
        await hosts[0].bus.attach("asker", heard.extend, lambda *_: None)
        hosts[1].machine.sleep()
        await world.within(6, lambda: holder_of(world.log.fences[shard_of(room)]) == "n0", "take-over")
        assert not hosts[1].shards.trusted()
        hosts[1].shards.receive(room, [Liked(Origin("asker", 1), Person("u", "U"), 1, "c")])
        hosts[1].machine.wake()
        await world.within(8, world._shared, "fair shares again")
        assert heard == []
        assert hosts[1].shards.trusted()

    run(main)


def test_two_who_say_to_own_the_same_ask_the_fence() -> None:
    """Whoever it does not name steps down, though nobody speaks in its rooms."""

    async def main(world: Calm) -> None:
        hosts = await world.begin(2)
        shard = next(iter(hosts[0].shards.tokens))
        hosts[1].shards._tokens[shard] = "n1.made-up"
        await world.within(3, lambda: shard not in hosts[1].shards.tokens, "a step down")
        assert shard in hosts[0].shards.tokens

    run(main)
