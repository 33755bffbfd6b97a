"""The mark of a store's format, on Redis or Valkey: a field of one hash, in JSON that an operator can read."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, Literal, TypeAlias

import msgspec

from livecast.adapters.redis import keys
from livecast.adapters.redis.server import RedisServer, Script
from livecast.core.nodes.formats import Mark
from livecast.ports import WrongFormat

Role: TypeAlias = Literal["rooms", "ledger"]

PUT: Final = Script("mark.lua", keys=2)

_encode = msgspec.json.Encoder().encode
_mark = msgspec.json.Decoder(Mark)


class RedisFormats:
    """`ports.Formats` of the store that has a role. (For development both may be one server: the role is the field.)"""

    def __init__(self, server: RedisServer, role: Role) -> None:
        self._server = server
        self._role = role

    async def mark(self) -> Mark | None:
        """One field."""
        said = await self._server.run("HGET", keys.FORMAT, self._role)
        try:
            return None if said is None else _mark.decode(said)
        except msgspec.DecodeError as error:
            raise WrongFormat(
                f"{keys.FORMAT} of the {self._role} store says {said[:200]!r}, which is no mark that this version knows ({error}): "
                f"run the version that wrote it, or, where none did, HDEL {keys.FORMAT} {self._role}"
            ) from error

    async def put(self, former: Mark | None, mark: Mark, beside: Collection[str] | None = None) -> bool:
        """One call of the script."""
        stood = b"" if former is None else _encode(former)
        alone = b"" if beside is None else b"1"
        answer = await self._server.script(
            PUT, keys.FORMAT, keys.BEATS, self._role, stood, _encode(mark), alone, *sorted(beside or ())
        )
        return bool(answer)
