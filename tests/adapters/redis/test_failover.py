"""Stores that fail over: a primary under three Sentinels with its replica, and a cluster of three primaries with theirs.

Each is started once, and every test leaves it well again, though perhaps with another primary. What takes its time here and would
show the same again has its turn in `make chaos`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import Any, TypeAlias

import pytest

from livecast.adapters.redis.bus import RedisBus
from livecast.adapters.redis.ledger import RedisLedger
from livecast.adapters.redis.ledger_calls import LedgerServer
from livecast.adapters.redis.log import RedisRoomLog
from livecast.adapters.redis.server import RedisServer
from livecast.core.money.coins import Moved, Movement
from livecast.core.money.units import Won
from livecast.core.nodes.placement import SHARDS, shard_of
from livecast.ledger import LedgerClosed, audit
from livecast.ports import Commit, Committed, Published, Unavailable
from support.drops import NOW, ROOM, click, opened
from support.stores import Clustered, Guarded, Server, scratch

Form: TypeAlias = Guarded | Clustered
BACK_WITHIN_S = 30.0
"""Of a loaded machine: what it takes on an idle one is measured by `make chaos`."""


@pytest.fixture(scope="module")
def guarded() -> Iterator[Guarded]:
    """A primary, its replica and three Sentinels."""
    with scratch() as directory:
        made = Guarded(directory)
        try:
            yield made.start()
        finally:
            made.stop()


@pytest.fixture(scope="module")
def replicated() -> Iterator[Clustered]:
    """Three primaries and their replicas."""
    with scratch() as directory:
        made = Clustered(directory, replicas=1, fsync="always")
        try:
            yield made.start()
        finally:
            made.stop()


@pytest.fixture
def form(request: pytest.FixtureRequest) -> Iterator[Form]:
    """Either of them, whole at the start of each test."""
    made: Form = request.getfixturevalue(request.param)
    assert is_whole(made)
    yield made
    for each in servers(made):
        if each.process is not None and each.lives:
            each.thaw()
        elif not each.lives:
            each.start()


def servers(form: Form) -> list[Server]:
    """All that hold data."""
    return form.servers


def is_whole(form: Form) -> bool:
    """Nobody is missing, everybody is in step."""
    return form.in_step if isinstance(form, Guarded) else form.is_well


def primary_of(form: Form, room: str = ROOM) -> Server | None:
    """Who has the shard of a room; None: nobody at the moment."""
    if isinstance(form, Guarded):
        return form.primary
    said = form.servers[0].command("CLUSTER", "KEYSLOT", f"{{s{shard_of(room)}}}").decode() if form.servers[0].lives else ""
    said = said or form.servers[1].command("CLUSTER", "KEYSLOT", f"{{s{shard_of(room)}}}").decode()
    return form.owner(int(said[1:]))


async def rejoined(form: Form) -> None:
    """Whoever was away follows again, and is in step."""
    if isinstance(form, Guarded):
        for each in form.servers:
            await asyncio.to_thread(form.rejoin, each)
    await until(lambda: is_whole(form))


async def until(condition: Callable[[], object], within_s: float = BACK_WITHIN_S) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(within_s):
        while not await asyncio.to_thread(condition):  # noqa: ASYNC110 - another process's state
            await asyncio.sleep(0.05)


async def answered(call: Callable[[], Any], within_s: float = BACK_WITHIN_S) -> Any:
    """Ask until there is an answer, as whoever wants something does."""
    async with asyncio.timeout(within_s):
        while True:
            try:
                return await call()
            except Unavailable as error:
                if isinstance(error, LedgerClosed):
                    raise
                await asyncio.sleep(0.02)


async def all_units(ledger: RedisLedger, drop: str) -> dict[str, int]:
    """Who has which serial, as the books say."""
    units: list[Any] = []
    while page := await answered(partial(ledger.units, ROOM, drop, len(units), 500)):
        units += page
    assert [unit.serial for unit in units] == list(range(1, len(units) + 1))
    return {unit.user: unit.serial for unit in units}


class Buyers:
    """Claims without a pause, by somebody new each time, each repeated until it is answered; and what they were told."""

    def __init__(self, ledger: RedisLedger, drop: str) -> None:
        self._ledger = ledger
        self._drop = drop
        self.told: dict[str, int] = {}
        self.doubts = 0
        self._stop = False

    async def run(self) -> None:
        n = 0
        while not self._stop:
            n += 1
            user = f"u{n}"
            while True:
                try:
                    answer = await click(self._ledger, user, id_=self._drop)
                except Unavailable:
                    self.doubts += 1
                    await asyncio.sleep(0.01)
                    continue
                break
            assert isinstance(answer, Won), answer
            self.told[user] = answer.serial

    async def until(self, more: int) -> None:
        """So many more were told."""
        wanted = len(self.told) + more
        async with asyncio.timeout(BACK_WITHIN_S):
            while len(self.told) < wanted:  # noqa: ASYNC110 - a count that a task raises
                await asyncio.sleep(0.01)

    def stop(self) -> None:
        self._stop = True


@pytest.fixture
async def ledger(form: Form) -> AsyncIterator[RedisLedger]:
    """A ledger whose answers a replica has on disk."""
    server = LedgerServer(form.url, replicas=1)
    made = RedisLedger(server)
    yield made
    await made.close()
    await server.close()


async def fall(form: Form, how: str) -> Server:
    """Let the primary of the room's shard go, wait for its successor, and bring it back."""
    former = primary_of(form)
    assert former is not None
    getattr(former, how)()
    await until(lambda: primary_of(form) not in {former, None})
    if how == "freeze":
        former.thaw()
    else:
        former.start()
    return former


