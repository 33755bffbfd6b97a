"""What reports, charts and replays read. Nothing here reads all comments of a broadcast but `comments`, page by page."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, Final, TypeVar

import msgspec
from sqlalchemy import Row, Select, and_, case, func, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from livecast.adapters.archive import tables as t
from livecast.adapters.archive.writing import ADDED, HIGHEST
from livecast.archive import PEOPLE_MAX, TOP_MAX, Broadcast, DropFigures, Figures, Giver, Sale
from livecast.core.records.chronicle import BUCKET_MS, SOLD_OUT, CommentRow, Moment, StaffRow, Tick

FOR_EVER: Final = 2**62
SALES_MAX: Final = 100_000
"""Orders in one report. A broadcast with more is read from the orders themselves."""
MOMENTS_MAX: Final = 10_000
SEARCHED_MAX: Final = 20_000
"""Comments looked through for words: an hour of a busy room, some 50 ms."""

S = TypeVar("S", bound=msgspec.Struct)


# --- Broadcasts -------------------------------------------------------------------------------------------------------
async def broadcasts(connection: AsyncConnection, room: str, before: int | None, limit: int) -> list[Broadcast]:
    """Latest first."""
    c = t.broadcasts.c
    wanted = select(t.broadcasts).where(c.room == room, c.started_at.is_not(None))
    if before is not None:
        wanted = wanted.where(c.started_at < before)
    found = await connection.execute(wanted.order_by(c.started_at.desc()).limit(limit))
    return [_struct(Broadcast, row) for row in found]


async def broadcast(connection: AsyncConnection, room: str, wanted: str | None) -> Broadcast | None:
    """One, or the latest."""
    if wanted is None:
        latest = await broadcasts(connection, room, None, 1)
        return latest[0] if latest else None
    if "\0" in wanted:
        return None  # no text here has one, and PostgreSQL takes the question for a fault
    c = t.broadcasts.c
    row = (await connection.execute(select(t.broadcasts).where(c.room == room, c.id == wanted))).first()
    return None if row is None else _struct(Broadcast, row)


async def _until(connection: AsyncConnection, of: Broadcast) -> int:
    """When the next broadcast of the room began: what happened before still belongs to this one."""
    c = t.broadcasts.c
    after = select(func.min(c.started_at)).where(c.room == of.room, c.started_at > (of.started_at or 0), c.id != of.id)
    return (await connection.execute(after)).scalar() or FOR_EVER


# --- Figures ----------------------------------------------------------------------------------------------------------
async def ticks(connection: AsyncConnection, room: str, begin: int, end: int, step: int) -> list[Tick]:
    """Put together from those of ten seconds; empty steps are left out."""
    c = t.ticks.c
    at = ((c.at // step) * step).label("begin")
    parts = [func.max(c[name]).label(name) for name in HIGHEST] + [func.sum(c[name]).label(name) for name in ADDED]
    # What is kept of ten seconds counts where they begin.
    wanted = select(at, *parts).where(c.room == room, c.at >= begin - begin % BUCKET_MS, c.at < end).group_by(at).order_by(at)
    return [
        Tick(room, int(row.begin), **{name: int(getattr(row, name)) for name in (*HIGHEST, *ADDED)})
        for row in await connection.execute(wanted)
    ]


async def figures(connection: AsyncConnection, of: Broadcast) -> Figures:
    """All of a report, as of one moment."""
    until = await _until(connection, of)
    begin = of.started_at or 0
    givers, gifts, value = await _givers(connection, of)
    return Figures(
        broadcast=of,
        counts=await _counts(connection, of),
        ticks=tuple(await ticks(connection, of.room, begin, _last(of, until), BUCKET_MS)),
        words=await _words(connection, of),
        givers=givers,
        gifts=gifts,
        gift_value=value,
        drops=await _drops(connection, of.room, begin, until),
        sales=await _sales(connection, of.room, begin, until),
        cards=await _cards(connection, of),
        moments=await _moments(connection, of),
        redacted=await _redacted(connection, of),
        staff=await _staff_counts(connection, of),
    )


def _last(of: Broadcast, until: int) -> int:
    """The end of its charts: viewers who stay after the end are on no curve."""
    return min(until, FOR_EVER if of.ended_at is None else of.ended_at + BUCKET_MS)


async def _counts(connection: AsyncConnection, of: Broadcast) -> dict[str, int]:
    c = t.counts.c
    found = await connection.execute(select(c.name, c.n).where(c.room == of.room, c.broadcast == of.id).order_by(c.name))
    return {row.name: row.n for row in found}


async def _words(connection: AsyncConnection, of: Broadcast) -> tuple[tuple[str, int], ...]:
    c = t.words.c
    wanted = select(c.word, c.n).where(c.room == of.room, c.broadcast == of.id).order_by(c.n.desc(), c.word).limit(TOP_MAX)
    return tuple((row.word, row.n) for row in await connection.execute(wanted))


async def _givers(connection: AsyncConnection, of: Broadcast) -> tuple[tuple[Giver, ...], int, int]:
    c = t.money.c
    sign = case((c.kind == "gift", 1), else_=-1)
    gifts, value = func.sum(sign).label("gifts"), func.sum(sign * c.amount).label("value")
    given = and_(c.room == of.room, c.kind.in_(("gift", "gift_reversed")), c.broadcast == of.id)
    top = select(c.user_id, gifts, value).where(given).group_by(c.user_id).having(func.sum(sign * c.amount) > 0)
    found = await connection.execute(top.order_by(value.desc(), func.min(c.at), c.user_id).limit(TOP_MAX))
    givers = tuple(Giver(row.user_id, int(row.gifts), int(row.value)) for row in found)
    total = (await connection.execute(select(gifts, value).where(given))).one()
    return givers, int(total.gifts or 0), int(total.value or 0)


async def _cards(connection: AsyncConnection, of: Broadcast) -> dict[str, dict[str, dict[str, Any]]]:
    c = t.cards.c
    found = await connection.execute(select(c.kind, c.id, c.doc).where(c.room == of.room, c.broadcast == of.id).order_by(c.id))
    cards: defaultdict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    for row in found:
        cards[row.kind][row.id] = msgspec.json.decode(row.doc)
    return dict(cards)


async def _moments(connection: AsyncConnection, of: Broadcast) -> tuple[Moment, ...]:
    c = t.moments.c
    wanted = select(t.moments).where(c.room == of.room, c.broadcast == of.id).order_by(c.at, c.seq).limit(MOMENTS_MAX)
    return tuple(_struct(Moment, row) for row in await connection.execute(wanted))


async def _redacted(connection: AsyncConnection, of: Broadcast) -> int:
    c = t.comments.c
    wanted = select(func.count()).where(c.room == of.room, c.broadcast == of.id, c.redacted_at.is_not(None))
    return int((await connection.execute(wanted)).scalar_one())


async def _staff_counts(connection: AsyncConnection, of: Broadcast) -> dict[str, int]:
    c = t.staff.c
    wanted = select(c.what, func.count().label("n")).where(c.room == of.room, c.broadcast == of.id).group_by(c.what)
    return {row.what: int(row.n) for row in await connection.execute(wanted.order_by(c.what))}


# --- Drops and orders -------------------------------------------------------------------------------------------------
async def _drops(connection: AsyncConnection, room: str, begin: int, until: int) -> tuple[DropFigures, ...]:
    """Drops of which units were granted, or that were opened, in `[begin, until)`."""
    c = t.money.c
    within = and_(c.room == room, c.at >= begin, c.at < until)
    changes = await connection.execute(
        select(c.ref, c.data, c.state, c.amount).where(within, c.kind == "drop").order_by(c.position)
    )
    drops = {row.ref: (row.state, row.amount, msgspec.json.decode(row.data or "{}")) for row in changes}
    granted = and_(within, c.kind == "granted")
    first, last, n = func.min(c.at).label("first"), func.max(c.at).label("last"), func.count().label("n")
    grants = {row.ref: row for row in await connection.execute(select(c.ref, first, last, n).where(granted).group_by(c.ref))}
    sold_out = {
        row.ref: row.at
        for row in await connection.execute(
            select(c.ref, func.min(c.at).label("at")).where(granted, c.data == SOLD_OUT).group_by(c.ref)
        )
    }
    per_s = select(c.ref, func.count().label("n")).where(granted).group_by(c.ref, c.at // 1000).subquery()
    busiest = {
        row.ref: int(row.n)
        for row in await connection.execute(select(per_s.c.ref, func.max(per_s.c.n).label("n")).group_by(per_s.c.ref))
    }
    units = await _units(connection, room, begin, until)
    made = []
    for drop, (state, stock, data) in drops.items():
        of_drop = grants.get(drop)
        if of_drop is None and state in {"draft", "announced"}:
            continue
        granted_in_all = 0 if of_drop is None else int(of_drop.n)
        ended = units.get(drop, {})
        left = granted_in_all - sum(ended.values())
        made.append(
            DropFigures(
                drop=drop, stock=stock, state="sold_out" if state == "open" and drop in sold_out else state,
                test=bool(data.get("test")), granted=granted_in_all, entrants=data.get("entrants", 0),
                opened_at=data.get("opened_at"), closed_at=data.get("closed_at"),
                first_at=None if of_drop is None else of_drop.first, last_at=None if of_drop is None else of_drop.last,
                sold_out_at=sold_out.get(drop), claims_per_s_max=busiest.get(drop, 0),
                units={**ended, **({"granted": left} if left > 0 else {})},
            )
        )  # fmt: skip
    return tuple(sorted(made, key=lambda drop: (drop.opened_at or FOR_EVER, drop.drop)))


async def _units(connection: AsyncConnection, room: str, begin: int, until: int) -> dict[str, dict[str, int]]:
    """By drop how units stand that changed since they were granted."""
    c = t.money.c
    newest = func.row_number().over(partition_by=(c.ref, c.amount), order_by=c.position.desc()).label("newest")
    changed = select(c.ref, c.state, newest).where(c.room == room, c.kind == "unit", c.at >= begin, c.at < until).subquery()
    wanted = select(changed.c.ref, changed.c.state, func.count().label("n")).where(changed.c.newest == 1)
    out: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for row in await connection.execute(wanted.group_by(changed.c.ref, changed.c.state)):
        out[row.ref][row.state] = int(row.n)
    return out


async def _sales(connection: AsyncConnection, room: str, begin: int, until: int) -> tuple[Sale, ...]:
    """Orders first made in `[begin, until)`, as they stand now."""
    c = t.money.c
    wanted = select(c.ref, c.at, c.amount, c.state, c.data).where(c.room == room, c.kind == "order", c.at >= begin)
    sales: dict[str, Sale] = {}
    for row in await connection.execute(wanted.order_by(c.position).limit(SALES_MAX)):
        known = sales.get(row.ref)
        if known is None and (row.state != "first" or row.at >= until):
            continue
        data = msgspec.json.decode(row.data or "{}")
        at = row.at if known is None else known.at
        told = (str(data.get(name, "")) for name in ("sku", "currency", "status", "drop"))
        sku, currency, status, drop = told
        sales[row.ref] = Sale(row.ref, at, sku, row.amount, currency, status, drop)
    return tuple(sorted(sales.values(), key=lambda sale: (sale.at, sale.order_id)))


# --- Lists ------------------------------------------------------------------------------------------------------------
async def comments(
    connection: AsyncConnection, of: Broadcast, after: tuple[int, str] | None, limit: int
) -> tuple[list[CommentRow | str], tuple[int, str] | None]:
    """A page in order of (time, id), and what to ask for the next one after; None: that was the last."""
    c = t.comments.c
    wanted = select(t.comments).where(c.room == of.room, c.broadcast == of.id)
    if after is not None:
        at, id_ = after
        wanted = wanted.where(c.at >= at, or_(c.at > at, c.id > id_))
    rows = (await connection.execute(wanted.order_by(c.at, c.id).limit(limit))).all()
    page: list[CommentRow | str] = [
        row.id if row.redacted_at is not None else _struct(CommentRow, row, user="user_id") for row in rows
    ]
    return page, (rows[-1].at, rows[-1].id) if len(rows) == limit else None


async def said(
    connection: AsyncConnection, of: Broadcast, before: tuple[int, str], limit: int, *, user: str, text: str
) -> list[CommentRow | tuple[str, int]]:
    """Latest first. Words are looked for in `SEARCHED_MAX` comments at most, so that no question reads a whole night."""
    c = t.comments.c
    at, id_ = before
    wanted = select(t.comments).where(c.room == of.room, c.broadcast == of.id, c.at <= at, or_(c.at < at, c.id < id_))
    if user:
        wanted = wanted.where(c.user_id == user)
    latest = wanted.order_by(c.at.desc(), c.id.desc()).limit(SEARCHED_MAX if text else limit)
    needle = text.casefold()
    if "\0" in user:
        return []  # as above
    found: list[CommentRow | tuple[str, int]] = []
    for row in await connection.execute(latest):
        if row.redacted_at is not None:
            if not text and not user:
                found.append((row.id, row.at))
        elif needle in row.text.casefold():
            found.append(_struct(CommentRow, row, user="user_id"))
        if len(found) == limit:
            break
    return found


async def place(connection: AsyncConnection, room: str, comment: str) -> tuple[int, str] | None:
    """(at, id)."""
    c = t.comments.c
    if "\0" in comment:
        return None  # as above
    row = (await connection.execute(select(c.at, c.id).where(c.room == room, c.id == comment))).first()
    return None if row is None else (int(row.at), str(row.id))


async def people(connection: AsyncConnection, room: str) -> list[str]:
    """Distinct ids."""
    c, m = t.comments.c, t.money.c
    spoke = select(c.user_id).where(c.room == room).distinct().limit(PEOPLE_MAX)
    gave = select(m.user_id).where(m.room == room, m.kind == "gift").distinct().limit(PEOPLE_MAX)
    found = [(await connection.execute(wanted)).scalars().all() for wanted in (spoke, gave)]
    return list(dict.fromkeys(user for users in found for user in users))[:PEOPLE_MAX]


async def staff(connection: AsyncConnection, room: str, before: tuple[int, str, int, int] | None, limit: int) -> list[StaffRow]:
    """Latest first."""
    c = t.staff.c
    key = tuple_(c.at, c.epoch, c.number, c.line)
    wanted: Select[Any] = select(t.staff).where(c.room == room)
    if before is not None:
        wanted = wanted.where(key < tuple_(*before))
    ordered = wanted.order_by(c.at.desc(), c.epoch.desc(), c.number.desc(), c.line.desc())
    return [_struct(StaffRow, row) for row in await connection.execute(ordered.limit(limit))]


def _struct(kind: type[S], row: Row[Any], **renamed: str) -> S:
    return kind(**{name: getattr(row, renamed.get(name, name)) for name in kind.__struct_fields__})
