"""What every bus promises. `near` is the bus of one process, `far` that of another (in memory: the same)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from msgspec import UNSET

from livecast.core import commands
from livecast.core.errors import Refusal
from livecast.core.events import (
    Answer,
    Ask,
    Command,
    Done,
    EdgeRefused,
    Event,
    Liked,
    Notice,
    Origin,
    Person,
    Presence,
    Reply,
    Said,
    Verdict,
)
from livecast.core.nodes.placement import shard_of
from livecast.ports import Bus, Commit, Fenced, Published, RoomLog

ROOM = "demo"
SHARD = shard_of(ROOM)
ME = Person("u1", "Ada", level=3, badges=("vip",), avatar="https://x/y.png")


async def until(condition: Callable[[], object]) -> None:
    """Wait for a condition, 5 s at most."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - any condition, not one object that could signal
            await asyncio.sleep(0.001)


class Ear:
    """Keeps what a node or an owner is told, in one order for all kinds."""

    def __init__(self) -> None:
        self.heard: list[Any] = []

    def events(self, room: str, events: Sequence[Event]) -> None:
        self.heard += [(room, event) for event in events]

    def replies(self, replies: Sequence[Reply]) -> None:
        self.heard.append(list(replies))

    def notices(self, room: str, user: str, notice: Notice) -> None:
        self.heard.append((room, user, notice))

    def published(self, published: Published) -> None:
        if published.epoch:  # else the bus itself says that the log is to be asked, which may come at any time
            self.heard.append(published)


@pytest.fixture
async def near(stores: Any) -> Bus:
    """The bus of this process."""
    made: Bus = stores.bus()
    return made


@pytest.fixture
async def far(stores: Any, near: Bus) -> Bus:
    """The bus of another process over the same store."""
    del near  # made first, so that `far` is another where there can be two
    made: Bus = stores.bus()
    return made


@pytest.fixture
async def log(stores: Any) -> RoomLog:
    """A log whose demo room is owned by `owner`."""
    made: RoomLog = stores.log()
    await made.take(SHARD, "owner")
    return made


def said(n: int, node: str = "a") -> Said:
    """The `n`th comment."""
    return Said(Origin(node, n), ME, f"c{n}", f"text {n}")


def frame(number: int, epoch: str = "e1") -> Published:
    """The `number`th frame."""
    return Published(ROOM, epoch, number, frame=b"frame %d" % number)


async def commit(log: RoomLog, number: int, epoch: str = "e1") -> None:
    """What an owner does before it publishes `frame(number)`. Number 1 is the epoch's beginning, with frame 0."""
    snapshot = b"snapshot" if number == 1 else None
    data = None if number == 1 else frame(number - 1).frame
    await log.commit(Commit(ROOM, "owner", epoch, number, number - 1, 1_000, frame=data, snapshot=snapshot))


async def test_posted_events_reach_the_owner_in_order(near: Bus, far: Bus) -> None:
    """What one process posts to a room arrives at its owner, here or elsewhere, in the order it was posted."""
    ear = Ear()
    await far.serve(SHARD, ear.events)
    for n in range(500):
        assert near.post(ROOM, said(n))
        if n % 50 == 0:
            await asyncio.sleep(0.001)
    await until(lambda: len(ear.heard) == 500)
    assert ear.heard == [(ROOM, said(n)) for n in range(500)]


async def test_an_answer_never_arrives_inside_the_call_that_asked(near: Bus) -> None:
    """An owner that answers at once is still heard only after `post` returned: askers may take note of their number then."""
    ear = Ear()
    await near.attach("a", ear.replies, ear.notices)
    await near.serve(SHARD, lambda _, events: near.reply("a", [Reply(e.origin.asker, e.cid, Verdict("ok")) for e in events]))  # type: ignore[union-attr]
    near.post(ROOM, said(1))
    assert ear.heard == []
    await until(lambda: ear.heard)
    assert ear.heard == [[Reply(1, "c1", Verdict("ok"))]]


