"""`deploy/nginx.conf` in front of a real node: readers of files cost it next to nothing, and nothing else suffers."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import re
from collections.abc import AsyncIterator, Iterator

import aiohttp
import aiohttp.web
import pytest
import websockets
from aiohttp.test_utils import TestServer
from yarl import URL

from bench.nginx import Nginx, binary
from livecast.client import Frame, FrameFiles
from livecast.edge.access.keys import SCOPES
from support.node import NodeProcess, token

KEY = "lck_ops_" + "k" * 40
SECRET = "a-secret-of-these-tests-with-more-than-32-bytes"
AS_SERVICE = {"Authorization": f"Bearer {KEY}"}
SOCKETS_PER_ADDRESS = 3
NAME = aiohttp.web.AppKey("name", str)

pytestmark = pytest.mark.skipif(
    binary() is None and not os.environ.get("CI"), reason="there is no nginx (Debian: apt install nginx-light)"
)


@pytest.fixture(scope="module")
def node() -> Iterator[NodeProcess]:
    """A node as in production, that believes one proxy."""
    key = {"id": "ops", "hash": hashlib.sha256(KEY.encode()).hexdigest(), "scopes": list(SCOPES)}
    settings = {
        "LIVECAST_AUTH__JWT_SECRETS": json.dumps([SECRET]),
        "LIVECAST_AUTH__API_KEYS": json.dumps([key]),
        "LIVECAST_SERVER__TRUSTED_PROXIES": json.dumps(["127.0.0.2"]),
        "LIVECAST_SERVER__CONNECTIONS_PER_ADDRESS": str(SOCKETS_PER_ADDRESS),
    }
    with NodeProcess(dev=False, env=settings) as process:
        yield process


@pytest.fixture(scope="module")
def front(node: NodeProcess) -> Iterator[Nginx]:
    """The nginx before it. It asks the node from an address of its own, which the node believes."""
    with Nginx([node.base.removeprefix("http://")], more="proxy_bind 127.0.0.2;") as nginx:
        yield nginx


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """A client that opens as many connections as it is asked for."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        yield session


async def live_room(http: aiohttp.ClientSession, node: NodeProcess, room: str, policy: dict[str, object] | None = None) -> None:
    """A room in which something may be said."""
    for method, path, body in (("PUT", "", {"policy": policy} if policy else {}), ("POST", "/start", {})):
        async with http.request(method, f"{node.base}/v1/rooms/{room}{path}", json=body, headers=AS_SERVICE) as done:
            assert done.status < 300, await done.text()


async def say(http: aiohttp.ClientSession, node: NodeProcess, room: str, text: str) -> int:
    """A comment; the frame it is in."""
    async with http.post(f"{node.base}/v1/rooms/{room}/comments", json={"text": text}, headers=AS_SERVICE) as done:
        return int((await done.json())["seq"])


async def asked(http: aiohttp.ClientSession, node: NodeProcess) -> int:
    """How many requests for files have reached the node."""
    async with http.get(f"{node.base}/metrics", headers=AS_SERVICE) as page:
        text = await page.text()
    route = r'^livecast_http_requests_total\{.*route="/v1/rooms/\{room\}/(?:frames|bundles|snapshot).*\} (\S+)$'
    found = re.findall(route, text, re.MULTILINE)
    assert found, "the figures have no requests for files"
    return int(sum(map(float, found)))


async def head_of(http: aiohttp.ClientSession, node: NodeProcess, room: str) -> tuple[str, int]:
    """Epoch and last frame."""
    async with http.get(f"{node.base}/v1/rooms/{room}/frames/head") as done:
        head = await done.json()
    return head["epoch"], head["seq"]


async def test_a_crowd_that_waits_for_the_next_frame_is_one_question(
    http: aiohttp.ClientSession, node: NodeProcess, front: Nginx
) -> None:
    """200 readers ask for a frame that is not there yet: the node hears of one, and all have it."""
    await live_room(http, node, "crowd")
    said = await say(http, node, "crowd", "before")
    epoch, seq = await head_of(http, node, "crowd")
    assert seq == said
    before = await asked(http, node)

    async def read() -> tuple[int, bytes]:
        async with http.get(f"{front.base}/v1/rooms/crowd/frames/{epoch}/{seq + 1}.msgpack") as file:
            return file.status, await file.read()

    readers = [asyncio.create_task(read()) for _ in range(200)]
    await asyncio.sleep(0.3)  # all are there before there is anything to be had
    assert not any(reader.done() for reader in readers)
    assert await say(http, node, "crowd", "there it is") == seq + 1
    answers = await asyncio.gather(*readers)
    assert {status for status, _ in answers} == {200}
    assert len({body for _, body in answers}) == 1
    assert await asked(http, node) - before == 1


