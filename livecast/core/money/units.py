"""Drops as the ledger keeps them, and the units it grants: what is asked and what is answered.

What a drop is called, looks like and asks of people is for others; here is only what decides: stock, times, limits, states.
`STEPS` is the table of its states. Times are Unix ms. Where a step is due at a time, two clocks must agree that it has come,
the caller's and the store's: a clock that runs ahead opens nothing early.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from msgspec import Struct

from livecast.core.errors import Refusal

State: TypeAlias = Literal["draft", "announced", "open", "paused", "sold_out", "closed", "settled", "cancelled"]
Step: TypeAlias = Literal["announce", "open", "pause", "resume", "close", "cancel", "settle"]
Kind: TypeAlias = Literal["coupon", "draw"]
Codes: TypeAlias = Literal["generated", "list", "none"]
UnitState: TypeAlias = Literal["granted", "reserved", "confirmed", "released", "expired", "revoked"]

#: step -> (states it leads from, state it leads to). From any other state it is a `conflict`, except where it leads already:
#: a repeat changes nothing. `open` and `sold_out` go over into each other by stock alone.
STEPS: Final[dict[Step, tuple[frozenset[State], State]]] = {
    "announce": (frozenset({"draft"}), "announced"),
    "open": (frozenset({"draft", "announced"}), "open"),
    "pause": (frozenset({"open", "sold_out"}), "paused"),
    "resume": (frozenset({"paused"}), "open"),
    "close": (frozenset({"open", "sold_out", "paused"}), "closed"),
    "cancel": (frozenset({"draft", "announced", "open", "sold_out", "paused", "closed"}), "cancelled"),
    "settle": (frozenset({"closed"}), "settled"),
}
BEFORE_OPENING: Final[frozenset[State]] = frozenset({"draft", "announced"})
SELLING: Final[frozenset[State]] = frozenset({"open", "sold_out"})

HELD: Final[frozenset[UnitState]] = frozenset({"granted", "reserved", "confirmed"})
"""States of units that still are their winner's."""

STOCK_MAX: Final = 1_000_000
"""Units of a drop. Ten times as many would make the list of a sold out drop's claims 1 GB in the store."""
CLAIMS_MAX: Final = 500
"""Claims in one call. They take the store some 10 ms, which everybody else's calls wait for; measured to be the knee."""
REFUSALS_KEPT_MAX: Final = 8
"""Final refusals remembered per user and drop, oldest forgotten first: more clicks than that are not a person's."""
REFUSALS_KEEP_MS: Final = 600_000
"""For how long."""
FACTS_KEEP_MS: Final = 90 * 24 * 3600 * 1000
"""How long the ledger keeps what a platform said of a user: longer than a campaign, and not for good."""


class Terms(Struct, frozen=True):
    """What decides over a drop's claims. `stock` counts units; `per_user` is at most 10, over all drops of the room with the
    same `limit_group` if there is one. `reserve_ms` > 0: units are reserved so long until confirmed. `fair_window_ms` > 0:
    the claims of the first so many ms are one pot. A `draw` is all pot. `gifted`: only who gave a gift in the broadcast.
    """

    stock: int
    kind: Kind = "coupon"
    per_user: int = 1
    announce_at: int | None = None
    opens_at: int | None = None
    closes_at: int | None = None
    codes: Codes = "generated"
    reserve_ms: int = 0
    fair_window_ms: int = 0
    limit_group: str = ""
    gifted: bool = False
    test: bool = False


class NewDrop(Struct, frozen=True):
    """A drop to keep. Its id is unique in the room and names the same drop for good.

    `about` is handed on unread to all who read the drop; `secret` (the code key, a draw's seed) only by `Ledger.secret`.
    """

    room: str
    id: str
    terms: Terms
    about: bytes = b""
    secret: bytes = b""


class Drop(Struct, frozen=True):
    """A drop as it is kept.

    `granted` counts grants ever made and is the last serial; `returned` those that came back to stock; `reserved` those
    waiting to be confirmed; `left` what can still be had. `pot`: `""` none (yet), `open` entries are taken, `frozen`
    entrants are fixed, `drawn` winners have their units. `sold_out_times` counts how often `left` reached 0. `changed` is
    the ledger position of the last change: of two pictures the one with the greater is newer.
    """

    room: str
    id: str
    terms: Terms
    about: bytes
    state: State
    left: int
    granted: int
    returned: int
    reserved: int
    created_at: int
    changed: int
    opened_at: int | None = None
    closed_at: int | None = None
    codes_held: int = 0
    pot: Literal["", "open", "frozen", "drawn"] = ""
    entrants: int = 0
    sold_out_times: int = 0
    result: bytes = b""


OPEN_END: Final = 0
"""As `DropChange.closes_at`: no time is set any more."""


class DropChange(Struct, frozen=True):
    """A change of a drop. Before it opens: whole new `terms` and `about`, a new upload of codes. Later: `stock_delta` (the
    stock never falls below what is granted) and `closes_at` (or `OPEN_END`). None: as it is. `tx` makes a repeat harmless. With
    `if_changed` only the drop of that `changed` is changed, any other is `precondition_failed`.
    """

    tx: str
    terms: Terms | None = None
    about: bytes | None = None
    stock_delta: int = 0
    closes_at: int | None = None
    if_changed: int | None = None


# --- Claims -----------------------------------------------------------------------------------------------------------
class Claim(Struct, frozen=True, gc=False):
    """A click. The id is (user, drop, cid).

    `missing`: what the room's facts say against it; `objection`: a refusal's code for any other reason (facts unknown:
    `unavailable`). Both count only for an unknown cid and an open drop. `nonce`: drawn by the caller; what an entrant's leaf
    is made with if this claim enters a pot.
    """

    user: str
    cid: str
    missing: bool = False
    objection: str = ""
    nonce: str = ""


