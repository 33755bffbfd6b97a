"""What the loop around a room promises: commit before word, the reply before the frame, repeats until answered, no second owner."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from livecast.adapters.memory.bus import MemoryBus
from livecast.adapters.memory.log import MemoryRoomLog
from livecast.core.commands import End, Ensure, PutRoom, SetPolicy, Start
from livecast.core.errors import Refusal
from livecast.core.events import Ask, Command, Done, Event, Liked, Notice, Origin, Person, Presence, Reply, Said, Verdict
from livecast.core.nodes.placement import SHARDS, shard_of
from livecast.core.room import Room
from livecast.core.rules import RoomRules
from livecast.facts import CommitRefused, Fact, Flushed, Trouble
from livecast.ports import Commit, Committed, Published, Unavailable
from livecast.shard.shards import Shards
from livecast.wire import records
from support.virtual import VirtualLoop, run_virtual

ANN = Person("ann", "Ann")
HOST = Person("host", "Host", role="host")


class ShakyLog(MemoryRoomLog):
    """The memory log with a line that breaks: the next `before` commits are lost on the way there, the next `after` ones on
    the way back. Unlike a real store it forgets nothing and is never slow.
    """

    def __init__(self) -> None:
        super().__init__()
        self.before = self.after = 0
        self.commits: list[Commit] = []

    async def commit(self, commit: Commit) -> Committed:
        self.commits.append(commit)
        if self.before:
            self.before -= 1
            raise Unavailable("lost on the way there")
        done = await super().commit(commit)
        if self.after:
            self.after -= 1
            raise Unavailable("lost on the way back")
        return done


class Stage:
    """One owner on a bus, a node that asks, a follower that watches; `said` is everything heard, in the order it was heard."""

    def __init__(self, loop: VirtualLoop, log: MemoryRoomLog | None = None, rules: RoomRules | None = None) -> None:
        self.loop = loop
        self.log = log or ShakyLog()
        self.bus = MemoryBus()
        self.rules = rules or RoomRules()
        self.said: list[Reply | Published | Notice] = []
        self.facts: list[Fact] = []
        self.shards = Shards(bus=self.bus, log=self.log, clock=loop.unix_ms, rules=self.rules, observer=self)
        self._asked = 0

    def observe(self, fact: Fact) -> None:
        self.facts.append(fact)

    async def begin(self, *rooms: str) -> Stage:
        await self.bus.attach("n", self._heard, lambda _room, _user, notice: self.said.append(notice))
        await self.shards.start()
        for room in rooms:
            await self.ask(room, Command(self.origin(), HOST, "ensure", Ensure(), "make"))
            await self.bus.follow(room, self.said.append)
        self.said.clear()
        return self

    def origin(self) -> Origin:
        self._asked += 1
        return Origin("n", self._asked)

    def _heard(self, replies: Sequence[Reply]) -> None:
        self.said.extend(replies)

    def comment(self, room: str, text: str, cid: str, person: Person = ANN) -> int:
        origin = self.origin()
        assert self.bus.post(room, Said(origin, person, cid, text))
        return origin.asker

    async def ask(self, room: str, event: Event) -> object:
        assert self.bus.post(room, event)
        asker = event.origin.asker  # type: ignore[union-attr]
        return (await self.until(lambda: [s for s in self.said if isinstance(s, Reply) and s.asker == asker]))[0].answer

    async def until(self, condition: Callable[..., Any], within_s: float = 30.0) -> Any:
        """Let virtual time pass until the condition holds."""
        end = self.loop.time() + within_s
        while not (held := condition()):
            assert self.loop.time() < end, f"not within {within_s} s: {self.said[-5:]} {self.facts[-3:]}"
            await asyncio.sleep(0.001)
        return held

    def published(self) -> list[Published]:
        return [s for s in self.said if isinstance(s, Published)]

    def replies(self, cid: str) -> list[object]:
        return [s.answer for s in self.said if isinstance(s, Reply) and s.cid == cid]


def test_the_reply_comes_before_the_frame_and_both_after_the_commit():
    """On hearing `shown` the sender can rely on the log; and hears it before the frame that shows the comment."""

    async def main(loop: VirtualLoop) -> None:
        stage = await Stage(loop).begin("r")
        stage.comment("r", "hello", "c1")
        await stage.until(stage.published)
        reply, published = stage.said
        assert isinstance(reply, Reply)
        assert isinstance(reply.answer, Verdict)
        assert reply.answer.verdict == "shown"
        assert isinstance(published, Published)
        assert published.frame is not None
        frame = records.decode_frame(published.frame)
        assert [c.text for c in frame.comments] == ["hello"]
        assert reply.answer.seq == frame.seq == published.seq
        stored = await stage.log.read("r")
        assert stored is not None
        assert stored.entries[-1].frame == published.frame

    run_virtual(main)


@pytest.mark.parametrize("lost", ["before", "after"])
def test_an_unanswered_commit_is_repeated_with_the_same_bytes(lost: str):
    """A store that does not answer costs time, never a frame: nobody hears anything until it does, then everybody once."""

    async def main(loop: VirtualLoop) -> None:
        log = ShakyLog()
        stage = await Stage(loop, log).begin("r")
        log.commits.clear()
        setattr(log, lost, 3)
        stage.comment("r", "hello", "c1")
        await stage.until(lambda: len(log.commits) == 3)
        assert stage.said == []
        await stage.until(stage.published)
        assert len(log.commits) == 4
        assert all(c == log.commits[0] for c in log.commits)
        assert len(stage.replies("c1")) == 1
        assert [f.what for f in stage.facts if isinstance(f, Trouble)] == ["commit unanswered"]

    run_virtual(main)


def test_a_second_owner_silences_the_first():
    """Whoever takes the shard later owns it: the former owner's commit is refused, it says so and publishes nothing."""

    async def main(loop: VirtualLoop) -> None:
        stage = await Stage(loop).begin("r")
        await stage.log.take(shard_of("r"), "another")
        stage.comment("r", "hello", "c1")
        await stage.until(lambda: [f for f in stage.facts if isinstance(f, Trouble) and f.what == "stepped down"])
        assert stage.published() == []
        assert stage.replies("c1") == []
        assert stage.shards.owned == 0
        assert [f.why for f in stage.facts if isinstance(f, CommitRefused)] == ["fenced"]

    run_virtual(main)


