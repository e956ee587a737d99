"""Sessions in SQL."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Executable,
    and_,
    bindparam,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncEngine

from swath.errors import SessionQuota
from swath.sessions.model import Profiling, Session
from swath.storage.sql.engine import GroupWriter, now, run
from swath.storage.sql.notifications import notify
from swath_session.sessions.leases import Leases, Recall
from swath_session.sessions.rows import Reading, column_value, session_of
from swath_session.tables import SCHEMA, SESSIONS, expires_at

_s = SESSIONS.c

CLOSED = "session.closed"
"""Notifications of this channel hold the id of a session that was closed or has expired."""

_CHANGEABLE = frozenset(
    ("search_paths", "pipeline_digest", "weights_digest", "run_config_digest", "plugins", "profiling", "active_run")
)


class SessionStore:
    """Sessions in SQL. Ages go by the database's clock; an expired session is as good as none.

    Args:
        engine: The session service's own database.
        clock: The present, Unix time in seconds, as an expression.

    Attributes:
        engine: The database.
    """

    def __init__(self, engine: AsyncEngine, *, clock: ColumnElement[float] | None = None) -> None:
        self.engine = engine
        self._writer = GroupWriter(engine)
        self._clock = now() if clock is None else clock
        self._leases = Leases(self._clock)
        self._alive = or_(_s.active_run.is_not(None), expires_at > self._clock)
        # Built once: building them costs more than running them.
        read = select(SESSIONS, self._clock.label("at")).where(self._alive)
        self._read_one = read.where(_s.id == bindparam("key"))
        self._read_many = read.where(_s.id.in_(bindparam("keys", expanding=True)))
        self._add = insert(SESSIONS).values(created_at=self._clock, last_used_at=self._clock).returning(SESSIONS)
        self._count_own = select(func.count()).select_from(SESSIONS).where(_s.owner == bindparam("who"), self._alive)
        self._touch = (
            update(SESSIONS)
            .where(_s.id == bindparam("key"), _s.last_used_at < bindparam("at"))
            .values(last_used_at=bindparam("at"))
        )
        self._remove = delete(SESSIONS).where(_s.id == bindparam("key"), self._alive).returning(SESSIONS)

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

    async def add(self, session_id: str, owner: str, ttl_s: float, most: int = 0) -> Session:
        """Write a new session and return it.

        Args:
            session_id: Its id.
            owner: Whose it is.
            ttl_s: Seconds without use after which it expires.
            most: Sessions that its owner may have, this one included; 0 means any number.

        Raises:
            SessionQuota: The owner has as many already.
        """
        values = {
            "id": session_id,
            "owner": owner,
            "revision": 1,
            "search_paths": [],
            "plugins": [],
            "profiling": dataclasses.asdict(Profiling()),
            "ttl_s": ttl_s,
        }

        def work(connection: Connection) -> Session | int:
            # Counted where it is written: of two replicas one writes at a time. A refusal is no exception here, since
            # that would have its neighbours in the transaction written anew.
            present = connection.execute(self._count_own, {"who": owner}).scalar_one() if most else 0
            if most and present >= most:
                return present
            return session_of(connection.execute(self._add, values).one())

        made = await self._writer.write(work)
        if isinstance(made, int):
            remedy = f"close one (CloseSession), or let one expire ({ttl_s:g} s without use)"
            raise SessionQuota.of(owner, "open sessions", present=made, limit=most, remedy=remedy)
        return made

    async def read(self, session_ids: Collection[str]) -> dict[str, Reading]:
        """Return those of the sessions that exist and have not expired."""
        return await run(self.engine, lambda connection: self._read(connection, session_ids))

    async def lease(
        self, session_ids: Collection[str], holder: str, seconds: float
    ) -> tuple[dict[str, Reading], dict[str, float]]:
        """Return what `read` returns, and give leases of them.

        Args:
            session_ids: The sessions.
            holder: Who gets the leases.
            seconds: For how long.

        Returns:
            The sessions, and for how long each of those may be answered from memory that a lease was given of: never
            for longer than until it expires.
        """

        def work(connection: Connection) -> tuple[dict[str, Reading], dict[str, float]]:
            found = self._read(connection, session_ids)
            given = self._leases.give(connection, found, holder, seconds)
            return found, {key: min(seconds, found[key].left_s) for key in given}

        return await self._writer.write(work)

    async def give_back(self, holder: str, recalls: Sequence[tuple[str, str]]) -> None:
        """Take note that a holder answers no more with the rows of some recalls, each a session and a token.

        Args:
            holder: Who had the leases.
            recalls: What it has dropped; none: everything, for good.
        """

        def work(connection: Connection) -> None:
            for session_id, token in recalls:
                self._leases.give_back(connection, holder, session_id, token)
            if not recalls:
                self._leases.give_all_back(connection, holder)

        await self._writer.write(work)

    async def forget_leases(self) -> None:
        """Remove leases that are too old to matter."""
        await self._writer.write(self._leases.forget)

    async def write(
        self,
        session_id: str,
        revision: int,
        changes: dict[str, Any],
        recall: Recall | None = None,
        waited: bool = False,
    ) -> tuple[Session | None, bool] | Recall:
        """Write fields where the revision is still the given one, and count the write as a use.

        Args:
            session_id: The session.
            revision: The one that is to be followed by this write.
            changes: The fields.
            recall: As `Leases.take_back` takes it, and `waited`.
            waited: Whether the leases were waited out.

        Returns:
            The session as written, or None; and whether there is such a session at all. Where leases are in the way,
            what is to be waited for; nothing is written then.

        Raises:
            TypeError: A field that is not to be changed.
        """
        if unknown := set(changes) - _CHANGEABLE:
            raise TypeError(f"these fields of a session are not to be changed: {', '.join(sorted(unknown))}")
        if not _is_text(session_id):
            return None, False
        here = and_(_s.id == session_id, self._alive)
        values = {name: column_value(value) for name, value in changes.items()}
        guarded = (
            update(SESSIONS)
            .where(here, _s.revision == revision)
            .values(**values, revision=revision + 1, last_used_at=self._clock)
            .returning(SESSIONS)
        )
        present = select(_s.id).where(here)

        def work(connection: Connection) -> tuple[Session | None, bool] | Recall:
            if (held := self._leases.take_back(connection, session_id, recall, waited)) is not None:
                return held
            if (row := connection.execute(guarded).one_or_none()) is not None:
                return session_of(row), True
            return None, connection.execute(present).one_or_none() is not None

        return await self._writer.write(work)

    async def touch(self, session_id: str, at: float) -> None:
        """Write the last use, without a new revision: writers elsewhere must not fail because a session is in use."""
        values = {"key": session_id, "at": at}
        await self._writer.write(lambda connection: connection.execute(self._touch, values).rowcount)

    async def remove(
        self, session_id: str, recall: Recall | None = None, waited: bool = False
    ) -> Session | Recall | None:
        """Remove a session and return what it was; None where there is none, or it has expired.

        Args:
            session_id: The session.
            recall: As in `write`.
            waited: As in `write`.
        """
        if not _is_text(session_id):
            return None

        def work(connection: Connection) -> Session | Recall | None:
            if (held := self._leases.take_back(connection, session_id, recall, waited)) is not None:
                return held
            removed = _gone(connection, self._remove, {"key": session_id})
            return removed[0] if removed else None

        return await self._writer.write(work)

    async def remove_expired(self, most: int) -> list[Session]:
        """Remove `most` expired sessions at most and return what they were; no other replica gets the same.

        No lease is in the way: none lasts longer than its session.
        """
        expired = select(_s.id).where(_s.active_run.is_(None), expires_at <= self._clock).limit(most)
        statement = delete(SESSIONS).where(_s.id.in_(expired)).returning(SESSIONS)
        return await self._writer.write(lambda connection: _gone(connection, statement, {}))

    async def count(self) -> int:
        """Return how many sessions there are, expired ones that were not removed yet included."""
        statement = select(func.count()).select_from(SESSIONS)
        return await run(self.engine, lambda connection: connection.execute(statement).scalar_one())

    async def digests(self) -> set[str]:
        """Return the digests of all artifacts that sessions point at."""
        statement = select(_s.pipeline_digest, _s.weights_digest, _s.run_config_digest)
        rows = await run(self.engine, lambda connection: connection.execute(statement).all())
        return {digest for row in rows for digest in row if digest is not None}

    def _read(self, connection: Connection, session_ids: Collection[str]) -> dict[str, Reading]:
        keys = [key for key in session_ids if _is_text(key)]
        if len(keys) == 1:
            rows = connection.execute(self._read_one, {"key": keys[0]}).all()
        else:
            rows = connection.execute(self._read_many, {"keys": keys}).all()
        return {row.id: Reading(session_of(row), row.at) for row in rows}


def _is_text(key: str) -> bool:
    """Whether a key could be in a table: no database keeps a NUL, and not each of them takes one in a question."""
    return "\0" not in key


def _gone(connection: Connection, removal: Executable, values: dict[str, Any]) -> list[Session]:
    """Remove sessions, notify every replica, and return what they were."""
    removed = [session_of(row) for row in connection.execute(removal, values).all()]
    for session in removed:
        notify(connection, CLOSED, session.id)
    return removed
