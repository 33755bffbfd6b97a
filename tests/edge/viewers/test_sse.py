"""Event streams: what a socket would get, as server-sent events, resumable and bounded."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import aiohttp
import msgspec
import pytest

from livecast.core.rules import Policy, RoomRules
from livecast.edge.rules import EdgeRules
from livecast.edge.viewers.sse import COMMENT_MS, EventStream
from livecast.facts import Connected, Disconnected
from support.house import House, until


class Reader:
    """One reader of a stream, with a parser of its own, after the HTML standard."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response
        self.retry: int | None = None
        self.comments = 0
        self.last_id = ""

    async def event(self, wait_s: float = 5.0) -> tuple[str, Any]:
        """(type, data) of the next event; ("", None) at the end of the stream."""
        kind = "message"
        data: list[str] = []
        async with asyncio.timeout(wait_s):
            while line := await self.response.content.readline():
                text = line.decode().rstrip("\n")
                if not text:
                    if data:
                        return kind, msgspec.json.decode("\n".join(data))
                    continue
                name, _, value = text.partition(":")
                value = value.removeprefix(" ")
                if not name:
                    self.comments += 1
                elif name == "event":
                    kind = value
                elif name == "data":
                    data.append(value)
                elif name == "id":
                    self.last_id = value
                elif name == "retry":
                    self.retry = int(value)
        return "", None

    async def until_text(self, text: str) -> list[tuple[str, Any]]:
        """Events up to the frame that shows a comment with this text."""
        got = [await self.event()]
        while not any(comment["text"] == text for comment in got[-1][1].get("comments", ())):
            got.append(await self.event())
        return got


@asynccontextmanager
async def reading(house: House, room: str = "r1", auth: str | None = None, **more: Any) -> AsyncIterator[Reader]:
    """An open stream."""
    headers = dict(more.pop("headers", {}))
    if auth:
        headers["Authorization"] = f"Bearer {auth}"
    async with house.session.get(f"/v1/rooms/{room}/events", headers=headers, **more) as response:
        assert response.status == 200, await response.text()
        yield Reader(response)


async def say(house: House, text: str, room: str = "r1") -> int:
    """One comment; its frame."""
    said = await house.call("POST", f"/v1/rooms/{room}/comments", json={"text": text})
    assert said.status == 201, said
    return int(said.json["seq"])


async def test_welcome_then_frames(house: House) -> None:
    """The JSON of what a socket gets, each with its id; nothing in between may buffer or keep it."""
    await house.live_room("r1")
    async with reading(house) as reader:
        headers = reader.response.headers
        assert headers["Content-Type"].startswith("text/event-stream")
        assert (headers["Cache-Control"], headers["X-Accel-Buffering"]) == ("no-store", "no")
        kind, welcome = await reader.event()
        assert (kind, welcome["t"], welcome["reason"], welcome["recovered"]) == ("welcome", "welcome", "joined", False)
        assert reader.last_id == f"{welcome['epoch']}:{welcome['seq']}"
        assert welcome["you"]["anonymous"] is True
        assert reader.retry
        seq = await say(house, "hello")
        got = await reader.until_text("hello")
        assert {kind for kind, _ in got} == {"frame"}
        assert [frame["seq"] for _, frame in got] == list(range(welcome["seq"] + 1, seq + 1))
        assert reader.last_id == f"{welcome['epoch']}:{seq}"


async def test_the_reader_is_who_the_token_says(house: House) -> None:
    """By header or in the query; a token that is not believed is never anonymous."""
    await house.live_room("r1")
    ada = house.token("ada", name="Ada")
    async with reading(house, auth=ada) as reader:
        assert (await reader.event())[1]["you"].items() >= {"id": "ada", "name": "Ada", "anonymous": False}.items()
    async with reading(house, params={"token": ada}) as reader:
        assert (await reader.event())[1]["you"]["id"] == "ada"
    for bad, status in [("x", 401), (house.token("ada", ttl_s=-1), 401), (house.token("ada", rooms=["r2"]), 403)]:
        assert (await house.call("GET", "/v1/rooms/r1/events", auth=bad)).status == status
        assert (await house.call("GET", f"/v1/rooms/r1/events?token={bad}", auth=None)).status == status
    assert (await house.call("GET", "/v1/rooms/none/events", auth=None)).code == "unknown_room"


