"""What this node tells the rooms it watches: who watches here, and what it refused before they heard of it.

Once a second at most, and only where something changed; an unchanged count is told again before it fades. A quiet room costs a
look every half minute.
"""

from __future__ import annotations

from collections.abc import Collection
from itertools import islice
from typing import TYPE_CHECKING, Final

from livecast.core.events import EdgeRefused, Presence
from livecast.core.nodes.placement import shard_of

if TYPE_CHECKING:
    from livecast.edge.node import Node
    from livecast.edge.rooms.hub import RoomHub

REPEAT_MS: Final = 30_000
"""An unchanged count is told again this often: 10,000 quiet rooms cost 333 reports a second."""
STANDS_MS: Final = 75_000
"""A count stands for two repeats lost and a little: so long the viewers of a killed node are still counted."""
JOINED_MAX: Final = 1_000
"""People named in one report; a crowd that comes at once is told in several."""


class Reports:
    """Reports of one node to the owners of its rooms."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._changed: dict[RoomHub, None] = {}

    def note(self, hub: RoomHub) -> None:
        """Somebody came or went, or was refused: the next tick tells."""
        self._changed[hub] = None

    def tell_new_owners(self, shards: Collection[int]) -> None:
        """These shards have a new owner, who knows of nobody: tell it at once who watches, so that it wakes their rooms.

        The fullest rooms come first: a dead node's rooms are woken one after the other.
        """
        node, changed = self._node, set(shards)
        hubs = [hub for hub in node.views.hubs() if hub.idle_since is None and shard_of(hub.room) in changed] if changed else []
        for hub in sorted(hubs, key=lambda hub: -hub.connections):
            hub.reported = (0, 0, 0)
            if not self.tell(hub, node.clock()):
                self.note(hub)

    def tick(self, now: int) -> None:
        """Tell the rooms where something changed. What nobody took is told again with the next tick."""
        changed, self._changed = self._changed, {}
        for hub in changed:
            if not self.tell(hub, now):
                self._changed[hub] = None

    def repeat(self, hub: RoomHub, now: int) -> None:
        """Tell an unchanged count again if it is time."""
        if hub.idle_since is None and now - hub.reported_at >= REPEAT_MS:
            self._changed[hub] = None

    def tell(self, hub: RoomHub, now: int) -> bool:
        """One room's report; False if nobody owns the room just now: its next owner shall know."""
        node = self._node
        if hub.refused:
            if not node.bus.post(hub.room, EdgeRefused(node.id, hub.refused)):
                return False
            hub.refused = {}
        counts = (hub.connections, hub.users, len(hub.backstage))
        changed = counts != hub.reported or hub.joined or hub.left or hub.present
        if not changed and now - hub.reported_at < REPEAT_MS:
            return True
        while True:
            joined, present = tuple(hub.joined[:JOINED_MAX]), tuple(hub.present[:JOINED_MAX])
            # Who came and went is told of as gone, so not before all those are named who came.
            last = len(joined) == len(hub.joined) and len(present) == len(hub.present)
            left = tuple(islice(hub.left, JOINED_MAX)) if last else ()
            if not node.bus.post(hub.room, Presence(node.id, counts[0], counts[1], joined, STANDS_MS, left, present, counts[2])):
                return False
            del hub.joined[:JOINED_MAX], hub.present[:JOINED_MAX]
            for user in left:
                del hub.left[user]
            if last and not hub.left:
                break
        hub.reported, hub.reported_at = counts, now
        return True

    def forget(self, hub: RoomHub) -> None:
        """This node follows the room no longer: whoever watched is gone."""
        self._changed.pop(hub, None)
        self.tell(hub, hub.reported_at)
