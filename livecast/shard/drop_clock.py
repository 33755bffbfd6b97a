"""Drops at their times: announced, opened, closed, drawn, settled; reservations given back.

The ledger decides whether a time has come, by two clocks; here is only who asks it, when, and that it is asked again until it
was done. Times come from the ledger's own entries and, after a start, from its list of what is due: nothing is remembered here
that a restart could lose.
"""

from __future__ import annotations

import asyncio
import heapq
import traceback
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Final, TypeAlias

from livecast.core.bookkeeping import BookEntry, DropChanged, UnitsChanged, UnitsGranted
from livecast.core.errors import Refusal
from livecast.core.events import Notice
from livecast.core.placement import SHARDS, shard_of
from livecast.core.units import Drop, Due, Step, due_of
from livecast.ledger import Ledger
from livecast.ports import Bus, Clock, Observer, StoreError, Trouble
from livecast.shard.drawing import draw

FAR: Final = 2**53 - 1
"""A time that does not come: everything that is due some day."""
DUE_MAX: Final = 10_000
"""Times of a shard that are read at the start and at each look; the rest are found by a later look."""
TICK_S: Final = 0.1
"""How often the clock is looked at: a drop opens so much late at most, besides what the ledger takes."""
LOOK_S: Final = 300.0
"""How often the ledger is asked what is due, in case an entry went unread. Two reads a shard, spread over that time: two a second.
Every 30 s they were, with the sweeper's, 1 % of a core of a node without a single room."""
LAPSED_S: Final = 1.0
"""How often reservations are looked at in shards that have any."""
LAPSED_MAX: Final = 500
"""Reservations given back in one call."""
RETRY_MS: Final = 1_000
"""A store that did not answer is asked again after so long."""
REMIND_MS: Final = 60_000
REMIND_SHARE: Final = 0.25
"""A reservation's holder is reminded a minute before it ends, or for the last quarter of it if that is shorter."""
DROPS_MAX: Final = 50
"""Newest drops of a room that are closed when its broadcast ends."""

Key: TypeAlias = tuple[str, str, str]
"""What, room, drop."""
_STEPS: Final[dict[str, Step]] = {"announce": "announce", "open": "open", "close": "close"}


