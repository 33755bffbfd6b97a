"""Who is calling, as the node sees it: for pages and scripts that hold a credential and want to offer what it allows."""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct

from livecast.edge.access.keys import SCOPES
from livecast.edge.http.calls import Call, Outcome, Route


class CallerCard(Struct, omit_defaults=True):
    """The holder of a key or token. `rooms`: ids or globs; `merchant`: only this seller's rooms among them."""

    kind: Literal["key", "staff", "viewer"]
    id: str
    scopes: list[str]
    rooms: list[str]
    merchant: str = ""
    name: str = ""
    role: str = ""


async def get_caller(call: Call) -> Outcome:
    """Nothing that the caller does not know, but in the node's words."""
    caller = call.caller
    held = caller.key or caller.identity
    rooms = list(held.rooms) if held is not None else []
    role = caller.person.role if caller.key is None else ""
    name = caller.person.name if caller.key is None else ""
    return Outcome(CallerCard(caller.kind, caller.id, sorted(caller.scopes), rooms, caller.merchant, name, role))  # type: ignore[arg-type]  # one of the three


ROUTES: Final = (
    Route("GET", "/v1/caller", get_caller, tuple(sorted(SCOPES)), "Who is calling, and what this key or token allows.",
          answer=CallerCard),
)  # fmt: skip
