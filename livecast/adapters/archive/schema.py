"""The archive's schema brought to this version, whichever it was, by the migrations in this package."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from livecast.ports import StoreError

MIGRATIONS: Final = Path(__file__).parent / "migrations"
LOCK: Final = 0x6C697665
"""PostgreSQL's advisory lock that nodes migrating at the same time wait for: `live` in ASCII. SQLite's transaction locks all."""


def migrate(connection: Connection) -> None:
    """Within the transaction of `connection`. Raises `StoreError` if a newer livecast has been here."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    scripts = ScriptDirectory.from_config(config)
    stands = MigrationContext.configure(connection).get_current_revision()
    if stands == scripts.get_current_head():
        return
    if stands is not None and stands not in {script.revision for script in scripts.walk_revisions()}:
        raise StoreError(f"the archive is of a newer livecast (revision {stands}): run that one, or a newer")
    command.upgrade(config, "head")
