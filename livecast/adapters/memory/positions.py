"""Positions of the ledger remembered in this process's memory: for tests, and for ledgers that end with it."""

from __future__ import annotations

from collections.abc import Mapping


class MemoryPositions:
    """`ledger.Positions` in memory."""

    def __init__(self) -> None:
        self._seen: dict[int, int] = {}

    async def seen(self) -> dict[int, int]:
        """What is remembered."""
        return dict(self._seen)

    async def note(self, positions: Mapping[int, int]) -> None:
        """Remember higher ones."""
        self._seen |= {shard: max(position, self._seen.get(shard, 0)) for shard, position in positions.items()}
