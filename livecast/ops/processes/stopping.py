"""How a process is told to stop, how it gives up what it was doing, and how it ends what it has started."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any, Final

from livecast.facts import Observer, Trouble
from livecast.ops.processes import early_signals

#: Over which time reconnecting viewers of a stopped node are spread.
BYE_SPREAD_MS: Final = 10_000

# How long each step of a node's stop may take: together less than the 15 s that a stop may.
DRAIN_ROOMS_S: Final = 4.0
DRAIN_VIEWERS_S: Final = 3.0
CLOSE_HTTP_S: Final = 1.5
DRAIN_WEBHOOKS_S: Final = 0.5
CLOSE_STORE_S: Final = 0.4
ARCHIVE_S: Final = 1.0
STOP_VALKEY_S: Final = 2.0

#: Exit code where another version of livecast is needed: starting this one again changes nothing.
EXIT_FORMAT: Final = 4


class StartFailed(Exception):  # noqa: N818 - says what happened; the message says what to do
    """The node could not start. `code`: what its process exits with."""

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code


class Stopping(asyncio.Event):
    """Set when it is time to stop. Viewers are then to come back within `spread_ms`; `alone`: others of this node go on."""

    spread_ms = BYE_SPREAD_MS
    alone = False

    def tell(self, spread_ms: int, *, alone: bool) -> None:
        """Stop now."""
        if not self.is_set():
            self.spread_ms, self.alone = spread_ms, alone
            self.set()


def told_to_stop(then: Callable[[], None] = lambda: None) -> Stopping:
    """Set by the first SIGTERM or SIGINT; the second one calls `then` and ends the process as if nobody listened."""
    stop, loop = Stopping(), asyncio.get_running_loop()
    heard_once = False

    def heard(number: signal.Signals) -> None:
        nonlocal heard_once
        if heard_once:
            then()
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        heard_once = True
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, heard, number)
    return stop


async def unless(stop: asyncio.Event, work: Coroutine[Any, Any, None]) -> bool:
    """Do `work`; False if told to stop before it was done. What it raises is raised here."""
    working = asyncio.create_task(work)
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            working.result()
            return True
        return False
    finally:
        stopping.cancel()
        working.cancel()
        await asyncio.wait({working, stopping})


def later(stack: AsyncExitStack, observer: Observer, end: Callable[[], Awaitable[None]], deadline_s: float) -> None:
    """On the way down call `end`, which may take so long; what hangs or fails must not keep the rest from ending."""

    async def ended() -> None:
        try:
            async with asyncio.timeout(deadline_s):
                await end()
        except Exception as error:  # noqa: BLE001 - whatever it is, the others still have to be stopped
            name = getattr(end, "__qualname__", repr(end))
            observer.observe(Trouble("not stopped cleanly", name, f"{type(error).__name__}: {error}", "error"))

    stack.push_async_callback(ended)


def on_hang_up(reload: Callable[[], None], stop: Callable[[], None]) -> None:
    """SIGHUP reads the configuration again, unless it means what its name says: that our terminal is gone. Then we stop."""
    had_terminal = _has_terminal()

    def heard() -> None:
        if had_terminal and not _has_terminal():
            stop()
        else:
            reload()

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, heard)
    if early_signals.noted(signal.SIGHUP):
        loop.call_soon(heard)


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True
