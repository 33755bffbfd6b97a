"""The archive as one object: connections, transactions, and errors in our own terms. What is in them is in the files beside."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, event, exc, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from livecast.adapters.archive import checkpoints, persons, reading, retention, writing
from livecast.adapters.archive import tables as t
from livecast.adapters.archive.schema import migrate
from livecast.archive import PAGE_MAX, Broadcast, Class, Cursor, Erased, Figures, Move, Source
from livecast.core.books.audit import HalfWay
from livecast.core.books.checkpoint import Checkpoint
from livecast.core.records.chronicle import CommentRow, Rows, StaffRow, Tick
from livecast.ports import StoreError, Unavailable

WRITE_S: Final = 10.0
"""Bound of a write. A batch takes some 100 ms; after this it is better to ask what became of it."""
READ_S: Final = 10.0
OPEN_S: Final = 60.0
"""Bound of opening: a migration may copy a table."""
FILE_TRIES: Final = 50
FILE_AGAIN_S: Final = 0.1
"""Between two tries to make the file of a new archive: some five seconds in all, as long as SQLite waits for a lock."""
PARTS_PAGE: Final = 50
"""Pieces of a checkpoint read at once, some megabyte."""
CONNECTIONS_MAX: Final = 4
"""One writes, the others read reports: each is at work for a second at most."""
FILE_NAME: Final = "archive.db"


class SqlArchive:
    """`archive.Archive` on SQLite or PostgreSQL. Nothing is connected before `open`."""

    def __init__(self, url: str) -> None:
        self._engine = _engine(make_url(url))

    async def open(self) -> None:
        """Migrate to this version's schema."""
        await self._make_file()
        async with self._transaction(write=True, deadline_s=OPEN_S) as connection:
            await connection.run_sync(migrate)

    async def _make_file(self) -> None:
        """Connect once. SQLite waits for no lock while it makes a file's write-ahead log: who loses that race tries again."""
        for again in range(FILE_TRIES - 1, -1, -1):
            try:
                async with self._transaction():
                    return
            except Unavailable as fault:
                if "locked" not in str(fault) or not again:
                    raise
            await asyncio.sleep(FILE_AGAIN_S)

    async def close(self) -> None:
        """Let connections go."""
        await self._engine.dispose()

    # --- For the owner of shards ----------------------------------------------------------------------------------------
    async def cursors(self, source: Source) -> dict[int, Cursor]:
        """Up to where each shard is archived."""
        async with self._transaction() as connection:
            found = await connection.execute(select(t.cursors).where(t.cursors.c.source == source))
            return {row.shard: Cursor(row.position, row.number) for row in found}

    async def append(self, rows: Rows, moves: Sequence[Move]) -> None:
        """In one transaction."""
        async with self._transaction(write=True, deadline_s=WRITE_S) as connection:
            await writing.move_cursors(connection, moves)
            await writing.write(connection, rows)
            await persons.erase_late(connection, rows)

    async def retain(self, oldest: Mapping[Class, int], limit: int) -> int:
        """In one transaction."""
        async with self._transaction(write=True, deadline_s=WRITE_S) as connection:
            return await retention.retain(connection, oldest, limit)

    # --- Checkpoints ---------------------------------------------------------------------------------------------------------
    async def basis(self) -> tuple[dict[int, Checkpoint], list[HalfWay]]:
        """In one transaction."""
        async with self._transaction() as connection:
            return await checkpoints.basis(connection)

    async def checkpoint_parts(self, checkpoint: Checkpoint) -> AsyncIterator[bytes]:
        """Some of them per transaction."""
        first = 0
        while True:
            async with self._transaction() as connection:
                page = await checkpoints.parts(connection, checkpoint, first, PARTS_PAGE)
            for body in page:
                yield body
            if len(page) < PARTS_PAGE:
                return
            first += PARTS_PAGE

    async def put_checkpoint_parts(self, checkpoint: Checkpoint, first: int, bodies: Sequence[bytes]) -> None:
        """In one transaction."""
        async with self._transaction(write=True, deadline_s=WRITE_S) as connection:
            await checkpoints.put_parts(connection, checkpoint, first, bodies)

    async def put_checkpoint(self, checkpoint: Checkpoint, count: int, halves: Sequence[HalfWay]) -> None:
        """In one transaction."""
        async with self._transaction(write=True, deadline_s=WRITE_S) as connection:
            await checkpoints.put(connection, checkpoint, count, halves)

    # --- For readers ------------------------------------------------------------------------------------------------------
    async def broadcasts(self, room: str, before: int | None, limit: int) -> list[Broadcast]:
        """Latest first."""
        async with self._transaction() as connection:
            return await reading.broadcasts(connection, room, before, limit)

    async def broadcast(self, room: str, broadcast: str | None) -> Broadcast | None:
        """One, or the latest."""
        async with self._transaction() as connection:
            return await reading.broadcast(connection, room, broadcast)

    async def ticks(self, room: str, begin: int, end: int, step: int) -> list[Tick]:
        """Put together from those of ten seconds."""
        async with self._transaction() as connection:
            return await reading.ticks(connection, room, begin, end, step)

    async def figures(self, broadcast: Broadcast) -> Figures:
        """As of one moment."""
        async with self._transaction() as connection:
            return await reading.figures(connection, broadcast)

    async def comments(self, broadcast: Broadcast) -> AsyncIterator[Sequence[CommentRow | str]]:
        """A page per transaction: a slow reader holds nothing."""
        after: tuple[int, str] | None = None
        while True:
            async with self._transaction() as connection:
                page, after = await reading.comments(connection, broadcast, after, PAGE_MAX)
            if page:
                yield page
            if after is None:
                return

    async def staff(self, room: str, before: tuple[int, str, int, int] | None, limit: int) -> list[StaffRow]:
        """Latest first."""
        async with self._transaction() as connection:
            return await reading.staff(connection, room, before, limit)

    async def said(
        self, broadcast: Broadcast, before: tuple[int, str], limit: int, *, user: str = "", text: str = ""
    ) -> list[CommentRow | tuple[str, int]]:
        """By the index of broadcasts and times."""
        async with self._transaction() as connection:
            return await reading.said(connection, broadcast, before, limit, user=user, text=text)

    async def place(self, room: str, comment: str) -> tuple[int, str] | None:
        """By its key."""
        async with self._transaction() as connection:
            return await reading.place(connection, room, comment)

    async def people(self, room: str) -> list[str]:
        """From comments and gifts."""
        async with self._transaction() as connection:
            return await reading.people(connection, room)

    async def key(self, name: str) -> bytes:
        """Made in one transaction."""
        async with self._transaction(write=True, deadline_s=WRITE_S) as connection:
            return await persons.key(connection, name)

    # --- For people who ask about themselves ----------------------------------------------------------------------------
    async def export(self, user: str) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        """A page per transaction."""
        for kind in persons.EXPORTED:
            offset = 0
            while True:
                async with self._transaction() as connection:
                    page = await persons.page(connection, kind, user, offset, PAGE_MAX)
                for row in page:
                    yield kind, row
                if len(page) < PAGE_MAX:
                    break
                offset += PAGE_MAX

    async def erase(self, user: str, now: int) -> Erased:
        """In one transaction."""
        async with self._transaction(write=True, deadline_s=OPEN_S) as connection:
            return await persons.erase(connection, user, now)

    async def erase_again(self, asked_before: int) -> int:
        """In one transaction."""
        async with self._transaction(write=True, deadline_s=OPEN_S) as connection:
            return await persons.erase_again(connection, asked_before)

    # --- Private ------------------------------------------------------------------------------------------------------------
    @asynccontextmanager
    async def _transaction(self, *, write: bool = False, deadline_s: float = READ_S) -> AsyncIterator[AsyncConnection]:
        """Committed at the end, rolled back by an exception. Faults of the store come out as `StoreError`."""
        try:
            async with asyncio.timeout(deadline_s), self._engine.connect() as connection:
                await connection.execution_options(livecast_writes=write)
                async with connection.begin():
                    yield connection
        except TimeoutError:
            raise Unavailable(f"no answer within {deadline_s:g} s") from None
        except exc.SQLAlchemyError as error:
            raise _in_our_terms(error) from error
        except OSError as error:
            raise Unavailable(str(error)) from error


