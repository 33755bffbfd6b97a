"""The loop that these tests run on."""

from __future__ import annotations

import asyncio
import socket

import pytest

from support.loops import ClosingLoop


def test_what_was_left_open_is_told_of_and_holds_nobody_up() -> None:
    """As after a test that failed with a server and a connection open."""
    loop = ClosingLoop()

    async def leave_open() -> list[object]:
        listener = socket.create_server(("127.0.0.1", 0))
        server = await loop.create_server(asyncio.Protocol, sock=listener)
        return [server, *await loop.create_connection(asyncio.Protocol, *listener.getsockname())]

    kept = loop.run_until_complete(leave_open())
    with pytest.raises(ResourceWarning, match="unclosed"):
        loop.close()
    assert loop.is_closed()
    assert len(kept) == 3
