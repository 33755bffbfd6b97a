"""Checkpoints of the ledger."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None
oldest = "0001"


def upgrade() -> None:
    """Go up."""
    op.create_table(
        "checkpoints",
        sa.Column("shard", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("entries", sa.BigInteger(), nullable=False),
        sa.Column("before", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("shard"),
    )
    op.create_table(
        "checkpoint_parts",
        sa.Column("shard", sa.Integer(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("shard", "position", "number"),
    )
    op.create_table(
        "checkpoint_halves",
        sa.Column("half", sa.String(length=16), nullable=False),
        sa.Column("tx", sa.String(length=300), nullable=False),
        sa.Column("user", sa.String(length=300), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.Column("shard", sa.Integer(), nullable=False),
        sa.Column("other_shard", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("half", "tx"),
    )


def downgrade() -> None:
    """Go down."""
    for name in ("checkpoint_halves", "checkpoint_parts", "checkpoints"):
        op.drop_table(name)
