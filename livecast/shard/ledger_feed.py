"""The ledger read on by the owner of its shards: entries become events of rooms, in the ledger's order, and what else follows.

A ring says that there is something new; a poll finds what no ring told of. Whoever reads never waits in the store, and nothing
that is on its way to a store or from a viewer waits for this.

A room that wakes says up to where it has heard the ledger. What it missed is read again for it alone; until it has caught up
nothing newer is handed to it, so that it hears everything once and in order.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from typing import Final, Protocol

import msgspec

from livecast.core.books.bookkeeping import (
    BookEntry,
    BookFact,
    DropChanged,
    GiftCommitted,
    GiftReversed,
    LaterFact,
    OrderTaken,
    UnitsChanged,
    UnitsGranted,
    WalletMoved,
)
from livecast.core.events import BoardChanged, LedgerEvent, Notice, Person, Ranked, Sold, StockChanged
from livecast.core.events import DropChanged as DropShown
from livecast.core.events import GiftReversed as GiftTakenBack
from livecast.core.money import gifts
from livecast.core.money.drops import ENDED, view_of
from livecast.core.money.units import Drop
from livecast.core.nodes.placement import SHARDS, shard_of
from livecast.facts import Observer, Trouble, fault_of
from livecast.ledger import Ledger
from livecast.ports import Bus, Clock, StoreError
from livecast.shard.background import Background
from livecast.shard.ledger_tail import LedgerTail

READ_MAX: Final = 500
"""Entries read at once: some 200 KB, and 5 ms of the loop."""
ACTIVE_POLL_MS: Final = 2_000
"""How often a shard is looked at in which something happened lately, whatever rings were lost."""
IDLE_POLL_MS: Final = 30_000
"""... and any other: 256 shards cost the store nine reads a second."""
POLLS_MAX: Final = 8
"""Polls under way at once. At 2,000 gifts a second the shards of their givers have fifty entries each when their time comes, and
come at the same time: all in one turn held the loop for 50 to 80 ms, and gifts were acknowledged as late."""
ACTIVE_MS: Final = 60_000
"""A shard is active so long after its last entry or ring. (A room that wakes is caught up with by itself.)"""
TICK_MS: Final = 1_000
"""How often the loop looks whose poll is due. A ring is heard at once."""
ACTIVE_TICK_MS: Final = 100
"""... at most, where an active shard's is due sooner."""
FULL_S: Final = 0.25
"""How long a room has for what is in its inbox before the next is offered."""
RING_GAP_S: Final = 0.02
"""Rings within this are one read: 2,000 gifts a second cost fifty."""
BACK_MAX: Final = 10_000
"""Entries of a shard that are read again for a room that woke. One further behind goes on from now: its board and its drops
are read whole, and gifts of long ago are on no screen anyway."""
SHOWN_MS: Final = 300_000
"""Gifts older than this are not shown any more to a room that wakes; they count on its board."""
DROPS_MAX: Final = 50
"""Drops of a room that are read when it wakes: as many as are on show at most."""
BOARD_MAX: Final = 20
"""Lines of the board that are read: twice as many as are shown, so that a reversal does not leave it short."""
NEW_BACK_MAX: Final = 1_000
"""For a room that never heard of a gift: enough for those that came in just before a crash, and next to nothing to read."""
CATCHING_MAX: Final = 8
"""Rooms that are caught up with at once: when all rooms of a node wake together, the newest entries still come first."""
HELD_MAX: Final = 20_000
"""Events that wait for a room that is catching up or full; beyond it the room is caught up with again from where it stands."""


class Rooms(Protocol):
    """The rooms of this process."""

    def feed(self, room: str, events: Sequence[LedgerEvent]) -> bool:
        """Hand events to a room that is awake; False (and nothing was taken) if it sleeps or is full."""

    def wake(self, room: str) -> None:
        """Have the room loaded, if there is one; it says `awake` then."""

    def heard(self, room: str) -> tuple[int, str] | None:
        """Up to which position the room has heard of gifts, and its broadcast; None: it sleeps."""


Listener = Callable[[int, Sequence[BookEntry]], None]
"""Told of a shard's new entries, in their order."""


