"""The Redis bus when the server does not behave, and what never goes there. The rest of its promises are in `tests/contract`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from livecast.adapters.redis import keys as redis_keys
from livecast.adapters.redis import messages as redis_messages
from livecast.adapters.redis.bus import RedisBus
from livecast.adapters.redis.log import RedisRoomLog
from livecast.adapters.redis.server import RedisServer
from livecast.core.errors import Refusal
from livecast.core.events import Ask, Notice, Origin, Person, Reply, Said, Verdict
from livecast.core.nodes.placement import SHARDS, shard_of
from livecast.ports import Commit, Published, Unavailable

ROOM = "demo"
SHARD = shard_of(ROOM)
ME = Person("u1", "Ada")
SAID = Said(Origin("a", 1), ME, "c1", "hello")


async def until(condition: Callable[[], object]) -> None:
    """Wait for a condition, 8 s at most."""
    async with asyncio.timeout(8):
        while not condition():  # noqa: ASYNC110 - any condition, not one object that could signal
            await asyncio.sleep(0.002)


class Pair:
    """Two processes' buses on one server, with short deadlines."""

    def __init__(self, url: str, facts: Any) -> None:
        self.servers = [RedisServer(url, deadline_s=0.5), RedisServer(url, deadline_s=0.5)]
        self.near, self.far = (RedisBus(server, facts) for server in self.servers)

    async def close(self) -> None:
        """End both."""
        await asyncio.gather(self.near.close(), self.far.close())
        for server in self.servers:
            await server.close()


@pytest.fixture
async def pair(crashable_valkey: Any, facts: Any) -> AsyncIterator[Pair]:
    """Two buses on a server that will be hurt."""
    made = Pair(crashable_valkey.url, facts)
    yield made
    await made.close()


async def test_a_lost_server_is_heard_again(pair: Pair, crashable_valkey: Any, facts: Any) -> None:
    """After kill -9 and restart of the server everything subscribed is so again by itself: owner, node, room and notices.
    The outage is told once, and its end.
    """
    events: list[Any] = []
    replies: list[Any] = []
    notices: list[Any] = []
    frames: list[Published] = []
    await pair.near.attach("a", replies.extend, lambda *n: notices.append(n))
    await pair.far.serve(SHARD, lambda _, e: events.extend(e))
    await pair.near.follow(ROOM, frames.append)
    crashable_valkey.kill()
    await until(lambda: len(facts.troubles) == 2)
    await asyncio.to_thread(crashable_valkey.start)
    await until(lambda: [t.level for t in facts.troubles].count("info") == 2)
    assert {t.level for t in facts.troubles} == {"warning", "info"}
    events.clear()
    pair.near.post(ROOM, SAID)
    await until(lambda: events)
    pair.far.reply("a", [Reply(1, "c1", Verdict("ok"))])
    pair.far.notify(ROOM, "u1", Notice("n", "x.a", 1, None))
    published = Published(ROOM, "e1", 1, frame=b"frame")
    await pair.servers[1].run("SPUBLISH", redis_keys.of_room("out", ROOM), redis_messages.encode_published(published))
    await until(lambda: Reply(1, "c1", Verdict("ok")) in replies and notices and len(frames) == 2)
    assert frames == [Published.something_missed(ROOM), published]


async def test_what_is_said_while_the_server_is_away_is_refused(pair: Pair, crashable_valkey: Any, facts: Any) -> None:
    """`post` does not raise or wait when the server is gone: the asker is told `unavailable`; an operator is told once."""
    replies: list[Reply] = []
    await pair.near.attach("a", replies.extend, lambda *_: None)
    crashable_valkey.kill()
    for n in range(5):
        assert pair.near.post(ROOM, Said(Origin("a", n), ME, "c", "hello"))
        pair.near.reply("b", [Reply(1, "c", Verdict("ok"))])
        pair.near.notify(ROOM, "u", Notice("n", "x.a", 1, None))
        await asyncio.sleep(0.01)
    await until(lambda: len(replies) == 5)
    assert [r.asker for r in replies] == list(range(5))
    assert {r.answer.code for r in replies} == {"unavailable"}  # type: ignore[union-attr]
    assert len([t for t in facts.troubles if "could not be sent" in t.what]) == 1


