"""What the archive begins with."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None
oldest = "0001"


def upgrade() -> None:
    """Go up."""
    op.create_table(
        "broadcasts",
        sa.Column("room", sa.String(length=300), nullable=False),
        sa.Column("id", sa.String(length=300), nullable=False),
        sa.Column("title", sa.Text(), server_default="", nullable=False),
        sa.Column("merchant", sa.Text(), server_default="", nullable=False),
        sa.Column("status", sa.String(length=16), server_default="", nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("test", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("users", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("peak", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("room", "id"),
    )
    op.create_index("broadcasts_by_time", "broadcasts", ["room", "started_at"])

    op.create_table(
        "cards",
        sa.Column("room", sa.String(length=300), nullable=False),
        sa.Column("broadcast", sa.String(length=300), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("id", sa.String(length=300), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("doc", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("room", "broadcast", "kind", "id"),
    )
    op.create_table(
        "comments",
        sa.Column("room", sa.String(length=300), nullable=False),
        sa.Column("id", sa.String(length=300), nullable=False),
        sa.Column("broadcast", sa.String(length=300), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.String(length=300), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.Column("lane", sa.Integer(), nullable=False),
        sa.Column("more", sa.Text(), nullable=False),
        sa.Column("redacted_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("room", "id"),
    )
    op.create_index("comments_by_age", "comments", ["at"])
    op.create_index("comments_by_time", "comments", ["room", "broadcast", "at"])
    op.create_index("comments_by_user", "comments", ["user_id", "room"])
    op.create_index(
        "comments_redacted",
        "comments",
        ["room", "broadcast"],
        sqlite_where=sa.text("redacted_at IS NOT NULL"),
        postgresql_where=sa.text("redacted_at IS NOT NULL"),
    )

    op.create_table(
        "counts",
        sa.Column("room", sa.String(length=300), nullable=False),
        sa.Column("broadcast", sa.String(length=300), nullable=False),
        sa.Column("name", sa.String(length=96), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("room", "broadcast", "name"),
    )
    op.create_table(
        "cursors",
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("shard", sa.Integer(), nullable=False),
        sa.Column("position", sa.String(length=64), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("source", "shard"),
    )
    op.create_table(
        "erasures",
        sa.Column("user_id", sa.String(length=300), nullable=False),
        sa.Column("asked_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("user_id"),
    )
    op.create_table(
        "moments",
        sa.Column("room", sa.String(length=300), nullable=False),
        sa.Column("epoch", sa.String(length=300), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("ref", sa.String(length=300), nullable=False),
        sa.Column("broadcast", sa.String(length=300), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("room", "epoch", "seq", "kind", "ref"),
    )
    op.create_index("moments_by_time", "moments", ["room", "broadcast", "at"])

    op.create_table(
        "money",
        sa.Column("shard", sa.Integer(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("room", sa.String(length=300), nullable=False),
        sa.Column("broadcast", sa.String(length=300), nullable=False),
        sa.Column("user_id", sa.String(length=300), nullable=False),
        sa.Column("ref", sa.String(length=300), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("other", sa.String(length=300), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("shard", "position", "line"),
    )
    op.create_index("money_by_age", "money", ["at"])
    op.create_index("money_by_time", "money", ["room", "kind", "at"])
    op.create_index("money_by_user", "money", ["user_id", "at"])

    op.create_table(
        "secrets",
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "staff",
        sa.Column("room", sa.String(length=300), nullable=False),
        sa.Column("epoch", sa.String(length=300), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("broadcast", sa.String(length=300), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("who", sa.String(length=300), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("what", sa.String(length=64), nullable=False),
        sa.Column("whom", sa.String(length=300), nullable=False),
        sa.Column("args", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("room", "epoch", "number", "line"),
    )
    op.create_index("staff_by_age", "staff", ["at"])
    op.create_index("staff_by_time", "staff", ["room", "at"])
    op.create_index("staff_by_who", "staff", ["who"])
    op.create_index("staff_by_whom", "staff", ["whom"])

    op.create_table(
        "ticks",
        sa.Column("room", sa.String(length=300), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("told", sa.BigInteger(), nullable=False),
        sa.Column("connections", sa.BigInteger(), nullable=False),
        sa.Column("users", sa.BigInteger(), nullable=False),
        sa.Column("comments", sa.BigInteger(), nullable=False),
        sa.Column("shown", sa.BigInteger(), nullable=False),
        sa.Column("likes", sa.BigInteger(), nullable=False),
        sa.Column("gifts", sa.BigInteger(), nullable=False),
        sa.Column("gift_value", sa.BigInteger(), nullable=False),
        sa.Column("claims", sa.BigInteger(), nullable=False),
        sa.Column("orders", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("room", "at"),
    )
    op.create_table(
        "words",
        sa.Column("room", sa.String(length=300), nullable=False),
        sa.Column("broadcast", sa.String(length=300), nullable=False),
        sa.Column("word", sa.String(length=64), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("room", "broadcast", "word"),
    )


def downgrade() -> None:
    """Everything archived is gone."""
    for name in (
        "broadcasts",
        "cards",
        "comments",
        "counts",
        "cursors",
        "erasures",
        "moments",
        "money",
        "secrets",
        "staff",
        "ticks",
        "words",
    ):
        op.drop_table(name)