@pytest.mark.parametrize("lost", ["its end", "everything"])
def test_a_log_that_lost_its_end_is_written_anew(lost: str):
    """A store that comes back with an older log, or none, costs an epoch: what the owner has in memory is kept and answered."""

    async def main(loop: VirtualLoop) -> None:
        log = ShakyLog()
        stage = await Stage(loop, log).begin("r")
        stage.comment("r", "one", "c1")
        await stage.until(stage.published)
        if lost == "everything":
            log._rooms.clear()
            log.fences.clear()
        else:
            log._rooms["r"].last = None
        stage.comment("r", "two", "c2", Person("bob", "Bob"))
        await stage.until(lambda: stage.replies("c2"))
        await stage.until(lambda: [p for p in stage.published() if p.snapshot])
        begun = stage.published()[-1]
        assert begun.epoch != stage.published()[0].epoch
        assert [c.text for c in records.decode_snapshot(begun.snapshot or b"").recent] == ["one", "two"]
        assert stage.shards.owned == 1
        stage.comment("r", "three", "c3", Person("cyn", "Cyn"))
        await stage.until(lambda: stage.replies("c3"))

        second = await Stage(loop, log).begin()
        again = Said(second.origin(), Person("bob", "Bob"), "c2", "two")
        assert await second.ask("r", again) == stage.replies("c2")[0]

    run_virtual(main)


