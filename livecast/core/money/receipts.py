"""What a receipt for a unit says: the claims of a JWT, to be signed by whoever holds the key.

The receipt shows to anybody who knows the public key that this user holds this unit. It carries the hash of the code, not the
code: it may be passed on without giving the coupon away.
"""

from __future__ import annotations

from hashlib import sha256

from msgspec import Struct

from livecast.core.money.units import Unit


class Receipt(Struct, frozen=True, omit_defaults=True):
    """Registered claims as in RFC 7519 (`iat`, `exp`: seconds), and what was won. `aud` is the merchant.

    `jti` is the same however often the receipt is asked for. `exp` is there while the unit is only reserved: a receipt of a
    lapsed reservation is worth nothing. `sku` and `code_hash` are always there, null where there is none: readers may count on
    them. (What has its default is left out, so "" stands for receipts from before that, which lacked them.)
    """

    iss: str
    sub: str
    aud: str
    jti: str
    iat: int
    room: str
    broadcast: str
    drop: str
    serial: int
    of: int
    sku: str | None = ""
    code_hash: str | None = ""
    exp: int | None = None
    test: bool = False


class Occasion(Struct, frozen=True):
    """Where a unit was won: what all receipts of a drop share."""

    issuer: str
    merchant: str
    room: str
    broadcast: str
    drop: str
    sku: str = ""
    test: bool = False


def receipt_of(unit: Unit, occasion: Occasion, code: str = "") -> Receipt:
    """The receipt for a unit. `code` is its code in full, wherever that comes from; empty: it has none."""
    return Receipt(
        iss=occasion.issuer,
        sub=unit.user,
        aud=occasion.merchant,
        jti=f"{occasion.room}/{occasion.drop}/{unit.serial}",
        iat=unit.at // 1000,
        exp=None if unit.expires_at is None else unit.expires_at // 1000,
        room=occasion.room,
        broadcast=occasion.broadcast,
        drop=occasion.drop,
        serial=unit.serial,
        of=unit.of,
        sku=occasion.sku or None,
        code_hash=code_hash(code) if code else None,
        test=occasion.test,
    )


def code_hash(code: str) -> str:
    """SHA-256 of a code as it was handed out, hex."""
    return sha256(code.encode()).hexdigest()
