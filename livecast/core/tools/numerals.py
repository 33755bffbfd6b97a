"""Numbers written short, for ids."""

from __future__ import annotations

from typing import Final

DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"


def base36(n: int) -> str:
    """A natural number in base 36, as JavaScript's `toString(36)` writes it."""
    if n < 36:
        return DIGITS[n]
    out = ""
    while n:
        n, digit = divmod(n, 36)
        out = DIGITS[digit] + out
    return out
