"""What was read last of the ledgers: whoever follows them besides the rooms reads the same entries, and the store is asked once.

Webhooks and the archive go on from cursors of their own, at their own pace; those who fell behind read from the ledger itself.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeAlias

from livecast.core.books.bookkeeping import BookEntry
from livecast.ledger import Ledger

KEEP_MS: Final = 10_000
"""How long entries are kept. Webhooks read on within a tenth of a second, the archive within some."""
ENTRIES_MAX: Final = 30_000
"""Entries kept of all shards, some 30 MB; beyond it the oldest go first, and who wanted them asks the ledger."""

Read: TypeAlias = Callable[[int, int, int], Awaitable[list[BookEntry]]]
"""As `Ledger.read`: (shard, after, limit)."""


class _Held:
    """A shard's entries above `begin`, without a gap up to `end`, and when each was read."""

    __slots__ = ("begin", "end", "entries", "positions", "times")

    def __init__(self, begin: int) -> None:
        self.begin = self.end = begin
        self.entries: list[BookEntry] = []
        self.positions: list[int] = []
        self.times: deque[tuple[int, int]] = deque()  # when, and up to which position


class LedgerTail:
    """The last entries of the shards that somebody reads on. `put` what was read, `read` it again."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._held: dict[int, _Held] = {}
        self._size = 0

    def put(self, shard: int, after: int, entries: Sequence[BookEntry], now: int) -> None:
        """These come right behind the position `after`; there is nothing between."""
        held = self._held.get(shard)
        if held is None or held.end != after:
            self.forget(shard)
            held = self._held[shard] = _Held(after)
        held.entries += entries
        held.positions += [entry.position for entry in entries]
        held.end = held.positions[-1]
        held.times.append((now, held.end))
        self._size += len(entries)
        while self._size > ENTRIES_MAX:
            self._let_go(min((each for each in self._held.values() if each.times), key=lambda each: each.times[0][0]))

    async def read(self, shard: int, after: int, limit: int) -> list[BookEntry]:
        """Entries above a position, in order: those that are here, else from the ledger. Raises `StoreError`.

        Of what nobody has read yet it knows nothing: whoever follows is told when there is more.
        """
        held = self._held.get(shard)
        if held is None or not held.begin <= after <= held.end:
            return await self._ledger.read(shard, after, limit)
        first = bisect_right(held.positions, after)
        return held.entries[first : first + limit]

    def tidy(self, now: int) -> None:
        """Let go of what has been here for long enough."""
        for held in self._held.values():
            while held.times and now - held.times[0][0] > KEEP_MS:
                self._let_go(held)

    def forget(self, shard: int) -> None:
        """Nobody reads this shard on any more."""
        if (held := self._held.pop(shard, None)) is not None:
            self._size -= len(held.entries)

    def _let_go(self, held: _Held) -> None:
        """Of what was read first."""
        _, held.begin = held.times.popleft()
        gone = bisect_right(held.positions, held.begin)
        del held.entries[:gone], held.positions[:gone]
        self._size -= gone
