"""Which sockets still await an answer from a room, so that each message gets exactly one, in time or not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from livecast.edge.deadlines import Deadlines

Asked: TypeAlias = tuple[int, str]
"""A socket's number and the cid it asked with."""


class Answers:
    """Answers that are due. An answer that comes after its deadline is dropped: the asker was told `unavailable`."""

    __slots__ = ("_again", "_due")

    def __init__(self, deadline_ms: int) -> None:
        self._due: Deadlines[Asked] = Deadlines(deadline_ms)
        self._again: dict[Asked, int] = {}

    def expect(self, asked: Asked, now: int) -> None:
        """One more is due. (The same cid again, while it waits, awaits an answer of its own.)"""
        if not self._due.add_new(asked, now):
            self._again[asked] = self._again.get(asked, 0) + 1

    def came(self, asked: Asked) -> bool:
        """One came; False if none is due (any more)."""
        if self._again and (again := self._again.pop(asked, 0)):
            if again > 1:
                self._again[asked] = again - 1
            return True
        return self._due.discard(asked)

    def overdue(self, now: int) -> Iterator[Asked]:
        """Take out those whose time is up, each as often as it was asked."""
        for asked in self._due.expired(now):
            for _ in range(1 + self._again.pop(asked, 0)):
                yield asked
