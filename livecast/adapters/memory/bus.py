"""The bus within one process: plain calls, no sockets, no serialising."""

from __future__ import annotations

from collections.abc import Sequence

from livecast.adapters.local import Followers, Owners
from livecast.core.events import Event, Notice, Reply
from livecast.ports import EventsHandler, NoticeHandler, Published, PublishedHandler, RepliesHandler, Subscription


class MemoryBus:
    """`ports.Bus` for everything in one process. Several nodes may attach to one bus."""

    def __init__(self) -> None:
        self._nodes: dict[str, tuple[RepliesHandler, NoticeHandler]] = {}
        self._owners = Owners()
        self._followers = Followers()

    async def attach(self, node: str, replies: RepliesHandler, notices: NoticeHandler) -> None:
        """Make `node` reachable."""
        self._nodes[node] = (replies, notices)

    async def serve(self, shard: int, events: EventsHandler) -> None:
        """Hand over what is posted to rooms of `shard`."""
        self._owners.add(shard, events)

    async def unserve(self, shard: int) -> None:
        """Stop receiving for `shard`."""
        self._owners.drop(shard)

    def here(self, room: str, node: str) -> bool:
        """Everything is."""
        del room
        return node in self._nodes

    def post(self, room: str, event: Event) -> bool:
        """Queue for the room's owner; False if it has none."""
        return self._owners.post(room, event)

    def reply(self, node: str, replies: Sequence[Reply]) -> None:
        """Hand the answers over at once."""
        if (handlers := self._nodes.get(node)) is not None:
            handlers[0](replies)

    async def follow(self, room: str, deliver: PublishedHandler) -> Subscription:
        """Deliver what is published in `room` from now on."""
        return self._followers.add(room, deliver)

    def publish(self, published: Published) -> None:
        """Hand it to the followers at once."""
        self._followers.hand_over(published)

    def notify(self, room: str, user: str, notice: Notice) -> None:
        """Tell every node at once."""
        for _, notices in tuple(self._nodes.values()):
            notices(room, user, notice)

    async def close(self) -> None:
        """Forget everyone."""
        self._nodes.clear()
        self._owners.clear()
        self._followers.clear()
