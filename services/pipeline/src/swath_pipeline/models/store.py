"""Published models in SQL."""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from swath.errors import ModelQuota, RevisionConflict
from swath.published.model import Model, ReplicaState
from swath.storage.sql.engine import GroupWriter, now, run
from swath.storage.sql.notifications import notify
from swath_pipeline.models.rows import model_columns, models_of, state_columns, state_of, version_columns
from swath_pipeline.models.tables import CLAIMS, MODELS, SCHEMA, STATES, VERSIONS

CHANGED = "model.changed"
"""Notifications of this channel hold the name of a model that was changed, made or taken back."""

_m, _v, _c, _s = MODELS.c, VERSIONS.c, CLAIMS.c, STATES.c
_AT_ONCE = 500

Decision = Callable[[Model | None, int], Model | None]
"""Given a model as it is (None: there is none) and the number of its next version, returns what it is to be; None where
it is to go. May raise to refuse. Called once per try, in another thread where nobody calls; nothing is written where
nothing is to change."""


class Changed(NamedTuple):
    """A model before and after a change; None where there was or is none."""

    before: Model | None
    after: Model | None


class ModelStore:
    """Published models in SQL, with what replicas say of them. Ages go by the database's clock.

    Args:
        engine: The pipeline service's own database.
        clock: The present, Unix time in seconds, as an expression.

    Attributes:
        engine: The database.
    """

    def __init__(self, engine: AsyncEngine, *, clock: ColumnElement[float] | None = None) -> None:
        self.engine = engine
        self._writer = GroupWriter(engine)
        self._clock = now() if clock is None else clock

    async def open(self) -> None:
        """Make sure of the tables.

        Raises:
            SchemaOutdated: They are those of an older release.
        """
        await SCHEMA.prepare(self.engine)

    async def close(self) -> None:
        """Wait for writes under way and close the database."""
        await self._writer.close()
        await self.engine.dispose()

    async def all(self) -> tuple[Model, ...]:
        """Return all models by name, as they were at one moment."""
        return await run(self.engine, lambda connection: _read(connection, select(MODELS).where(_m.published)))

    async def find(self, name: str) -> Model | None:
        """Return a model, None if there is none."""
        found = await run(self.engine, lambda connection: _read(connection, _present(name)))
        return found[0] if found else None

    async def change(self, name: str, decide: Decision, *, claim: str = "", most: int = 0) -> Changed:
        """Decide what a model is to be and write it, in one transaction. All replicas are told.

        Args:
            name: Its name.
            decide: Decides.
            claim: What `claim` returned, if the change ends it.
            most: Models that the owner of a new one may have, that one included; 0 means any number.

        Raises:
            ModelQuota: The owner has as many already.
            RevisionConflict: Somebody else wrote at the same time.
            Exception: What `decide` raises; nothing was written.
        """

        def work(connection: Connection) -> Changed:
            row = connection.execute(select(MODELS).where(_m.name == name)).first()
            found = _read(connection, _present(name)) if row is not None and row.published else ()
            before = found[0] if found else None
            after = decide(before, 1 + (0 if row is None else row.newest))
            if claim:
                connection.execute(delete(CLAIMS).where(_c.id == claim))
            if after == before:
                return Changed(before, before)
            if before is None and after is not None and most:
                _refuse_more(connection, after.owner, most)
            written = _write(connection, name, row, before, after)
            notify(connection, CHANGED, name)
            return Changed(before, written)

        return await self._writer.write(work)

    # Artifacts

    async def claim(self, pipeline_digest: str, weights_digest: str | None, for_s: float) -> str:
        """Refer to artifacts until `change` ends this claim, or for some seconds; return its id."""
        made = secrets.token_hex(16)
        values = {"id": made, "pipeline_digest": pipeline_digest, "weights_digest": weights_digest}

        def work(connection: Connection) -> None:
            connection.execute(delete(CLAIMS).where(_c.until <= self._clock))
            connection.execute(insert(CLAIMS).values(**values, until=self._clock + for_s))

        await self._writer.write(work)
        return made

    async def drop_claim(self, claim: str) -> None:
        """End a claim of which nothing has come."""
        await self._writer.write(lambda connection: connection.execute(delete(CLAIMS).where(_c.id == claim)))

    async def digests(self) -> set[str]:
        """Return the digests of all artifacts that versions, and what is about to be one, refer to."""

        def work(connection: Connection) -> set[str]:
            claimed = select(_c.pipeline_digest, _c.weights_digest).where(_c.until > self._clock)
            published = select(_v.pipeline_digest, _v.weights_digest)
            rows = [*connection.execute(published), *connection.execute(claimed)]
            return {digest for row in rows for digest in row if digest is not None}

        return await run(self.engine, work)

    # What replicas say

    async def report(self, replica: str, states: Sequence[ReplicaState], for_s: float) -> None:
        """Write all that a replica says for some seconds, in place of what it has said before."""
        rows = [state_columns(state) for state in states]

        def work(connection: Connection) -> None:
            connection.execute(delete(STATES).where((_s.replica == replica) | (_s.until <= self._clock)))
            add = insert(STATES).values(until=self._clock + for_s)
            for at in range(0, len(rows), _AT_ONCE):
                connection.execute(add, rows[at : at + _AT_ONCE])

        await self._writer.write(work)

    async def states(self, name: str) -> list[ReplicaState]:
        """Return what replicas say of a model's versions, by version and replica."""
        read = select(STATES).where(_s.name == name, _s.until > self._clock).order_by(_s.number, _s.replica)
        return await run(self.engine, lambda connection: [state_of(row) for row in connection.execute(read)])


