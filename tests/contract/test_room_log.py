"""What every room log promises."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from livecast.core.nodes.placement import shard_of
from livecast.ports import Commit, Fenced, OutOfOrder, RoomLog

ROOM = "demo"
SHARD = shard_of(ROOM)


def commit(number: int, **changes: Any) -> Commit:
    """The `number`th tick of the demo room: a frame each, and a snapshot with the first."""
    fields: dict[str, Any] = {
        "room": ROOM,
        "token": "owner-1",
        "epoch": "e1",
        "number": number,
        "seq": number,
        "at": 1_000_000 + number,
        "frame": b"frame %d" % number,
        "broadcast": "b1",
    }
    if number == 1:
        fields["snapshot"] = b"snapshot 1"
    return Commit(**(fields | changes))


@pytest.fixture
async def log(stores: Any) -> RoomLog:
    """A log whose demo room is owned by `owner-1`."""
    made: RoomLog = stores.log()
    await made.take(SHARD, "owner-1")
    return made


async def test_an_unknown_room_is_none(log: RoomLog) -> None:
    """A room that was never committed is None to its owner and to followers, and not in the list."""
    assert await log.load(ROOM) is None
    assert await log.read(ROOM) is None
    assert await log.rooms("", 10) == []


async def test_what_was_committed_is_loaded(log: RoomLog, stores: Any) -> None:
    """Every field of an acknowledged commit is there for the next owner, byte for byte, also in another process; what says nothing
    leaves no entry.
    """
    await log.commit(commit(1, private=b"\x80", remembered=b"\x90", summary=b'{"room":"demo"}'))
    await log.commit(commit(2, frame=None, seq=1))
    await log.commit(commit(3, seq=2, frame=bytes(range(256)), snapshot=b"snapshot 3"))
    stored = await stores.log().load(ROOM)
    assert (stored.epoch, stored.number, stored.seq) == ("e1", 3, 2)
    assert (stored.snapshot, stored.snapshot_number) == (b"snapshot 3", 3)
    assert [(e.number, e.seq, e.frame, e.private) for e in stored.entries] == [
        (1, 1, b"frame 1", b"\x80"),
        (3, 2, bytes(range(256)), None),
    ]
    assert list(stored.remembered) == [b"\x90"]


async def test_a_repeat_answers_as_the_first_time_and_writes_nothing(log: RoomLog) -> None:
    """(token, epoch, number) makes a commit idempotent: whoever got no answer sends the same bytes again."""
    once = commit(1, new_users=("a", "b"), remembered=b"\x90")
    first = await log.commit(once)
    before = await log.load(ROOM)
    assert await log.commit(once) == first
    assert await log.load(ROOM) == before
    second = await log.commit(commit(2, new_users=("c",)))
    assert second.users_total == 3


async def test_a_commit_under_another_token_is_fenced(log: RoomLog, stores: Any) -> None:
    """After `take` nothing of the former owner is written, not even a repeat of its last commit."""
    await log.commit(commit(1))
    await stores.log().take(SHARD, "owner-2")
    for late in (commit(2), commit(1), commit(1, epoch="e2")):
        with pytest.raises(Fenced):
            await log.commit(late)
    stored = await log.load(ROOM)
    assert stored is not None
    assert (stored.epoch, stored.number) == ("e1", 1)


async def test_the_last_taker_wins(log: RoomLog) -> None:
    """Tokens are compared for equality, not order: the last one taken owns the shard, also if it sorts first."""
    await log.take(SHARD, "zzz")
    await log.take(SHARD, "aaa")
    with pytest.raises(Fenced):
        await log.commit(commit(1, token="zzz"))
    await log.commit(commit(1, token="aaa"))


async def test_a_shard_nobody_took_is_fenced(stores: Any) -> None:
    """A commit never creates a fence: if the token is gone, so is its holder's right."""
    log = stores.log()
    for _ in range(2):
        with pytest.raises(Fenced):
            await log.commit(commit(1))
    assert await log.load(ROOM) is None


