"""What can be read of runs, their event logs and checkpoints."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, case, select
from sqlalchemy.ext.asyncio import AsyncEngine

from swath.documents import CommandKind
from swath.storage.sql.engine import now, run
from swath_training.runs.database.rows import run_row
from swath_training.runs.database.tables import CHECKPOINTS, COMMANDS, EVENTS, FILES, RUNS, SAVED_CHECKPOINTS, run_of
from swath_training.runs.items import Checkpoint
from swath_training.runs.model import OVER, LoggedEvent, Run, RunState

# The largest number that the column holds: there is nothing after it.
_MAX_SEQ = 2**31 - 1
_WITH_ARTIFACTS = (CommandKind.EVALUATE, CommandKind.SET_SAMPLES, CommandKind.RESTORE)


class RunReads:
    """Reads the training service's database.

    Args:
        engine: An engine of `swath.storage.sql.engine`.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def get(self, run_id: str) -> Run:
        """Return a run.

        Raises:
            RunNotFound: No such run, or it is forgotten.
        """
        return await run(self._engine, lambda connection: run_row(connection, run_id))

    async def latest(self, session_id: str) -> Run | None:
        """Return the session's last run, if it ever had one."""
        found = await self._runs(RUNS.c.session_id == session_id, newest=True)
        return found[0] if found else None

    async def listed(
        self,
        owner: str | None,
        *,
        experiments: Collection[str] = (),
        sessions: Collection[str] = (),
        states: Collection[RunState] = (),
        names: Collection[str] = (),
        before: int | None = None,
        limit: int = 100,
    ) -> list[tuple[int, Run]]:
        """Return runs with their numbers, newest first.

        Args:
            owner: Only those of this identity; all if None.
            experiments, sessions, states, names: Only those of these; of all where there are none.
            before: Only those of smaller numbers.
            limit: How many at most.
        """
        c = RUNS.c
        # Rows of the release before have no experiment of their own.
        of_session = (c.experiment == "") & c.session_id.in_(experiments)
        where = [
            *((c.owner == owner,) if owner is not None else ()),
            *((c.experiment.in_(experiments) | of_session,) if experiments else ()),
            *((c.session_id.in_(sessions),) if sessions else ()),
            *((c.state.in_(states),) if states else ()),
            *((c.name.in_(names),) if names else ()),
            *((c.number < before,) if before is not None else ()),
        ]
        query = select(RUNS).where(*where).order_by(c.number.desc()).limit(limit)
        return await run(
            self._engine,
            lambda connection: [(row["number"], run_of(row)) for row in connection.execute(query).mappings()],
        )

    async def named(self, prefix: str, owner: str | None, limit: int = 2) -> list[str]:
        """Return the ids of some runs of an identity (of all for None) that begin with a text."""
        if "\0" in prefix:
            return []
        mine = (RUNS.c.owner == owner,) if owner is not None else ()
        query = select(RUNS.c.id).where(RUNS.c.id.startswith(prefix, autoescape=True), *mine).limit(limit)
        return await run(self._engine, lambda connection: list(connection.execute(query).scalars()))

    async def ended_undelivered(self, session_id: str, arguments_digest: str, window_s: float) -> Run | None:
        """Return the session's last run if it had these arguments and ended within the window with nobody there."""
        latest = await self.latest(session_id)
        recent = await self._runs(
            RUNS.c.id == (latest.id if latest else None),
            RUNS.c.arguments_digest == arguments_digest,
            RUNS.c.state.in_(OVER),
            RUNS.c.end_delivered.is_(False),
            RUNS.c.finished_at >= now() - window_s,
        )
        return recent[0] if recent else None

    async def events(self, run_id: str, after_seq: int, limit: int = 500) -> list[LoggedEvent]:
        """Return events of a run's log after a sequence number, in order."""
        response = case((EVENTS.c.event.is_(None), EVENTS.c.response))
        query = (
            select(EVENTS.c.seq, EVENTS.c.event, response)
            .where(EVENTS.c.run_id == run_id, EVENTS.c.seq > min(after_seq, _MAX_SEQ))
            .order_by(EVENTS.c.seq)
            .limit(limit)
        )

        def work(connection: Connection) -> list[LoggedEvent]:
            return [LoggedEvent(seq, event or b"", form or b"") for seq, event, form in connection.execute(query)]

        return await run(self._engine, work)

    async def checkpoint(self, run_id: str) -> Checkpoint | None:
        """Return the run's last checkpoint, if it has one."""
        query = (
            select(CHECKPOINTS.c.digest, CHECKPOINTS.c.position)
            .where(CHECKPOINTS.c.run_id == run_id)
            .order_by(CHECKPOINTS.c.position.desc())
            .limit(1)
        )
        row = await run(self._engine, lambda connection: connection.execute(query).first())
        return Checkpoint(row.digest, row.position) if row else None

    async def artifacts(self) -> set[str]:
        """Return the digests of all artifacts that runs refer to."""
        columns = (RUNS.c.spec_digest, RUNS.c.pipeline_digest, RUNS.c.weights_digest)
        results = (RUNS.c.result_pipeline, RUNS.c.result_weights)
        # Nobody goes on from a checkpoint of a run that is over.
        checkpoints = select(CHECKPOINTS.c.digest).join(RUNS, RUNS.c.id == CHECKPOINTS.c.run_id)
        queries = (
            select(*columns, *results, RUNS.c.discarded),
            checkpoints.where(RUNS.c.state.not_in(OVER)),
            select(SAVED_CHECKPOINTS.c.digest),
            select(FILES.c.digest),
        )
        # Lists of samples that were given with commands. Those of runs that are over are found by their rows.
        arguments = select(COMMANDS.c.arguments).join(RUNS, RUNS.c.id == COMMANDS.c.run_id)
        asked = arguments.where(COMMANDS.c.kind.in_(_WITH_ARTIFACTS), RUNS.c.state.not_in(OVER))

        def work(connection: Connection) -> set[str]:
            found = {digest for query in queries for row in connection.execute(query) for digest in row if digest}
            for (members,) in connection.execute(asked):
                found |= {members[name] for name in ("samples", "discarded", "digest") if members.get(name)}
            return found

        return await run(self._engine, work)

    async def _runs(self, *where: Any, newest: bool = False) -> list[Run]:
        order = RUNS.c.number.desc() if newest else RUNS.c.number
        query = select(RUNS).where(*where).order_by(order).limit(1 if newest else None)
        return await run(self._engine, lambda connection: [run_of(row) for row in connection.execute(query).mappings()])
