"""API keys taken back before their entry leaves the configuration: a set of ids on the rooms' server, seen by every node."""

from __future__ import annotations

from typing import Final

from livecast.adapters.redis.server import RedisServer

KEY: Final = "revoked-keys"


class RedisRevokedKeys:
    """The ids of revoked keys. An id stays revoked: a new key needs a new one. Calls raise `StoreError`."""

    def __init__(self, server: RedisServer) -> None:
        self._server = server

    async def add(self, key_id: str) -> bool:
        """Revoke a key; False if it was revoked already."""
        return bool(await self._server.run("SADD", KEY, key_id))

    async def ids(self) -> frozenset[str]:
        """All that are revoked."""
        return frozenset(str(each, "ascii", "replace") for each in await self._server.run("SMEMBERS", KEY))