async def test_a_former_owner_regains_what_nobody_else_took(log: RoomLog, stores: Any) -> None:
    """After a store lost the end of its log, or its fences, the owner goes on under a new token; the old one stays refused."""
    await log.commit(commit(1))
    assert await log.regain(SHARD, "owner-1", "owner-2")
    with pytest.raises(Fenced):
        await log.commit(commit(2))
    await log.commit(commit(1, token="owner-2", epoch="e2"))
    fresh = stores.log()
    elsewhere = next(k for k in range(256) if k != SHARD)
    assert await fresh.regain(elsewhere, "owner-1", "owner-3")


async def test_nobody_regains_what_another_took(log: RoomLog) -> None:
    """Two owners never both speak: a shard that somebody else took meanwhile is not to be had back."""
    await log.take(SHARD, "another")
    assert not await log.regain(SHARD, "owner-1", "owner-2")
    with pytest.raises(Fenced):
        await log.commit(commit(1, token="owner-2"))
    await log.commit(commit(1, token="another"))


async def test_one_shards_owner_is_not_anothers(log: RoomLog) -> None:
    """Owning one shard gives no right to the next."""
    other = next(r for r in ("x0", "x1", "x2") if shard_of(r) != SHARD)
    with pytest.raises(Fenced):
        await log.commit(commit(1, room=other))


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(commit(4), id="skips one"),
        pytest.param(commit(1), id="an older one, which is no repeat of the last"),
        pytest.param(commit(2, epoch="e2"), id="an epoch that did not begin"),
        pytest.param(commit(1, epoch="e2", snapshot=None), id="an epoch begun without a snapshot"),
        pytest.param(commit(3, token="owner-2"), id="another owner going on in an epoch that is not its own"),
    ],
)
async def test_a_commit_out_of_order_writes_nothing(log: RoomLog, wrong: Commit) -> None:
    """A commit that is not the next one of its owner's epoch is refused as a whole."""
    await log.commit(commit(1))
    await log.commit(commit(2))
    before = await log.load(ROOM)
    await log.take(SHARD, wrong.token)
    with pytest.raises(OutOfOrder):
        await log.commit(wrong)
    assert await log.load(ROOM) == before


async def test_the_first_commit_of_a_room_is_number_one(log: RoomLog) -> None:
    """A room does not begin in the middle."""
    with pytest.raises(OutOfOrder):
        await log.commit(commit(2))
    assert await log.load(ROOM) is None


async def test_a_new_epoch_starts_the_log_anew(log: RoomLog) -> None:
    """Number 1 of another epoch replaces snapshot and entries; remembered answers and the users of the broadcast stay."""
    await log.commit(commit(1, new_users=("a",), remembered=b"\x91\x01"))
    await log.commit(commit(2))
    await log.take(SHARD, "owner-2")
    answer = await log.commit(commit(1, token="owner-2", epoch="e2", seq=0, frame=None, snapshot=b"fresh", remembered=b"\x91\x02"))
    stored = await log.load(ROOM)
    assert stored is not None
    assert (stored.epoch, stored.number, stored.seq, stored.snapshot, stored.snapshot_number) == ("e2", 1, 0, b"fresh", 1)
    assert not stored.entries
    assert list(stored.remembered) == [b"\x91\x01", b"\x91\x02"]
    assert answer.users_total == 1
    await log.commit(commit(2, token="owner-2", epoch="e2", seq=1, frame=None, private=b"\x80"))
    await log.commit(commit(3, token="owner-2", epoch="e2", seq=1, frame=None))
    await log.commit(commit(4, token="owner-2", epoch="e2", seq=2))
    stored = await log.load(ROOM)
    assert stored is not None
    assert (stored.number, [e.number for e in stored.entries]) == (4, [2, 4])


