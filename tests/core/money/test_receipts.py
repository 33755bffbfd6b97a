"""What a receipt says."""

from __future__ import annotations

from hashlib import sha256

import msgspec

from livecast.core.money.receipts import Occasion, Receipt, receipt_of
from livecast.core.money.units import Unit

WHERE = Occasion("https://live.example", "m1", "r", "b1", "d1", "sku-1")


def test_a_receipt_names_what_was_won_and_hides_the_code() -> None:
    """Registered claims in seconds, the code's hash and not the code."""
    receipt = receipt_of(Unit(7, "ann", "c", 1_700_000_000_999, 500, "granted"), WHERE, "7K3M-9QXZ-2B4T")
    assert msgspec.to_builtins(receipt) == {
        "iss": "https://live.example",
        "sub": "ann",
        "aud": "m1",
        "jti": "r/d1/7",
        "iat": 1_700_000_000,
        "room": "r",
        "broadcast": "b1",
        "drop": "d1",
        "serial": 7,
        "of": 500,
        "sku": "sku-1",
        "code_hash": sha256(b"7K3M-9QXZ-2B4T").hexdigest(),
    }


def test_a_reservation_and_a_test_drop_say_so() -> None:
    """`exp` never after the reservation's end; `sku` and `code_hash` are there also where there is none, as null."""
    unit = Unit(1, "ann", "c", 1_000, 5, "reserved", expires_at=61_999)
    receipt = receipt_of(unit, Occasion("i", "m", "r", "b", "d", test=True))
    assert (receipt.exp, receipt.test) == (61, True)
    said = msgspec.to_builtins(receipt)
    assert (said["sku"], said["code_hash"]) == (None, None)
    assert msgspec.json.decode(msgspec.json.encode(receipt), type=Receipt) == receipt
