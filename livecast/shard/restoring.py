"""A room made again of what the store has of it."""

from __future__ import annotations

from livecast.core.recovery import recover
from livecast.core.room import Room
from livecast.core.rules import RoomRules
from livecast.ports import Stored
from livecast.wire import records


def restored(name: str, stored: Stored, epoch: str, rules: RoomRules, now: int) -> Room:
    """The snapshot with the frames after it, under the new epoch `epoch`; with what was answered lately, for repeats of it."""
    later = [entry for entry in stored.entries if entry.number > stored.snapshot_number]
    parts = [
        (
            records.decode_frame(entry.frame) if entry.frame is not None else None,
            records.decode_private(entry.private) if entry.private is not None else None,
        )
        for entry in later
    ]
    snapshot = recover(records.decode_snapshot(stored.snapshot), parts, rules)
    remembered = [answer for blob in stored.remembered for answer in records.decode_remembered(blob)]
    room = Room.restore(name, epoch, rules, snapshot, remembered, now)
    room.remember(records.decode_frame(entry.frame) for entry in stored.entries if entry.frame is not None)
    return room
