"""Positions of the ledger, remembered on the server of the rooms: another one than the ledger's, so one loss does not take both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from livecast.adapters.redis.server import RedisServer, Script

KEY: Final = "ledger:positions"
NOTE: Final = Script("positions.lua", keys=1)


class RedisPositions:
    """`ledger.Positions` on one server."""

    def __init__(self, server: RedisServer) -> None:
        self._server = server

    async def seen(self) -> dict[int, int]:
        """What is remembered."""
        flat = await self._server.run("HGETALL", KEY)
        return {int(shard): int(position) for shard, position in zip(flat[::2], flat[1::2], strict=True)}

    async def note(self, positions: Mapping[int, int]) -> None:
        """Remember higher ones."""
        await self._server.script(NOTE, KEY, *(word for pair in positions.items() for word in pair))
