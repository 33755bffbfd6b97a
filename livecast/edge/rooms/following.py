"""Following one room: a hub's view is kept at the head of the room's log.

It is built so that nothing falls between what is stored and what is said meanwhile: subscribe, wait until that holds, read
the store, then take in what came in between. A hole later on is filled in the same way, by reading again.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec

from livecast.core.frames import Frame, Redact
from livecast.core.state import redact_frame
from livecast.core.tools.patch import merge
from livecast.core.view import RoomView
from livecast.edge.rooms.hub import RoomHub
from livecast.edge.rooms.veil import Veil, policy_in
from livecast.ports import Published, Stored, StoreError, Subscription
from livecast.wire.records import decode_frame, decode_private, decode_snapshot
from livecast.wire.sealing import Sealed

if TYPE_CHECKING:
    from livecast.edge.node import Node

HEARD_MAX: Final = 1_000
"""Publications kept while the store is read; at five a second the read would have timed out a hundred times over."""
REREAD_PAUSE_S: Final = 0.2
"""Between attempts to fill a hole while the store does not answer."""


class Following:
    """One room being followed: keeps its hub's view at the head of the log."""

    hub: RoomHub

    def __init__(self, node: Node, room: str) -> None:
        self._node = node
        self._room = room
        self._subscription: Subscription | None = None
        self._heard: list[Published] | None = []
        """What came while the store is being read; None: nothing is being read."""
        self._closed = False
        self.checked_at = node.clock()
        """When it was last compared with the log, Unix ms."""
        self._veil = Veil(node, room)

    async def start(self) -> bool:
        """Subscribe, then read; False if there is no such room."""
        self._subscription = await self._node.bus.follow(self._room, self._deliver)
        stored = await self._node.log.read(self._room)
        if stored is None:
            return False
        view = RoomView(self._node.room_rules, rewrite)
        put_in(view, stored, self._veil)
        self.hub = RoomHub(self._node, self._room, view)
        self.hub.aliases = self._veil.aliases
        self.hub.replace_bans(bans_in(stored))
        self._take_in_heard()
        return True

    def compare(self, head: tuple[str, int] | None) -> None:
        """The log stands there: if that is further than what was heard, read it."""
        if self._closed or head is None or self._heard is not None:
            return
        view = self.hub.view
        if head[0] != view.epoch or head[1] > view.seq:
            self._fill_hole([])

    @property
    def room(self) -> str:
        """Which one."""
        return self._room

    def close(self) -> None:
        """No more deliveries."""
        self._closed = True
        if self._subscription is not None:
            self._subscription.close()

    def _deliver(self, published: Published) -> None:
        """From the bus: the next frame, an old one heard twice, a new epoch, or one too far ahead."""
        if self._closed:
            return
        if self._heard is not None:
            if len(self._heard) < HEARD_MAX:
                self._heard.append(published)
            return
        if not self._take_in(published):
            self._fill_hole([published])

    def _take_in(self, published: Published) -> bool:
        """Apply it unless it is old; False if something before it is missing."""
        view = self.hub.view
        if not published.epoch:  # something may have been missed
            self._node.rechecks.note(self)
            return True
        try:
            if published.snapshot is not None:
                if (published.epoch, published.seq) != (view.epoch, view.seq):
                    view.reset(self._veil.snapshot(decode_snapshot(published.snapshot)))
                    self.hub.aliases = self._veil.aliases
                    self.hub.renewed()
                return True
            if published.frame is None or (published.epoch == view.epoch and published.seq <= view.seq):
                return True
            frame = decode_frame(published.frame)
        except msgspec.MsgspecError as fault:
            self._node.trouble("a publication could not be read", self._room, fault)
            return True
        return self._apply(frame, published.frame)

    def _apply(self, frame: Frame, data: bytes) -> bool:
        frame, sealed = self._veil.frame(frame, data)
        self.hub.aliases = self._veil.aliases
        return self.hub.apply(sealed, frame)

    def _take_in_heard(self) -> None:
        """Go on with what came meanwhile."""
        heard, self._heard = self._heard or [], None
        for index, published in enumerate(heard):
            if not self._take_in(published):
                self._fill_hole(heard[index:])
                return

    def _fill_hole(self, heard: list[Published]) -> None:
        self._heard = heard
        self._node.spawn(self._read_again())

    async def _read_again(self) -> None:
        """Fill a hole from the log; where it reaches not far enough back, start afresh."""
        stored = await self._read_until_answered()
        if self._closed:
            return
        if stored is not None and not self._fill(stored):
            put_in(self.hub.view, stored, self._veil)
            self.hub.aliases = self._veil.aliases
            self.hub.renewed()
        self._take_in_heard()

    async def _read_until_answered(self) -> Stored | None:
        while not self._closed:
            try:
                return await self._node.log.read(self._room)
            except StoreError:
                await asyncio.sleep(REREAD_PAUSE_S)
        return None

    def _fill(self, stored: Stored) -> bool:
        """Apply what the log has and the view lacks; False if they do not meet."""
        view = self.hub.view
        if stored.epoch != view.epoch:
            return False
        for entry in stored.entries:
            missing = entry.frame if entry.seq > view.seq else None
            if missing is not None and not self._apply(decode_frame(missing), missing):
                return False
        return view.seq >= stored.seq


