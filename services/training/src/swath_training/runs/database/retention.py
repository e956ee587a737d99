"""Which runs are forgotten, with their events, metrics, checkpoints and log lines."""

from __future__ import annotations

from sqlalchemy import Connection, delete, select

from swath.storage.sql.engine import now
from swath_training.runs.database.log_store import ROW_BYTES
from swath_training.runs.database.tables import RUNS, STOPS
from swath_training.runs.model import OVER

_MAX_RUNS = 100
_MAX_ROWS = 20_000


def forget(connection: Connection, age_s: float) -> list[str]:
    """Remove some of the runs that ended longer ago than `age_s` seconds and return their ids; none at the end.

    The oldest ones go first, as many as are quick to remove: other writes wait meanwhile. What belongs to a run goes
    with its row.
    """
    old = RUNS.c.state.in_(OVER) & (RUNS.c.finished_at < now() - age_s)
    rows = RUNS.c.last_seq + RUNS.c.metric_rows + RUNS.c.line_bytes // ROW_BYTES
    oldest = select(RUNS.c.id, rows).where(old).order_by(RUNS.c.finished_at).limit(_MAX_RUNS)
    gone: list[str] = []
    total = 0
    for run_id, count in connection.execute(oldest).all():
        total += count
        if gone and total > _MAX_ROWS:
            break
        gone.append(run_id)
    connection.execute(delete(RUNS).where(RUNS.c.id.in_(gone)))
    # Of sessions that were closed while the training service was away.
    connection.execute(delete(STOPS).where(STOPS.c.created_at < now() - age_s))
    return gone