@pytest.mark.parametrize("bundles", [False, True])
async def test_readers_cost_the_node_a_few_requests_however_many_they_are(
    http: aiohttp.ClientSession, node: NodeProcess, front: Nginx, bundles: bool
) -> None:
    """Forty read the same thirty frames, and the node is asked for each file about once; none misses a frame."""
    room = f"many-{int(bundles)}"
    await live_room(http, node, room, {"tick_ms": 50})

    async def follow(last: int) -> list[int]:
        async with FrameFiles(front.base, room, bundles=bundles, session=http) as files:
            seen: list[int] = []
            async for each in files:
                seen.append(each.seq)
                if isinstance(each, Frame) and each.seq >= last:
                    break
            return seen

    _, start = await head_of(http, node, room)
    before = await asked(http, node)
    readers = [asyncio.create_task(follow(start + 30)) for _ in range(40)]
    began = asyncio.get_running_loop().time()
    while await say(http, node, room, "on it goes") < start + 30:
        pass
    seen = await asyncio.gather(*readers)
    took_s = asyncio.get_running_loop().time() - began
    assert all(each == [*range(each[0], start + 31)] for each in seen)
    # Each file once or, where "not yet" was cached, twice; head and snapshot twice a second at most. Without a cache it is forty
    # times as much.
    assert await asked(http, node) - before <= 2 * 34 + 4 * took_s + 10


async def test_tokens_pass_by_the_cache(http: aiohttp.ClientSession, node: NodeProcess, front: Nginx) -> None:
    """Where a room asks for a token nobody gets what somebody else was let see, and invented origins or queries make no copies."""
    await live_room(http, node, "closed", {"anonymous": "off"})
    url, holder = f"{front.base}/v1/rooms/closed/snapshot", token("ann", secret=SECRET)
    for headers, query, status in (
        ({}, "", 401),
        ({"Authorization": f"Bearer {holder}"}, "", 200),
        ({}, f"?token={holder}", 200),
        ({}, "", 401),
        ({}, "?token=nonsense", 401),
    ):
        async with http.get(url + query, headers=headers) as answer:
            assert answer.status == status, await answer.text()
            assert answer.headers["Cache-Control"] in {"private, no-store", "no-store"}
    await live_room(http, node, "open")
    seq = await say(http, node, "open", "hello")
    epoch, _ = await head_of(http, node, "open")
    before = await asked(http, node)
    for number in range(20):
        where = f"{front.base}/v1/rooms/open/frames/{epoch}/{seq}?x={number}"
        async with http.get(where, headers={"Origin": f"https://shop{number}.example"}) as answer:
            assert answer.status == 200
            assert "Access-Control-Allow-Origin" not in answer.headers
    assert await asked(http, node) - before == 1
    async with http.get(f"{front.base}/v1/rooms/open/frames/{epoch}/{seq}", headers={"Authorization": "Bearer nonsense"}) as answer:
        assert answer.status == 401
    for end in ("%0A", "%0A?Upgrade:%20websocket"):  # no line of its own in what a node is asked
        async with http.get(URL(f"{front.base}/v1/rooms/open/snapshot{end}", encoded=True)) as answer:
            assert (answer.status, (await answer.json(content_type=None))["code"]) == (401, "unauthorized")


async def test_sockets_and_streams_go_through(http: aiohttp.ClientSession, node: NodeProcess, front: Nginx) -> None:
    """A comment said over one arrives over both at once; a page of another origin is still seen as one."""
    await live_room(http, node, "through")
    where = f"{front.base.replace('http', 'ws')}/v1/rooms/through/ws?token={token('ann', secret=SECRET)}"
    async with (
        http.get(f"{front.base}/v1/rooms/through/events") as stream,
        websockets.connect(where, subprotocols=[websockets.Subprotocol("livecast.v1.json")], proxy=None) as ann,
    ):
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        assert json.loads(await ann.recv())["you"]["id"] == "ann"
        await ann.send(json.dumps({"t": "comment", "cid": "c1", "text": "through and through"}))
        async with asyncio.timeout(10):
            while "through and through" not in (await stream.content.readline()).decode():
                pass
            while "through and through" not in str(await ann.recv()):
                pass
    async with websockets.connect(where, origin=websockets.Origin("https://evil.example"), proxy=None) as other:
        assert json.loads(await other.recv())["code"] == 4403


