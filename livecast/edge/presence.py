"""What this node tells the rooms it watches, once a second and only where something changed: who watches, what it refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from livecast.core.events import EdgeRefused, Presence

if TYPE_CHECKING:
    from livecast.edge.hub import RoomHub
    from livecast.edge.node import Node

REPEAT_MS: Final = 30_000
"""An unchanged count is told again this often: 10,000 quiet rooms cost 333 reports a second."""
STANDS_MS: Final = 75_000
"""A count stands for two repeats lost and a little: so long the viewers of a killed node are still counted."""
JOINED_MAX: Final = 1_000
"""People named in one report; a crowd that comes at once is told in several."""


def report(node: Node, hub: RoomHub, now: int) -> None:
    """Tell the room's owner what is new here."""
    if hub.refused:
        refused, hub.refused = hub.refused, {}
        if not node.bus.post(hub.room, EdgeRefused(node.id, refused)):
            hub.refused = refused  # nobody owns the room just now: the next owner shall know
    counts = (hub.connections, hub.users)
    due = counts != hub.reported or bool(hub.joined) or (counts[0] > 0 and now - hub.reported_at >= REPEAT_MS)
    if not due:
        return
    joined, hub.joined = hub.joined, []
    while True:
        some, joined = joined[:JOINED_MAX], joined[JOINED_MAX:]
        if not node.bus.post(hub.room, Presence(node.id, *counts, joined=tuple(some), ttl_ms=STANDS_MS)):
            hub.joined = some + joined
            return
        if not joined:
            break
    hub.reported, hub.reported_at = counts, now


def leave(node: Node, hub: RoomHub) -> None:
    """Nobody watches here any more: this node goes away."""
    if hub.refused:
        node.bus.post(hub.room, EdgeRefused(node.id, hub.refused))
    if hub.reported != (0, 0):
        node.bus.post(hub.room, Presence(node.id, 0, 0))
