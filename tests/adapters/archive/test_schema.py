"""The archive's schema: what migrations make is what the tables say; newer and half-made ones are left alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, insert, inspect, select, text

from livecast.adapters.archive.schema import config_of
from livecast.adapters.archive.store import FILE_NAME, SqlArchive, sqlite_url
from livecast.adapters.archive.tables import metadata, revisions
from livecast.archive import Cursor, Move
from livecast.core.records.chronicle import CommentRow, Rows
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


def contents(connection: Connection) -> dict[str, list[Any]]:
    """Everything in it."""
    found = MetaData()
    found.reflect(connection)
    return {name: sorted(map(tuple, connection.execute(select(table)))) for name, table in found.tables.items()}


@pytest.mark.parametrize("oldest", [None, "9000"])
async def test_a_newer_archive_is_left_alone(url: str, oldest: str | None) -> None:
    """A node of an older version says so, and what to do, and touches nothing; also if the newer one does not say who may."""
    archive = SqlArchive(url)
    await archive.open()
    async with archive._transaction(write=True) as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        if oldest:
            await connection.execute(insert(revisions), {"revision": "9999", "oldest": oldest})
        before = await connection.run_sync(contents)
    with pytest.raises(StoreError, match=f"newer livecast .revision 9999.*{oldest or 'does not say'}.*run that one"):
        await archive.open()
    async with archive._transaction() as connection:
        assert await connection.run_sync(contents) == before
    await archive.close()


async def test_a_newer_archive_that_only_added_something_is_worked_with(url: str) -> None:
    """While a node runs, one of the next version migrates. It goes on, and so does one that starts again, as after a rollback."""
    running = SqlArchive(url)
    await running.open()
    comment = CommentRow("r", "b", "c1", 1_000, "ann", "Ann", "viewer", "hello", 1, 3)
    await running.append(Rows(comments=[comment]), [Move("rooms", 3, None, Cursor("1-0", 1))])
    async with running._transaction(write=True) as connection:
        for statement in (
            "ALTER TABLE comments ADD COLUMN mood TEXT",
            "ALTER TABLE cursors ADD COLUMN kept BIGINT DEFAULT 7 NOT NULL",
            "CREATE TABLE moods (mood TEXT PRIMARY KEY)",
            "CREATE INDEX comments_by_mood ON comments (mood)",
            "UPDATE alembic_version SET version_num = '9999'",
            "INSERT INTO revisions VALUES ('9999', '0003')",
        ):
            await connection.execute(text(statement))
    restarted = SqlArchive(url)
    await restarted.open()
    for n, archive in enumerate((running, restarted), 2):
        was = f"{n - 1}-0"
        more = msgspec.structs.replace(comment, id=f"c{n}", at=1_000 + n)
        await archive.append(Rows(comments=[more]), [Move("rooms", 3, was, Cursor(f"{n}-0", n))])
        assert await archive.cursors("rooms") == {3: Cursor(f"{n}-0", n)}
        assert await archive.place("r", f"c{n}") is not None
        await archive.open()
    async with running._transaction() as connection:
        assert (await connection.run_sync(contents))["alembic_version"] == [("9999",)]
    await running.close()
    await restarted.close()


def shape(connection: Connection) -> dict[str, dict[str, tuple[str, bool, bool]]]:
    """Tables, their columns, and of each: its type, whether it may be null, and whether it may be left out."""
    found = inspect(connection)
    return {
        table: {
            column["name"]: (str(column["type"]), column["nullable"], column["nullable"] or column["default"] is not None)
            for column in found.get_columns(table)
        }
        for table in found.get_table_names()
    }


def uniques(connection: Connection) -> set[tuple[str, str]]:
    """What may be there once only."""
    found = inspect(connection)
    return {
        (table, str(index["column_names"]))
        for table in found.get_table_names()
        for index in (*found.get_unique_constraints(table), *(each for each in found.get_indexes(table) if each["unique"]))
    }


async def test_migrations_beside_which_others_work_only_add(url: str) -> None:
    """Step by step: what was there stays as it was, and what is new in an old table may be left out."""
    archive = SqlArchive(url)
    async with archive._transaction(write=True) as connection:

        def climb(plain: Connection) -> None:
            config = config_of(plain)
            steps = list(ScriptDirectory.from_config(config).walk_revisions())[::-1]
            known = [step.revision for step in steps]
            for before, step in zip([None, *steps], steps, strict=False):
                was, was_unique = shape(plain), uniques(plain)
                command.upgrade(config, step.revision)
                now = shape(plain)
                if before is None:
                    continue
                assert step.module.oldest in known[: known.index(step.revision) + 1], f"{step.revision} asks for one to come"
                assert step.module.oldest >= before.module.oldest, f"{step.revision} asks for less than the one before it"
                if step.module.oldest > before.revision:
                    continue  # nobody of the version before works beside it
                for table, columns in was.items():
                    assert now.get(table, {}).items() >= columns.items(), f"{step.revision} takes from {table}, or changes it"
                    added = {name: now[table][name] for name in now[table].keys() - columns.keys()}
                    assert all(omissible for _, _, omissible in added.values()), (
                        f"{step.revision} adds what others leave out: {added}"
                    )
                strict = {(table, names) for table, names in uniques(plain) - was_unique if table in was}
                assert not strict, f"{step.revision} makes unique what others write: {strict}"

        await connection.run_sync(climb)
    await archive.close()


async def test_every_revision_says_who_may_work_with_it(url: str) -> None:
    """Also those that came by migrations of long ago; and opening it again changes nothing."""
    archive = SqlArchive(url)
    await archive.open()
    async with archive._transaction() as connection:
        before = await connection.run_sync(contents)
    assert [revision for revision, _ in before["revisions"]] == ["0001", "0002", "0003"]
    await archive.open()
    async with archive._transaction() as connection:
        assert await connection.run_sync(contents) == before
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
