"""The issuer's public keys (JWKS, RFC 7517), fetched, cached and rotated.

A key is bound to the one algorithm of its type; symmetric keys in a key set are ignored, so nobody can have a public key
taken for a shared secret. A key set that cannot be fetched anew stays in use for a day: an issuer's short outage locks
nobody out, and a revoked key does not live for ever.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Final

import aiohttp
import jwt
import msgspec
from msgspec import Meta, Struct

from livecast.core.errors import LivecastError
from livecast.edge.access.identity import AuthError
from livecast.facts import KeysFetched, Observer, Trouble
from livecast.ports import Clock

REFRESH_MS: Final = 600_000
"""A key set is fetched anew in the background when it is older: a new key is known before its first token, mostly."""
RETRY_MS: Final = 2_000
"""Tokens with unknown keys cause one fetch in this time on the average, however many come…"""
RETRIES_AT_ONCE: Final = 5
"""… and so many at once after quiet: a key that the issuer signs with as soon as it has published it is believed at once."""
STALE_MS: Final = 86_400_000
"""A key set older than this is not believed any more."""
FETCH_TIMEOUT_S: Final = 5.0
BYTES_MAX: Final = 1_048_576

#: kty and crv -> the only algorithm that a key of this type is used with.
ALGORITHMS: Final = {"RSA": "RS256", "EC P-256": "ES256", "OKP Ed25519": "EdDSA"}
RSA_BITS_MIN: Final = 2048


class KeysStale(LivecastError):  # noqa: N818 - it says what the keys are; the caller fetches and asks again
    """No key fits, but a fresh key set might have it."""


class PublicKey(Struct, frozen=True):
    """One usable key of the set."""

    kid: str | None
    algorithm: str
    key: jwt.PyJWK


class _Document(Struct, frozen=True):
    keys: Annotated[tuple[dict[str, Any], ...], Meta(max_length=100)]


class Jwks:
    """The key set at `url`."""

    def __init__(self, url: str, clock: Clock, observer: Observer) -> None:
        self._url = url
        self._clock = clock
        self._observer = observer
        self._keys: tuple[PublicKey, ...] = ()
        self._fetched_at: int | None = None
        self._full_at = 0
        """When fetching would be free of the past again: a token bucket, Unix ms."""
        self._failed = False
        """The last fetch did."""
        self._fetching: asyncio.Task[None] | None = None

    def candidates(self, algorithm: str, kid: str | None) -> list[PublicKey]:
        """The keys that may have signed a token with this header.

        Raises `KeysStale` where fetching may find one, `AuthError` `unavailable` where that was tried in vain a moment ago.
        """
        now = self._clock()
        fresh = self._fetched_at is not None and now - self._fetched_at < STALE_MS
        found = [k for k in self._keys if k.algorithm == algorithm and kid in {None, k.kid}] if fresh else []
        if not found and (self._under_way() or self._may_fetch(now)):
            raise KeysStale(self._url)
        if not found:
            self.check_heard()
        if found and self._fetched_at is not None and now - self._fetched_at >= REFRESH_MS:
            self._refresh_soon(now)
        return found

    def check_heard(self) -> None:
        """Raise `AuthError` `unavailable` if the issuer did not answer: nobody can tell what it would believe."""
        if self._failed:
            raise AuthError("unavailable", "The keys that would tell cannot be read just now.")

    async def refresh(self) -> None:
        """Fetch the set now; whoever calls meanwhile waits for the same fetch. Keeps the old set if it fails."""
        fetching = self._fetching
        if fetching is None or fetching.done():
            fetching = self._fetching = asyncio.get_running_loop().create_task(self._fetch())
        await asyncio.shield(fetching)

    def load(self, document: bytes) -> None:
        """Use this key set from now on. Raises `msgspec.DecodeError` if it is none."""
        keys = msgspec.json.decode(document, type=_Document).keys
        self._keys = tuple(key for entry in keys if (key := _usable(entry)) is not None)
        self._fetched_at = self._clock()

    def _refresh_soon(self, now: int) -> None:
        if self._may_fetch(now) and not self._under_way():
            self._fetching = asyncio.get_running_loop().create_task(self._fetch())

    def _under_way(self) -> bool:
        return self._fetching is not None and not self._fetching.done()

    def _may_fetch(self, now: int) -> bool:
        return self._full_at - now <= (RETRIES_AT_ONCE - 1) * RETRY_MS

    async def _fetch(self) -> None:
        self._full_at = max(self._full_at, self._clock()) + RETRY_MS
        try:
            timeout = aiohttp.ClientTimeout(total=FETCH_TIMEOUT_S)
            async with aiohttp.ClientSession(timeout=timeout) as session, session.get(self._url, max_redirects=3) as response:
                response.raise_for_status()
                document = await response.content.read(BYTES_MAX)
                while chunk := await response.content.read(BYTES_MAX):
                    document += chunk
                    if len(document) > BYTES_MAX:
                        raise ValueError("the key set is too large")  # noqa: TRY301 - told like any other bad answer
            self.load(document)
            self._failed = False
            self._observer.observe(KeysFetched(ok=True))
        except (aiohttp.ClientError, TimeoutError, msgspec.MsgspecError, ValueError, OSError) as fault:
            self._failed = True
            self._observer.observe(KeysFetched(ok=False))
            self._observer.observe(
                Trouble(
                    f"The key set could not be fetched ({type(fault).__name__}).",
                    self._url,
                    "Check [auth] jwks_url; until it can be fetched the last set is used, for at most a day.",
                )
            )


def _usable(entry: dict[str, Any]) -> PublicKey | None:
    """The key of one entry, or None where it is of a kind that we do not use."""
    algorithm = ALGORITHMS.get(f"{entry.get('kty')} {entry.get('crv', '')}".strip())
    if algorithm is None or entry.get("alg", algorithm) != algorithm or entry.get("use", "sig") != "sig":
        return None
    try:
        key = jwt.PyJWK(entry, algorithm)
    except (jwt.PyJWTError, ValueError, TypeError, KeyError):
        return None
    if algorithm == "RS256" and key.key.key_size < RSA_BITS_MIN:
        return None
    kid = entry.get("kid")
    return PublicKey(kid if isinstance(kid, str) else None, algorithm, key)
