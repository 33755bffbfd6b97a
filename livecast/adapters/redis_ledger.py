"""The ledger on Redis or Valkey. An operation is one call of a script of `lua/ledger/`, whose header says what it does."""

from __future__ import annotations

from livecast.adapters.memory_books import CONFIRM_STEP
from livecast.adapters.redis_books import RedisBooks
from livecast.adapters.redis_ledger_calls import LedgerCalls, LedgerServer, behind
from livecast.adapters.redis_ledger_entries import entry_of
from livecast.core.bookkeeping import BookEntry
from livecast.ledger import ShardStatus


class RedisLedger(RedisBooks):
    """`ledger.Ledger` on one server. `close` ends its own calls; the server is the composition root's to close.

    Every wallet begins with `opening` coins: 0 but in development.
    """

    def __init__(self, server: LedgerServer, *, opening: int = 0) -> None:
        super().__init__(LedgerCalls(server), opening)
        self._server = server

    async def position(self, shard: int) -> ShardStatus:
        """Where the shard's ledger stands."""
        tag = f"{{s{shard}}}:"
        position, (seen, stood) = await self._calls.read(
            shard, ("GET", f"{tag}barrier"), ("HMGET", f"{tag}closed", "seen", "stood")
        )
        return ShardStatus(shard, int(position or 0), "" if seen is None else behind(int(seen), int(stood)))

    async def read(self, shard: int, after: int, limit: int) -> list[BookEntry]:
        """Entries above a position."""
        (found,) = await self._calls.read(shard, ("XRANGE", f"{{s{shard}}}:ledger", f"({after}-0", "+", "COUNT", limit))
        return [entry_of(id_, fields) for id_, fields in found]

    async def expect(self, shard: int, position: int) -> None:
        """The shard was seen at `position` before."""
        await self._calls.expect(shard, position)

    async def confirm(self, shard: int, now: int) -> ShardStatus:
        """Open a closed shard again as it is."""
        await self._calls.confirm(shard, now, CONFIRM_STEP)
        return await self.position(shard)

    async def close(self) -> None:
        """Calls under way raise `Unavailable`."""
        await self._calls.close()
