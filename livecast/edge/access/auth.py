"""From a token to an `Identity`, or a refusal that says why without quoting the token.

The algorithm is bound to the key's type: HS256 is checked with our secrets alone, RS256, ES256 and EdDSA with keys of the
issuer's set alone, whatever a token's header asks for; nothing else is believed.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from typing import Any, Final

import jwt
import msgspec
from msgspec import Struct

from livecast.edge.access.identity import AuthError, Identity
from livecast.edge.access.jwks import ALGORITHMS, Jwks, KeysStale
from livecast.edge.access.tokens import HS256_HEADER, Hs256, read_claims, unbase64url

TOKEN_BYTES_MAX: Final = 8192
"""Longer than any honest token, shorter than what would make checking a burden."""

_PUBLIC_ALGORITHMS: Final = frozenset(ALGORITHMS.values())
_NOT_A_TOKEN: Final = "Not a token that this service believes."  # noqa: S105 - a sentence


class _Header(Struct, frozen=True):
    alg: str
    kid: str | None = None
    crit: Any = None


_decode_header: Final = msgspec.json.Decoder(_Header).decode
_jws: Final = jwt.PyJWS()


class Authenticator:
    """Believes HS256 tokens made with one of `secrets`, and RS256/ES256/EdDSA tokens of `jwks`; nothing else."""

    def __init__(self, secrets: Sequence[str] = (), jwks: Jwks | None = None, *, clock_leeway_ms: int = 5_000) -> None:
        self._secrets = [Hs256(secret) for secret in secrets]
        self._jwks = jwks
        self._clock_leeway_ms = clock_leeway_ms

    @property
    def signing_secret(self) -> str | None:
        """What new tokens are signed with: the first secret. None where all tokens come from elsewhere."""
        return self._secrets[0].secret.decode() if self._secrets else None

    def check(self, token: str, room: str | None, now: int) -> Identity:
        """The identity of a token, meant for `room` (None: any), at `now` (Unix ms), without waiting for anything.

        Raises `AuthError` (`unauthorized`: not believed, expired, not yet valid; `forbidden`: another room's; `unavailable`: the
        issuer does not tell its keys), or `KeysStale` where only a fresh key set can tell.
        """
        identity = read_claims(self._payload(token), now, self._clock_leeway_ms)
        if room is not None and not identity.covers(room):
            raise AuthError("forbidden", "The token is not meant for this room.")
        return identity

    async def authenticate(self, token: str, room: str | None, now: int) -> Identity:
        """As `check`, fetching the key set anew where that may help; `AuthError` also `unavailable`, where it could not be had."""
        try:
            return self.check(token, room, now)
        except KeysStale:
            if self._jwks is not None:
                await self._jwks.refresh()
        try:
            return self.check(token, room, now)
        except KeysStale:
            if self._jwks is not None:
                self._jwks.check_heard()
            raise AuthError("unauthorized", _NOT_A_TOKEN) from None

    def _payload(self, token: str) -> bytes:
        """The payload of a token whose signature holds."""
        try:
            raw = token.encode("ascii")
            signed, _, signature = raw.rpartition(b".")
            header, _, payload = signed.partition(b".")
            if len(raw) > TOKEN_BYTES_MAX or not payload:
                raise AuthError("unauthorized", _NOT_A_TOKEN)
            if header == HS256_HEADER:
                for secret in self._secrets:
                    if hmac.compare_digest(secret.sign(signed), signature):
                        return unbase64url(payload)
                raise AuthError("unauthorized", _NOT_A_TOKEN)
            return self._payload_by_header(raw, _decode_header(unbase64url(header)))
        except (ValueError, msgspec.MsgspecError, RecursionError):
            raise AuthError("unauthorized", _NOT_A_TOKEN) from None

    def _payload_by_header(self, token: bytes, header: _Header) -> bytes:
        """The careful way, for every header but the usual one."""
        keys: list[tuple[Any, str]] = []
        if header.alg == "HS256":
            keys = [(secret.secret, "HS256") for secret in self._secrets]
        elif header.alg in _PUBLIC_ALGORITHMS and self._jwks is not None:
            keys = [(key.key.key, key.algorithm) for key in self._jwks.candidates(header.alg, header.kid)]
        if header.crit is None:  # a critical extension is a rule for reading the token that we do not know
            for key, algorithm in keys:
                try:
                    decoded = _jws.decode_complete(token, key, algorithms=[algorithm])
                except jwt.PyJWTError:
                    continue
                payload: bytes = decoded["payload"]
                return payload
        raise AuthError("unauthorized", _NOT_A_TOKEN)
