"""What concerns a user in all rooms at once: putting out, and forgetting."""

from __future__ import annotations

import asyncio
import re
from typing import Annotated, Final

from msgspec import Meta, Struct

from livecast.core.commands import ForgetUser, Reason, TimeMs
from livecast.core.errors import Refusal
from livecast.core.events import Ask, Command, Done
from livecast.core.staff.requests import ABOVE_MODERATORS
from livecast.core.staff.sanctions import SANCTIONS_MAX
from livecast.edge.access.jurisdiction import over_all, reach_of, the_house
from livecast.edge.http.calls import Call, Outcome, Route
from livecast.edge.http.problems import Fault, ProblemError
from livecast.ports import StoreError

ROOMS_AT_ONCE: Final = 32
"""Rooms asked at the same time."""
STEP: Final = 500
NAMED_MAX: Final = 20
"""Rooms of a moderator's token that are asked who their hosts are."""
ROOM_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


class PutOut(Struct, frozen=True, forbid_unknown_fields=True):
    """Why, and for how long the user is kept out (`for_s`, or `until` in Unix ms, not both). Without an end, they may come back."""

    reason: Reason = ""
    for_s: Annotated[int, Meta(ge=1, le=31_536_000)] | None = None
    until: TimeMs | None = None


class WasPutOut(Struct):
    """Who was put out of which rooms (`scopes`), and until when they are kept out (Unix ms; null: not at all)."""

    user: str
    scopes: list[str]
    until: int | None
    reason: str
    at: int


class ForgottenRows(Struct):
    """What became of archived rows: comments were deleted; entries of the ledger and what staff did name `pseudonym` instead."""

    pseudonym: str
    comments: int
    money: int
    staff: int


class Forgotten(Struct, omit_defaults=True):
    """In which rooms something of the user was known, and is not any more; and rooms that did not answer: ask again for those.

    `archived` is absent where nothing is archived.
    """

    user: str
    rooms: list[str]
    failed: list[str]
    archived: ForgottenRows | None = None


async def disconnect_user(call: Call) -> Outcome:
    """What was done, on every node."""
    body: PutOut = call.body
    now, user = call.node.clock(), call.path("user")
    if body.for_s is not None and body.until is not None:
        detail = "Say one of `for_s` and `until`."
        raise ProblemError("invalid", detail, errors=[Fault("/until", detail)])
    until = now + body.for_s * 1000 if body.for_s is not None else body.until or 0
    if body.until is not None and body.until <= now:
        detail = "That is over already."
        raise ProblemError("invalid", detail, errors=[Fault("/until", detail)])
    scopes = reach_of(call.caller)
    await _check_above(call, user)
    try:
        await the_house(call).put_out(user, scopes, body.reason, until, call.caller.person)
    except OverflowError:
        raise ProblemError("invalid", f"At most {SANCTIONS_MAX} users can be kept out at once.") from None
    return Outcome(WasPutOut(user, scopes, until or None, body.reason, now))


async def _check_above(call: Call, user: str) -> None:
    """Moderators put out no host and no moderator of a room of theirs, as far as it is named in their token or watched here."""
    caller = call.caller
    if caller.identity is None or caller.person.role in ABOVE_MODERATORS:
        return
    named = [room for room in caller.identity.rooms if ROOM_ID.fullmatch(room)][:NAMED_MAX]
    watched = [hub.room for hub in call.node.views.hubs() if caller.covers(hub.room)][:NAMED_MAX]
    for room in dict.fromkeys((*named, *watched)):
        answer = await call.node.ask(room, lambda at: Ask(at, caller.person, "staff", {"user": user}))
        if isinstance(answer, Refusal) and answer.code != "unknown_room":
            raise ProblemError.of(answer)
        if isinstance(answer, Done) and answer.value:
            raise ProblemError("forbidden", "Moderators put out neither hosts nor moderators of the room.")


async def forget_user(call: Call) -> Outcome:
    """Nothing links what is left to the user: comments are gone, figures stay, and so do bans."""
    if not over_all(call.caller):
        raise ProblemError("forbidden", "This needs an API key of the platform, for all rooms.")
    user, gate = call.path("user"), asyncio.Semaphore(ROOMS_AT_ONCE)
    known: list[str] = []
    failed: list[str] = []

    async def ask(room: str) -> None:
        async with gate:
            answer = await call.node.ask(room, lambda at: Command(at, call.caller.person, "forget_user", ForgetUser(user)))
            try:
                told = await _forget_facts(call, room, user)
            except StoreError:
                failed.append(room)
                return
        if not isinstance(answer, Done):
            failed.append(room)
        elif answer.value["known"] or told:
            known.append(room)

    after = ""
    while True:
        try:
            step = await call.node.log.rooms(after, STEP)
        except StoreError:
            raise ProblemError("unavailable", "The store of rooms does not answer.") from None
        await asyncio.gather(*(ask(room) for room, _ in step))
        if len(step) < STEP:
            break
        after = step[-1][0]
    archived = None
    if call.node.archive is not None:
        erased = await call.node.archive.erase(user, call.node.clock())
        archived = ForgottenRows(erased.pseudonym, erased.comments, erased.money, erased.staff)
    await the_house(call).forget(user, archived.pseudonym if archived else "", len(known), call.caller.person)
    return Outcome(Forgotten(user, sorted(known), sorted(failed), archived))


async def _forget_facts(call: Call, room: str, user: str) -> bool:
    """What the platform said of the user for the drops of a room; whether it had said anything."""
    if (money := call.node.money) is None:
        return False
    (facts,) = await money.ledger.facts(room, [user])
    if facts:
        await money.ledger.put_facts(room, user, b"", call.node.clock())
        money.note_facts(room, user)
    return bool(facts)


_SCOPES: Final = ("chat:moderate",)
ROUTES: Final = (
    Route("POST", "/v1/users/{user}/disconnect", disconnect_user, _SCOPES,
          "Put a user out of every room that you reach (4003), and keep them out for a while.", body=PutOut, answer=WasPutOut),
    Route("DELETE", "/v1/users/{user}", forget_user, _SCOPES, "Forget a user: take what they said off every screen.",
          answer=Forgotten),
)  # fmt: skip
