"""The client against a real WebSocket server that plays a script."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from livecast.client import (
    Answer,
    Bye,
    Closed,
    Connection,
    Event,
    Frame,
    GaveUp,
    LivecastClient,
    Refused,
    Unreachable,
    Welcome,
    new_cid,
)
from livecast.client.client import EVENTS_MAX
from livecast.client.link import socket_url
from support.stage import Prompt, Stage, Visit, comment, frame, linger, until, welcome


async def greet(visit: Visit) -> None:
    """Welcome, then answer every comment with `shown` and every auth with `ok`."""
    await visit.say(welcome())
    await answer_all(visit)


async def answer_all(visit: Visit) -> None:
    """Answer until the client goes."""
    while True:
        message = await visit.hear()
        if message["t"] == "comment":
            await visit.say({"t": "ack", "cid": message["cid"], "verdict": "shown", "id": "epochAAA-1", "seq": 1})


@pytest.mark.parametrize("codec", ["msgpack", "json"])
@pytest.mark.parametrize("deflate", [False, True])
async def test_a_comment_and_its_answer(stage: Stage, codec: Any, deflate: bool) -> None:
    """Connect, say something, know what became of it; in both codecs, with and without compression."""
    stage.acts = [greet]
    async with LivecastClient(stage.url, "r", token="t0ken", codec=codec, deflate=deflate) as client:
        answer = await client.comment("你好", style={"mode": "top"})
        assert (answer.ok, answer.outcome, len(answer.cid)) == (True, "shown", 20)
        assert client.you is not None
        assert client.you.id == "ada"
    visit = stage.visits[0]
    assert visit.path == "/v1/rooms/r/ws"
    assert visit.headers["Authorization"] == "Bearer t0ken"
    assert ("permessage-deflate" in visit.headers.get("Sec-WebSocket-Extensions", "")) is deflate
    await until(lambda: visit.socket.close_code == 1000)


async def test_events_come_in_order_and_end(stage: Stage) -> None:
    """Iterating gives connection states, welcome, frames, farewell, and ends when the client does."""

    async def show(visit: Visit) -> None:
        await visit.say(welcome())
        await visit.say(frame(1, comments=[comment(1)]))
        await visit.say({"t": "notice", "id": "n1", "kind": "x.hi", "at": 1, "data": {"a": 1}})
        await visit.say({"t": "bye", "code": 4010, "reason": "over", "reconnect": False, "retry_after_ms": 0})
        await visit.socket.close(4010)

    stage.acts = [show]
    heard: list[Event] = []
    async with LivecastClient(stage.url, "r", listen=heard.append) as client:
        events = [event async for event in client]
        assert client.view.seq == 1
    names = [event.state if isinstance(event, Connection) else type(event).__name__ for event in events]
    assert names == ["connecting", "open", "Welcome", "Frame", "Notice", "Bye", "closed"]
    assert heard == events
    assert client.ended is not None
    assert client.ended.code == 4010
    with pytest.raises(Closed):
        await client.comment("too late")


async def test_it_resumes_where_it_was_and_asks_again(stage: Stage) -> None:
    """A lost connection costs neither frames nor answers: `since`, then the same cid again."""
    asked: list[str] = []

    async def vanish(visit: Visit) -> None:
        await visit.say(welcome())
        await visit.say(frame(1, comments=[comment(1, "one")]))
        asked.append((await visit.hear())["cid"])
        await visit.say({"t": "bye", "code": 4000, "reason": "restart", "reconnect": True, "retry_after_ms": 20})
        visit.socket.transport.abort()

    async def go_on(visit: Visit) -> None:
        await visit.say(welcome(seq=1, recovered=True))
        await visit.say(frame(2, comments=[comment(2, "two")]))
        message = await visit.hear()
        asked.append(message["cid"])
        await visit.say({"t": "ack", "cid": message["cid"], "verdict": "merged", "id": "epochAAA-1", "seq": 2})
        await linger(visit)

    stage.acts = [vanish, go_on]
    async with LivecastClient(stage.url, "r") as client:
        answer = await client.comment("me too")
        assert answer.outcome == "merged"
        assert [one.text for one in client.view.recent] == ["one", "two"]
        assert client.connections == 2
    assert stage.visits[1].path == "/v1/rooms/r/ws?since=epochAAA%3A1"
    assert asked[0] == asked[1] == answer.cid


async def test_a_hole_is_healed_at_once(stage: Stage) -> None:
    """A missing frame makes it resume from the last good one."""

    async def lose(visit: Visit) -> None:
        await visit.say(welcome())
        await visit.say(frame(1))
        await visit.say(frame(3))
        await linger(visit)

    async def heal(visit: Visit) -> None:
        await visit.say(welcome(seq=1, recovered=True))
        await visit.say(frame(2))
        await visit.say(frame(3))
        await linger(visit)

    stage.acts = [lose, heal]
    async with LivecastClient(stage.url, "r") as client:
        await until(lambda: client.since == "epochAAA:3")
        events = [client._events.popleft() for _ in range(len(client._events))]
    assert [event.seq for event in events if isinstance(event, Frame)] == [1, 2, 3]
    assert stage.visits[1].path.endswith("since=epochAAA%3A1")


async def test_a_token_is_renewed_on_the_live_socket(stage: Stage) -> None:
    """Before the token ends a fresh one goes out as `auth`; the socket stays."""
    renewed: list[str] = []
    you = {"id": "ada", "name": "Ada", "role": "viewer", "anonymous": False, "can": []}

    async def expire(visit: Visit) -> None:
        await visit.say(welcome(now=1000, you={**you, "expires_at": 1400}))
        while True:
            message = await visit.hear()
            renewed.append(message["token"])
            await visit.say({"t": "ack", "cid": message["cid"], "verdict": "ok", "you": {**you, "expires_at": 3_600_000}})

    tokens = iter(["first", "second", "third"])

    async def get_token() -> str:
        return next(tokens)

    stage.acts = [expire]
    async with LivecastClient(stage.url, "r", get_token=get_token) as client:
        await until(lambda: renewed and client.you and client.you.expires_at == 3_600_000)
        assert client.connections == 1
    assert stage.visits[0].headers["Authorization"] == "Bearer first"
    assert renewed == ["second"]


async def test_an_expired_token_is_replaced_on_reconnect(stage: Stage) -> None:
    """After 4001 it comes back at once with a fresh token."""

    async def expired(visit: Visit) -> None:
        await visit.say(welcome())
        await visit.say({"t": "bye", "code": 4001, "reason": "token expired", "reconnect": True, "retry_after_ms": 0})
        await visit.socket.close(4001)

    tokens = iter(["old", "fresh"])

    async def get_token() -> str:
        return next(tokens)

    stage.acts = [expired, greet]
    async with LivecastClient(stage.url, "r", get_token=get_token) as client:
        await until(lambda: client.connections == 2 and client.connected)
    assert [visit.headers["Authorization"] for visit in stage.visits] == ["Bearer old", "Bearer fresh"]


async def test_a_source_of_tokens_that_fails_is_asked_again(stage: Stage) -> None:
    """Its error ends nothing; the next try may work."""
    calls = 0

    async def get_token() -> str:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise RuntimeError("the login service hiccups")
        return "good"

    stage.acts = [greet]
    async with LivecastClient(stage.url, "r", get_token=get_token, rng=Prompt()) as client:
        assert client.connected
    assert calls == 2


async def test_sign_in_and_messages_without_answers(stage: Stage) -> None:
    """An anonymous viewer signs in on the live socket; taps on products go out as they are."""
    heard: list[dict[str, Any]] = []

    async def listen(visit: Visit) -> None:
        await visit.say(welcome(you={"id": "", "name": "", "role": "viewer", "anonymous": True, "can": []}))
        while True:
            heard.append(await visit.hear())
            if heard[-1]["t"] == "auth":
                you = {"id": "ada", "name": "Ada", "role": "viewer", "anonymous": False, "can": ["comment"]}
                await visit.say({"t": "ack", "cid": heard[-1]["cid"], "verdict": "ok", "you": you})

    stage.acts = [listen]
    async with LivecastClient(stage.url, "r") as client:
        assert client.you is not None
        assert client.you.anonymous
        assert (await client.sign_in("jwt")).ok
        assert client.you.id == "ada"
        client.tap("p1", 2)
        client.ping()
        client.like(7)
    await until(lambda: len(heard) == 4)
    assert heard[1:] == [{"t": "tap", "target": "p1", "n": 2}, {"t": "ping"}, {"t": "like", "n": 7}]


async def test_every_request_has_its_shape(stage: Stage) -> None:
    """Only what was given is sent; the shapes are those of the protocol."""
    heard: list[dict[str, Any]] = []

    async def confirm(visit: Visit) -> None:
        await visit.say(welcome())
        while True:
            message = await visit.hear()
            heard.append({key: value for key, value in message.items() if key != "cid"})
            await visit.say({"t": "ack", "cid": message["cid"], "verdict": "ok", "counted": 5})

    stage.acts = [confirm]
    async with LivecastClient(stage.url, "r") as client:
        await client.comment("hi", reply_to="x-1", mentions=["bob"], meta={"k": 1})
        assert (await client.like_counted(5)).ack.counted == 5  # type: ignore[union-attr]
        await client.gift("rose", 3, to="host", unit_price=1)
        await client.claim("d1")
        await client.vote("p1", 2)
        await client.report("rude", comment="x-1")
    assert heard == [
        {"t": "comment", "text": "hi", "reply_to": "x-1", "mentions": ["bob"], "meta": {"k": 1}},
        {"t": "like", "n": 5},
        {"t": "gift", "gift": "rose", "n": 3, "to": "host", "unit_price": 1},
        {"t": "claim", "drop": "d1"},
        {"t": "vote", "poll": "p1", "choice": 2},
        {"t": "report", "reason": "rude", "comment": "x-1"},
    ]


async def test_a_refused_client_is_told_why(stage: Stage) -> None:
    """The close code and the reason arrive as an exception, without a second try."""

    async def refuse(visit: Visit) -> None:
        await visit.say({"t": "bye", "code": 4404, "reason": "no such room", "reconnect": False, "retry_after_ms": 0})
        await visit.socket.close(4404, "no such room")

    stage.acts = [refuse]
    with pytest.raises(Refused, match=r"no such room \(4404\)"):
        await LivecastClient(stage.url, "nowhere").start()
    assert len(stage.visits) == 1


async def test_a_busy_server_is_asked_again(stage: Stage) -> None:
    """503 in place of the upgrade: once more after a while."""
    stage.acts = [greet]
    stage.refuse = [(503, {"Retry-After": "0"})]
    async with LivecastClient(stage.url, "r", rng=Prompt()) as client:
        assert client.connected


async def test_an_absent_server_is_unreachable() -> None:
    """No welcome within the time to connect: an exception that says what happened last."""
    with pytest.raises(Unreachable, match=r"no welcome from ws://127\.0\.0\.1:9/v1/rooms/r/ws: .+"):
        await LivecastClient("http://127.0.0.1:9", "r", connect_timeout_s=0.2).start()


@pytest.mark.parametrize("url", ["nonsense", "http://", "ftp://h", "http://[::1"])
async def test_a_wrong_address_is_refused_at_once(url: str) -> None:
    """What is no address does not become one by trying again."""
    with pytest.raises((Refused, ValueError)):
        await LivecastClient(url, "r").start()


async def test_no_answer_is_given_up(stage: Stage) -> None:
    """After its time a question ends with the cid to ask again with."""

    async def mute(visit: Visit) -> None:
        await visit.say(welcome())
        await linger(visit)

    stage.acts = [mute]
    async with LivecastClient(stage.url, "r") as client:
        with pytest.raises(GaveUp) as gave_up:
            await client.comment("anybody?", cid="my-cid", timeout_s=0.1)
        assert gave_up.value.cid == "my-cid"
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.comment("hello?"), 0.05)
        assert client.waiting == 0


async def test_closing_is_quick_and_answers_everybody(stage: Stage) -> None:
    """Whoever still waits gets `Closed`; closing twice is fine."""

    async def mute(visit: Visit) -> None:
        await visit.say(welcome())
        await linger(visit)

    stage.acts = [mute]
    client = LivecastClient(stage.url, "r")
    await client.start()
    waiting = asyncio.create_task(client.comment("anybody?"))
    await asyncio.sleep(0)
    began_s = time.monotonic()
    await client.close()
    await client.close()
    assert time.monotonic() - began_s < 1
    with pytest.raises(Closed):
        await waiting


async def test_closing_between_connections(stage: Stage) -> None:
    """Also while it waits to come back."""

    async def leave(visit: Visit) -> None:
        await visit.say(welcome())
        await visit.say({"t": "bye", "code": 4000, "reason": "", "reconnect": True, "retry_after_ms": 60_000})
        await visit.socket.close(4000)

    stage.acts = [leave]
    client = LivecastClient(stage.url, "r")
    await client.start()
    await until(lambda: any(isinstance(event, Bye) for event in client._events) and not client.connected)
    await client.close()
    assert client.ended is not None


async def test_unread_events_are_bounded(stage: Stage) -> None:
    """Without a reader the oldest events go and are counted; the view misses nothing."""

    async def talk(visit: Visit) -> None:
        await visit.say(welcome())
        for seq in range(1, EVENTS_MAX + 101):
            await visit.say(frame(seq))
        await linger(visit)

    stage.acts = [talk]
    async with LivecastClient(stage.url, "r") as client:
        await until(lambda: client.view.seq == EVENTS_MAX + 100, 20)
        assert client.events_dropped == 103
        assert not any(isinstance(event, Welcome) for event in client._events)


async def test_cids_are_long_and_different() -> None:
    """At least 96 random bits each."""
    cids = {new_cid() for _ in range(10_000)}
    assert len(cids) == 10_000
    assert all(len(cid) == 20 for cid in cids)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://h:8080", "ws://h:8080/v1/rooms/r/ws"),
        ("https://h/live/", "wss://h/live/v1/rooms/r/ws"),
        ("ws://h", "ws://h/v1/rooms/r/ws"),
    ],
)
def test_addresses(url: str, expected: str) -> None:
    """A node's address becomes the socket's."""
    assert socket_url(url, "r") == expected


def test_an_answer_reads_well() -> None:
    """`ok` says whether it was done."""
    assert Answer("c", "sampled").ok