@pytest.mark.parametrize("busy", [False, True])
def test_another_life_of_the_store_is_another_epoch(busy: bool):
    """When another process serves the log, rooms begin a new epoch by themselves, also one in which nothing happens: the store may
    have lost what viewers saw last. Nothing of what is under way is lost over it, and it happens once.
    """

    async def main(loop: VirtualLoop) -> None:
        stage = await Stage(loop).begin("r")
        stage.comment("r", "one", "c1")
        await stage.until(stage.published)
        await asyncio.sleep(1)
        if busy:
            stage.comment("r", "two", "c2", Person("bob", "Bob"))
        stage.shards._reborn([shard_of("r")])
        stage.shards._reborn([(shard_of("r") + 1) % SHARDS])
        await asyncio.sleep(1)
        begun = [p for p in stage.published() if p.snapshot]
        assert len(begun) == 1
        assert begun[0].epoch != stage.published()[0].epoch
        stored = await stage.log.read("r")
        assert stored is not None
        assert stored.epoch == begun[0].epoch
        if busy:
            assert stage.replies("c2")
        stage.comment("r", "three", "c3", Person("cyn", "Cyn"))
        await stage.until(lambda: stage.replies("c3"))
        assert stage.published()[-1].epoch == begun[0].epoch

    run_virtual(main)


def test_a_room_whose_store_came_back_empty_is_written_anew_at_once():
    """Without waiting for anybody to say something: whoever joins meanwhile would find no room."""

    async def main(loop: VirtualLoop) -> None:
        log = ShakyLog()
        stage = await Stage(loop, log).begin("r")
        stage.comment("r", "one", "c1")
        await stage.until(stage.published)
        log._rooms.clear()
        log.fences.clear()
        stage.shards._reborn([shard_of("r")])
        await stage.until(lambda: [p for p in stage.published() if p.snapshot])
        stored = await log.read("r")
        assert stored is not None
        assert [c.text for c in records.decode_snapshot(stored.snapshot).recent] == ["one"]
        assert stage.shards.owned == 1

    run_virtual(main)


def test_quiet_rooms_speak_at_once_and_busy_ones_at_their_tick():
    """The first event after quiet leaves without waiting; the next frame not before a tick has passed."""

    async def main(loop: VirtualLoop) -> None:
        stage = await Stage(loop).begin("r")
        await asyncio.sleep(5)
        began = loop.time()
        stage.comment("r", "one", "c1")
        await stage.until(stage.published)
        assert loop.time() - began < 0.01
        stage.comment("r", "two", "c2", Person("bob", "Bob"))
        await stage.until(lambda: len(stage.published()) == 2)
        assert 0.19 <= loop.time() - began <= 0.25

    run_virtual(main)


def test_an_idle_room_has_no_timer():
    """Once a room has said everything, nothing of it is scheduled."""

    async def main(loop: VirtualLoop) -> None:
        stage = await Stage(loop).begin("r")
        stage.comment("r", "one", "c1")
        await stage.until(stage.published)
        await asyncio.sleep(60)
        assert stage.shards.owned == 1
        assert stage.shards.active == 0

    run_virtual(main)


def test_an_unknown_room_says_so():
    """Without a command that makes it, a room does not come to be; and nothing of the attempt stays."""

    async def main(loop: VirtualLoop) -> None:
        stage = await Stage(loop).begin()
        answer = await stage.ask("nowhere", Said(stage.origin(), ANN, "c", "hi"))
        assert answer == Refusal("unknown_room")
        answer = await stage.ask("nowhere", Command(stage.origin(), HOST, "start", Start(), "s"))
        assert answer == Refusal("unknown_room")
        assert stage.shards.owned == 0
        assert await stage.log.read("nowhere") is None

    run_virtual(main)