async def test_a_reader_goes_on_where_it_stopped(house: House) -> None:
    """`Last-Event-ID` wins over `since`; every missed frame comes, in order; an unknown position gets the snapshot."""
    await house.live_room("r1")
    async with reading(house) as reader:
        await reader.event()
        await say(house, "before")
        await reader.until_text("before")
        at = reader.last_id
    last = 0
    for k in range(3):
        last = await say(house, f"while away {k}")
    ways: list[dict[str, Any]] = [{"headers": {"Last-Event-ID": at}, "params": {"since": "zz:1"}}, {"params": {"since": at}}]
    for how in ways:
        async with reading(house, **how) as reader:
            _, welcome = await reader.event()
            assert (welcome["recovered"], welcome["recent"], f"{welcome['epoch']}:{welcome['seq']}") == (True, [], at)
            assert reader.last_id == at
            got = await reader.until_text("while away 2")
            assert [frame["seq"] for _, frame in got] == list(range(welcome["seq"] + 1, last + 1))
    for unknown in ("zzzz:1", "nonsense", "1", ":", f"{at}9999"):
        async with reading(house, headers={"Last-Event-ID": unknown}) as reader:
            _, welcome = await reader.event()
            assert (welcome["recovered"], welcome["seq"]) == (False, last)
            assert welcome["recent"][-1]["text"] == "while away 2"


async def test_a_new_broadcast_is_welcomed(house: House) -> None:
    """A new epoch: `welcome` with that reason, on the open stream."""
    await house.live_room("r1")
    async with reading(house) as reader:
        _, first = await reader.event()
        await house.call("POST", "/v1/rooms/r1/end")
        await house.call("POST", "/v1/rooms/r1/start")
        kind, told = await reader.event()
        while kind != "welcome":
            kind, told = await reader.event()
        assert (told["reason"], told["epoch"] != first["epoch"]) == ("epoch", True)
        await say(house, "again")
        assert (await reader.until_text("again"))[-1][1]["epoch"] == told["epoch"]


async def test_notices_reach_their_user_alone(house: House) -> None:
    """Between the frames, with the id to go on from."""
    await house.live_room("r1")
    async with reading(house, auth=house.token("ada")) as ada, reading(house, auth=house.token("bob")) as bob:
        await ada.event()
        await bob.event()
        await house.call("POST", "/v1/rooms/r1/events", json={"type": "x.prize", "data": 7, "to": "ada"})
        kind, notice = await ada.event()
        while kind != "notice":
            kind, notice = await ada.event()
        assert (notice["kind"], notice["data"]) == ("x.prize", 7)
        await say(house, "for all")
        assert {kind for kind, _ in await bob.until_text("for all")} == {"frame"}


async def test_a_stream_counts_as_a_viewer(house: House) -> None:
    """In the room's count while it is open, and not after; observers hear of both."""
    await house.live_room("r1")

    def connections() -> int:
        hub = house.node.views.peek("r1")
        assert hub is not None
        return int(hub.view.state["viewers"]["connections"])

    async with reading(house, auth=house.token("ada")) as reader:
        await reader.event()
        await until(lambda: connections() == 1, "count of one")
    await until(lambda: connections() == 0, "count of none")
    assert house.notes.of(Connected) == [Connected("sse", anonymous=False)]
    assert [gone.kind for gone in house.notes.of(Disconnected)] == ["sse"]


async def test_an_expired_token_ends_the_stream(house: House) -> None:
    """`bye` 4001, then the end."""
    await house.live_room("r1")
    async with reading(house, auth=house.token("ada", ttl_s=60)) as reader:
        await reader.event()
        house.clock.ahead_ms += 61_000
        kind, bye = await reader.event()
        while kind != "bye":
            kind, bye = await reader.event()
        assert (bye["code"], bye["reconnect"]) == (4001, False)
        assert await reader.event() == ("", None)
    assert [gone.code for gone in house.notes.of(Disconnected)] == [4001]


async def test_the_banned_are_put_out_and_kept_out(house: House) -> None:
    """`bye` 4003; the browser's own reconnect gets 403 and gives up."""
    await house.live_room("r1")
    eve = house.token("eve")
    async with reading(house, auth=eve) as reader:
        await reader.event()
        await house.call("POST", "/v1/rooms/r1/bans", json={"user": "eve"})
        kind, bye = await reader.event()
        while kind != "bye":
            kind, bye = await reader.event()
        assert bye["code"] == 4003
        assert await reader.event() == ("", None)
    assert (await house.call("GET", "/v1/rooms/r1/events", auth=eve)).status == 403


