"""What is old is deleted, a bounded number of rows at a time. Figures that name nobody stay."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sqlalchemy import Table, delete, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from livecast.adapters.archive import tables as t
from livecast.archive import Class

TABLES: Final[dict[Class, Table]] = {"chat": t.comments, "money": t.money, "staff": t.staff}


async def retain(connection: AsyncConnection, oldest: Mapping[Class, int], limit: int) -> int:
    """Delete at most `limit` rows of each class from before `oldest`, the oldest first; how many were."""
    deleted = 0
    for name, before in oldest.items():
        table = TABLES[name]
        key = tuple_(*table.primary_key)
        old = select(*table.primary_key).where(table.c.at < before).order_by(table.c.at).limit(limit)
        deleted += (await connection.execute(delete(table).where(key.in_(old)))).rowcount
    return deleted