def test_a_refused_creation_leaves_no_room():
    """A room whose making was refused does not exist afterwards."""

    async def main(loop: VirtualLoop) -> None:
        stage = await Stage(loop).begin()
        answer = await stage.ask("r", Command(stage.origin(), HOST, "put_room", PutRoom(policy={"tick_ms": 1}), "p"))
        assert isinstance(answer, Refusal)
        assert answer.code == "invalid"
        assert await stage.ask("r", Ask(stage.origin(), HOST, "room", cid="q")) == Refusal("unknown_room")
        assert stage.shards.owned == 0

    run_virtual(main)


def test_a_full_inbox_answers_overloaded():
    """What does not fit is answered, and what fitted is kept: nothing is dropped in silence."""

    async def main(loop: VirtualLoop) -> None:
        log = ShakyLog()
        stage = await Stage(loop, log, RoomRules(inbox_max=16)).begin("r")
        log.before = 10**9
        stage.comment("r", "first", "c0")
        await asyncio.sleep(1.5)  # virtual: the commit is unanswered for so long that the inbox is left to fill
        for k in range(30):
            stage.comment("r", f"text {k}", f"c{k + 1}", Person(f"u{k}", "U"))
        await stage.until(lambda: len(stage.said) == 14)
        assert {r.answer.code for r in stage.said if isinstance(r, Reply) and isinstance(r.answer, Refusal)} == {"overloaded"}
        log.before = 0
        await stage.until(lambda: len([s for s in stage.said if isinstance(s, Reply)]) == 31)

    run_virtual(main)


def test_a_restart_goes_on_where_the_room_was():
    """A new owner has totals, recent comments, policy and remembered answers; the epoch is a new one."""

    async def main(loop: VirtualLoop) -> None:
        log = ShakyLog()
        first = await Stage(loop, log).begin("r")
        first.comment("r", "hello", "c1")
        assert first.bus.post("r", Liked(first.origin(), ANN, 5, "l1"))
        await first.ask("r", Command(first.origin(), HOST, "policy", SetPolicy({"slow_mode_s": 7}), "p"))
        await first.until(lambda: first.replies("c1") and first.replies("l1"))
        epoch = first.published()[-1].epoch

        second = await Stage(loop, log).begin()  # the first was killed: nothing was drained
        await second.bus.follow("r", second.said.append)
        again = Said(second.origin(), ANN, "c1", "hello")
        assert await second.ask("r", again) == first.replies("c1")[0]
        begun = second.published()[0]
        assert begun.snapshot is not None
        snapshot = records.decode_snapshot(begun.snapshot)
        assert snapshot.epoch == begun.epoch != epoch
        assert snapshot.seq == 0
        assert snapshot.state["likes"] == 5
        assert snapshot.policy["slow_mode_s"] == 7
        assert [c.text for c in snapshot.recent] == ["hello"]

    run_virtual(main)


def test_a_new_broadcast_begins_a_new_epoch():
    """`start` brings totals to zero; followers get the snapshot of the new epoch, so that sums within an epoch stay true."""

    async def main(loop: VirtualLoop) -> None:
        stage = await Stage(loop).begin("r")
        assert stage.bus.post("r", Liked(stage.origin(), ANN, 5, "l1"))
        await stage.until(lambda: stage.replies("l1"))
        before = stage.published()[-1].epoch
        assert isinstance(await stage.ask("r", Command(stage.origin(), HOST, "end", End(), "e")), Done)
        answer = await stage.ask("r", Command(stage.origin(), HOST, "start", Start(title="Tonight"), "s"))
        assert isinstance(answer, Done)
        await stage.until(lambda: [p for p in stage.published() if p.snapshot])
        begun = next(p for p in stage.published() if p.snapshot)
        assert begun.snapshot is not None
        snapshot = records.decode_snapshot(begun.snapshot)
        assert snapshot.epoch != before
        assert snapshot.state["likes"] == 0
        assert snapshot.state["title"] == "Tonight"
        assert snapshot.state["status"] == "live"
        stage.comment("r", "hello", "c1")
        await stage.until(lambda: stage.replies("c1"))
        assert stage.published()[-1].seq == 1

    run_virtual(main)


