"""What a room writes to its log, commit by commit: numbers, snapshots, retention, and patience with a store that is silent.

Rules for whoever edits this file:
- A commit is made of the room at one moment, in the same step as its flush: what comes in later belongs to the next one.
- A commit without an answer is repeated with the same bytes until there is one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from livecast.core.frames import Flush
from livecast.core.room import Room
from livecast.core.rules import RoomRules
from livecast.facts import Observer, Trouble
from livecast.ports import Clock, Commit, RoomLog, Unavailable
from livecast.shard.tick import Retention
from livecast.wire import records

RETRY_FIRST_S: Final = 0.02
RETRY_MAX_S: Final = 0.5
"""Pause between repeats of an unanswered call: doubles from the first to the last, so a store that returns is found soon."""

T = TypeVar("T")


async def until_answered(call: Callable[[], Awaitable[T]], what: str, about: str, observer: Observer) -> T:
    """Repeat `call` while it raises `Unavailable`; the operator is told once."""
    pause = RETRY_FIRST_S
    while True:
        try:
            return await call()
        except Unavailable as e:
            if pause == RETRY_FIRST_S:
                observer.observe(Trouble(what, about, f"asking again until the rooms store answers ({e})"))
            await asyncio.sleep(pause)
            pause = min(pause * 2, RETRY_MAX_S)


class Journal:
    """The log of one room as its owner writes it. `token` is the fence of its shard."""

    __slots__ = (
        "_last_snapshot_at",
        "_log",
        "_name",
        "_retention",
        "_rules",
        "_since_snapshot",
        "number",
        "token",
        "unanswered_since",
    )

    def __init__(self, name: str, token: str, log: RoomLog, rules: RoomRules) -> None:
        self.token = token
        self.number = 0
        """Of the last commit made in this epoch; 0: this room was never written."""
        self.unanswered_since: int | None = None
        """When the commit under way was first sent, Unix ms."""
        self._name = name
        self._log = log
        self._rules = rules
        self._retention: Retention | None = None  # thousands of rooms say nothing in their epoch
        self._since_snapshot = 0
        self._last_snapshot_at = 0

    def next(self, room: Room, flush: Flush, frame: bytes | None, now: int) -> Commit:
        """The commit of a flush just made; with a snapshot when one is due."""
        rules = self._rules
        self.number += 1
        self._since_snapshot += 1
        if self._retention is None:
            self._retention = Retention(rules)
        keep_from = self._retention.note(self.number, now, len(frame or b""))
        due = self._since_snapshot >= rules.snapshot_frames or now - self._last_snapshot_at >= rules.snapshot_ms
        snapshot = records.encode_snapshot(room.snapshot()) if due or self.number == 1 else None
        if snapshot is not None:
            self._since_snapshot, self._last_snapshot_at = 0, now
        return Commit(
            room=self._name,
            token=self.token,
            epoch=room.epoch,
            number=self.number,
            seq=room.seq,
            at=now,
            frame=frame,
            private=records.encode_private(flush.private) if flush.private else None,
            remembered=records.encode_remembered(flush.remembered) if flush.remembered else None,
            remember_ms=rules.cid_memory_ms,
            snapshot=snapshot,
            keep_from=keep_from,
            new_users=tuple(flush.new_users),
            broadcast=room.broadcast,
            summary=records.encode_summary(room.summary()) if snapshot or _renews_summary(flush) else None,
            counts_for=room.counts_for,
            notes=_notes_of(flush),
            acts=records.encode_acts(flush.acts),
        )

    def begin(self, room: Room, epoch: str, owed: Flush | None, now: int) -> Commit:
        """The first commit of a new epoch: the room as it is. `owed` is a flush that found no place in the old one."""
        snapshot = room.begin_epoch(epoch, now)
        self.number, self._since_snapshot, self._last_snapshot_at = 1, 0, now
        self._retention = None  # nobody resumes from an older one, and this commit leaves no entry
        return Commit(
            room=self._name,
            token=self.token,
            epoch=epoch,
            number=1,
            seq=snapshot.seq,
            at=now,
            snapshot=records.encode_snapshot(snapshot),
            remembered=records.encode_remembered(owed.remembered) if owed and owed.remembered else None,
            remember_ms=self._rules.cid_memory_ms,
            new_users=tuple(owed.new_users) if owed else (),
            broadcast=room.broadcast,
            summary=records.encode_summary(room.summary()),
            counts_for=room.counts_for,
            notes=_notes_of(owed) if owed else None,
            acts=records.encode_acts(owed.acts) if owed else None,
        )

    async def write(self, room: Room, commit: Commit, clock: Clock, observer: Observer) -> int:
        """Send a commit until the log says what became of it; the ms it took. Raises `Fenced`, `OutOfOrder`."""
        self.unanswered_since = began = clock()
        try:
            committed = await until_answered(lambda: self._log.commit(commit), "commit unanswered", self._name, observer)
        finally:
            self.unanswered_since = None
        room.note_users_total(committed.users_total)
        return clock() - began

    def snapshot_is_due(self) -> None:
        """Let the next commit carry a snapshot."""
        self._last_snapshot_at = 0


def _notes_of(flush: Flush) -> bytes | None:
    """What of a flush is for the records alone."""
    taps = {product: n for product, n in (flush.private.get("taps") or {}).items() if n is not None}
    return records.encode_notes(records.Notes(flush.acts, taps))


_LISTED: Final = ("merchant", "ending", "starts_by_itself_at")


def _renews_summary(flush: Flush) -> bool:
    """Whether the room's line in the list of rooms may be another one now; some of it is no viewer's business."""
    return bool(flush.frame and flush.frame.state) or not flush.private.keys().isdisjoint(_LISTED)