class Won(Struct, frozen=True, gc=False):
    """A unit. `of` is the stock at that moment. `code` is from the drop's list; generated ones follow from the serial.
    `again`: this answer was given before.
    """

    serial: int
    of: int
    at: int
    code: str = ""
    expires_at: int | None = None
    again: bool = False


class Entered(Struct, frozen=True, gc=False):
    """In the pot, as its `number`th (from 1). The entrant's leaf is made of the `nonce`."""

    number: int
    nonce: str
    at: int
    again: bool = False


NotWonVerdict: TypeAlias = Literal["sold_out", "limit", "not_eligible", "not_open", "closed"]


class NotWon(Struct, frozen=True, gc=False):
    """No unit. Remembered for ten minutes: `limit`, `sold_out`, `closed`; never `not_open` and `not_eligible`.

    `opens_in_ms` goes with `not_open` if the time is known. `gifted` with `not_eligible`: a gift is missing, beside what the
    claim said itself.
    """

    verdict: NotWonVerdict
    opens_in_ms: int | None = None
    gifted: bool = False


ClaimAnswer: TypeAlias = Won | Entered | NotWon | Refusal


class Unit(Struct, frozen=True, gc=False):
    """A granted unit and what became of it. `of`, `at`, `expires_at` and `code` are what its winner was told.

    Its serial counts grants of the drop from 1 and is never used again.
    """

    serial: int
    user: str
    cid: str
    at: int
    of: int
    state: UnitState
    code: str = ""
    expires_at: int | None = None
    changed_at: int | None = None
    order_id: str = ""
    amount: int | None = None
    currency: str = ""
    reason: str = ""


class Entrant(Struct, frozen=True):
    """One in the pot, by order of arrival."""

    number: int
    user: str
    cid: str
    nonce: str
    at: int


class Confirm(Struct, frozen=True):
    """The unit was bought. Again with the same order: nothing changes; with another one: `conflict`."""

    order_id: str
    amount: int | None = None
    currency: str = ""


class Release(Struct, frozen=True):
    """A reserved unit is not wanted: it goes back to stock and its user may claim again."""


class Revoke(Struct, frozen=True):
    """The unit is taken away. Its user may not claim again in its place. `return_stock`: somebody else may have one, which is
    decided once: to ask for it when the unit was revoked without is a `conflict`.
    """

    reason: str = ""
    return_stock: bool = False


REVOKED_FOR_GOOD: Final = "It was revoked without coming back to stock: raise the stock with `stock_delta` instead."

UnitStep: TypeAlias = Confirm | Release | Revoke

#: step -> (states it leads from, state it leads to). From any other state it is a `conflict`; in that state already: no change.
UNIT_STEPS: Final[dict[type[UnitStep], tuple[frozenset[UnitState], UnitState]]] = {
    Confirm: (frozenset({"granted", "reserved"}), "confirmed"),
    Release: (frozenset({"reserved"}), "released"),
    Revoke: (frozenset({"granted", "reserved", "confirmed"}), "revoked"),
}


class Holding(Struct, frozen=True):
    """What a user has of one drop: units, and the place in its pot."""

    drop: Drop
    units: tuple[Unit, ...] = ()
    entry: Entrant | None = None


class Order(Struct, frozen=True):
    """What was sold. `drop` and `serial` tie it to a unit of the same user. The same id again may change amount and status."""

    order_id: str
    user: str
    sku: str
    amount: int
    currency: str
    status: str
    drop: str = ""
    serial: int = 0


class Ordered(Struct, frozen=True):
    """An order as kept. `first`: this call made it; `changed`: this call made or changed it."""

    order: Order
    at: int
    first: bool
    changed: bool


DueWhat: TypeAlias = Literal["announce", "open", "window", "close", "settle", "tell", "selling"]


class Due(Struct, frozen=True):
    """Something whose time has come: `announce`, `open`, `window` (the fair one ends and is drawn), `close` of a drop; `settle`
    where it is closed and not settled; `tell` where winners were drawn who may not have been told; `selling` while it is open,
    for whoever begins and knows of no room.
    """

    what: DueWhat
    room: str
    drop: str
    at: int


class Lapsed(Struct, frozen=True):
    """Reservations of a drop that ran out."""

    room: str
    drop: str
    serials: tuple[int, ...]


def left_of(terms: Terms, granted: int, returned: int, codes_held: int) -> int:
    """Units still to be had. Serials are never reused, so a list of codes may end before the stock does."""
    left = terms.stock - granted + returned
    if terms.codes == "list" and not terms.test:
        left = min(left, codes_held - granted)
    return max(0, left)


def due_of(drop: Drop) -> list[Due]:
    """The steps that are to come in the drop's state, at their times."""
    terms = drop.terms
    window_at = None if drop.opened_at is None else drop.opened_at + terms.fair_window_ms
    undrawn = drop.pot in {"open", "frozen"} and terms.kind == "coupon" and drop.state != "cancelled"
    times: list[tuple[DueWhat, int | None, bool]] = [
        ("announce", terms.announce_at, drop.state == "draft"),
        ("open", terms.opens_at, drop.state in BEFORE_OPENING),
        ("window", window_at, undrawn),
        ("close", terms.closes_at, drop.state in {"open", "sold_out", "paused"}),
        ("settle", drop.closed_at, drop.state == "closed"),
        ("selling", drop.opened_at, drop.state in {"open", "sold_out", "paused"}),
    ]
    return [Due(what, drop.room, drop.id, at) for what, at, fits in times if fits and at is not None]
