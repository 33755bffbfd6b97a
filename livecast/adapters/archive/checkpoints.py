"""Checkpoints of the ledger's shards: a line for each, its pieces, and the halves of gifts that were on their way then.

Pieces are written before the line that says that they count, under the position they are of: a checkpoint of any size is there in
one moment, and a writer that died leaves nothing that anybody reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, and_, delete, func, insert, inspect, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from livecast.adapters.archive import tables as t
from livecast.archive import Overtaken
from livecast.core.books.audit import OTHER, HalfWay
from livecast.core.books.checkpoint import Checkpoint

SLICE: Final = 200
"""Halves looked up or written with one statement."""


async def basis(connection: AsyncConnection) -> tuple[dict[int, Checkpoint], list[HalfWay]]:
    """All checkpoints and halves. There are none in an archive from before there were any."""
    if not await connection.run_sync(_has_them):
        return {}, []
    lines = (await connection.execute(select(t.checkpoints))).mappings()
    found = {line["shard"]: Checkpoint(**line) for line in lines}
    halves = (await connection.execute(select(t.checkpoint_halves))).mappings()
    return found, [HalfWay(**half) for half in halves]


async def parts(connection: AsyncConnection, checkpoint: Checkpoint, first: int, limit: int) -> list[bytes]:
    """Some of a checkpoint's pieces."""
    c = t.checkpoint_parts.c
    wanted = and_(c.shard == checkpoint.shard, c.position == checkpoint.position, c.number >= first)
    found = await connection.execute(select(c.body).where(wanted).order_by(c.number).limit(limit))
    return list(found.scalars())


async def put_parts(connection: AsyncConnection, checkpoint: Checkpoint, first: int, bodies: Sequence[bytes]) -> None:
    """Some of its pieces, in place of those that somebody left there before."""
    c, where = t.checkpoint_parts.c, {"shard": checkpoint.shard, "position": checkpoint.position}
    here = and_(c.shard == checkpoint.shard, c.position == checkpoint.position)
    await connection.execute(delete(t.checkpoint_parts).where(here, c.number >= first))
    rows = [{**where, "number": number, "body": body} for number, body in enumerate(bodies, first)]
    await connection.execute(insert(t.checkpoint_parts), rows)


async def put(connection: AsyncConnection, checkpoint: Checkpoint, count: int, halves: Sequence[HalfWay]) -> None:
    """From now on it counts. Raises `Overtaken`: the one before it is another one, or not all pieces are there."""
    table, c = t.checkpoints, t.checkpoints.c
    held = select(func.count()).where(
        t.checkpoint_parts.c.shard == checkpoint.shard, t.checkpoint_parts.c.position == checkpoint.position
    )
    stands = (await connection.execute(select(c.position).where(c.shard == checkpoint.shard).with_for_update())).scalar()
    if (stands or 0) != checkpoint.before or (await connection.execute(held)).scalar_one() != count:
        raise Overtaken(f"the checkpoint of shard {checkpoint.shard} stands at {stands}, not at {checkpoint.before}")
    line = {"position": checkpoint.position, "at": checkpoint.at, "entries": checkpoint.entries, "before": checkpoint.before}
    if stands is None:
        await connection.execute(insert(table).values(shard=checkpoint.shard, **line))
    else:
        await connection.execute(update(table).where(c.shard == checkpoint.shard).values(**line))
    p = t.checkpoint_parts.c
    await connection.execute(delete(t.checkpoint_parts).where(p.shard == checkpoint.shard, p.position != checkpoint.position))
    for first in range(0, len(halves), SLICE):
        await _meet(connection, halves[first : first + SLICE])


async def _meet(connection: AsyncConnection, halves: Sequence[HalfWay]) -> None:
    """Forget halves whose other one is here, and keep the others. Two that do not fit both stay, for an audit to see."""
    table, c = t.checkpoint_halves, t.checkpoint_halves.c
    key = tuple_(c.half, c.tx)  # in a list, and not a term for each: every shape of a statement is kept for good
    others = [(OTHER[each.half], each.tx) for each in halves]
    found = (await connection.execute(select(c.half, c.tx, c.user, c.value).where(key.in_(others)))).all()
    fits = {(row.half, row.tx, row.user, row.value) for row in found}
    met = [each for each in halves if (OTHER[each.half], each.tx, each.user, each.value) in fits]
    if met:
        gone = [(OTHER[each.half], each.tx) for each in met]
        await connection.execute(delete(table).where(key.in_(gone)))
    if rest := [each for each in halves if each not in met]:
        await connection.execute(insert(table), [{name: getattr(each, name) for name in each.__struct_fields__} for each in rest])


def _has_them(connection: Connection) -> bool:
    return inspect(connection).has_table(t.checkpoints.name)
