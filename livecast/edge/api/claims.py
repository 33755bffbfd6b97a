"""What was won: a drop's claims in pages and as CSV, and what becomes of each of them."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Annotated, Final, TypeAlias

from msgspec import Meta, Struct

from livecast.core.commands import Reason
from livecast.core.errors import Refusal
from livecast.core.money.coins import AMOUNT_MAX
from livecast.core.money.units import Confirm, Drop, Release, Revoke, Unit, UnitState, UnitStep
from livecast.core.rules import UserId
from livecast.edge.api.drops import found
from livecast.edge.http import cursors
from livecast.edge.http.calls import Call, Outcome, Route
from livecast.edge.http.problems import ProblemError
from livecast.edge.money.money import CodeOf
from livecast.edge.rooms.named import NameOf, naming
from livecast.ledger import Ledger

FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""What spreadsheets take a cell that begins like this for. What other people chose gets an apostrophe before it, which spreadsheets
do not show (OWASP, CSV injection)."""
CHOSEN: Final = frozenset({"user", "order_id", "reason"})
UNITS_AT_ONCE: Final = 1_000
"""Units read at once, some 100 KB of a CSV."""
SCANNED_MAX: Final = 10_000
"""Units looked at for one page of a list that asks for one state: some 50 ms of the ledger's time in ten pieces."""
LineOf: TypeAlias = Callable[[Unit], Struct]
OrderId = Annotated[str, Meta(min_length=1, max_length=128)]
Currency = Annotated[str, Meta(pattern=r"^[A-Z]{3}\Z")]
Money = Annotated[int, Meta(ge=0, le=AMOUNT_MAX)]  # in the currency's smallest unit


class ClaimLine(Struct, omit_defaults=True):
    """A unit that was granted, and what became of it. `amount` is in the smallest unit of `currency`."""

    serial: int
    user: str
    state: UnitState
    at: int
    code: str = ""
    expires_at: int | None = None
    order_id: str = ""
    amount: int | None = None
    currency: str = ""
    changed_at: int | None = None
    reason: str = ""
    test: bool = False


class WinnerLine(Struct):
    """Who has which unit: what may be said on air. No code, and nothing of an order."""

    serial: int
    user: str
    state: UnitState
    at: int


class WinnerPage(Struct):
    """A page of a drop's winners in the order of their serials."""

    data: list[WinnerLine]
    next_cursor: str | None


class ClaimPage(Struct):
    """A page of a drop's claims in the order of their serials."""

    data: list[ClaimLine]
    next_cursor: str | None


class WhichClaims(Struct, frozen=True):
    """Only those in this state, or of this user."""

    state: UnitState | None = None
    user: UserId | None = None


class ListClaims(WhichClaims, frozen=True):
    """Which page, and of which claims."""

    limit: Annotated[int, Meta(ge=1, le=200)] = 50
    cursor: cursors.Cursor = ""


class ConfirmClaim(Struct, frozen=True, forbid_unknown_fields=True):
    """The order that bought the unit."""

    order_id: OrderId
    amount: Money | None = None
    currency: Currency | None = None


class RevokeClaim(Struct, frozen=True, forbid_unknown_fields=True):
    """Why, and whether somebody else may have the unit."""

    reason: Reason = ""
    return_stock: bool = False


async def list_claims(call: Call) -> Outcome:
    """The cursor is the last serial that was looked at: a page that was full once is the same for good, but for what became of
    its units. A page of one state may be short or empty although there are more: `next_cursor` says whether.
    """
    (drop, code_of), name_of = await _drop(call), naming(call)
    units, after = await _page(call, drop)
    return Outcome(ClaimPage([_as_told(unit, drop, code_of, name_of) for unit in units], after))


async def list_winners(call: Call) -> Outcome:
    """As `claims`, for those who may not see codes."""
    units, after = await _page(call, await found(call))
    name_of = naming(call)
    return Outcome(WinnerPage([_winner(unit, name_of) for unit in units], after))


async def winners_csv(call: Call) -> Outcome:
    """All of them as of now, as `claims.csv`, without codes and orders."""
    name_of = naming(call)
    return await _as_file(call, "winners", WinnerLine.__struct_fields__, await found(call), lambda unit: _winner(unit, name_of))


async def _page(call: Call, drop: Drop) -> tuple[list[Unit], str | None]:
    """The units asked for, and the cursor of the page behind them."""
    wanted: ListClaims = call.query
    after = cursors.read_number(wanted.cursor, 0)
    fits: list[Unit] = []
    looked_at = 0
    async for units in _pages(call.money.ledger, drop, wanted, after, wanted.limit if wanted.state is None else UNITS_AT_ONCE):
        fitting = [unit for unit in units if wanted.state in {None, unit.state}]
        looked_at += len(units)
        # Where the page is full the next one goes on behind its last unit, else behind the last that was looked at.
        is_full = len(fits) + len(fitting) >= wanted.limit
        fits += fitting[: wanted.limit - len(fits)]
        after = fits[-1].serial if is_full else units[-1].serial
        if is_full or looked_at >= SCANNED_MAX:
            break
    last = await _last_serial(call.money.ledger, drop, wanted)
    return fits, cursors.make(str(after)) if after < last else None


async def claims_csv(call: Call) -> Outcome:
    """All of them as of now, in the order of their serials; read and sent piece by piece."""
    (drop, code_of), name_of = await _drop(call), naming(call)
    return await _as_file(call, "claims", ClaimLine.__struct_fields__, drop, lambda unit: _as_told(unit, drop, code_of, name_of))


