"""Drops for the tests of ledgers: in one room, at a time an hour before the store's own clock, so that the callers' decides."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from livecast.core.money.coins import Gift, viewer_tx
from livecast.core.money.units import Claim, ClaimAnswer, Drop, Entered, NewDrop, NotWon, Terms, Won
from livecast.ledger import Ledger

ROOM, BROADCAST = "demo", "b1"
NOW = time.time_ns() // 1_000_000 - 3_600_000


async def make(ledger: Ledger, id_: str = "d1", stock: int = 3, **terms: Any) -> Drop:
    """A drop in state draft."""
    drop = await ledger.put_drop(NewDrop(ROOM, id_, Terms(stock, **terms), b"about", b"secret"), NOW)
    assert isinstance(drop, Drop)
    return drop


async def step(ledger: Ledger, a_step: Any, id_: str = "d1", now: int = NOW) -> Drop:
    """A step that must succeed."""
    drop = await ledger.step_drop(ROOM, id_, a_step, now)
    assert isinstance(drop, Drop), drop
    return drop


async def opened(ledger: Ledger, id_: str = "d1", stock: int = 3, **terms: Any) -> Drop:
    """A drop that is open since NOW."""
    await make(ledger, id_, stock, **terms)
    return await step(ledger, "open", id_)


async def clicks(ledger: Ledger, claims: Sequence[Claim], id_: str = "d1", now: int = NOW) -> list[ClaimAnswer]:
    """Claims in one call."""
    return await ledger.claim(ROOM, id_, BROADCAST, claims, now)


async def click(ledger: Ledger, user: str, cid: str = "c1", id_: str = "d1", now: int = NOW, **more: Any) -> ClaimAnswer:
    """One claim."""
    return (await clicks(ledger, [Claim(user, cid, **more)], id_, now))[0]


def short(answer: ClaimAnswer) -> object:
    """The serial won, the number entered as, or the word."""
    match answer:
        case Won(serial=serial):
            return serial
        case Entered(number=number):
            return f"entered {number}"
        case NotWon(verdict=verdict):
            return verdict
        case _:
            return answer.code


def rose(user: str, cid: str = "g1") -> Gift:
    """A gift in the room's broadcast."""
    return Gift(viewer_tx(user, cid), user, ROOM, BROADCAST, "rose", 1, 1)