class DropClock:
    """Takes the drops of this process's shards through their times."""

    def __init__(self, *, ledger: Ledger, bus: Bus, clock: Clock, observer: Observer, ring: Callable[[str], None]) -> None:
        self._ledger = ledger
        self._bus = bus
        self._clock = clock
        self._observer = observer
        self._ring = ring
        self._at: dict[Key, int] = {}
        self._heap: list[tuple[int, Key]] = []
        self._reminders: list[tuple[int, str, str, int, tuple[tuple[str, int], ...]]] = []
        self._reserving: set[int] = set()
        self._under_way: dict[tuple[str, str], bool] = {}
        """Drops that are being drawn and settled -> whether they are to be looked at once more."""
        self._tasks: set[asyncio.Task[None]] = set()

    # --- Feed ---------------------------------------------------------------------------------------------------------
    def start(self, shards: Iterable[int] = range(SHARDS)) -> None:
        """Begin, with what is due by now."""
        shards = list(shards)
        self._spawn(self._tick())
        self._spawn(self._look(shards))
        self._spawn(self._give_back())

    def stop(self) -> None:
        """No more."""
        for task in tuple(self._tasks):
            task.cancel()

    def hear(self, entry: BookEntry) -> None:
        """A new entry of a ledger."""
        match entry.fact:
            case DropChanged(drop=drop):
                self.look_at(drop)
            case UnitsGranted(expires_at=int(expires_at)) as granted:
                self._reserving.add(shard_of(granted.room))
                before_ms = min(REMIND_MS, int((expires_at - entry.at) * REMIND_SHARE))
                holders = tuple((grant.user, grant.serial) for grant in granted.grants)
                heapq.heappush(self._reminders, (expires_at - before_ms, granted.room, granted.drop, expires_at, holders))
            case UnitsChanged(state="closed") as changed:
                self._spawn(self._finish(changed.room, changed.drop))

    def look_at(self, drop: Drop) -> None:
        """A drop as it is now: what comes next for it?"""
        for what in ("announce", "open", "window", "close"):
            self._at.pop((what, drop.room, drop.id), None)
        for due in due_of(drop):
            self._schedule(due)
        if drop.reserved:
            self._reserving.add(shard_of(drop.room))
        if drop.state == "closed":
            self._spawn(self._finish(drop.room, drop.id))

    def ended(self, room: str) -> None:
        """The room's broadcast is over: its drops are too."""
        self._spawn(self._close_all(room))

    # --- Times --------------------------------------------------------------------------------------------------------
    def _schedule(self, due: Due) -> None:
        key = (due.what, due.room, due.drop)
        if self._at.get(key) != due.at:
            self._at[key] = due.at
            heapq.heappush(self._heap, (due.at, key))

    async def _tick(self) -> None:
        while True:
            now = self._clock()
            while self._heap and self._heap[0][0] <= now:
                at, key = heapq.heappop(self._heap)
                if self._at.get(key) == at:  # else it was put off or taken back
                    del self._at[key]
                    self._spawn(self._step(*key))
            while self._reminders and self._reminders[0][0] <= now:
                self._remind(*heapq.heappop(self._reminders)[1:], now)
            await asyncio.sleep(TICK_S)

    async def _look(self, shards: list[int]) -> None:
        """Ask the ledger what is due: all shards at the start, then one after the other for good."""
        first = True
        while True:
            for shard in shards:
                if not first:
                    await asyncio.sleep(LOOK_S / len(shards))
                try:
                    for due in await self._ledger.due(shard, FAR, DUE_MAX):
                        self._schedule(due)
                    if await self._ledger.lapsed(shard, FAR, 1):
                        self._reserving.add(shard)
                except StoreError:
                    await asyncio.sleep(RETRY_MS / 1000)  # others say that it does not answer; this one's turn comes again
            first = False

    async def _step(self, what: str, room: str, id_: str) -> None:
        """A time has come, by our clock."""
        try:
            if what == "window":
                await self._finish(room, id_)
                return
            answer = await self._ledger.step_drop(room, id_, _STEPS[what], self._clock(), timed=True)
        except StoreError:
            self._put_off(what, room, id_, RETRY_MS)
            return
        if isinstance(answer, Refusal):
            if answer.retry_after_ms is not None:
                self._put_off(what, room, id_, answer.retry_after_ms)
            elif what == "open":
                advice = "give it what it lacks, then open it by hand"
                self._observer.observe(Trouble(f"a drop could not open: {answer.sentence()}", f"{room}/{id_}", advice))
            return
        self._ring(room)

    def _put_off(self, what: str, room: str, id_: str, wait_ms: int) -> None:
        key = (what, room, id_)
        at = self._at[key] = self._clock() + max(wait_ms, 1)
        heapq.heappush(self._heap, (at, key))

    # --- Ends ---------------------------------------------------------------------------------------------------------
    async def _close_all(self, room: str) -> None:
        while True:
            try:
                for drop in await self._ledger.drops(room, None, DROPS_MAX):
                    if drop.state in {"open", "sold_out", "paused"}:
                        await self._ledger.step_drop(room, drop.id, "close", self._clock())
                        self._ring(room)
            except StoreError:
                await asyncio.sleep(RETRY_MS / 1000)
            else:
                return

    async def _finish(self, room: str, id_: str) -> None:
        """Draw what is to be drawn, settle what can be settled; again until it is done. One at a time for each drop."""
        key = (room, id_)
        if key in self._under_way:
            self._under_way[key] = True  # whoever is at it looks once more
            return
        self._under_way[key] = True
        try:
            while self._under_way[key]:
                self._under_way[key] = False
                if not await self._finished(room, id_):
                    self._under_way[key] = True
                    await asyncio.sleep(RETRY_MS / 1000)
        finally:
            del self._under_way[key]

    async def _finished(self, room: str, id_: str) -> bool:
        ledger = self._ledger
        try:
            drop = await ledger.drop(room, id_)
            if drop is None or drop.state == "cancelled":
                return True
            if drop.pot in {"open", "frozen"}:
                answer, winners = await draw(ledger, drop, self._clock)
                if isinstance(answer, Refusal):
                    return answer.retry_after_ms is None  # a window that is still open by the ledger's clock
                self._ring(room)
                self._tell_winners(answer, winners)
                drop = answer
            if drop.state == "closed" and not drop.reserved:
                await ledger.step_drop(room, id_, "settle", self._clock())
                self._ring(room)
        except StoreError:
            return False
        return True

    def _tell_winners(self, drop: Drop, winners: Iterable[tuple[str, int]]) -> None:
        now = self._clock()
        for user, serial in winners:
            data = {"room": drop.room, "drop": drop.id, "serial": serial}
            self._bus.notify(drop.room, user, Notice(f"{drop.id}-{serial}", "draw.won", now, data))

    # --- Reservations -------------------------------------------------------------------------------------------------
    def _remind(self, room: str, drop: str, expires_at: int, holders: Iterable[tuple[str, int]], now: int) -> None:
        """At most once, and also those who have confirmed meanwhile hear it: they know better."""
        for user, serial in holders:
            data = {"room": room, "drop": drop, "serial": serial, "expires_at": expires_at}
            self._bus.notify(room, user, Notice(f"{drop}-{serial}-x", "reservation.expiring", now, data))

    async def _give_back(self) -> None:
        while True:
            await asyncio.sleep(LAPSED_S)
            for shard in tuple(self._reserving):
                try:
                    for lapsed in await self._ledger.lapsed(shard, self._clock(), LAPSED_MAX):
                        await self._ledger.expire_units(lapsed.room, lapsed.drop, lapsed.serials, self._clock())
                        self._ring(lapsed.room)
                    if not await self._ledger.lapsed(shard, FAR, 1):
                        self._reserving.discard(shard)
                except StoreError:
                    break  # in a second again

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (fault := task.exception()) is not None:
            where = "".join(traceback.format_exception(fault))
            self._observer.observe(Trouble("the clock of the drops failed", "shards", f"please report this:\n{where}", "error"))
