"""Rows written: each function is one kind of row, all run in one transaction. Writing a row twice is writing it once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cache, lru_cache
from typing import Any, Final

import msgspec
from msgspec.structs import asdict, astuple
from sqlalchemy import Dialect, Table, and_, bindparam, case, delete, func, insert, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from livecast.adapters.archive import tables as t
from livecast.archive import Move, Overtaken
from livecast.core.records.chronicle import BroadcastRow, Card, Merged, MoneyRow, Redaction, Rows
from livecast.core.records.words import words_of
from livecast.core.tools.patch import merge

ADDED: Final = ("comments", "shown", "likes", "gifts", "gift_value", "claims", "orders")
"""Figures of a tick that are added up; the others are the highest seen."""
SLICE: Final = 250
"""Rows of one statement: some 2 ms of the event loop."""
HIGHEST: Final = ("told", "connections", "users")


async def move_cursors(connection: AsyncConnection, moves: Sequence[Move]) -> None:
    """Compare and set, all or (by the exception) none. Raises `Overtaken`."""
    if not moves:
        return
    stands: dict[tuple[str, int], str] = {}
    for source in sorted({move.source for move in moves}):
        shards = [move.shard for move in moves if move.source == source]
        found = await connection.execute(_cursors_wanted(), {"b_source": source, "b_shards": shards})
        stands |= {(row.source, row.shard): row.position for row in found}
    for move in moves:
        if stands.get((move.source, move.shard)) != move.was:
            raise Overtaken(f"{move.source} of shard {move.shard} are archived up to {stands.get((move.source, move.shard))}")
    values = [
        {"source": m.source, "shard": m.shard, "position": m.now.position, "number": m.now.number, "is_new": m.was is None}
        for m in moves
    ]
    try:
        await _many(connection, insert(t.cursors), [_without(v, "is_new") for v in values if v["is_new"]])
    except IntegrityError as error:
        raise Overtaken("another archivist began with the same shard") from error
    moved = [{f"b_{name}": v[name] for name in ("source", "shard", "position", "number")} for v in values if not v["is_new"]]
    await _many(connection, _cursors_moved(), moved)


async def write(connection: AsyncConnection, rows: Rows) -> None:
    """All rows of a batch."""
    await insert_new(connection, t.comments, rows.comments, _of_user)
    await _merge_comments(connection, rows.merged)
    unsaid = await _words_of(connection, rows.redactions)
    await _redact(connection, rows.redactions)
    await _add(connection, t.counts, rows.counts, {"n": _sum})
    await _add(connection, t.counts, rows.heights, {"n": _highest})
    await _add(connection, t.ticks, rows.ticks, {**dict.fromkeys(ADDED, _sum), **dict.fromkeys(HIGHEST, _highest)})
    await _add(connection, t.words, rows.words, {"n": _sum})
    await unsay(connection, unsaid)
    await _note_broadcasts(connection, rows.broadcasts)
    await _merge_cards(connection, rows.cards)
    await insert_new(connection, t.moments, rows.moments, _plain)
    await _add_money(connection, rows.money)
    await insert_new(connection, t.staff, rows.staff, _plain)


# --- Kinds of rows ----------------------------------------------------------------------------------------------------
async def _merge_comments(connection: AsyncConnection, merged: Sequence[Merged]) -> None:
    if not merged:
        return
    await _many(connection, _merged(), [{"b_room": row.room, "b_id": row.id, "b_n": row.n} for row in merged])


async def _redact(connection: AsyncConnection, redactions: Sequence[Redaction]) -> None:
    if not redactions:
        return
    c = t.comments.c
    at: dict[str, Any] = {"redacted_at": bindparam("b_at")}
    of_room = update(t.comments).where(c.room == bindparam("b_room"), c.redacted_at.is_(None))
    one = of_room.where(c.id == bindparam("b_id")).values(at)
    of_user = of_room.where(c.user_id == bindparam("b_user"), c.at <= bindparam("b_at")).values(at)
    await _many(connection, one, [{"b_room": r.room, "b_id": r.id, "b_at": r.at} for r in redactions if r.id])
    await _many(connection, of_user, [{"b_room": r.room, "b_user": r.user, "b_at": r.at} for r in redactions if r.user])


async def _words_of(connection: AsyncConnection, redactions: Sequence[Redaction]) -> Counter[tuple[str, str, str]]:
    """(room, broadcast, word) -> by how many it was said in what is about to be redacted, and was not before."""
    c = t.comments.c
    conditions: list[Any] = [and_(c.room == r.room, c.user_id == r.user, c.at <= r.at) for r in redactions if r.user]
    for room in {r.room for r in redactions}:
        ids = [r.id for r in redactions if r.room == room and r.id]
        conditions += [and_(c.room == room, c.id.in_(ids[begin : begin + SLICE])) for begin in range(0, len(ids), SLICE)]
    return await words_said(connection, conditions)


async def words_said(connection: AsyncConnection, conditions: Iterable[Any]) -> Counter[tuple[str, str, str]]:
    """The same of the comments that any of these conditions is true of."""
    c = t.comments.c
    gone: dict[tuple[str, str], Any] = {}
    for condition in conditions:
        found = await connection.execute(select(c.room, c.id, c.broadcast, c.text, c.n).where(condition, c.redacted_at.is_(None)))
        gone |= {(row.room, row.id): row for row in found}
    unsaid: Counter[tuple[str, str, str]] = Counter()
    for row in gone.values():
        for word in words_of(row.text):
            unsaid[row.room, row.broadcast, word] += row.n
    return unsaid


async def unsay(connection: AsyncConnection, unsaid: Counter[tuple[str, str, str]]) -> None:
    """What is off the screens is nobody's top word."""
    if not unsaid:
        return
    c = t.words.c
    this = and_(c.room == bindparam("b_room"), c.broadcast == bindparam("b_broadcast"), c.word == bindparam("b_word"))
    said = [
        {"b_room": room, "b_broadcast": broadcast, "b_word": word, "b_n": n}
        for (room, broadcast, word), n in sorted(unsaid.items())
    ]
    await _many(connection, update(t.words).where(this).values(n=c.n - bindparam("b_n")), said)
    await _many(connection, delete(t.words).where(this, c.n <= 0), [_without(one, "b_n") for one in said])


