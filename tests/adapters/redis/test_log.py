"""The Redis room log when the server does not behave. What it promises otherwise is in `tests/contract`."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from livecast.adapters.redis.log import RedisRoomLog
from livecast.adapters.redis.server import RedisServer
from livecast.core.nodes.formats import FORMAT, READER
from livecast.core.nodes.placement import SHARDS, shard_of
from livecast.ports import Commit, Committed, StoreError, Unavailable, WrongFormat

ROOM = "demo"


def commit(number: int, room: str = ROOM, **more: Any) -> Commit:
    """The `number`th tick of a room."""
    snapshot = b"snapshot" if number == 1 else None
    return Commit(room, "owner", "e1", number, number, 1_000 + number, frame=b"frame %d" % number, snapshot=snapshot, **more)


@pytest.fixture
async def log(valkey: str) -> AsyncIterator[RedisRoomLog]:
    """A log that owns all shards."""
    server = RedisServer(valkey)
    made = RedisRoomLog(server)
    await asyncio.gather(*(made.take(shard, "owner") for shard in range(SHARDS)))
    yield made
    await made.close()
    await server.close()


@pytest.fixture
async def crash_log(crashable_valkey: Any) -> AsyncIterator[RedisRoomLog]:
    """A log with a short deadline on a server that will be hurt."""
    server = RedisServer(crashable_valkey.url, deadline_s=0.4)
    made = RedisRoomLog(server)
    await made.take(shard_of(ROOM), "owner")
    await made.commit(commit(1))
    yield made
    await made.close()
    await server.close()


async def repeat_until_answered(log: RedisRoomLog, the_commit: Commit) -> Committed:
    """What an owner does: the same bytes, again."""
    async with asyncio.timeout(10):
        while True:
            try:
                return await log.commit(the_commit)
            except Unavailable:
                await asyncio.sleep(0.01)


async def test_a_room_says_in_which_format_it_is_written(log: RedisRoomLog, valkey_server: Any) -> None:
    """And is not read by who does not know that one, whatever the store as a whole says of itself."""
    await log.commit(commit(1))
    where = f"{{s{shard_of(ROOM)}}}:room:{ROOM}"
    assert valkey_server.command("HGET", where, "format").split(b"\r\n")[1] == str(READER).encode()
    assert await log.load(ROOM) is not None
    valkey_server.command("HDEL", where, "format")  # from before it was said
    assert await log.load(ROOM) is not None
    valkey_server.command("HSET", where, "format", str(FORMAT + 1))
    for look in (log.load, log.read):
        with pytest.raises(WrongFormat, match="by a later version"):
            await look(ROOM)


async def test_killed_during_commits(crash_log: RedisRoomLog, crashable_valkey: Any) -> None:
    """Kill -9 of the server while commits run: calls under way are `Unavailable`, never lost in silence; repeated with the
    same bytes after a restart each is there exactly once, in order, with its users counted once.
    """
    unavailable = 0

    async def run() -> int:
        nonlocal unavailable
        users = 0
        for number in range(2, 400):
            the_commit = commit(number, new_users=(f"u{number}",))
            try:
                users = (await crash_log.commit(the_commit)).users_total
            except Unavailable:
                unavailable += 1
                users = (await repeat_until_answered(crash_log, the_commit)).users_total
        return users

    running = asyncio.create_task(run())
    for pause_s in (0.02, 0.05):
        await asyncio.sleep(pause_s)
        crashable_valkey.kill()
        await asyncio.to_thread(crashable_valkey.start)
    users = await running
    assert unavailable > 0
    stored = await crash_log.read(ROOM)
    assert stored is not None
    assert [(e.number, e.frame) for e in stored.entries] == [(n, b"frame %d" % n) for n in range(1, 400)]
    assert abs(users - 398) <= 8


async def test_frozen_server(crash_log: RedisRoomLog, crashable_valkey: Any) -> None:
    """A server that hangs makes every call `Unavailable` at its deadline. What it had received it may still do when it wakes:
    the repeat then gets the same answer, and nothing is there twice.
    """
    crashable_valkey.freeze()
    loop = asyncio.get_running_loop()
    began = loop.time()
    calls = [crash_log.commit(commit(2, new_users=("a",))), crash_log.read(ROOM), crash_log.load(ROOM), crash_log.rooms("", 1)]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(answer) for answer in answers] == [Unavailable] * 4
    assert 0.3 < loop.time() - began < 1
    with pytest.raises(Unavailable):
        await crash_log.commit(commit(2, new_users=("a",)))
    crashable_valkey.thaw()
    assert (await repeat_until_answered(crash_log, commit(2, new_users=("a",)))).users_total == 1
    stored = await crash_log.read(ROOM)
    assert stored is not None
    assert [e.number for e in stored.entries] == [1, 2]


async def test_a_cancelled_caller_poisons_nothing(log: RedisRoomLog) -> None:
    """Calls given up in the middle leave no answer behind for the next one on that connection."""
    await log.commit(commit(1))
    for _ in range(30):
        tasks = [asyncio.create_task(log.read(ROOM)), asyncio.create_task(log.rooms("", 10))]
        await asyncio.sleep(0.0003)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        stored = await log.read(ROOM)
        assert stored is not None
        assert stored.number == 1


async def test_a_cancelled_commit_disturbs_no_other(log: RedisRoomLog) -> None:
    """Of commits that share a pipeline each is its own caller's affair."""
    rooms = [f"r{n}" for n in range(20)]
    tasks = [asyncio.create_task(log.commit(commit(1, room))) for room in rooms]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(answer) for answer in answers] == [asyncio.CancelledError, Committed] * 10


