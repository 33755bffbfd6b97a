"""Wallets: coins in, coins out, the balance, the statement. For services: who holds a key may move coins."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from livecast.core.errors import Refusal
from livecast.core.money.coins import AMOUNT_MAX, Booking, Movement, Wallet, account_as_told, service_tx
from livecast.edge.http import cursors
from livecast.edge.http.calls import Call, Outcome, Route
from livecast.edge.http.problems import ProblemError
from livecast.edge.rooms.named import NameOf, naming

#: An id that a service chose. Without a slash, which only ids of our own have: a refund can be taken for no payment.
Tx = Annotated[str, Meta(pattern=r"^[\x21-\x2e\x30-\x7e]{1,128}\Z")]
Amount = Annotated[int, Meta(ge=1, le=AMOUNT_MAX)]
Memo = Annotated[str, Meta(max_length=200)]


class MoveCoins(Struct, frozen=True, forbid_unknown_fields=True):
    """Coins for a wallet, or out of it. The same `tx` of the same key for the same wallet changes nothing and gets the first
    answer again; with anything else in it, it is a conflict.
    """

    tx: Tx
    amount: Amount
    memo: Memo = ""


class CoinsMoved(Struct):
    """A booking: the balance behind it, and its number in the statement."""

    tx: str
    user: str
    balance: int
    number: int
    at: int


class WalletNow(Struct):
    """A wallet; `entries` counts the lines of its statement."""

    user: str
    balance: int
    entries: int


class WalletEntry(Struct):
    """A line of the statement: the sum of all amounts up to it is `balance`. `counter` is the account on the other side."""

    number: int
    at: int
    amount: int
    balance: int
    counter: str
    tx: str
    memo: str


class EntryPage(Struct):
    """A page of the statement, newest first."""

    data: list[WalletEntry]
    next_cursor: str | None


class ListEntries(Struct, frozen=True):
    """Which page."""

    limit: Annotated[int, Meta(ge=1, le=200)] = 50
    cursor: cursors.Cursor = ""


async def post_credit(call: Call) -> Outcome:
    """201 with the booking."""
    return await _move(call, 1)


async def post_debit(call: Call) -> Outcome:
    """201 with the booking, or 402."""
    return await _move(call, -1)


async def _move(call: Call, sign: int) -> Outcome:
    body: MoveCoins = call.body
    money, user = call.money, call.path("user")
    movement = Movement(user, service_tx(call.caller.id, body.tx), sign * body.amount, _account(call.caller.id), body.memo)
    answer = await money.ledger.move(movement, call.node.clock())
    if isinstance(answer, Refusal):
        raise ProblemError.of(answer)
    money.ring(user)
    return Outcome(CoinsMoved(body.tx, user, answer.balance, answer.number, answer.at), 201)


def _account(key: str) -> str:
    """The other side of a key's movements."""
    return f"key:{key}"


def _as_told(line: Booking, name_of: NameOf) -> WalletEntry:
    """A service's `tx` as it chose it: whose it is, `counter` says. A host there goes by the name that earnings tell."""
    told = WalletEntry(**msgspec.structs.asdict(line))
    told.counter = account_as_told(line.counter, name_of)
    if line.counter.startswith(_account("")):
        told.tx = line.tx.removeprefix(service_tx(line.counter.removeprefix(_account("")), ""))
    return told


def _unopened(wallet: Wallet, now: int) -> list[Booking]:
    """The statement of a wallet that nothing was booked in yet. Where everybody begins with coins (with `--dev`) their first
    movement books them: until then they are told as they will be, for a balance is the sum of its entries.
    """
    return [Booking(1, now, wallet.balance, wallet.balance, "opening", "opening")] if wallet.balance and not wallet.bookings else []


async def get_wallet(call: Call) -> Outcome:
    """The balance. A wallet that was never touched is empty, not missing."""
    wallet: Wallet = await call.money.ledger.wallet(call.path("user"))
    return Outcome(WalletNow(wallet.user, wallet.balance, wallet.bookings or len(_unopened(wallet, call.node.clock()))))


async def get_entries(call: Call) -> Outcome:
    """Newest first; the cursor is the number of the page's last line."""
    wanted: ListEntries = call.query
    before = cursors.read_number(wanted.cursor, 0) or None
    lines = [] if before == cursors.NOWHERE else await call.money.ledger.bookings(call.path("user"), before, wanted.limit)
    if not lines and not wanted.cursor:
        lines = _unopened(await call.money.ledger.wallet(call.path("user")), call.node.clock())
    more = len(lines) == wanted.limit and lines[-1].number > 1
    name_of = naming(call)
    return Outcome(
        EntryPage(
            [_as_told(line, name_of) for line in lines],
            cursors.make(str(lines[-1].number)) if more else None,
        )
    )


_WALLET: Final = "/v1/wallets/{user}"
_READ: Final = ("wallets:read",)
_WRITE: Final = ("wallets:write",)
ROUTES: Final = (
    Route("POST", f"{_WALLET}/credits", post_credit, _WRITE, "Put coins into a wallet.",
          body=MoveCoins, answer=CoinsMoved, statuses=(201,)),
    Route("POST", f"{_WALLET}/debits", post_debit, _WRITE, "Take coins out of a wallet; never below zero.",
          body=MoveCoins, answer=CoinsMoved, statuses=(201,), refusals=(402,)),
    Route("GET", _WALLET, get_wallet, _READ, "A wallet's balance.", answer=WalletNow),
    Route("GET", f"{_WALLET}/entries", get_entries, _READ, "A wallet's statement, newest first.",
          query=ListEntries, answer=EntryPage),
)  # fmt: skip