async def _note_broadcasts(connection: AsyncConnection, broadcasts: Sequence[BroadcastRow]) -> None:
    if not broadcasts:
        return
    await insert_new(connection, t.broadcasts, [{"room": row.room, "id": row.id} for row in broadcasts])
    await _many(connection, _noted(), [{f"b_{name}": value for name, value in _plain(row).items()} for row in broadcasts])


async def _merge_cards(connection: AsyncConnection, cards: Sequence[Card]) -> None:
    if not cards:
        return
    c = t.cards.c
    key = tuple_(c.room, c.broadcast, c.kind, c.id)
    patched = [(card.room, card.broadcast, card.kind, card.id) for card in cards if not card.whole]
    known: dict[tuple[str, ...], Any] = {}
    for begin in range(0, len(patched), 200):  # SQLite takes some thousand parameters in one statement
        found = await connection.execute(
            select(c.room, c.broadcast, c.kind, c.id, c.doc).where(key.in_(patched[begin : begin + 200]))
        )
        known |= {tuple(row[:4]): msgspec.json.decode(row.doc) for row in found}
    values = [
        {
            "room": card.room, "broadcast": card.broadcast, "kind": card.kind, "id": card.id, "at": card.at,
            "doc": msgspec.json.encode(merge(known.get((card.room, card.broadcast, card.kind, card.id), {}), card.doc)).decode(),
        }
        for card in cards
    ]  # fmt: skip
    statement = _inserting(connection.dialect.name, t.cards)
    newer = {"doc": statement.excluded.doc, "at": statement.excluded.at}
    await _many(connection, statement.on_conflict_do_update(index_elements=_key_of(t.cards), set_=newer), values)


async def _add_money(connection: AsyncConnection, rows: Sequence[MoneyRow]) -> None:
    """Straight to the driver, in the order of the columns: two lines for each gift of thousands a second, which are numbers and
    texts, need nothing of what is done to each value otherwise. That took three times as long as making the rows.
    """
    for begin in range(0, len(rows), SLICE):
        lines = [_line(row) for row in rows[begin : begin + SLICE]]
        await connection.exec_driver_sql(_money_sql(connection.dialect), lines)


def _line(row: MoneyRow) -> tuple[Any, ...]:
    clean = "\0" not in row.ref and "\0" not in row.user and "\0" not in row.other
    return astuple(row) if clean else tuple(_plain(row).values())


