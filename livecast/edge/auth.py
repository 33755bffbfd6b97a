"""From a token to an `Identity`, or a refusal that says why without quoting the token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from livecast.edge.identity import Identity

if TYPE_CHECKING:
    from livecast.edge.jwks import Jwks


class Authenticator:
    """Believes HS256 tokens made with one of `secrets`, and RS256/ES256/EdDSA tokens of `jwks`; nothing else."""

    def __init__(self, secrets: Sequence[str] = (), jwks: Jwks | None = None, *, clock_leeway_ms: int = 5_000) -> None:
        self._secrets = [secret.encode() for secret in secrets]
        self._jwks = jwks
        self._clock_leeway_ms = clock_leeway_ms

    def check(self, token: str, room: str | None, now: int) -> Identity:
        """The identity of a token, meant for `room` (None: any), at `now` (Unix ms), without waiting for anything.

        Raises `AuthError` (`unauthorized`: not believed, expired, not yet valid; `forbidden`: another room's), or
        `KeysStale` where only a fresh key set can tell.
        """
        raise NotImplementedError

    async def authenticate(self, token: str, room: str | None, now: int) -> Identity:
        """As `check`, fetching the key set anew where that may help."""
        raise NotImplementedError
