"""The bus between processes, on sharded pub/sub.

What need not leave the process does not: events for shards served here, replies to the node that is here, and frames of
rooms owned here never touch the server. Rooms owned here are not subscribed to either: their owner hands their frames over
itself, after the replies that belong before them; a copy from the server could overtake those.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from contextlib import suppress
from functools import partial

from livecast.adapters.local import Followers, Owners
from livecast.adapters.redis import keys, messages
from livecast.adapters.redis.ears import Ears
from livecast.adapters.redis.outbox import Outbox
from livecast.adapters.redis.server import RedisServer
from livecast.core.errors import Refusal
from livecast.core.events import Ask, Command, Event, Liked, Notice, Origin, Reply, Reported, Said, Voted
from livecast.core.nodes.placement import shard_of
from livecast.facts import Observer
from livecast.ports import EventsHandler, NoticeHandler, Published, PublishedHandler, RepliesHandler, Subscription, Unavailable

OFFER_AGAIN_S = 0.05
OFFERS_MAX = 12
"""An event that found no receiver is offered again so often, so far apart: an orderly change of owner takes less than these
0.6 s, and a sender is told within 2 s. Questions are not: whoever asks can look elsewhere meanwhile."""
RETRY_AFTER_MS = 1000
"""When it is worth asking again for a room that nobody serves: a new owner takes 2 to 5 s, clients add their jitter."""
EPOCHS_MAX = 4
"""Epochs of a room whose last frame is remembered, to know copies again. They change with the owner or the broadcast."""


class RedisBus:
    """`ports.Bus` on one server. `close` ends its own connections; the server is the composition root's to close.

    `serve` and `follow` raise `Unavailable` if the server does not confirm in time; nothing else raises. What fails is
    reported to `observer`, and the connection comes back by itself with all that was subscribed.
    """

    def __init__(self, server: RedisServer, observer: Observer) -> None:
        self._self = secrets.token_hex(8)
        self._nodes: dict[str, tuple[RepliesHandler, NoticeHandler]] = {}
        self._owners = Owners()
        self._followers = Followers(self._nobody_follows)
        self._seen: dict[str, dict[str, int]] = {}
        self._closed = False
        self._listener = Ears(server, observer, self._on_gap)
        self._outbox = Outbox(server, observer)

    async def attach(self, node: str, replies: RepliesHandler, notices: NoticeHandler) -> None:
        """Make `node` reachable, from here at once and from elsewhere when this returns."""
        self._nodes[node] = (replies, notices)
        await self._listener.add({keys.node(node): partial(self._on_replies, node), keys.NOTICES: self._on_notices})

    async def serve(self, shard: int, events: EventsHandler) -> None:
        """Hand over what is posted to rooms of `shard`."""
        self._owners.add(shard, events)
        try:
            await self._listener.add({keys.of_shard("in", shard): self._on_events})
        except BaseException:
            self._owners.drop(shard)
            self._listener.drop([keys.of_shard("in", shard)])
            raise
        for room in self._followers.of_shard(shard):
            self._listener.drop([keys.of_room("out", room)])
            self._followers.hand_over(Published.something_missed(room))  # what was still on its way is not heard any more

    async def unserve(self, shard: int) -> None:
        """Stop receiving for `shard`; its rooms that are followed here are heard from their next owner."""
        await self._listener.leave([keys.of_shard("in", shard)])
        channels = {keys.of_room("out", room): self._on_published for room in self._followers.of_shard(shard)}
        with suppress(Unavailable):  # they stay wanted, and are heard once the server is back
            await self._listener.add(channels)
        self._owners.drop(shard)
        for room in self._followers.of_shard(shard):
            self._followers.hand_over(Published.something_missed(room))  # what was said before these were heard

    def here(self, room: str, node: str) -> bool:
        """Whether both are in this process, and answers therefore in front of frames."""
        return node in self._nodes and shard_of(room) in self._owners

    def post(self, room: str, event: Event) -> bool:
        """Send to the room's owner."""
        return self._offer(room, event, OFFERS_MAX)

    def _offer(self, room: str, event: Event, offers: int) -> bool:
        if self._owners.post(room, event):
            return True
        on_lost = partial(self._found_nobody, room, event, offers - 1)
        return self._outbox.put(keys.of_shard("in", shard_of(room)), messages.encode_event(room, event), on_lost)

    def _found_nobody(self, room: str, event: Event, offers: int, sure: bool) -> None:
        """Offer it again, or tell the asker, who is on a node of this process, instead of letting it wait."""
        asker = _asker(event)
        if sure and offers > 0 and not self._closed and not isinstance(event, Ask):
            asyncio.get_running_loop().call_later(OFFER_AGAIN_S, self._offer_again, room, event, offers)
        elif asker is not None:
            self._refuse(*asker)

    def _offer_again(self, room: str, event: Event, offers: int) -> None:
        asker = _asker(event)
        if (self._closed or not self._offer(room, event, offers)) and asker is not None:
            self._refuse(*asker)

    def reply(self, node: str, replies: Sequence[Reply]) -> None:
        """Hand the answers over: to the node here at once, elsewhere in one message."""
        if (handlers := self._nodes.get(node)) is not None:
            handlers[0](replies)
            return
        for reply in replies:
            self._outbox.put(keys.node(node), messages.encode_reply(reply))

    async def follow(self, room: str, deliver: PublishedHandler) -> Subscription:
        """Deliver what is published in `room` from now on."""
        follower = self._followers.add(room, deliver)
        if shard_of(room) not in self._owners:
            try:
                await self._listener.add({keys.of_room("out", room): self._on_published})
            except BaseException:
                follower.close()
                raise
        return follower

    def publish(self, published: Published) -> None:
        """Hand it to the followers here, once. Of a shard that is not served here any more they hear from the server, answers
        first.
        """
        if shard_of(published.room) in self._owners:
            self._hand_over(published)

    def _hand_over(self, published: Published) -> None:
        if published.room in self._followers and self._is_new(published):
            self._followers.hand_over(published)

    def notify(self, room: str, user: str, notice: Notice) -> None:
        """Tell every node, those here at once."""
        for _, notices in tuple(self._nodes.values()):
            notices(room, user, notice)
        self._outbox.put(keys.NOTICES, messages.encode_notice(self._self, room, user, notice))

    async def close(self) -> None:
        """Send what waits, then stop."""
        self._closed = True
        self._owners.clear()
        self._followers.clear()
        await self._outbox.close()
        await self._listener.close()
        self._nodes.clear()

    def _on_events(self, data: bytes) -> None:
        by_room: dict[str, list[Event]] = {}
        for room, event in messages.decode_events(data):
            by_room.setdefault(room, []).append(event)
        for room, events in by_room.items():
            self._owners.hand_over(room, events)

    def _on_replies(self, node: str, data: bytes) -> None:
        if (handlers := self._nodes.get(node)) is not None:
            handlers[0](messages.decode_replies(data))

    def _on_notices(self, data: bytes) -> None:
        for sender, room, user, notice in messages.decode_notices(data):
            if sender != self._self:
                for _, notices in tuple(self._nodes.values()):
                    notices(room, user, notice)

    def _on_published(self, data: bytes) -> None:
        published, replies = messages.decode_published(data, self._nodes)
        for node, some in replies.items():
            self._nodes[node][0](some)
        if published is not None and shard_of(published.room) not in self._owners:
            self._hand_over(published)

    def _on_gap(self, channel: str) -> None:
        """What was said in a room meanwhile is lost: its followers are to look at the log."""
        room = channel.partition(":out:")[2]
        if room and shard_of(room) not in self._owners:
            self._followers.hand_over(Published.something_missed(room))

    def _is_new(self, published: Published) -> bool:
        """False for a copy: after a change of owner both ways may bring the same frame."""
        epochs = self._seen.setdefault(published.room, {})
        if published.seq <= epochs.get(published.epoch, -1):
            return False
        epochs[published.epoch] = published.seq
        while len(epochs) > EPOCHS_MAX:
            del epochs[next(iter(epochs))]
        return True

    def _nobody_follows(self, room: str) -> None:
        self._seen.pop(room, None)
        self._listener.drop([keys.of_room("out", room)])

    def _refuse(self, origin: Origin, cid: str | None) -> None:
        """Nobody got it: tell the asker, who is on a node of this process, instead of letting it wait."""
        if (handlers := self._nodes.get(origin.node)) is not None:
            handlers[0]([Reply(origin.asker, cid, Refusal("unavailable", retry_after_ms=RETRY_AFTER_MS))])


def _asker(event: Event) -> tuple[Origin, str | None] | None:
    """Who waits for an answer to this event, if anybody does."""
    if isinstance(event, Said | Voted | Reported | Command | Ask) or (isinstance(event, Liked) and event.cid is not None):
        return event.origin, event.cid
    return None
