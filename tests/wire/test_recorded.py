"""A room as a store of version 0.1 holds it, byte for byte: whoever comes later must be able to take it over.

`recorded/room-0.1.json` is never made anew. A version that writes something else adds a file of its own here; one that cannot
read a file here breaks upgrades, for which the stores are not stopped and nodes of both versions run side by side.
"""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from livecast.core.recovery import recover
from livecast.core.room import Room
from livecast.core.rules import RoomRules
from livecast.wire import records
from support.driven import Driven, said

RECORDED = sorted((Path(__file__).parent / "recorded").glob("room-*.json"))


@pytest.mark.parametrize("file", RECORDED, ids=lambda file: file.stem)
def test_a_recorded_room_is_taken_over(file: Path) -> None:
    """Snapshot, frames, private patches and remembered answers are read, follow on each other, and say what was said."""
    recorded = json.loads(file.read_text(encoding="utf-8"))
    entries = [
        (
            records.decode_frame(bytes.fromhex(entry["frame"])) if entry["frame"] else None,
            records.decode_private(bytes.fromhex(entry["private"])) if entry["private"] else None,
        )
        for entry in recorded["entries"]
    ]
    remembered = [
        answer
        for entry in recorded["entries"]
        if entry["remembered"]
        for answer in records.decode_remembered(bytes.fromhex(entry["remembered"]))
    ]
    snapshot = recover(records.decode_snapshot(bytes.fromhex(recorded["snapshot"])), entries, RoomRules())
    assert [(comment.id, comment.text, comment.n) for comment in snapshot.recent] == [tuple(each) for each in recorded["recent"]]
    assert {name: snapshot.state[name] for name in ("likes", "title", "status", "broadcast")} == recorded["state"]
    room = Room.restore("room", "later", RoomRules(), snapshot, remembered, recorded["until"])
    room.begin_epoch("later", recorded["until"])
    again = Driven(at=recorded["until"], room=room)
    for user, text, cid, fate, where in recorded["asked_again"]:
        again.feed(recorded["until"] + 1, said(user, text, cid))
        again.run(recorded["until"] + 3_000)
        answer = again.answer(cid)
        assert (answer.verdict, answer.id) == (fate, where)  # the first answer, not a second comment


@pytest.mark.parametrize("file", RECORDED, ids=lambda file: file.stem)
def test_a_room_that_a_later_version_has_worked_on_is_taken_over(file: Path) -> None:
    """After a rollback: what only that version knows is left out, and nothing else. Not the room's rules, above all."""
    recorded = json.loads(file.read_text(encoding="utf-8"))
    snapshot = records.decode_snapshot(bytes.fromhex(recorded["snapshot"]))
    rules = RoomRules()
    policy = {**snapshot.policy, "slow_mode_s": 30, "later": {"a": 1}}
    later = msgspec.structs.replace(
        snapshot, policy=policy, state={**snapshot.state, "later": [1]}, private={**snapshot.private, "later": {"b": 2}}
    )
    room = Room.restore("room", "later", rules, later, [], recorded["until"])
    assert room._control.policy.slow_mode_s == 30
    strange = msgspec.structs.replace(later, policy={**policy, "mode": "a value to come"})
    room = Room.restore("room", "later", rules, strange, [], recorded["until"])
    assert room._control.policy.slow_mode_s == 30
    assert room._control.policy.mode == rules.policy.mode
    room.begin_epoch("later", recorded["until"])


def test_there_is_something_recorded() -> None:
    """An empty directory would prove nothing."""
    assert [file.name for file in RECORDED][:1] == ["room-0.1.json"]
