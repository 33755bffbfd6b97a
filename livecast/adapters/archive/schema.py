"""The archive's schema brought to this version, whichever it was, by the migrations in this package.

Rules for whoever adds a migration:
- Nodes of the version before write and read all the while, and come back after a rollback: what they know has to stay. A migration
  that may run beside them adds tables, indexes, and columns that may be left out (null, or a default of the server), and nothing
  else; its `oldest` stays that of the migration before it.
- What takes something away comes one version after the last that used it. Its `oldest` is the revision of the version before it.
- A migration that was released is never changed.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, insert, inspect, select, text

from livecast import __version__
from livecast.adapters.archive.tables import revisions
from livecast.ports import StoreError

MIGRATIONS: Final = Path(__file__).parent / "migrations"
LOCK: Final = 0x6C697665
"""PostgreSQL's advisory lock that nodes migrating at the same time wait for: `live` in ASCII. SQLite's transaction locks all."""


def migrate(connection: Connection) -> None:
    """Within the transaction of `connection`. Raises `StoreError` if a later livecast was here whose schema we cannot work with.

    A database that is further than we are stays as it is, and is used as it is, if it says that it may be. Nothing ever goes down.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
    config = config_of(connection)
    scripts = ScriptDirectory.from_config(config)
    stands = MigrationContext.configure(connection).get_current_revision()
    if stands == scripts.get_current_head():
        return
    ours = {script.revision: script.module.oldest for script in scripts.walk_revisions()}
    if stands is not None and stands not in ours:
        _check_later(connection, stands, ours)
        return
    command.upgrade(config, "head")
    told = set(connection.scalars(select(revisions.c.revision)))
    new = [{"revision": revision, "oldest": oldest} for revision, oldest in ours.items() if revision not in told]
    if new:
        connection.execute(insert(revisions), new)


def config_of(connection: Connection) -> Config:
    """Alembic's, for the migrations in this package over a connection."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    return config


def _check_later(connection: Connection, stands: str, ours: Collection[str]) -> None:
    oldest = None
    if inspect(connection).has_table(revisions.name):
        oldest = connection.scalar(select(revisions.c.oldest).where(revisions.c.revision == stands))
    if oldest in ours:
        return
    asks = f"which asks for revision {oldest} at least" if oldest else "which does not say who else may work with it"
    raise StoreError(
        f"the archive is of a newer livecast (revision {stands}, {asks}), and this is livecast {__version__} (revision "
        f"{max(ours)}). Nothing was changed: run that one, or a newer; or restore the archive from a backup that was made before it"
    )