class LedgerFeed:
    """Reads the ledgers of the shards of this process. `listeners` hear of each entry once, in the order of its shard."""

    def __init__(self, *, ledger: Ledger, rooms: Rooms, bus: Bus, clock: Clock, observer: Observer) -> None:
        self._ledger = ledger
        self._rooms = rooms
        self._bus = bus
        self._clock = clock
        self._observer = observer
        self.listeners: list[Listener] = []
        self.tail = LedgerTail(ledger)
        """The last entries, for others who follow the same shards at their own pace: the store is asked for each once."""
        self.on_drop: list[Callable[[Drop], None]] = []
        """Told of each drop of a room that woke."""
        self.entries = 0
        """Read so far."""
        self._cursors: dict[int, int] = {}
        self._next_poll: dict[int, int] = {}
        self._active_until: dict[int, int] = {}
        self._rung: set[int] = set()
        self._ring = asyncio.Event()
        self._reading: set[int] = set()
        self._polling: set[int] = set()
        self._next_look = 0
        self._more_due = False
        """There are polls that wait for those under way."""
        self._awake: set[str] = set()
        self._held: dict[str, list[LedgerEvent]] = {}
        """What came for rooms that are catching up."""
        self._catching = asyncio.Semaphore(CATCHING_MAX)
        self._background = Background(observer, "following the ledger failed", "shards")

    # --- Feed ---------------------------------------------------------------------------------------------------------
    async def start(self, shards: Iterable[int] = range(SHARDS), *, within_s: float) -> None:
        """Begin to follow `shards`, each from where it stands (if the ledger does not say so in time: from when it does)."""
        self._next_poll = dict.fromkeys(shards, 0)
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await asyncio.gather(*(self._read(shard) for shard in self._next_poll))
        self._background.keep_up(self._run)

    def own(self, shards: Collection[int]) -> None:
        """Follow these as well, each from where it stands: what there was before, rooms catch up with when they wake."""
        for shard in shards:
            self._next_poll[shard] = 0
        self._next_look = 0
        self._ring.set()

    def disown(self, shards: Collection[int]) -> None:
        """Follow these no more."""
        for shard in shards:
            for known in (self._next_poll, self._active_until, self._cursors):
                known.pop(shard, None)
            self._rung.discard(shard)
            self.tail.forget(shard)

    def stop(self) -> None:
        """No more."""
        self._background.stop()

    def ring(self, place: str) -> None:
        """There is something new in the shard of a room or a user."""
        shard = shard_of(place)
        if shard in self._next_poll:
            self._note_activity(shard)
            self._rung.add(shard)
            self._ring.set()

    async def reach(self, room: str, position: int) -> None:
        """Wait until a room that is awake was handed everything up to `position`."""
        shard = shard_of(room)
        while self._rooms.heard(room) is not None and (self._cursors.get(shard, 0) < position or room in self._held):
            self.ring(room)
            await asyncio.sleep(RING_GAP_S)

    def awake(self, room: str) -> None:
        """A room was loaded: hand it what it missed, then everything new."""
        self._awake.add(room)
        held = self._held[room] = []
        self._background.spawn(self._catch_up(room, held))

    def asleep(self, room: str) -> None:
        """A room is out of memory."""
        self._awake.discard(room)
        self._held.pop(room, None)

    def _note_activity(self, shard: int) -> None:
        now = self._clock()
        self._active_until[shard] = now + ACTIVE_MS
        if (poll_at := self._next_poll.get(shard)) is not None:
            self._next_poll[shard] = min(poll_at, now + ACTIVE_POLL_MS)

    # --- Read ---------------------------------------------------------------------------------------------------------
    async def _run(self) -> None:
        while True:
            await self._wait()
            now = self._clock()
            rung = self._rung - self._reading
            self._rung -= rung
            self._put_off(rung, now)
            for shard in (*rung, *self._due(now)):
                self._reading.add(shard)  # now, and not when it has its turn: nobody else may read the same entries
                self._background.spawn(self._read(shard))

    def _put_off(self, shards: Iterable[int], now: int) -> None:
        """These are read now: when they are to be looked at again."""
        for shard in shards:
            active = self._active_until.get(shard, 0) > now
            self._next_poll[shard] = now + (ACTIVE_POLL_MS if active else IDLE_POLL_MS)

    def _due(self, now: int) -> list[int]:
        """Shards that are to be looked at now. To find them costs more than a ring: it is done when one may be due."""
        if now < self._next_look:
            return []
        self.tail.tidy(now)
        due = sorted((at, shard) for shard, at in self._next_poll.items() if at <= now and shard not in self._reading)
        polled = [shard for _, shard in due[: POLLS_MAX - len(self._polling)]]
        self._more_due = len(polled) < len(due)
        self._polling.update(polled)
        self._put_off(polled, now)
        active = [self._next_poll.get(shard, until) for shard, until in self._active_until.items() if until > now]
        self._next_look = now + max(ACTIVE_TICK_MS, min([TICK_MS, *(at - now for at in active)]))
        return polled

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(max(0, self._next_look - self._clock()) / 1000):
                await self._ring.wait()
        except TimeoutError:
            return
        self._ring.clear()
        await asyncio.sleep(RING_GAP_S)

    async def _read(self, shard: int) -> None:
        """Read a shard on, to its end."""
        self._reading.add(shard)
        try:
            if shard not in self._cursors:
                position = (await self._ledger.position(shard)).position
                if shard not in self._next_poll:
                    return  # it has another owner meanwhile
                self._cursors[shard] = position
                for room in [room for room in self._awake if shard_of(room) == shard]:
                    self.awake(room)  # it caught up before anybody read on from there
            while True:
                entries = await self._ledger.read(shard, self._cursors[shard], READ_MAX)
                if shard not in self._cursors:
                    return  # likewise
                if entries:
                    self._take(shard, entries)
                if len(entries) < READ_MAX:
                    return
        except StoreError as fault:
            advice = f"frames show no new gifts and drops until it answers; money itself is safe ({fault})"
            self._observer.observe(Trouble("the ledger cannot be read", "shards", advice))
        except Exception as fault:  # noqa: BLE001 - an entry that cannot be read must not silence all others
            self._observer.observe(fault_of("a ledger entry was not understood", f"shard {shard}", fault))
        finally:
            self._reading.discard(shard)
            self._polling.discard(shard)
            if self._more_due:
                self._next_look = 0
            if self._more_due or shard in self._rung:
                self._ring.set()

    def _take(self, shard: int, entries: Sequence[BookEntry]) -> None:
        """New entries, in order: to the rooms, then to those who listen."""
        self.entries += len(entries)
        self._note_activity(shard)
        self.tail.put(shard, self._cursors[shard], entries, self._clock())
        self._cursors[shard] = entries[-1].position
        by_room: defaultdict[str, list[LedgerEvent]] = defaultdict(list)
        for entry in entries:
            if (event := event_of(entry)) is not None:
                by_room[room_of(entry.fact)].append(event)
            elif isinstance(entry.fact, WalletMoved):
                self._bus.notify("", entry.fact.user, _wallet_notice(shard, entry, entry.fact))
            elif isinstance(entry.fact, LaterFact):
                advice = "rooms go on without it; archive, webhooks and checkpoints of this shard wait for a node of that version"
                what = "a ledger entry is of a later version"
                self._observer.observe(Trouble(what, f"{entry.fact.kind} at {entry.position} of shard {shard}", advice))
        for room, events in by_room.items():
            self._deliver(room, _latest(events))
        for listener in self.listeners:
            listener(shard, entries)

    def _deliver(self, room: str, events: list[LedgerEvent]) -> None:
        if (held := self._held.get(room)) is not None:
            held += events
            if len(held) > HELD_MAX:
                self.awake(room)  # it is caught up with from where it stands
        elif not self._rooms.feed(room, events):
            if self._rooms.heard(room) is None:
                # It sleeps. Once awake it hears what it missed, this included; for a mere count nobody wakes it.
                if any(not isinstance(event, StockChanged | Sold) for event in events):
                    self._rooms.wake(room)
            else:
                self.awake(room)
        if reversed_in := {event.broadcast for event in events if isinstance(event, GiftTakenBack)}:
            self._background.spawn(self._show_board(room, reversed_in))

    # --- Catch up -----------------------------------------------------------------------------------------------------
    async def _catch_up(self, room: str, held: list[LedgerEvent]) -> None:
        """Read for a room what it missed, and go on with it from there, and with what is `held` for it meanwhile.

        Another list is held for it once it is caught up with anew: then this has nothing to do with it any more.
        """
        shard = shard_of(room)
        while self._held.get(room) is held and (heard := self._rooms.heard(room)) is not None:
            try:
                async with self._catching:
                    missed, upto = await self._missed(room, shard, heard)
                    drops = await self._ledger.drops(room, None, DROPS_MAX)
            except StoreError:
                await asyncio.sleep(1)  # the poll has said that the ledger does not answer
                continue
            if self._held.get(room) is not held:
                return
            events = [*(_shown(drop) for drop in drops), *missed]
            events += [event for event in held if event.position > upto]
            if not events or self._rooms.feed(room, _latest(events)):
                self._held.pop(room, None)
                for drop in drops:
                    for told in self.on_drop:
                        told(drop)
                return
            await asyncio.sleep(FULL_S)  # its inbox is full

    async def _missed(self, room: str, shard: int, heard: tuple[int, str]) -> tuple[list[LedgerEvent], int]:
        """What of gifts a room shall still hear, and the position up to which that goes."""
        now, events, (at, broadcast) = self._clock(), list[LedgerEvent](), heard
        status = await self._ledger.position(shard)
        stands = status.position
        begin = at or max(0, stands - NEW_BACK_MAX)
        too_far = stands - begin > BACK_MAX
        stale = too_far or begin < status.begins  # some of it is forgotten
        at = stands if too_far else max(begin, status.begins)
        while at < stands:
            entries = await self._ledger.read(shard, at, READ_MAX)
            of_room = [e for e in entries if isinstance(e.fact, GiftCommitted | GiftReversed) and e.fact.gift.room == room]
            stale |= any(now - e.at >= SHOWN_MS for e in of_room)
            events += [event for e in of_room if now - e.at < SHOWN_MS and (event := event_of(e)) is not None]
            at = entries[-1].position if entries else stands
        if stale and broadcast:
            events.append(await self._board(room, broadcast, shard))
        return events, at

    async def _show_board(self, room: str, broadcasts: set[str]) -> None:
        """After a reversal somebody may come up from below what the room keeps."""
        for broadcast in broadcasts:
            try:
                board = await self._board(room, broadcast, shard_of(room))
            except StoreError:
                return  # what the room keeps of it is right, if shorter
            self._rooms.feed(room, [board])

    async def _board(self, room: str, broadcast: str, shard: int) -> BoardChanged:
        position = (await self._ledger.position(shard)).position
        ranks = await self._ledger.board(room, broadcast, BOARD_MAX)
        return BoardChanged(position, broadcast, tuple(Ranked(Person(r.user, ""), r.value) for r in ranks))


