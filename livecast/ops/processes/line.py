"""The line between a supervisor and a worker: a pair of connected sockets, made before the worker is started.

A message is one struct as MessagePack behind its length. Either side learns at once that the other one is gone, however it died,
because the kernel closes its end.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any, Final, Generic, TypeAlias, TypeVar

import msgspec
from msgspec import Struct

from livecast.ops.processes.figures import Family

LENGTH_BYTES: Final = 4
MESSAGE_BYTES_MAX: Final = 64 * 1024 * 1024
"""A catalogue or a page of metrics takes kilobytes; a length beyond this is none."""


class Entry(Struct, frozen=True, array_like=True):
    """One setting as it was given: `layers.Given` and where it belongs."""

    section: str
    key: str
    value: Any
    origin: str
    text: bool
    lines: bool


class Begin(Struct, frozen=True, tag=True):
    """Be this worker, with these settings. The first message."""

    number: int
    dev: bool
    settings: list[Entry]
    headcount: tuple[int, int, int, bytes]
    """Where the node's connections are counted: descriptor, rows of the table, the worker's row, key."""


class Reload(Struct, frozen=True, tag=True):
    """Keep to these settings from now on, as far as you can."""

    settings: list[Entry]


class Stop(Struct, frozen=True, tag=True):
    """Finish, and send your viewers away with delays spread over so long. `alone`: the others go on."""

    spread_ms: int
    alone: bool


class News(Struct, frozen=True, tag=True):
    """What does not work fully in other workers, in words for an operator."""

    degraded: tuple[str, ...]


class Count(Struct, frozen=True, tag=True):
    """Tell what you have counted."""

    number: int


class Page(Struct, frozen=True, tag=True):
    """The metrics of all, as they were asked for."""

    number: int
    text: bytes


class Ready(Struct, frozen=True, tag=True):
    """The worker accepts connections."""


class Reloaded(Struct, frozen=True, tag=True):
    """What the worker keeps to now that it did not before, and what of the new settings it cannot take over while it runs."""

    taken: tuple[str, ...]
    waits: tuple[str, ...]


class Counted(Struct, frozen=True, tag=True):
    """What a worker has counted. `number` as asked, or 0: the last word before it ends."""

    number: int
    families: list[Family]


class WantPage(Struct, frozen=True, tag=True):
    """Somebody asks a worker for the metrics of all."""

    number: int


ToWorker: TypeAlias = Begin | Reload | Stop | News | Count | Page
ToSupervisor: TypeAlias = Ready | Reloaded | Counted | WantPage
Heard = TypeVar("Heard")


class Line(Generic[Heard]):
    """One end of the line."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, decoder: msgspec.msgpack.Decoder[Heard]) -> None:
        self._reader = reader
        self._writer = writer
        self._decode = decoder.decode

    async def hear(self) -> Heard | None:
        """The next message; None if the other side is gone. Raises `msgspec.DecodeError` if it is not understood."""
        try:
            length = int.from_bytes(await self._reader.readexactly(LENGTH_BYTES), "big")
            if length > MESSAGE_BYTES_MAX:
                return None
            return self._decode(await self._reader.readexactly(length))
        except (asyncio.IncompleteReadError, OSError):
            return None

    async def hear_known(self) -> Heard | None:
        """The next message that we understand; None if the other side is gone. Workers are replaced by those of the next version
        while their supervisor stays: what only that one knows is left out.
        """
        while True:
            try:
                return await self.hear()
            except msgspec.DecodeError:
                continue

    def say(self, message: ToWorker | ToSupervisor) -> None:
        """Send a message. Nobody waits for it to arrive; to one who is gone nothing is sent."""
        if not self._writer.is_closing():
            body = msgspec.msgpack.encode(message)
            self._writer.write(len(body).to_bytes(LENGTH_BYTES, "big") + body)

    async def close(self) -> None:
        """Hang up once all that was said is sent."""
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except OSError:
            return  # the other side is gone: nothing is left to be sent


async def to_worker(end: socket.socket) -> Line[ToSupervisor]:
    """The supervisor's end."""
    reader, writer = await asyncio.open_unix_connection(sock=end)
    return Line(reader, writer, msgspec.msgpack.Decoder(ToSupervisor))


async def to_supervisor(end: socket.socket) -> Line[ToWorker]:
    """The worker's end."""
    reader, writer = await asyncio.open_unix_connection(sock=end)
    return Line(reader, writer, msgspec.msgpack.Decoder(ToWorker))
