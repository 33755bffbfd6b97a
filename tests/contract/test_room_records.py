"""What every log leaves for the archive."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from livecast.core.nodes.placement import shard_of
from livecast.ports import Commit, RoomLog, RoomRecords

ROOM = "demo"
SHARD = shard_of(ROOM)
NEIGHBOUR = next(f"r{n}" for n in range(9999) if shard_of(f"r{n}") == SHARD)


def commit(number: int, **changes: Any) -> Commit:
    """The `number`th tick of the demo room."""
    fields: dict[str, Any] = {
        "room": ROOM, "token": "owner-1", "epoch": "e1", "number": number, "seq": number, "at": 1_000_000 + number,
        "frame": b"frame %d" % number, "broadcast": "b1", "counts_for": "b1",
        "snapshot": b"snapshot %d" % number if number in {1, 3} else None,
    }  # fmt: skip
    return Commit(**(fields | changes))


@pytest.fixture
async def log(stores: Any) -> RoomLog:
    """A log whose shard is owned by `owner-1`."""
    made: RoomLog = stores.log()
    await made.take(SHARD, "owner-1")
    return made


@pytest.fixture
def records(stores: Any) -> RoomRecords:
    """As another process sees them."""
    made: RoomRecords = stores.records()
    return made


async def test_nothing_was_committed(records: RoomRecords) -> None:
    """No records, in no shard."""
    assert await records.read({SHARD: "", 7: ""}, 10) == {SHARD: [], 7: []}
    assert await records.read({}, 10) == {}


async def test_each_commit_leaves_one_record(log: RoomLog, records: RoomRecords) -> None:
    """In order, numbered without gaps over all rooms of the shard, with what the archive needs: of snapshots only the first."""
    await log.commit(commit(1, summary=b"{}"))
    await log.commit(commit(1, room=NEIGHBOUR, frame=None))
    await log.commit(commit(2, counts_for="b0", notes=b"\x90"))
    await log.commit(commit(3))
    found = (await records.read({SHARD: ""}, 10))[SHARD]
    assert [(r.number, r.room, r.broadcast, r.epoch, r.commit, r.seq, r.at) for r in found] == [
        (1, ROOM, "b1", "e1", 1, 1, 1_000_001),
        (2, NEIGHBOUR, "b1", "e1", 1, 1, 1_000_001),
        (3, ROOM, "b0", "e1", 2, 2, 1_000_002),
        (4, ROOM, "b1", "e1", 3, 3, 1_000_003),
    ]
    assert [(r.frame, r.snapshot, r.summary, r.notes) for r in found] == [
        (b"frame 1", b"snapshot 1", b"{}", None),
        (None, b"snapshot 1", None, None),
        (b"frame 2", None, None, b"\x90"),
        (b"frame 3", None, None, None),
    ]


async def test_a_repeated_commit_leaves_no_second_record(log: RoomLog, records: RoomRecords) -> None:
    """Nor does one that has nothing to record."""
    await log.commit(commit(1))
    await log.commit(commit(1))
    await log.commit(commit(2, frame=None))
    assert len((await records.read({SHARD: ""}, 10))[SHARD]) == 1


async def test_records_are_read_in_pages_and_forgotten(log: RoomLog, records: RoomRecords) -> None:
    """Each once; what was forgotten is gone, what came later is there, also after a new epoch."""
    for number in range(1, 6):
        await log.commit(commit(number))
    first = (await records.read({SHARD: ""}, 2))[SHARD]
    second = (await records.read({SHARD: first[-1].position}, 2))[SHARD]
    assert [r.seq for r in (*first, *second)] == [1, 2, 3, 4]
    await records.forget({SHARD: second[-1].position, 7: "5-0"})
    await log.commit(commit(1, epoch="e2"))
    assert [(r.epoch, r.seq) for r in (await records.read({SHARD: ""}, 9))[SHARD]] == [("e1", 5), ("e2", 1)]


async def test_beyond_the_bound_the_oldest_go(log: RoomLog, records: RoomRecords) -> None:
    """Some 2,000 bytes are kept, whatever was written; the numbers tell how many are missing. The newest is always kept."""
    for number in range(1, 101):
        await log.commit(commit(number, frame=b"x" * 100))
    kept = (await records.read({SHARD: ""}, 1000))[SHARD]
    assert [r.number for r in kept] == list(range(101 - len(kept), 101))
    assert 15 <= len(kept) <= 20
    await log.commit(commit(101, frame=b"x" * 5_000))
    assert [r.number for r in (await records.read({SHARD: ""}, 1000))[SHARD]] == [101]


async def test_what_is_forgotten_makes_room(log: RoomLog, records: RoomRecords) -> None:
    """A reader that keeps up loses nothing, however much is written in all."""
    read = []
    after = ""
    for number in range(1, 61):
        await log.commit(commit(number, frame=b"x" * 300))
        if number % 5 == 0:
            page = (await records.read({SHARD: after}, 100))[SHARD]
            read += [r.number for r in page]
            after = page[-1].position
            await records.forget({SHARD: after})
    assert read == list(range(1, 61))


async def test_two_rooms_at_once(log: RoomLog, records: RoomRecords) -> None:
    """Commits side by side: numbers stay without gaps."""
    await asyncio.gather(log.commit(commit(1)), log.commit(commit(1, room=NEIGHBOUR)))
    await asyncio.gather(*(log.commit(commit(2, room=room)) for room in (ROOM, NEIGHBOUR)))
    assert [r.number for r in (await records.read({SHARD: ""}, 10))[SHARD]] == [1, 2, 3, 4]
