"""Viewers' sockets with something to be told: written at the end of the loop's turn, all that is for one of them together.

Acks come in crowds: a thousand comments committed at once, a batch of claims decided. Each write is a system call, so what a turn
has for a viewer goes out in one; and where a frame is about to go to the very same viewers, it takes the acks along.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from livecast.edge.node import Node
    from livecast.edge.viewers.websocket import ViewerSocket


class Unsent:
    """Who has acks that wait for the end of this turn."""

    __slots__ = ("_node", "viewers")

    def __init__(self, node: Node) -> None:
        self._node = node
        self.viewers: list[ViewerSocket] = []
        """Everybody who may have acks waiting here, and some who had."""

    def put(self, viewer: ViewerSocket) -> None:
        """Have this socket's acks written at the end of this turn of the loop, or behind those of the others if these are many."""
        if not self.viewers:
            asyncio.get_running_loop().call_soon(self._flush)
        self.viewers.append(viewer)

    def _flush(self) -> None:
        some = self._node.rules.fanout_slice  # thousands may be told something at once, and frames are to go out in between
        viewers, self.viewers = self.viewers[:some], self.viewers[some:]
        if self.viewers:
            asyncio.get_running_loop().call_soon(self._flush)
        for viewer in viewers:
            try:
                viewer.flush_acks()
            except Exception as fault:  # noqa: BLE001 - one connection's fault must not keep the others' answers
                viewer.write_failed(fault)
