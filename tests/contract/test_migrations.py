"""The tables of the services that own some, from release to release."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import op
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

import swath_apps.deployed.tables
import swath_experiment.tables
import swath_pipeline.models.tables
import swath_session.tables
import swath_training.runs.database.tables
from swath.errors import SchemaOutdated, SchemaTooNew
from swath.storage.sql.engine import open_engine, run, transaction
from swath.storage.sql.migrations import Schema
from swath_suite.testing.migrations import taken_away

# An index over an expression, which is not compared.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Skipped unsupported reflection:sqlalchemy.exc.SAWarning"),
    pytest.mark.filterwarnings("ignore:autogenerate skipping metadata-specified expression-based index:UserWarning"),
]


@pytest.fixture(
    params=[
        swath_session.tables.SCHEMA,
        swath_pipeline.models.tables.SCHEMA,
        swath_apps.deployed.tables.SCHEMA,
        swath_experiment.tables.SCHEMA,
        swath_training.runs.database.tables.SCHEMA,
    ],
    ids=lambda schema: schema.name,
)
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


_ADDS = """
import sqlalchemy as sa
from alembic import op

revision = "9000"
down_revision = "{before}"


def upgrade() -> None:
    op.create_table("additions", sa.Column("id", sa.String, primary_key=True))
"""


@pytest.fixture
def newer(schema: Schema, tmp_path: Path) -> Schema:
    """The tables of a release that comes later."""
    shutil.copytree(schema.folder, tmp_path / "newer")
    (tmp_path / "newer" / "versions" / "9000_additions.py").write_text(_ADDS.format(before=schema.revision))
    return dataclasses.replace(schema, revision="9000", folder=tmp_path / "newer")


async def test_tables_of_a_newer_release_are_worked_with(schema: Schema, newer: Schema, database: Path | str) -> None:
    engine = open_engine(database, schema=schema.name)
    assert await newer.migrate(engine) == ("", "9000")
    await schema.prepare(engine)
    assert await schema.migrate(engine) == ("9000", "9000")
    await engine.dispose()


async def test_tables_that_lack_what_a_release_needs_are_refused(
    schema: Schema, newer: Schema, database: Path | str
) -> None:
    engine = open_engine(database, schema=schema.name)
    await dataclasses.replace(newer, oldest="8999").migrate(engine)
    for start in (schema.prepare, schema.migrate):
        with pytest.raises(
            SchemaTooNew, match=f"revision 8999 and later work, and this release is of {schema.revision}"
        ):
            await start(engine)
    await dataclasses.replace(newer, revision="8999").prepare(engine)
    await engine.dispose()


async def test_a_new_file_knows_too_who_may_work_on_it(schema: Schema, newer: Schema, tmp_path: Path) -> None:
    engine = open_engine(tmp_path / "new.db")
    await dataclasses.replace(newer, oldest="9000").prepare(engine)
    with pytest.raises(SchemaTooNew):
        await schema.prepare(engine)
    await engine.dispose()


def test_revisions_add_only(schema: Schema) -> None:
    """The release before works on while a new one is rolled out, and again after a rollback.

    What nobody needs any more may go: then `Schema.oldest` says which releases the tables are for.
    """
    for revision in ScriptDirectory(str(schema.folder)).walk_revisions():
        before = revision.down_revision
        if before is not None and schema.oldest < str(before):
            assert taken_away(revision.module.upgrade) == [], revision.path


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda: op.drop_table("sessions"), "drops something"),
        (lambda: op.drop_index("by_owner"), "drops something"),
        (lambda: op.drop_column("sessions", "owner"), "drops a column"),
        (lambda: op.rename_table("sessions", "rows"), "renames"),
        (lambda: op.alter_column("sessions", "owner", new_column_name="holder"), "renames"),
        (lambda: op.alter_column("sessions", "owner", nullable=False), "narrows"),
        (lambda: op.alter_column("sessions", "owner", type_=sa.String(8)), "narrows"),
        (lambda: op.add_column("sessions", sa.Column("kind", sa.Text, nullable=False)), "has to be given"),
        (lambda: op.create_unique_constraint("one", "sessions", ["owner"]), "adds a constraint"),
        (lambda: op.create_index("one", "sessions", ["owner"], unique=True), "adds a constraint"),
        (lambda: op.execute("UPDATE sessions SET owner = ''"), "changes rows"),
    ],
)
def test_what_the_release_before_would_stumble_over_is_found(change: Callable[[], None], reason: str) -> None:
    (found,) = taken_away(change)
    assert reason in found


def _add() -> None:
    op.create_table("kinds", sa.Column("id", sa.Text, primary_key=True), sa.Column("name", sa.Text, nullable=False))
    op.create_index("kinds_by_name", "kinds", ["name"], unique=True)
    op.add_column("sessions", sa.Column("note", sa.Text))
    op.add_column("sessions", sa.Column("kind", sa.Text, nullable=False, server_default=""))
    op.create_index("sessions_by_kind", "sessions", ["kind"])


def test_what_only_adds_is_not() -> None:
    assert taken_away(_add) == []
