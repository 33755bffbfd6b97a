"""What the archive holds of a person: given out, or taken out.

What somebody said is deleted. What they paid is kept, because bookkeeping law asks for years of it, but names a pseudonym from
then on: a keyed hash, so that a court's question about a known user can still be answered, and nobody reads the id off the rows.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, Table, and_, bindparam, delete, func, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from livecast.adapters.archive import tables as t
from livecast.adapters.archive.writing import insert_new, unsay, words_said
from livecast.archive import Erased
from livecast.core.records.chronicle import Rows, StaffRow

PREFIX: Final = "erased:"
"""What pseudonyms begin with, so that nobody takes one for a user's id."""
KEY_NAME: Final = "pseudonyms"
FOR_EVER: Final = 2**53
"""Later than anything that happened."""
EXPORTED: Final = ("comments", "money", "staff")
REDACTED: Final = "redact"
"""The one deed of staff that is about several users at once."""
FEW: Final = 500
"""Of so many erasures that wait all are read with each batch of rows; of more, those of its users, so many in a question."""
_ASKED: Final = select(t.erasures.c.user_id, t.erasures.c.asked_at)
_ASKED_OF_THESE: Final = _ASKED.where(t.erasures.c.user_id.in_(bindparam("b_users", expanding=True)))


async def page(connection: AsyncConnection, kind: str, user: str, offset: int, limit: int) -> list[dict[str, Any]]:
    """Rows of a kind that name a user, as plain values, in order of time."""
    table = t.metadata.tables[kind]
    wanted = select(table).where(_names(table, user)).order_by(table.c.at, *table.primary_key).offset(offset).limit(limit)
    return [dict(row._mapping) for row in await connection.execute(wanted)]  # noqa: SLF001 - the documented way to a dict


async def erase(connection: AsyncConnection, user: str, now: int) -> Erased:
    """Delete what they said, let the rest name a pseudonym."""
    await insert_new(connection, t.erasures, [{"user_id": user, "asked_at": now}])
    await connection.execute(update(t.erasures).where(t.erasures.c.user_id == user).values(asked_at=now))
    return await _erase(connection, user)


async def erase_again(connection: AsyncConnection, asked_before: int) -> int:
    """For what was still on its way into the archive when they asked. Then nothing here says who they were."""
    c = t.erasures.c
    users = (await connection.execute(select(c.user_id).where(c.asked_at < asked_before))).scalars().all()
    for user in users:
        await _erase(connection, user)
    await connection.execute(delete(t.erasures).where(c.asked_at < asked_before))
    return len(users)


async def erase_late(connection: AsyncConnection, rows: Rows) -> None:
    """Erase what has just come in of people who asked after it happened: it was on its way then."""
    first = (await connection.execute(_ASKED.limit(FEW))).all()
    if not first:
        return
    named = {row.user for row in rows.comments} | {user for row in rows.money for user in (row.user, row.other)}
    named |= {user for row in rows.staff for user in (row.who, row.whom, *_listed(row))}
    asked = [(user, asked_at) for user, asked_at in first if user in named]
    if len(first) == FEW:
        users = sorted(filter(None, named))
        asked = []
        for at in range(0, len(users), FEW):
            some = users[at : at + FEW]
            some += some[:1] * (FEW - len(some))  # one form of the question, which drivers keep prepared
            asked += [tuple(row) for row in await connection.execute(_ASKED_OF_THESE, {"b_users": some})]
    for user, asked_at in asked:
        await _erase(connection, user, asked_at)


async def _erase(connection: AsyncConnection, user: str, upto: int = FOR_EVER) -> Erased:
    pseudonym = await _pseudonym(connection, user)
    m, s = t.money.c, t.staff.c
    theirs = and_(t.comments.c.user_id == user, t.comments.c.at <= upto)
    # What they said is no top word of a report either, which may be a name.
    await unsay(connection, await words_said(connection, [theirs]))
    said = await connection.execute(delete(t.comments).where(theirs))
    paid = 0
    # A viewer's gift is called user/cid, its refund refund:user/cid.
    ref = func.replace(m.ref, literal(f"{user}/"), literal(f"{pseudonym}/"))
    paid += (
        await connection.execute(update(t.money).where(m.user_id == user, m.at <= upto).values(user_id=pseudonym, ref=ref))
    ).rowcount
    paid += (await connection.execute(update(t.money).where(m.other == user, m.at <= upto).values(other=pseudonym))).rowcount
    acted = await connection.execute(update(t.staff).where(s.who == user, s.at <= upto).values(who=pseudonym, name=""))
    # Ids are any signs, and may be part of a name, a number or another id there: so only where they are a member's value.
    args = func.replace(s.args, literal(f":{_json(user)}"), literal(f":{_json(pseudonym)}"))
    met = await connection.execute(update(t.staff).where(s.whom == user, s.at <= upto).values(whom=pseudonym, args=args))
    listed = await connection.execute(
        update(t.staff).where(_is_listed(user), s.at <= upto).values(args=_with_another(user, pseudonym))
    )
    return Erased(pseudonym, said.rowcount, paid, acted.rowcount + met.rowcount + listed.rowcount)


async def key(connection: AsyncConnection, name: str) -> bytes:
    """A secret of this archive."""
    await insert_new(connection, t.secrets, [{"name": name, "value": secrets.token_hex(32)}])
    return bytes.fromhex((await connection.execute(select(t.secrets.c.value).where(t.secrets.c.name == name))).scalar_one())


async def _pseudonym(connection: AsyncConnection, user: str) -> str:
    digest = hmac.digest(await key(connection, KEY_NAME), user.encode(), hashlib.sha256)
    return PREFIX + base64.b32encode(digest[:10]).decode().lower()


def _listed(row: StaffRow) -> list[str]:
    """Users whose comments were taken off together."""
    return list(msgspec.json.decode(row.args).get("users", ())) if row.what == REDACTED else []


def _json(text: str) -> str:
    """How a text stands in JSON."""
    return msgspec.json.encode(text).decode()


def _is_listed(user: str) -> ColumnElement[bool]:
    """Whether a line of the staff's log names a user among several whose comments were taken off."""
    s = t.staff.c
    return and_(s.what == REDACTED, s.args != _with_another(user, ""))  # `LIKE` takes `ann` for `Ann` in SQLite


def _with_another(user: str, other: str) -> ColumnElement[str]:
    """The arguments of a deed, a user replaced by another wherever they are in a list (and no member is called as they are)."""
    args: ColumnElement[str] = t.staff.c.args
    for end in (",", "]"):
        args = func.replace(args, literal(_json(user) + end), literal(_json(other) + end))
    return args


def _names(table: Table, user: str) -> ColumnElement[bool]:
    columns = [table.c[name] for name in ("user_id", "other", "who", "whom") if name in table.c]
    return or_(*(column == user for column in columns), *([_is_listed(user)] if table is t.staff else []))