BOTH = ["guarded", "replicated"]
LATER = pytest.mark.chaos


@pytest.mark.parametrize("how", ["kill", pytest.param("freeze", marks=LATER)])
@pytest.mark.parametrize("form", BOTH, indirect=True)
async def test_nothing_acknowledged_is_lost(form: Form, ledger: RedisLedger, how: str) -> None:
    """The primary is killed, or frozen and wakes up to find another one in its place, while people claim: each `won` that was
    told is in the books with its serial, once, and nothing else is. No shard is closed, as nothing fell back.
    """
    drop = f"sale-{how}"
    await answered(lambda: opened(ledger, drop, stock=1_000_000))
    buyers = Buyers(ledger, drop)
    claiming = asyncio.create_task(buyers.run())
    await buyers.until(20)
    await fall(form, how)
    if how == "freeze":
        await asyncio.sleep(0.5)  # the former primary is awake, and does not know yet that it is none
    await rejoined(form)
    await buyers.until(20)
    buyers.stop()
    await claiming
    assert buyers.doubts, "the fault was not felt"
    assert await all_units(ledger, drop) == buyers.told
    assert not [each for each in await answered(ledger.statuses) if each.closed]
    assert (await audit(ledger)).units >= len(buyers.told)


@pytest.mark.parametrize("form", ["guarded", pytest.param("replicated", marks=LATER)], indirect=True)
async def test_durability_is_looked_at_again(form: Form) -> None:
    """The successor does not sync every write: its ledger is closed until it does."""
    former = primary_of(form)
    assert former is not None
    careless = [each for each in servers(form) if each is not former]
    for each in careless:
        assert b"OK" in each.command("CONFIG", "SET", "appendfsync", "everysec")
    server = LedgerServer(form.url)
    try:
        ledger = RedisLedger(server)
        await answered(lambda: ledger.wallet(ROOM))
        await fall(form, "kill")
        with pytest.raises(LedgerClosed, match="appendfsync everysec"):
            await answered(lambda: ledger.wallet(ROOM))
        for each in careless:
            assert b"OK" in each.command("CONFIG", "SET", "appendfsync", "always")
        await answered(lambda: retry_closed(ledger))
    finally:
        for each in careless:
            each.command("CONFIG", "SET", "appendfsync", "always")
        await server.close()
    await rejoined(form)


@pytest.mark.parametrize("form", ["guarded", pytest.param("replicated", marks=LATER)], indirect=True)
async def test_a_successor_that_stands_behind(form: Form) -> None:
    """Without waiting for replicas: the one that takes over lacks what was acknowledged last. Money of that shard is closed until
    an operator has looked.
    """
    former = primary_of(form)
    assert former is not None
    followers = [each for each in servers(form) if str(former.port) == each.info("replication").get("master_port")]
    server = LedgerServer(form.url)
    ledger = RedisLedger(server)
    try:
        await answered(lambda: ledger.move(Movement(ROOM, "kept", 1, "key:k"), NOW))
        for each in followers:
            each.freeze()
        former.command("CLIENT", "KILL", "TYPE", "replica")  # what is sent from here on stays here
        for n in range(5):
            await answered(partial(ledger.move, Movement(ROOM, f"lost-{n}", 1, "key:k"), NOW))
        former.kill()
        for each in followers:
            each.thaw()
        await until(lambda: primary_of(form) not in {former, None})
        with pytest.raises(LedgerClosed, match=r"position \d+ was seen, but the ledger stood at \d+"):
            await answered(lambda: ledger.move(Movement(ROOM, "new", 1, "key:k"), NOW))
        await answered(lambda: ledger.confirm(shard_of(ROOM), NOW))
        assert isinstance(await answered(lambda: ledger.move(Movement(ROOM, "new", 1, "key:k"), NOW)), Moved)
    finally:
        former.start()
        await ledger.close()
        await server.close()
    await rejoined(form)


async def retry_closed(ledger: RedisLedger) -> None:
    """Closed is not an answer here: it opens by itself."""
    try:
        await ledger.wallet(ROOM)
    except LedgerClosed as error:
        raise Unavailable(str(error)) from error