@pytest.mark.parametrize(
    "event",
    [
        Said(
            Origin("a", 2**40),
            ME,
            "c",
            "好看 \U0001f600",
            2**32 - 1,
            "e-1",
            ("u2", "u3"),
            {"color": 255},
            {"k": [1, None, {"x": 1.5}]},
        ),
        Liked(Origin("a", 1), ME, 100, "c"),
        Liked(Origin("a", 1), Person("anon", "", anonymous=True), 1),
        Presence("a", 5, 4, (ME, Person("u2", "Bob", role="host")), 9_000),
        EdgeRefused("a", {"rate_limited": 3, "too_large": 1}),
        Ask(Origin("a", 1), ME, "mutes", {"user": "u", "deep": [{"x": None}]}, "c"),
        Command(
            Origin("a", 1), ME, "put_room", commands.PutRoom("t", hosts=(commands.Host("h", "Hanna"),), custom={"a": [1]}), "c"
        ),
        Command(Origin("a", 1), ME, "patch_room", commands.PatchRoom(title=None, merchant=UNSET, custom={"a": None}), "c", 7),
        Command(Origin("a", 1), ME, "start", commands.Start(starts_at=5)),
        Command(Origin("a", 1), ME, "emit", commands.Emit("x.sale", {"price": 1}, "u1")),
        Command(Origin("a", 1), ME, "pause", commands.Pause()),
    ],
    ids=lambda event: type(event).__name__ + getattr(event, "name", ""),
)
async def test_every_kind_of_event_arrives_as_it_was(near: Bus, far: Bus, event: Event) -> None:
    """The owner gets an equal value of the same type, however far it came: also the arguments of commands."""
    ear = Ear()
    await far.serve(SHARD, ear.events)
    near.post(ROOM, event)
    await until(lambda: ear.heard)
    assert ear.heard == [(ROOM, event)]
    assert type(ear.heard[0][1]) is type(event)


async def test_every_command_can_be_sent(near: Bus, far: Bus) -> None:
    """Whatever the control plane may ask crosses the bus."""
    given: dict[str, Any] = {"text": "t", "type": "x.a", "user": "u", "patch": {"a": None}, "args": {}}
    given |= {"action": "approve", "id": "i", "question": "?", "choices": ("a", "b"), "poll": "p", "title": "t", "product": "p"}
    given["price"] = commands.Price(1, "CNY")
    sent: list[Event] = []
    for name, type_ in commands.COMMANDS.items():
        arguments = {field: given[field] for field in type_.__struct_fields__ if field in given}
        sent.append(Command(Origin("a", 1), ME, name, type_(**arguments)))
    ear = Ear()
    await far.serve(SHARD, ear.events)
    for event in sent:
        near.post(ROOM, event)
    await until(lambda: len(ear.heard) == len(sent))
    assert [event for _, event in ear.heard] == sent


@pytest.mark.parametrize(
    "event",
    [said(7), Liked(Origin("a", 7), ME, 1, "c7"), Ask(Origin("a", 7), ME, "room", {}, "c7")],
    ids=lambda e: type(e).__name__,
)
async def test_nobody_receives(near: Bus, event: Event) -> None:
    """A room without an owner: `post` says so, or its asker is told `unavailable` at once instead of waiting 2 s."""
    ear = Ear()
    await near.attach("a", ear.replies, ear.notices)
    if not near.post(ROOM, event):
        return
    await until(lambda: ear.heard)
    [[reply]] = ear.heard
    assert (reply.asker, reply.cid, reply.answer.code) == (7, "c7", "unavailable")
    assert reply.answer.retry_after_ms > 0


async def test_an_owner_that_stopped_hears_no_more(near: Bus, far: Bus) -> None:
    """After `unserve` nothing is handed over, neither from here nor from elsewhere; the next owner gets it."""
    first, second, asker = Ear(), Ear(), Ear()
    await near.attach("a", asker.replies, asker.notices)
    await far.serve(SHARD, first.events)
    await far.unserve(SHARD)
    near.post(ROOM, said(1))
    await near.serve(SHARD, second.events)
    far.post(ROOM, said(2, "b"))
    await until(lambda: (ROOM, said(2, "b")) in second.heard)
    assert first.heard == []


