"""Records of rooms for the archive, on Redis or Valkey. `lua/commit.lua` writes them; `redis/keys.py` says what is in one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from livecast.adapters.redis import keys
from livecast.adapters.redis.server import RedisServer
from livecast.ports import Record


class RedisRoomRecords:
    """`ports.RoomRecords` on one server. It has nothing of its own to close."""

    def __init__(self, server: RedisServer) -> None:
        self._server = server

    async def read(self, after: Mapping[int, str], limit: int) -> dict[int, list[Record]]:
        """All shards in one round trip."""
        if not after:
            return {}
        found = await self._server.pipeline(
            [
                ("XRANGE", keys.of_shard("records", shard), f"({position}" if position else "-", "+", "COUNT", limit)
                for shard, position in after.items()
            ]
        )
        return {shard: [_record(id_, fields) for id_, fields in page] for shard, page in zip(after, found, strict=True)}

    async def forget(self, upto: Mapping[int, str]) -> None:
        """Trimmed up to each position, and the one at it."""
        if upto:
            await self._server.pipeline(
                [
                    command
                    for shard, position in upto.items()
                    for command in (
                        ("XTRIM", keys.of_shard("records", shard), "MINID", "=", position),
                        ("XDEL", keys.of_shard("records", shard), position),
                    )
                ]
            )


def _record(id_: bytes, fields: Sequence[bytes]) -> Record:
    held = dict(zip(fields[::2], fields[1::2], strict=True))
    return Record(
        position=id_.decode(),
        number=int(held[b"n"]),
        room=held[b"r"].decode(),
        broadcast=held[b"b"].decode(),
        epoch=held[b"e"].decode(),
        commit=int(held[b"k"]),
        seq=int(held[b"q"]),
        at=int(held[b"t"]),
        frame=held[b"f"] or None,
        snapshot=held[b"s"] or None,
        summary=held[b"y"] or None,
        notes=held[b"o"] or None,
    )
