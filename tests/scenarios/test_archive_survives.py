"""A node that archives while everything around it is killed: rows equal the streams afterwards, none twice, none missing."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import Any

import aiohttp

from livecast.adapters.archive.store import SqlArchive, sqlite_url
from livecast.adapters.redis.ledger import RedisLedger
from livecast.adapters.redis.ledger_calls import LedgerServer
from livecast.core.nodes.placement import shard_of
from livecast.core.records.chronicle import money_of
from support.node import DEV_KEY, NodeProcess, token
from support.postgres import Postgres

ROOM = "/v1/rooms/show"
USERS = [f"p{n}" for n in range(6)]


class Crowd:
    """People who speak and pay in turns, and remember what they were told."""

    def __init__(self, node: NodeProcess) -> None:
        self._node = node
        self.shown: set[str] = set()
        """Comments that somebody saw."""
        self.done = asyncio.Event()
        self.n = 0

    async def run(self) -> None:
        """Until `done`; what is not answered is forgotten."""
        async with aiohttp.ClientSession() as session:
            await asyncio.gather(*(self._person(session, user) for user in USERS))

    async def _person(self, session: aiohttp.ClientSession, user: str) -> None:
        headers = {"Authorization": f"Bearer {token(user)}"}
        while not self.done.is_set():
            self.n += 1
            said: dict[str, Any] = {"t": "comment", "cid": f"c{self.n}", "text": f"{user} says {self.n}"}
            try:
                told = await _post(session, f"{self._node.base}{ROOM}/messages", said, headers)
                if told.get("verdict") == "shown":
                    self.shown.add(told["id"])
                credit = {"tx": f"t{self.n}", "amount": 1}
                await _post(session, f"{self._node.base}/v1/wallets/{user}/credits", credit, DEV_KEY)
                gift = {"t": "gift", "cid": f"g{self.n}", "gift": "rose", "n": 1}
                await _post(session, f"{self._node.base}{ROOM}/messages", gift, headers)
            except (aiohttp.ClientError, TimeoutError):
                await asyncio.sleep(0.05)


async def _post(session: aiohttp.ClientSession, url: str, body: Any, headers: dict[str, str]) -> dict[str, Any]:
    async with session.post(url, json=body, headers=headers, timeout=aiohttp.ClientTimeout(3)) as answer:
        told: dict[str, Any] = await answer.json(content_type=None)
        return told


async def in_the_ledger(node: NodeProcess) -> Counter[tuple[int, int, int]]:
    """(shard, position, line) of every line that the ledger's entries make."""
    server = LedgerServer(f"unix://{node.data / 'ledger' / 'valkey.sock'}", durability="none")
    ledger = RedisLedger(server)
    try:
        lines: Counter[tuple[int, int, int]] = Counter()
        for shard in {shard_of(place) for place in ("show", *USERS)}:
            after = 0
            while page := await ledger.read(shard, after, 500):
                after = page[-1].position
                lines.update((row.shard, row.position, row.line) for entry in page for row in money_of(shard, entry))
        return lines
    finally:
        await ledger.close()
        await server.close()


async def archived(archive: SqlArchive, users: list[str]) -> tuple[Counter[tuple[int, int, int]], set[str], int, int]:
    """Money rows of `users`, ids of comments, how many there are, and how many were shown by the tally."""
    money: Counter[tuple[int, int, int]] = Counter()
    for user in users:
        async for kind, row in archive.export(user):
            if kind == "money":
                money[row["shard"], row["position"], row["line"]] += 1
    of = await archive.broadcast("show", None)
    if of is None:
        return money, set(), 0, 0
    ids = [each if isinstance(each, str) else each.id async for page in archive.comments(of) for each in page]
    counts = (await archive.figures(of)).counts
    return money, set(ids), len(ids), counts.get("shown", 0)


async def tell_the_show(node: NodeProcess) -> None:
    """Make the room and start it."""
    async with aiohttp.ClientSession(headers=DEV_KEY) as session:
        await session.put(f"{node.base}{ROOM}", json={})
        await session.post(f"{node.base}{ROOM}/start")


async def settled(node: NodeProcess, archive: SqlArchive, crowd: Crowd) -> None:
    """Wait until the archive has what the ledger has and all that was shown, and no more."""
    deadline = time.monotonic() + 60
    while True:
        ledger = await in_the_ledger(node)
        money, ids, rows, shown = await archived(archive, USERS)
        if money == ledger and crowd.shown <= ids and rows == len(ids) == shown:
            assert len(crowd.shown) > 10, "nothing was said: nothing was shown to hold"
            assert len(money) > 20
            return
        missing, more = ledger - money, money - ledger
        assert time.monotonic() < deadline, (
            f"missing {list(missing)[:3]} ({len(missing)}), too many {list(more)[:3]} ({len(more)}), "
            f"comments {rows}, {len(ids)}, shown {shown}, not archived {len(crowd.shown - ids)}"
        )
        await asyncio.sleep(0.3)


async def test_a_node_killed_while_it_archives() -> None:
    """Kill -9, twice, with a SQLite file: the next one goes on from the cursors, which are as old as the rows."""
    with NodeProcess() as node:
        await tell_the_show(node)
        crowd = Crowd(node)
        running = asyncio.create_task(crowd.run())
        for _ in range(2):
            await asyncio.sleep(1.2)
            node.kill()
            await asyncio.to_thread(node.start)
        await asyncio.sleep(1.0)
        crowd.done.set()
        await running
        archive = SqlArchive(sqlite_url(node.data))
        await settled(node, archive, crowd)
        await archive.close()


async def test_a_database_killed_while_it_is_written(crashable_postgres: Postgres) -> None:
    """PostgreSQL, kill -9, and away for a while: rooms and payments do not notice, and it is caught up with."""
    with NodeProcess(env={"LIVECAST_ARCHIVE__URL": crashable_postgres.url}) as node:
        await tell_the_show(node)
        crowd = Crowd(node)
        running = asyncio.create_task(crowd.run())
        await asyncio.sleep(1.2)
        crashable_postgres.kill()
        before = len(crowd.shown)
        await asyncio.sleep(1.5)
        assert len(crowd.shown) > before, "rooms stood still while the archive was away"
        await asyncio.to_thread(crashable_postgres.start)
        await asyncio.sleep(1.0)
        crowd.done.set()
        await running
        archive = SqlArchive(crashable_postgres.url)
        await settled(node, archive, crowd)
        await archive.close()


async def test_a_ledger_that_came_back_empty() -> None:
    """The archive remembers where it stood over a restart of everything: no money there until an operator has confirmed."""
    with NodeProcess() as node:
        async with aiohttp.ClientSession(headers=DEV_KEY) as session:
            told = await _post(session, f"{node.base}/v1/wallets/ann/credits", {"tx": "t", "amount": 5}, DEV_KEY)
            assert told["balance"] == 10_005
            archive = SqlArchive(sqlite_url(node.data))
            deadline = time.monotonic() + 20
            while not [row async for _, row in archive.export("ann")]:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.1)
            await archive.close()
            assert node.stop() == 0
            for file in sorted((node.data / "ledger").rglob("*"), reverse=True):
                file.unlink() if file.is_file() or file.is_socket() else file.rmdir()
            await asyncio.to_thread(node.start)
            async with session.post(f"{node.base}/v1/wallets/ann/credits", json={"tx": "t2", "amount": 5}) as answer:
                assert answer.status == 503, await answer.text()
