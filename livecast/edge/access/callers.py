"""Who calls over HTTP, and what they may do: API keys by their scopes, staff tokens by their role, viewers for themselves."""

from __future__ import annotations

from typing import Any, Final

from aiohttp import web
from msgspec import Struct

from livecast.core.errors import Refusal
from livecast.core.events import Ask, Done, Person
from livecast.edge.access.identity import AuthError, Identity
from livecast.edge.access.keys import ApiKey, is_key
from livecast.edge.http.problems import ProblemError
from livecast.edge.node import Node

#: What a staff token may do in its own rooms. Hosts run the show, moderators keep it civil, merchants also see to the
#: shelf and its orders. Coins, webhooks and minting tokens are for API keys alone: a token lives on somebody's phone.
SCOPES_OF_ROLE: Final[dict[str, frozenset[str]]] = {
    "host": frozenset({"rooms:read", "rooms:write", "chat:write", "chat:moderate", "drops:read", "drops:write", "reports:read"}),
    "moderator": frozenset({"rooms:read", "chat:write", "chat:moderate", "drops:read"}),
    "merchant": frozenset(
        {
            "rooms:read", "rooms:write", "chat:write", "chat:moderate",
            "drops:read", "drops:write", "claims:settle", "reports:read",
        }
    ),
}  # fmt: skip
#: Longest credential looked at. A token with 1 KiB of facts and many rooms stays below; the head's limit is twice that.
CREDENTIAL_CHARS_MAX: Final = 8192


class Caller(Struct, frozen=True):
    """A believed caller: an API key, or the holder of a token (then `identity` is there)."""

    kind: str
    """`key`, `staff` or `viewer`."""
    id: str
    """The key's id, or the token's `sub`."""
    person: Person
    scopes: frozenset[str]
    merchant: str = ""
    """Not empty: only rooms of this seller."""
    key: ApiKey | None = None
    identity: Identity | None = None

    @property
    def account(self) -> str:
        """What idempotency keys and rates are counted by."""
        return f"{self.kind}:{self.id}"

    def covers(self, room: str) -> bool:
        """Whether the room's id is among the caller's."""
        return (self.key is None or self.key.covers(room)) and (self.identity is None or self.identity.covers(room))


def bearer_of(request: web.Request, *, in_query: bool = False) -> str:
    """The credential of a request, empty if there is none. `in_query`: `?token=` counts too, behind the header."""
    given = request.headers.getall("Authorization", [])
    if len(given) > 1:
        raise ProblemError("bad_message", "More than one Authorization header.")
    if not given:
        return request.query.get("token", "") if in_query else ""
    scheme, _, credential = given[0].strip().partition(" ")
    credential = credential.strip()
    if scheme.lower() != "bearer" or not credential or len(credential) > CREDENTIAL_CHARS_MAX:
        raise unauthorized("Send `Authorization: Bearer` with a key or token.")
    return credential


def unauthorized(detail: str, error: str = "invalid_request") -> ProblemError:
    """A 401 that says how to do better (RFC 6750, section 3)."""
    return ProblemError("unauthorized", detail, headers={"WWW-Authenticate": f'Bearer realm="livecast", error="{error}"'})


async def caller_of(node: Node, request: web.Request) -> Caller:
    """The caller of the control plane. Raises 401; whether the caller may do what it asks for is checked afterwards."""
    credential = bearer_of(request)
    if not credential:
        raise ProblemError("unauthorized", "A key or token is needed: `Authorization: Bearer …`.")
    if is_key(credential):
        key = node.keys.find(credential)
        if key is None:
            raise unauthorized("This key is not known, or no longer.", "invalid_token")
        person = Person(id=f"key:{key.id}", name=key.id, role="service")
        return Caller("key", key.id, person, frozenset(key.scopes), key.merchant, key=key)
    identity = await believed(node, credential, None)
    scopes = SCOPES_OF_ROLE.get(identity.person.role, frozenset())
    kind = "staff" if scopes else "viewer"
    return Caller(kind, identity.person.id, identity.person, scopes, identity.merchant, identity=identity)


async def believed(node: Node, token: str, room: str | None) -> Identity:
    """The identity behind a token, or 401 or 403."""
    try:
        return await node.authenticator.authenticate(token, room, node.clock())
    except AuthError as fault:
        if fault.code == "unauthorized":
            raise unauthorized(fault.message, "invalid_token") from None
        raise ProblemError(fault.code, fault.message) from None


def check_scope(caller: Caller, *scopes: str) -> None:
    """403 unless the caller has one of `scopes`."""
    if caller.scopes.isdisjoint(scopes):
        raise ProblemError("forbidden", f"This needs the scope {' or '.join(scopes)}.")


def check_room(caller: Caller, room: str) -> None:
    """403 unless the room's id is among the caller's. Says nothing about whether there is such a room."""
    if not caller.covers(room):
        raise ProblemError("forbidden", "This key or token is not meant for that room.")


async def room_now(node: Node, caller: Caller, room: str) -> dict[str, Any] | None:
    """The room as its owner knows it, None if there is none. 403 if it belongs to another merchant than the caller does."""
    answer = await node.ask(room, lambda origin: Ask(origin, caller.person, "room"))
    if isinstance(answer, Refusal):
        if answer.code == "unknown_room":
            return None
        raise ProblemError.of(answer)
    if not isinstance(answer, Done):
        raise TypeError(f"a room answered a question with {type(answer).__name__}")
    value: dict[str, Any] = answer.value
    if caller.merchant and value.get("merchant", "") != caller.merchant:
        raise ProblemError("forbidden", "That room belongs to another merchant.")
    return value
