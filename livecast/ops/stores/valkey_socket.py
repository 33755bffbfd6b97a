"""The unix socket of an embedded Valkey: where it is, and whether somebody answers there."""

from __future__ import annotations

import asyncio
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

NAME = "valkey.sock"
NOTE = "valkey.socket-directory"
PATH_BYTES_MAX = 100
"""`sun_path` has 108 bytes on Linux and 104 on macOS, with a final zero; a few to spare for Valkey's own temporary name."""
ANSWER_S = 1.0


def socket_path(directory: Path) -> Path:
    """Where the store of `directory` (absolute, 0700) listens: there, or if that path is too long for a socket in a private
    temporary directory that is noted there.
    """
    path = directory / NAME
    if len(os.fsencode(path)) <= PATH_BYTES_MAX:
        return path
    note = directory / NOTE
    with suppress(OSError):
        noted = Path(note.read_text())
        if noted.stat().st_uid == os.getuid() and noted.stat().st_mode & 0o077 == 0:
            return noted / NAME
    made = Path(tempfile.mkdtemp(prefix="livecast-"))  # mkdtemp makes it 0700
    note.write_text(str(made))
    return made / NAME


def clear(path: Path, directory: Path) -> None:
    """Remove the socket, and its temporary directory if it has one. Only for when nobody listens."""
    with suppress(OSError):
        path.unlink()
    if path.parent != directory:
        with suppress(OSError):
            path.parent.rmdir()
        with suppress(OSError):
            (directory / NOTE).unlink()


def url(path: Path) -> str:
    """The address as the Redis adapters read it."""
    return f"unix://{quote(str(path))}"


async def ping(path: Path) -> str:
    """What the store says to PING: `PONG`, or an error such as `LOADING …`. Raises `OSError` if nobody answers in time."""
    return await ask(path, "PING")


async def ask(path: Path, command: str) -> str:
    """What the store says to a command of one word, in one line. Raises `OSError` if nobody answers in time."""
    async with asyncio.timeout(ANSWER_S):
        reader, writer = await asyncio.open_unix_connection(path)
        try:
            writer.write(f"{command}\r\n".encode())
            answer = await reader.readline()
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
    if not answer:
        raise ConnectionError("hung up")
    return answer[1:].decode(errors="replace").strip()
