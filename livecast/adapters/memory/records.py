"""Records of rooms for the archive, in this process's memory. It keeps every promise of `ports.RoomRecords`."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from livecast.core.nodes.placement import shard_of
from livecast.ports import Commit, Record


class MemoryRoomRecords:
    """What `MemoryRoomLog` leaves for the archive: up to `bytes_max` per shard, the oldest forgotten first."""

    def __init__(self, bytes_max: int = 2**62) -> None:
        self._bytes_max = bytes_max
        self._shards: dict[int, deque[Record]] = {}
        self._bytes: dict[int, int] = {}
        self._numbers: dict[int, int] = {}

    def note(self, commit: Commit) -> None:
        """Keep a record of a commit, if it has anything to record."""
        snapshot = commit.snapshot if commit.number == 1 else None
        if not (commit.frame or snapshot or commit.summary or commit.notes):
            return
        shard = shard_of(commit.room)
        number = self._numbers[shard] = self._numbers.get(shard, 0) + 1
        record = Record(
            f"{number}-0", number, commit.room, commit.counts_for, commit.epoch, commit.number, commit.seq, commit.at,
            commit.frame, snapshot, commit.summary, commit.notes,
        )  # fmt: skip
        kept = self._shards.setdefault(shard, deque())
        kept.append(record)
        self._bytes[shard] = self._bytes.get(shard, 0) + _weight(record)
        while self._bytes[shard] > self._bytes_max and len(kept) > 1:
            self._bytes[shard] -= _weight(kept.popleft())

    async def read(self, after: Mapping[int, str], limit: int) -> dict[int, list[Record]]:
        """By shard, the first `limit` above a position."""
        return {
            shard: [record for record in self._shards.get(shard, ()) if record.number > _number(position)][:limit]
            for shard, position in after.items()
        }

    async def forget(self, upto: Mapping[int, str]) -> None:
        """By shard, those up to a position."""
        for shard, position in upto.items():
            kept = self._shards.get(shard, deque())
            while kept and kept[0].number <= _number(position):
                self._bytes[shard] -= _weight(kept.popleft())


def _number(position: str) -> int:
    return int(position.partition("-")[0] or 0)


def _weight(record: Record) -> int:
    return sum(len(part or b"") for part in (record.frame, record.snapshot, record.summary, record.notes))
