"""The room log in this process's memory: for rooms that need not outlive it, and for tests.

It keeps every promise of `ports.RoomLog` but durability. Nothing here awaits, so each call is atomic on the event loop.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import deque
from collections.abc import Callable, Collection, Sequence

from livecast.adapters.bounds import REMEMBERED_BYTES_MAX, ROOM_ACTS_MAX
from livecast.adapters.memory.records import MemoryRoomRecords
from livecast.core.nodes.placement import shard_of
from livecast.ports import Commit, Committed, Entry, Fenced, OutOfOrder, Stored


class _Kept:
    """One room as kept."""

    __slots__ = (
        "acts",
        "acts_ever",
        "broadcast",
        "entries",
        "last",
        "remembered",
        "remembered_bytes",
        "snapshot",
        "snapshot_number",
        "users",
    )

    def __init__(self) -> None:
        self.last: Commit | None = None
        self.snapshot = b""
        self.snapshot_number = 0
        self.entries: deque[Entry] = deque()
        self.remembered: deque[tuple[int, bytes]] = deque()
        self.remembered_bytes = 0
        self.broadcast = ""
        self.users: set[str] = set()
        self.acts: deque[tuple[int, bytes]] = deque(maxlen=ROOM_ACTS_MAX)
        self.acts_ever = 0


class MemoryRoomLog:
    """`ports.RoomLog` in memory. Several owners in one process may share it: the fence works as in a server.

    Commits are recorded in `records`, if there are any to be kept for an archive.
    """

    def __init__(self, records: MemoryRoomRecords | None = None) -> None:
        self._records = records
        self.fences: dict[int, str] = {}
        """Shard -> token."""
        self._rooms: dict[str, _Kept] = {}
        self._summaries: dict[str, bytes] = {}
        self._order: list[str] = []

    async def take(self, shard: int, token: str) -> None:
        """Make `token` the owner of `shard`."""
        self.fences[shard] = token

    def on_reborn(self, tell: Callable[[Collection[int]], None]) -> None:
        """What is in memory is never another process's."""

    async def regain(self, shard: int, former: str, token: str) -> bool:
        """Make `token` the owner of `shard` if `former` is, or nobody."""
        if self.fences.get(shard) not in {former, None}:
            return False
        self.fences[shard] = token
        return True

    async def load(self, room: str) -> Stored | None:
        """The room with its remembered answers."""
        return self._stored(room, remembered=True)

    async def read(self, room: str) -> Stored | None:
        """The room without its remembered answers."""
        return self._stored(room, remembered=False)

    async def commit(self, commit: Commit) -> Committed:
        """Check, append, store and count."""
        if self.fences.get(shard_of(commit.room)) != commit.token:
            raise Fenced(f"shard {shard_of(commit.room)} has another owner")
        kept = self._rooms.get(commit.room) or _Kept()
        if not _is_repeat(kept.last, commit):
            _check_order(kept.last, commit)
            self._rooms[commit.room] = kept
            _append(kept, commit)
            _remember(kept, commit)
            _count(kept, commit)
            self._index(commit)
            if self._records is not None:
                self._records.note(commit)
        return Committed(users_total=len(kept.users))

    async def heads(self, rooms: Sequence[str]) -> list[tuple[str, int] | None]:
        """Where each of them stands."""
        last = [kept.last if (kept := self._rooms.get(room)) is not None else None for room in rooms]
        return [None if commit is None else (commit.epoch, commit.seq) for commit in last]

    async def rooms(self, after: str, limit: int) -> list[tuple[str, bytes]]:
        """Summaries in order of room id."""
        start = bisect_right(self._order, after)
        return [(room, self._summaries[room]) for room in self._order[start : start + limit]]

    async def acts(self, room: str, before: str, limit: int) -> list[tuple[str, bytes]]:
        """What staff did."""
        kept = self._rooms.get(room)
        end = int(before) if before.isdecimal() else 2**62
        return [(str(n), acts) for n, acts in reversed(kept.acts) if n < end][:limit] if kept is not None else []

    async def close(self) -> None:
        """Nothing to let go."""

    def _index(self, commit: Commit) -> None:
        if commit.summary is None:
            return
        if commit.room not in self._summaries:
            insort(self._order, commit.room)
        self._summaries[commit.room] = commit.summary

    def _stored(self, room: str, *, remembered: bool) -> Stored | None:
        kept = self._rooms.get(room)
        if kept is None or kept.last is None:
            return None
        return Stored(
            epoch=kept.last.epoch,
            number=kept.last.number,
            seq=kept.last.seq,
            snapshot=kept.snapshot,
            snapshot_number=kept.snapshot_number,
            entries=tuple(kept.entries),
            remembered=tuple(body for _, body in kept.remembered) if remembered else (),
        )


def _is_repeat(last: Commit | None, commit: Commit) -> bool:
    return last is not None and (last.token, last.epoch, last.number) == (commit.token, commit.epoch, commit.number)


def _check_order(last: Commit | None, commit: Commit) -> None:
    """A commit is the next of its owner's epoch, or the first of a new one, with its snapshot."""
    if last is not None and last.epoch == commit.epoch:
        if last.token != commit.token or last.number + 1 != commit.number:
            raise OutOfOrder(f"{commit.room}: {commit.epoch}:{commit.number} does not follow {last.epoch}:{last.number}")
    elif commit.number != 1 or commit.snapshot is None:
        raise OutOfOrder(f"{commit.room}: epoch {commit.epoch} has not begun (number 1 with a snapshot begins it)")


def _append(kept: _Kept, commit: Commit) -> None:
    if commit.number == 1:
        kept.entries.clear()
    if commit.frame is not None or commit.private is not None:
        kept.entries.append(Entry(commit.number, commit.seq, commit.frame, commit.private))
    if commit.snapshot is not None:
        kept.snapshot, kept.snapshot_number = commit.snapshot, commit.number
        while kept.entries and kept.entries[0].number < commit.keep_from:
            kept.entries.popleft()
    if commit.acts is not None:
        kept.acts_ever += 1
        kept.acts.append((kept.acts_ever, commit.acts))
    # What a repeat is told apart by is all that is needed of the last commit: its payloads live above.
    kept.last = Commit(commit.room, commit.token, commit.epoch, commit.number, commit.seq, commit.at)


def _remember(kept: _Kept, commit: Commit) -> None:
    if commit.remembered is not None:
        kept.remembered.append((commit.at, commit.remembered))
        kept.remembered_bytes += len(commit.remembered)
    too_old = commit.at - commit.remember_ms
    while kept.remembered and (kept.remembered[0][0] < too_old or kept.remembered_bytes > REMEMBERED_BYTES_MAX):
        kept.remembered_bytes -= len(kept.remembered.popleft()[1])


def _count(kept: _Kept, commit: Commit) -> None:
    if commit.broadcast != kept.broadcast:
        kept.broadcast, kept.users = commit.broadcast, set()
    kept.users.update(commit.new_users)
