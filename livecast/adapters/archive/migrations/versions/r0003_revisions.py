"""What each revision asks of those who work with it, so that an earlier version can tell whether it may."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None
oldest = "0001"


def upgrade() -> None:
    """Go up."""
    op.create_table(
        "revisions",
        sa.Column("revision", sa.String(length=32), nullable=False),
        sa.Column("oldest", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("revision"),
    )


def downgrade() -> None:
    """Go down."""
    op.drop_table("revisions")
