"""Entries of a shard's ledger: facts, in the order in which they were decided. What is in the books follows from them.

An entry's `position` grows within its shard (not by one) and never comes again.
"""

from __future__ import annotations

from typing import TypeAlias

from msgspec import Struct

from livecast.core.money.coins import Gift, PendingKind
from livecast.core.money.units import Drop, Entrant, Order, State, UnitState

# gc=False: strings, numbers and each other, never a cycle. Tens of thousands are in memory while money moves, and the collector
# would look at them all, 20 to 40 ms at a time.


class WalletMoved(Struct, frozen=True, gc=False):
    """A booking in a wallet; the same amount with the other sign is in `counter`."""

    user: str
    tx: str
    amount: int
    balance: int
    number: int
    counter: str
    memo: str = ""


class GiftDebited(Struct, frozen=True, gc=False):
    """A gift left its giver's wallet; it is pending until the room's side has it."""

    gift: Gift
    balance: int
    number: int


class PendingCleared(Struct, frozen=True, gc=False):
    """The other half of a gift's way is done."""

    kind: PendingKind
    tx: str


class GiftCommitted(Struct, frozen=True, gc=False):
    """A gift counts in its room. `total`: all that its user has given in the broadcast so far."""

    gift: Gift
    total: int


class GiftReversed(Struct, frozen=True, gc=False):
    """A gift counts no more. `total`: what its user's others in the broadcast are worth."""

    gift: Gift
    reason: str
    total: int


class DropChanged(Struct, frozen=True, gc=False):
    """A drop was made or changed (`step`: `create`, `change`, `codes`, `freeze`, `draw` or one of `units.Step`)."""

    step: str
    drop: Drop


class Grant(Struct, frozen=True, gc=False):
    """One unit of `UnitsGranted`."""

    serial: int
    user: str
    cid: str
    code: str = ""


class UnitsGranted(Struct, frozen=True, gc=False):
    """Units of one drop, granted in one step. `left`, `state` and `sold_out_times` are the drop's behind it."""

    room: str
    drop: str
    of: int
    expires_at: int | None
    grants: tuple[Grant, ...]
    left: int
    state: State
    sold_out_times: int


class PotEntered(Struct, frozen=True, gc=False):
    """People who came into a drop's pot in one step."""

    room: str
    drop: str
    entrants: tuple[Entrant, ...]


class UnitsChanged(Struct, frozen=True, gc=False):
    """Units of one drop, in the same new state. `returned`: they are back in stock; `freed`: their users may claim again."""

    room: str
    drop: str
    units: tuple[Grant, ...]
    became: UnitState
    returned: bool
    freed: bool
    left: int
    state: State
    order_id: str = ""
    amount: int | None = None
    currency: str = ""
    reason: str = ""


class OrderTaken(Struct, frozen=True, gc=False):
    """An order of a room was made or changed."""

    room: str
    order: Order
    first: bool


class ShardConfirmed(Struct, frozen=True, gc=False):
    """An operator opened the shard's money again although positions up to `seen` were known elsewhere."""

    seen: int
    was: int


class LaterFact(Struct, frozen=True, gc=False):
    """Something that a later version has decided: this one cannot say what. Rooms go on without it; books cannot."""

    kind: str


BookFact: TypeAlias = (
    WalletMoved
    | GiftDebited
    | PendingCleared
    | GiftCommitted
    | GiftReversed
    | DropChanged
    | UnitsGranted
    | PotEntered
    | UnitsChanged
    | OrderTaken
    | ShardConfirmed
    | LaterFact
)


class BookEntry(Struct, frozen=True, gc=False):
    """One entry of a shard's ledger. `at` is the asker's clock, Unix ms."""

    position: int
    at: int
    fact: BookFact