async def test_trimming_keeps_what_snapshot_and_resume_need(log: RoomLog) -> None:
    """A snapshot with `keep_from` drops older entries only; without a snapshot nothing is dropped, whatever `keep_from` says."""
    for number in range(1, 8):
        await log.commit(commit(number))
    await log.commit(commit(8, keep_from=8))
    stored = await log.read(ROOM)
    assert stored is not None
    assert [e.number for e in stored.entries] == list(range(1, 9))
    await log.commit(commit(9, snapshot=b"snapshot 9", keep_from=7))
    await log.commit(commit(10))
    stored = await log.read(ROOM)
    assert stored is not None
    assert stored.snapshot_number == 9
    assert [e.number for e in stored.entries] == [7, 8, 9, 10]


async def test_entries_after_the_snapshot_are_never_trimmed(log: RoomLog) -> None:
    """`keep_from` beyond the snapshot's own number drops no more than the snapshot covers, now or later."""
    await log.commit(commit(1))
    await log.commit(commit(2, snapshot=b"snapshot 2", keep_from=100))
    await log.commit(commit(3))
    stored = await log.read(ROOM)
    assert stored is not None
    assert [e.number for e in stored.entries if e.number > stored.snapshot_number] == [3]


async def test_remembered_answers_age(log: RoomLog) -> None:
    """Answers are kept for `remember_ms` of the commits' time; a clock that goes back loses none."""
    await log.commit(commit(1, at=10_000, remembered=b"old"))
    await log.commit(commit(2, at=9_000, remembered=b"clock went back"))
    await log.commit(commit(3, at=15_000, remembered=b"new", remember_ms=5_000))
    assert await remembered(log) == [b"old", b"clock went back", b"new"]
    await log.commit(commit(4, at=15_002, remember_ms=5_000))
    assert await remembered(log) == [b"new"]


async def test_remembered_answers_are_bounded(log: RoomLog) -> None:
    """At 8 MiB the oldest answers of a room are forgotten first, so a busy room costs a new owner a bounded time."""
    mib = 1024 * 1024
    for number in range(1, 12):
        await log.commit(commit(number, remembered=b"%02d" % number + bytes(mib - 2)))
    assert [body[:2] for body in await remembered(log)] == [b"%02d" % number for number in range(4, 12)]
    await log.commit(commit(12, remembered=b"12"))
    assert [body[:2] for body in await remembered(log)] == [b"%02d" % number for number in range(5, 13)]


async def remembered(log: RoomLog) -> list[bytes]:
    """The demo room's remembered answers."""
    stored = await log.load(ROOM)
    assert stored is not None
    return list(stored.remembered)


async def test_followers_do_not_get_the_remembered_answers(log: RoomLog) -> None:
    """`read` is `load` without them."""
    await log.commit(commit(1, remembered=b"\x90"))
    stored, seen = await log.load(ROOM), await log.read(ROOM)
    assert stored is not None
    assert seen is not None
    assert list(stored.remembered) == [b"\x90"]
    assert list(seen.remembered) == []
    assert (seen.epoch, seen.number, seen.seq, seen.snapshot) == (stored.epoch, stored.number, stored.seq, stored.snapshot)
    assert list(seen.entries) == list(stored.entries)


async def test_distinct_users_are_counted_per_broadcast(log: RoomLog, stores: Any) -> None:
    """Repeated ids count once, also when another owner or process names them again; a new broadcast starts at zero."""
    many = tuple(f"user-{n}" for n in range(3000))
    assert abs((await log.commit(commit(1, new_users=many))).users_total - 3000) <= 60
    before = (await log.commit(commit(2, new_users=many[:100]))).users_total
    assert (await log.commit(commit(3))).users_total == before
    restarted = stores.log()
    await restarted.take(SHARD, "owner-2")
    again = commit(1, token="owner-2", epoch="e2", new_users=many[:1500])
    assert (await restarted.commit(again)).users_total == before
    assert (await restarted.commit(commit(2, token="owner-2", epoch="e2", broadcast="b2", new_users=("x", "y")))).users_total == 2


