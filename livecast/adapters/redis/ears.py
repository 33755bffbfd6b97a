"""Hearing in all places of a store: a listener at each server that has channels of ours, and channels that follow their slots.

Where a store is one server there is one listener. In a cluster a channel is where its hash tag is, and goes elsewhere with a
fail-over or a move of its slot; behind Sentinels all of them do. What is said in between is lost: `on_gap` is told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress

from livecast.adapters.redis.listener import Heard, Listener
from livecast.adapters.redis.server import RedisServer
from livecast.facts import Observer
from livecast.ports import Unavailable

MOVES_MAX = 3
"""Times a channel may move while somebody waits for it to be heard."""


class Ears:
    """As `listener.Listener`, wherever the channels are."""

    def __init__(self, server: RedisServer, observer: Observer, on_gap: Callable[[str], None] | None = None) -> None:
        self._server = server
        self._observer = observer
        self._on_gap = on_gap
        self._wanted: dict[str, Heard] = {}
        self._place_of: dict[str, str] = {}
        """Where each wanted channel is heard, or asked for; those of which that is not known yet are missing."""
        self._listeners: dict[str, Listener] = {}
        self._moving: set[asyncio.Task[None]] = set()
        self._looks_due = False
        server.moved.append(self._on_moved)

    async def add(self, channels: Mapping[str, Heard]) -> None:
        """Hear these channels too. Returns once their servers have confirmed them all.

        Raises `Unavailable` after the deadline; until they are dropped, the channels stay wanted all the same.
        """
        self._wanted.update(channels)
        await self._server.know()
        for _ in range(MOVES_MAX):
            wanted = {channel: heard for channel, heard in channels.items() if channel in self._wanted}
            await asyncio.gather(*(self._at(place).add(some) for place, some in self._settle(wanted).items()))
            if all(self._place_of.get(channel) == self._server.route(channel) for channel in wanted if channel in self._wanted):
                return
        raise Unavailable("the channels keep moving")

    def drop(self, channels: Iterable[str]) -> None:
        """Hear these no more, from now on."""
        for channel in channels:
            self._wanted.pop(channel, None)
            place = self._place_of.pop(channel, None)
            if place is not None:
                self._listeners[place].drop([channel])

    async def leave(self, channels: Iterable[str]) -> None:
        """Hear these no more, but all that was on its way. Returns when it was heard, or the deadline has passed."""
        leaving = list(channels)
        at: dict[str, list[str]] = {}
        for channel in leaving:
            if channel in self._place_of:
                at.setdefault(self._place_of[channel], []).append(channel)
        await asyncio.gather(*(self._listeners[place].leave(some) for place, some in at.items()))
        self.drop(leaving)

    async def close(self) -> None:
        """Hear nothing more."""
        with suppress(ValueError):
            self._server.moved.remove(self._on_moved)
        for task in self._moving:
            task.cancel()
        await asyncio.gather(*self._moving, *(each.close() for each in self._listeners.values()), return_exceptions=True)

    def _at(self, place: str) -> Listener:
        found = self._listeners.get(place)
        if found is None:
            found = self._listeners[place] = Listener(self._server, self._observer, self._on_gap, place=place)
        return found

    def _settle(self, wanted: Mapping[str, Heard]) -> dict[str, dict[str, Heard]]:
        """Channels by the place where they are now, noted as being there, and given up elsewhere."""
        by_place: dict[str, dict[str, Heard]] = {}
        for channel, heard in wanted.items():
            place, was = self._server.route(channel), self._place_of.get(channel)
            if was is not None and was != place:
                self._listeners[was].drop([channel])
            self._place_of[channel] = place
            self._at(place)
            by_place.setdefault(place, {})[channel] = heard
        return by_place

    # --- When keys move -----------------------------------------------------------------------------------------------
    def _on_moved(self) -> None:
        """Behind Sentinels all at once; in a cluster after all that is known of it now, as one move follows the other."""
        if self._server.address.form != "cluster":
            for listener in self._listeners.values():
                listener.hang_up()
        elif not self._looks_due:
            self._looks_due = True
            asyncio.get_running_loop().call_soon(self._follow)

    def _follow(self) -> None:
        self._looks_due = False
        moved = {
            channel: heard
            for channel, heard in self._wanted.items()
            if (place := self._server.route(channel)) and self._place_of.get(channel) != place
        }
        heard_before = moved.keys() & self._place_of.keys()
        for place, some in self._settle(moved).items():
            task = asyncio.get_running_loop().create_task(self._hear_again(place, some, some.keys() & heard_before))
            self._moving.add(task)
            task.add_done_callback(self._moving.discard)
        for place in [place for place, listener in self._listeners.items() if listener.idle]:
            task = asyncio.get_running_loop().create_task(self._listeners.pop(place).close())
            self._moving.add(task)
            task.add_done_callback(self._moving.discard)

    async def _hear_again(self, place: str, channels: Mapping[str, Heard], heard_before: Iterable[str]) -> None:
        with suppress(Unavailable):  # they stay wanted, and are heard once that server confirms
            await self._at(place).add(channels)
        for channel in heard_before:
            if self._on_gap is not None and self._place_of.get(channel) == place:
                self._on_gap(channel)
