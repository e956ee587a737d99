"""Deployed applications in SQL."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from swath.storage.sql.engine import GroupWriter, run
from swath.storage.sql.notifications import notify
from swath_apps.deployed.rows import Application, application_of, columns
from swath_apps.deployed.tables import APPLICATIONS, SCHEMA

CHANGED = "apps.changed"
"""Notifications of this channel say that applications were deployed or deleted."""

_a = APPLICATIONS.c

Applications = Mapping[str, Application]
"""Applications by name, in order of deployment."""

Decision = Callable[[Applications], Applications]
"""Given all applications, returns what there is to be. May raise to refuse. Called once per try, in another thread
where nobody calls; nothing is written where nothing is to change."""


class ApplicationStore:
    """Deployed applications in SQL.

    Args:
        engine: The apps service's own database.

    Attributes:
        engine: The database.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self._writer = GroupWriter(engine)

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

    async def all(self) -> Applications:
        """Return all applications, as they were at one moment."""
        return await run(self.engine, _read)

    async def while_nobody_writes(self, work: Callable[[Applications], None]) -> None:
        """Do something with the applications while nobody changes them, at whichever replica.

        Args:
            work: Called in another thread with the applications.

        Raises:
            Exception: What it raises.
        """
        await self._writer.write(lambda connection: work(_read(connection)))

    async def change(self, decide: Decision) -> Applications:
        """Decide what applications there are to be and write it, in one transaction. All replicas are told.

        Args:
            decide: Decides. Revisions and positions are given here.

        Returns:
            The applications as they are then.

        Raises:
            Exception: What `decide` raises; nothing was written.
        """

        def work(connection: Connection) -> Applications:
            before = _read(connection)
            after = _numbered(before, decide(before))
            for name in before.keys() - after.keys():
                connection.execute(delete(APPLICATIONS).where(_a.name == name))
            for name, application in after.items():
                old = before.get(name)
                if old is None:
                    connection.execute(insert(APPLICATIONS).values(**columns(application)))
                elif application != old:
                    connection.execute(update(APPLICATIONS).where(_a.name == name).values(**columns(application)))
            if after != before:
                notify(connection, CHANGED, "")
            return after

        return await self._writer.write(work)

    async def bundles(self) -> set[str]:
        """Return the digests of all bundles that applications refer to."""
        return {each.bundle for each in (await self.all()).values() if each.bundle is not None}


def _read(connection: Connection) -> Applications:
    rows = connection.execute(select(APPLICATIONS).order_by(_a.position, _a.name))
    return {row.name: application_of(row) for row in rows}


def _numbered(before: Applications, after: Applications) -> Applications:
    """Give revisions to what is changed, and places at the end to what is new."""
    last = max((each.position for each in before.values()), default=0)
    found = {}
    for name, application in after.items():
        old = before.get(name)
        if old is None:
            last += 1
            application = dataclasses.replace(application, revision=1, position=last)
        else:
            application = dataclasses.replace(application, revision=old.revision, position=old.position)
            if application != old:
                application = dataclasses.replace(application, revision=old.revision + 1)
        found[name] = application
    return dict(sorted(found.items(), key=lambda each: each[1].position))
