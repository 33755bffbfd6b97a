"""The archive's tables. Every row has a natural key: what it is about. Times are Unix ms.

The schema is changed by a new migration in `migrations/versions` and here, in the same commit; a test compares the two.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    false,
    text,
)

metadata: Final = MetaData()

BIG: Final = BigInteger()
ID: Final = String(300)
"""Ids of rooms (64), users (128), gifts (user and cid, 256 with the slash)…: a bound that both databases take."""


REDACTED: Final = text("redacted_at IS NOT NULL")


def _key(*names: str) -> PrimaryKeyConstraint:
    return PrimaryKeyConstraint(*names)


cursors: Final = Table(
    "cursors", metadata,
    Column("source", String(16), nullable=False),
    Column("shard", Integer, nullable=False),
    Column("position", String(64), nullable=False),
    Column("number", BIG, nullable=False),
    _key("source", "shard"),
)  # fmt: skip

broadcasts: Final = Table(
    "broadcasts", metadata,
    Column("room", ID, nullable=False),
    Column("id", ID, nullable=False),
    Column("title", Text, nullable=False, server_default=""),
    Column("merchant", Text, nullable=False, server_default=""),
    Column("status", String(16), nullable=False, server_default=""),
    Column("started_at", BIG),
    Column("ended_at", BIG),
    Column("test", Boolean, nullable=False, server_default=false()),
    Column("users", BIG, nullable=False, server_default="0"),
    Column("peak", BIG, nullable=False, server_default="0"),
    _key("room", "id"),
    Index("broadcasts_by_time", "room", "started_at"),
)  # fmt: skip

comments: Final = Table(
    "comments", metadata,
    Column("room", ID, nullable=False),
    Column("id", ID, nullable=False),
    Column("broadcast", ID, nullable=False),
    Column("at", BIG, nullable=False),
    Column("user_id", ID, nullable=False),
    Column("name", Text, nullable=False),
    Column("role", String(16), nullable=False),
    Column("text", Text, nullable=False),
    Column("n", BIG, nullable=False),
    Column("lane", Integer, nullable=False),
    Column("more", Text, nullable=False),
    Column("redacted_at", BIG),
    _key("room", "id"),
    Index("comments_by_time", "room", "broadcast", "at"),
    Index("comments_by_user", "user_id", "room"),
    Index("comments_by_age", "at"),
    Index("comments_redacted", "room", "broadcast", sqlite_where=REDACTED, postgresql_where=REDACTED),
)  # fmt: skip

counts: Final = Table(
    "counts", metadata,
    Column("room", ID, nullable=False),
    Column("broadcast", ID, nullable=False),
    Column("name", String(96), nullable=False),
    Column("n", BIG, nullable=False),
    _key("room", "broadcast", "name"),
)  # fmt: skip

ticks: Final = Table(
    "ticks", metadata,
    Column("room", ID, nullable=False),
    Column("at", BIG, nullable=False),
    *(
        Column(name, BIG, nullable=False)
        for name in ("told", "connections", "users", "comments", "shown", "likes", "gifts", "gift_value", "claims", "orders")
    ),
    _key("room", "at"),
)  # fmt: skip

words: Final = Table(
    "words", metadata,
    Column("room", ID, nullable=False),
    Column("broadcast", ID, nullable=False),
    Column("word", String(64), nullable=False),
    Column("n", BIG, nullable=False),
    _key("room", "broadcast", "word"),
)  # fmt: skip

cards: Final = Table(
    "cards", metadata,
    Column("room", ID, nullable=False),
    Column("broadcast", ID, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("id", ID, nullable=False),
    Column("at", BIG, nullable=False),
    Column("doc", Text, nullable=False),
    _key("room", "broadcast", "kind", "id"),
)  # fmt: skip

moments: Final = Table(
    "moments", metadata,
    Column("room", ID, nullable=False),
    Column("epoch", ID, nullable=False),
    Column("seq", BIG, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("ref", ID, nullable=False),
    Column("broadcast", ID, nullable=False),
    Column("at", BIG, nullable=False),
    Column("value", Text, nullable=False),
    _key("room", "epoch", "seq", "kind", "ref"),
    Index("moments_by_time", "room", "broadcast", "at"),
)  # fmt: skip

money: Final = Table(
    "money", metadata,
    Column("shard", Integer, nullable=False),
    Column("position", BIG, nullable=False),
    Column("line", Integer, nullable=False),
    Column("at", BIG, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("room", ID, nullable=False),
    Column("broadcast", ID, nullable=False),
    Column("user_id", ID, nullable=False),
    Column("ref", ID, nullable=False),
    Column("amount", BIG, nullable=False),
    Column("other", ID, nullable=False),
    Column("state", String(16), nullable=False),
    Column("data", Text, nullable=False),
    _key("shard", "position", "line"),
    Index("money_by_time", "room", "kind", "at"),
    Index("money_by_user", "user_id", "at"),
    Index("money_by_age", "at"),
)  # fmt: skip

staff: Final = Table(
    "staff", metadata,
    Column("room", ID, nullable=False),
    Column("epoch", ID, nullable=False),
    Column("number", BIG, nullable=False),
    Column("line", Integer, nullable=False),
    Column("broadcast", ID, nullable=False),
    Column("at", BIG, nullable=False),
    Column("who", ID, nullable=False),
    Column("name", Text, nullable=False),
    Column("role", String(16), nullable=False),
    Column("what", String(64), nullable=False),
    Column("whom", ID, nullable=False),
    Column("args", Text, nullable=False),
    Column("why", Text, nullable=False),
    _key("room", "epoch", "number", "line"),
    Index("staff_by_time", "room", "at"),
    Index("staff_by_whom", "whom"),
    Index("staff_by_who", "who"),
    Index("staff_by_age", "at"),
)  # fmt: skip

erasures: Final = Table(
    "erasures", metadata,
    Column("user_id", ID, nullable=False),
    Column("asked_at", BIG, nullable=False),
    _key("user_id"),
)  # fmt: skip

secrets: Final = Table(
    "secrets", metadata,
    Column("name", String(32), nullable=False),
    Column("value", Text, nullable=False),
    _key("name"),
)  # fmt: skip

revisions: Final = Table(
    "revisions", metadata,
    Column("revision", String(32), nullable=False),
    Column("oldest", String(32), nullable=False),
    _key("revision"),
)  # fmt: skip
"""Of each revision the oldest one whose livecast can work with it."""

checkpoints: Final = Table(
    "checkpoints", metadata,
    Column("shard", Integer, nullable=False, autoincrement=False),
    Column("position", BIG, nullable=False),
    Column("at", BIG, nullable=False),
    Column("entries", BIG, nullable=False),
    Column("before", BIG, nullable=False),
    _key("shard"),
)  # fmt: skip

checkpoint_parts: Final = Table(
    "checkpoint_parts", metadata,
    Column("shard", Integer, nullable=False),
    Column("position", BIG, nullable=False),
    Column("number", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
    _key("shard", "position", "number"),
)  # fmt: skip

checkpoint_halves: Final = Table(
    "checkpoint_halves", metadata,
    Column("half", String(16), nullable=False),
    Column("tx", ID, nullable=False),
    Column("user", ID, nullable=False),
    Column("value", BIG, nullable=False),
    Column("shard", Integer, nullable=False),
    Column("other_shard", Integer, nullable=False),
    _key("half", "tx"),
)  # fmt: skip
