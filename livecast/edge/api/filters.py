"""Word filters by scope: the platform's, a merchant's, a room's. A change holds everywhere at once, without a restart."""

from __future__ import annotations

import re
from typing import Final

import msgspec
from msgspec import Struct

from livecast.core.commands import NoteAct
from livecast.core.filter.filters import FilterLists, Rule
from livecast.core.filter.words import Pinyin
from livecast.edge.access.callers import check_room, room_now
from livecast.edge.access.jurisdiction import over_all, the_house
from livecast.edge.http.calls import Call, Outcome, Route, note
from livecast.edge.http.conditions import check_match, etag, names_tag
from livecast.edge.http.problems import ProblemError
from livecast.edge.http.word_list import read_words
from livecast.shard.house import FilterSeen

TRIES: Final = 5
"""How often one list is put into a filter that others change meanwhile."""
_NAMED: Final = re.compile(r"(merchant|room):([A-Za-z0-9_-]{1,64})")


class FilterNow(Struct):
    """The filter of a scope: words to block, to mask with stars, to hold for a moderator; the same of links and phones; and what of
    the Chinese words is looked for in pinyin: nothing, what is half in it (`mixed`), or also what is in it altogether (`full`).
    """

    scope: str
    block: list[str]
    mask: list[str]
    hold: list[str]
    links: Rule
    phones: Rule
    pinyin: Pinyin


class FilterSizes(Struct):
    """How many words the lists of a scope have."""

    scope: str
    block: int
    mask: int
    hold: int


async def put_filter(call: Call) -> Outcome:
    """The filter as it is now."""
    scope, lists = await _scope(call), call.body
    await _put(call, scope, lists, await the_house(call).filter_seen(scope))
    return _told(scope, lists)


async def get_filter(call: Call) -> Outcome:
    """The filter of the scope; an empty one where there is none."""
    scope = await _scope(call)
    return _told(scope, await the_house(call).lists(scope) or FilterLists())


async def delete_filter(call: Call) -> Outcome:
    """What was taken away."""
    scope = await _scope(call)
    seen = await the_house(call).filter_seen(scope)
    if seen.lists is None:
        raise ProblemError("not_found", "There is no filter of this scope.")
    await _put(call, scope, None, seen)
    return _told(scope, seen.lists)


async def put_words(call: Call) -> Outcome:
    """How many words each list of the scope has now. The other lists and rules stay."""
    action = call.path("list")
    if action not in {"block", "mask", "hold"}:
        raise ProblemError("not_found", "A list is `block`, `mask` or `hold`.")
    scope, house = await _scope(call), the_house(call)
    check_match(call.request, etag((await house.filter_seen(scope)).revision))  # before megabytes are read
    words = await read_words(call.request)
    for _ in range(TRIES):
        seen = await house.filter_seen(scope)
        lists = msgspec.structs.replace(seen.lists or FilterLists(), **{action: words})
        if await _put(call, scope, lists, seen, part=True):
            sizes = FilterSizes(scope, len(lists.block), len(lists.mask), len(lists.hold))
            return Outcome(sizes, revision=FilterSeen(None, lists).revision)
    raise ProblemError("conflict", "Others change this filter at the same time.")


async def _put(call: Call, scope: str, lists: FilterLists | None, seen: FilterSeen, *, part: bool = False) -> bool:
    """Let it hold from now on. What is changed for a room is in the room's own log, too. False: a `part` of it is to be put into
    what it has become meanwhile.
    """
    check_match(call.request, etag(seen.revision))
    guarded = part or names_tag(call.request)
    act = await the_house(call).put_lists(scope, lists, call.caller.person, seen=seen if guarded else None)
    if act is None:
        if names_tag(call.request):
            raise ProblemError("precondition_failed")
        return False
    kind, _, room = scope.partition(":")
    if kind == "room":
        await note(call, NoteAct(act.action, {name: value for name, value in act.args.items() if name != "scope"}), room)
    return True


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
    now = FilterNow(scope, list(lists.block), list(lists.mask), list(lists.hold), lists.links, lists.phones, lists.pinyin)
    return Outcome(now, revision=FilterSeen(None, lists).revision)


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
