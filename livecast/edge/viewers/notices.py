"""Notices on their way to their user's connections, each at most once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from livecast.core.events import Notice
from livecast.shard.ownership import CHANGED_HANDS
from livecast.shard.room_loop import MERCHANT

if TYPE_CHECKING:
    from livecast.edge.node import Node

TOLD_AGAIN: Final = frozenset({"draw.won", "reservation.expiring"})
"""Kinds that a shard's new owner tells again, because it cannot know what the one before it told."""
REMEMBERED_MAX: Final = 20_000
"""Such notices that are remembered, some 5 MB; beyond it the oldest is forgotten, which is far older than any change of owner."""


class Notices:
    """Brings this node's users what the bus has for them."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._told: dict[tuple[str, str, str], None] = {}

    def deliver(self, room: str, user: str, notice: Notice) -> None:
        """To every connection of theirs in the room; "" for all rooms."""
        node = self._node
        if notice.kind == CHANGED_HANDS:
            node.reports.tell_new_owners(notice.data["taken"])
            return
        if notice.kind == MERCHANT:
            if (of := node.views.peek(room)) is not None:
                of.belongs_to(notice.data["merchant"])
            return
        if notice.kind in TOLD_AGAIN and not self._is_new((room, user, notice.id)):
            return
        if notice.kind == "wallet" and node.money is not None:
            node.money.heard(user, notice)
        hub = node.views.peek(room) if room else None
        for one in [hub] if hub is not None else [] if room else node.views.hubs():
            one.notify(user, notice)

    def _is_new(self, name: tuple[str, str, str]) -> bool:
        if name in self._told:
            return False
        if len(self._told) >= REMEMBERED_MAX:
            del self._told[next(iter(self._told))]
        self._told[name] = None
        return True
