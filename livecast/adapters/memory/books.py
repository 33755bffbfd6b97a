"""The books of the ledger in memory: per shard a position and its entries, and answers that are remembered for a time."""

from __future__ import annotations

from collections import defaultdict
from typing import Generic, TypeVar

from livecast.core.books.bookkeeping import BookEntry, BookFact
from livecast.core.nodes.placement import shard_of
from livecast.ledger import LedgerClosed
from livecast.ports import Clock

CONFIRM_STEP = 2**40
"""How far a confirmed shard's position goes on above all that were seen. A process may have seen more than the one that
closed the shard: at 100,000 calls a second that would be four months more. 53 bits have room for 8,000 confirmations."""

T = TypeVar("T")


class ShardBooks:
    """One shard's ledger."""

    __slots__ = ("begins", "closed", "entries", "position")

    def __init__(self) -> None:
        self.position = 0
        self.begins = 0
        """Entries up to here are forgotten."""
        self.closed = ""
        self.entries: list[BookEntry] = []

    def call(self) -> None:
        """An operation begins. Raises `LedgerClosed`; each moves the position on, also one that will write nothing."""
        self.position += 1
        if self.closed:
            raise LedgerClosed(self.closed)

    def next_position(self) -> int:
        """Where the next entry will stand: the first of a call has the call's position."""
        is_taken = bool(self.entries) and self.entries[-1].position == self.position
        return self.position + is_taken

    def append(self, at: int, fact: BookFact) -> int:
        """Enter a fact; its position."""
        self.position = self.next_position()
        self.entries.append(BookEntry(self.position, at, fact))
        return self.position


class Books:
    """All shards' ledgers. `clock` is the store's own."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.shards: defaultdict[int, ShardBooks] = defaultdict(ShardBooks)

    def call(self, place: str) -> ShardBooks:
        """An operation in the shard of a room or a user begins."""
        shard = self.shards[shard_of(place)]
        shard.call()
        return shard

    def agreed(self, now: int) -> int:
        """The time that both clocks have reached."""
        return min(now, self.clock())


class ForATime(Generic[T]):
    """Answers by id, each for `keep_ms` from when it was put, oldest forgotten first."""

    def __init__(self, clock: Clock, keep_ms: int) -> None:
        self._clock = clock
        self._keep_ms = keep_ms
        self._held: dict[tuple[str, ...], tuple[int, T]] = {}

    def get(self, *key: str) -> T | None:
        """The answer, if it is remembered."""
        held = self._held.get(key)
        return None if held is None or held[0] <= self._clock() else held[1]

    def put(self, value: T, *key: str) -> None:
        """Remember an answer, and forget what is too old."""
        now = self._clock()
        while self._held and next(iter(self._held.values()))[0] <= now:
            del self._held[next(iter(self._held))]
        self._held.pop(key, None)  # to the end of the queue: a dict keeps the order of insertion
        self._held[key] = (now + self._keep_ms, value)

    def forget(self, *key: str) -> None:
        """Remember it no longer."""
        self._held.pop(key, None)

    def items(self) -> list[tuple[tuple[str, ...], T]]:
        """What is remembered now."""
        now = self._clock()
        return [(key, value) for key, (until, value) in self._held.items() if until > now]
