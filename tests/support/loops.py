"""The event loop of tests that are about transports."""

from __future__ import annotations

import warnings

import uvloop


class ClosingLoop(uvloop.Loop):
    """uvloop, but for its end: of what a failed test left open it warns, and where warnings are errors, as here, it leaves open
    what it warned of, and waits for that to close for good. So it is warned of behind the end.
    """

    def close(self) -> None:
        """With all that was left open."""
        with warnings.catch_warnings(record=True) as left:
            warnings.simplefilter("always")
            super().close()
        for each in left:
            warnings.warn(each.message, stacklevel=2)
