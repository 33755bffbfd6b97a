"""Connections that end rudely: resets at every stage of a connection are ordinary, and concern nobody else."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from socket import SocketType
from typing import Any, cast

import pytest

from livecast.edge.rules import EdgeRules
from livecast.edge.viewers.websocket import ViewerSocket
from livecast.facts import Trouble
from support.house import House, until
from support.viewer import Viewer, masked

HANDSHAKE = (
    b"GET /v1/rooms/r/ws%s HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
POST = b"POST /v1/rooms/r/comments HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer %s\r\nContent-Length: 100\r\n\r\n"


@pytest.fixture
def edge_rules() -> EdgeRules:
    """A quick sweep."""
    return EdgeRules(sweep_ms=20, close_deadline_ms=300, header_deadline_ms=200)


@pytest.fixture
async def room(house: House) -> AsyncIterator[House]:
    """A node with one live room, `r`; afterwards nobody must have complained, not even the event loop."""
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    await house.live_room("r")
    yield house
    assert not complaints
    assert not house.notes.of(Trouble)


def of(room: House, user: str) -> ViewerSocket:
    """A user's socket, as the node has it."""
    return next(viewer for viewer in room.node.pulse.sockets.values() if viewer.identity.person.id == user)


class Rude:
    """A connection of the test's own that ends with a reset: the peer hears nothing but RST."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.setblocking(False)

    def write(self, data: bytes) -> None:
        """A few bytes: the kernel takes them at once."""
        self._socket.send(data)

    async def heard(self, some: bytes) -> None:
        """Wait for these bytes."""
        said = b""
        async with asyncio.timeout(5):
            while some not in said:
                said += await asyncio.get_running_loop().sock_recv(self._socket, 65536)

    def reset(self) -> None:
        """Go away."""
        self._socket.close()


async def test_a_reset_right_behind_the_handshake_keeps_nobodys_answer(room):
    """Viewers who reset before they are welcomed cost no other viewer an answer, then or later, nor any frame."""
    since = b"?since=%s:0" % room.node.views.peek("r").view.epoch.encode() if room.node.views.peek("r") else b""
    async with Viewer(room.port, "r", room.token("ada")) as ada, Viewer(room.port, "r", room.token("bob")) as bob:
        await ada.welcome()
        await bob.welcome()
        pings = b"".join(masked(b'{"t":"ping","cid":"p%d"}' % k) for k in range(5))
        for turn in range(30):
            rude = [Rude(room.port) for _ in range(8)]
            for k, one in enumerate(rude):
                one.write(HANDSHAKE % (since if k % 2 else b"") + pings * (k % 3))
            asked = asyncio.gather(ada.ask("ping", f"a{turn}"), bob.ask("like", f"b{turn}", n=1))
            if turn % 2:
                await asyncio.sleep(0)
            for one in rude:
                one.reset()
            await asked
        await ada.ask("comment", "c", text="still here")
        await bob.hears(lambda m: m["t"] == "frame" and m.get("comments"), "the comment")
        assert not ada.gaps()
        assert not bob.gaps()
    await until(lambda: not room.node.pulse.sockets, "everybody gone")
    assert not room.node.admission._by_address
    assert not room.node.unsent.viewers


async def test_answers_after_a_connection_broke(room):
    """An answer for a connection that breaks before it is written takes the others' answers with it at no time."""
    async with Viewer(room.port, "r", room.token("ada")) as ada, Viewer(room.port, "r", room.token("bob")) as bob:
        await ada.welcome()
        await bob.welcome()
        broken, whole = (of(room, user) for user in ("ada", "bob"))
        broken.transport.abort()  # its `connection_lost` comes in the next turn, and before that turn's answers are written
        for viewer in (broken, whole):
            viewer.queue(b"\x89\x00")
        assert (await bob.ask("ping", "p"))["t"] == "pong"
        assert whole.acks is None
        assert broken.closing
        assert broken.acks is None


class NoSocket:
    """What no code of ours should ever take for a socket."""

    def __init__(self, true: SocketType) -> None:
        self.detach = true.detach


@pytest.mark.parametrize("wrong", ["acks", "descriptor"])
async def test_a_frame_reaches_all_whatever_is_wrong_with_one(house, wrong):
    """A fault with one viewer's bytes ends that connection alone and is told to the operator: the frame reaches the others."""
    await house.live_room("r")
    viewers = [Viewer(house.port, "r", house.token(f"u{k}")) for k in range(4)]
    for viewer in viewers:
        await viewer.__aenter__()
        await viewer.welcome()
    faulty = of(house, "u0")
    if wrong == "acks":
        faulty.queue(cast("bytes", None))  # what no code of ours should ever put there
    else:
        faulty.sock = cast("SocketType", NoSocket(faulty.sock))
        assert faulty.hub is not None
        faulty.hub.shuffled()
    await viewers[3].ask("comment", "c", text="hello")
    for viewer in viewers[1:]:
        await viewer.hears(lambda m: m["t"] == "frame" and m.get("comments"), "the comment")
        assert not viewer.gaps()
    await until(lambda: faulty.closing, "end of the faulty connection")
    assert [trouble.what for trouble in house.notes.of(Trouble)] == ["a viewer could not be written to"]
    for viewer in viewers:
        await viewer.__aexit__()


@pytest.mark.parametrize(
    ("says", "hears"),
    [
        (b"", b""),
        (b"GET /healthz HTTP/1.1\r\nHo", b""),
        (b"GET /v1/rooms/r/events HTTP/1.1\r\nHost: h\r\n\r\n", b"event: welcome"),
        (b"GET /v1/rooms/r/events HTTP/1.1\r\nHost: h\r\n\r\n", b""),
        (POST + b'{"text"', b""),
        (POST.replace(b"Content-Length: 100", b"Transfer-Encoding: chunked") + b"7\r\n{", b""),
        (HANDSHAKE % b"", b'"t":"welcome"'),
        (HANDSHAKE % b"" + b"\x81\xfe", b""),
        ((HANDSHAKE % b"").replace(b"13", b"8"), b""),
    ],
)
async def test_a_reset_at_any_stage_is_ordinary(room, says, hears):
    """At accept, within a head, a body, a stream, a handshake or a frame: no complaint, no word to the operator."""
    says = says.replace(b"%s", room.key.encode())
    for wait_s in (0, 0, 0.001, 0.03):
        rude = Rude(room.port)
        rude.write(says)
        if hears:
            await rude.heard(hears)
        await asyncio.sleep(wait_s)
        rude.reset()
    await room.call("POST", "/v1/rooms/r/comments", json={"text": "anybody there?"})
    await until(lambda: not room.node.pulse.sockets and not room.node.admission._by_address, "everybody gone")
