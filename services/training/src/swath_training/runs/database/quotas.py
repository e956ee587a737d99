"""How many runs an identity may have queued or under way: here a Train that would be one too many is refused."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from swath.errors import RunQuota
from swath_training.runs.database.tables import RUNS
from swath_training.runs.model import OVER, RunState


def runs_over_quota(connection: Connection, owner: str, limit: int) -> int | None:
    """Return how many runs an identity has, if it may not have another one; None if it may.

    Counted in the transaction that adds the run: of two replicas one writes at a time, so together they admit no more
    than one does.

    Args:
        connection: Of that transaction.
        owner: The identity.
        limit: Runs that it may have, `TrainingSettings.quota_runs`; 0 means any number.
    """
    if not limit:
        return None
    query = select(func.count()).where(RUNS.c.owner == owner, RUNS.c.state.in_(set(RunState) - OVER))
    present = connection.execute(query).scalar_one()
    return present if present >= limit else None


def quota_exceeded(owner: str, present: int, limit: int) -> RunQuota:
    """Return the refusal."""
    what, remedy = "runs queued or under way", "wait for the end of one, or call StopTrain"
    return RunQuota.of(owner, what, present=present, limit=limit, remedy=remedy)