async def test_replies_reach_their_node_together(near: Bus, far: Bus) -> None:
    """Replies of one call come in one piece, with every kind of answer as it was; other nodes hear nothing."""
    here, there = Ear(), Ear()
    await near.attach("a", here.replies, here.notices)
    await far.attach("b", there.replies, there.notices)
    answers: list[Answer] = [
        Verdict("shown", id="e-1", seq=2**40),
        Verdict("counted", counted=0),
        Done({"title": "t", "list": [1, None]}, created=True),
        Refusal("muted", retry_after_ms=5),
        Refusal("invalid", "no", field="text"),
    ]
    replies = [Reply(n, None if n == 1 else f"c{n}", answer) for n, answer in enumerate(answers)]
    near.reply("a", replies)
    far.reply("a", replies)
    await until(lambda: len(here.heard) == 2)
    assert here.heard == [replies, replies]
    assert there.heard == []
    near.reply("nobody", replies)


async def test_a_reply_comes_before_what_is_published_after_it(near: Bus, log: RoomLog) -> None:
    """On one process the answer to a comment is handed over before the frame that shows it, though the log's commit has told
    all the world of that frame before.
    """
    ear = Ear()
    await near.attach("a", ear.replies, ear.notices)
    await near.serve(SHARD, ear.events)
    await near.follow(ROOM, ear.published)
    await commit(log, 1)
    near.publish(Published(ROOM, "e1", 0, snapshot=b"snapshot"))
    expected: list[Any] = [Published(ROOM, "e1", 0, snapshot=b"snapshot")]
    for number in range(1, 20):
        await commit(log, number + 1)
        await asyncio.sleep(0.002)  # a copy by way of the store would be here by now
        replies = [Reply(number, "c", Verdict("shown"))]
        near.reply("a", replies)
        near.publish(frame(number))
        expected += [replies, frame(number)]
    await asyncio.sleep(0.01)
    assert ear.heard == expected


async def test_followers_hear_all_that_is_committed_after_follow_returns(near: Bus, far: Bus, log: RoomLog) -> None:
    """`follow` returns when nothing can be missed any more: the very next frame is delivered, once, here and elsewhere, and
    the beginning of an epoch with its snapshot.
    """
    here, there = Ear(), Ear()
    await near.serve(SHARD, here.events)
    await far.follow(ROOM, there.published)
    await commit(log, 1)
    near.publish(Published(ROOM, "e1", 0, snapshot=b"snapshot"))
    await near.follow(ROOM, here.published)
    for number in range(1, 50):
        await commit(log, number + 1)
        near.publish(frame(number))
    frames = [frame(number) for number in range(1, 50)]
    await until(lambda: len(there.heard) >= 50)
    assert there.heard == [Published(ROOM, "e1", 0, snapshot=b"snapshot"), *frames]
    assert here.heard == frames


async def test_only_what_is_committed_is_published(near: Bus, far: Bus, log: RoomLog) -> None:
    """A commit that was refused reaches nobody; neither does the repeat of one that was done."""
    ear = Ear()
    await near.serve(SHARD, ear.events)
    await far.follow(ROOM, ear.published)
    await commit(log, 1)
    with pytest.raises(Fenced):
        await log.commit(Commit(ROOM, "thief", "e1", 2, 1, 1_000, frame=b"stolen"))
    await commit(log, 1)
    near.publish(Published(ROOM, "e1", 0, snapshot=b"snapshot"))
    await commit(log, 2)
    near.publish(frame(1))
    await until(lambda: len(ear.heard) >= 2)
    assert ear.heard == [Published(ROOM, "e1", 0, snapshot=b"snapshot"), frame(1)]


