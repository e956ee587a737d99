"""Stops: of a run, and of what a session would start next. StopTrain outlives the run that it stops (docs/adr/0011)."""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, select

from swath.storage.sql.engine import now
from swath.storage.sql.notifications import notify
from swath_training.runs.database.rows import change, run_row
from swath_training.runs.database.tables import RUNS, STOPS
from swath_training.runs.model import WORKING, Run, RunState, StopCause

STOPPED = "run.stopped"
"""Notifications of this channel hold the id of a run that is to stop."""


def is_stopped(connection: Connection, session_id: str) -> bool:
    """Whether StopTrain was called on a session since its last SetTrainRunConfig."""
    return connection.execute(select(STOPS.c.session_id).where(STOPS.c.session_id == session_id)).first() is not None


def stop_run(connection: Connection, run_id: str, cause: StopCause) -> Run:
    """Write that a run shall stop, and notify its holder; a run that is over or ending is left as it is."""
    run = run_row(connection, run_id)
    if run.state.over or run.state is RunState.ENDING or run.stop is not None:
        return run
    notify(connection, STOPPED, run_id)
    state = RunState.STOPPING if run.state is RunState.RUNNING else run.state
    return change(connection, run, state=state, stop=cause)


def stop_session(connection: Connection, session_id: str, cause: StopCause) -> list[Run]:
    """Have a session's run stop, and its next Train not start; return the runs that are to stop.

    Both in one transaction: a Train that comes at the same time at another replica is seen here, or sees the flag.
    """
    if not is_stopped(connection, session_id):
        connection.execute(insert(STOPS).values(session_id=session_id, created_at=now()))
    active = RUNS.c.state.in_((RunState.QUEUED, *WORKING))
    found = connection.execute(select(RUNS.c.id).where(RUNS.c.session_id == session_id, active)).scalars()
    asked = [stop_run(connection, run_id, cause) for run_id in found.all()]
    return [run for run in asked if run.stop is not None]


def clear_stop(connection: Connection, session_id: str) -> None:
    """Let a session's next Train start."""
    connection.execute(delete(STOPS).where(STOPS.c.session_id == session_id))
