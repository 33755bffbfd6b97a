"""How fast one account or address may ask for something: a token bucket each, and a bound on how many are remembered."""

from __future__ import annotations

from typing import Final

from livecast.edge.admission import Rate

KEPT_MAX: Final = 100_000
"""Buckets kept; when there are more, all are forgotten, which errs on their side. Some 10 MB."""


class Rates:
    """One bucket for each name. `per_s` 0: no limit."""

    __slots__ = ("_burst", "_kept", "_per_s")

    def __init__(self, per_s: float, burst: int) -> None:
        self._per_s = per_s
        self._burst = burst
        self._kept: dict[str, Rate] = {}

    def take(self, name: str, now: int) -> int:
        """Take one for `name`: 0, or (nothing taken) how many ms until there is one. "" is nobody in particular: no limit."""
        if not self._per_s or not name:
            return 0
        rate = self._kept.get(name)
        if rate is None:
            if len(self._kept) >= KEPT_MAX:
                self._kept.clear()
            rate = self._kept[name] = Rate(self._per_s, self._burst)
        return rate.take(now)
