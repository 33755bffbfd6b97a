"""The ledger in this process's memory: for development and for tests.

It keeps every promise of `ledger.Ledger` but durability: its operations are safe as long as the process lives.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from livecast.adapters.memory.books import CONFIRM_STEP, Books
from livecast.adapters.memory.picture import MemoryPictures
from livecast.core.books.bookkeeping import BookEntry, ShardConfirmed
from livecast.core.nodes.placement import SHARDS
from livecast.ledger import ShardStatus, Span


class MemoryLedger(MemoryPictures):
    """`ledger.Ledger` in memory. `clock` is the store's clock, the second one beside each caller's.

    Every wallet begins with `opening` coins: 0 but in development.
    """

    def __init__(self, clock: Callable[[], int], *, opening: int = 0) -> None:
        super().__init__(Books(clock), opening)
        self._told: dict[int, int] = {}

    def server_of(self, _place: str) -> str:
        """There is but one."""
        return ""

    async def position(self, shard: int) -> ShardStatus:
        """Where the shard's ledger stands."""
        books = self._books.shards[shard]
        return ShardStatus(shard, books.position, books.closed, books.begins)

    async def statuses(self, shards: Sequence[int] = range(SHARDS)) -> list[ShardStatus]:
        """Where these shards stand."""
        return [await self.position(shard) for shard in shards]

    def moved(self) -> set[int]:
        """Shards that went on since this was last asked."""
        positions = {shard: books.position for shard, books in self._books.shards.items()}
        told, self._told = self._told, positions
        return {shard for shard, position in positions.items() if position > told.get(shard, 0)}

    async def read(self, shard: int, after: int, limit: int) -> list[BookEntry]:
        """Entries above a position."""
        return [entry for entry in self._books.shards[shard].entries if entry.position > after][:limit]

    async def spans(self) -> list[Span]:
        """How long all shards are."""
        return [Span(shard, len(self._books.shards[shard].entries), self._books.shards[shard].begins) for shard in range(SHARDS)]

    async def trim(self, shard: int, upto: int, _now: int) -> int:
        """Forget entries up to a position."""
        books = self._books.shards[shard]
        books.call()
        kept = [entry for entry in books.entries if entry.position > upto]
        gone, books.entries = len(books.entries) - len(kept), kept
        books.begins = max(books.begins, upto if gone else 0)
        return gone

    async def expect(self, shard: int, position: int) -> None:
        """The shard was seen at `position` before."""
        books = self._books.shards[shard]
        if books.position < position and not books.closed:
            books.closed = behind(position, books.position)

    async def confirm(self, shard: int, now: int) -> ShardStatus:
        """Open a closed shard again as it is."""
        books = self._books.shards[shard]
        if books.closed:
            seen, was = books.position, books.position
            books.position += CONFIRM_STEP
            books.closed = ""
            books.append(now, ShardConfirmed(seen, was))
        return await self.position(shard)

    async def close(self) -> None:
        """Nothing to let go."""


def behind(seen: int, stands: int) -> str:
    """Why a shard is closed."""
    return f"position {seen} was seen, but the ledger stands at {stands}: what is missing may have been acknowledged"