async def test_a_room_that_is_over_says_so(house: House) -> None:
    """After the grace `bye` 4010 with where to go on; a reconnect is answered 204, which ends an EventSource."""
    await house.live_room("r1")
    async with reading(house) as reader:
        await reader.event()
        await house.call("POST", "/v1/rooms/r1/end", json={"redirect": "https://shop.example/next"})
        house.clock.ahead_ms += 61_000
        kind, bye = await reader.event()
        while kind != "bye":
            kind, bye = await reader.event()
        assert (bye["code"], bye["redirect"]) == (4010, "https://shop.example/next")
        assert await reader.event() == ("", None)
    assert (await house.call("GET", "/v1/rooms/r1/events", auth=None)).status == 204


async def test_a_closed_room_asks_for_a_token(house: House) -> None:
    """`anonymous: "off"`: 401 without one, and those inside without one are put out when it is set."""
    await house.live_room("r1")
    async with reading(house) as reader:
        await reader.event()
        await house.call("PATCH", "/v1/rooms/r1/policy", json={"anonymous": "off"})
        kind, bye = await reader.event()
        while kind != "bye":
            kind, bye = await reader.event()
        assert bye["code"] == 4401
    assert (await house.call("GET", "/v1/rooms/r1/events", auth=None)).status == 401
    async with reading(house, auth=house.token("ada")) as reader:
        assert (await reader.event())[0] == "welcome"


async def test_a_node_that_goes_away_says_bye(house: House) -> None:
    """4000, and a time to come back after, which browsers keep to as well."""
    await house.live_room("r1")
    async with reading(house) as reader:
        await reader.event()
        draining = asyncio.create_task(house.node.drain(5000))
        kind, bye = await reader.event()
        assert (kind, bye["code"], bye["reconnect"]) == ("bye", 4000, True)
        assert reader.retry == bye["retry_after_ms"]
        assert await reader.event() == ("", None)
        await draining
    assert (await house.call("GET", "/v1/rooms/r1/events", auth=None)).status == 503


async def test_a_quiet_stream_is_kept_awake(house: House) -> None:
    """A comment line every 15 s."""
    await house.live_room("r1")
    async with reading(house) as reader:
        await reader.event()
        for k in range(1, 3):
            house.clock.ahead_ms += COMMENT_MS
            with contextlib.suppress(TimeoutError):
                await reader.event(0.7)
            assert reader.comments >= k


async def test_frames_put_no_comment_off(house: House) -> None:
    """Whoever waits for a comment line gets it every 15 s, also where somebody talks."""
    await house.live_room("r1")
    async with reading(house) as reader:
        await reader.event()
        house.clock.ahead_ms += COMMENT_MS // 2
        await say(house, "so")
        await reader.until_text("so")
        house.clock.ahead_ms += COMMENT_MS // 2
        for _ in range(20):
            if reader.comments:
                break
            with contextlib.suppress(TimeoutError):
                await reader.event(0.5)
        assert reader.comments


async def test_head_opens_no_stream(house: House) -> None:
    """The headers, and no viewer."""
    await house.live_room("r1")
    answer = await house.call("HEAD", "/v1/rooms/r1/events", auth=None)
    assert (answer.status, answer.content_type) == (200, "text/event-stream")
    assert not house.notes.of(Connected)


class TestLimits:
    @pytest.fixture
    def edge_rules(self) -> EdgeRules:
        """Two streams per address, one per user."""
        return EdgeRules(connections_per_address=2, connections_per_user=1)

    async def test_streams_count_as_connections(self, house: House) -> None:
        """Per address and per user; a stream that ends makes room."""
        await house.live_room("r1")
        ada = house.token("ada")
        async with reading(house, auth=ada) as first:
            await first.event()
            refused = await house.call("GET", "/v1/rooms/r1/events", auth=ada)
            assert (refused.status, refused.code) == (429, "rate_limited")
            async with reading(house) as second:
                await second.event()
                assert (await house.call("GET", "/v1/rooms/r1/events", auth=None)).status == 429
        await until(lambda: len(house.notes.of(Disconnected)) == 2, "end of both streams")
        async with reading(house, auth=ada) as again:
            assert (await again.event())[0] == "welcome"


