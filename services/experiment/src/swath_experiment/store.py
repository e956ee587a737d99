"""What people add to runs, in SQL."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Table, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from swath.storage.sql.engine import GroupWriter, run
from swath_experiment.tables import AUDIT, NOTEBOOKS, POINT_NOTES, RUN_NOTES, SCHEMA, TAGS, VALUES, VIEWS

_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Place:
    """Whose experiment something is about.

    Attributes:
        owner: Identity; empty where nobody is asked who calls.
        experiment: Its name.
    """

    owner: str
    experiment: str

    @property
    def columns(self) -> dict[str, str]:
        """Return it as columns of a row."""
        return {"owner": self.owner, "experiment": self.experiment}


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the audit.

    Attributes:
        action: What was done, such as "hp_change".
        details: What it was done with.
        error: Why it failed; empty where it did not.
    """

    action: str
    details: Mapping[str, Any]
    error: str = ""


@dataclass(frozen=True, slots=True)
class Edit:
    """A change of one column for some samples.

    Attributes:
        column: "discarded", "tag:<name>", or one that was copied.
        values: By sample; None takes the value away.
    """

    column: str
    values: Mapping[str, Any]


class ExperimentStore:
    """What people add to runs, in SQL.

    Args:
        engine: The experiment service's own database.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._writer = GroupWriter(engine)

    async def open(self) -> None:
        """Make sure of the tables.

        Raises:
            SchemaOutdated: They are those of an older release.
        """
        await SCHEMA.prepare(self._engine)

    async def close(self) -> None:
        """Wait for writes under way and close the database."""
        await self._writer.close()
        await self._engine.dispose()

    # Audit

    async def record(self, place: Place, entry: Entry) -> None:
        """Write a line of the audit."""
        await self._writer.write(lambda connection: _record(connection, place, entry))

    async def audit(self, place: Place) -> Sequence[Mapping[str, Any]]:
        """Return the audit of an experiment, newest first."""
        query = select(AUDIT).where(*_at(AUDIT, place)).order_by(AUDIT.c.number.desc())
        return await run(self._engine, lambda connection: [dict(row) for row in connection.execute(query).mappings()])

    # Runs and points

    async def run_notes(self, place: Place) -> Mapping[str, tuple[str | None, str | None]]:
        """Return names and notes of runs by their hashes."""
        query = select(RUN_NOTES).where(*_at(RUN_NOTES, place))
        rows = await run(self._engine, lambda connection: connection.execute(query).all())
        return {row.hash: (row.name, row.notes) for row in rows}

    async def set_run_note(self, place: Place, hash_: str, values: Mapping[str, str], entry: Entry) -> None:
        """Give a run a name or notes."""

        def work(connection: Connection) -> None:
            _put(connection, RUN_NOTES, {**place.columns, "hash": hash_}, values)
            _record(connection, place, entry)

        await self._writer.write(work)

    async def point_notes(self, place: Place) -> Mapping[tuple[str, str, int], str]:
        """Return notes by hash, metric and step."""
        query = select(POINT_NOTES).where(*_at(POINT_NOTES, place))
        rows = await run(self._engine, lambda connection: connection.execute(query).all())
        return {(row.hash, row.metric, row.step): row.note for row in rows}

    async def set_point_note(self, place: Place, key: tuple[str, str, int], note: str, entry: Entry) -> None:
        """Set the note of a point; an empty one takes it away."""
        columns = {**place.columns, "hash": key[0], "metric": key[1], "step": key[2]}

        def work(connection: Connection) -> None:
            if note:
                _put(connection, POINT_NOTES, columns, {"note": note})
            else:
                connection.execute(delete(POINT_NOTES).where(*_is(POINT_NOTES, columns)))
            _record(connection, place, entry)

        await self._writer.write(work)

    # Samples

    async def tags(self, place: Place) -> Mapping[str, Sequence[str] | None]:
        """Return the categories of tags by name; None for one that a sample has or has not."""
        query = select(TAGS.c.name, TAGS.c.categories).where(*_at(TAGS, place)).order_by(TAGS.c.name)
        rows = await run(self._engine, lambda connection: connection.execute(query).all())
        return {row.name: row.categories for row in rows}

    async def values(self, place: Place) -> Mapping[str, Mapping[str, Any]]:
        """Return what people say of samples: values by sample, by column."""
        query = select(VALUES.c.column, VALUES.c.sample, VALUES.c.value).where(*_at(VALUES, place))
        rows = await run(self._engine, lambda connection: connection.execute(query).all())
        found: dict[str, dict[str, Any]] = {}
        for column, sample, value in rows:
            found.setdefault(column, {})[sample] = value
        return found

    async def edit(
        self,
        place: Place,
        edits: Iterable[Edit],
        entry: Entry,
        *,
        declare: Mapping[str, Sequence[str] | None] | None = None,
        drop: Sequence[str] = (),
    ) -> None:
        """Change columns and tags, in one transaction.

        Args:
            place: Whose experiment.
            edits: Changes of values.
            entry: What the audit says of it.
            declare: Tags that there are to be, with their categories.
            drop: Columns that go with all their values; a tag's also with its declaration.
        """
        changes = list(edits)

        def work(connection: Connection) -> None:
            for name, categories in (declare or {}).items():
                _put(connection, TAGS, {**place.columns, "name": name}, {"categories": categories})
            for each in changes:
                _write(connection, place, each)
            for column in drop:
                connection.execute(delete(VALUES).where(*_at(VALUES, place), VALUES.c.column == column))
                name = column.removeprefix("tag:")
                connection.execute(delete(TAGS).where(*_at(TAGS, place), TAGS.c.name == name))
            _record(connection, place, entry)

        await self._writer.write(work)

    async def view(self, place: Place) -> Sequence[str]:
        """Return the queries that make up the owner's view."""
        query = select(VIEWS.c.queries).where(*_at(VIEWS, place))
        row = await run(self._engine, lambda connection: connection.execute(query).first())
        return () if row is None else row.queries

    async def set_view(self, place: Place, queries: Sequence[str], entry: Entry) -> None:
        """Keep the queries that make up the owner's view."""

        def work(connection: Connection) -> None:
            _put(connection, VIEWS, place.columns, {"queries": list(queries)})
            _record(connection, place, entry)

        await self._writer.write(work)

    # Notebook

    async def notebook(self, place: Place) -> tuple[str, str] | None:
        """Return the notebook's name and text, None if there is none."""
        query = select(NOTEBOOKS.c.name, NOTEBOOKS.c.text).where(*_at(NOTEBOOKS, place))
        row = await run(self._engine, lambda connection: connection.execute(query).first())
        return None if row is None else (row.name, row.text)

    async def set_notebook(self, place: Place, name: str, text: str) -> None:
        """Keep a notebook."""
        await self._writer.write(
            lambda connection: _put(connection, NOTEBOOKS, place.columns, {"name": name, "text": text})
        )


