"""Runs, commands, checkpoints and files as messages of swath.training.v1."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from swath.documents import HYPERPARAMETERS
from swath.errors import InvalidInput
from swath.training.v1 import commands_pb2, runs_pb2, worker_pb2
from swath_training.link.commands import command_message_of, number_of
from swath_training.runs.database.live.curves import CurveSummary
from swath_training.runs.model import LoggedLine, Metric, Run, RunCheckpoint, RunCommand, RunFile, RunState


def run_message(run: Run) -> runs_pb2.Run:
    """Return a run as a message."""
    return runs_pb2.Run(
        run_id=run.id,
        session_id=run.session_id,
        experiment=run.experiment,
        name=run.name,
        state=number_of(runs_pb2.RunState, "RUN_STATE", run.state),
        paused=run.paused,
        trainer=int(run.trainer),
        device=run.device,
        hash=run.hash,
        hyperparameters=run.hyperparameters,
        step=run.step,
        epoch=run.epoch,
        last_seq=run.last_seq,
        attempt=run.attempt,
        created_at=_time(run.created_at),
        started_at=_time(run.started_at),
        finished_at=_time(run.finished_at),
        message=run.message,
        reason=run.reason,
        pipeline_digest=run.pipeline_digest,
        weights_digest=run.weights_digest or "",
        result_pipeline=run.result_pipeline or "",
        result_weights=run.result_weights or "",
        spec_digest=run.spec_digest,
    )


def states_of(numbers: Iterable[int]) -> list[RunState]:
    """Return states of runs.

    Raises:
        InvalidInput: A number is none.
    """
    names = {value: name.removeprefix("RUN_STATE_").lower() for name, value in runs_pb2.RunState.items()}
    if unknown := [number for number in numbers if not number or number not in names]:
        raise InvalidInput(f"states has {unknown[0]}, which is no state of a run")
    return [RunState(names[number]) for number in numbers]


def command_message(command: RunCommand) -> commands_pb2.RunCommand:
    """Return a command as clients read it: its place counts from 0."""
    message = command_message_of(command)
    message.position = command.position or 0
    return message


def checkpoint_message(checkpoint: RunCheckpoint) -> runs_pb2.RunCheckpoint:
    """Return a checkpoint as a message."""
    return runs_pb2.RunCheckpoint(
        digest=checkpoint.digest,
        kind=number_of(worker_pb2.CheckpointKind, "CHECKPOINT_KIND", checkpoint.kind),
        step=checkpoint.step,
        epoch=checkpoint.epoch,
        hash=checkpoint.hash,
        attempt=checkpoint.attempt,
        created_at=_time(checkpoint.created_at),
    )


def file_message(file: RunFile) -> runs_pb2.RunFile:
    """Return a file as a message."""
    return runs_pb2.RunFile(
        number=file.number,
        kind=file.kind,
        digest=file.digest,
        rows=file.rows,
        first_step=file.first_step,
        last_step=file.last_step,
        attempt=file.attempt,
        created_at=_time(file.created_at),
    )


def hyperparameter_messages(run: Run) -> list[runs_pb2.Hyperparameter]:
    """Return what can be changed about a run."""
    kind: Any = runs_pb2.Hyperparameter
    return [
        runs_pb2.Hyperparameter(
            name=each.name,
            type=kind.TYPE_INTEGER if each.integer else kind.TYPE_FLOAT,
            minimum=each.minimum,
            exclusive_minimum=each.exclusive,
            maximum=each.maximum,
            value=run.hyperparameters[each.name],
            effect=kind.EFFECT_NEXT_EPOCH if each.next_epoch else kind.EFFECT_NEXT_STEP,
            description=each.description,
        )
        for each in HYPERPARAMETERS.values()
        if each.name in run.hyperparameters
    ]


def curve_message(curve: CurveSummary) -> runs_pb2.CurveSummary:
    """Return a curve as a whole as a message."""
    return runs_pb2.CurveSummary(
        name=curve.name,
        split=curve.split,
        first_step=curve.first_step,
        last_step=curve.last_step,
        count=curve.count,
        minimum=math.nan if curve.minimum is None else curve.minimum,
        maximum=math.nan if curve.maximum is None else curve.maximum,
    )


def metric_message(metric: Metric) -> runs_pb2.Metric:
    """Return what was measured as a message."""
    return runs_pb2.Metric(
        name=metric.name,
        split=metric.split,
        step=metric.step,
        epoch=metric.epoch,
        value=metric.value,
        seq=metric.seq,
    )


def line_message(logged: LoggedLine) -> runs_pb2.LogLine:
    """Return a log line as a message."""
    line = runs_pb2.LogLine.FromString(logged.payload)
    line.number, line.attempt = logged.number, logged.attempt
    return line


def _time(seconds: float | None) -> Timestamp | None:
    if not seconds:
        return None
    time = Timestamp()
    time.FromMicroseconds(round(seconds * 1e6))
    return time