class TestSlow:
    @pytest.fixture
    def edge_rules(self) -> EdgeRules:
        """Small buffers, so that slowness shows soon."""
        return EdgeRules(outbox_soft_bytes=8192, send_buffer_bytes=4096)

    @pytest.fixture
    def room_rules(self) -> RoomRules:
        """A room that says much."""
        return RoomRules(policy=Policy(tick_ms=50))

    async def stalled(self, house: House, receive_bytes: int = 4096) -> socket.socket:
        """A reader that has asked and does not read."""
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        sock.connect(("127.0.0.1", house.port))
        sock.sendall(b"GET /v1/rooms/r1/events HTTP/1.1\r\nHost: x\r\n\r\n")
        sock.setblocking(False)
        await until(lambda: house.notes.of(Connected), "the stream's begin")
        return sock

    async def say_much(self, house: House) -> None:
        """320 KB of frames, four times what the kernel and the transport take unread."""
        event = {"type": "x.much", "data": "y" * 4000}
        for _ in range(20):
            await asyncio.gather(*(house.call("POST", "/v1/rooms/r1/events", json=event) for _ in range(4)))

    async def test_a_slow_reader_skips_and_is_welcomed_anew(self, house: House) -> None:
        """What is held for it stays bounded; once it reads, a `welcome` that says why bridges the gap."""
        await house.live_room("r1")
        sock = await self.stalled(house)
        await self.say_much(house)
        hub = house.node.views.peek("r1")
        assert hub is not None
        (stream,) = hub._watchers
        assert isinstance(stream, EventStream)
        assert stream._frame_bytes <= 8192 + 17_000  # the bound, and the frame that passed it
        assert stream._transport.get_write_buffer_size() < 200_000
        said = b""

        async def read_until(word: bytes) -> None:
            nonlocal said
            async with asyncio.timeout(5):
                while word not in said:
                    more = await asyncio.get_running_loop().sock_recv(sock, 65536)
                    assert more, "the stream ended"
                    said += more

        await read_until(b'"reason":"skipped"')
        await say(house, "caught up")
        await read_until(b"caught up")
        assert not house.notes.of(Disconnected)
        sock.close()
        sequences = [int(line.rpartition(b":")[2]) for line in said.split(b"\n") if line.startswith(b"id: ")]
        gaps = sum(after not in {before, before + 1} for before, after in pairwise(sequences))
        assert gaps == said.count(b'"reason":"skipped"')

    async def test_a_reader_that_takes_nothing_is_hung_up_on(self, house: House) -> None:
        """After 15 s without progress, and not before; others do not notice."""
        await house.live_room("r1")
        sock = await self.stalled(house)
        async with reading(house) as other:
            await other.event()
            await self.say_much(house)
            await asyncio.sleep(0.6)  # two sweeps see that bytes stay behind
            house.clock.ahead_ms += 10_000
            await asyncio.sleep(0.6)
            assert not house.notes.of(Disconnected)
            house.clock.ahead_ms += 6_000
            await until(lambda: house.notes.of(Disconnected), "the end of the stalled stream")
            assert house.notes.of(Disconnected) == [Disconnected("sse", 4008)]
            await say(house, "still here")
            await other.until_text("still here")
        sock.close()

    async def test_a_node_that_goes_away_waits_for_nobody(self, house: House) -> None:
        """Who does not take its `bye` within two seconds is hung up on; nothing of it is left."""
        await house.live_room("r1")
        sock = await self.stalled(house)
        await self.say_much(house)
        async with asyncio.timeout(4):
            await house.node.drain(1)
            await until(lambda: house.notes.of(Disconnected), "the end of the stalled stream")
        assert not len(house.node.closing)
        sock.close()


class TestBehindAProxy:
    """Addresses are those that the proxy tells."""

    @pytest.fixture
    def edge_rules(self) -> EdgeRules:
        """One stream per address, and a proxy on loopback."""
        return EdgeRules(connections_per_address=1, trusted_proxies=("127.0.0.1",))

    async def test_a_line_of_the_readers_own_hides_nothing(self, house: House) -> None:
        """A proxy may add its `X-Forwarded-For` as a line of its own behind the client's: the last entry of all lines counts."""
        await house.live_room("x")
        request = b"GET /v1/rooms/x/events HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: %s\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n"
        reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
        writer.write(request % b"6.6.6.6")
        assert (await asyncio.wait_for(reader.readline(), 5)).startswith(b"HTTP/1.1 200 ")
        assert (await house.raw(request % b"7.7.7.7", wait_s=0.5)).startswith(b"HTTP/1.1 429 ")
        writer.close()
