"""Deadlines without timers: one sweep of the node looks at what is due.

Everything put into one `Deadlines` is due the same time after it was put in, so the earliest stand in front and a sweep
looks only at those that are due.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Deadlines(Generic[K]):
    """Things that must be done with in time. Times are Unix ms."""

    __slots__ = ("_after_ms", "_due")

    def __init__(self, after_ms: int) -> None:
        self._after_ms = after_ms
        self._due: dict[K, int] = {}

    def __len__(self) -> int:
        return len(self._due)

    def __contains__(self, item: K) -> bool:
        return item in self._due

    def add(self, item: K, now: int) -> None:
        """`item` is due `after_ms` from now, whatever was said of it before."""
        due = self._due
        if item in due:
            del due[item]  # so that it goes to the end: a dict keeps the order of insertion
        due[item] = now + self._after_ms

    def add_new(self, item: K, now: int) -> bool:
        """As `add`, unless it is there already: then False, and it is due when it was."""
        due = self._due
        if item in due:
            return False
        due[item] = now + self._after_ms
        return True

    def discard(self, item: K) -> bool:
        """`item` is done with; False if it was not there (or due already)."""
        return self._due.pop(item, None) is not None

    def expired(self, now: int) -> Iterator[K]:
        """Take out, one by one, what is due. Items may be added and discarded meanwhile."""
        while self._due:
            item = next(iter(self._due))
            if self._due[item] > now:
                return
            del self._due[item]
            yield item
