"""What the archive's statements cost a process that runs for long."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import event

from livecast.adapters.archive.store import SqlArchive, sqlite_url
from livecast.archive import Cursor, Move
from livecast.core.books.audit import HalfWay
from livecast.core.books.checkpoint import Checkpoint
from livecast.core.records.chronicle import Rows


async def test_batches_of_any_size_are_written_with_the_same_few_statements(tmp_path: Path) -> None:
    """SQLAlchemy keeps each shape of a statement with all that it was made of. One with a term for each shard was another one
    with each number of shards: tens of megabytes, which looked like the weight of idle rooms.
    """
    archive = SqlArchive(sqlite_url(tmp_path))
    await archive.open()
    shapes: set[int] = set()
    kept: list[Any] = []  # so that no other one gets the id of one that is gone

    def note(_connection: Any, _cursor: Any, _sql: str, _values: Any, context: Any, _many: bool) -> None:
        if context.compiled is not None:
            kept.append(context.compiled)
            shapes.add(id(context.compiled))

    event.listen(archive._engine.sync_engine, "before_cursor_execute", note)
    counts = []
    at: dict[int, Cursor | None] = dict.fromkeys(range(20))
    before = 0
    for size in (1, 2, 3, 7, 20):
        moves = []
        for shard in range(size):
            was, now = at[shard], Cursor(f"{size}-{shard}", size)
            moves += [Move(source, shard, was.position if was else None, now) for source in ("rooms", "ledger")]
            at[shard] = now
        await archive.append(Rows(), moves)
        halves = [HalfWay("debit", f"ann/{size}/{n}", "ann", 1, 3, 4) for n in range(size)]
        halves += [HalfWay("commit", f"ann/{before}/{n}", "ann", 1, 4, 3) for n in range(before)]
        checkpoint = Checkpoint(3, size, 1_000 + size, 1, before)
        await archive.put_checkpoint(checkpoint, 0, halves)
        before = size
        counts.append(len(shapes))
    assert counts[-1] == counts[1], counts
    assert (await archive.cursors("ledger"))[19] == Cursor("20-19", 20)
    assert len((await archive.basis())[1]) == 20  # those whose other half is not there yet
    await archive.close()