async def test_a_server_that_forgot_its_scripts(log: RedisRoomLog, valkey_server: Any) -> None:
    """After a fail-over or restart the script is loaded again within the call; every call of the pipeline is answered."""
    rooms = [f"r{n}" for n in range(10)]
    await asyncio.gather(*(log.commit(commit(1, room)) for room in rooms))
    valkey_server.command("SCRIPT", "FLUSH")
    answers = await asyncio.gather(*(log.commit(commit(2, room)) for room in rooms))
    assert answers == [Committed(0)] * 10


async def test_close_calls_share_a_round_trip(log: RedisRoomLog, valkey_server: Any) -> None:
    """200 rooms that commit in the same moment cost a few reads of the server, not 200."""

    def reads() -> int:
        found = re.search(rb"total_reads_processed:(\d+)", valkey_server.command("INFO", "stats"))
        assert found is not None
        return int(found[1])

    await log.commit(commit(1))
    before = reads()
    await asyncio.gather(*(log.commit(commit(1, f"r{n}")) for n in range(200)))
    assert reads() - before < 20


async def test_a_picture_is_one_transaction(log: RedisRoomLog, valkey_server: Any) -> None:
    """`read` and `load` ask for the room's parts between MULTI and EXEC: a commit of another process cannot come between,
    however the bytes are cut on their way.
    """

    def transactions() -> int:
        found = re.search(rb"cmdstat_exec:calls=(\d+)", valkey_server.command("INFO", "commandstats"))
        return int(found[1]) if found else 0

    before = transactions()
    await log.read(ROOM)
    await log.load(ROOM)
    assert transactions() == before + 2


async def test_a_server_out_of_memory_does_nothing_by_halves(log: RedisRoomLog, valkey_server: Any) -> None:
    """A full server refuses a commit as a whole with `Unavailable`; with room again the same bytes are taken."""
    await log.commit(commit(1))
    before = await log.load(ROOM)
    the_commit = commit(2, remembered=b"\x90", new_users=("a",), summary=b"{}")
    new_epoch = Commit(ROOM, "owner", "e2", 1, 0, 2_000, snapshot=b"fresh")  # it deletes, which a full server allows
    valkey_server.command("CONFIG", "SET", "maxmemory", "1")
    try:
        for refused in (the_commit, new_epoch):
            with pytest.raises(Unavailable, match="memory"):
                await log.commit(refused)
    finally:
        valkey_server.command("CONFIG", "SET", "maxmemory", "0")
    assert await log.load(ROOM) == before
    assert (await log.commit(the_commit)).users_total == 1


async def test_a_foreign_key_is_told_apart_from_a_pause(log: RedisRoomLog, valkey_server: Any) -> None:
    """What no repeat will cure (here a key of another type) is a `StoreError` but not `Unavailable`."""
    valkey_server.command("SET", f"{{s{shard_of(ROOM)}}}:room:{ROOM}", "something else")
    with pytest.raises(StoreError) as raised:
        await log.commit(commit(1))
    assert not isinstance(raised.value, Unavailable)


async def test_closing_ends_calls_under_way(crash_log: RedisRoomLog, crashable_valkey: Any) -> None:
    """A commit that waits while the log is closed is `Unavailable`, and so is every later one."""
    crashable_valkey.freeze()
    waiting = asyncio.create_task(crash_log.commit(commit(2)))
    await asyncio.sleep(0.01)
    await crash_log.close()
    with pytest.raises(Unavailable):
        await waiting
    with pytest.raises(Unavailable):
        await crash_log.commit(commit(2))
    crashable_valkey.thaw()


async def test_nobody_there() -> None:
    """No server at the address: `Unavailable`, at once."""
    server = RedisServer("unix:///nonexistent/valkey.sock")
    with pytest.raises(Unavailable, match="nonexistent"):
        await server.check()
    await server.close()


async def test_the_server_is_checked(valkey: str) -> None:
    """A server that is new enough gives its version."""
    server = RedisServer(valkey)
    assert int((await server.check()).split(".")[0]) >= 7
    await server.close()


async def test_a_token_is_not_waited_for_beyond_the_deadline(crash_log: RedisRoomLog, crashable_valkey: Any) -> None:
    """All rooms of a shard wait for its new token: a server that hangs costs them a call, and they ask again."""
    crashable_valkey.freeze()
    async with asyncio.timeout(8):
        with pytest.raises(Unavailable):
            await crash_log.regain(shard_of(ROOM), "owner", "new owner")