async def test_the_node_counts_by_who_is_really_there(http: aiohttp.ClientSession, node: NodeProcess, front: Nginx) -> None:
    """Limits hold per client behind the proxy, and what a client writes into X-Forwarded-For helps nobody."""
    await live_room(http, node, "limits")
    where = f"{front.base.replace('http', 'ws')}/v1/rooms/limits/ws"

    async def first_word(invented: str, source: str) -> dict[str, object]:
        socket = await websockets.connect(
            where, additional_headers={"X-Forwarded-For": invented}, local_addr=(source, 0), proxy=None
        )
        stack.push_async_callback(socket.close)
        said: dict[str, object] = json.loads(await socket.recv())
        return said

    async with contextlib.AsyncExitStack() as stack:
        for number in range(SOCKETS_PER_ADDRESS):
            assert (await first_word(f"10.0.0.{number}", "127.0.0.4"))["t"] == "welcome"
        over = await first_word("10.0.0.99, 127.0.0.2", "127.0.0.4")
        assert (over["t"], over["code"]) == ("bye", 4429)
        assert (await first_word("", "127.0.0.5"))["t"] == "welcome"


async def test_a_503_of_a_call_takes_no_node_for_dead(http: aiohttp.ClientSession) -> None:
    """While the ledger is away everybody who asks for their coins is told so by a node, and all else goes on: the chat lives."""
    asked = dict.fromkeys(("one", "two"), 0)

    async def say(request: aiohttp.web.Request) -> aiohttp.web.Response:
        name = request.app[NAME]
        asked[name] += 1
        away = request.path.endswith("/me") or (request.path.endswith("/ws") and name == "one")  # that one is about to stop
        return aiohttp.web.Response(status=503 if away else 200, text=name)

    async with contextlib.AsyncExitStack() as stack:
        nodes = []
        for name in asked:
            app = aiohttp.web.Application()
            app[NAME] = name
            app.router.add_get("/{tail:.*}", say)
            nodes.append(await stack.enter_async_context(TestServer(app)))
        nginx = stack.enter_context(Nginx([f"{each.host}:{each.port}" for each in nodes]))
        for _ in range(10):
            async with http.get(f"{nginx.base}/v1/rooms/r/me") as answer:
                assert (answer.status, await answer.text() in asked) == (503, True)
        for path in ("/v1/rooms/r", "/v1/rooms/r/ws", "/v1/rooms/r/events"):
            for _ in range(4):
                async with http.get(nginx.base + path) as answer:
                    assert answer.status == 200, path
        assert min(asked.values()) > 0


async def test_no_log_holds_a_query(http: aiohttp.ClientSession, front: Nginx) -> None:
    """Not of a socket, a file, a call or a stream; not with a node that answers, and not without one. And metrics stay inside."""
    paths = ["/v1/rooms/logs/ws", "/v1/rooms/logs/snapshot", "/v1/rooms/logs/frames/e/1", "/v1/rooms/logs/events", "/v1/rooms", "/"]
    with Nginx(["127.0.0.1:9"]) as lonely:
        for nginx in (front, lonely):
            for path in paths:
                async with http.get(f"{nginx.base}{path}?token=very-secret-token") as answer:
                    if nginx is lonely:
                        assert answer.status == 503
                        assert (await answer.json(content_type="application/problem+json"))["code"] == "unavailable"
                        assert answer.headers["Retry-After"] == "1"
            async with http.get(f"{nginx.base}/metrics", headers=AS_SERVICE) as answer:
                assert answer.status == 404
            async with http.get(f"{nginx.base}/nginx-health") as answer:
                assert answer.status == 200
            logs = nginx.logs()
            assert "very-secret-token" not in logs
            for path in paths:
                assert f" GET {path} HTTP/1.1 " in logs, logs