async def test_follow_without_a_server(pair: Pair, crashable_valkey: Any) -> None:
    """A room that cannot be followed now is `Unavailable` after the deadline, and nothing of the attempt stays."""
    crashable_valkey.freeze()
    with pytest.raises(Unavailable):
        await pair.near.follow(ROOM, lambda _: None)
    with pytest.raises(Unavailable):
        await pair.near.serve(SHARD, lambda *_: None)
    crashable_valkey.thaw()
    assert SHARD not in pair.near._owners
    assert ROOM not in pair.near._followers
    frames: list[Published] = []
    async with asyncio.timeout(8):
        while True:
            try:
                await pair.near.follow(ROOM, frames.append)
                break
            except Unavailable:
                await asyncio.sleep(0.01)


async def test_what_is_here_never_touches_the_server(pair: Pair, crashable_valkey: Any) -> None:
    """With the server frozen, all that has its target in this process goes on: events, replies, frames, following."""
    events: list[Any] = []
    replies: list[Reply] = []
    frames: list[Published] = []
    await pair.near.attach("a", replies.extend, lambda *_: None)
    await pair.near.serve(SHARD, lambda _, e: events.extend(e))
    crashable_valkey.freeze()
    async with asyncio.timeout(0.2):
        subscription = await pair.near.follow(ROOM, frames.append)
        pair.near.post(ROOM, SAID)
        await until(lambda: events)
        pair.near.reply("a", [Reply(1, "c1", Verdict("ok"))])
        pair.near.publish(Published(ROOM, "e", 1, frame=b"f"))
        subscription.close()
    assert (events, len(replies), len(frames)) == ([SAID], 1, 1)
    crashable_valkey.thaw()


async def test_a_frozen_connection_is_noticed(pair: Pair, crashable_valkey: Any, facts: Any, monkeypatch: Any) -> None:
    """A server that neither speaks nor hangs up is given up after twice the silence allowed."""
    monkeypatch.setattr("livecast.adapters.redis.listener.SILENCE_S", 0.05)
    await pair.near.serve(SHARD, lambda *_: None)
    await asyncio.sleep(0.2)
    assert facts.troubles == []  # a quiet but living server is left in peace
    crashable_valkey.freeze()
    await until(lambda: facts.troubles)
    crashable_valkey.thaw()
    await until(lambda: facts.troubles[-1].level == "info")


async def test_all_shards_served_by_one_process(valkey: str, facts: Any) -> None:
    """Serving and giving up every shard at once is quick enough for a start and a stop."""
    pair = Pair(valkey, facts)
    async with asyncio.timeout(3):
        await asyncio.gather(*(pair.near.serve(shard, lambda *_: None) for shard in range(SHARDS)))
        await asyncio.gather(*(pair.near.unserve(shard) for shard in range(SHARDS)))
        await pair.close()


async def test_noise_on_a_channel(valkey: str, facts: Any) -> None:
    """Bytes that are no message are reported and skipped; what follows is heard. A handler's fault deafens nobody."""
    pair = Pair(valkey, facts)
    heard: list[Any] = []

    def hear(_room: str, events: Any) -> None:
        heard.extend(events)
        if len(heard) == 1:
            raise RuntimeError("boom")

    await pair.near.serve(SHARD, hear)
    channel = redis_keys.of_shard("in", SHARD)
    unknown = redis_messages._encode((ROOM, "of a later version", {}))
    for noise in (
        b"",
        b"\xc1",
        b"\x91\x01",
        redis_messages.join([unknown]),
        redis_messages.join([redis_messages.encode_event(ROOM, SAID)]),
    ):
        await pair.servers[1].run("SPUBLISH", channel, noise)
    await until(lambda: heard)
    pair.far.post(ROOM, SAID)
    await until(lambda: len(heard) == 2)
    assert [t.level for t in facts.troubles] == ["warning"] * 3 + ["error"]
    await pair.close()


