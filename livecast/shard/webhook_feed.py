"""Events made from the ledgers and the rooms of this process, and kept: at least once, whatever dies in between.

A shard's events follow from its ledger's entries, read on from a stored cursor. Events and cursor are written in one step, so
that nothing is skipped and nothing told twice, also if two processes take the shard for theirs. Rooms have no such stream: what
one says of itself when it commits is told, and after a start what all of them say; each is told once.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Collection, Coroutine, Iterable, Sequence
from typing import Any, Final

import msgspec

from livecast.core.books.bookkeeping import BookEntry
from livecast.core.frames import Happened
from livecast.core.money.codes import code_key
from livecast.core.money.drops import read_about
from livecast.core.nodes.placement import SHARDS, shard_of
from livecast.core.tools.patch import merge
from livecast.core.webhooks.deliveries import Draft
from livecast.core.webhooks.events import (
    DropAbout,
    Place,
    RoomAbout,
    asks_about,
    draft_of_happening,
    drafts_of,
    drafts_of_room,
    groups,
    is_told,
    portion_of,
)
from livecast.facts import Observer, Trouble, fault_of
from livecast.ledger import Ledger, understood
from livecast.ports import Clock, RoomLog, StoreError
from livecast.shard.background import Background
from livecast.shard.ledger_feed import room_of
from livecast.shard.ledger_tail import Read
from livecast.webhooks import ROOMS, Webhooks
from livecast.wire import records

READ_MAX: Final = 500
"""Entries read at once."""
TELL_MAX: Final = 100
"""Events told in one call, which the money's own calls wait for: 1 ms of the store's time, and 15 µs for each endpoint of each."""
GATHER_S: Final = 0.05
"""Entries that come within this are told together: claims of a rush in batches, and fewer writes to the store."""
RETRY_S: Final = 1.0
"""A store that does not answer is asked again after so long."""
LOOK_S: Final = 300.0
"""How often all shards are looked at, spread over that time, in case an entry was not heard of."""
KNOWN_MAX: Final = 20_000
"""Rooms of which it is remembered what they said last, some 250 bytes each; of another one it is read."""
DROPS_MAX: Final = 2_000
"""Drops of which it is remembered what events say of them."""
ROOMS_PAGE: Final = 200
SAID_MAX: Final = 10_000
"""Words of rooms that wait for a store that does not answer. When there are more, all rooms are looked at once it does."""
RECENT_MS: Final = 30 * 86_400_000
"""After a start rooms are looked at whose broadcast began within this; of older ones all was told or is told no more."""
FAILED: Final = "telling events by webhook failed"


class WebhookFeed:
    """Keeps the events of this process's shards. `kick`: there are new deliveries.

    `read` reads a shard on where that is not the ledger itself: `LedgerTail.read`, say.
    """

    def __init__(
        self,
        *,
        webhooks: Webhooks,
        ledger: Ledger,
        log: RoomLog,
        clock: Clock,
        observer: Observer,
        kick: Callable[[], None],
        read: Read | None = None,
    ) -> None:
        self._webhooks = webhooks
        self._ledger = ledger
        self._read_on = read or ledger.read
        self._log = log
        self._clock = clock
        self._observer = observer
        self._kick = kick
        self._shards: dict[int, None] = {}
        self._new: set[int] = set()
        """Shards that came to us: where they stand, and what their rooms say, is not known yet."""
        self._cursors: dict[int, int] = {}
        self._dirty: set[int] = set()
        self._said: list[tuple[dict[str, Any], dict[str, Any] | None, int]] = []
        """What rooms said of themselves and nobody was told yet: now, before, when."""
        self._overheard = False
        """There was more of that than is kept."""
        self._happened: list[tuple[str, Happened]] = []
        """What happened in rooms and nobody was told yet."""
        self._ring = asyncio.Event()
        self._known: OrderedDict[str, bytes] = OrderedDict()
        """What rooms said last, as they said it: read, it weighs three times as much, and is asked for once in a while."""
        self._drops: OrderedDict[tuple[str, str], DropAbout] = OrderedDict()
        self._background = Background(observer, FAILED, "webhooks")
        self.wake: Callable[[str], None] = lambda _room: None
        """Told, of shards that are new to us, of rooms that wait for something: nobody else looks through all of them."""

    # --- Feed ---------------------------------------------------------------------------------------------------------
    def start(self, shards: Iterable[int] = range(SHARDS)) -> None:
        """Begin, with what was not told before this process came."""
        self.own(list(shards))
        self._background.keep_up(self._run)
        self._background.keep_up(self._look)

    def own(self, shards: Collection[int]) -> None:
        """These are ours, too, with what was not told of them yet."""
        self._shards |= dict.fromkeys(shards)
        self._dirty.update(shards)
        self._new.update(shards)
        self._ring.set()

    def disown(self, shards: Collection[int]) -> None:
        """Another one tells of these. (If we were just about to, one of the two finds the cursor moved.)"""
        for shard in shards:
            self._shards.pop(shard, None)
            self._cursors.pop(shard, None)
        self._dirty.difference_update(shards)
        self._new.difference_update(shards)

    def stop(self) -> None:
        """No more. What is not kept yet is found again by whoever comes next."""
        self._background.stop()

    def hear(self, shard: int, entries: Sequence[BookEntry]) -> None:
        """New entries of a ledger: read on."""
        if any(map(is_told, entries)):
            self._dirty.add(shard)
            self._ring.set()

    def say(self, room: str, summary: bytes) -> None:
        """What a room says of itself, committed."""
        known = self._known.get(room)
        self._know(room, summary)
        if known == summary:
            return  # a new epoch, say
        now_says, before = _read_summary(room, summary), None if known is None else _read_summary(room, known)
        if before is None or any(before.get(name) != now_says.get(name) for name in ("status", "broadcast")):
            if len(self._said) < SAID_MAX:
                self._said.append((now_says, before, self._clock()))
            else:
                self._overheard = True
            self._ring.set()

    def happen(self, room: str, happened: Sequence[Happened]) -> None:
        """What happened in a room, committed. Unlike all else it is not found again after a crash."""
        if len(self._happened) >= SAID_MAX:
            advice = "no webhook tells of bans and held comments until the ledger's store answers; rooms and their logs have them"
            self._observer.observe(Trouble("too many events of rooms wait for webhooks", "webhooks", advice, "error"))
            return
        self._happened += [(room, one) for one in happened]
        self._ring.set()

    def _know(self, room: str, summary: bytes) -> None:
        self._known[room] = summary
        self._known.move_to_end(room)
        if len(self._known) > KNOWN_MAX:
            self._known.popitem(last=False)

    # --- The loop -----------------------------------------------------------------------------------------------------
    async def _run(self) -> None:
        while True:
            await self._ring.wait()
            if self._new:
                await self._meet_new_shards()
            await asyncio.sleep(GATHER_S)
            self._ring.clear()
            dirty, self._dirty = self._dirty, set()
            waiting = [not await self._tried(self._tell_rooms(), "rooms"), not await self._tried(self._tell_happened(), "rooms")]
            for shard in dirty:
                if not await self._tried(self._read(shard), f"shard {shard}"):
                    self._dirty.add(shard)
                    waiting.append(True)
            if any(waiting):
                await asyncio.sleep(RETRY_S)
                self._ring.set()

    async def _tried(self, work: Coroutine[Any, Any, None], about: str) -> bool:
        """Do one shard's or the rooms' work; False if a store did not answer. A fault of ours keeps nobody else from theirs: it
        is reported, and the work tried again at the next look.
        """
        try:
            await work
        except StoreError as fault:
            advice = f"events wait in the ledger, nothing is lost ({fault})"
            self._observer.observe(Trouble("events for webhooks cannot be kept", "webhooks", advice))
            return False
        except Exception as fault:  # noqa: BLE001 - see above
            self._observer.observe(fault_of(FAILED, about, fault))
        return True

    async def _meet_new_shards(self) -> None:
        """Go on in them where it was left."""
        while True:
            try:
                cursors = await self._webhooks.cursors()
                break
            except StoreError:
                await asyncio.sleep(RETRY_S)
        new, self._new = self._new, set()
        self._cursors |= {shard: at for shard, at in cursors.items() if shard in new}
        await self._look_at_rooms(new)

    async def _look(self) -> None:
        while True:
            for shard in list(self._shards):
                await asyncio.sleep(LOOK_S / max(1, len(self._shards)))
                if shard in self._shards:
                    self._dirty.add(shard)
                    self._ring.set()
            await asyncio.sleep(RETRY_S)

    # --- Ledgers ------------------------------------------------------------------------------------------------------
    async def _read(self, shard: int) -> None:
        """Tell what is new in a shard's ledger, to its end."""
        while True:
            at = self._cursors.get(shard, 0)
            found = await self._read_on(shard, at, READ_MAX)
            entries = understood(shard, found)
            if await self._tell(shard, at, entries) and len(found) < READ_MAX and len(entries) == len(found):
                return

    async def _tell(self, shard: int, at: int, entries: Sequence[BookEntry]) -> bool:
        """Have entries told, portion by portion. False: the cursor stood elsewhere, so read on from there."""
        while entries:
            portion = entries[: portion_of(entries, TELL_MAX)]
            drafts = await self._drafts(shard, [entry for entry in portion if is_told(entry)])
            upto = portion[-1].position
            self._cursors[shard] = await self._webhooks.append(shard, at, upto, drafts, self._clock())
            if drafts:
                self._kick()
            if self._cursors[shard] != upto:
                return False
            at, entries = upto, entries[len(portion) :]
        return True

    async def _drafts(self, shard: int, entries: Sequence[BookEntry]) -> list[Draft]:
        drafts: list[Draft] = []
        for room, group in groups(entries, room_of):
            place = Place(shard, room, await self._about_room(room))
            asked = asks_about(group[0])
            drop = await self._about_drop(room, asked) if asked is not None else None
            try:
                drafts += drafts_of(place, group, drop)
            except Exception as fault:  # noqa: BLE001 - an entry that cannot be told must not silence all behind it
                about = f"shard {shard} at {group[0].position}"
                self._observer.observe(fault_of("an entry could not be told by webhook", about, fault))
        return drafts

    async def _about_room(self, room: str) -> RoomAbout:
        if (summary := self._known.get(room)) is None:
            known = await self._summary(room)
            self._know(room, records.encode_summary(known))
        else:
            known = _read_summary(room, summary)
        return RoomAbout(known["merchant"], known["broadcast"], bool(known.get("test")), known.get("started_at") or 0)

    async def _summary(self, room: str) -> dict[str, Any]:
        """What a room that has said nothing yet says of itself, as its owner would."""
        stored = await self._log.read(room)
        if stored is None:
            return {"room": room, "merchant": "", "broadcast": "", "status": "", "title": ""}
        snapshot = records.decode_snapshot(stored.snapshot)
        state, private = snapshot.state, snapshot.private
        for entry in stored.entries:
            if entry.number <= stored.snapshot_number:
                continue
            frame = records.decode_frame(entry.frame) if entry.frame is not None else None
            state = merge(state, frame.state) if frame is not None and frame.state else state
            private = merge(private, records.decode_private(entry.private)) if entry.private is not None else private
        said = {name: state.get(name) or "" for name in ("broadcast", "status", "title")}
        began = {"started_at": state["started_at"]} if state.get("started_at") else {}
        return {"room": room, "merchant": private.get("merchant", ""), "test": bool(state.get("test")), **said, **began}

    async def _about_drop(self, room: str, id_: str) -> DropAbout:
        """What cannot change any more once units of it are granted."""
        if (known := self._drops.get((room, id_))) is not None:
            return known
        drop = await self._ledger.drop(room, id_)
        if drop is None:
            return DropAbout(test=False, title="", sku="")
        secret = await self._ledger.secret(room, id_) if drop.terms.codes == "generated" else None
        about = read_about(drop)
        broadcast = await self._ledger.occasion(room, id_)
        known = DropAbout(drop.terms.test, about.title, about.sku, code_key(secret) if secret else b"", broadcast)
        self._drops[room, id_] = known
        if len(self._drops) > DROPS_MAX:
            self._drops.popitem(last=False)
        return known

    # --- Rooms --------------------------------------------------------------------------------------------------------
    async def _tell_rooms(self) -> None:
        if self._overheard:
            self._said.clear()
            self._overheard = False
            await self._look_at_rooms(self._shards.keys())
        while self._said:
            said = self._said[:ROOMS_PAGE]
            drafts: list[Draft] = []
            for now_says, before, at in said:
                for draft in drafts_of_room(now_says, before, at):
                    if draft.event.type == "room.ended":  # behind all that its drops were up to
                        await self._keep(drafts)
                        drafts = []
                        shard = shard_of(draft.event.room)
                        await self._tried(self._read(shard), f"shard {shard}")
                    drafts.append(draft)
            await self._keep(drafts)
            del self._said[: len(said)]

    async def _keep(self, drafts: Sequence[Draft]) -> None:
        if drafts:
            await self._webhooks.append(ROOMS, 0, 0, drafts, self._clock())
            self._kick()

    async def _tell_happened(self) -> None:
        while self._happened:
            told = self._happened[:TELL_MAX]
            drafts = [draft_of_happening(room, await self._about_room(room), one) for room, one in told]
            await self._webhooks.append(ROOMS, 0, 0, drafts, self._clock())
            self._kick()
            del self._happened[: len(told)]

    async def _look_at_rooms(self, shards: Collection[int]) -> None:
        """Of shards that are new to us: a broadcast may have begun or ended and nobody was told, or be about to."""
        after, now = "", self._clock()
        while True:
            try:
                page = await self._log.rooms(after, ROOMS_PAGE)
            except StoreError:
                await asyncio.sleep(RETRY_S)
                continue
            for room, summary in page:
                try:
                    says = _read_summary(room, summary)
                except msgspec.DecodeError as fault:  # nobody else's line shall go unread for that
                    self._observer.observe(fault_of("a room's line in the list of rooms cannot be read", room, fault))
                    continue
                if says.get("waits") and shard_of(room) in shards:
                    self.wake(room)
                if shard_of(room) in shards and now - says.get("started_at", 0) < RECENT_MS:
                    self._said.append((says, None, now))
                    self._known.setdefault(room, summary)
            if len(page) < ROOMS_PAGE:
                self._ring.set()
                return
            after = page[-1][0]


def _read_summary(room: str, summary: bytes) -> dict[str, Any]:
    return {**records.decode_summary(summary), "room": room}
