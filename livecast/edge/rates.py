"""How fast one account or address may ask for something: a token bucket each, and a bound on how many are remembered."""

from __future__ import annotations

from math import ceil
from typing import Final

KEPT_MAX: Final = 100_000
"""Buckets kept; when there are more, all are forgotten, which errs on their side. Some 10 MB."""


class Rates:
    """One bucket for each name, kept as the time at which it will be full again (GCRA, Unix ms). `per_s` 0: no limit."""

    __slots__ = ("_burst_ms", "_interval_ms", "_kept")

    def __init__(self, per_s: float, burst: int) -> None:
        self._interval_ms = 1000 / per_s if per_s else 0.0
        self._burst_ms = (burst - 1) * self._interval_ms
        self._kept: dict[str, float] = {}

    def take(self, name: str, now: int) -> int:
        """Take one for `name`: 0, or (nothing taken) how many ms until there is one. "" is nobody in particular: no limit."""
        if not self._interval_ms or not name:
            return 0
        full_at = self._kept.get(name)
        if full_at is None:
            if len(self._kept) >= KEPT_MAX:
                self._kept.clear()
            full_at = now
        late = full_at - now
        if late > self._burst_ms:
            return ceil(late - self._burst_ms)
        self._kept[name] = (full_at if late > 0 else now) + self._interval_ms
        return 0
