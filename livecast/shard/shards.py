"""The shards a process owns and the rooms awake in them.

Rooms are dealt to a fixed number of shards; a shard has one owner at a time, known by a random fence token that every commit
carries. Whoever takes a shard later makes all commits of the one before fail: two owners never both speak.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final

import msgspec

from livecast.core.events import Event, LedgerEvent, Presence, Rung
from livecast.core.nodes.membership import holder_of, token_of
from livecast.core.nodes.placement import SHARDS, shard_of
from livecast.core.rules import RoomRules
from livecast.facts import Observer
from livecast.house import Rule
from livecast.ports import Bus, Clock, RoomLog
from livecast.shard.background import Background
from livecast.shard.house import House
from livecast.shard.reviewer import Reviewer
from livecast.shard.room_loop import RoomLoop
from livecast.shard.surroundings import RoomWatch, Surroundings

EPOCH_ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
EPOCH_CHARS: Final = 8
"""62^8 ≈ 2·10^14: a room that changes its epoch every minute for ten years repeats one with probability 10^-4 · 1 %."""
SWEEP_S: Final = 60.0
SWEEP_SLICE: Final = 100
"""Rooms looked at before other work gets its turn: about a millisecond."""
IDLE_MS: Final = 600_000
"""A room that nobody watched or spoke in for so long is put out of memory; the log has it."""


def new_epoch() -> str:
    """A random epoch."""
    return "".join(secrets.choice(EPOCH_ALPHABET) for _ in range(EPOCH_CHARS))


class Shards:
    """All rooms of the shards this process owns."""

    def __init__(self, *, bus: Bus, log: RoomLog, clock: Clock, rules: RoomRules, observer: Observer) -> None:
        self._around = Surroundings(bus=bus, log=log, clock=clock, rules=rules, observer=observer, new_epoch=new_epoch)
        self._tokens: dict[int, str] = {}
        self._regaining: dict[int, asyncio.Lock] = {}
        self._rooms: dict[str, RoomLoop] = {}
        # A method is an object each time it is named: ten thousand rooms share these two.
        self._on_end, self._on_refusal = self._ended, self._regain
        self._background = Background(observer, "looking for idle rooms failed", "rooms")
        self._leaving: dict[int, asyncio.Task[None]] = {}
        """Shards that were lost, while the bus still lets go of them."""
        log.on_reborn(self._reborn)
        self.on_ring: Callable[[str], None] | None = None
        """Told that there is something new in the ledger of a room's or a user's shard."""
        self.on_lost: Callable[[int], None] | None = None
        """Told of a shard that another process has taken."""
        self.trusted: Callable[[], bool] = lambda: True
        """Whether this process may take its shards for its own. One that slept may not: what it says at once, before any commit
        could be refused, would be a second voice."""

    def watch(self, watch: RoomWatch, catalogue_rev: int) -> None:
        """From the first room on tell `watch` of their lives, and rooms of the gifts there are."""
        self._around = msgspec.structs.replace(self._around, watch=watch, catalogue_rev=catalogue_rev)

    def tell_catalogue(self, rev: int) -> None:
        """There are other gifts from now on: rooms that are awake tell their viewers."""
        if self._around.catalogue_rev != rev:
            self._around = msgspec.structs.replace(self._around, catalogue_rev=rev)
            for loop in list(self._rooms.values()):
                loop.change_catalogue(rev)

    def keep_to(self, house: House) -> None:
        """From the first room on keep to the rules of the house."""
        self._around = msgspec.structs.replace(self._around, house=house)
        house.listeners.append(self._rule_changed)

    def have_reviewed(self, reviewer: Reviewer) -> None:
        """From the first room on comments are judged by whom this asks."""
        self._around = msgspec.structs.replace(self._around, reviewer=reviewer)

    def _rule_changed(self, rule: Rule) -> None:
        """A word list is another one. (Mutes and bans are looked up where they stand.)"""
        if rule.kind == "filter":
            for loop in list(self._rooms.values()):
                if rule.scope in loop.scopes:
                    loop.reload_rules()

    # --- Come and go --------------------------------------------------------------------------------------------------
    async def start(self, shards: Sequence[int] = range(SHARDS)) -> None:
        """Take ownership of `shards`, being alone, and receive what is sent to their rooms. (No shards: only begin; `own` follows.)

        Raises `Unavailable` if the log does not answer.
        """
        await asyncio.gather(*(self._take(shard) for shard in shards))
        self._background.keep_up(self._sweep, "sweep idle rooms")

    async def _take(self, shard: int) -> None:
        token = secrets.token_hex(16)
        await self._around.log.take(shard, token)
        self._tokens[shard] = token
        await self._around.bus.serve(shard, self.receive)

    async def own(self, tokens: Mapping[int, str]) -> list[int]:
        """Receive for these shards, whose fences have these tokens now. Gives those for which that could not be begun: nothing is
        kept of them.
        """
        await asyncio.gather(*(self._leaving[shard] for shard in tokens if shard in self._leaving))
        self._tokens.update(tokens)
        served = await asyncio.gather(*(self._around.bus.serve(shard, self.receive) for shard in tokens), return_exceptions=True)
        failed = [shard for shard, fault in zip(tokens, served, strict=True) if fault is not None]
        for shard in failed:
            self._abandon(shard)
        return failed

    async def give(self, shards: Collection[int]) -> dict[int, str]:
        """Let go of shards in order: hear what is on its way, flush it, commit it. Gives the tokens that stand in their fences.

        Whoever follows their rooms in this process hears them from their next owner without a gap, and from now on.
        """
        given = {shard: self._tokens[shard] for shard in shards if shard in self._tokens}
        await asyncio.gather(*(self._around.bus.unserve(shard) for shard in given))
        for shard in given:
            self._tokens.pop(shard, None)
        rooms = [loop for loop in self._rooms.values() if shard_of(loop.name) in given]
        await asyncio.gather(*(loop.drain() for loop in rooms))
        for loop in rooms:
            self._ended(loop.name, stepped_down=False)
        return given

    def lose(self, shard: int) -> None:
        """Another process has the shard: forget its rooms at once. Nothing that they still say would be kept."""
        if self._tokens.get(shard) is not None:
            self._abandon(shard)
            if self.on_lost is not None:
                self.on_lost(shard)

    def _abandon(self, shard: int) -> None:
        self._tokens.pop(shard, None)
        for loop in [loop for loop in self._rooms.values() if shard_of(loop.name) == shard]:
            loop.make_way()
        leaving = self._around.bus.unserve(shard)
        task = self._leaving[shard] = asyncio.get_running_loop().create_task(leaving, name=f"leave shard {shard}")
        task.add_done_callback(lambda _: self._leaving.pop(shard, None))

    def forget_node(self, node: str) -> None:
        """A node is gone: whoever watched through it does so no more."""
        for loop in list(self._rooms.values()):
            loop.offer([Presence(node, 0, 0)])

    def _reborn(self, shards: Collection[int]) -> None:
        """The log is served by another process for these: what it says may have lost its end."""
        for loop in [loop for loop in self._rooms.values() if shard_of(loop.name) in shards]:
            loop.renew()

    # --- Feed ---------------------------------------------------------------------------------------------------------
    def receive(self, room: str, events: Sequence[Event]) -> None:
        """Hand events to a room, waking it if it sleeps."""
        if not self.trusted():
            return
        if Rung in map(type, events):
            if self.on_ring is not None:
                self.on_ring(room)
            events = [e for e in events if type(e) is not Rung]
        loop = self._rooms.get(room)
        if loop is None:
            events = [e for e in events if not isinstance(e, Presence) or e.connections]
            token = self._tokens.get(shard_of(room))
            if token is None or not events:
                return
            loop = self._rooms[room] = RoomLoop(room, token, self._around, self._on_end, self._on_refusal)
        loop.offer(events)

    def feed(self, room: str, events: Sequence[LedgerEvent]) -> bool:
        """Hand a room what the ledger says; False (and nothing was taken) if it sleeps or is full."""
        loop = self._rooms.get(room)
        return loop is not None and loop.feed(events)

    def heard(self, room: str) -> tuple[int, str] | None:
        """Up to which ledger position a room has heard of gifts, and its broadcast; None: it is not in memory."""
        loop = self._rooms.get(room)
        return None if loop is None else loop.heard

    def wake(self, room: str) -> None:
        """Have a room loaded, if there is one."""
        token = self._tokens.get(shard_of(room))
        if token is not None and room not in self._rooms:
            self._rooms[room] = RoomLoop(room, token, self._around, self._on_end, self._on_refusal)

    def _ended(self, room: str, stepped_down: bool) -> None:
        self._rooms.pop(room, None)
        if self._around.watch is not None:
            self._around.watch.asleep(room)
        if stepped_down:
            self.lose(shard_of(room))  # another process holds all of it

    async def _regain(self, room: str, former: str) -> str | None:
        """A new token for the shard of `room`, once for all its rooms; None if somebody else owns it."""
        shard = shard_of(room)
        async with self._regaining.setdefault(shard, asyncio.Lock()):
            if self._tokens.get(shard) == former:
                token = token_of(holder_of(former), secrets.token_hex(16))
                if not await self._around.log.regain(shard, former, token):
                    return None
                self._tokens[shard] = token
            return self._tokens.get(shard)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            now = self._around.clock()
            quiet = [r for r in self._rooms.values() if not r.active]
            for n, loop in enumerate(quiet, 1):
                if n % SWEEP_SLICE == 0:
                    await asyncio.sleep(0)
                if loop.active or self._rooms.get(loop.name) is not loop:
                    continue
                if loop.watched or now - loop.last_heard_at <= IDLE_MS:
                    loop.tidy(now)
                    continue
                loop.close()  # all it did is committed; closing and forgetting are one step, so that no event falls between
                del self._rooms[loop.name]
                if self._around.watch is not None:
                    self._around.watch.asleep(loop.name)

    async def drain(self) -> None:
        """Give everything up in order: no new events, what has come is flushed and committed."""
        self._background.stop()
        # Rooms first: while the shard is served here, followers in this process hear replies and frames in their order.
        await asyncio.gather(*(loop.drain() for loop in list(self._rooms.values())))
        await asyncio.gather(*(self._around.bus.unserve(shard) for shard in self._tokens), *self._leaving.values())
        self._rooms.clear()

    @property
    def tokens(self) -> Mapping[int, str]:
        """Shards that are owned here, and what stands in their fences."""
        return self._tokens

    @property
    def owned(self) -> int:
        """Rooms awake here."""
        return len(self._rooms)

    @property
    def active(self) -> int:
        """Rooms with anything under way."""
        return sum(loop.active for loop in self._rooms.values())
