"""Entries read once and followed by several: the same as the ledger's, in order, without a gap, within bounds."""

from __future__ import annotations

import asyncio
from typing import cast

from livecast.core.books.bookkeeping import BookEntry, PendingCleared
from livecast.ledger import Ledger
from livecast.shard import ledger_tail
from livecast.shard.ledger_tail import KEEP_MS, LedgerTail


def entry(position: int) -> BookEntry:
    """Some entry."""
    return BookEntry(position, 1, PendingCleared("commit", f"t{position}"))


class Store:
    """A ledger of one shard whose even positions hold entries, and how often it was asked."""

    def __init__(self, last: int) -> None:
        self.entries = [entry(position) for position in range(2, last + 1, 2)]
        self.asked = 0

    async def read(self, _shard: int, after: int, limit: int) -> list[BookEntry]:
        self.asked += 1
        return [each for each in self.entries if each.position > after][:limit]


def test_every_follower_reads_what_the_ledger_has_from_wherever_it_stands() -> None:
    """From before the tail, within it, between entries, at its end: always the ledger's own answer, asked for only from before."""

    async def main() -> None:
        store = Store(100)
        tail = LedgerTail(cast("Ledger", store))
        tail.put(7, 39, store.entries[19:35], 0)
        tail.put(7, 70, store.entries[35:], 0)
        for after in range(102):
            for limit in (1, 3, 500):
                store.asked = 0
                assert await tail.read(7, after, limit) == [e for e in store.entries if e.position > after][:limit]
                assert store.asked == (after < 39 or after > 100)

    asyncio.run(main())


def test_after_a_gap_nothing_from_before_it_is_given_out_as_if_there_were_none() -> None:
    """Somebody else owned the shard meanwhile: what they read is not here."""

    async def main() -> None:
        store = Store(100)
        tail = LedgerTail(cast("Ledger", store))
        tail.put(7, 0, store.entries[:5], 0)
        tail.put(7, 80, store.entries[40:], 0)
        assert await tail.read(7, 4, 500) == store.entries[2:]
        assert store.asked == 1

    asyncio.run(main())


def test_it_keeps_entries_for_a_time_and_no_more_than_it_may(monkeypatch) -> None:
    """What is gone is read from the ledger, also where all are of one shard."""

    async def main() -> None:
        store = Store(100)
        tail = LedgerTail(cast("Ledger", store))
        tail.put(7, 0, store.entries[:20], 0)
        tail.put(7, 40, store.entries[20:], 1_000)
        tail.tidy(KEEP_MS + 500)
        assert (await tail.read(7, 40, 500), store.asked) == (store.entries[20:], 0)
        assert (await tail.read(7, 38, 500), store.asked) == (store.entries[19:], 1)
        tail.tidy(KEEP_MS + 1_001)
        assert (await tail.read(7, 100, 500), store.asked) == ([], 1)
        monkeypatch.setattr(ledger_tail, "ENTRIES_MAX", 25)
        tail.put(7, 100, [entry(position) for position in range(102, 142, 2)], 2_000)
        tail.put(8, 0, [entry(position) for position in range(2, 22, 2)], 2_001)
        assert len(await tail.read(8, 0, 500)) == 10
        await tail.read(7, 100, 500)
        assert store.asked == 2
        assert tail._size == 10

    asyncio.run(main())
