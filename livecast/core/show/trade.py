"""What the ledger tells a room, on its way to the screens: gifts, the board, drops.

Rules for whoever edits this file:
- Gifts are taken from the queue at a flush, so many at a time, and everything they cause is in that one commit together with
  the ledger position up to which they are told. A new owner reads on from there: nothing is shown twice, nothing is left out.
- Drops and boards come whole; an older one is ignored.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from livecast.core.control import Control
from livecast.core.events import BoardChanged, DropChanged, GiftReversed, GiftShown, Json, StockChanged, TradeEvent
from livecast.core.frames import Combo
from livecast.core.show.board import Board
from livecast.core.show.combos import Combos
from livecast.core.show.showcase import Showcase
from livecast.core.tools.kept import Kept

GIFTS_PER_FRAME_MAX: Final = 1000
"""Gifts told with one frame, 5,000 a second at the usual tick; more wait for the next, none is left out. A frame of as many
lines weighs some 100 KB."""
TIPPED_MAX: Final = 20_000
"""Givers whose comments ride in their lane; beyond it the one who gave first is forgotten, until the next gift. About 3 MB."""


class Told(NamedTuple):
    """What a frame tells of gifts: the combos that changed, and those gifts that carry a text, with the time they came."""

    combos: tuple[Combo, ...] = ()
    paid: Sequence[tuple[GiftShown, int]] = ()


class Trade:
    """The gifts and drops of one room. Feed it with `receive`, drain it with `drain` and `drain_private`."""

    __slots__ = ("_kept_tipped", "_position", "_queue", "_told_places", "board", "board_changed", "combos", "showcase", "tipped")

    def __init__(self) -> None:
        self.combos = Combos()
        self.board = Board()
        self.showcase = Showcase()
        self.tipped: dict[str, None] = {}
        """Who gave in this broadcast, in order."""
        self.board_changed = False
        """The state's board is to be made anew."""
        self._kept_tipped = Kept()
        self._queue: deque[tuple[GiftShown | GiftReversed | BoardChanged, int]] = deque()  # with the time of arrival
        self._position = 0  # of the last gift that was told
        self._told_places: dict[str, Json] = {}  # ledger positions as of the last commit

    # --- Feed ---------------------------------------------------------------------------------------------------------
    def receive(self, event: TradeEvent, control: Control, now: int) -> bool:
        """Take in what the ledger says; whether there is something new in it."""
        if isinstance(event, DropChanged):
            changed = self.showcase.put(event, now)
        elif isinstance(event, StockChanged):
            changed = self.showcase.count(event)
        else:
            if not isinstance(event, BoardChanged) and event.position <= self.heard_position:
                return False
            self._queue.append((event, now))
            return True
        if changed:
            control.show("drops", self.showcase.drops)
        return changed

    def show_winners(self, drop: str, winners: list[Json], control: Control) -> bool:
        """Who won a drop that is on show; whether that is news."""
        changed = self.showcase.tell_winners(drop, winners)
        if changed:
            control.show("drops", self.showcase.drops)
        return changed

    def pass_time(self, control: Control, now: int) -> bool:
        """Do what was due by now; whether the drops on show are others."""
        self.combos.pass_time(now - self._lag(now))
        if self.showcase.pass_time(now):
            control.show("drops", self.showcase.drops)
            return True
        return False

    def new_broadcast(self, control: Control) -> None:
        """Nobody has given yet. Open combos go on."""
        self.board.new_broadcast()
        self.tipped.clear()
        self._kept_tipped.clear()
        self.show_board(control)

    def redact(self, users: set[str]) -> None:
        """What these people paid to say is not said any more; that they gave is."""
        for i, (event, at) in enumerate(self._queue):
            if isinstance(event, GiftShown) and event.text and event.person.id in users:
                self._queue[i] = (msgspec.structs.replace(event, text=""), at)

    def knows(self, user: str) -> bool:
        """Whether this user gave in the broadcast, or is named among winners."""
        return user in self.tipped or self.showcase.names(user)

    def forget_user(self, user: str, control: Control) -> None:
        """They are shown among those who gave no more."""
        self.redact({user})
        self.board.forget(user)
        self.show_board(control)
        if self.showcase.forget(user):
            control.show("drops", self.showcase.drops)
        if self.tipped.pop(user, 0) is None:
            self._kept_tipped.drop(user)

    # --- Ask ----------------------------------------------------------------------------------------------------------
    def due_at(self) -> int | None:
        """When something happens by itself."""
        times = [t for t in (self.combos.due_at(), self.showcase.due_at()) if t is not None]
        return min(times) if times else None

    @property
    def waiting(self) -> int:
        """What was heard and not yet told. Whoever feeds the room slows down when this is more than a few frames' worth."""
        return len(self._queue)

    @property
    def heard_position(self) -> int:
        """The last gift's position that came in, told or not."""
        return next((event.position for event, _ in reversed(self._queue) if not isinstance(event, BoardChanged)), self._position)

    # --- Drain --------------------------------------------------------------------------------------------------------
    def drain(self, control: Control, gifts_max: int = GIFTS_PER_FRAME_MAX) -> Told:
        """What the next frame tells of up to so many gifts. The board goes into the state."""
        paid: list[tuple[GiftShown, int]] = []
        for _ in range(min(len(self._queue), gifts_max)):
            event, at = self._queue.popleft()
            counts = event.broadcast == control.broadcast
            if isinstance(event, BoardChanged):
                if counts:
                    self.board.replace(event)
            elif isinstance(event, GiftReversed):
                self._take_back(event, counts=counts)
            else:
                self._show(event, at, counts=counts)
                if event.text:
                    paid.append((event, at))
            self.board_changed |= counts
        if self.board_changed:
            self.show_board(control)
        return Told(self.combos.drain(), paid)

    def show_board(self, control: Control) -> None:
        """Put the board into the state, as the policy wants it."""
        self.board_changed = False
        control.show("board", self.board.shown(control.policy.board))

    def drain_private(self) -> dict[str, Json]:
        """The patch for the commit of what was drained."""
        patch: dict[str, Json] = {name: change for name, kept in self._books().items() if (change := kept.drain())}
        places = {"gifts": self._position, "board": self.board.read_at}
        if places != (self._told_places or {"gifts": 0, "board": 0}):
            patch["ledger"] = self._told_places = places
        return patch

    def private(self) -> dict[str, Json]:
        """What the next owner needs, as of the last commit."""
        private: dict[str, Json] = {name: dict(kept.told) for name, kept in self._books().items() if kept.told}
        return {**private, "ledger": self._told_places} if self._told_places else private

    def restore(self, private: dict[str, Json], drops: dict[str, Json]) -> None:
        """Go on where a former owner stopped. `drops` is what the state says of them."""
        self._told_places = private.get("ledger", {})
        self._position = self._told_places.get("gifts", 0)
        self.combos.restore(private.get("combos", {}))
        self.board.restore(private.get("board", {}), self._told_places.get("board", 0))
        self.showcase.restore(private.get("drops", {}), drops)
        self._kept_tipped = Kept(private.get("tipped", {}))
        self.tipped.update(dict.fromkeys(self._kept_tipped.told))

    # --- Private ------------------------------------------------------------------------------------------------------
    def _books(self) -> dict[str, Kept]:
        return {
            "combos": self.combos.kept,
            "board": self.board.kept,
            "drops": self.showcase.kept,
            "tipped": self._kept_tipped,
        }

    def _lag(self, now: int) -> int:
        """How long the oldest of the queue has waited: so much longer combos stay open, or a backlog would cut them up."""
        return now - self._queue[0][1] if self._queue else 0

    def _show(self, gift: GiftShown, at: int, *, counts: bool) -> None:
        self._position = gift.position
        self.combos.add(gift, at)
        if counts:
            if gift.total:
                self.board.note(gift.person, gift.total, gift.position)
            self._note_tip(gift.person.id)

    def _take_back(self, gift: GiftReversed, *, counts: bool) -> None:
        self._position = gift.position
        self.combos.take_back(gift)
        if counts:
            self.board.lower(gift.user, gift.total, gift.position)
            if not gift.total and gift.user in self.tipped:
                del self.tipped[gift.user]
                self._kept_tipped.drop(gift.user)

    def _note_tip(self, user: str) -> None:
        if user in self.tipped:
            return
        if len(self.tipped) >= TIPPED_MAX:
            first = next(iter(self.tipped))
            del self.tipped[first]
            self._kept_tipped.drop(first)
        self.tipped[user] = None
        self._kept_tipped.put(user, 1)
