"""What the room loops of a process have around them, and who is told what becomes of rooms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from msgspec import Struct

from livecast.core.frames import Happened
from livecast.core.rules import RoomRules
from livecast.facts import Observer
from livecast.ports import Bus, Clock, RoomLog
from livecast.shard.house import House
from livecast.shard.reviewer import Reviewer


class RoomWatch(Protocol):
    """Told what becomes of rooms. Must not block or raise."""

    def awake(self, room: str) -> None:
        """It was loaded or made, and receives from now on."""

    def asleep(self, room: str) -> None:
        """It is out of memory."""

    def say(self, room: str, summary: bytes) -> None:
        """What it says of itself (its line in `RoomLog.rooms`) is committed."""

    def happened(self, room: str, happened: Sequence[Happened]) -> None:
        """Something in it that other services may want to hear of is committed."""

    def ending(self, room: str) -> None:
        """Its broadcast is to end, and that is committed: it waits for `DropsDone` (told again until it does)."""

    def ended(self, room: str) -> None:
        """Its broadcast is over, and that is committed (told again when such a room wakes)."""


class Surroundings(Struct, frozen=True):
    """What every room loop of a process shares."""

    bus: Bus
    log: RoomLog
    clock: Clock
    rules: RoomRules
    observer: Observer
    new_epoch: Callable[[], str]
    """A random string that no room ever had as its epoch."""
    watch: RoomWatch | None = None
    """Who wants to know of rooms' lives: whoever reads the ledger on for them."""
    house: House | None = None
    """What holds beyond single rooms."""
    reviewer: Reviewer | None = None
    """Who asks somebody outside what becomes of comments."""
    catalogue_rev: int | None = None
    """What rooms say of the gifts there are; None: there are none."""
