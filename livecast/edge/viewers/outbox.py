"""What is known of a socket that does not take its bytes as fast as they come, and when enough is enough.

A healthy socket has none of this: what is written to it leaves at once, and nothing is kept per viewer. The transport tells
when bytes stay behind; from then until they are gone the socket has a `Lag`:

- above `outbox_soft_bytes` it skips whole frames, never acks or notices, and gets a `welcome` once it has drained;
- above `outbox_max_bytes`, or after `outbox_stall_ms` in which none of its bytes left, it is hung up on (4008).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from livecast.edge.rules import EdgeRules

if TYPE_CHECKING:
    from livecast.wire.sealing import Sealed

#: Values of `ViewerSocket.after` above every frame number, so that fan-out needs one comparison to pass such a socket by.
LAGGING: Final = 2**62
GONE: Final = 2**63

CATCH_UP_FRAMES_MAX: Final = 1_200
"""Frames that may wait for one who resumes over a slow line: twice what a room keeps. Then he is told to start afresh."""


class Lag:
    """One socket's unsent bytes. Sizes in bytes, times in Unix ms."""

    __slots__ = ("_sent", "_since", "after", "catch_up", "put", "skipped")

    def __init__(self, after: int, unsent: int, now: int) -> None:
        self.after = after
        """The last frame that the socket must not get again."""
        self.put = unsent
        """All that was to be sent since the lag began."""
        self.catch_up: deque[Sealed] = deque()
        """Frames of a resume that are still to be sent, before any other."""
        self.skipped = False
        """Frames were left out: once drained, the socket needs a welcome."""
        self._sent = 0
        self._since = now

    def too_slow(self, unsent: int, now: int, rules: EdgeRules) -> bool:
        """Look at what is still unsent; True if it is time to hang up."""
        sent = self.put - unsent
        if sent > self._sent:
            self._sent, self._since = sent, now
        return unsent > rules.outbox_max_bytes or now - self._since >= rules.outbox_stall_ms

    def skip(self) -> None:
        """Leave frames out from now on, also those that were to be caught up with: a welcome will replace them all."""
        self.skipped = True
        self.catch_up.clear()

    def catch_up_with(self, sealed: Sealed) -> bool:
        """Have a frame wait behind those of the resume; False if too many wait."""
        if len(self.catch_up) >= CATCH_UP_FRAMES_MAX:
            return False
        self.catch_up.append(sealed)
        return True

    def next_slice(self, form: Callable[[Sealed], bytes], bytes_max: int) -> bytes:
        """The next frames of the resume, at least one, up to about `bytes_max`."""
        frames: list[bytes] = []
        size = 0
        while self.catch_up and size < bytes_max:
            frames.append(form(self.catch_up.popleft()))
            size += len(frames[-1])
        return b"".join(frames)
