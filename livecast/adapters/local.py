"""What a bus does within its own process: hand posted events to owners, and published frames to followers.

The memory bus is made of this alone; the Redis bus takes this way for all that need not leave the process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from livecast.core.events import Event
from livecast.core.nodes.placement import shard_of
from livecast.ports import EventsHandler, Published, PublishedHandler


class Owners:
    """Shards served in this process.

    Posted events are handed over in the next turn of the event loop, those for one room together: a burst costs the owner
    one call, and an answer never arrives inside the very call that asked.
    """

    def __init__(self) -> None:
        self._handlers: dict[int, EventsHandler] = {}
        self._posted: dict[str, list[Event]] = {}

    def __contains__(self, shard: int) -> bool:
        return shard in self._handlers

    def add(self, shard: int, events: EventsHandler) -> None:
        """Hand over what is posted to rooms of `shard` from now on."""
        self._handlers[shard] = events

    def drop(self, shard: int) -> None:
        """Forget one; what was posted and not yet handed over is lost."""
        self._handlers.pop(shard, None)

    def post(self, room: str, event: Event) -> bool:
        """Queue for the room's owner; False if it is not here."""
        if shard_of(room) not in self._handlers:
            return False
        if not self._posted:
            asyncio.get_running_loop().call_soon(self._deliver)
        self._posted.setdefault(room, []).append(event)
        return True

    def hand_over(self, room: str, events: Sequence[Event]) -> None:
        """Give events to the room's owner at once, if it is still here."""
        if (handler := self._handlers.get(shard_of(room))) is not None:
            handler(room, events)

    def clear(self) -> None:
        """Forget all."""
        self._handlers.clear()
        self._posted.clear()

    def _deliver(self) -> None:
        posted, self._posted = self._posted, {}
        for room, events in posted.items():
            self.hand_over(room, events)


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
    """The followers in this process, by room. `on_last` hears of a room that nobody follows any more."""

    def __init__(self, on_last: Callable[[str], None] | None = None) -> None:
        self._by_room: dict[str, tuple[Follower, ...]] = {}
        self._on_last = on_last

    def __contains__(self, room: str) -> bool:
        return room in self._by_room

    def add(self, room: str, deliver: PublishedHandler) -> Follower:
        """Deliver what is published in `room` from now on."""
        follower = Follower(self, room, deliver)
        self._by_room[room] = (*self._by_room.get(room, ()), follower)
        return follower

    def drop(self, room: str, follower: Follower) -> None:
        """Forget one follower."""
        before = self._by_room.get(room, ())
        rest = tuple(f for f in before if f is not follower)
        if rest:
            self._by_room[room] = rest
        elif before:
            del self._by_room[room]
            if self._on_last is not None:
                self._on_last(room)

    def hand_over(self, published: Published) -> None:
        """To everyone who follows the room. One who left during the handing over hears no more."""
        for follower in self._by_room.get(published.room, ()):
            if follower in self._by_room.get(published.room, ()):
                follower.deliver(published)

    def of_shard(self, shard: int) -> list[str]:
        """Followed rooms that live in `shard`."""
        return [room for room in self._by_room if shard_of(room) == shard]

    def clear(self) -> None:
        """Forget all."""
        self._by_room.clear()