def _at(table: Table, place: Place) -> Sequence[Any]:
    return _is(table, place.columns)


def _is(table: Table, columns: Mapping[str, Any]) -> Sequence[Any]:
    return [table.c[name] == value for name, value in columns.items()]


def _put(connection: Connection, table: Table, key: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    if not connection.execute(update(table).where(*_is(table, key)).values(**values)).rowcount:
        connection.execute(insert(table).values(**key, **values))


def _write(connection: Connection, place: Place, edit: Edit) -> None:
    samples = list(edit.values)
    for at in range(0, len(samples), _AT_ONCE):
        some = samples[at : at + _AT_ONCE]
        connection.execute(
            delete(VALUES).where(*_at(VALUES, place), VALUES.c.column == edit.column, VALUES.c.sample.in_(some))
        )
        rows = [
            {**place.columns, "column": edit.column, "sample": sample, "value": edit.values[sample]}
            for sample in some
            if edit.values[sample] is not None
        ]
        if rows:
            connection.execute(insert(VALUES), rows)


def _record(connection: Connection, place: Place, entry: Entry) -> None:
    values = {
        "by": place.owner,
        "action": entry.action,
        "status": "failed" if entry.error else "success",
        "error": entry.error,
        "details": dict(entry.details),
        "at": time.time(),
    }
    connection.execute(insert(AUDIT).values(**place.columns, **values))
