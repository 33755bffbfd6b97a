"""The ledger on Redis or Valkey. An operation is one call of a script of `lua/ledger/`, whose header says what it does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from livecast.adapters.memory.books import CONFIRM_STEP
from livecast.adapters.redis.books import RedisBooks
from livecast.adapters.redis.ledger_calls import LedgerCalls, LedgerScript, LedgerServer, behind
from livecast.adapters.redis.ledger_entries import entry_of
from livecast.adapters.redis.server import Command
from livecast.core.books.bookkeeping import BookEntry
from livecast.core.nodes.placement import SHARDS, shard_of
from livecast.ledger import ShardStatus, Span

TRIM: Final = LedgerScript("trim")


class RedisLedger(RedisBooks):
    """`ledger.Ledger` on a store. `close` ends its own calls; the server is the composition root's to close.

    Every wallet begins with `opening` coins: 0 but in development.
    """

    def __init__(self, server: LedgerServer, *, opening: int = 0) -> None:
        super().__init__(LedgerCalls(server), opening)
        self.server = server
        self._is_cluster = server.address.form == "cluster"

    def server_of(self, place: str) -> str:
        """The node that has the shard."""
        return self.server.route(f"{{s{shard_of(place)}}}:barrier") if self._is_cluster else ""

    async def position(self, shard: int) -> ShardStatus:
        """Where the shard's ledger stands."""
        tag = f"{{s{shard}}}:"
        where = (("GET", f"{tag}barrier"), ("HMGET", f"{tag}closed", "seen", "stood"), ("GET", f"{tag}begins"))
        return _status(shard, *await self._calls.read(shard, *where))

    async def statuses(self, shards: Sequence[int] = range(SHARDS)) -> list[ShardStatus]:
        """Where these shards stand, in one round trip."""
        commands: list[Command] = []
        for shard in shards:
            commands += [("GET", f"{{s{shard}}}:barrier"), ("HMGET", f"{{s{shard}}}:closed", "seen", "stood")]
        if self.server.replicas:  # a write behind the reads on each server: what vouches for it vouches for all that was read there
            await self.server.know()
            last_at = {self.server.route(f"{{s{shard}}}:barrier"): shard for shard in shards}
            commands += [("INCR", f"{{s{shard}}}:barrier") for shard in last_at.values()]
        answers = await self.server.pipeline(commands, follow=False)
        return [_status(shard, *answers[2 * nth : 2 * nth + 2]) for nth, shard in enumerate(shards)]

    def moved(self) -> set[int]:
        """Shards that went on since this was last asked, as far as own calls tell."""
        return self._calls.moved()

    async def read(self, shard: int, after: int, limit: int) -> list[BookEntry]:
        """Entries above a position."""
        (found,) = await self._calls.read(shard, ("XRANGE", f"{{s{shard}}}:ledger", f"({after}-0", "+", "COUNT", limit))
        return [entry_of(id_, fields) for id_, fields in found]

    async def spans(self) -> list[Span]:
        """How long all shards are, in one round trip."""
        commands: list[Command] = []
        for shard in range(SHARDS):
            commands += [("XLEN", f"{{s{shard}}}:ledger"), ("GET", f"{{s{shard}}}:begins")]
        answers = await self.server.pipeline(commands)
        return [Span(shard, answers[2 * shard], int(answers[2 * shard + 1] or 0)) for shard in range(SHARDS)]

    async def trim(self, shard: int, upto: int, now: int) -> int:
        """Forget entries up to a position."""
        answer = await self._calls.operate(TRIM, shard, now, upto)
        return int(answer[1])

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


def _status(shard: int, position: bytes | None, closed: Sequence[bytes | None], begins: bytes | None = None) -> ShardStatus:
    seen, stood = closed
    why = "" if seen is None else behind(int(seen), int(stood or 0))
    return ShardStatus(shard, int(position or 0), why, int(begins or 0))
