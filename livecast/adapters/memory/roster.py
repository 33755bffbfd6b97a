"""Who is there and who owns what, in this process's memory: for several nodes in one process."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from livecast.adapters.memory.log import MemoryRoomLog
from livecast.core.nodes.membership import Beat


class MemoryRoster:
    """`ports.Roster` in memory; the fences are those of the log. Nothing here awaits, so each call is atomic on the loop."""

    def __init__(self, log: MemoryRoomLog) -> None:
        self._fences = log.fences
        self._beats: dict[str, Beat] = {}

    async def beat(self, node: str, beat: Beat) -> dict[str, Beat]:
        """Keep it, and give all."""
        self._beats[node] = beat
        return dict(self._beats)

    async def signs(self) -> dict[str, Beat]:
        """Give all."""
        return dict(self._beats)

    async def forget(self, node: str, beat: Beat) -> None:
        """Unless it is another one by now."""
        if self._beats.get(node) == beat:
            del self._beats[node]

    async def tokens(self, shards: Collection[int]) -> dict[int, str]:
        """What stands there."""
        return {shard: self._fences.get(shard, "") for shard in shards}

    async def swap(self, moves: Mapping[int, tuple[str, str]]) -> set[int]:
        """Compare and set."""
        for shard, (former, new) in moves.items():
            if self._fences.get(shard, "") == former:
                self._fences[shard] = new
        return {shard for shard, (_, new) in moves.items() if self._fences.get(shard) == new}
