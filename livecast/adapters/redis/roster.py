"""Who is there and who owns what, on the rooms' server: one hash of signs of life, and the fence of each shard."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from typing import Any, Final

import msgspec

from livecast.adapters.redis import keys
from livecast.adapters.redis.server import RedisServer, Script
from livecast.core.nodes.membership import Beat
from livecast.ports import Unavailable

SWAP: Final = Script("swap.lua", keys=1)
KEEP_S: Final = 7 * 24 * 3600
"""A deployment that was given up leaves nothing behind after so long. Nobody is judged by it."""
KEEP_EVERY: Final = 1_000
"""So many signs apart its end is put off: some minutes."""

_encode = msgspec.msgpack.Encoder().encode
_beat = msgspec.msgpack.Decoder(Beat)


class RedisRoster:
    """`ports.Roster` on one server."""

    def __init__(self, server: RedisServer) -> None:
        self._server = server

    async def beat(self, node: str, beat: Beat) -> dict[str, Beat]:
        """Two commands of one round trip."""
        commands: list[tuple[str | bytes | int, ...]] = [("HSET", keys.BEATS, node, _encode(beat)), ("HGETALL", keys.BEATS)]
        if beat.count % KEEP_EVERY == 1:
            commands.append(("EXPIRE", keys.BEATS, KEEP_S))
        return _signs((await self._server.pipeline(commands))[1])

    async def signs(self) -> dict[str, Beat]:
        """One command."""
        return _signs(await self._server.run("HGETALL", keys.BEATS))

    async def forget(self, node: str, beat: Beat) -> None:
        """Between the look and the deletion the node may show a new sign: then it shows another one half a second later."""
        if await self._server.run("HGET", keys.BEATS, node) == _encode(beat):
            await self._server.run("HDEL", keys.BEATS, node)

    async def tokens(self, shards: Collection[int]) -> dict[int, str]:
        """One read per shard, in one round trip."""
        wanted = sorted(shards)
        found = await self._server.pipeline([("GET", keys.owner(shard)) for shard in wanted]) if wanted else []
        return {shard: token.decode() if token is not None else "" for shard, token in zip(wanted, found, strict=True)}

    async def swap(self, moves: Mapping[int, tuple[str, str]]) -> set[int]:
        """One call of the script per shard, in one round trip."""
        calls = [(keys.owner(shard), former, new) for shard, (former, new) in moves.items()]
        try:
            async with asyncio.timeout(self._server.deadline_s):
                answers: list[Any] = await self._server.run_script(SWAP, calls) if calls else []
        except TimeoutError:
            raise Unavailable(f"no answer within {self._server.deadline_s} s") from None
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        return {shard for shard, done in zip(moves, answers, strict=True) if done == 1}


def _signs(flat: list[bytes]) -> dict[str, Beat]:
    pairs = zip(flat[::2], flat[1::2], strict=True)
    return {name.decode(): seen for name, value in pairs if (seen := _read(value)) is not None}


def _read(value: bytes) -> Beat | None:
    """A sign of life; None if it is of a version that writes them differently, which is no sign to us."""
    try:
        return _beat.decode(value)
    except msgspec.DecodeError:
        return None
