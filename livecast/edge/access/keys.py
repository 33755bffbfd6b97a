"""API keys: `lck_<id>_<secret>`, of which only the SHA-256 of the whole key is kept.

A secret has 256 random bits, so a plain hash holds: there is nothing to guess and nothing to stretch.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable, Iterator
from typing import Annotated, Final, Literal, get_args

from msgspec import Meta, Struct

from livecast.core.tools.globs import glob_matches

Scope = Literal[
    "rooms:read",
    "rooms:write",
    "chat:write",
    "chat:moderate",
    "drops:read",
    "drops:write",
    "claims:settle",
    "gifts:write",
    "wallets:read",
    "wallets:write",
    "reports:read",
    "webhooks:write",
    "tokens:viewer",
    "tokens:staff",
]
SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)
KeyId = Annotated[str, Meta(pattern=r"^[A-Za-z0-9-]{1,32}\Z")]

_PREFIX: Final = "lck_"
_KEY: Final = re.compile(r"lck_([A-Za-z0-9-]{1,32})_([A-Za-z0-9_-]{1,128})\Z")


class ApiKey(Struct, frozen=True, forbid_unknown_fields=True):
    """A key as configured: `hash` is the SHA-256 of the whole key in hex. `merchant` narrows it to that seller's rooms."""

    id: KeyId
    hash: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
    scopes: tuple[Scope, ...] = ()
    rooms: tuple[str, ...] = ("*",)
    merchant: str = ""

    def covers(self, room: str) -> bool:
        """Whether this key reaches `room`."""
        return any(glob_matches(glob, room) for glob in self.rooms)


class KeyRing:
    """The keys in force. `replace` takes effect at once, also on requests already waiting."""

    def __init__(self, keys: Iterable[ApiKey] = ()) -> None:
        self._keys: dict[str, ApiKey] = {}
        self.replace(keys)

    def find(self, bearer: str) -> ApiKey | None:
        """The key whose secret this is, or None. Takes the same time for a wrong secret as for a right one."""
        match = _KEY.match(bearer)
        if match is None:
            return None
        key = self._keys.get(match[1])
        digest = hashlib.sha256(bearer.encode()).hexdigest()
        known = key.hash if key is not None else _NOBODY
        return key if hmac.compare_digest(digest, known) and key is not None else None

    def replace(self, keys: Iterable[ApiKey]) -> None:
        """From now on exactly these are in force."""
        self._keys = {key.id: key for key in keys}

    def __iter__(self) -> Iterator[ApiKey]:
        return iter(self._keys.values())


def is_key(bearer: str) -> bool:
    """Whether this credential is meant as an API key rather than as a token."""
    return bearer.startswith(_PREFIX)


def new_key(
    key_id: str, scopes: Iterable[Scope] = (), rooms: Iterable[str] = ("*",), merchant: str = "", secret: str | None = None
) -> tuple[str, ApiKey]:
    """A new key: the credential itself, to be shown once, and the hashed entry for the configuration."""
    key = f"{_PREFIX}{key_id}_{secret or secrets.token_urlsafe(32)}"
    return key, ApiKey(key_id, hashlib.sha256(key.encode()).hexdigest(), tuple(scopes), tuple(rooms), merchant)


_NOBODY: Final = hashlib.sha256(b"").hexdigest()
