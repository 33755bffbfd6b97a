"""The rooms that this node follows: loaded when somebody wants to watch, dropped some time after the last one left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from livecast.edge.hub import RoomHub

if TYPE_CHECKING:
    from livecast.edge.node import Node


class Views:
    """Room id -> `RoomHub`. Joins that come together share one load."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def peek(self, room: str) -> RoomHub | None:
        """The hub if it is loaded."""
        raise NotImplementedError

    async def get(self, room: str) -> RoomHub | None:
        """The hub, loaded if need be; None if there is no such room (in `--dev` it is made).

        Raises `livecast.ports.Unavailable` when the store does not answer.
        """
        raise NotImplementedError

    def made(self, room: str) -> None:
        """The room was created just now: forget that it was unknown."""
        raise NotImplementedError
