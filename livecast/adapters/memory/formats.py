"""The mark of a store's format, in this process's memory."""

from __future__ import annotations

from collections.abc import Collection

from livecast.core.nodes.formats import Mark
from livecast.ports import Roster


class MemoryFormats:
    """`ports.Formats` in memory, beside a roster."""

    def __init__(self, roster: Roster) -> None:
        self._roster = roster
        self._mark: Mark | None = None

    async def mark(self) -> Mark | None:
        """What was put."""
        return self._mark

    async def put(self, former: Mark | None, mark: Mark, beside: Collection[str] | None = None) -> bool:
        """Compare and set. A roster in memory does not wait, so nobody comes in between."""
        if self._mark == mark:
            return True
        if self._mark != former or (beside is not None and not set(await self._roster.signs()) <= set(beside)):
            return False
        self._mark = mark
        return True