async def test_followers_of_other_rooms_hear_nothing(near: Bus) -> None:
    """What is published in one room stays there."""
    ear = Ear()
    await near.serve(SHARD, ear.events)
    await near.follow("another", ear.published)
    near.publish(frame(1))
    assert ear.heard == []


async def test_a_closed_subscription_is_silent(near: Bus) -> None:
    """After `close`, which may be called twice, nothing is delivered; others go on hearing. Closing within a delivery is fine."""
    first, second = Ear(), Ear()
    await near.serve(SHARD, first.events)

    def once(published: Published) -> None:
        first.published(published)
        subscription.close()
        subscription.close()

    subscription = await near.follow(ROOM, once)
    await near.follow(ROOM, second.published)
    near.publish(frame(1))
    near.publish(frame(2))
    assert first.heard == [frame(1)]
    assert second.heard == [frame(1), frame(2)]


async def test_a_subscription_closed_during_a_delivery(near: Bus) -> None:
    """One follower may close another's subscription: that one hears nothing more, not even what is being delivered."""
    later = Ear()
    await near.serve(SHARD, later.events)
    await near.follow(ROOM, lambda _: subscription.close())
    subscription = await near.follow(ROOM, later.published)
    near.publish(frame(1))
    assert later.heard == []


async def test_a_room_followed_across_a_change_of_owner(near: Bus, far: Bus, stores: Any) -> None:
    """A process that owned a room and follows it hears the next owner's frames, and none of its own a second time."""
    ear = Ear()
    old, new = stores.log(), stores.log()
    await old.take(SHARD, "owner")
    await near.serve(SHARD, ear.events)
    await near.follow(ROOM, ear.published)
    await commit(old, 1)
    near.publish(Published(ROOM, "e1", 0, snapshot=b"snapshot"))
    await commit(old, 2)
    near.publish(frame(1))
    await near.unserve(SHARD)
    await new.take(SHARD, "owner")
    await far.serve(SHARD, ear.events)
    await commit(new, 1, "e2")
    far.publish(Published(ROOM, "e2", 0, snapshot=b"snapshot"))
    await commit(new, 2, "e2")
    far.publish(frame(1, "e2"))
    await until(lambda: len(ear.heard) >= 4)
    assert ear.heard == [
        Published(ROOM, "e1", 0, snapshot=b"snapshot"),
        frame(1),
        Published(ROOM, "e2", 0, snapshot=b"snapshot"),
        frame(1, "e2"),
    ]


async def test_a_frame_whose_owner_stepped_down_meanwhile(near: Bus, log: RoomLog) -> None:
    """A commit under way while its owner gives the shard up is heard once, by whichever way comes first."""
    ear = Ear()
    await near.serve(SHARD, ear.events)
    await near.follow(ROOM, ear.published)
    await commit(log, 1)
    near.publish(Published(ROOM, "e1", 0, snapshot=b"snapshot"))
    await near.unserve(SHARD)
    await commit(log, 2)
    await asyncio.sleep(0.02)  # a copy by way of the store would be here by now
    near.publish(frame(1))
    await asyncio.sleep(0.02)
    assert ear.heard == [Published(ROOM, "e1", 0, snapshot=b"snapshot"), frame(1)]


async def test_notices_reach_every_node_once(near: Bus, far: Bus) -> None:
    """A notice for a user goes to all nodes, the sender's included, each once."""
    here, there = Ear(), Ear()
    await near.attach("a", here.replies, here.notices)
    await far.attach("b", there.replies, there.notices)
    notices = [Notice(f"n{n}", "x.hello", n, {"n": n}) for n in range(3)]
    for notice in notices:
        near.notify(ROOM, "u1", notice)
    far.notify("", "u2", notices[0])
    expected = [(ROOM, "u1", notice) for notice in notices] + [("", "u2", notices[0])]
    await until(lambda: len(here.heard) >= 4 and len(there.heard) >= 4)
    assert sorted(here.heard, key=repr) == sorted(expected, key=repr)
    assert sorted(there.heard, key=repr) == sorted(expected, key=repr)
