"""For viewers without a socket: the same messages over HTTP, and what the room knows about oneself."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

import msgspec
from msgspec import Struct

from livecast.core.errors import Refusal
from livecast.edge.calls import Call, Outcome, Route, question
from livecast.edge.problems import Fault, ProblemError, pointer_of_field
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


class Me(Struct):
    """What the room knows about the caller. Times in Unix ms; null with `muted` or `banned`: until taken back."""

    muted: bool
    muted_until: int | None
    banned: bool
    banned_until: int | None


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
    address = "" if transport is None else call.node.address_of(transport, call.request.headers)
    answer = await call.node.enter(call.room, call.caller.identity, message, address)
    if isinstance(answer, Refusal):
        raise ProblemError.of(answer)
    ack: dict[str, Any] = msgspec.to_builtins(ack_of(getattr(message, "cid", None), answer))
    if not ack.get("cid"):
        ack.pop("cid", None)
    return Outcome(ack)


async def get_me(call: Call) -> Outcome:
    """The durable form of what notices told."""
    return Outcome(await question(call, "me"))


_ROOM: Final = "/v1/rooms/{room}"
ROUTES: Final = (
    Route("POST", f"{_ROOM}/messages", post_message, (), "Say what a client would say on its socket.",
          body=Posted, form="message", answer=Ack),
    Route("GET", f"{_ROOM}/me", get_me, (), "What the room knows about the token's holder.", answer=Me),
)  # fmt: skip
