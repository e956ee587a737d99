"""The tables of the services that own some, from release to release."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

import swath_session.store
import swath_training.tables
from swath.errors import SchemaOutdated
from swath.storage.migrations import Schema
from swath.storage.sql import open_engine, run, transaction

# An index over an expression, which is not compared.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Skipped unsupported reflection:sqlalchemy.exc.SAWarning"),
    pytest.mark.filterwarnings("ignore:autogenerate skipping metadata-specified expression-based index:UserWarning"),
]


@pytest.fixture(params=[swath_session.store.SCHEMA, swath_training.tables.SCHEMA], ids=lambda schema: schema.name)
def schema(request: pytest.FixtureRequest) -> Schema:
    return request.param


async def _differences(schema: Schema, engine) -> list[object]:
    def compare(connection: Connection) -> list[object]:
        compared = compare_metadata(MigrationContext.configure(connection), schema.tables)
        # Indexes over expressions are not reflected by every database; alembic's own table is nobody's.
        return [each for each in compared if not any(name in str(each) for name in ("alembic_version", "by_expiry"))]

    return await run(engine, compare)


def test_the_newest_revision_is_the_one_that_is_named(schema: Schema) -> None:
    assert ScriptDirectory(str(schema.folder)).get_current_head() == schema.revision


async def test_step_by_step_the_tables_come_out_as_they_are_used(schema: Schema, database: Path | str) -> None:
    engine = open_engine(database, schema=schema.name)
    assert await schema.migrate(engine) == ("", schema.revision)
    assert await schema.migrate(engine) == (schema.revision, schema.revision)
    assert await _differences(schema, engine) == []
    await schema.prepare(engine)
    await engine.dispose()


async def test_a_new_file_gets_its_tables_and_a_new_server_asks_for_the_command(
    schema: Schema, database: Path | str
) -> None:
    engine = open_engine(database, schema=schema.name)
    if isinstance(database, str):
        with pytest.raises(SchemaOutdated, match=f"swath_{schema.name} migrate"):
            await schema.prepare(engine)
    else:
        await schema.prepare(engine)
        assert await _differences(schema, engine) == []
    await engine.dispose()


async def test_a_file_from_before_revisions_were_counted_is_brought_forward(schema: Schema, tmp_path: Path) -> None:
    (tmp_path / "first" / "versions").mkdir(parents=True)
    (first,) = (schema.folder / "versions").glob("0001_*.py")
    shutil.copy(first, tmp_path / "first" / "versions")
    engine = open_engine(tmp_path / "old.db")
    await dataclasses.replace(schema, revision="0001", folder=tmp_path / "first").migrate(engine)
    async with transaction(engine) as connection:
        await connection.execute(text("DROP TABLE alembic_version"))
    await schema.prepare(engine)
    assert await _differences(schema, engine) == []
    await engine.dispose()


async def test_tables_of_a_newer_release_are_worked_with(schema: Schema, database: Path | str) -> None:
    engine = open_engine(database, schema=schema.name)
    await schema.migrate(engine)
    async with transaction(engine) as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    await schema.prepare(engine)
    assert await schema.migrate(engine) == ("9999", "9999")
    await engine.dispose()
