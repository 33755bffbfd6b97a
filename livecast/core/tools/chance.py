"""Chance that can be repeated: the same seed gives the same choices on every machine."""

from __future__ import annotations

from typing import Final, TypeVar
from zlib import crc32

T = TypeVar("T")

_MASK: Final = 2**64 - 1


class SplitMix64:
    """Steele, Lea and Flood's generator (OOPSLA 2014): one addition and three shifts per number. Fair, not secret."""

    __slots__ = ("_state",)

    def __init__(self, seed: str) -> None:
        self._state = crc32(seed.encode())

    def below(self, bound: int) -> int:
        """A number from 0 to `bound` - 1. Its bias is under `bound` / 2^64."""
        self._state = (self._state + 0x9E3779B97F4A7C15) & _MASK
        z = self._state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
        return (z ^ (z >> 31)) % bound

    def sample(self, items: list[T], k: int) -> list[T]:
        """`k` of `items`, each choice equally likely: the first `k` steps of a shuffle. Reorders `items`."""
        for i in range(min(k, len(items))):
            j = i + self.below(len(items) - i)
            items[i], items[j] = items[j], items[i]
        return items[:k]