def test_draining_commits_what_has_come():
    """An orderly stop loses nothing: what was posted is decided, committed and answered first."""

    async def main(loop: VirtualLoop) -> None:
        stage = await Stage(loop).begin("r")
        stage.comment("r", "one", "c1")
        await stage.until(stage.published)
        stage.comment("r", "two", "c2", Person("bob", "Bob"))
        await asyncio.sleep(0)
        await stage.shards.drain()
        assert isinstance(stage.replies("c2")[0], Verdict)
        stored = await stage.log.read("r")
        assert stored is not None
        assert stored.snapshot_number == stored.number
        assert [c.text for c in records.decode_snapshot(stored.snapshot).recent] == ["one", "two"]
        assert not stage.bus.post("r", Said(stage.origin(), ANN, "c3", "late"))

    run_virtual(main)


def test_snapshots_bound_what_a_new_owner_replays():
    """At least every so many commits a snapshot is written, so that replay stays short however long the show."""

    async def main(loop: VirtualLoop) -> None:
        stage = await Stage(loop, rules=RoomRules(snapshot_frames=10, log_frames_max=5, log_ms=1000)).begin("r")
        for k in range(45):
            stage.comment("r", f"text {k}", f"c{k}", Person(f"u{k}", "U"))
            await stage.until(lambda k=k: stage.replies(f"c{k}"))
            await asyncio.sleep(0.5)
        stored = await stage.log.read("r")
        assert stored is not None
        assert stored.number - stored.snapshot_number < 10
        assert len(stored.entries) <= 16

    run_virtual(main)


def test_unwatched_quiet_rooms_leave_memory_and_come_back():
    """After ten minutes without anybody a room costs nothing; the next event brings it back whole."""

    async def main(loop: VirtualLoop) -> None:
        stage = await Stage(loop).begin("r")
        assert stage.bus.post("r", Liked(stage.origin(), ANN, 5, "l1"))
        await stage.until(lambda: stage.replies("l1"))
        await asyncio.sleep(800)
        assert stage.shards.owned == 0
        answer = await stage.ask("r", Liked(stage.origin(), ANN, 1, "l2"))
        assert answer == Verdict("counted", counted=1)
        likes = records.decode_frame(stage.published()[-1].frame or b"").likes
        assert likes is not None
        assert likes.total == 6

    run_virtual(main)


def test_a_watched_room_stays():
    """A room with viewers keeps its epoch however quiet it is."""

    async def main(loop: VirtualLoop) -> None:
        stage = await Stage(loop).begin("r")
        for _ in range(90):
            stage.bus.post("r", Presence("n", 1, 1, (ANN,)))
            await asyncio.sleep(10)
        assert stage.shards.owned == 1

    run_virtual(main)


def test_a_fault_in_the_room_costs_an_epoch_not_the_process(monkeypatch: pytest.MonkeyPatch):
    """A programming error while flushing is reported with its place; the room starts again from its log and goes on."""

    async def main(loop: VirtualLoop) -> None:
        stage = await Stage(loop).begin("r")
        with monkeypatch.context() as patch:
            patch.setattr(Room, "flush", lambda *_: 1 / 0)
            stage.comment("r", "lost", "c1")
            await stage.until(lambda: [f for f in stage.facts if isinstance(f, Trouble)])
        trouble = next(f for f in stage.facts if isinstance(f, Trouble))
        assert trouble.what == "a room could not flush"
        assert "ZeroDivisionError" in trouble.advice
        stage.comment("r", "hello", "c2")
        await stage.until(lambda: stage.replies("c2"))
        assert [f for f in stage.facts if isinstance(f, Flushed)]

    run_virtual(main)
