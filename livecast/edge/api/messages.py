"""For viewers without a socket: the same messages over HTTP, and what the room knows about oneself."""

from __future__ import annotations

from typing import Any, Final, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Struct, UnsetType

from livecast.core.errors import Refusal
from livecast.core.money.units import UnitState
from livecast.edge.access.jurisdiction import merchant_of
from livecast.edge.http.calls import Call, Outcome, Route, question
from livecast.edge.http.problems import Fault, ProblemError, pointer_of_field
from livecast.house import Kind
from livecast.wire.codec import JSON, WireError, ack_of
from livecast.wire.messages import (
    Ack,
    ClaimMessage,
    CommentMessage,
    GiftMessage,
    LikeMessage,
    ReportMessage,
    TapMessage,
    VoteMessage,
)

#: What may be posted: every message of a client but those about its connection.
Posted: TypeAlias = CommentMessage | LikeMessage | GiftMessage | ClaimMessage | VoteMessage | TapMessage | ReportMessage


class Lacking(Struct):
    """One thing that speaks against a claim: the rule of the drop's `eligibility`, what the caller has, what it takes."""

    rule: str
    have: Any
    need: Any


class Eligible(Struct):
    """Whether the caller may claim a drop; null: the room does not say just now."""

    eligible: bool | None
    missing: list[Lacking]


class MyClaim(Struct):
    """A unit of one's own. `of` was the stock; `expires_at` goes with a reservation, `receipt` with what still is one's own."""

    drop: str
    title: str
    kind: Literal["coupon", "draw"]
    serial: int
    of: int
    state: UnitState
    at: int
    code: str | UnsetType = UNSET
    expires_at: int | UnsetType = UNSET
    order_id: str | UnsetType = UNSET
    receipt: str | UnsetType = UNSET
    test: bool | UnsetType = UNSET


class MyEntry(Struct):
    """One's place in a pot. `state`: it is `open`, `frozen`, `drawn` or `cancelled`; `won`: serials, once it is drawn.

    The leaf that stands for oneself in the published draw is HMAC-SHA256(`nonce`, user id).
    """

    drop: str
    title: str
    kind: Literal["coupon", "draw"]
    number: int
    nonce: str
    at: int
    state: str
    won: list[int]


class MyVote(Struct):
    """What the caller voted for in one poll of the room, of the last week."""

    poll: str
    choice: int


class Me(Struct):
    """What is known of the caller: by the room (null with `muted` or `banned`: until taken back) and by the ledger.

    `claims` are units of the room's newest drops, `entries` places in their pots, `eligibility` is by open drop. Times in Unix ms.
    """

    muted: bool
    muted_until: int | None
    banned: bool
    banned_until: int | None
    votes: list[MyVote] = []
    balance: int | None = None
    claims: list[MyClaim] = []
    entries: list[MyEntry] = []
    eligibility: dict[str, Eligible] = {}


SENTENCED: Final[tuple[tuple[Kind, str], ...]] = (("mute", "muted"), ("ban", "banned"))


async def post_message(call: Call) -> Outcome:
    """The message's ack, or the problem that its `error` would be."""
    try:
        message = JSON.decode(call.body)
    except WireError as fault:
        errors = [Fault(pointer_of_field(fault.field), fault.message)] if fault.field else []
        raise ProblemError(fault.code, fault.message, errors=errors) from None
    if call.caller.identity is None:
        raise ProblemError("forbidden")  # the route admits tokens only; this is for the reader and the type checker
    transport = call.request.transport
    address = "" if transport is None else call.node.address_of(transport, *call.request.headers.getall("X-Forwarded-For", ()))
    answer = await call.node.enter(call.room, call.caller.identity, message, address)
    if isinstance(answer, Refusal):
        raise ProblemError.of(answer)
    ack: dict[str, Any] = msgspec.to_builtins(ack_of(getattr(message, "cid", None), answer))
    if not ack.get("cid"):
        ack.pop("cid", None)
    return Outcome(ack)


async def get_me(call: Call) -> Outcome:
    """The durable form of what notices told. A ledger that does not answer: 503, for half of it would look like the whole."""
    known = await sentences_on(call, call.caller.id, await question(call, "me"))
    if call.node.money is None or call.caller.identity is None:
        return Outcome(known)
    return Outcome({**known, **await call.node.money.mine(call.room, call.caller.identity)})


async def sentences_on(call: Call, user: str, known: dict[str, Any]) -> dict[str, Any]:
    """What stands against a user: `muted`, `banned` and their ends as the room knows them, and what holds beyond the room."""
    house = call.node.house
    if house is None or not house.names(user):
        return known
    merchant = await merchant_of(call)
    for kind, name in SENTENCED:
        wide = house.against(kind, user, call.room, merchant)
        if wide is not None:
            here: int | None = known[f"{name}_until"] if known[name] else 0
            until = None if here is None or not wide.until else max(here, wide.until)
            known = {**known, name: True, f"{name}_until": until}
    return known


_ROOM: Final = "/v1/rooms/{room}"
ROUTES: Final = (
    Route("POST", f"{_ROOM}/messages", post_message, (), "Say what a client would say on its socket.",
          body=Posted, form="message", answer=Ack, refusals=(402,)),
    Route("GET", f"{_ROOM}/me", get_me, (), "What the room knows about the token's holder.", answer=Me),
)  # fmt: skip
