"""An event loop whose clock jumps to the next timer instead of waiting for it: hours pass in milliseconds, in order."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


class _NeverWaits(selectors.DefaultSelector):
    """Instead of waiting for a timer, say how long it would have waited."""

    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready: list[tuple[selectors.SelectorKey, int]] = super().select(0)
        if not ready and timeout is None:
            raise RuntimeError("everything waits for something that nothing will bring about")
        if not ready and timeout:
            self.loop.now_s += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """asyncio's loop on virtual time, starting at second 1,000."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        selector = _NeverWaits()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        """Virtual seconds."""
        return self.now_s

    def unix_ms(self) -> int:
        """The same clock as the rooms' `now`."""
        return 1_700_000_000_000 + round(self.now_s * 1000)


def run_virtual(main: Callable[[VirtualLoop], Awaitable[T]]) -> T:
    """Run `main` to its end on virtual time."""
    loop = VirtualLoop()
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(main(loop))
    finally:
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
        asyncio.set_event_loop(None)
