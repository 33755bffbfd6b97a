"""How many rows a second does the archive take, and how long does a report of a long evening take?

Method. Frames of a room in which 500,000 comments are shown in two hours (14 a frame), and 20,000 gifts, are made into rows and
written to a SQLite file by the archive's own code, batch after batch, each with its cursor and synced to disk; nothing else runs
in the process. Then the report is made five times, as JSON's struct and as a page; the figure is the median. The replay is read
once from end to end.

Includes. Reading of frames from bytes, cutting of comments into words, putting together of what belongs together, the statements,
SQLite and its fsync. Rows are comments, counts, words and series as they reach the file.

Does not show. PostgreSQL, whose time is mostly that of the network and the other machine. A disk that takes its time: one fsync
is added to each batch of some thousand rows. In a node the work shares the loop with rooms and gives way to them every few
milliseconds.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import tempfile
import time
from pathlib import Path
from typing import Final

from bench.report import Row, run
from livecast.adapters.archive.store import FILE_NAME, SqlArchive, sqlite_url
from livecast.archive import Broadcast, Cursor, Move
from livecast.core.events import Person
from livecast.core.frames import Comment, Frame, Likes, Tally, Viewers
from livecast.core.records.chronicle import BroadcastRow, Chronicle, MoneyRow, Rows
from livecast.edge.reports.page import page
from livecast.edge.reports.report import report_of
from livecast.ops.people.phrases import CHATTER
from livecast.wire import records

BEGAN: Final = 1_700_000_000_000
LENGTH_MS: Final = 2 * 3_600_000
PER_FRAME: Final = 14
BATCH_ROWS: Final = 5_000
REPORTS: Final = 5


def measure(quick: bool) -> list[Row]:
    """Rows per second, and seconds of a report."""
    return asyncio.run(_measure(20_000 if quick else 500_000))


async def _measure(comments: int) -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="livecast-bench-") as directory:
        archive = SqlArchive(sqlite_url(directory))
        await archive.open()
        rows, took_s, worst_s = await _fill(archive, comments)
        of = await archive.broadcast("room", None)
        if of is None:
            raise SystemExit("bench: the broadcast is not in the archive")
        reports = [await _report(archive, of, comments) for _ in range(REPORTS)]
        began = time.perf_counter()
        read = sum([len(piece) async for piece in archive.comments(of)])
        replay_s = time.perf_counter() - began
        megabytes = (Path(directory) / FILE_NAME).stat().st_size / 1e6
        await archive.close()
    return [
        Row(
            "archive on SQLite: rows per second",
            "≥ 5,000",
            f"{rows / took_s:,.0f}",
            f"{comments / took_s:,.0f} comments/s; slowest batch of {BATCH_ROWS:,} {worst_s * 1000:.0f} ms; {megabytes:.0f} MB",
        ),
        Row(
            f"report of two hours with {comments:,} comments",
            "≤ 2 s",
            f"{statistics.median(reports) * 1000:.0f} ms",
            f"median of {REPORTS}, page included; all {read:,} comments of the replay read in {replay_s:.1f} s",
        ),
    ]


async def _fill(archive: SqlArchive, comments: int) -> tuple[int, float, float]:
    """Rows written, seconds in all, seconds of the slowest batch."""
    chance, chronicle = random.Random(1), Chronicle()
    whole = BroadcastRow("room", "b", title="Bench", status="ended", started_at=BEGAN, ended_at=BEGAN + LENGTH_MS)
    await archive.append(Rows(broadcasts=[whole]), [])
    position: str | None = None
    rows, worst_s, took_s = 0, 0.0, 0.0
    for seq in range(1, comments // PER_FRAME + 2):
        encoded = records.encode_frame(_frame(seq, comments, chance))  # its making is the room's, its reading the archive's
        began = time.perf_counter()
        chronicle.take_frame("room", "b", records.decode_frame(encoded))
        if len(chronicle) >= BATCH_ROWS or seq * PER_FRAME >= comments:
            batch = chronicle.drain()
            rows += len(batch)
            now = Cursor(f"{seq}-0", seq)
            writing = time.perf_counter()
            await archive.append(batch, [Move("rooms", 3, position, now)])
            worst_s = max(worst_s, time.perf_counter() - writing)
            position = now.position
        took_s += time.perf_counter() - began
    gifts = [
        MoneyRow(3, n, 0, BEGAN + n * LENGTH_MS // 20_000, "gift", "room", "b", f"u{chance.randrange(5_000)}", f"g{n}", 10)
        for n in range(20_000)
    ]
    began = time.perf_counter()
    await archive.append(Rows(money=gifts), [])
    return rows + len(gifts), took_s + time.perf_counter() - began, worst_s


def _frame(seq: int, comments: int, chance: random.Random) -> Frame:
    at = BEGAN + int((seq - 1) * PER_FRAME / comments * LENGTH_MS)
    said = tuple(
        Comment(f"e-{seq}.{n}", Person(f"u{chance.randrange(50_000)}", "Name"), f"{chance.choice(CHATTER)} {seq % 97}", at)
        for n in range(PER_FRAME)
    )
    users = 1_000 + seq % 400
    return Frame(
        "e", seq, at, comments=said, tally=Tally(PER_FRAME, PER_FRAME), likes=Likes(5, 5 * seq), viewers=Viewers(users, users, seq)
    )


async def _report(archive: SqlArchive, of: Broadcast, comments: int) -> float:
    """Seconds; and that it says what was put in."""
    began = time.perf_counter()
    report = report_of(await archive.figures(of), BEGAN + LENGTH_MS)
    page(report, "zh")
    took_s = time.perf_counter() - began
    if report.comments.total < comments or report.gifts.gifts != 20_000:
        raise SystemExit(f"bench: the report has {report.comments.total} comments and {report.gifts.gifts} gifts")
    return took_s


if __name__ == "__main__":
    run([("archive", measure)])
