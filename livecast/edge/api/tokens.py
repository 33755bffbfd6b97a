"""Tokens for viewers and staff, minted for a platform's backend by its API key and never beyond what the key itself may do."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct

from livecast.core.rules import UserId
from livecast.edge.access.callers import SCOPES_OF_ROLE, Caller, check_scope
from livecast.edge.access.identity import CAN_ALL, AuthError
from livecast.edge.access.tokens import AVATAR_MAX, BADGE_MAX, BADGES_MAX, FACTS_BYTES_MAX, LEVEL_MAX, mint
from livecast.edge.http.calls import Call, Outcome, Route
from livecast.edge.http.problems import Fault, ProblemError

#: A token cannot be taken back before it expires, so it should not live long: an evening's broadcast by default...
TTL_DEFAULT_S: Final = 4 * 3600
#: ... and 30 days at most.
TTL_MAX_S: Final = 30 * 86_400

RoomGlob = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_*?-]{1,64}\Z")]


class NewToken(Struct, frozen=True, forbid_unknown_fields=True):
    """Who the token is for. `rooms`: ids or globs, at most the key's own (which is what it gets without)."""

    sub: UserId
    name: Annotated[str, Meta(max_length=64)] = ""
    avatar: Annotated[str, Meta(max_length=AVATAR_MAX)] = ""
    role: Literal["viewer", "host", "moderator", "merchant"] = "viewer"
    rooms: Annotated[tuple[RoomGlob, ...], Meta(min_length=1, max_length=50)] | None = None
    level: Annotated[int, Meta(ge=0, le=LEVEL_MAX)] = 0
    badges: Annotated[tuple[Annotated[str, Meta(min_length=1, max_length=BADGE_MAX)], ...], Meta(max_length=BADGES_MAX)] = ()
    can: Annotated[tuple[Literal["comment", "like", "gift", "claim", "vote"], ...], Meta(max_length=5)] = CAN_ALL  # type: ignore[assignment]  # the same five
    facts: dict[str, Any] | None = None
    ttl_s: Annotated[int, Meta(ge=1, le=TTL_MAX_S)] = TTL_DEFAULT_S


class Minted(Struct):
    """The token and when it ends (Unix ms)."""

    token: str
    expires_at: int


async def post_token(call: Call) -> Outcome:
    """Signed with the first secret."""
    body: NewToken = call.body
    check_bounds_of_key(call.caller, body)
    secret = call.node.authenticator.signing_secret
    if secret is None:
        raise ProblemError("unavailable", "This node has no secret to sign with: tokens come from elsewhere.")
    now_s = call.node.clock() // 1000
    rooms = body.rooms if body.rooms is not None else call.caller.key.rooms if call.caller.key else ()
    claims: dict[str, Any] = {
        "sub": body.sub,
        "role": body.role,
        "rooms": list(rooms),
        "iat": now_s,
        "exp": now_s + body.ttl_s,
        "name": body.name,
        "avatar": body.avatar,
        "level": body.level,
        "badges": list(body.badges),
        "facts": body.facts,
        # What a seller's key mints stays with that seller.
        "merchant": call.caller.merchant,
    }
    claims = {name: value for name, value in claims.items() if value}
    if set(body.can) != set(CAN_ALL):
        claims["can"] = list(body.can)
    try:
        token = mint(secret, claims)
    except AuthError as fault:
        raise ProblemError("invalid", fault.message) from None
    return Outcome(Minted(token, (now_s + body.ttl_s) * 1000), 201)


def check_bounds_of_key(caller: Caller, wanted: NewToken) -> None:
    """403 where the token could do, or reach, more than the key; 422 for oversized facts."""
    if caller.key is None:
        raise ProblemError("forbidden", "Only API keys mint tokens.")
    check_scope(caller, "tokens:viewer" if wanted.role == "viewer" else "tokens:staff")
    if beyond := sorted(SCOPES_OF_ROLE.get(wanted.role, frozenset()) - caller.scopes):
        raise ProblemError("forbidden", f"A {wanted.role} may do more than this key: {', '.join(beyond)}.")
    for glob in wanted.rooms or ():
        if not any(glob_within(glob, own) for own in caller.key.rooms):
            raise ProblemError("forbidden", f"The key does not reach all of {glob!r}.")
    if wanted.facts is not None and len(msgspec.json.encode(wanted.facts)) > FACTS_BYTES_MAX:
        detail = f"At most {FACTS_BYTES_MAX} bytes as JSON."
        raise ProblemError("invalid", detail, errors=[Fault("/facts", detail)])


def glob_within(inner: str, outer: str) -> bool:
    """Whether every room that `inner` matches is surely matched by `outer`: a `*` of one needs a `*` of the other.

    Errs on the side of no: `?*` is not seen to be within `*?`.
    """
    i = o = 0
    star, mark = -1, 0
    while i < len(inner):
        if o < len(outer) and outer[o] == "*":
            star, mark = o, i
            o += 1
        elif o < len(outer) and inner[i] != "*" and outer[o] in {"?", inner[i]}:
            o += 1
            i += 1
        elif star >= 0:
            mark += 1
            o, i = star + 1, mark
        else:
            return False
    return outer[o:].strip("*") == ""


ROUTES: Final = (
    Route("POST", "/v1/tokens", post_token, ("tokens:viewer", "tokens:staff"), "Mint a token for a viewer or for staff.",
          body=NewToken, answer=Minted, statuses=(201,)),
)  # fmt: skip
