"""The control plane as a table: what a `Route` says about one call is all there is to know about it.

From the same rows come the router, who may call, the checks on path, query and body, and the OpenAPI document. Handlers
get a `Call` that has passed all of it and return an `Outcome`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final, Literal, TypeAlias

from aiohttp import web
from msgspec import Struct, field

from livecast.core.commands import NoteAct
from livecast.core.errors import Refusal
from livecast.core.events import Answer, Ask, Command, Done
from livecast.edge.access.callers import Caller, room_now
from livecast.edge.http import cursors
from livecast.edge.http.conditions import check_match, etag, names_tag, revision_of, wants_match
from livecast.edge.http.problems import ProblemError
from livecast.edge.money.money import Money
from livecast.edge.node import Node

ASK_S: Final = 2.0
"""How long a room's owner has for a change."""


class Outcome(Struct, frozen=True):
    """What a handler says: a JSON value, its status, headers. A `revision` becomes the entity tag.

    Or a `stream` of bytes instead of the value, where the route's `content_type` is not JSON's.
    """

    value: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    revision: int | str | None = None
    stream: AsyncIterator[bytes] | None = None
    content_type: str = ""
    """Of a stream, if it is not the route's."""


class Call:
    """One request, checked: who, for which room, with what."""

    __slots__ = ("body", "caller", "node", "query", "request", "request_id", "room")

    def __init__(self, node: Node, request: web.Request, caller: Caller, request_id: str) -> None:
        self.node = node
        self.request = request
        self.caller = caller
        self.request_id = request_id
        self.room: str = request.match_info.get("room", "")
        self.body: Any = None
        """The body, as the route's `form` says."""
        self.query: Any = None
        """The typed query: an instance of the route's `query` struct."""

    def path(self, name: str) -> str:
        """A part of the path, decoded."""
        return self.request.match_info[name]

    @property
    def money(self) -> Money:
        """Everything that has value. A node without a ledger answers `unavailable`, as one whose ledger is closed does."""
        if self.node.money is None:
            raise ProblemError("unavailable", "There is no ledger here: nothing was done.")
        return self.node.money


Handler: TypeAlias = Callable[[Call], Awaitable[Outcome]]

#: How a body is read. `fields`: into the struct. `patch`: an RFC 7396 merge patch of it (null takes a value away), handed on
#: as a plain dict whose names were checked. `free`: a merge patch of the caller's own object (or such an object, its shape being
#: `body`), whose names are not ours to check. `message`: a client's message, handed on as bytes for the wire's own decoder.
#: `lines`: a text that the handler reads as it comes.
Form: TypeAlias = Literal["fields", "patch", "free", "message", "lines"]


class Route(Struct, frozen=True):
    """One call of the control plane."""

    method: Literal["GET", "PUT", "PATCH", "POST", "DELETE"]
    path: str
    handler: Handler
    scopes: tuple[str, ...]
    """A key or staff token needs one of these; none: any viewer's, host's or moderator's token will do, but no key."""
    does: str
    """A sentence for the documentation."""
    body: Any = None
    """The shape of the body: a struct, or a union of them."""
    form: Form = "fields"
    query: type[Struct] | None = None
    answer: type[Struct] | None = None
    """The shape of a success."""
    statuses: tuple[int, ...] = (200,)
    """The successes."""
    content_type: str = "application/json"
    """Of a success. Only a GET may have another one: its handler streams."""
    also: str = ""
    """Another content type that a success may have, if the caller would rather have that."""
    refusals: tuple[int, ...] = ()
    """Statuses of refusals that other calls of its kind do not give."""
    makes_room: bool = False
    """The room of the path need not exist yet."""

    @property
    def tag(self) -> str:
        """The chapter of the documentation it belongs to: the module of its handler."""
        return getattr(self.handler, "__module__", "").rpartition(".")[2]

    @property
    def name(self) -> str:
        """The operation id: the handler's name."""
        return getattr(self.handler, "__name__", "")


async def change(
    call: Call, name: str, args: Struct, *, if_rev: int | None = None, tagged: bool = False, within_s: float = ASK_S
) -> Done:
    """Have the room's owner carry out a command, and wait until it is committed. Refusals become problems.

    With `If-Match` the change is made only to the revision that it names: of the room, or (`tagged`) of what the command is about.
    """
    wanted = wants_match(call.request)
    if_tags = tuple(sorted(map(revision_of, wanted))) if tagged and wanted is not None else None
    if wanted is not None and not tagged:
        room = await room_now(call.node, call.caller, call.room)
        check_match(call.request, None if room is None else etag(room["rev"]))
        if room is not None and names_tag(call.request):
            if_rev = room["rev"]
    person = call.caller.person
    answer = await call.node.ask(
        call.room, lambda origin: Command(origin, person, name, args, if_rev=if_rev, if_tags=if_tags), within_s
    )
    return done(answer)


async def note(call: Call, act: NoteAct, room: str = "") -> None:
    """Have a room log what was done beyond it, or around it. What is done already depends on no `If-Match`."""
    done(await call.node.ask(room or call.room, lambda origin: Command(origin, call.caller.person, "note_act", act)))


async def question(call: Call, what: str, **args: Any) -> Any:
    """What the room's owner answers to a question."""
    answer = await call.node.ask(call.room, lambda origin: Ask(origin, call.caller.person, what, args))
    return done(answer).value


async def listed(call: Call, what: str) -> Outcome:
    """A page of what the room's owner lists. The route's query has `limit` and `cursor`, whose content is the owner's."""
    page = await question(call, what, limit=call.query.limit, cursor=cursors.read(call.query.cursor))
    after = page["next_cursor"]
    return Outcome({"data": page["data"], "next_cursor": None if after is None else cursors.make(after)})


def done(answer: Answer) -> Done:
    """The answer of a command or question; a refusal becomes a problem."""
    if isinstance(answer, Refusal):
        raise ProblemError.of(answer)
    if not isinstance(answer, Done):
        raise TypeError(f"a room answered a command with {type(answer).__name__}")
    return answer


def whole(answer: Done) -> Outcome:
    """The whole object as it is now: 201 where this call made it."""
    revision = answer.value.get("rev") if isinstance(answer.value, dict) else None
    return Outcome(answer.value, 201 if answer.created else 200, revision=revision)
