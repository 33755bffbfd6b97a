"""First answers to HTTP POSTs, in this process's memory."""

from __future__ import annotations

from msgspec import Struct

from livecast.adapters.bounds import IDEMPOTENCY_MS
from livecast.ports import Clock, InFlight, OtherBody

KEYS_MAX = 100_000
"""Keys held, oldest forgotten first. At 1 KiB an answer that is 100 MB; a deployment with more POSTs a day has a Redis."""


class _Held(Struct, frozen=True):
    digest: bytes
    answer: bytes | None
    until: int


class MemoryIdempotency:
    """`ports.IdempotencyStore` in memory."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._held: dict[str, _Held] = {}

    async def begin(self, key: str, digest: bytes, lease_ms: int) -> bytes | None:
        """None: go ahead; bytes: the answer to give again."""
        now = self._clock()
        held = self._held.get(key)
        if held is None or held.until <= now:
            self._keep(key, _Held(digest, None, now + lease_ms))
            return None
        if held.digest != digest:
            raise OtherBody(key)
        if held.answer is None:
            raise InFlight(key)
        return held.answer

    async def finish(self, key: str, digest: bytes, answer: bytes | None) -> None:
        """Store the answer, or forget the key. What another request holds or has answered stays."""
        now = self._clock()
        held = self._held.get(key)
        mine = held is None or held.until <= now or (held.digest == digest and held.answer is None)
        if not mine:
            return
        if answer is None:
            self._held.pop(key, None)
        else:
            self._keep(key, _Held(digest, answer, now + IDEMPOTENCY_MS))

    def _keep(self, key: str, held: _Held) -> None:
        self._held.pop(key, None)  # to the end of the queue: a dict keeps the order of insertion
        self._held[key] = held
        while len(self._held) > KEYS_MAX:
            del self._held[next(iter(self._held))]
