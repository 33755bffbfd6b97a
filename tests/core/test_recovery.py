"""After a restart the room goes on: what must be back is back, in a new epoch, from any commit on."""

from __future__ import annotations

import pytest

from livecast.core.errors import Refusal
from livecast.core.events import Ask, Done, Event, Verdict
from livecast.core.frames import Frame
from livecast.core.recovery import recover
from livecast.core.room import Room
from livecast.core.rules import RoomRules
from support.driven import HERE, SERVICE, Driven, liked, person, said, told, watching


def busy() -> Driven:
    """A room in which everything happened that must survive."""
    room = Driven(policy={"slow_mode_s": 60})
    room.feed(1000, told("patch_room", title="Night", merchant="m1", hosts=[{"id": "h"}], starts_at=900_000))
    room.feed(2000, said("ann", "hi", "a"), liked("ann", 30, "l"), liked("bob", 12), watching("n1", 3, "ann", "bob"))
    room.room.note_users_total(2)
    room.feed(4000, told("policy", patch={"mode": "staff"}), told("custom", patch={"a": {"b": 1}}), told("notice", text="N"))
    room.feed(
        5000,
        told("mute", user="m", for_s=600),
        told("ban", user="b"),
        told("mute", user="gone"),
        told("mute", user="short", for_s=2),
    )
    room.feed(6000, told("unmute", user="gone"), told("mute", user="m", reason="for ever now"))
    return room


def test_everything_that_must_survive_is_back() -> None:
    """Totals, policy, recent comments, mutes, bans, slow mode and remembered answers; who watches must report again."""
    before = busy()
    before.run(8000)
    after = before.restart(10_000)
    old, new = before.room.state, after.room.state
    assert new == {**old, "viewers": {"connections": 0, "users": 0, "total": 2}}
    assert (new["likes"], new["title"], new["notice"]) == (42, "Night", {"text": "N"})
    assert after.room.recent == before.room.recent != ()
    assert after.room.policy == before.room.policy
    assert (after.room.epoch, after.room.seq) == ("restarted", 0)
    room, again = (r.room.receive(Ask(HERE, SERVICE, "room"), 10_000) for r in (before, after))
    assert room == again
    for what in ("mutes", "bans"):
        was, now = (r.room.receive(Ask(HERE, SERVICE, what), 10_000) for r in (before, after))
        assert was == now
        assert isinstance(now, Done)
        assert len(now.value["data"]) == 1
    assert after.feed(10_000, said("m", "hi")) == [Refusal("muted", retry_after_ms=3_600_000)]
    assert after.feed(10_000, said("ann", "more")) == [Refusal("forbidden")]
    after.feed(11_000, told("policy", patch={"mode": "all"}))
    assert after.feed(12_000, said("ann", "more")) == [Refusal("slow_mode", retry_after_ms=50_000)]
    after.feed(13_000, said("ann", "hi", "a"), liked("ann", 30, "l"))
    assert after.answers[-2:] == [("a", Verdict("shown", id="epoch001-1", seq=2)), ("l", Verdict("counted", counted=30))]
    after.feed(14_000, said("cid", "what?", "r", reply_to="epoch001-1"))
    assert after.fate("r") == "shown"
    assert after.comments[0].id == "restarted-1"
    after.run(1_000_000)
    assert after.room.state["likes"] == 42


def test_a_scheduled_start_is_kept_also_when_its_time_passed_meanwhile() -> None:
    """An owner that comes late begins the broadcast at once."""
    before = Driven(live=False)
    before.feed(1000, told("put_room", starts_at=5000))
    early, late = before.restart(2000), before.restart(9000)
    early.run(5000)
    late.run(9000)
    assert early.room.state["started_at"] == 5000
    assert late.room.state["started_at"] == 9000


def test_a_crash_between_two_epochs_does_not_carry_likes_over() -> None:
    """The last frame of the old epoch told of the new broadcast, and then the owner died: totals begin at zero all the same."""
    before = Driven()
    before.feed(1000, liked("u", 50), said("u", "old"))
    before.feed(2000, told("end"))
    before.room.receive(told("start"), 3000)
    flush = before.room.flush(3000)
    assert flush is not None
    assert flush.renew
    before.flushes.append(flush)
    before.log.append(flush)
    after = before.restart(4000)
    assert (after.room.state["likes"], after.room.recent, after.room.state["status"]) == (0, (), "live")
    after.feed(5000, liked("u", 5))
    assert after.room.state["likes"] == 5


@pytest.mark.parametrize("n", range(8))
def test_the_snapshot_may_be_older_by_any_number_of_commits(n: int) -> None:
    """Folding the later frames and private patches into any stored snapshot gives what a snapshot of now would say."""
    room = Driven(policy={"slow_mode_s": 60})
    story: list[Event] = [
        told("notice", text="N"),
        said("ann", "hi"),
        told("mute", user="m"),
        liked("ann", 3),
        told("unmute", user="m"),
        told("policy", patch={"tick_ms": 500}),
        said("bob", "ho"),
        told("clear_notice"),
    ]
    for i, event in enumerate(story):
        if i == n:
            room.stored = room.room.snapshot()
            room.log.clear()
        room.feed(1000 * (i + 1), event)
    again = recover(room.stored, [(f.frame, f.private) for f in room.log], room.rules)
    now = room.room.snapshot()
    assert (again.seq, again.state, again.policy, again.recent) == (now.seq, now.state, now.policy, now.recent)
    assert {k: v for k, v in again.private.items() if v != {}} == {k: v for k, v in now.private.items() if v != {}}


def test_a_log_with_a_hole_is_not_believed() -> None:
    """Better to say so than to go on with a total that misses something."""
    room = Driven()
    with pytest.raises(ValueError, match="does not follow"):
        recover(room.stored, [(Frame("epoch001", 7, 0), None)], room.rules)


def test_a_policy_of_another_version_does_not_keep_a_room_closed() -> None:
    """What this version cannot read falls back to what the deployment says."""
    room = Driven()
    room.stored.policy = {**room.stored.policy, "glitter": 9}
    again = Room.restore("room", "e2", RoomRules(), room.stored, [], 5000)
    assert again.policy == RoomRules().policy


def test_an_idle_restored_room_has_no_timer() -> None:
    """It was woken by nobody and wants nothing."""
    after = busy().restart(20_000)
    assert after.room.next_flush_at() is None
    after.feed(21_000, said(person("zoe", level=1), "x"))
    assert after.room.summary() == {
        "room": "room",
        "title": "Night",
        "merchant": "m1",
        "status": "live",
        "broadcast": after.room.broadcast,
        "started_at": 0,
    }
