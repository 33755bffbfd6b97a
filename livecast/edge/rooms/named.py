"""Whom staff mean: they may name people by id, or by the alias that viewers see of them. And how books name people to staff."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import TypeAlias

from livecast.core.audience.aliases import Aliases, is_alias
from livecast.edge.http.calls import Call
from livecast.edge.http.problems import ProblemError
from livecast.ports import StoreError

NameOf: TypeAlias = Callable[[str], str]


def naming(call: Call) -> NameOf:
    """How people are named from the books: who asked to be forgotten by their pseudonym. What is theirs and what they got stays."""
    house = call.node.house
    return (lambda user: user) if house is None else (lambda user: house.pseudonym(user) or user)


async def user_named(call: Call, said: str) -> str:
    """The id of a user of the call's room. 404 for an alias that nobody there goes by, as far as is known."""
    return (await users_named(call, [said]))[0]


async def users_named(call: Call, said: Iterable[str]) -> tuple[str, ...]:
    """The same of several."""
    named = tuple(said)
    if not any(map(is_alias, named)):
        return named
    try:
        hub = await call.node.views.get(call.room)
    except StoreError:
        raise ProblemError("unavailable", "The room cannot be read just now.") from None
    if hub is None or hub.aliases is None:
        return named
    found = {one: hub.user_of(one) for one in named}
    if missing := [one for one, user in found.items() if user is None]:
        found |= await _in_the_past(call, hub.aliases, missing)
    if unknown := [one for one in named if found[one] is None]:
        raise ProblemError("not_found", f"Nobody who is known in this room goes by {unknown[0]}.")
    return tuple(found[one] or one for one in named)


async def aliases_of(call: Call) -> Aliases | None:
    """The aliases of the call's room, where it hides its users now: for files of viewers, whose ids are found page by page."""
    try:
        hub = await call.node.views.get(call.room)
    except StoreError:
        raise ProblemError("unavailable", "The room cannot be read just now: whether it hides its users is not known.") from None
    return None if hub is None else hub.aliases


async def _in_the_past(call: Call, aliases: Aliases, missing: list[str]) -> dict[str, str]:
    """Those who have said something here that is archived. A hundred thousand people take a tenth of a second."""
    if call.node.archive is None:
        return {}
    try:
        users = await call.node.archive.people(call.room)
    except StoreError:
        raise ProblemError("unavailable", "The archive does not answer: name the user by id.") from None
    return await asyncio.to_thread(aliases.search, users, frozenset(missing))
