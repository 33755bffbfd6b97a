"""`Idempotency-Key`: a POST that is sent again gets its first answer again, for 24 hours.

A key counts per caller and path. 429 and 5xx are not kept, because they ask to be tried again. While the first request
is under way a second one is a `conflict`; the same key with a body that says something else is `invalid`. A replayed answer
says so with `Idempotency-Replayed: true`.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
from aiohttp import web
from msgspec import Struct

from livecast.edge.http.problems import Fault, ProblemError
from livecast.facts import Observer, Trouble
from livecast.ports import IdempotencyStore, InFlight, OtherBody, StoreError

#: How long a key is held for a request under way, should its node die: more than the longest call (an event to all rooms).
LEASE_MS: Final = 60_000
#: Headers of the first answer that are given again; everything else is made anew for each response.
KEPT_HEADERS: Final = ("Content-Type", "Cache-Control", "ETag", "Surrogate-Key")
_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")


class Kept(Struct, frozen=True, array_like=True):
    """A first answer as stored."""

    status: int
    headers: dict[str, str]
    body: bytes


def key_of(request: web.Request, caller: str) -> str | None:
    """The storage key of the request's `Idempotency-Key`, None if it has none. Raises `invalid` on a malformed one."""
    given = request.headers.getall("Idempotency-Key", [])
    if not given:
        return None
    if len(set(given)) != 1 or not _KEY.fullmatch(given[0]):
        detail = "One Idempotency-Key of 1 to 255 visible ASCII characters."
        raise ProblemError("invalid", detail, errors=[Fault("Idempotency-Key", detail)])
    return hashlib.sha256("\n".join((caller, request.method, request.path_qs, given[0])).encode()).hexdigest()


async def once(
    store: IdempotencyStore, observer: Observer, key: str, body: bytes, answer: Callable[[], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """What `answer()` says, or what it said the first time. `answer` must turn its problems into responses."""
    digest = hashlib.sha256(_meaning(body)).digest()
    try:
        kept = await store.begin(key, digest, LEASE_MS)
    except InFlight:
        detail = "A request with this Idempotency-Key is still under way."
        raise ProblemError("conflict", detail, retry_after_ms=1000) from None
    except OtherBody:
        detail = "This Idempotency-Key was used with another body."
        raise ProblemError("invalid", detail, errors=[Fault("Idempotency-Key", detail)]) from None
    except StoreError:
        raise ProblemError("unavailable", "The store of first answers cannot be reached: nothing was done.") from None
    if kept is not None:
        return _again(msgspec.msgpack.decode(kept, type=Kept))
    try:
        response = await answer()
    except BaseException:
        # Shielded: a cancelled request must still let its key go, or its repeat is refused until the lease ends.
        await asyncio.shield(_finish(store, observer, key, digest, None))
        raise
    await asyncio.shield(_finish(store, observer, key, digest, _kept(response)))
    return response


def _meaning(body: bytes) -> bytes:
    """What a body says, however it was written: a client's library may order and space a repeat's members otherwise."""
    try:
        return msgspec.json.encode(msgspec.json.decode(body), order="sorted")
    except msgspec.MsgspecError:
        return body


def _kept(response: web.StreamResponse) -> bytes | None:
    if not isinstance(response, web.Response) or response.status == 429 or response.status >= 500:
        return None
    headers = {name: response.headers[name] for name in KEPT_HEADERS if name in response.headers}
    body = response.body if isinstance(response.body, bytes | bytearray) else b""
    return msgspec.msgpack.encode(Kept(response.status, headers, bytes(body)))


def _again(kept: Kept) -> web.Response:
    return web.Response(status=kept.status, body=kept.body, headers={**kept.headers, "Idempotency-Replayed": "true"})


async def _finish(store: IdempotencyStore, observer: Observer, key: str, digest: bytes, answer: bytes | None) -> None:
    try:
        await store.finish(key, digest, answer)
    except StoreError as fault:
        # The change itself is done and its answer goes out; only a repeat of it would not be recognised.
        advice = "Check the rooms store; a repeat of this request within its lease is answered 409."
        observer.observe(Trouble(what=f"a first answer could not be stored: {fault}", about=key[:16], advice=advice))
