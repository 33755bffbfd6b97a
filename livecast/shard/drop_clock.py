"""Drops at their times: announced, opened, closed, drawn, settled; reservations given back.

The ledger decides whether a time has come, by two clocks; here is only who asks it, when, and that it is asked again until it
was done. Times come from the ledger's own entries and, after a start, from its list of what is due: nothing is remembered here
that a restart could lose.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Sequence
from contextlib import suppress
from typing import Final, TypeAlias

import msgspec

from livecast.core.books.bookkeeping import BookEntry, DropChanged, UnitsChanged, UnitsGranted
from livecast.core.errors import Refusal
from livecast.core.events import Drawn, DropsDone, LedgerEvent, Notice
from livecast.core.money.draw import DrawResult
from livecast.core.money.units import HELD, Drop, Due, Step, Unit, due_of
from livecast.core.nodes.placement import SHARDS, shard_of
from livecast.core.show.ending import ENDING_MS
from livecast.core.show.showcase import SHOWN_MAX, STAYS_MS
from livecast.facts import Observer, Trouble
from livecast.ledger import Ledger
from livecast.ports import Bus, Clock, StoreError
from livecast.shard.background import Background
from livecast.shard.drawing import draw

FAR: Final = 2**53 - 1
"""A time that does not come: everything that is due some day."""
DUE_MAX: Final = 10_000
"""Times of a shard that are read at the start and at each look; the rest are found by a later look."""
TICK_S: Final = 0.1
"""A drop opens so much late at most, besides what the ledger takes."""
REST_S: Final = 1.0
"""How often the clock is looked at when nothing is due sooner: time may be put forward while a machine sleeps."""
LOOK_S: Final = 300.0
"""How often the ledger is asked what is due, in case an entry went unread. Two reads a shard, spread over that time: two a second.
Every 30 s they were, with the sweeper's, 1 % of a core of a node without a single room."""
LOOK_SHARDS: Final = 8
"""Shards looked at together: their reads share round trips, which are most of what a node at rest does."""
LAPSED_S: Final = 1.0
"""How often reservations are looked at in shards that have any."""
LAPSED_MAX: Final = 500
"""Reservations given back in one call."""
RETRY_MS: Final = 1_000
"""A store that did not answer is asked again after so long."""
REMIND_MS: Final = 60_000
REMIND_SHARE: Final = 0.25
"""A reservation's holder is reminded a minute before it ends, or for the last quarter of it if that is shorter."""
RETURN_MS: Final = 5_000
"""People come back within some seconds after their server died. What is to be told to them at a start waits for that long."""
WINNERS_SHOWN: Final = 20
"""Winners named on the screens: what a telephone shows of a list. All others learn it from their notice, too."""
UNITS_MAX: Final = 500
"""Units read at once."""

OF_DROPS: Final = frozenset({DropChanged, UnitsGranted, UnitsChanged})

Key: TypeAlias = tuple[str, str, str]
"""What, room, drop."""
_STEPS: Final[dict[str, Step]] = {"announce": "announce", "open": "open", "close": "close"}


