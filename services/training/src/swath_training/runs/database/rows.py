"""Single steps on a run's rows, inside somebody's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from swath.errors import InvalidInput, RunNotFound
from swath.storage.sql.engine import now
from swath_training.runs.database.metric_store import keep_metrics
from swath_training.runs.database.tables import CHECKPOINTS, EVENTS, RUNS, run_of
from swath_training.runs.items import Checkpoint, Event, Failure, Item, Result, Stopped
from swath_training.runs.model import LoggedEvent, Run, RunState, StopCause


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
        kept = keep_metrics(connection, run.id, zip(logged, events, strict=True))
        if kept:
            changes["metric_rows"] = run.metric_rows + kept
    return Written(change(connection, run, **changes) if changes else run, logged)


def record(connection: Connection, run: Run, items: Sequence[Item]) -> Written:
    """Write items that are new to a run: events into the log, checkpoints, and the end.

    Raises:
        InvalidInput: Items are missing in between.
    """
    position, progressed = run.position, run.progressed
    events: list[Event] = []
    end: dict[str, Any] = {}
    for expected, item in enumerate(items, start=run.item_seq + 1):
        if item.seq != expected:
            raise InvalidInput(f"run {run.id}: item {item.seq} came where {expected} was expected")
        match item.body:
            case Event() as event:
                if event.position > position:
                    events.append(event)
                    position, progressed = event.position, True
            case Checkpoint() as checkpoint:
                progressed = _keep(connection, run, checkpoint) or progressed
            case Result() | Stopped() | Failure() as body:
                end = _end(body)
    if not items:
        return Written(run)
    return append(connection, run, events, item_seq=items[-1].seq, position=position, progressed=progressed, **end)


def _keep(connection: Connection, run: Run, checkpoint: Checkpoint) -> bool:
    """Keep a checkpoint in place of older ones and return whether it is further on than they were."""
    best = connection.execute(
        select(CHECKPOINTS.c.position)
        .where(CHECKPOINTS.c.run_id == run.id)
        .order_by(CHECKPOINTS.c.position.desc())
        .limit(1)
    ).scalar()
    if best is not None and best > checkpoint.position:
        return False
    connection.execute(delete(CHECKPOINTS).where(CHECKPOINTS.c.run_id == run.id))
    connection.execute(
        insert(CHECKPOINTS).values(
            run_id=run.id,
            position=checkpoint.position,
            attempt=run.attempt,
            digest=checkpoint.digest,
            created_at=now(),
        )
    )
    return best is None or best < checkpoint.position


def _end(body: Result | Stopped | Failure) -> dict[str, Any]:
    match body:
        case Result():
            return {
                "state": RunState.ENDING,
                "result_weights": body.weights_digest,
                "result_pipeline": body.pipeline_digest,
                **_final(body.final),
                "stop": None,
            }
        case Stopped(cause=StopCause.DRAIN):
            return {"state": RunState.QUEUED}
        case Stopped():
            return {
                "state": RunState.ENDING,
                "result_weights": body.weights_digest,
                "result_pipeline": body.pipeline_digest,
                **_final(body.final),
                "stop": body.cause,
            }
        case Failure():
            return {
                "state": RunState.ENDING,
                "code": body.code,
                "reason": body.reason,
                "message": body.message,
                "details": dict(body.metadata),
            }


def _final(event: Event | None) -> dict[str, Any]:
    if event is None:
        return {"final": None, "final_response": None}
    return {"final": event.payload or None, "final_response": event.response}