async def _as_file(call: Call, name: str, columns: Sequence[str], drop: Drop, line_of: LineOf) -> Outcome:
    ledger = call.money.ledger
    await ledger.units(call.room, drop.id, 0, 1)  # a ledger that does not answer is 503, not the head of a file
    headers = {"Content-Disposition": f'attachment; filename="{name}-{call.room}-{drop.id}.csv"'}
    return Outcome(headers=headers, stream=_csv(ledger, drop, columns, line_of, call.query))


async def confirm_claim(call: Call) -> Outcome:
    """Bought. Again with the same order: no change; with another one: conflict."""
    body: ConfirmClaim = call.body
    return await _step(call, Confirm(body.order_id, body.amount, body.currency or ""))


async def release_claim(call: Call) -> Outcome:
    """Back to stock; its user may claim again."""
    return await _step(call, Release())


async def revoke_claim(call: Call) -> Outcome:
    """Taken away."""
    body: RevokeClaim = call.body
    return await _step(call, Revoke(body.reason, body.return_stock))


async def _step(call: Call, step: UnitStep) -> Outcome:
    money, serial = call.money, call.path("serial")
    drop, code_of = await _drop(call)
    if not (serial.isascii() and serial.isdigit() and len(serial) <= 15):
        raise ProblemError("not_found")
    answer = await money.ledger.step_unit(call.room, drop.id, int(serial), step, call.node.clock())
    if isinstance(answer, Refusal):
        raise ProblemError.of(answer)
    money.ring(call.room)
    return Outcome(_as_told(answer, drop, code_of, naming(call)))


async def _drop(call: Call) -> tuple[Drop, CodeOf]:
    return await found(call), await call.money.coder(call.room, call.path("drop"))


def _as_told(unit: Unit, drop: Drop, code_of: CodeOf, name_of: NameOf) -> ClaimLine:
    return ClaimLine(
        serial=unit.serial,
        user=name_of(unit.user),
        state=unit.state,
        at=unit.at,
        code=code_of(unit),
        expires_at=unit.expires_at,
        order_id=unit.order_id,
        amount=unit.amount,
        currency=unit.currency,
        changed_at=unit.changed_at,
        reason=unit.reason,
        test=drop.terms.test,
    )


def _winner(unit: Unit, name_of: NameOf) -> WinnerLine:
    return WinnerLine(unit.serial, name_of(unit.user), unit.state, unit.at)


async def _pages(ledger: Ledger, drop: Drop, wanted: WhichClaims, after: int, size: int) -> AsyncIterator[Sequence[Unit]]:
    """Units above the serial `after` in their order, `size` at a time; of one user if that is asked for, of any state."""
    if wanted.user is not None:
        of_user = [unit for unit in await ledger.units_of(drop.room, drop.id, wanted.user) if unit.serial > after]
        for first in range(0, len(of_user), size):
            yield of_user[first : first + size]
        return
    while units := await ledger.units(drop.room, drop.id, after, size):
        yield units
        after = units[-1].serial


async def _last_serial(ledger: Ledger, drop: Drop, wanted: WhichClaims) -> int:
    """The serial behind which there is nothing to list."""
    if wanted.user is None:
        return drop.granted
    return max((unit.serial for unit in await ledger.units_of(drop.room, drop.id, wanted.user)), default=0)


async def _csv(ledger: Ledger, drop: Drop, columns: Sequence[str], line_of: LineOf, wanted: WhichClaims) -> AsyncIterator[bytes]:
    """Lines as RFC 4180 has them, the first with the columns' names. Times are Unix ms; what is not there is empty."""
    yield _lines([columns])
    async for units in _pages(ledger, drop, wanted, 0, UNITS_AT_ONCE):
        lines = [line_of(unit) for unit in units if wanted.state in {None, unit.state}]
        if lines:
            yield _lines([[_cell(column, getattr(line, column)) for column in columns] for line in lines])


def _lines(rows: Sequence[Sequence[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def _cell(column: str, value: object) -> str:
    if isinstance(value, str):
        return f"'{value}" if column in CHOSEN and value.startswith(FORMULA) else value
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


_CLAIMS: Final = "/v1/rooms/{room}/drops/{drop}/claims"
_CLAIM: Final = f"{_CLAIMS}/{{serial}}"
_WINNERS: Final = "/v1/rooms/{room}/drops/{drop}/winners"
_SETTLE: Final = ("claims:settle",)
_SEE: Final = ("drops:read",)
ROUTES: Final = (
    Route("GET", _CLAIMS, list_claims, _SETTLE, "List a drop's claims, in the order of their serials.",
          query=ListClaims, answer=ClaimPage),
    Route("GET", f"{_CLAIMS}.csv", claims_csv, _SETTLE, "All claims of a drop as CSV.",
          query=WhichClaims, content_type="text/csv"),
    Route("GET", _WINNERS, list_winners, _SEE, "List who won, without codes.", query=ListClaims, answer=WinnerPage),
    Route("GET", f"{_WINNERS}.csv", winners_csv, _SEE, "Who won as CSV, without codes.",
          query=WhichClaims, content_type="text/csv"),
    Route("POST", f"{_CLAIM}/confirm", confirm_claim, _SETTLE, "A claim was bought.", body=ConfirmClaim, answer=ClaimLine),
    Route("POST", f"{_CLAIM}/release", release_claim, _SETTLE, "A reserved claim is not wanted: back to stock.",
          answer=ClaimLine),
    Route("POST", f"{_CLAIM}/revoke", revoke_claim, _SETTLE, "Take a claim away.", body=RevokeClaim, answer=ClaimLine),
)  # fmt: skip