def put_in(view: RoomView, stored: Stored, veil: Veil) -> None:
    """Make a view say what the store says, with all of its frames that can be resumed from."""
    snapshot = decode_snapshot(stored.snapshot)
    earlier: list[tuple[Frame, bytes]] = []
    later: list[tuple[Frame, bytes]] = []
    for entry in stored.entries:
        if entry.frame is None:
            continue
        frame = decode_frame(entry.frame)
        if entry.number > stored.snapshot_number:
            later.append((frame, entry.frame))
            continue
        if earlier and (frame.epoch, frame.seq) != (earlier[-1][0].epoch, earlier[-1][0].seq + 1):
            earlier.clear()
        earlier.append((frame, entry.frame))
    veil.lower([snapshot.policy, *(policy_in(frame) for frame, _ in later)])
    view.reset(veil.over(snapshot))
    if earlier and (earlier[-1][0].epoch, earlier[-1][0].seq) == (view.epoch, view.seq):
        for frame, sealed in (veil.frame(*each) for each in earlier):
            view.keep(frame, _bare(sealed), len(sealed.msgpack))
    for frame, sealed in (veil.frame(*each) for each in later):
        view.apply(frame, _bare(sealed), len(sealed.msgpack))


def _bare(sealed: Sealed) -> Sealed:
    """Of frames that few will ask for only what cannot be made again is kept."""
    sealed.drop_caches()
    return sealed


def bans_in(stored: Stored) -> dict[str, int | None]:
    """The ban list as stored: user -> until when (Unix ms; None: until taken back)."""
    private: dict[str, Any] = decode_snapshot(stored.snapshot).private
    for entry in stored.entries:
        if entry.private is not None and entry.number > stored.snapshot_number:
            private = merge(private, decode_private(entry.private))
    return {user: until or None for user, (_at, until, *_) in private.get("bans", {}).items()}


def rewrite(payload: object, redact: Redact) -> tuple[object, int]:
    """A kept frame without what was redacted, and its new size; -1 if it is the same."""
    sealed = cast("Sealed", payload)
    if not any(name.encode() in sealed.msgpack for name in (*redact.comments, *redact.users)):
        return payload, -1
    frame = decode_frame(sealed.msgpack)
    rewritten = redact_frame(frame, redact)
    if rewritten is frame:
        return payload, -1
    fresh = Sealed.of(rewritten)
    fresh.drop_caches()
    return fresh, len(fresh.msgpack)
