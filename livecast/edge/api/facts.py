"""What a platform knows of its users and drops may ask for: set by a service, over what tokens say."""

from __future__ import annotations

from hashlib import sha256
from typing import Annotated, Any, Final, TypeAlias

import msgspec
from msgspec import Meta, Struct

from livecast.core.money.drops import FactInt, FactText, Name
from livecast.core.tools.patch import INT_MAX
from livecast.edge.access.callers import room_now
from livecast.edge.http.calls import Call, Outcome, Route
from livecast.edge.http.conditions import check_match, etag, names_tag, wants_match
from livecast.edge.http.problems import Fault, ProblemError
from livecast.edge.money.money import Money
from livecast.edge.rooms.named import user_named

FACTS_BYTES_MAX: Final = 1024
"""As JSON: what a token may carry of them, too."""
REVISION_CHARS: Final = 16
"""64 bits, to tell what was said of one user from what was said before."""
FactMap: TypeAlias = dict[Name, FactText | FactInt | Annotated[float, Meta(ge=-INT_MAX, le=INT_MAX)] | bool | None]
"""Facts by name."""


class FactsNow(Struct):
    """What the platform says of a user in a room."""

    user: str
    facts: dict[str, Any]


async def put_facts(call: Call) -> Outcome:
    """In place of what was said before; `{}` takes it back. Told within a second to who was refused, within 15 s to all."""
    given: dict[str, Any] = call.body
    if given.keys() == {"facts"} and isinstance(given["facts"], dict):
        given = given["facts"]  # no fact is a map: it is the whole of them, in the form that GET gives them
    said = {name: value for name, value in given.items() if value is not None}
    try:
        msgspec.convert(said, FactMap)
    except msgspec.ValidationError as fault:
        raise _wrong(said, str(fault).partition(" - at ")[0]) from None
    facts = msgspec.json.encode(said) if said else b""
    if len(facts) > FACTS_BYTES_MAX:
        raise ProblemError("too_large", f"The facts of a user have at most {FACTS_BYTES_MAX} bytes of JSON.")
    money, user = await _money(call), await user_named(call, call.path("user"))
    was = None
    if wants_match(call.request) is not None:
        (was,) = await money.ledger.facts(call.room, [user])
        check_match(call.request, etag(_revision(_told(was))))
    if not await money.ledger.put_facts(call.room, user, facts, call.node.clock(), was if names_tag(call.request) else None):
        raise ProblemError("precondition_failed")
    money.note_facts(call.room, user)
    return Outcome(FactsNow(user, said), revision=_revision(said))


async def get_facts(call: Call) -> Outcome:
    """As they were put; of whom nothing was said, none."""
    user = await user_named(call, call.path("user"))
    (facts,) = await (await _money(call)).ledger.facts(call.room, [user])
    said = _told(facts)
    return Outcome(FactsNow(user, said), revision=_revision(said))


def _told(facts: bytes) -> dict[str, Any]:
    """Facts as they are kept, as they are told."""
    said: dict[str, Any] = msgspec.json.decode(facts) if facts else {}
    return said


def _revision(said: dict[str, Any]) -> str:
    """What tells these facts from any others: made of all that they say, in whatever order."""
    return sha256(msgspec.json.encode(said, order="deterministic")).hexdigest()[:REVISION_CHARS]


async def _money(call: Call) -> Money:
    money = call.money
    if await room_now(call.node, call.caller, call.room) is None:
        raise ProblemError("unknown_room")
    return money


def _wrong(said: dict[str, Any], detail: str) -> ProblemError:
    """The first that is no fact."""
    for name, value in said.items():
        try:
            msgspec.convert({name: value}, FactMap)
        except msgspec.ValidationError:
            pointer = "/" + name.replace("~", "~0").replace("/", "~1")
            return ProblemError(
                "invalid", "A fact is a short text, a number or a truth value.", errors=[Fault(pointer[:200], detail)]
            )
    return ProblemError("invalid", detail)


_FACTS: Final = "/v1/rooms/{room}/users/{user}/facts"
_MODERATE: Final = ("chat:moderate",)
ROUTES: Final = (
    Route("PUT", _FACTS, put_facts, _MODERATE, "Say what drops may ask of a user: it counts above what the token says.",
          body=FactMap, form="free", answer=FactsNow),
    Route("GET", _FACTS, get_facts, _MODERATE, "What was said of a user.", answer=FactsNow),
)  # fmt: skip
