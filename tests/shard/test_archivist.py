"""The archive kept up with rooms and ledgers: exactly once, whatever fails in between."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from livecast.adapters.archive.store import SqlArchive, sqlite_url
from livecast.adapters.memory.ledger import MemoryLedger
from livecast.adapters.memory.log import MemoryRoomLog
from livecast.adapters.memory.records import MemoryRoomRecords
from livecast.archive import Move
from livecast.core.events import Person
from livecast.core.frames import Comment, Frame, Tally
from livecast.core.money.coins import Movement
from livecast.core.nodes.placement import SHARDS, shard_of
from livecast.core.records.chronicle import Rows
from livecast.facts import Archived, Fact, Flushed, Trouble
from livecast.ledger import LedgerClosed
from livecast.ports import Commit, Unavailable
from livecast.shard.archivist import ROWS_MAX, Archivist, Retention
from livecast.wire import records as wire

ANN = Person("ann", "Ann")
ROOMS = ("r1", "r2", "r3")


def now_ms() -> int:
    """Unix ms."""
    return time.time_ns() // 1_000_000


class Archive(SqlArchive):
    """A real one that can be told to be away, or to lose its last word: what is unrealistic is only how promptly it does."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.away = False
        self.mute_next = 0
        self.sizes: list[int] = []

    async def open(self) -> None:
        if self.away:
            raise Unavailable("away")
        await super().open()

    async def append(self, rows: Rows, moves: Sequence[Move]) -> None:
        if self.away:
            raise Unavailable("away")
        await super().append(rows, moves)
        self.sizes.append(len(rows))
        if self.mute_next:
            self.mute_next -= 1
            raise Unavailable("written, but nobody heard of it")