def room_of(fact: BookFact) -> str:
    """The room that an entry is about; "" for a wallet's."""
    match fact:
        case GiftCommitted() | GiftReversed():
            return fact.gift.room
        case DropChanged():
            return fact.drop.room
        case UnitsGranted() | UnitsChanged() | OrderTaken():
            return fact.room
        case _:
            return ""


def event_of(entry: BookEntry) -> LedgerEvent | None:
    """What a room is told of an entry. Raises `msgspec.DecodeError`."""
    fact, position = entry.fact, entry.position
    match fact:
        case GiftCommitted():
            return gifts.shown(fact, position)
        case GiftReversed():
            return gifts.taken_back(fact, position)
        case DropChanged():
            return _shown(fact.drop, position)
        case UnitsGranted() | UnitsChanged():
            return StockChanged(position, fact.drop, fact.left, fact.state)
        case OrderTaken(first=True):
            return Sold(position, fact.order.sku, fact.order.user)
        case _:
            return None


def _shown(drop: Drop, position: int | None = None) -> DropShown:
    ended_at = drop.closed_at if drop.state in ENDED else None
    return DropShown(drop.changed if position is None else position, drop.id, view_of(drop), ended_at)


def _latest(events: Sequence[LedgerEvent]) -> list[LedgerEvent]:
    """Of several counts of one drop in a row the last is enough."""
    last = {event.drop: event.position for event in events if isinstance(event, StockChanged)}
    return [event for event in events if not isinstance(event, StockChanged) or last[event.drop] == event.position]


def _wallet_notice(shard: int, entry: BookEntry, moved: WalletMoved) -> Notice:
    data = {"balance": moved.balance, "amount": moved.amount, "memo": moved.memo}
    return Notice(f"w{shard}-{entry.position}", "wallet", entry.at, msgspec.to_builtins(data))
