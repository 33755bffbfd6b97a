"""Gifts: the catalogue, what a tier is worth on the screen, and what of a gift the ledger hands on to the room unread.

Money is the ledger's (`core.money`); how gifts look as they come in is for `combos` and `board`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Final
from zlib import crc32

import msgspec
from msgspec import Meta, Struct

from livecast.core.books import bookkeeping
from livecast.core.errors import Refusal
from livecast.core.events import GiftReversed, GiftShown, Person
from livecast.core.text import clean


class CatalogueGift(Struct, frozen=True, forbid_unknown_fields=True):
    """A gift viewers can send."""

    id: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}\Z")]
    """What clients name it by."""
    name: Annotated[str, Meta(min_length=1, max_length=64)]
    """What viewers read."""
    price: Annotated[int, Meta(ge=1, le=1_000_000_000)]
    """In coins."""
    tier: Annotated[int, Meta(ge=1, le=3)] = 1
    """How much is made of it on the screen."""


CATALOGUE: Final = (
    CatalogueGift("rose", "Rose", 1, 1),
    CatalogueGift("heart", "Heart", 10, 2),
    CatalogueGift("rocket", "Rocket", 1000, 3),
)
"""What can be sent where nothing else is configured: one of each tier."""


class Tier(Struct, frozen=True):
    """What a gift of this tier may do: carry a text of so many code points, pinned on the screen for so many seconds."""

    text_chars_max: int
    pin_s: int


TIERS: Final[dict[int, Tier]] = {
    # The smallest gift costs a coin: with a text it would be the cheapest way around every limit of the chat.
    1: Tier(text_chars_max=0, pin_s=0),
    # A line that a host can read out in passing; ten seconds are twice as long as a comment takes to cross the screen.
    2: Tier(text_chars_max=100, pin_s=10),
    # As long as the longest comment usually is; a minute is what it takes to read it, answer it and say thanks. Were it longer,
    # two such gifts a minute would fill the place for good.
    3: Tier(text_chars_max=200, pin_s=60),
}


class About(Struct, frozen=True, omit_defaults=True):
    """What the room shows of a gift, as the ledger keeps it: who gave it, its tier, the paid comment's text."""

    person: Person
    tier: int = 1
    text: str = ""


_encode_about = msgspec.msgpack.Encoder().encode
_decode_about = msgspec.msgpack.Decoder(About).decode


def catalogue_rev(catalogue: Iterable[CatalogueGift]) -> int:
    """A number for `state.gifts.rev` that differs where the catalogue does, the same on every node."""
    return crc32(msgspec.json.encode(list(catalogue)))


def paid_text(text: str | None, tier: int) -> str | Refusal:
    """The text of a paid comment as it will be shown, or why it cannot be taken. Judged before anything is paid.

    Empty: no text was given. Words are judged by the room, after the payment: a gift shows also where its text does not.
    """
    if text is None:
        return ""
    longest = TIERS[tier].text_chars_max
    if not longest:
        return Refusal("invalid", "This gift carries no text.", field="text")
    cleaned = clean(text)
    if not cleaned:
        return Refusal("invalid", "Nothing is left of this text.", field="text")
    if len(cleaned) > longest:
        return Refusal("too_large", f"At most {longest} characters with this gift.", field="text")
    return cleaned


def about_of(person: Person, tier: int, text: str = "") -> bytes:
    """What `money.Gift.about` carries."""
    return _encode_about(About(person, tier, text))


def shown(fact: bookkeeping.GiftCommitted, position: int) -> GiftShown:
    """A committed gift on its way from the ledger to its room. Raises `msgspec.DecodeError`."""
    gift, about = fact.gift, _decode_about(fact.gift.about)
    return GiftShown(
        position=position,
        tx=gift.tx,
        person=about.person,
        broadcast=gift.broadcast,
        gift=gift.gift,
        n=gift.n,
        value=gift.value,
        tier=about.tier,
        to=gift.to,
        text=about.text,
        total=fact.total,
    )


def taken_back(fact: bookkeeping.GiftReversed, position: int) -> GiftReversed:
    """A reversed gift on its way from the ledger to its room."""
    gift = fact.gift
    return GiftReversed(position, gift.tx, gift.user, gift.broadcast, gift.gift, gift.n, gift.value, gift.to, fact.total)