class House:
    """Rooms that commit, a ledger, and an archive."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.records = MemoryRoomRecords()
        self.log = MemoryRoomLog(self.records)
        self.ledger = MemoryLedger(now_ms)
        self.archive = Archive(url)
        self.facts: list[Fact] = []
        self.numbers = dict.fromkeys(ROOMS, 0)
        self.running: list[Archivist] = []
        self.payments = 0

    def observe(self, fact: Fact) -> None:
        self.facts.append(fact)

    def archivist(self, archive: SqlArchive | None = None, **more: Any) -> Archivist:
        made = Archivist(
            archive=archive or self.archive, records=self.records, ledger=self.ledger, clock=now_ms, observer=self,
            gather_s=0.01, **more,
        )  # fmt: skip
        self.running.append(made)
        return made

    async def speak(self, room: str, comments: int = 2) -> None:
        """One commit with so many comments."""
        number = self.numbers[room] = self.numbers[room] + 1
        if number == 1:
            await self.log.take(shard_of(room), "t")
        said = tuple(Comment(f"e-{number}.{n}", ANN, f"text {n}", now_ms()) for n in range(comments))
        frame = wire.encode_frame(Frame("e", number, now_ms(), comments=said, tally=Tally(comments, comments)))
        summary = wire.encode_summary({"room": room, "broadcast": "b", "status": "live", "started_at": 1})
        snapshot = b"\x86" if number == 1 else None
        commit = Commit(room, "t", "e", number, number, now_ms(), frame, snapshot=snapshot, counts_for="b", summary=summary)
        if number == 1:
            empty = {"epoch": "e", "seq": 0, "state": {}, "policy": {}, "recent": []}
            commit = Commit(
                room, "t", "e", 1, 1, now_ms(), frame, snapshot=wire._encoder.encode(empty), counts_for="b", summary=summary
            )
        await self.log.commit(commit)
        for each in self.running:
            each.observe(Flushed(room, 0, 0, 0, {}, 0))

    async def pay(self, user: str, times: int = 1) -> None:
        """So many credits of one coin."""
        for _ in range(times):
            self.payments += 1
            await self.ledger.move(Movement(user, f"t{self.payments}", 1, "key:k"), now_ms())
        shard = shard_of(user)
        entries = (await self.ledger.read(shard, 0, 1_000_000))[-times:]
        for each in self.running:
            each.hear(shard, entries)

    # --- What is archived, and what should be ---
    async def counted(self, room: str) -> tuple[int, int]:
        """(comments, of the tally) in the archive."""
        reader = SqlArchive(self.url)
        try:
            await reader.open()
            of = await reader.broadcast(room, "b")
            if of is None:
                return 0, 0
            comments = [each async for page in reader.comments(of) for each in page]
            return len(comments), (await reader.figures(of)).counts.get("in", 0)
        finally:
            await reader.close()

    async def paid(self, user: str) -> int:
        """Money rows of a user in the archive."""
        reader = SqlArchive(self.url)
        try:
            return len([row async for kind, row in reader.export(user) if kind == "money"])
        finally:
            await reader.close()

    def troubles(self) -> list[str]:
        return [fact.what for fact in self.facts if isinstance(fact, Trouble)]

    async def close(self) -> None:
        for each in self.running:
            await each.stop()
        await self.archive.close()


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """With an archive in a file."""
    made = House(sqlite_url(tmp_path))
    yield made
    await made.close()


async def until(condition: Callable[[], Any], within_s: float = 60.0) -> None:
    """Wait for it."""
    async with asyncio.timeout(within_s):
        while not await condition():  # noqa: ASYNC110 - the condition is in a database, which rings no bell
            await asyncio.sleep(0.02)


async def test_rows_equal_the_streams(house: House) -> None:
    """Comments, tallies and money of all shards; what was archived is forgotten by the rooms store."""
    await house.archivist().start(within_s=10)
    for n in range(20):
        await house.speak(ROOMS[n % 3])
        await house.pay(f"u{n % 4}")
    await until(lambda: _all(house, {"r1": 14, "r2": 14, "r3": 12}, {f"u{n}": 5 for n in range(4)}))
    left = await house.records.read({shard_of(room): "" for room in ROOMS}, 10)
    assert not any(left.values())
    assert house.troubles() == []


async def _all(house: House, comments: dict[str, int], money: dict[str, int]) -> bool:
    said = {room: await house.counted(room) for room in comments}
    paid = {user: await house.paid(user) for user in money}
    assert all(in_rows <= n for (in_rows, _), n in zip(said.values(), comments.values(), strict=True)), said
    return said == {room: (n, n) for room, n in comments.items()} and paid == money


async def test_what_happened_before_the_start(house: House) -> None:
    """Is read first; a stop writes what there is."""
    await house.speak("r1")
    await house.pay("ann", 3)
    first = house.archivist()
    await first.start(within_s=10)
    await until(lambda: _all(house, {"r1": 2}, {"ann": 3}))
    await first.stop()
    await house.speak("r1")
    second = house.archivist()
    await second.start(within_s=10)
    await house.speak("r1")
    await second.stop()
    assert await house.counted("r1") == (6, 6)


async def test_an_archive_that_is_away_is_caught_up_with(house: House) -> None:
    """Rooms and payments go on; it is told once; afterwards everything is there, in batches that memory holds."""
    house.archive.away = True
    archivist = house.archivist()
    assert not await archivist.start(within_s=0.2)
    for _ in range(400):
        await house.speak("r1", comments=50)
    await house.pay("ann", 1_200)
    house.archive.away = False
    await until(lambda: _all(house, {"r1": 20_000}, {"ann": 1_200}))
    assert house.troubles() == ["the archive is behind"]
    assert max(house.archive.sizes) <= ROWS_MAX + 100 * 54 + 6_400
    behind = [fact.behind_ms for fact in house.facts if isinstance(fact, Archived)]
    assert max(behind) >= 200


async def test_a_write_without_an_answer_is_not_written_twice(house: House) -> None:
    """The cursors are asked where they stand."""
    await house.archivist().start(within_s=10)
    house.archive.mute_next = 2
    for _ in range(10):
        await house.speak("r1")
        await house.pay("ann")
        await asyncio.sleep(0.01)
    await until(lambda: _all(house, {"r1": 20}, {"ann": 10}), within_s=30)


async def test_two_who_take_a_shard_for_theirs(house: House) -> None:
    """Nothing is there twice, whoever writes it."""
    other = Archive(house.url)
    await house.archivist().start(within_s=10)
    await house.archivist(other).start(within_s=10)
    for n in range(60):
        await house.speak(ROOMS[n % 3], comments=1)
        await house.pay("ann")
        await asyncio.sleep(0.005)
    await until(lambda: _all(house, dict.fromkeys(ROOMS, 20), {"ann": 60}))
    assert "archiving failed" not in house.troubles()
    await other.close()


async def test_what_is_lost_is_counted(house: House) -> None:
    """Where the rooms store had no more room than for some records."""
    house.records = MemoryRoomRecords(bytes_max=2_000)
    house.log = MemoryRoomLog(house.records)
    await house.speak("r1")
    first = house.archivist()
    await first.start(within_s=10)
    await until(lambda: _all(house, {"r1": 2}, {}))
    await first.stop()
    for _ in range(50):
        await house.speak("r1")
    kept = len((await house.records.read({shard_of("r1"): ""}, 1_000))[shard_of("r1")])
    assert 0 < kept < 50
    await house.archivist().start(within_s=10)
    await until(lambda: _all(house, {"r1": 2 + 2 * kept}, {}))
    assert sum(fact.lost for fact in house.facts if isinstance(fact, Archived)) == 50 - kept
    assert f"{50 - kept} records never came to this archive" in house.troubles()


async def test_a_ledger_that_lost_entries_is_closed(house: House) -> None:
    """The archive remembers its position over a restart of everything: money stays closed there, and only there."""
    await house.pay("ann", 5)
    first = house.archivist()
    await first.start(within_s=10)
    await until(lambda: _all(house, {}, {"ann": 5}))
    await first.stop()
    house.ledger = MemoryLedger(now_ms)
    await house.archivist().start(within_s=10)
    with pytest.raises(LedgerClosed):
        await house.ledger.move(Movement("ann", "t", 1, "key:k"), now_ms())
    other = next(f"u{n}" for n in range(99) if shard_of(f"u{n}") != shard_of("ann"))
    await house.ledger.move(Movement(other, "t", 1, "key:k"), now_ms())
    await house.ledger.confirm(shard_of("ann"), now_ms())
    await house.pay("ann", 2)
    await until(lambda: _all(house, {}, {"ann": 7}))


async def test_only_own_shards_are_read(house: House) -> None:
    """Another process sees to the others."""
    mine = shard_of("r1")
    assert mine != shard_of("r2")
    await house.speak("r1")
    await house.speak("r2")
    await house.archivist().start([mine], within_s=10)
    await until(lambda: _all(house, {"r1": 2}, {}))
    assert await house.counted("r2") == (0, 0)


async def test_what_is_old_is_deleted(house: House) -> None:
    """By class, after so many days; 0 keeps for good."""
    assert Retention(1, 0, 2).oldest(10 * 86_400_000) == {"chat": 9 * 86_400_000, "staff": 8 * 86_400_000}
    await house.speak("r1")
    first = house.archivist()
    await first.start(within_s=10)
    await until(lambda: _all(house, {"r1": 2}, {}))
    await first.stop()
    ahead = Archivist(
        archive=house.archive, records=house.records, ledger=house.ledger, clock=lambda: now_ms() + 2 * 86_400_000, observer=house,
        retention=Retention(chat_days=1), gather_s=0.01,
    )  # fmt: skip
    house.running.append(ahead)
    await ahead.start(within_s=10)

    async def gone() -> bool:
        return await house.counted("r1") == (0, 2)

    await until(gone)


def test_there_are_as_many_shards_as_rooms_are_dealt_to() -> None:
    """What the bounds of a read are made for."""
    assert SHARDS == 256
