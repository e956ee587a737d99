"""Single steps on a run's rows, inside somebody's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert, select, update

from swath.errors import RunNotFound
from swath.storage.sql.engine import now
from swath_training.runs.database.metric_store import keep_metrics
from swath_training.runs.database.tables import EVENTS, RUNS, run_of
from swath_training.runs.items import Event
from swath_training.runs.model import LoggedEvent, Run


@dataclass(frozen=True, slots=True)
class Written:
    """A run after a write, and the events that the write added to its log."""

    run: Run
    events: tuple[LoggedEvent, ...] = ()


def run_row(connection: Connection, run_id: str) -> Run:
    """Return a run.

    Raises:
        RunNotFound: No such run, or it is forgotten.
    """
    # No database keeps a NUL in a text, and not each of them takes one in a question.
    found = None if "\0" in run_id else connection.execute(select(RUNS).where(RUNS.c.id == run_id))
    row = None if found is None else found.mappings().first()
    if row is None:
        raise no_run(run_id)
    return run_of(row)


def no_run(run_id: str) -> RunNotFound:
    """Return the error for a run that is not there, or not there for who asks."""
    return RunNotFound(f"Run {run_id} not found", metadata={"run": run_id[:64]})


def change(connection: Connection, run: Run, **values: Any) -> Run:
    """Write columns of a run and return it as it is then."""
    row = connection.execute(update(RUNS).where(RUNS.c.id == run.id).values(**values).returning(RUNS)).mappings().one()
    return run_of(row)


def append(connection: Connection, run: Run, events: Sequence[Event], **changes: Any) -> Written:
    """Append events to a run's log, keep what they have measured, and change columns of the run."""
    logged = tuple(
        LoggedEvent(run.last_seq + index, event.payload, b"" if event.payload else event.response)
        for index, event in enumerate(events, start=1)
    )
    if logged:
        connection.execute(
            insert(EVENTS).values(created_at=now()),
            [
                {
                    "run_id": run.id,
                    "seq": seq,
                    "attempt": run.attempt,
                    "position": event.position or None,
                    "response": event.response,
                    "event": event.payload or None,
                }
                for seq, event in enumerate(events, start=run.last_seq + 1)
            ],
        )
        changes["last_seq"] = logged[-1].seq
        # Notes of the service have no place in the run.
        if placed := [event for event in events if event.position]:
            changes |= {"step": placed[-1].step, "epoch": placed[-1].epoch}
        kept = keep_metrics(connection, run.id, zip(logged, events, strict=True))
        if kept:
            changes["metric_rows"] = run.metric_rows + kept
    return Written(change(connection, run, **changes) if changes else run, logged)
