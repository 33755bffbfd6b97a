"""What a node knows of a drop while people claim it: who may, and what its codes are made with. Kept for a while, bounded.

Who may claim cannot change once a drop is open, so a card of an open drop holds; before that it is read anew each time.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct

from livecast.core.money.codes import code_key, code_of
from livecast.core.money.drops import ANYBODY, Eligibility, needs_seed, read_about
from livecast.core.money.units import BEFORE_OPENING, Drop, Unit
from livecast.ledger import Ledger

CARDS_MAX: Final = 1_000
"""Drops of which a card is kept, some 2 KB each; the oldest goes first. More are not open at once on one node."""


class Card(Struct, frozen=True):
    """A drop as its claimants meet it. `code_key` is what its generated codes are made with."""

    drop: Drop
    eligibility: Eligibility
    sku: str
    code_key: bytes
    merchant: str | None = None
    """Whose drop it is; None: the room has to be asked."""

    @property
    def asks_anything(self) -> bool:
        """Whether anything has to be known of a claimant but their gifts, which the ledger knows."""
        return msgspec.structs.replace(self.eligibility, gifted=False) != ANYBODY

    @property
    def asks_the_room(self) -> bool:
        """Whether only the room knows who may."""
        asked = self.eligibility
        return asked.min_watch_s is not None or asked.commented is not None or asked.liked is not None

    @property
    def has_pot(self) -> bool:
        """Whether a claim may enter a pot instead of winning at once."""
        return needs_seed(self.drop.terms)

    def code_of(self, unit: Unit) -> str:
        """The code of a unit, "" if it has none. Those of a list are kept with it, generated ones follow from its serial."""
        return code_of(self.code_key, unit.serial) if self.drop.terms.codes == "generated" else unit.code


class Cards:
    """Cards by room and drop."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._kept: dict[tuple[str, str], Card] = {}
        self._broadcasts: dict[tuple[str, str], str] = {}

    async def get(self, room: str, drop: str) -> Card | None:
        """A drop's card, None if there is no such drop. Raises `StoreError`, `msgspec.DecodeError`."""
        card = self._kept.get((room, drop))
        if card is not None and card.drop.state not in BEFORE_OPENING:
            return card
        kept = await self._ledger.drop(room, drop)
        if kept is None:
            return None
        key = card.code_key if card is not None else code_key(await self._ledger.secret(room, drop) or b"")
        about = read_about(kept)
        card = self._kept[room, drop] = Card(kept, about.eligibility, about.sku, key, about.merchant)
        if len(self._kept) > CARDS_MAX:
            del self._kept[next(iter(self._kept))]
        return card

    async def broadcast(self, room: str, drop: str) -> str:
        """The broadcast that a drop's receipts name: that of its first claim, empty before. Raises `StoreError`."""
        known = self._broadcasts.get((room, drop), "")
        if not known and (known := await self._ledger.occasion(room, drop)):
            self._broadcasts[room, drop] = known
            if len(self._broadcasts) > CARDS_MAX:
                del self._broadcasts[next(iter(self._broadcasts))]
        return known
