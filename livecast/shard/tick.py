"""The pace of an overloaded room and what it keeps for those who resume. Pure: time is handed in."""

from __future__ import annotations

from typing import Final

from livecast.core.rules import RoomRules

LATE_SHARE: Final = 0.25
"""A flush that began later than this part of a tick counts as late: below it is the noise of a busy loop."""
EASE: Final = 0.8
"""How much of the stretch stays after a flush in time: about two seconds from the longest tick back to the normal one."""


class Stretch:
    """How much longer than its policy says a room's tick is, in ms: grows with lateness at once, eases off slowly.

    Longer ticks mean fewer frames for the same content, which is what an overloaded process can save without leaving
    anything out.
    """

    __slots__ = ("_tick_max_ms", "ms")

    def __init__(self, tick_max_ms: int) -> None:
        self._tick_max_ms = tick_max_ms
        self.ms = 0

    def note(self, late_ms: int, tick_ms: int) -> int:
        """A flush began `late_ms` after it was due; the stretch from now on."""
        if late_ms > tick_ms * LATE_SHARE:
            self.ms = min(max(self.ms, late_ms) + tick_ms // 2, max(self._tick_max_ms - tick_ms, 0))
        else:
            self.ms = int(self.ms * EASE)
        return self.ms


class Retention:
    """Which log entries of an epoch are kept for resume: so many frames or so long (whichever is more), within so many bytes."""

    __slots__ = ("_bytes", "_entries", "_first", "_rules")

    def __init__(self, rules: RoomRules) -> None:
        self._rules = rules
        # At in ms, bytes, at, bytes…, of numbers that follow each other. (An empty deque weighs 760 B, 10,000 times.)
        self._entries: list[int] = []
        self._first = 0
        self._bytes = 0

    def note(self, number: int, at: int, size: int) -> int:
        """Commit `number`, the one after the last, adds `size` bytes at `at`; the first number worth keeping."""
        entries, rules = self._entries, self._rules
        if not entries:
            self._first = number
        entries.append(at)
        entries.append(size)
        self._bytes += size
        first = self._first
        while number > first:
            oldest = 2 * (first - self._first)
            too_many = number - first >= rules.log_frames_max and at - entries[oldest] > rules.log_ms
            if not (too_many or self._bytes > rules.log_bytes_max):
                break
            self._bytes -= entries[oldest + 1]
            first += 1
        if first != self._first:
            del entries[: 2 * (first - self._first)]
            self._first = first
        return first