class DropClock:
    """Takes the drops of this process's shards through their times."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        bus: Bus,
        clock: Clock,
        observer: Observer,
        ring: Callable[[str], None],
        wake: Callable[[str], None],
        reach: Callable[[str, int], Awaitable[None]],
        feed: Callable[[str, Sequence[LedgerEvent]], bool],
    ) -> None:
        """`ring`: there is something new in a room's shard; `wake`: load a room; `reach`: wait until a room has heard the ledger up
        to a position; `feed`: hand it something, False if it is full.
        """
        self._ledger = ledger
        self._bus = bus
        self._clock = clock
        self._observer = observer
        self._ring = ring
        self._wake = wake
        self._reach = reach
        self._feed = feed
        self._ending: set[str] = set()
        """Rooms whose drops are being closed because their broadcast is to end."""
        self._at: dict[Key, int] = {}
        self._heap: list[tuple[int, Key]] = []
        self._reminders: list[tuple[int, str, str, tuple[int, ...]]] = []
        self._news = asyncio.Event()
        """Something new may be due before what was waited for."""
        self._recalled: set[int] = set()
        """Shards whose reservations from before the start are known."""
        self._shards: dict[int, int] = {}
        """Shards that are ours -> from when on people there can be told what happened before."""
        self._reserving: dict[int, None] = {}
        """Shards of ours that have reservations; one that did not answer goes behind the others."""
        self._under_way: dict[tuple[str, str], bool] = {}
        """Drops that are being drawn and settled -> whether they are to be looked at once more."""
        self._finished_one = asyncio.Condition()
        self._background = Background(observer, "the clock of the drops failed", "shards")

    # --- Feed ---------------------------------------------------------------------------------------------------------
    def start(self, shards: Iterable[int] = range(SHARDS)) -> None:
        """Begin, with what is due by now."""
        self.own(list(shards))
        for work in (self._tick, self._look, self._give_back):
            self._background.keep_up(work)

    def own(self, shards: Collection[int]) -> None:
        """These are ours, too, with what is due in them by now."""
        self._shards |= dict.fromkeys(shards, self._clock() + RETURN_MS)
        if shards:
            self._background.spawn(self._first_look(list(shards)))

    def disown(self, shards: Collection[int]) -> None:
        """What is due in these is another one's. (What is under way comes to its end: steps are one-way, and done once.)"""
        for shard in shards:
            self._shards.pop(shard, None)
            self._recalled.discard(shard)
            self._reserving.pop(shard, None)
        self._at = {key: at for key, at in self._at.items() if shard_of(key[1]) in self._shards}
        self._reminders = [each for each in self._reminders if shard_of(each[1]) in self._shards]
        heapq.heapify(self._reminders)

    def stop(self) -> None:
        """No more."""
        self._background.stop()

    def hear(self, _shard: int, entries: Sequence[BookEntry]) -> None:
        """New entries of a ledger."""
        for entry in entries:
            if type(entry.fact) in OF_DROPS:  # most are of gifts
                self._hear(entry)

    def _hear(self, entry: BookEntry) -> None:
        match entry.fact:
            case DropChanged(step=step, drop=drop):
                self.look_at(drop)
                if step == "draw":
                    self._schedule(Due("tell", drop.room, drop.id, self._clock()))
            case UnitsGranted(expires_at=int(expires_at)) as granted:
                self._note_reserved(shard_of(granted.room))
                serials = tuple(grant.serial for grant in granted.grants)
                heapq.heappush(self._reminders, (_remind_at(entry.at, expires_at), granted.room, granted.drop, serials))
                self._news.set()
            case UnitsChanged(state="closed") as changed:
                self._background.spawn(self._finish(changed.room, changed.drop))

    def look_at(self, drop: Drop) -> None:
        """A drop as it is now: what comes next for it?"""
        for what in ("announce", "open", "window", "close", "settle"):
            self._at.pop((what, drop.room, drop.id), None)
        for due in due_of(drop):
            if due.what != "selling":
                self._schedule(due)
        if drop.reserved:
            self._note_reserved(shard_of(drop.room))
        if drop.pot == "drawn" and self._clock() - (drop.closed_at or FAR) < STAYS_MS:
            self._background.spawn(self._show_winners(drop))

    def ending(self, room: str) -> None:
        """The room's broadcast is to end: close and settle its drops, then tell the room."""
        if room not in self._ending:
            self._ending.add(room)
            self._background.spawn(self._close_first(room))

    def ended(self, room: str) -> None:
        """The room's broadcast is over: its drops are too."""
        self._background.spawn(self._close_all(room))

    # --- Times --------------------------------------------------------------------------------------------------------
    def _schedule(self, due: Due) -> None:
        key = (due.what, due.room, due.drop)
        if self._at.get(key) != due.at and shard_of(due.room) in self._shards:
            self._at[key] = due.at
            heapq.heappush(self._heap, (due.at, key))
            self._news.set()

    async def _tick(self) -> None:
        while True:
            now = self._clock()
            while self._heap and self._heap[0][0] <= now:
                at, key = heapq.heappop(self._heap)
                if self._at.get(key) == at:  # else it was put off or taken back
                    del self._at[key]
                    self._background.spawn(self._step(*key))
            while self._reminders and self._reminders[0][0] <= now:
                self._background.spawn(self._remind(*heapq.heappop(self._reminders)[1:]))
            await self._until_due()

    async def _until_due(self) -> None:
        """Until something is due, as far as is known now; a tick longer if something new came to be known."""
        due = min([each[0] for each in self._heap[:1]] + [each[0] for each in self._reminders[:1]], default=FAR)
        pause_s = min(REST_S, max(TICK_S, (due - self._clock()) / 1000))
        try:
            async with asyncio.timeout(pause_s):
                await self._news.wait()
        except TimeoutError:
            return
        self._news.clear()
        await asyncio.sleep(TICK_S)

    async def _first_look(self, shards: list[int]) -> None:
        """Ask the ledger what is due in shards that are new to us, as often as it takes."""
        while waiting := [shard for shard in shards if shard in self._shards and not await self._look_at(shard)]:
            shards = waiting
            await asyncio.sleep(RETRY_MS / 1000)

    async def _look(self) -> None:
        """Ask again, some shards after the others, for good."""
        while True:
            shards = list(self._shards)
            for some in (shards[begin : begin + LOOK_SHARDS] for begin in range(0, len(shards), LOOK_SHARDS)):
                await asyncio.sleep(LOOK_S * len(some) / len(shards))
                await asyncio.gather(*(self._look_at(shard) for shard in some if shard in self._recalled))
            await asyncio.sleep(REST_S)

    async def _look_at(self, shard: int) -> bool:
        """Ask what is due in a shard; False: it does not say. (That the ledger does not answer, others report.)"""
        try:
            for due in await self._ledger.due(shard, FAR, DUE_MAX):
                if due.what != "selling":
                    self._schedule(due)
                elif shard not in self._recalled:
                    self._wake(due.room)  # should its broadcast have ended and nobody have closed the drop, it says so
            if shard not in self._recalled:
                await self._recall(shard)
            elif await self._ledger.lapsed(shard, FAR, 1):
                self._note_reserved(shard)
        except StoreError:
            return False
        return True

    async def _step(self, what: str, room: str, id_: str) -> None:
        """A time has come, by our clock."""
        try:
            if what in {"window", "settle"}:
                await self._finish(room, id_)
                return
            if what == "tell":
                await self._tell_winners(room, id_)
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
        if shard_of(room) not in self._shards:
            return
        at = self._at[key] = self._clock() + max(wait_ms, 1)
        heapq.heappush(self._heap, (at, key))

    # --- Ends ---------------------------------------------------------------------------------------------------------
    async def _close_first(self, room: str) -> None:
        """Close what is on sale, settle what can be, and say so behind all that there is to tell of it.

        A ledger that does not answer is not waited for: a broadcast can end without, and its drops are closed once it does.
        """
        position = 0
        try:
            async with asyncio.timeout(ENDING_MS / 1000):  # then the room ends without us
                with suppress(StoreError):
                    await self._close_selling(room)
                    await self._settle_all(room)
                    position = max((drop.changed for drop in await self._ledger.drops(room, None, SHOWN_MAX)), default=0)
                    await self._reach(room, position)
                while not self._feed(room, [DropsDone(position)]):  # noqa: ASYNC110 - nothing tells when there is room again
                    await asyncio.sleep(TICK_S)
        except TimeoutError:
            return
        finally:
            self._ending.discard(room)

    async def _settle_all(self, room: str) -> None:
        """As far as it can be done: what is reserved stays so. Raises `StoreError`."""
        for due in await self._ledger.due(shard_of(room), FAR, DUE_MAX):
            if due.room == room and due.what in {"settle", "window"}:
                self._background.spawn(self._finish(room, due.drop))  # it goes on when we do not wait any more
                await asyncio.sleep(0)
                await self._until_finished(room, due.drop)

    async def _close_selling(self, room: str) -> None:
        """Raises `StoreError`."""
        for due in await self._ledger.due(shard_of(room), FAR, DUE_MAX):
            if due.what == "selling" and due.room == room:
                await self._ledger.step_drop(room, due.drop, "close", self._clock())
                self._ring(room)

    async def _close_all(self, room: str) -> None:
        while True:
            try:
                await self._close_selling(room)
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
            async with self._finished_one:
                self._finished_one.notify_all()

    async def _until_finished(self, room: str, id_: str) -> None:
        """Wait for whoever is at it."""
        async with self._finished_one:
            await self._finished_one.wait_for(lambda: (room, id_) not in self._under_way)

    async def _finished(self, room: str, id_: str) -> bool:
        ledger = self._ledger
        try:
            drop = await ledger.drop(room, id_)
            if drop is None or drop.state == "cancelled":
                return True
            if drop.pot in {"open", "frozen"}:
                answer = await draw(ledger, drop, self._clock)
                if isinstance(answer, Refusal):
                    return answer.retry_after_ms is None  # a window that is still open by the ledger's clock
                self._ring(room)
                drop = answer
            if drop.state == "closed" and not drop.reserved:
                await ledger.step_drop(room, id_, "settle", self._clock())
                self._ring(room)
        except StoreError:
            return False
        return True

    async def _show_winners(self, drop: Drop) -> None:
        """Have the room say who won, as far as its policy wants that said. Whoever asks again gets the same."""
        winners = msgspec.json.decode(drop.result, type=DrawResult).winners
        with suppress(StoreError):  # what is owed to winners is told by notices and by `me`
            serials = range(1, min(winners, WINNERS_SHOWN) + 1)
            shown = [(unit.user, unit.serial) async for unit in self._units(drop.room, drop.id, serials) if unit.state in HELD]
            self._feed(drop.room, [Drawn(drop.changed, drop.id, tuple(shown))])

    async def _tell_winners(self, room: str, id_: str) -> None:
        """Tell who won, then that they were told. Who dies in between leaves it to the next owner, and it is told again: nodes
        know a notice by its id. Raises `StoreError`.
        """
        if (wait_ms := self._shards.get(shard_of(room), 0) - self._clock()) > 0:
            self._put_off("tell", room, id_, wait_ms)
            return
        drop = await self._ledger.drop(room, id_)
        if drop is not None and drop.result:
            # Units of a pot are granted before any other: its winners have the first serials.
            winners = msgspec.json.decode(drop.result, type=DrawResult).winners
            async for unit in self._units(room, id_, range(1, winners + 1)):
                if unit.state in HELD:
                    data = {"room": room, "drop": id_, "serial": unit.serial}
                    self._bus.notify(room, unit.user, Notice(f"{id_}-{unit.serial}", "draw.won", self._clock(), data))
        await self._ledger.told(room, id_, self._clock())

    # --- Reservations -------------------------------------------------------------------------------------------------
    async def _recall(self, shard: int) -> None:
        """Reservations from before the start: whom to remind, and when. Raises `StoreError`."""
        for lapsing in await self._ledger.lapsed(shard, FAR, DUE_MAX):
            self._note_reserved(shard)
            by_time: dict[int, list[int]] = {}
            async for unit in self._units(lapsing.room, lapsing.drop, lapsing.serials):
                if unit.expires_at is not None:
                    by_time.setdefault(_remind_at(unit.at, unit.expires_at), []).append(unit.serial)
            for at, serials in by_time.items():
                reminder = (max(at, self._shards.get(shard, 0)), lapsing.room, lapsing.drop, tuple(serials))
                heapq.heappush(self._reminders, reminder)
                self._news.set()
        if shard in self._shards:  # else whoever owns it next recalls it, be it us again
            self._recalled.add(shard)

    def _note_reserved(self, shard: int) -> None:
        if shard in self._shards:
            self._reserving.setdefault(shard)

    async def _remind(self, room: str, drop: str, serials: Sequence[int]) -> None:
        """Tell those who have not ordered yet; at most once, so a ledger that does not answer takes the reminder with it."""
        with suppress(StoreError):
            async for unit in self._units(room, drop, serials):
                if unit.state == "reserved" and unit.expires_at is not None and unit.expires_at > self._clock():
                    data = {"room": room, "drop": drop, "serial": unit.serial, "expires_at": unit.expires_at}
                    notice = Notice(f"{drop}-{unit.serial}-x", "reservation.expiring", self._clock(), data)
                    self._bus.notify(room, unit.user, notice)

    async def _units(self, room: str, drop: str, serials: Sequence[int]) -> AsyncIterator[Unit]:
        """Units of these serials, which rise. Raises `StoreError`."""
        wanted = deque(serials)
        while wanted:
            first = wanted[0]
            some = {unit.serial: unit for unit in await self._ledger.units(room, drop, first - 1, UNITS_MAX)}
            while wanted and wanted[0] < first + UNITS_MAX:
                if (unit := some.get(wanted.popleft())) is not None:
                    yield unit

    async def _give_back(self) -> None:
        while True:
            await asyncio.sleep(LAPSED_S)
            for shard in tuple(self._reserving):
                try:
                    for lapsed in await self._ledger.lapsed(shard, self._clock(), LAPSED_MAX):
                        await self._ledger.expire_units(lapsed.room, lapsed.drop, lapsed.serials, self._clock())
                        self._ring(lapsed.room)
                    if not await self._ledger.lapsed(shard, FAR, 1):
                        self._reserving.pop(shard, None)
                except StoreError:
                    if shard in self._reserving:  # behind the others: it may be the only one that is closed, or away
                        self._reserving[shard] = self._reserving.pop(shard)
                    break  # in a second again


def _remind_at(granted_at: int, expires_at: int) -> int:
    """When to remind of a reservation."""
    return expires_at - min(REMIND_MS, int((expires_at - granted_at) * REMIND_SHARE))
