"""Word filters by scope: the platform's, a merchant's, a room's. A change holds everywhere at once, without a restart."""

from __future__ import annotations

import re
from typing import Final

import msgspec
from msgspec import Struct

from livecast.core.commands import NoteAct
from livecast.core.events import Command
from livecast.core.filter.filters import FilterLists, Rule
from livecast.edge.access.callers import check_room, room_now
from livecast.edge.access.jurisdiction import over_all, the_house
from livecast.edge.http.calls import Call, Outcome, Route, done
from livecast.edge.http.problems import ProblemError
from livecast.edge.http.word_list import read_words

_NAMED: Final = re.compile(r"(merchant|room):([A-Za-z0-9_-]{1,64})")


class FilterNow(Struct):
    """The filter of a scope: words to block, to mask with stars, to hold for a moderator; the same of links and phones."""

    scope: str
    block: list[str]
    mask: list[str]
    hold: list[str]
    links: Rule
    phones: Rule


class FilterSizes(Struct):
    """How many words the lists of a scope have."""

    scope: str
    block: int
    mask: int
    hold: int


async def put_filter(call: Call) -> Outcome:
    """The filter as it is now."""
    scope, lists = await _scope(call), call.body
    await _put(call, scope, lists)
    return _told(scope, lists)


async def get_filter(call: Call) -> Outcome:
    """The filter of the scope; an empty one where there is none."""
    scope = await _scope(call)
    return _told(scope, await the_house(call).lists(scope) or FilterLists())


async def delete_filter(call: Call) -> Outcome:
    """What was taken away."""
    scope, house = await _scope(call), the_house(call)
    before = await house.lists(scope)
    if before is None:
        raise ProblemError("not_found", "There is no filter of this scope.")
    await _put(call, scope, None)
    return _told(scope, before)


async def put_words(call: Call) -> Outcome:
    """How many words each list of the scope has now. The other lists and rules stay."""
    action = call.path("list")
    if action not in {"block", "mask", "hold"}:
        raise ProblemError("not_found", "A list is `block`, `mask` or `hold`.")
    scope, house = await _scope(call), the_house(call)
    words = await read_words(call.request)
    async with house.writing:
        lists = msgspec.structs.replace(await house.lists(scope) or FilterLists(), **{action: words})
        await _put(call, scope, lists)
    return Outcome(FilterSizes(scope, len(lists.block), len(lists.mask), len(lists.hold)))


async def _put(call: Call, scope: str, lists: FilterLists | None) -> None:
    """Let it hold from now on. What is changed for a room is in the room's own log, too."""
    act = await the_house(call).put_lists(scope, lists, call.caller.person)
    kind, _, room = scope.partition(":")
    if kind == "room":
        note = NoteAct(act.action, {name: value for name, value in act.args.items() if name != "scope"})
        done(await call.node.ask(room, lambda at: Command(at, call.caller.person, "note_act", note)))


async def _scope(call: Call) -> str:
    """The scope in the path, if the caller may speak for it. The id alone of a room means that room."""
    said, caller = call.path("scope"), call.caller
    if said == "platform":
        if not over_all(caller):
            raise ProblemError("forbidden", "The platform's filter needs an API key of the platform, for all rooms.")
        return said
    named = _NAMED.fullmatch(said if ":" in said else f"room:{said}")
    if named is None:
        raise ProblemError("not_found", "A scope is `platform`, `merchant:ID` or `room:ID`.")
    kind, name = named.groups()
    if kind == "merchant":
        if not over_all(caller) and caller.merchant != name:
            raise ProblemError("forbidden", "This needs an API key or token of the merchant.")
    else:
        check_room(caller, name)
        if await room_now(call.node, caller, name) is None:
            raise ProblemError("unknown_room")
    return named[0]


def _told(scope: str, lists: FilterLists) -> Outcome:
    return Outcome(FilterNow(scope, list(lists.block), list(lists.mask), list(lists.hold), lists.links, lists.phones))


_PATH: Final = "/v1/filters/{scope}"
_SCOPES: Final = ("chat:moderate",)
ROUTES: Final = (
    Route("PUT", _PATH, put_filter, _SCOPES, "Say what becomes of which words, of links and of phones.",
          body=FilterLists, answer=FilterNow),
    Route("GET", _PATH, get_filter, _SCOPES, "Read a filter.", answer=FilterNow),
    Route("PUT", f"{_PATH}/{{list}}", put_words, _SCOPES, "Replace one list by words as text, one a line.",
          form="lines", answer=FilterSizes, refusals=(408, 413, 415)),
    Route("DELETE", _PATH, delete_filter, _SCOPES, "Take a filter away.", answer=FilterNow),
)  # fmt: skip
