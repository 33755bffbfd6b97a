"""A draw from its pot to its result, in steps that the ledger takes once each: whoever begins again gets the same outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import msgspec

from livecast.core.errors import Refusal
from livecast.core.money.draw import drawn, file_of, result_of, seed_of
from livecast.core.money.units import Drop, Entrant
from livecast.ledger import Ledger
from livecast.ports import Clock

SLICE: Final = 500
"""Entrants read or awarded in one call, as the ledger bounds it."""
AT_ONCE_MAX: Final = 1_000
"""More entrants are drawn in a thread: each costs some 5 µs, a million of them seconds."""

T = TypeVar("T")


async def draw(ledger: Ledger, drop: Drop, clock: Clock) -> Drop | Refusal:
    """Freeze the pot of `drop`, award its units by the committed seed, and publish the result.

    The drop behind it, or what was in the way (`conflict` with `retry_after_ms`: too early). Raises `StoreError`; then begin again.
    """
    frozen = await ledger.freeze_pot(drop.room, drop.id, clock())
    if isinstance(frozen, Refusal) or frozen.pot == "drawn":
        return frozen
    entrants = await all_entrants(ledger, drop)
    seed = seed_of(await ledger.secret(drop.room, drop.id) or b"")
    order = await _beside(drawn, seed, entrants)
    winners = await _award(ledger, frozen, [entrant.user for entrant in order], clock)
    if isinstance(winners, Refusal):
        return winners
    file = await _beside(file_of, drop.room, drop.id, frozen.terms.stock, seed, entrants, [user for user, _ in winners])
    result = msgspec.json.encode(result_of(file))
    return await ledger.draw_pot(drop.room, drop.id, result, clock())


async def _beside(work: Callable[..., T], *args: Any) -> T:
    """Compute something over lists of people: beside the loop if they are many."""
    small = all(len(arg) <= AT_ONCE_MAX for arg in args if isinstance(arg, list))
    return work(*args) if small else await asyncio.to_thread(work, *args)


async def all_entrants(ledger: Ledger, drop: Drop) -> list[Entrant]:
    """The whole pot, in order of arrival."""
    entrants: list[Entrant] = []
    while some := await ledger.entrants(drop.room, drop.id, entrants[-1].number if entrants else 0, SLICE):
        entrants += some
    return entrants


async def _award(ledger: Ledger, drop: Drop, users: Sequence[str], clock: Clock) -> list[tuple[str, int]] | Refusal:
    """Grant units down the order of the draw, until they are gone."""
    winners: list[tuple[str, int]] = []
    for offset in range(0, len(users), SLICE):
        some = users[offset : offset + SLICE]
        serials = await ledger.award(drop.room, drop.id, offset, some, clock())
        if isinstance(serials, Refusal):
            return serials
        winners += [(user, serial) for user, serial in zip(some, serials, strict=True) if serial]
        if len(winners) >= drop.terms.stock:
            break
    return winners
