"""The owner's side of the money, as one: the ledger read on, drops taken through their times, gifts finished."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from typing import Final

from livecast.core.events import Rung
from livecast.core.frames import Happened
from livecast.core.nodes.placement import SHARDS, shard_of
from livecast.facts import Observer
from livecast.ledger import Ledger
from livecast.ports import Bus, Clock
from livecast.shard.drop_clock import DropClock
from livecast.shard.gift_sweeper import GiftSweeper
from livecast.shard.ledger_feed import RING_GAP_S, LedgerFeed, Listener
from livecast.shard.ledger_tail import Read
from livecast.shard.shards import Shards
from livecast.shard.webhook_feed import WebhookFeed

START_S: Final = 2.0
"""How long a start waits for the ledger to say where it stands."""


class Treasury:
    """What a process does about money for the shards it owns. It is the `RoomWatch` of its rooms."""

    def __init__(
        self, *, ledger: Ledger, shards: Shards, bus: Bus, clock: Clock, observer: Observer, catalogue_rev: int = 0
    ) -> None:
        self._feed = LedgerFeed(ledger=ledger, rooms=shards, bus=bus, clock=clock, observer=observer)
        self._clock = DropClock(
            ledger=ledger,
            bus=bus,
            clock=clock,
            observer=observer,
            ring=self.ring,
            wake=shards.wake,
            reach=self._feed.reach,
            feed=shards.feed,
        )
        self._sweeper = GiftSweeper(
            ledger=ledger, clock=clock, observer=observer, ring=self.ring, entries=lambda: self._feed.entries
        )
        self._feed.listeners += [self._clock.hear, self._sweeper.hear]
        self._feed.on_drop.append(self._clock.look_at)
        self._webhooks: WebhookFeed | None = None
        self._shards = shards
        self._bus = bus
        self._to_ring: dict[int, str] = {}
        """Shards of others in which there is something new -> a place in each."""
        shards.watch(self, catalogue_rev)
        shards.on_ring = self._feed.ring

    def tell(self, webhooks: WebhookFeed) -> None:
        """Have events for webhooks made of what the ledger and the rooms say."""
        self._webhooks = webhooks
        webhooks.wake = self._shards.wake
        self._feed.listeners.append(webhooks.hear)

    def listen(self, listener: Listener) -> None:
        """Have new entries of the ledgers told to `listener`."""
        self._feed.listeners.append(listener)

    @property
    def read(self) -> Read:
        """Reads a shard's ledger on, as `Ledger.read` does, without asking the store again for what was just read of it."""
        return self._feed.tail.read

    async def start(self, shards: Sequence[int] = range(SHARDS)) -> None:
        """Begin, before anybody can reach the rooms. A ledger that does not answer is waited for in the background."""
        await self._feed.start(shards, within_s=START_S)
        self._clock.start(shards)
        self._sweeper.start(shards)

    def own(self, shards: Collection[int]) -> None:
        """These are ours, too."""
        for part in (self._feed, self._clock, self._sweeper):
            part.own(shards)

    def disown(self, shards: Collection[int]) -> None:
        """These are not ours any more."""
        for part in (self._feed, self._clock, self._sweeper):
            part.disown(shards)

    def look_for_half_done(self) -> None:
        """Another node is gone, perhaps in the midst of gifts of people whose shards are ours."""
        self._sweeper.look()

    def stop(self) -> None:
        """No more."""
        self._sweeper.stop()
        self._clock.stop()
        self._feed.stop()

    def ring(self, place: str) -> None:
        """There is something new in the ledger of a room's or a user's shard: its owner reads on, here or elsewhere."""
        if shard_of(place) in self._shards.tokens:
            self._feed.ring(place)
            return
        if not self._to_ring:
            asyncio.get_running_loop().call_later(RING_GAP_S, self._ring_elsewhere)
        self._to_ring[shard_of(place)] = place

    def _ring_elsewhere(self) -> None:
        to_ring, self._to_ring = self._to_ring, {}
        for place in to_ring.values():
            self._bus.post(place, Rung())

    def awake(self, room: str) -> None:
        """A room was loaded."""
        self._feed.awake(room)

    def asleep(self, room: str) -> None:
        """A room is out of memory."""
        self._feed.asleep(room)

    def say(self, room: str, summary: bytes) -> None:
        """A room says something of itself."""
        if self._webhooks is not None:
            self._webhooks.say(room, summary)

    def happened(self, room: str, happened: Sequence[Happened]) -> None:
        """Something happened in a room."""
        if self._webhooks is not None:
            self._webhooks.happen(room, happened)

    def ending(self, room: str) -> None:
        """A room's broadcast is to end."""
        self._clock.ending(room)

    def ended(self, room: str) -> None:
        """A room's broadcast is over."""
        self._clock.ended(room)