async def test_rooms_are_listed_in_order(log: RoomLog) -> None:
    """Pages follow each other in order of room id without repeats or omissions; the last summary stands; None keeps it."""
    crowded = [name for name in (f"r{n}" for n in range(3000)) if shard_of(name) in {3, 4}]  # many more than a shard's share
    names = sorted([f"room-{n}" for n in range(60)] + ["A", "Z", "_", "a", "-"] + crowded)
    for name in reversed(names):
        await log.take(shard_of(name), "owner-1")
        await log.commit(commit(1, room=name, summary=b"old"))
        await log.commit(commit(2, room=name, summary=b"new " + name.encode()))
        await log.commit(commit(3, room=name))
    await log.take(SHARD, "owner-1")
    await log.commit(commit(1, room=ROOM))  # no summary: not listed
    assert await log.rooms("", 200) == [(name, b"new " + name.encode()) for name in names]
    paged: list[str] = []
    while page := await log.rooms(paged[-1] if paged else "", 7):
        assert len(page) <= 7
        paged += [name for name, _ in page]
    assert paged == names
    assert await log.rooms("zzz", 5) == []


async def test_a_picture_taken_while_commits_run_is_one_moments(log: RoomLog, stores: Any) -> None:
    """`read` never sees half of a commit: its entries end at its number, and go on from its snapshot without a gap."""
    reader = stores.log()
    done = asyncio.Event()

    async def write() -> None:
        await log.commit(commit(1))
        for number in range(2, 300):
            more = {"snapshot": b"snapshot %d" % number, "keep_from": number - 5} if number % 7 == 0 else {}
            await log.commit(commit(number, **more))
            await asyncio.sleep(0)
        done.set()

    writer = asyncio.create_task(write())
    pictures = 0
    while not done.is_set():
        stored = await reader.read(ROOM)
        await asyncio.sleep(0)
        if stored is None:
            continue
        numbers = [e.number for e in stored.entries]
        assert numbers == list(range(numbers[0], stored.number + 1))
        assert numbers[0] <= stored.snapshot_number + 1
        assert stored.entries[-1].seq == stored.seq
        assert stored.snapshot == b"snapshot %d" % stored.snapshot_number
        pictures += 1
    await writer
    assert pictures > 10


async def test_commits_of_many_rooms_do_not_disturb_each_other(log: RoomLog) -> None:
    """Calls made together get each its own answer: good ones succeed beside fenced ones and ones out of order."""
    rooms = [f"r{n}" for n in range(40)]
    for name in rooms[:30]:
        await log.take(shard_of(name), "owner-1")
    for name in rooms[30:]:
        await log.take(shard_of(name), "somebody else")
    expected: list[object] = []
    calls = []
    for n, name in enumerate(rooms):
        owned = not any(shard_of(name) == shard_of(other) for other in rooms[30:])
        right = n % 3 > 0
        calls.append(log.commit(commit(1 if right else 2, room=name, new_users=tuple(str(k) for k in range(n)))))
        expected.append(Fenced if not owned else n if right else OutOfOrder)
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(a) if isinstance(a, Exception) else a.users_total for a in answers] == expected  # type: ignore[union-attr]


async def test_what_staff_did_is_kept_with_the_commit(log: RoomLog, stores: Any) -> None:
    """The latest first, in pages; a repeated commit leaves nothing twice; a new epoch takes nothing away."""
    await log.commit(commit(1, acts=b"first"))
    await log.commit(commit(2))
    await log.commit(commit(3, acts=b"second"))
    await log.commit(commit(3, acts=b"second"))
    await log.commit(commit(1, epoch="e2", snapshot=b"s", acts=b"third"))
    other = stores.log()
    first = await other.acts(ROOM, "", 2)
    assert [acts for _, acts in first] == [b"third", b"second"]
    assert [acts for _, acts in await other.acts(ROOM, first[-1][0], 2)] == [b"first"]
    assert await other.acts("elsewhere", "", 2) == []
