"""Coupon codes that need not be kept: each follows from the drop's secret and the unit's serial.

Written in Crockford's base 32 (https://www.crockford.com/base32.html): no I, L, O and U, so that what is read out or typed
from a screen is understood whichever of 0 and O, or 1, I and l, was meant.
"""

from __future__ import annotations

import hmac
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from hashlib import _Hash as Hash

ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
CODE_CHARS: Final = 12
"""60 bits. Of a million codes two are the same once in two million drops, and who guesses finds one of them once in 10^12
tries; with two characters less it were once in two thousand drops, and nobody types longer ones without a mistake."""
GROUP_CHARS: Final = 4
"""Between dashes: what one keeps in mind while typing."""
_PAIRS: Final = tuple(a + b for a in ALPHABET for b in ALPHABET)
"""Ten bits at a time: half the work of a code, and a sold-out drop makes hundreds at once."""
CODES_KEPT: Final = 4096
"""The last ones made, some half MB: webhooks tell of a unit's code a tenth of a second after its winner was told."""
_BLOCK_BYTES: Final = 64
"""Of SHA-256. A drop's key is shorter."""
_INNER: Final = bytes(byte ^ 0x36 for byte in range(256))
_OUTER: Final = bytes(byte ^ 0x5C for byte in range(256))
_TYPED: Final = str.maketrans("ILO", "110", "- ")


def code_key(secret: bytes) -> bytes:
    """The key of a drop's codes. Not the secret itself: a draw's seed follows from that too, and is published in the end."""
    return hmac.digest(secret, b"codes", "sha256")


@lru_cache(maxsize=CODES_KEPT)
def code_of(key: bytes, serial: int) -> str:
    """The code of a unit, as `7K3M-9QXZ-2B4T`: the first 60 bits of HMAC-SHA256(key, serial as 8 bytes, big-endian)."""
    inner, outer = _keyed(key)
    inner, outer = inner.copy(), outer.copy()
    inner.update(serial.to_bytes(8))
    outer.update(inner.digest())
    bits = int.from_bytes(outer.digest()[:8]) >> 4
    pairs = _PAIRS
    return (
        f"{pairs[bits >> 50]}{pairs[bits >> 40 & 1023]}-{pairs[bits >> 30 & 1023]}{pairs[bits >> 20 & 1023]}"
        f"-{pairs[bits >> 10 & 1023]}{pairs[bits & 1023]}"
    )


@lru_cache(maxsize=256)
def _keyed(key: bytes) -> tuple[Hash, Hash]:
    """HMAC under a drop's key (RFC 2104), to be copied: its two hashes, each with the padded key in it. What they have in common is
    made once for all of a drop, and without the library's object around them a code takes half the time.
    """
    padded = key.ljust(_BLOCK_BYTES, b"\0")
    return sha256(padded.translate(_INNER)), sha256(padded.translate(_OUTER))


def as_meant(typed: str) -> str:
    """A code that a person typed, as `code_of` writes it, if it can be one; else what was typed, unchanged."""
    chars = typed.strip().upper().translate(_TYPED)
    if len(chars) != CODE_CHARS or any(c not in ALPHABET for c in chars):
        return typed
    return "-".join(chars[i : i + GROUP_CHARS] for i in range(0, CODE_CHARS, GROUP_CHARS))
