"""First answers to HTTP POSTs, on Redis or Valkey: shared by all nodes."""

from __future__ import annotations

import secrets
from typing import Final

from livecast.adapters.bounds import IDEMPOTENCY_MS
from livecast.adapters.redis import keys
from livecast.adapters.redis.server import RedisServer, Script
from livecast.ports import InFlight, OtherBody, StoreError

BEGIN = Script("idempotency_begin.lua", keys=1)
FINISH = Script("idempotency_finish.lua", keys=1)


DOUBTFUL_MAX: Final = 10_000
"""Requests remembered of which the store did not say whether they hold their key. The oldest is forgotten first: its repeat waits
for the lease to end."""


class RedisIdempotency:
    """`ports.IdempotencyStore` on one server."""

    def __init__(self, server: RedisServer) -> None:
        self._server = server
        self._doubtful: dict[str, bytes] = {}
        """Key -> as whom it was asked for in vain. A store that froze carries out later what nobody waits for any more: the repeat
        asks as the same, and is not held up by itself.
        """

    async def begin(self, key: str, digest: bytes, lease_ms: int) -> bytes | None:
        """None: go ahead; bytes: the answer to give again."""
        holder = self._doubtful.pop(key, None) or secrets.token_bytes(8)
        try:
            answer = await self._server.script(BEGIN, keys.idempotency(key), digest, lease_ms, holder)
        except StoreError:
            self._doubtful.setdefault(key, holder)  # of two at once the first was asked first
            if len(self._doubtful) > DOUBTFUL_MAX:
                del self._doubtful[next(iter(self._doubtful))]
            raise
        match answer:
            case [b"GO"]:
                return None
            case [b"AGAIN", bytes(first)]:
                return first
            case [b"IN_FLIGHT"]:
                raise InFlight(key)
            case [b"OTHER_BODY"]:
                raise OtherBody(key)
            case _:
                raise StoreError(f"the script answered {answer!r}")

    async def finish(self, key: str, digest: bytes, answer: bytes | None) -> None:
        """Store the answer, or forget the key. What another request holds or has answered stays."""
        store = b"0" if answer is None else b"1"
        await self._server.script(FINISH, keys.idempotency(key), digest, IDEMPOTENCY_MS, store, answer or b"")
