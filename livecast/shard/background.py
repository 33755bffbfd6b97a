"""Work in the background of a process: whoever fails is heard of, and all of it ends together.

A task that nobody waits for takes its fault with it; if its owner keeps it, as it must, nobody hears even that it is gone, and what
it did is silently done no more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final

from livecast.facts import Observer, fault_of

AGAIN_S: Final = 1.0
"""Before endless work that failed begins anew: soon enough to be missed by few, too seldom to fill a log."""


class Background:
    """The tasks of one part. Their faults are reported as `what` failed (a sentence), and what that is `about`."""

    __slots__ = ("_about", "_observer", "_tasks", "_what")

    def __init__(self, observer: Observer, what: str, about: str) -> None:
        self._observer = observer
        self._what = what
        self._about = about
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[Any, Any, None], name: str | None = None) -> None:
        """Do this once."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def keep_up(self, work: Callable[[], Coroutine[Any, Any, None]], name: str | None = None) -> None:
        """Do this, which has no end, whatever faults of ours it meets: each is reported, and it begins anew."""
        self.spawn(self._kept_up(work), name)

    def stop(self) -> None:
        """Cancel all of it."""
        for task in tuple(self._tasks):
            task.cancel()

    async def _kept_up(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        while True:
            try:
                await work()
            except Exception as fault:  # noqa: BLE001 - see `keep_up`
                self._report(fault)
            await asyncio.sleep(AGAIN_S)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (fault := task.exception()) is not None:
            self._report(fault)

    def _report(self, fault: BaseException) -> None:
        self._observer.observe(fault_of(self._what, self._about, fault))