def _present(name: str) -> Select[Any]:
    return select(MODELS).where(_m.name == name, _m.published)


def _read(connection: Connection, models: Select[Any]) -> tuple[Model, ...]:
    rows = connection.execute(models.order_by(_m.name)).all()
    versions = select(VERSIONS).order_by(_v.name, _v.number)
    if len(rows) == 1:
        versions = versions.where(_v.name == rows[0].name)
    return tuple(models_of(rows, connection.execute(versions) if rows else ()))


def _refuse_more(connection: Connection, owner: str, most: int) -> None:
    present = connection.execute(
        select(func.count()).select_from(MODELS).where(_m.owner == owner, _m.published)
    ).scalar_one()
    if present >= most:
        remedy = "unpublish one, or publish a version of one"
        raise ModelQuota.of(owner, "published models", present=present, limit=most, remedy=remedy)


def _write(connection: Connection, name: str, row: Any, before: Model | None, after: Model | None) -> Model | None:
    """Write what has become of a model, whose row is given if it has one, and return it with its new revision."""
    old = {} if before is None else {version.number: version for version in before.versions}
    new = {} if after is None else {version.number: version for version in after.versions}
    assert all(new[number] == version for number, version in old.items() if number in new), "versions never change"
    revision = 1 if row is None else row.revision + 1
    counts = {"revision": revision, "newest": max((0 if row is None else row.newest, *new))}
    values: dict[str, Any] = {"published": after is not None, **counts}
    if after is not None:
        values |= model_columns(after)
    if row is None:
        connection.execute(insert(MODELS).values(name=name, **values))
    else:
        written = update(MODELS).where(_m.name == name, _m.revision == row.revision).values(**values)
        if connection.execute(written).rowcount != 1:
            raise RevisionConflict(f"Model {name} was changed by another call meanwhile; repeat the request")
    added = [version_columns(name, version) for number, version in new.items() if number not in old]
    if added:
        connection.execute(insert(VERSIONS), added)
    if gone := old.keys() - new.keys():
        connection.execute(delete(VERSIONS).where(_v.name == name, _v.number.in_(gone)))
    return None if after is None else dataclasses.replace(after, revision=revision)
