"""The archive's schema: what migrations make is what the tables say; newer and half-made ones are left alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text

from livecast.adapters.archive.store import FILE_NAME, SqlArchive, sqlite_url
from livecast.adapters.archive.tables import metadata
from livecast.ports import StoreError, Unavailable


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where an archive may be made."""
    made: str = sqlite_url(tmp_path) if request.param == "sqlite" else request.getfixturevalue("postgres")
    return made


def differences(connection: Connection) -> list[object]:
    """What a migration would still have to do."""
    context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": False})
    return list(compare_metadata(context, metadata))


async def test_migrations_make_what_the_tables_say(url: str) -> None:
    """On both databases: whoever changes the one forgets the other only until here."""
    archive = SqlArchive(url)
    await archive.open()
    async with archive._transaction() as connection:
        assert await connection.run_sync(differences) == []
    await archive.close()


async def test_a_newer_archive_is_left_alone(url: str) -> None:
    """A node of an older version says so and touches nothing."""
    archive = SqlArchive(url)
    await archive.open()
    async with archive._transaction(write=True) as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match="newer livecast"):
        await archive.open()
    await archive.close()


async def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    """It holds what people said and paid."""
    archive = SqlArchive(sqlite_url(tmp_path / "data"))
    await archive.open()
    assert (tmp_path / "data" / FILE_NAME).stat().st_mode & 0o077 == 0
    assert (tmp_path / "data").stat().st_mode & 0o077 == 0
    await archive.close()


@pytest.mark.parametrize("url", ["postgresql://nobody@127.0.0.1:1/none", "sqlite:////proc/none/archive.db"])
async def test_a_database_that_is_not_there(url: str) -> None:
    """Is `Unavailable`: it may come back. Nothing of the driver's errors comes out."""
    archive = SqlArchive(url)
    with pytest.raises(Unavailable):
        await archive.open()
    with pytest.raises(Unavailable):
        await archive.cursors("rooms")
    await archive.close()
