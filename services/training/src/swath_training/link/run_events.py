"""Events of the engine as messages of swath.training.v1: the worker's side."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from swath.training.v1 import events_pb2 as pb
from swath_training.link.commands import command_message_of
from swath_training.runs.model import RunCommand

if TYPE_CHECKING:  # the engine imports torch, which a server does later
    from swath.engine.training.reporting.commands import CommandReport
    from swath.engine.training.reporting.events import Event, Lifecycle
    from swath.engine.training.reporting.outcomes import (
        CalibrationOutcome,
        CheckpointRestored,
        DeciderCalibration,
        EvaluationOutcome,
    )


def run_event(event: Event, shown: Callable[[str], str] = str) -> pb.RunEvent:
    """Return an event of the engine as a RunEvent.

    Args:
        event: The event.
        shown: Gives a text with the paths in it as clients know them.
    """
    return pb.RunEvent(
        status=_number(pb.RunEvent.Status, "STATUS", event.status),
        split=_number(pb.Split, "SPLIT", event.context.stage),
        epoch=event.context.epoch,
        batch=event.context.batch_idx,
        step=event.context.global_step,
        losses=event.losses,
        metrics=event.metrics,
        message=shown(event.message),
        moment=_moment(event.event, shown) if event.event is not None else None,
        command=None if event.command is None else command_message_of(_command(event, event.command, shown)),
    )


def _command(event: Event, report: CommandReport, shown: Callable[[str], str]) -> RunCommand:
    progress = {
        "done": report.done,
        "total": report.total,
        "metrics": dict(report.metrics),
        "cancelled": report.cancelled,
        "digest": report.digest,
        "hyperparameters": dict(report.values),
    }
    return RunCommand(
        number=report.command.number,
        id="",
        kind=report.command.kind,
        arguments=report.command.arguments,
        by=report.command.by,
        state=report.state,
        step=event.context.global_step,
        position=event.ordinal,
        message=shown(event.message),
        progress={name: value for name, value in progress.items() if value},
    )


def _number(enum: Any, prefix: str, name: str) -> Any:
    return enum.Value(f"{prefix}_{name.upper()}")


def _moment(event: Lifecycle, shown: Callable[[str], str]) -> pb.RunMoment:
    progress, epochs = event.progress, event.epochs
    return pb.RunMoment(
        hook=_number(pb.RunMoment.Hook, "HOOK", event.hook),
        split=None if event.split is None else _number(pb.Split, "SPLIT", event.split),
        progress=None if progress is None else pb.FrameProgress(done=progress.done, total=progress.total),
        epochs=None if epochs is None else pb.EpochProgress(current=epochs.current, total=epochs.total),
        node=event.node,
        calibration_pending=event.calibration_pending,
        checkpoint=None if event.checkpoint is None else _checkpoint(event.checkpoint, shown),
        calibration=None if event.calibration is None else _calibration(event.calibration, shown),
        evaluation=None if event.evaluation is None else _evaluation(event.evaluation, shown),
    )


def _checkpoint(checkpoint: CheckpointRestored, shown: Callable[[str], str]) -> pb.RestoredCheckpoint:
    return pb.RestoredCheckpoint(
        restored=checkpoint.restored,
        path=shown(checkpoint.path),
        epoch=checkpoint.epoch,
        monitor=checkpoint.monitor,
        score=checkpoint.score,
        reason=shown(checkpoint.reason),
    )


def _calibration(outcome: CalibrationOutcome, shown: Callable[[str], str]) -> pb.Calibration:
    return pb.Calibration(
        split=_number(pb.Split, "SPLIT", outcome.split),
        applicable=outcome.applicable,
        skip=_number(pb.Calibration.Skip, "SKIP", outcome.phase_skip),
        detail=shown(outcome.phase_detail),
        frames=outcome.frames,
        anomalous_frames=outcome.anomalous_frames,
        deciders=[_decider(decider, shown) for decider in outcome.deciders],
    )


def _decider(decider: DeciderCalibration, shown: Callable[[str], str]) -> pb.CalibratedDecider:
    return pb.CalibratedDecider(
        name=decider.name,
        class_name=decider.class_name,
        status=_number(pb.CalibratedDecider.Status, "STATUS", decider.status),
        skip=_number(pb.CalibratedDecider.Skip, "SKIP", decider.skip),
        detail=shown(decider.skip_detail),
        thresholds={
            name: pb.CalibratedDecider.Threshold(before=change.before, after=change.after)
            for name, change in decider.thresholds.items()
        },
        metrics=decider.metrics,
        has_threshold=decider.thresholds_present,
    )


def _evaluation(outcome: EvaluationOutcome, shown: Callable[[str], str]) -> pb.Evaluation:
    return pb.Evaluation(
        split=_number(pb.Split, "SPLIT", outcome.split),
        status=_number(pb.Evaluation.Status, "STATUS", outcome.status),
        frames=outcome.frames,
        metrics=outcome.metrics,
        error=shown(outcome.error),
    )
