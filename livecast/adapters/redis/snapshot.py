"""All that a server holds, as of one moment, over the wire: as a replica would ask for it, and key by key into an empty store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import IO, Any, Final

from redis import exceptions as redis_errors

from livecast.adapters.redis.node import Command, Node, in_our_terms, pack
from livecast.adapters.redis.server import RedisServer
from livecast.ports import StoreError

SILENCE_S: Final = 60.0
"""How long a server may say nothing: it says a byte every ten seconds while it writes a snapshot for us."""
CHUNK: Final = 1024 * 1024
KEYS_PER_TURN: Final = 100
"""Keys that are copied in one round trip. Most are small; a full board has some megabytes."""
_EOF_MARK: Final = 40
"""Bytes of chance that end a snapshot whose length is not known beforehand."""


async def take_snapshot(server: RedisServer, to: Path) -> int:
    """Write an RDB file of one moment; how many keys there were. Raises `StoreError`, also for a cluster, which has no one moment.

    Its user needs `+sync +replconf`, which users for nodes need not have.
    """
    ((node, keys), *more) = await server.everywhere("DBSIZE")
    if more:
        raise StoreError("the nodes of a cluster have no moment in common")
    try:
        await _receive(node, to)
    except (redis_errors.RedisError, OSError) as error:
        raise in_our_terms(error) from error
    return int(keys)


async def pour(source: RedisServer, target: RedisServer) -> int:
    """Copy every key, with its end of life, into a store that is empty; how many. Raises `StoreError` if it is not.

    Its user needs `+restore`.
    """
    there = sum(keys for _, keys in await target.everywhere("DBSIZE"))
    if there:
        raise StoreError(f"it has {there} keys, and nothing in it was touched: only an empty one is filled")
    copied = 0
    async for keys in _names(source):
        questions: list[Command] = [command for key in keys for command in (("DUMP", key), ("PEXPIRETIME", key))]
        found = await source.pipeline(questions)
        await target.pipeline(
            [
                ("RESTORE", key, max(0, ends_at), value, "ABSTTL")
                for key, value, ends_at in zip(keys, found[::2], found[1::2], strict=True)
                if value is not None  # its life ended meanwhile
            ]
        )
        copied += len(keys)
    return copied


async def _names(source: RedisServer) -> AsyncIterator[list[bytes]]:
    for node, first in await source.everywhere("SCAN", 0, "COUNT", KEYS_PER_TURN):
        cursor, keys = first
        while True:
            if keys:
                yield keys
            if cursor == b"0":
                break
            cursor, keys = await source.run_at(node, "SCAN", cursor, "COUNT", KEYS_PER_TURN)


async def _receive(node: Node, to: Path) -> None:
    connection: Any = node.listener()
    try:
        await connection.connect()
        for option in (("capa", "eof"), ("rdb-only", "1")):
            await connection.send_packed_command(pack([("REPLCONF", *option)]))
            await connection.read_response()
        # From here on the server speaks no protocol that a client understands: a length or a mark, then bytes.
        await connection.send_packed_command(pack([("SYNC",)]))
        with to.open("wb") as file:
            await _copy(connection._reader, file)  # noqa: SLF001 - there is no other way to the bytes
    finally:
        await connection.disconnect(nowait=True)


async def _copy(reader: asyncio.StreamReader, file: IO[bytes]) -> None:
    head = b"\n"
    while head == b"\n":  # the server says that it is at it
        async with asyncio.timeout(SILENCE_S):
            head = await reader.readline()
    if not head.startswith(b"$"):
        raise StoreError(f"it gives no snapshot: {head.decode(errors='replace').strip().lstrip('-') or 'it hung up'}")
    if head.startswith(b"$EOF:"):
        await _copy_until(reader, file, head[5 : 5 + _EOF_MARK])
        return
    left = int(head[1:])
    while left:
        async with asyncio.timeout(SILENCE_S):
            data = await reader.read(min(CHUNK, left))
        if not data:
            raise StoreError("it hung up in the middle of a snapshot")
        await asyncio.to_thread(file.write, data)
        left -= len(data)


async def _copy_until(reader: asyncio.StreamReader, file: IO[bytes], mark: bytes) -> None:
    kept = b""
    while True:
        async with asyncio.timeout(SILENCE_S):
            data = await reader.read(CHUNK)
        if not data:
            raise StoreError("it hung up in the middle of a snapshot")
        kept += data
        if kept.endswith(mark):
            await asyncio.to_thread(file.write, kept[: -len(mark)])
            return
        await asyncio.to_thread(file.write, kept[: -len(mark)])
        kept = kept[-len(mark) :]
