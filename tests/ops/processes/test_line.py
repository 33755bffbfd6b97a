"""The line between a supervisor and a worker: versions that differ understand each other as far as they can."""

from __future__ import annotations

import asyncio
import socket

import msgspec
import pytest

from livecast.ops.processes.line import LENGTH_BYTES, Ready, WantPage, to_supervisor, to_worker


def sent(message: object) -> bytes:
    """A message as it stands on the line."""
    body = msgspec.msgpack.encode(message)
    return len(body).to_bytes(LENGTH_BYTES, "big") + body


async def test_messages_of_a_later_version_are_left_out() -> None:
    """A worker of the next version says something that its supervisor does not know: it hears all the rest."""
    ours, theirs = socket.socketpair()
    line = await to_worker(ours)
    with theirs:
        theirs.sendall(sent({"type": "Sang", "song": 7}) + sent({"type": "WantPage", "number": 3, "why": "new"}))
        theirs.sendall(sent({"type": "WantPage", "number": "seven"}) + sent({"type": "Ready"}))
        async with asyncio.timeout(10):
            assert await line.hear_known() == WantPage(3)
            assert await line.hear_known() == Ready()
    assert await line.hear_known() is None
    await line.close()


async def test_what_must_be_understood_is_a_fault_otherwise() -> None:
    """Such as a worker's first message, which says what it is to be."""
    ours, theirs = socket.socketpair()
    line = await to_supervisor(ours)
    with theirs:
        theirs.sendall(sent({"type": "Become", "number": 1}))
        async with asyncio.timeout(10):
            with pytest.raises(msgspec.ValidationError):
                await line.hear()
    await line.close()
