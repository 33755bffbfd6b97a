"""Orders: what was sold because of a broadcast, told by the shop; tied to a claim where there was one."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Struct

from livecast.core.errors import Refusal
from livecast.core.money.drops import Name
from livecast.core.money.units import Order
from livecast.core.rules import UserId
from livecast.edge.access.callers import room_now
from livecast.edge.api.claims import Currency, Money, OrderId
from livecast.edge.http.calls import Call, Outcome, Route
from livecast.edge.http.problems import Fault, ProblemError

#: The shop's own word, say `placed`, `paid`, `shipped`, `cancelled`: handed on, not judged.
Status = Annotated[str, Meta(pattern=r"^[a-z_]{1,32}\Z")]
Serial = Annotated[int, Meta(ge=1, le=2**53 - 1)]


class PostOrder(Struct, frozen=True, forbid_unknown_fields=True):
    """An order. `amount` is in the smallest unit of `currency`. With `drop` and `serial`: for that unit, of the same user.

    The same `order_id` again may change `amount`, `currency` and `status`; the rest stays what it was.
    """

    order_id: OrderId
    user: UserId
    sku: Name
    amount: Money
    currency: Currency
    status: Status
    drop: Name | None = None
    serial: Serial | None = None


class OrderNow(Struct):
    """An order as kept. `at`: when it was first told."""

    order_id: str
    user: str
    sku: str
    amount: int
    currency: str
    status: str
    drop: str | None
    serial: int | None
    at: int


async def post_order(call: Call) -> Outcome:
    """201 if it was not known, 200 if it was."""
    body: PostOrder = call.body
    if (body.drop is None) != (body.serial is None):
        detail = "Say both, `drop` and `serial`, or neither."
        raise ProblemError("invalid", detail, errors=[Fault("/drop" if body.drop is None else "/serial", detail)])
    money = call.money
    if await room_now(call.node, call.caller, call.room) is None:
        raise ProblemError("unknown_room")
    drop, serial = body.drop or "", body.serial or 0
    order = Order(body.order_id, body.user, body.sku, body.amount, body.currency, body.status, drop, serial)
    answer = await money.ledger.order(call.room, order, call.node.clock())
    if isinstance(answer, Refusal):
        raise _refused(answer)
    money.ring(call.room)
    kept = answer.order
    now = OrderNow(
        kept.order_id,
        kept.user,
        kept.sku,
        kept.amount,
        kept.currency,
        kept.status,
        kept.drop or None,
        kept.serial or None,
        answer.at,
    )
    return Outcome(now, 201 if answer.first else 200)


def _refused(answer: Refusal) -> ProblemError:
    detail = {
        "conflict": "This order was told with another user, sku or unit.",
        "not_found": "This user has no such unit.",
    }.get(answer.code, answer.sentence())
    return ProblemError(answer.code, detail)


ROUTES: Final = (
    Route("POST", "/v1/rooms/{room}/orders", post_order, ("claims:settle",), "What was sold, or what became of it.",
          body=PostOrder, answer=OrderNow, statuses=(200, 201)),
)  # fmt: skip
