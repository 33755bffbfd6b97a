"""The bus within one process: plain calls, no sockets, no serialising.

Posted events are handed over in the next turn of the event loop, those for one room together, so that a burst costs the
owner one call and an answer never arrives inside the very call that asked. All else is handed over at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from livecast.core.events import Event, Notice, Reply
from livecast.core.placement import shard_of
from livecast.ports import EventsHandler, NoticeHandler, Published, PublishedHandler, RepliesHandler, Subscription


class Follower:
    """One follower of a room; closing it twice is harmless."""

    __slots__ = ("_followers", "_room", "deliver")

    def __init__(self, followers: Followers, room: str, deliver: PublishedHandler) -> None:
        self._followers = followers
        self._room = room
        self.deliver = deliver

    def close(self) -> None:
        """No more deliveries from now on."""
        self._followers.drop(self._room, self)


class Followers:
    """The followers in this process, by room."""

    def __init__(self) -> None:
        self._by_room: dict[str, tuple[Follower, ...]] = {}

    def add(self, room: str, deliver: PublishedHandler) -> Follower:
        """Deliver what is published in `room` from now on."""
        follower = Follower(self, room, deliver)
        self._by_room[room] = (*self._by_room.get(room, ()), follower)
        return follower

    def drop(self, room: str, follower: Follower) -> None:
        """Forget one follower."""
        rest = tuple(f for f in self._by_room.get(room, ()) if f is not follower)
        if rest:
            self._by_room[room] = rest
        else:
            self._by_room.pop(room, None)

    def hand_over(self, published: Published) -> None:
        """To everyone who follows the room. One who left during the handing over hears no more."""
        for follower in self._by_room.get(published.room, ()):
            if follower in self._by_room.get(published.room, ()):
                follower.deliver(published)

    def rooms(self) -> Sequence[str]:
        """Rooms with a follower."""
        return tuple(self._by_room)

    def clear(self) -> None:
        """Forget all."""
        self._by_room.clear()


class MemoryBus:
    """`ports.Bus` for everything in one process. Several nodes may attach to one bus."""

    def __init__(self) -> None:
        self._nodes: dict[str, tuple[RepliesHandler, NoticeHandler]] = {}
        self._shards: dict[int, EventsHandler] = {}
        self._followers = Followers()
        self._posted: dict[str, list[Event]] = {}

    async def attach(self, node: str, replies: RepliesHandler, notices: NoticeHandler) -> None:
        """Make `node` reachable."""
        self._nodes[node] = (replies, notices)

    async def serve(self, shard: int, events: EventsHandler) -> None:
        """Hand over what is posted to rooms of `shard`."""
        self._shards[shard] = events

    async def unserve(self, shard: int) -> None:
        """Stop receiving for `shard`."""
        self._shards.pop(shard, None)

    def post(self, room: str, event: Event) -> bool:
        """Queue for the room's owner; False if it has none."""
        if shard_of(room) not in self._shards:
            return False
        if not self._posted:
            asyncio.get_running_loop().call_soon(self._deliver_posted)
        self._posted.setdefault(room, []).append(event)
        return True

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
        self._shards.clear()
        self._followers.clear()
        self._posted.clear()

    def _deliver_posted(self) -> None:
        posted, self._posted = self._posted, {}
        for room, events in posted.items():
            if (handler := self._shards.get(shard_of(room))) is not None:
                handler(room, events)