def sqlite_url(directory: str | os.PathLike[str]) -> str:
    """The archive of a node that has no other: a file of its own in the data directory."""
    return URL.create("sqlite", database=str(Path(directory).absolute() / FILE_NAME)).render_as_string()


def _engine(url: URL) -> AsyncEngine:
    if url.get_backend_name() == "postgresql":
        driven = url.set(drivername="postgresql+asyncpg")
        return create_async_engine(driven, pool_size=CONNECTIONS_MAX, max_overflow=0, pool_pre_ping=True, pool_timeout=READ_S)
    engine = create_async_engine(url.set(drivername="sqlite+aiosqlite"), pool_size=CONNECTIONS_MAX, max_overflow=0)
    event.listen(engine.sync_engine, "do_connect", _make_private)
    event.listen(engine.sync_engine, "connect", _prepare_sqlite)
    event.listen(engine.sync_engine, "begin", _begin_sqlite)
    return engine


def _make_private(_dialect: Any, _record: Any, arguments: list[Any], _options: dict[str, Any]) -> None:
    """The file is made before SQLite makes it, for this user's eyes only: it holds what people said and paid."""
    path = Path(arguments[0])
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # With the driver's own idea of transactions switched off, ours begin where we say so.
    connection.isolation_level = None
    cursor = connection.cursor()
    # WAL: readers never wait for the writer. FULL: what is written is forgotten elsewhere, so it has to be on the disk.
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=5000", "cache_size=-32000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("livecast_writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _in_our_terms(error: exc.SQLAlchemyError) -> StoreError:
    """`Unavailable` for what may pass: a server that is down or starting, a full disk, a lock. `StoreError` for what will not."""
    said = str(getattr(error, "orig", None) or error).splitlines()[0]
    passing = exc.OperationalError | exc.InterfaceError | exc.TimeoutError | exc.InternalError
    lost = isinstance(error, exc.DBAPIError) and error.connection_invalidated
    return Unavailable(said) if lost or isinstance(error, passing) else StoreError(said)
