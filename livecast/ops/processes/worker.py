"""A worker: a node that a supervisor has started. `python -m livecast.ops.processes.worker FD`, where FD is its end of the line."""

from __future__ import annotations

import asyncio
import socket
import sys

import click
import uvloop

from livecast.edge.door.headcount import Table
from livecast.ops import logs
from livecast.ops.configuration.layers import SettingsError
from livecast.ops.configuration.settings import load
from livecast.ops.configuration.source import layer_of
from livecast.ops.processes.line import Begin, to_supervisor
from livecast.ops.processes.loading import no_collection
from livecast.ops.processes.place import Seat
from livecast.ops.processes.process import CannotListen, raise_file_limit
from livecast.ops.processes.stopping import StartFailed

with no_collection():
    from livecast.ops.main import serve


async def work(end: socket.socket) -> None:
    """Hear who we are, and be that until told to stop."""
    line = await to_supervisor(end)
    begin = await line.hear()
    if not isinstance(begin, Begin):
        return  # the supervisor is gone already
    settings = load(options=layer_of(begin.settings), dev=begin.dev)
    logs.configure(settings.log.format, settings.log.level, worker=begin.number)
    descriptor, rows, row, key = begin.headcount
    await serve(settings, Seat(line, Table(descriptor, rows, key), row))


def main() -> int:
    """The exit code: 0 after a clean stop, 1 if it could not start, 4 if the stores need another version."""
    raise_file_limit()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(work(socket.socket(fileno=int(sys.argv[1]))))
    except (StartFailed, CannotListen, SettingsError) as error:
        click.echo(f"livecast: {error}", err=True)
        return error.code if isinstance(error, StartFailed) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
