"""What happened in rooms and ledgers, written to the archive by the owner of the shards.

Rules for whoever edits this file:
- No room and no payment ever waits for the archive. What is not archived yet waits in the stores, which bound it.
- A batch and the cursors behind it are written in one step. When it is unknown whether that happened, the cursors are asked.
- Records are forgotten only after the batch that has them was written. Memory holds one batch.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from typing import Final

from msgspec import Struct

from livecast.archive import Archive, Class, Cursor, Move, Overtaken, Source
from livecast.core.books.bookkeeping import BookEntry
from livecast.core.nodes.placement import SHARDS, shard_of
from livecast.core.records.chronicle import Chronicle
from livecast.facts import Archived, Fact, Flushed, Observer, Trouble, fault_of
from livecast.ledger import Ledger, understood
from livecast.ports import Clock, Record, RoomRecords, StoreError
from livecast.shard.ledger_tail import Read
from livecast.wire import records as wire

GATHER_S: Final = 0.5
"""What is said in this time after a pause is written together."""
BUSY_TIMES: Final = 4
"""... and in so many times as long while more and more is said: a batch of one lively room takes some 10 ms of the process, and
every half second that was a tenth of what fan-out to a thousand viewers takes. Reports are not older."""
PAUSE_MS: Final = 5_000
POLL_MS: Final = 30_000
"""How often shards are looked at of which nothing was heard. A look at all of them is a handful of round trips."""
ROOM_READ_MAX: Final = 100
"""Records of one shard read at once: 20 s of a busy room, some 200 KB."""
LEDGER_READ_MAX: Final = 100
"""Entries likewise: with 500 grants each some 3 MB."""
SHARDS_READ_MAX: Final = 64
"""Shards read at once, in one round trip: bounds what is in memory to some 13 MB where all rooms are busy."""
TURN_RECORDS: Final = 20
"""Records made into rows before rooms get their turn: some 3 ms, where each has ten comments."""
ROWS_MAX: Final = 5_000
"""Rows gathered before they are written: 200 ms of SQLite. One read more may come on top."""
RETRY_FIRST_S: Final = 0.5
RETRY_MAX_S: Final = 10.0
KEEP_EVERY_MS: Final = 3_600_000
"""How often what is old is deleted..."""
KEEP_SLICE: Final = 2_000
"""... so many rows at a time, with a breath in between."""
ERASE_AGAIN_MS: Final = 600_000
"""An erasure is repeated once after this: what was on its way when it was asked for has come by then."""
DAY_MS: Final = 24 * 3600 * 1000


class Retention(Struct, frozen=True):
    """For how many days each class of rows is kept; 0: for good."""

    chat_days: int = 180
    money_days: int = 3_650
    staff_days: int = 730

    def oldest(self, now: int) -> dict[Class, int]:
        """Rows from before are deleted."""
        days: dict[Class, int] = {"chat": self.chat_days, "money": self.money_days, "staff": self.staff_days}
        return {name: now - kept * DAY_MS for name, kept in days.items() if kept}


class Archivist:
    """Keeps the archive up with the shards of this process. An `Observer`, to hear which rooms have spoken."""

    def __init__(
        self,
        *,
        archive: Archive,
        records: RoomRecords,
        ledger: Ledger,
        clock: Clock,
        observer: Observer,
        retention: Retention | None = None,
        gather_s: float = GATHER_S,
        read: Read | None = None,
    ) -> None:
        """`read` reads a ledger on where that is not the ledger itself: `LedgerTail.read`, say."""
        self._archive = archive
        self._records = records
        self._ledger = ledger
        self._read_on = read or ledger.read
        self._clock = clock
        self._observer = observer
        self._retention = retention or Retention()
        self._gather_s = gather_s
        self._shards: dict[int, None] = {}
        self._outdated = False
        """Cursors of shards that came to us are to be read anew."""
        self._cursors: dict[Source, dict[int, Cursor]] = {}
        self._due: dict[Source, set[int]] = {"rooms": set(), "ledger": set()}
        self._taken: dict[Source, set[int]] = {"rooms": set(), "ledger": set()}
        """What was due when catching up began, and is not read to its end yet."""
        self._next_poll = 0
        self._next_keep = 0
        self._wrote_at = 0
        self._ready = asyncio.Event()
        self._ring = asyncio.Event()
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    # --- Feed -----------------------------------------------------------------------------------------------------------
    def observe(self, fact: Fact) -> None:
        """A room has committed something: there is a record of it."""
        if type(fact) is Flushed and (shard := shard_of(fact.room)) in self._shards:
            self._due["rooms"].add(shard)
            self._ring.set()

    def hear(self, shard: int, _entries: Sequence[BookEntry]) -> None:
        """There is something new in a ledger."""
        self._due["ledger"].add(shard)
        self._ring.set()

    def own(self, shards: Collection[int]) -> None:
        """These are ours, too: another process has moved their cursors."""
        self._shards |= dict.fromkeys(shards)
        self._outdated = True
        self._next_poll = 0
        self._ring.set()

    def disown(self, shards: Collection[int]) -> None:
        """Another one writes for these. (If we were just about to, one of the two finds the cursor moved.)"""
        for shard in shards:
            self._shards.pop(shard, None)
        for due in (*self._due.values(), *self._taken.values()):
            due.difference_update(shards)

    async def read_to(self) -> dict[int, int]:
        """Up to where each shard's ledger is in the archive. Raises `StoreError`."""
        return {shard: int(cursor.position) for shard, cursor in (await self._archive.cursors("ledger")).items()}

    async def start(self, shards: Iterable[int] = range(SHARDS), *, within_s: float) -> bool:
        """Begin. Waits until the ledger was told where it was last seen to stand, but no longer than `within_s`; whether it was.

        That closes money where a ledger has lost entries, so it is to be done before anybody can pay.
        """
        self._shards = dict.fromkeys(shards)
        self._task = asyncio.get_running_loop().create_task(self._run(), name="archive")
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._ready.wait()
        return self._ready.is_set()

    async def stop(self) -> None:
        """Write what there is, and no more. Cancelled, it leaves what is left to the next start."""
        if self._task is None:
            return
        self._due_all()
        self._stopping.set()
        self._ring.set()
        try:
            await asyncio.wait({self._task})
        finally:
            self._task.cancel()

    # --- Catching up ----------------------------------------------------------------------------------------------------
    async def _run(self) -> None:
        pause_s = RETRY_FIRST_S
        while not self._stopping.is_set():
            try:
                await self._begin()
                await self._catch_up()
                while not self._stopping.is_set():
                    await self._keep_house()
                    pause_s = RETRY_FIRST_S
                    await self._wait()
                    await self._catch_up()
            except Overtaken:
                continue  # the cursors say from where to go on
            except StoreError as fault:
                if pause_s == RETRY_FIRST_S:
                    advice = f"it catches up once it answers; rooms and money go on meanwhile ({fault})"
                    self._observer.observe(Trouble("the archive is behind", "archive", advice))
            except Exception as fault:  # noqa: BLE001 - a row that cannot be made must be heard of, and not end all archiving
                self._observer.observe(fault_of("archiving failed", "archive", fault))
            await self._pause(pause_s)
            pause_s = min(pause_s * 2, RETRY_MAX_S)

    async def _begin(self) -> None:
        """Find out where everything stands, and hold the ledger to it."""
        await self._archive.open()
        await self._read_cursors()
        if not self._ready.is_set():
            # Of all shards, whoever owns them: a viewer of this process pays in any.
            await asyncio.gather(*(self._ledger.expect(shard, int(at.position)) for shard, at in self._cursors["ledger"].items()))
            self._ready.set()
        self._next_poll = 0

    async def _read_cursors(self) -> None:
        self._cursors = {"rooms": await self._archive.cursors("rooms"), "ledger": await self._archive.cursors("ledger")}

    async def _wait(self) -> None:
        timeout_s = max(0.0, (self._next_poll - self._clock()) / 1000)
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._ring.wait()
        self._ring.clear()
        busy = self._clock() - self._wrote_at < PAUSE_MS
        await self._pause(self._gather_s * (BUSY_TIMES if busy else 1))

    async def _pause(self, seconds: float) -> None:
        """So long, or until told to stop."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()

    async def _catch_up(self) -> None:
        """Read and write until nothing is left of what is known to be there.

        What is said meanwhile is left for the next time, after a pause: a batch of a single frame costs as much as one of fifty.
        """
        if self._outdated:
            self._outdated = False
            await self._read_cursors()
        if self._clock() >= self._next_poll:
            self._next_poll = self._clock() + POLL_MS
            self._due["rooms"].update(self._shards)
            with suppress(StoreError):  # the ledger's own reader tells of it
                stands = {status.shard: status.position for status in await self._ledger.statuses()}
                known = self._cursors["ledger"]
                self._due["ledger"].update(
                    shard for shard in self._shards if stands.get(shard, 0) > (int(known[shard].position) if shard in known else 0)
                )
        while any(self._due.values()):
            self._taken, self._due = self._due, {"rooms": set(), "ledger": set()}
            while any(self._taken.values()):
                batch = _Batch()
                await self._read_rooms(batch)
                await self._read_ledgers(batch)
                if batch.moves:
                    await self._write(batch)
            if not self._stopping.is_set():
                return

    def _due_all(self) -> None:
        for due in self._due.values():
            due.update(self._shards)

    async def _read_rooms(self, batch: _Batch) -> None:
        due, cursors = self._taken["rooms"], self._cursors["rooms"]
        while due and len(batch.chronicle) < ROWS_MAX:
            shards = sorted(due)[:SHARDS_READ_MAX]
            known = {shard: cursors.get(shard) for shard in shards}
            due.difference_update(shards)
            try:
                found = await self._records.read({shard: at.position if at else "" for shard, at in known.items()}, ROOM_READ_MAX)
            except StoreError:
                due.clear()  # the next poll finds what there is; those who need the rooms store have told of it
                return
            for shard, records in found.items():
                if records:
                    await batch.take_records(shard, records, known[shard])
                    cursors[shard] = Cursor(records[-1].position, records[-1].number)
                if len(records) == ROOM_READ_MAX:
                    due.add(shard)

    async def _read_ledgers(self, batch: _Batch) -> None:
        due, cursors = self._taken["ledger"], self._cursors["ledger"]
        while due and len(batch.chronicle) < ROWS_MAX:
            shards = sorted(due)[:SHARDS_READ_MAX]
            due.difference_update(shards)
            stand = {shard: cursors.get(shard) for shard in shards}
            reads = (self._read_ledger(shard, int(at.position) if at else 0) for shard, at in stand.items())
            for shard, found in zip(shards, await asyncio.gather(*reads, return_exceptions=True), strict=True):
                if isinstance(found, StoreError):
                    continue  # closed until an operator has looked at it, away until the next poll, or a later version's to read
                if isinstance(found, BaseException):
                    raise found
                if found:
                    await batch.take_entries(shard, found, stand[shard])
                    cursors[shard] = Cursor(str(found[-1].position))
                if len(found) == LEDGER_READ_MAX:
                    due.add(shard)

    async def _read_ledger(self, shard: int, after: int) -> list[BookEntry]:
        return list(understood(shard, await self._read_on(shard, after, LEDGER_READ_MAX)))

    async def _write(self, batch: _Batch) -> None:
        began = self._clock()
        rows = batch.chronicle.drain()
        await self._archive.append(rows, list(batch.moves.values()))
        await self._records.forget({move.shard: move.now.position for move in batch.moves.values() if move.source == "rooms"})
        now = self._wrote_at = self._clock()
        behind_ms = max(0, now - batch.oldest_at)
        self._observer.observe(Archived(len(rows), batch.records, batch.entries, behind_ms, now - began, batch.lost))
        if batch.lost:
            advice = (
                "they are in the archive of another node, if nodes have archives of their own: give all the same [archive] url; "
                "or the archive was away for longer than the rooms store keeps records: see [archive] backlog_bytes"
            )
            self._observer.observe(Trouble(f"{batch.lost} records never came to this archive", "archive", advice, "error"))

    # --- Keeping house --------------------------------------------------------------------------------------------------
    async def _keep_house(self) -> None:
        now = self._clock()
        if now < self._next_keep:
            return
        await self._archive.erase_again(now - ERASE_AGAIN_MS)
        deleted = await self._archive.retain(self._retention.oldest(now), KEEP_SLICE)
        # Where there was a whole slice there is more: on with it after the next batch.
        self._next_keep = now if deleted >= KEEP_SLICE else now + KEEP_EVERY_MS


class _Batch:
    """What is gathered for one write."""

    def __init__(self) -> None:
        self.chronicle = Chronicle()
        self.moves: dict[tuple[Source, int], Move] = {}
        self.records = self.entries = self.lost = 0
        self.oldest_at = 2**62

    def move(self, source: Source, shard: int, was: Cursor | None, now: Cursor) -> None:
        """A cursor goes on; several reads of a shard are one move."""
        before = self.moves.get((source, shard))
        self.moves[source, shard] = Move(source, shard, before.was if before else was.position if was else None, now)

    async def take_records(self, shard: int, records: list[Record], at: Cursor | None) -> None:
        """Records of one shard, from behind a cursor on."""
        last = 0 if at is None else at.number
        for n, record in enumerate(records):
            if n % TURN_RECORDS == 0:
                await asyncio.sleep(0)
            # Numbers that begin anew say that the store lost its end: how much is not known.
            self.lost += max(0, record.number - last - 1) if last else 0
            last = record.number
            self._take(record)
        self.records += len(records)
        self.oldest_at = min(self.oldest_at, records[0].at)
        self.move("rooms", shard, at, Cursor(records[-1].position, records[-1].number))

    async def take_entries(self, shard: int, entries: list[BookEntry], at: Cursor | None) -> None:
        """Entries of one shard's ledger, from behind a cursor on."""
        for n, entry in enumerate(entries):
            if n % TURN_RECORDS == 0:
                await asyncio.sleep(0)
            self.chronicle.take_entry(shard, entry)
        self.entries += len(entries)
        self.oldest_at = min(self.oldest_at, entries[0].at)
        self.move("ledger", shard, at, Cursor(str(entries[-1].position)))

    def _take(self, record: Record) -> None:
        chronicle = self.chronicle
        if record.summary is not None:
            chronicle.take_summary(wire.decode_summary(record.summary), record.at)
        if record.snapshot is not None:
            chronicle.take_snapshot(record.room, record.broadcast, wire.decode_snapshot(record.snapshot), record.at)
        if record.frame is not None:
            chronicle.take_frame(record.room, record.broadcast, wire.decode_frame(record.frame))
        if record.notes is not None:
            notes = wire.decode_notes(record.notes)
            chronicle.take_acts(record.room, record.broadcast, record.epoch, record.commit, notes.acts)
            chronicle.take_taps(record.room, record.broadcast, notes.taps)
