"""Files and checkpoints of users, as rows."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection, func, insert, select
from sqlalchemy.ext.asyncio import AsyncEngine

from swath.storage.sql.engine import now, run
from swath_training.runs.database.tables import CHECKPOINTS, FILES, RUNS, SAVED_CHECKPOINTS
from swath_training.runs.items import Checkpoint, File
from swath_training.runs.model import OVER, CheckpointKind, Run, RunCheckpoint, RunFile

_PAGE = 10_000
_MAX = 2**31 - 1


def keep_file(connection: Connection, run: Run, file: File) -> None:
    """Write a file of a run, unless an earlier attempt has written the one of its place."""
    mine = FILES.c.run_id == run.id
    place = mine & (FILES.c.kind == file.kind) & (FILES.c.position == file.position)
    if connection.execute(select(FILES.c.number).where(place)).first() is not None:
        return
    last = connection.execute(select(func.max(FILES.c.number)).where(mine)).scalar() or 0
    connection.execute(
        insert(FILES).values(
            run_id=run.id,
            number=last + 1,
            attempt=run.attempt,
            kind=file.kind,
            position=file.position,
            digest=file.digest,
            rows=file.rows,
            first_step=file.first_step,
            last_step=file.last_step,
            created_at=now(),
        )
    )


def save_checkpoint(connection: Connection, run: Run, checkpoint: Checkpoint, run_hash: str) -> None:
    """Write a checkpoint of the user's, unless an earlier attempt has written the one of its place."""
    place = (SAVED_CHECKPOINTS.c.run_id == run.id) & (SAVED_CHECKPOINTS.c.position == checkpoint.position)
    if connection.execute(select(SAVED_CHECKPOINTS.c.position).where(place)).first() is not None:
        return
    connection.execute(
        insert(SAVED_CHECKPOINTS).values(
            run_id=run.id,
            position=checkpoint.position,
            attempt=run.attempt,
            step=checkpoint.step,
            epoch=checkpoint.epoch,
            hash=run_hash,
            digest=checkpoint.digest,
            created_at=now(),
        )
    )


class FileStore:
    """Reads files and checkpoints of runs.

    Args:
        engine: The training service's database.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def files(self, run_id: str, after: int, kinds: Collection[str] = ()) -> list[RunFile]:
        """Return files of a run after a number, in order; of some kinds alone if any are given."""
        f = FILES.c
        query = (
            select(f.number, f.kind, f.digest, f.rows, f.first_step, f.last_step, f.attempt, f.created_at)
            .where(f.run_id == run_id, f.number > min(max(after, 0), _MAX), *((f.kind.in_(kinds),) if kinds else ()))
            .order_by(f.number)
            .limit(_PAGE)
        )
        return await run(self._engine, lambda connection: [RunFile(*row) for row in connection.execute(query)])

    async def checkpoints(self, run_id: str) -> list[RunCheckpoint]:
        """Return the checkpoints of a run that can be gone on from, oldest first."""
        return await self._checkpoints(RUNS.c.id == run_id)

    async def checkpoints_of(self, experiment: str, owner: str) -> list[RunCheckpoint]:
        """Return those of all runs of an experiment, oldest first."""
        # Rows of the release before have no experiment of their own.
        named = (RUNS.c.experiment == experiment) | ((RUNS.c.experiment == "") & (RUNS.c.session_id == experiment))
        return await self._checkpoints(named & (RUNS.c.owner == owner))

    async def _checkpoints(self, which: object) -> list[RunCheckpoint]:
        def query(table: object, *more: object):
            c = table.c  # type: ignore[attr-defined]
            columns = (c.run_id, c.digest, c.position, c.step, c.epoch, c.hash, c.attempt, c.created_at)
            return select(*columns).join(RUNS, RUNS.c.id == c.run_id).where(which, *more)  # type: ignore[arg-type]

        def work(connection: Connection) -> list[RunCheckpoint]:
            found = [
                RunCheckpoint(row.run_id, row.digest, kind, *row[2:])
                for kind, rows in (
                    # Nobody goes on from a resume checkpoint of a run that is over, and it may be gone.
                    (CheckpointKind.RESUME, query(CHECKPOINTS, RUNS.c.state.not_in(OVER))),
                    (CheckpointKind.USER, query(SAVED_CHECKPOINTS)),
                )
                for row in connection.execute(rows)
            ]
            return sorted(found, key=lambda each: (each.created_at, each.position))

        return await run(self._engine, work)