@pytest.mark.parametrize("form", [pytest.param("guarded", marks=LATER), "replicated"], indirect=True)
async def test_rooms_go_on_and_are_heard(form: Form, facts: Any) -> None:
    """The owner's commits go to the successor, which is another life of the store; a follower in another process is told that it
    may have missed something, and hears what comes then.
    """
    servers_of_both = [RedisServer(form.url), RedisServer(form.url)]
    log, near, far = RedisRoomLog(servers_of_both[0]), RedisBus(servers_of_both[0], facts), RedisBus(servers_of_both[1], facts)
    reborn: set[int] = set()
    log.on_reborn(reborn.update)
    heard: list[Published] = []
    epoch = f"e-{type(form).__name__}"
    number = 0

    async def commit() -> None:
        nonlocal number
        number += 1
        the_commit = Commit(
            ROOM, "owner", epoch, number, number, 1_000, frame=b"frame", snapshot=b"s" if number == 1 else None, broadcast="b"
        )
        await answered(lambda: log.commit(the_commit))

    try:
        await answered(lambda: log.take(shard_of(ROOM), "owner"))
        await near.serve(shard_of(ROOM), lambda _room, _events: None)
        await far.follow(ROOM, heard.append)
        await commit()
        await until(lambda: len(heard) >= 1)
        await fall(form, "kill")
        await rejoined(form)
        async with asyncio.timeout(BACK_WITHIN_S):
            while not any(each.seq == number and each.epoch for each in heard[1:]):
                await commit()
                await asyncio.sleep(0.02)
        gaps = [each for each in heard if not each.epoch]
        assert gaps, "nobody said that something may be missing"
        assert shard_of(ROOM) in reborn, "nobody noticed that the store is another one"
    finally:
        await asyncio.gather(near.close(), far.close(), log.close())
        for server in servers_of_both:
            await server.close()


async def test_a_node_that_hangs_holds_up_nobody_else(replicated: Clustered) -> None:
    """One of three primaries is frozen: commits in rooms of the others are answered at once all the same."""
    assert replicated.is_well
    server = RedisServer(replicated.url, deadline_s=2 * BACK_WITHIN_S)
    log = RedisRoomLog(server)
    rooms = [f"room-{n}" for n in range(60)]

    def tick(room: str, number: int) -> asyncio.Task[Committed]:
        begins = b"s" if number == 1 else None
        commit = Commit(room, "t", "e", number, number, 1_000, frame=b"f", snapshot=begins, broadcast="b")
        return asyncio.create_task(log.commit(commit))

    try:
        await answered(lambda: asyncio.gather(*(log.take(shard, "t") for shard in range(SHARDS))))  # the first connections of all
        await asyncio.gather(*(tick(room, 1) for room in rooms))
        frozen = primary_of(replicated, rooms[0])
        assert frozen is not None
        at = {room: server.route(f"{{s{shard_of(room)}}}:owner") for room in rooms}
        frozen.freeze()
        try:
            ticks = {room: tick(room, 2) for room in rooms}
            await until(lambda: all(task.done() for room, task in ticks.items() if at[room] != frozen.place))
            assert {at[room] for room, task in ticks.items() if not task.done()} == {frozen.place}
        finally:
            frozen.thaw()
        await asyncio.gather(*ticks.values(), return_exceptions=True)  # late, or decided by a replica: not what is asked here
    finally:
        await log.close()
        await server.close()
    await until(lambda: replicated.is_well)


async def test_a_slot_moves_under_a_sale(replicated: Clustered, facts: Any) -> None:
    """The slot of the room's shard is handed to another node while people claim and a follower listens."""
    assert replicated.is_well
    source = primary_of(replicated)
    assert source is not None
    slot = source.command("CLUSTER", "KEYSLOT", f"{{s{shard_of(ROOM)}}}").decode()[1:].strip()
    target = next(each for n in (0, 8000, 16000) if (each := replicated.owner(n)) not in {source, None})
    assert target is not None
    server, other = LedgerServer(replicated.url, replicas=1), RedisServer(replicated.url)
    ledger, bus, heard = RedisLedger(server), RedisBus(other, facts), list[Published]()
    try:
        await bus.follow(ROOM, heard.append)
        await answered(lambda: opened(ledger, "moving", stock=1_000_000))
        buyers = Buyers(ledger, "moving")
        claiming = asyncio.create_task(buyers.run())
        await buyers.until(10)
        said = source.command("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", slot, slot, "NODE", replicated.id_of(target))
        assert said.startswith(b"+OK"), said
        await until(lambda: replicated.owner(int(slot)) is target)
        await buyers.until(10)
        buyers.stop()
        await claiming
        assert server.route(f"{{s{shard_of(ROOM)}}}:barrier") == target.place
        assert await all_units(ledger, "moving") == buyers.told
        await until(lambda: any(not each.epoch for each in heard))
        log = RedisRoomLog(other)
        await answered(lambda: log.take(shard_of(ROOM), "t"))
        begins = Commit(ROOM, "t", "moved", 1, 1, 1_000, frame=b"f", snapshot=b"s", broadcast="b")
        await answered(lambda: log.commit(begins))
        await until(lambda: any(each.epoch == "moved" for each in heard))
    finally:
        await bus.close()
        await ledger.close()
        await server.close()
        await other.close()
