"""Following a room by server-sent events, against a real HTTP server that plays a script."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from hypothesis import given
from hypothesis import strategies as st

from livecast.client import Bye, EventStream, Frame, Notice, Refused, Welcome
from livecast.client.messages import MESSAGE_BYTES_MAX
from livecast.client.sse import EventParser
from support.stage import Prompt, comment, frame, welcome

Act = Callable[[web.Request], Awaitable[web.StreamResponse]]


def event(name: str, message: dict[str, Any]) -> bytes:
    """One event as a server writes it."""
    return f"event: {name}\nid: {message.get('epoch')}:{message.get('seq')}\ndata: {json.dumps(message)}\n\n".encode()


def streams(*acts: list[bytes] | int) -> tuple[TestServer, list[web.Request]]:
    """A server whose n-th answer is the n-th list of pieces, or a status."""
    seen: list[web.Request] = []

    async def serve(request: web.Request) -> web.StreamResponse:
        act = acts[min(len(seen), len(acts) - 1)]
        seen.append(request)
        if isinstance(act, int):
            return web.Response(status=act, headers={"Retry-After": "0"})
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for piece in act:
            await response.write(piece)
        return response

    app = web.Application()
    app.router.add_get("/v1/rooms/r/events", serve)
    return TestServer(app), seen


async def test_events_come_typed_until_the_room_is_over() -> None:
    """Welcome, frames, notices, farewell; comments and unknown events are skipped; 204 on the way back is the end."""
    notice = {"t": "notice", "id": "n", "kind": "x.hi", "at": 1, "data": None}
    bye = {"t": "bye", "code": 4000, "reason": "restart", "reconnect": True, "retry_after_ms": 0}
    pieces = [event("welcome", welcome()), b":\n\n", event("frame", frame(1, comments=[comment(1)]))]
    pieces += [event("firework", {"t": "firework"}), event("notice", notice), event("bye", bye)]
    server, seen = streams(pieces, 204)
    async with server, EventStream(str(server.make_url("/")), "r", token="jwt", rng=Prompt()) as events:
        got = [one async for one in events]
    assert [type(one) for one in got] == [Welcome, Frame, Notice, Bye]
    assert seen[0].headers["Authorization"] == "Bearer jwt"
    assert "Last-Event-ID" not in seen[0].headers


async def test_it_resumes_after_the_last_frame() -> None:
    """A stream that breaks off goes on with `Last-Event-ID`; half an event is no event."""
    broken = [event("welcome", welcome(seq=4)), event("frame", frame(5)), event("frame", frame(6))[:-10]]
    server, seen = streams(broken, 503, [event("welcome", welcome(seq=5, recovered=True)), event("frame", frame(6))], 204)
    async with server, EventStream(str(server.make_url("/")), "r", since="epochAAA:3", rng=Prompt()) as events:
        got = [one async for one in events]
    assert [one.seq for one in got if isinstance(one, Frame)] == [5, 6]
    assert [request.headers.get("Last-Event-ID") for request in seen[:3]] == ["epochAAA:3", "epochAAA:5", "epochAAA:5"]
    assert events.connections == 2


async def test_a_refusal_is_raised() -> None:
    """401, 403 and 404 do not get better by asking again."""
    server, seen = streams(404)
    async with server, EventStream(str(server.make_url("/")), "r") as events:
        with pytest.raises(Refused, match="404"):
            await anext(aiter(events))
    assert len(seen) == 1


STREAM = (
    b"retry: 1000\nevent: welcome\nid: e:1\ndata: {}\n\n: comment\n\ndata: one\r\ndata: two\r\n\r\n"
    b"event:frame\ndata:three\n\nevent: empty\n\nid: e:2\ndata: four\n\n"
)


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_pieces_end_anywhere(cuts: list[int]) -> None:
    """However the bytes are cut, the same events come out."""
    parser = EventParser()
    edges = [0, *sorted(cuts), len(STREAM)]
    events = [one for start, end in pairwise(edges) for one in parser.feed(STREAM[start:end])]
    assert [(one.name, one.id, one.data) for one in events] == [
        ("welcome", "e:1", b"{}"),
        ("message", "e:1", b"one\ntwo"),
        ("frame", "e:1", b"three"),
        ("message", "e:2", b"four"),
    ]


def test_an_endless_event_is_not_kept() -> None:
    """What never ends is refused before it fills the memory."""
    parser = EventParser()
    parser.feed(b"data: " + b"x" * (MESSAGE_BYTES_MAX - 10))
    with pytest.raises(ValueError, match="without an end"):
        parser.feed(b"x" * 10)
