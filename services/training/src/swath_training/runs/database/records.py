"""What a worker reports, written into a run's rows inside somebody's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from swath.errors import InvalidInput
from swath.storage.sql.engine import now
from swath_training.runs.database.live.commands import report
from swath_training.runs.database.live.files import keep_file, save_checkpoint
from swath_training.runs.database.rows import Written, append
from swath_training.runs.database.tables import CHECKPOINTS
from swath_training.runs.items import Checkpoint, Event, Failure, File, Item, Result, Stopped
from swath_training.runs.model import CheckpointKind, Run, RunState, StopCause


def record(connection: Connection, run: Run, items: Sequence[Item]) -> Written:
    """Write items that are new to a run: events into the log, checkpoints, and the end.

    Raises:
        InvalidInput: Items are missing in between.
    """
    position, progressed = run.position, run.progressed
    events: list[Event] = []
    changes: dict[str, Any] = {}
    end: dict[str, Any] = {}
    for expected, item in enumerate(items, start=run.item_seq + 1):
        if item.seq != expected:
            raise InvalidInput(f"run {run.id}: item {item.seq} came where {expected} was expected")
        match item.body:
            case Event() as event:
                if event.position > position:
                    events.append(event)
                    position, progressed = event.position, True
                    if event.command is not None:
                        changes |= report(connection, run, event.command, changes)
            case Checkpoint(kind=CheckpointKind.USER) as checkpoint:
                save_checkpoint(connection, run, checkpoint, changes.get("hash", run.hash))
            case Checkpoint() as checkpoint:
                progressed = _keep(connection, run, checkpoint, changes.get("hash", run.hash)) or progressed
            case File() as file:
                keep_file(connection, run, file)
            case Result() | Stopped() | Failure() as body:
                end = _end(body)
    if not items:
        return Written(run)
    changes |= {"item_seq": items[-1].seq, "position": position, "progressed": progressed}
    return append(connection, run, events, **changes, **end)


def _keep(connection: Connection, run: Run, checkpoint: Checkpoint, run_hash: str) -> bool:
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
            step=checkpoint.step,
            epoch=checkpoint.epoch,
            hash=run_hash,
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