@pytest.mark.parametrize("n", [0, 1, 15, 16, 65_535, 65_536])
def test_items_join_to_one_message(n: int) -> None:
    """Every size of array header is written as it is read."""
    item = redis_messages.encode_reply(Reply(1, None, Verdict("ok")))
    assert len(redis_messages.decode_replies(redis_messages.join([item] * n))) == n


async def test_answers_for_viewers_elsewhere_come_with_the_frame_and_before_it(valkey: str, facts: Any) -> None:
    """One message brings both, so that none can overtake the other; who does not ask here hears of no answers."""
    server = RedisServer(valkey)
    pair, log = Pair(valkey, facts), RedisRoomLog(server)
    heard: list[Any] = []
    elsewhere: list[Any] = []
    try:
        await pair.near.attach("a", lambda replies: heard.append(list(replies)), lambda *_: None)
        await pair.near.attach("b", lambda replies: elsewhere.append(list(replies)), lambda *_: None)
        await pair.near.follow(ROOM, heard.append)
        await pair.far.serve(SHARD, lambda *_: None)
        assert not pair.far.here(ROOM, "a")
        assert not pair.near.here(ROOM, "a"), "its owner is elsewhere"
        await log.take(SHARD, "t")
        mine = Reply(1, "c1", Verdict("shown", id="x", seq=1))
        await log.commit(Commit(ROOM, "t", "e", 1, 0, 1_000, snapshot=b"s"))
        await log.commit(Commit(ROOM, "t", "e", 2, 1, 1_000, frame=b"f", replies=(("a", (mine,)), ("gone", (mine,)))))
        await log.commit(Commit(ROOM, "t", "e", 3, 1, 1_000, replies=(("a", (mine,)),)))
        await until(lambda: len(heard) == 4)
        assert heard == [Published(ROOM, "e", 0, snapshot=b"s"), [mine], Published(ROOM, "e", 1, frame=b"f"), [mine]]
        assert elsewhere == []
    finally:
        await pair.close()
        await log.close()
        await server.close()


async def test_an_event_is_offered_again_while_its_shard_changes_hands(valkey: str, facts: Any) -> None:
    """For half a second; then its sender is told. A question is answered at once: whoever asks can look elsewhere."""
    pair = Pair(valkey, facts)
    replies: list[Reply] = []
    events: list[Any] = []
    try:
        await pair.near.attach("a", replies.extend, lambda *_: None)
        assert pair.near.post(ROOM, SAID)
        assert pair.near.post(ROOM, Ask(Origin("a", 9), ME, "room"))
        await until(lambda: replies)
        assert [reply.asker for reply in replies] == [9]
        await pair.far.serve(SHARD, lambda _, some: events.extend(some))
        await until(lambda: events)
        assert events == [SAID]
        await pair.far.unserve(SHARD)
        assert pair.near.post(ROOM, SAID)
        await until(lambda: len(replies) == 2)
        assert replies[1].answer == Refusal("unavailable", retry_after_ms=1000)
    finally:
        await pair.close()


async def test_a_fault_in_whoever_is_told_does_not_make_the_node_mute(valkey: str, facts: Any) -> None:
    """It is told that nobody got its question, and raises: that is reported, and later messages leave as before."""
    pair = Pair(valkey, facts)
    heard: list[Any] = []

    def stumble(_replies: Any) -> None:
        raise RuntimeError("a fault in a handler")

    try:
        await pair.near.attach("a", stumble, lambda *_: None)
        await pair.far.attach("b", heard.extend, lambda *_: None)
        assert pair.near.post(ROOM, Ask(Origin("a", 1), ME, "room"))
        await until(lambda: facts.troubles)
        assert "a fault in a handler" in facts.troubles[0].advice
        pair.near.reply("b", [Reply(1, "c1", Verdict("ok"))])
        await until(lambda: heard)
    finally:
        await pair.close()
