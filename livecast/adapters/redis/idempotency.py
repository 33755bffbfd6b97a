"""First answers to HTTP POSTs, on Redis or Valkey: shared by all nodes."""

from __future__ import annotations

from livecast.adapters.bounds import IDEMPOTENCY_MS
from livecast.adapters.redis import keys
from livecast.adapters.redis.server import RedisServer, Script
from livecast.ports import InFlight, OtherBody, StoreError

BEGIN = Script("idempotency_begin.lua", keys=1)
FINISH = Script("idempotency_finish.lua", keys=1)


class RedisIdempotency:
    """`ports.IdempotencyStore` on one server."""

    def __init__(self, server: RedisServer) -> None:
        self._server = server

    async def begin(self, key: str, digest: bytes, lease_ms: int) -> bytes | None:
        """None: go ahead; bytes: the answer to give again."""
        answer = await self._server.script(BEGIN, keys.idempotency(key), digest, lease_ms)
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
