"""Running a view in a terminal: draws at most so often, stops on Ctrl-C and SIGTERM, and never leaves the terminal changed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any, Final, TypeVar

from rich.console import Console, RenderableType
from rich.live import Live

T = TypeVar("T")

DRAW_EVERY_S: Final = 0.1  # ten pictures a second read as live; more only heat the terminal


def is_live(console: Console) -> bool:
    """Whether there is a terminal that can be drawn on."""
    return console.is_terminal and not console.is_dumb_terminal


def say(line: str) -> bool:
    """One line to standard output, at once: somebody may be reading at the other end of a pipe. False if nobody is any more."""
    try:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        # What is still buffered must not complain again when Python closes the file on its way out.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return False
    return True


async def until(starting: Coroutine[Any, Any, T], stop: asyncio.Event) -> T | None:
    """The outcome of `starting`, or None if `stop` was set first (`starting` is cancelled then)."""
    start = asyncio.ensure_future(starting)
    stopped = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({start, stopped}, return_when=asyncio.FIRST_COMPLETED)
        return start.result() if start.done() else None
    finally:
        start.cancel()
        stopped.cancel()
        await asyncio.wait({start, stopped})


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` of `values` lie (nearest rank); 0 if there are none."""
    if not values:
        return 0.0
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(share * len(ranked)))]


@contextlib.contextmanager
def until_stopped() -> Iterator[asyncio.Event]:
    """An event that Ctrl-C and SIGTERM set. A second Ctrl-C interrupts as usual."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def stopped(number: signal.Signals) -> None:
        stop.set()
        loop.remove_signal_handler(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped, number)
    try:
        yield stop
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


def stop_at_eof(stop: asyncio.Event) -> None:
    """Set `stop` when standard input ends. What comes on it is thrown away."""
    loop, number = asyncio.get_running_loop(), sys.stdin.fileno()

    def readable() -> None:
        if not os.read(number, 4096):
            loop.remove_reader(number)
            stop.set()

    loop.add_reader(number, readable)


async def draw(console: Console, picture: Callable[[int], RenderableType], done: asyncio.Event) -> None:
    """Fill the terminal with `picture(height)` until `done`, then give it back as it was."""
    with Live(console=console, screen=True, auto_refresh=False, redirect_stdout=False, redirect_stderr=False) as live:
        while not done.is_set():
            live.update(picture(console.height), refresh=True)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(DRAW_EVERY_S):
                    await done.wait()