# --- Ways of writing --------------------------------------------------------------------------------------------------
async def insert_new(
    connection: AsyncConnection, table: Table, rows: Sequence[Any], made: Callable[[Any], dict[str, Any]] = dict
) -> None:
    """What is there already stays as it is. `made` makes a row's columns."""
    if rows:
        await _many(connection, _new(connection.dialect.name, table), rows, made)


async def _add(connection: AsyncConnection, table: Table, rows: Sequence[Any], how: dict[str, Callable[[Any, Any], Any]]) -> None:
    """New rows; what is there already is put together with them, column by column."""
    if rows:
        await _many(connection, _together(connection.dialect.name, table, tuple(how.items())), rows, _plain)


# Putting a statement together costs more than carrying it out, and a lively room has a batch every few seconds.
@cache
def _cursors_wanted() -> Any:
    # A list, and not a term for each: every shape of a statement is kept for good, with all that it was made of.
    c = t.cursors.c
    return (
        select(t.cursors)
        .where(c.source == bindparam("b_source"), c.shard.in_(bindparam("b_shards", expanding=True)))
        .with_for_update()
    )


@cache
def _cursors_moved() -> Any:
    c = t.cursors.c
    this = and_(c.source == bindparam("b_source"), c.shard == bindparam("b_shard"))
    return update(t.cursors).where(this).values(position=bindparam("b_position"), number=bindparam("b_number"))


@cache
def _merged() -> Any:
    c = t.comments.c
    this = and_(c.room == bindparam("b_room"), c.id == bindparam("b_id"), c.n < bindparam("b_n"))
    return update(t.comments).where(this).values(n=bindparam("b_n"))


@cache
def _noted() -> Any:
    c = t.broadcasts.c
    said: dict[str, Any] = {
        name: func.coalesce(bindparam(f"b_{name}"), c[name]) for name in ("title", "merchant", "status", "started_at", "test")
    }
    # A broadcast ends once: what is said of an ended one later does not make its end later.
    said["ended_at"] = func.coalesce(c.ended_at, bindparam("b_ended_at"))
    highest = {name: case((c[name] > bindparam(f"b_{name}"), c[name]), else_=bindparam(f"b_{name}")) for name in ("users", "peak")}
    return update(t.broadcasts).where(c.room == bindparam("b_room"), c.id == bindparam("b_id")).values(said | highest)


@lru_cache(maxsize=4)
def _money_sql(dialect: Dialect) -> str:
    compiled = _new(dialect.name, t.money).compile(dialect=dialect, column_keys=[column.name for column in t.money.columns])
    return str(compiled)


@cache
def _new(dialect: str, table: Table) -> Any:
    return _inserting(dialect, table).on_conflict_do_nothing(index_elements=_key_of(table))


@cache
def _together(dialect: str, table: Table, how: tuple[tuple[str, Callable[[Any, Any], Any]], ...]) -> Any:
    statement = _inserting(dialect, table)
    both = {name: put(table.c[name], statement.excluded[name]) for name, put in how}
    return statement.on_conflict_do_update(index_elements=_key_of(table), set_=both)


def _sum(there: Any, new: Any) -> Any:
    return there + new


def _highest(there: Any, new: Any) -> Any:
    return case((there > new, there), else_=new)


async def _many(
    connection: AsyncConnection, statement: Any, rows: Sequence[Any], made: Callable[[Any], dict[str, Any]] = dict
) -> None:
    """In slices, between which rooms of this process get their turn: what is prepared for a statement is prepared on the loop."""
    for begin in range(0, len(rows), SLICE):
        await connection.execute(statement, [made(row) for row in rows[begin : begin + SLICE]])


def _inserting(dialect: str, table: Table) -> Any:
    """An INSERT that knows ON CONFLICT: both databases have it, each in its own dialect."""
    return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)


def _key_of(table: Table) -> list[str]:
    return [column.name for column in table.primary_key]


def _plain(row: Any) -> dict[str, Any]:
    """A row's columns. PostgreSQL has no place for NUL in a text; nobody reads it either."""
    values = asdict(row)
    for name, value in values.items():
        if type(value) is str and "\0" in value:
            values[name] = value.replace("\0", "")
    return values


def _of_user(row: Any) -> dict[str, Any]:
    """`user` is a word of SQL's own."""
    values = _plain(row)
    values["user_id"] = values.pop("user")
    return values


def _without(values: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key != name}
