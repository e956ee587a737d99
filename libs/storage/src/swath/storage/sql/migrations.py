"""The schema of a database, and migrations from one release's schema to the next.

Each owning service has a folder of alembic revisions with increasing numbers. On Postgres a command migrates the tables
before the new release starts; a SQLite file is migrated when it is opened. A release works on its own schema and on
newer ones: a revision adds first, and removes only what no release before the last needs. A revision that removes
something raises `Schema.oldest`, which the database stores: an older release then refuses to start.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, MetaData, inspect, text
from sqlalchemy.ext.asyncio import AsyncEngine

from swath.errors import SchemaOutdated, SchemaTooNew
from swath.storage.sql.engine import transaction

_TABLE = "alembic_version"
_FLOOR = "oldest_revision"
_FIRST = "0001"


@dataclass(frozen=True)
class Schema:
    """A service's tables.

    Attributes:
        name: The service; on Postgres also the schema that the tables are in.
        tables: Their present schema.
        revision: Newest revision in `folder`, which results in that schema.
        folder: Folder with alembic's `versions`.
        oldest: Oldest revision whose releases still work on that schema.
    """

    name: str
    tables: MetaData
    revision: str
    folder: Path
    oldest: str = _FIRST

    async def prepare(self, engine: AsyncEngine) -> None:
        """Make sure that a service can work on a database.

        A SQLite file gets tables if it has none; those of an older release are migrated.

        Raises:
            SchemaOutdated: A Postgres database has no tables, or those of an older release.
            SchemaTooNew: The tables lack what this release needs.
        """
        async with transaction(engine) as connection:
            await connection.run_sync(self._prepare)

    async def migrate(self, engine: AsyncEngine) -> tuple[str, str]:
        """Migrate a database's tables to this release's schema; return the revisions before and after.

        Tables of a newer release are not changed.

        Raises:
            SchemaTooNew: They lack what this release needs.
        """
        async with transaction(engine) as connection:
            return await connection.run_sync(self._migrate)

    def _prepare(self, connection: Connection) -> None:
        present = _revision(connection)
        if present >= self.revision:
            self._check_age(connection, present)
            return
        if connection.dialect.name == "postgresql":
            raise SchemaOutdated(
                f"the tables of the {self.name} service are of revision {present or 'none'}, and this release needs "
                f"{self.revision}: run `python -m swath_{self.name} migrate` first"
            )
        if present or inspect(connection).get_table_names():
            self._upgrade(connection, present)
        else:
            # Faster than one revision after another; a test checks that both give the same tables.
            self.tables.create_all(connection)
            _stamp(connection, self.revision)
            self._mark(connection)

    def _migrate(self, connection: Connection) -> tuple[str, str]:
        if connection.dialect.name == "postgresql":
            connection.execute(text(f'CREATE SCHEMA IF NOT EXISTS "{self.name}"'))
        present = _revision(connection)
        if present < self.revision:
            self._upgrade(connection, present)
        self._check_age(connection, present)
        return present, max(present, self.revision)

    def _upgrade(self, connection: Connection, present: str) -> None:
        # Alembic takes long to import, and most starts need no migration.
        from alembic.config import Config
        from alembic.runtime.environment import EnvironmentContext
        from alembic.script import ScriptDirectory

        if not present and inspect(connection).get_table_names():
            # Before revisions were counted, a file's tables were those of the first one.
            _stamp(connection, _FIRST)
        script = ScriptDirectory(str(self.folder))

        def steps(revision: Any, context: Any) -> Any:
            return script._upgrade_revs("head", revision)

        with EnvironmentContext(Config(), script, fn=steps) as environment:
            environment.configure(connection=connection, target_metadata=self.tables, transactional_ddl=False)
            environment.run_migrations()
        self._mark(connection)

    def _mark(self, connection: Connection) -> None:
        """Store in the database which releases may work on it; without that, all of them may."""
        if self.oldest > _FIRST:
            connection.execute(text(f"CREATE TABLE IF NOT EXISTS {_FLOOR} (revision VARCHAR(32) NOT NULL)"))
            connection.execute(text(f"DELETE FROM {_FLOOR}"))
            connection.execute(text(f"INSERT INTO {_FLOOR} VALUES (:revision)"), {"revision": self.oldest})

    def _check_age(self, connection: Connection, present: str) -> None:
        if present <= self.revision or not inspect(connection).has_table(_FLOOR):
            return
        oldest = connection.execute(text(f"SELECT revision FROM {_FLOOR}")).scalar() or ""
        if self.revision < oldest:
            raise SchemaTooNew(
                f"the tables of the {self.name} service are of revision {present}, on which releases of revision "
                f"{oldest} and later work, and this release is of {self.revision}: run a newer release, or restore a "
                "backup from before the tables were brought forward"
            )


def _revision(connection: Connection) -> str:
    """Return the revision of the tables that a connection sees, empty for none."""
    if not inspect(connection).has_table(_TABLE):
        return ""
    return connection.execute(text(f"SELECT version_num FROM {_TABLE}")).scalar() or ""


def _stamp(connection: Connection, revision: str) -> None:
    connection.execute(text(f"CREATE TABLE {_TABLE} (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"))
    connection.execute(text(f"INSERT INTO {_TABLE} VALUES (:revision)"), {"revision": revision})
