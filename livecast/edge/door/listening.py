"""Accepting connections: by one hand while they come one by one, by many while there is a rush.

In each turn the loop lets a listening socket accept one connection. In a rush that makes turns in which one viewer connects and
one is answered, and most of what either costs is beginning anew. So the socket gets more descriptors then, and as many are
accepted in a turn. Not always: a descriptor that finds nobody left to accept costs a system call for each who comes alone.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from livecast.edge.node import Node

BACKLOG: Final = 4096
"""Connections the kernel holds while the loop is busy: a second of handshakes at half speed. Linux caps it at somaxconn."""
HANDS: Final = 15
"""Descriptors more per socket while there is a rush. Measured: with 7 a join costs half of what it does with none, with 23 two
fifths."""
RUSH: Final = 64
"""So many connections within `RUSH_MS` are a rush."""
RUSH_MS: Final = 128
CALM_MS: Final = 1_000
"""It is over when fewer came in so long."""


class Listening:
    """Where this node listens; `make_protocol` makes one for each connection."""

    def __init__(self, node: Node, make_protocol: Callable[[], asyncio.Protocol]) -> None:
        self._node = node
        self._make_protocol = make_protocol
        self._sockets: list[socket.socket] = []
        self._servers: list[asyncio.Server] = []
        self._hands: list[asyncio.Server] | None = None
        """Who helps; None: there is no rush."""
        self._came = 0
        """Connections since `_counted_at`."""
        self._counted_at = node.clock()

    async def at(self, listener: socket.socket) -> asyncio.Server:
        """Accept connections at a bound socket, which is ours from here on."""
        if self._node.rules.send_buffer_bytes:  # what is accepted inherits it, which saves a call per connection
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self._node.rules.send_buffer_bytes)
        server = await self._accept(listener)
        self._sockets.append(listener)
        self._servers.append(server)
        return server

    def close(self) -> None:
        """Accept nobody any more."""
        self._dismiss()
        for server in self._servers:
            server.close()
        self._sockets.clear()

    def came(self) -> None:
        """A connection was accepted."""
        self._came += 1
        if self._came >= RUSH:
            now = self._node.clock()
            if self._hands is None and now - self._counted_at < RUSH_MS:
                self._hands = []
                self._node.spawn(self._hire(self._hands))
            self._came, self._counted_at = 0, now

    def descriptors(self) -> list[int]:
        """Where connections are accepted."""
        return [number for listener in self._sockets if (number := listener.fileno()) >= 0]

    def sweep(self, now: int) -> None:
        """Is it calm again?"""
        if self._hands is not None and now - self._counted_at >= CALM_MS:
            self._dismiss()

    async def _accept(self, listener: socket.socket) -> asyncio.Server:
        return await asyncio.get_running_loop().create_server(self._make_protocol, sock=listener, backlog=BACKLOG)

    async def _hire(self, hands: list[asyncio.Server]) -> None:
        for listener in tuple(self._sockets):
            for _ in range(HANDS):
                try:
                    hand = await self._accept(listener.dup())
                except OSError:
                    return  # no descriptors left, or we listen no longer: it goes on with what there is
                if self._hands is not hands:
                    hand.close()  # the rush was over before all had come
                    return
                hands.append(hand)

    def _dismiss(self) -> None:
        hands, self._hands = self._hands, None
        for hand in hands or ():
            hand.close()
