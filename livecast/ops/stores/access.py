"""The embedded stores of a data directory, for tools: beside a running node through its socket, else started for the occasion.

A tool that starts a store holds the directory like a node does, so the two never meet; it stops it again, in good order, also
when it is interrupted.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final, NoReturn, TypeVar

import click
import uvloop

from livecast.core.errors import LivecastError
from livecast.facts import Fact, Trouble
from livecast.ops.stores import valkey_socket
from livecast.ops.stores.embedded import DirectoryInUse, EmbeddedValkey, Role
from livecast.ops.stores.valkey_rewrites import AOF_DIRECTORY

T = TypeVar("T")

EXIT_USAGE: Final = 2
EXIT_NOT_DONE: Final = 3
"""It could not be found out: the store does not answer, or was lost on the way. Nothing is said about what is in it."""
ANSWER_S: Final = 10.0
"""How long a store that somebody else just starts is waited for."""
LOOK_S: Final = 0.05


class NoStoreError(LivecastError):
    """There is no store in that directory; the message says what to do."""


class OnStderr:
    """An observer that tells people what they should know of a store that a tool starts."""

    def observe(self, fact: Fact) -> None:
        """Say it."""
        if isinstance(fact, Trouble):
            click.echo(f"livecast: {fact.what} ({fact.about})" + (f": {fact.advice}" if fact.advice else ""), err=True)


def directory_of(data_dir: str | Path, role: Role) -> Path:
    """Where the store of a role works. Raises `NoStoreError` if there never was one."""
    directory = Path(data_dir).absolute() / role
    if not (directory / AOF_DIRECTORY).is_dir():
        raise NoStoreError(f"there is no {role} store in {data_dir}: say where the node keeps its files with --data-dir")
    return directory.resolve()


@asynccontextmanager
async def opened(data_dir: str | Path, role: Role) -> AsyncIterator[tuple[str, bool]]:
    """The address of an embedded store, and whether it is a running node's. Raises `NoStoreError`, `EmbeddedStoreError`."""
    directory = directory_of(data_dir, role)
    valkey = EmbeddedValkey(data_dir, role, OnStderr())
    try:
        url = await valkey.start()
    except DirectoryInUse:
        path = valkey_socket.socket_path(directory)
        await _answers(path)
        yield valkey_socket.url(path), True
        return
    try:
        yield url, False
    finally:
        await asyncio.shield(valkey.stop())


async def _answers(path: Path) -> None:
    """Wait for a store that another process starts."""
    end = asyncio.get_running_loop().time() + ANSWER_S
    while asyncio.get_running_loop().time() < end:
        with suppress(OSError):
            if await valkey_socket.ping(path) == "PONG":
                return
        await asyncio.sleep(LOOK_S)
    # Whoever asks next is told in the terms of a store that does not answer.


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a tool to its end. SIGTERM interrupts it as Ctrl-C does: what it started is stopped."""

    async def interruptible() -> T:
        task = asyncio.ensure_future(work)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        try:
            return await task
        except asyncio.CancelledError:
            raise click.exceptions.Exit(128 + signal.SIGTERM) from None

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(interruptible())


def stop(message: str, code: int = EXIT_NOT_DONE) -> NoReturn:
    """Say on standard error why it ends here, and end."""
    click.echo(f"livecast: {message}", err=True)
    raise click.exceptions.Exit(code)
