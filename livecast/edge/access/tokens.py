"""A token's claims: what they must look like, what they become, and how to mint them (JWT, RFC 7519; HS256, RFC 7515).

Nothing here quotes a token or a claim's value in an error: errors are shown to strangers and end up in logs.
"""

from __future__ import annotations

import hashlib
import re
from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct

from livecast.core.events import STAFF_ROLES, Person
from livecast.core.rules import UserId
from livecast.core.text import clean, clean_name
from livecast.edge.access.identity import CAN_ALL, EVERY_ROOM, AuthError, Identity

FACTS_BYTES_MAX: Final = 1024
"""Facts as JSON; they are handed to the store with every claim."""
AVATAR_MAX: Final = 512
"""Characters of an avatar's address; it goes out with each comment of its owner. One that is cut would be of another picture, or of
none: a longer one is left out."""
BADGES_MAX: Final = 10
BADGE_MAX: Final = 32
"""Characters of a badge. Longer ones are left out, and so is what comes behind the tenth."""
LEVEL_MAX: Final = 1_000_000
"""What a room can ask for at most. Who is above it stands there."""

# Years up to 9999: bigger numbers are mistakes (milliseconds for seconds) or attacks on arithmetic.
NumericDate = Annotated[float, Meta(ge=0, le=253_402_300_799)]
Glob = Annotated[str, Meta(min_length=1, max_length=64)]


class Claims(Struct, frozen=True, gc=False):
    """What a token says. Claims that we do not know are ignored; a wrong one that we know makes the token worthless.

    What only adorns its holder has no bounds here but that of a token: nobody is kept out by an avatar that is too long.
    """

    sub: UserId
    exp: NumericDate
    nbf: NumericDate | None = None
    name: str | None = None
    avatar: str | None = None
    role: Literal["viewer", "host", "moderator", "merchant"] | None = None
    rooms: Annotated[tuple[Glob, ...], Meta(max_length=256)] | None = None
    level: Annotated[int, Meta(ge=0)] | None = None
    badges: tuple[str, ...] | None = None
    can: Annotated[tuple[str, ...], Meta(max_length=32)] | None = None
    facts: dict[str, Any] | None = None
    merchant: Annotated[str, Meta(max_length=64)] | None = None


_decode_claims: Final = msgspec.json.Decoder(Claims).decode
_AT: Final = re.compile(r"`\$\.?(\w*)|required field `(\w+)`")

# Most viewers of a deployment share these; one object for all of them instead of one each.
_shared_rooms: Final[dict[tuple[str, ...], tuple[str, ...]]] = {EVERY_ROOM: EVERY_ROOM}
_SHARED_MAX: Final = 1024


def read_claims(payload: bytes, now: int, leeway_ms: int) -> Identity:
    """The identity that a token's (already believed) payload describes at `now`. Raises `AuthError` `unauthorized`."""
    try:
        claims = _decode_claims(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as fault:
        at = _AT.search(str(fault))
        claim = (at[1] or at[2]) if at else ""
        raise AuthError("unauthorized", f"The token's claim `{claim}` is missing or wrong." if claim else "Not a token.") from None
    expires = int(claims.exp * 1000)
    if expires <= now:
        raise AuthError("unauthorized", "The token has expired.")
    if claims.nbf is not None and claims.nbf * 1000 > now + leeway_ms:
        raise AuthError("unauthorized", "The token is not valid yet.")
    return identity_of(claims, expires)


def identity_of(claims: Claims, expires_at_ms: int) -> Identity:
    """Claims as an identity. Raises `AuthError` where they contradict the rules for them."""
    role = claims.role or "viewer"
    if claims.rooms is None and role in STAFF_ROLES:
        raise AuthError("unauthorized", "A staff token must name its `rooms`.")
    if claims.facts is not None and len(msgspec.json.encode(claims.facts)) > FACTS_BYTES_MAX:
        raise AuthError("unauthorized", "The token's claim `facts` is too large.")
    person = Person(
        claims.sub,
        (clean_name(claims.name) if claims.name else "") or claims.sub,
        role,
        min(claims.level, LEVEL_MAX) if claims.level else 0,
        _badges(claims.badges) if claims.badges else (),
        clean(claims.avatar) if claims.avatar and len(claims.avatar) <= AVATAR_MAX else "",
    )
    can = CAN_ALL if claims.can is None else tuple(one for one in CAN_ALL if one in claims.can)
    return Identity(person, _share(claims.rooms), can, expires_at_ms, claims.facts, claims.merchant or "")


def _badges(said: Sequence[str]) -> tuple[str, ...]:
    """Those that can be shown, in their order."""
    return tuple(islice((shown for badge in said if len(badge) <= BADGE_MAX and (shown := clean(badge))), BADGES_MAX))


def _share(rooms: Sequence[str] | None) -> tuple[str, ...]:
    if rooms is None:
        return EVERY_ROOM
    rooms = tuple(rooms)
    known = _shared_rooms.get(rooms)
    if known is None:
        if len(_shared_rooms) >= _SHARED_MAX:
            _shared_rooms.clear()
            _shared_rooms[EVERY_ROOM] = EVERY_ROOM
        known = _shared_rooms[rooms] = rooms
    return known


# --- HS256 ------------------------------------------------------------------------------------------------------------


def base64url(data: bytes) -> bytes:
    """Base64url without padding (RFC 7515 section 2)."""
    return b2a_base64(data, newline=False).rstrip(b"=").translate(_TO_URL)


def unbase64url(text: bytes) -> bytes:
    """Undo `base64url`. Raises `ValueError` for anything that it would not have made."""
    try:
        return a2b_base64(text.translate(_FROM_URL) + b"=" * (-len(text) % 4), strict_mode=True)
    except Base64Error:
        raise ValueError("not base64url") from None


_TO_URL: Final = bytes.maketrans(b"+/", b"-_")
_FROM_URL: Final = bytes.maketrans(b"-_+/=", b"+/!!!")  # "!" is in neither alphabet, and refused

#: The header of nearly every HS256 token, byte for byte; such a token needs no JSON parser before it is believed.
HS256_HEADER: Final = base64url(b'{"alg":"HS256","typ":"JWT"}')


class Hs256:
    """One secret, ready to sign: HMAC-SHA256 (RFC 2104) with both of its key blocks hashed beforehand.

    `hmac.digest` sets the algorithm up anew with each call, which costs OpenSSL 3 twice as much as the hashing (5.9 µs against
    2.0 for a usual token).
    """

    __slots__ = ("_inner", "_outer", "secret")

    def __init__(self, secret: str) -> None:
        self.secret = secret.encode()
        block = self.secret if len(self.secret) <= 64 else hashlib.sha256(self.secret).digest()
        block = block.ljust(64, b"\0")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in block))

    def sign(self, signed: bytes) -> bytes:
        """The signature part of a token over `signed` (header, dot, payload)."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(signed)
        outer.update(inner.digest())
        return base64url(outer.digest())


def mint(secret: str, claims: Mapping[str, Any]) -> str:
    """A token with these claims. Raises `AuthError` for claims that we would refuse ourselves (its time aside)."""
    payload = msgspec.json.encode(claims)
    read_claims(payload, now=0, leeway_ms=0)
    signed = HS256_HEADER + b"." + base64url(payload)
    return (signed + b"." + Hs256(secret).sign(signed)).decode()
