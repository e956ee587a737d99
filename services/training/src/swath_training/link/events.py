"""Events of the engine as messages of cuvis_ai.v1."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb

if TYPE_CHECKING:  # the engine imports torch, which a server does later
    from swath.engine.training.reporting.events import Event, Lifecycle
from swath.engine.training.reporting.outcomes import (
    CalibrationOutcome,
    CheckpointRestored,
    DeciderCalibration,
    EvaluationOutcome,
)


def response(event: Event, shown: Callable[[str], str] = str) -> pb.TrainResponse:
    """Return an event as a TrainResponse.

    Args:
        event: The event.
        shown: Gives a text with the paths in it as clients know them.
    """
    return pb.TrainResponse(
        context=pb.Context(
            stage=_number(pb.ExecutionStage, "EXECUTION_STAGE", event.context.stage),
            epoch=event.context.epoch,
            batch_idx=event.context.batch_idx,
            global_step=event.context.global_step,
        ),
        losses=event.losses,
        metrics=event.metrics,
        status=_number(pb.TrainStatus, "TRAIN_STATUS", event.status),
        message=shown(event.message),
        event=_lifecycle(event.event, shown) if event.event is not None else None,
    )


def note(status: str, message: str) -> bytes:
    """Return what the service itself has to say as a serialized TrainResponse.

    Args:
        status: RUNNING, CANCELLED or ERROR.
        message: One line for people.
    """
    number = _number(pb.TrainStatus, "TRAIN_STATUS", status)
    context = pb.Context(stage=pb.EXECUTION_STAGE_TRAIN)
    return pb.TrainResponse(context=context, status=number, message=message).SerializeToString()


def _number(enum: Any, prefix: str, name: str) -> Any:
    return enum.Value(f"{prefix}_{name.upper()}")


def _lifecycle(event: Lifecycle, shown: Callable[[str], str]) -> pb.TrainEvent:
    message = pb.TrainEvent(
        hook=_number(pb.TrainHook, "TRAIN_HOOK", event.hook),
        calibration_pending=event.calibration_pending,
        node=event.node,
    )
    if event.split is not None:
        message.split = _number(pb.ExecutionStage, "EXECUTION_STAGE", event.split)
    if event.progress is not None:
        message.progress.CopyFrom(pb.FrameProgress(done=event.progress.done, total=event.progress.total))
    if event.epochs is not None:
        message.epochs.CopyFrom(pb.EpochProgress(current=event.epochs.current, total=event.epochs.total))
    if event.checkpoint is not None:
        message.checkpoint.CopyFrom(_checkpoint(event.checkpoint, shown))
    if event.calibration is not None:
        message.calibration.CopyFrom(_calibration(event.calibration, shown))
    if event.evaluation is not None:
        message.evaluation.CopyFrom(_evaluation(event.evaluation, shown))
    return message


def _checkpoint(checkpoint: CheckpointRestored, shown: Callable[[str], str]) -> pb.CheckpointRestored:
    return pb.CheckpointRestored(
        restored=checkpoint.restored,
        path=shown(checkpoint.path),
        epoch=checkpoint.epoch,
        monitor=checkpoint.monitor,
        score=checkpoint.score,
        reason=shown(checkpoint.reason),
    )


def _calibration(outcome: CalibrationOutcome, shown: Callable[[str], str]) -> pb.CalibrationOutcome:
    return pb.CalibrationOutcome(
        split=_number(pb.ExecutionStage, "EXECUTION_STAGE", outcome.split),
        applicable=outcome.applicable,
        phase_skip=_number(pb.CalibrationPhaseSkip, "CALIBRATION_PHASE_SKIP", outcome.phase_skip),
        phase_detail=shown(outcome.phase_detail),
        frames=outcome.frames,
        anomalous_frames=outcome.anomalous_frames,
        deciders=[_decider(decider, shown) for decider in outcome.deciders],
    )


def _decider(decider: DeciderCalibration, shown: Callable[[str], str]) -> pb.DeciderCalibration:
    return pb.DeciderCalibration(
        name=decider.name,
        class_name=decider.class_name,
        status=_number(pb.DeciderCalibrationStatus, "DECIDER_CALIBRATION_STATUS", decider.status),
        skip=_number(pb.DeciderSkip, "DECIDER_SKIP", decider.skip),
        skip_detail=shown(decider.skip_detail),
        thresholds={
            name: pb.ThresholdChange(before=change.before, after=change.after)
            for name, change in decider.thresholds.items()
        },
        metrics=decider.metrics,
        thresholds_present=decider.thresholds_present,
    )


def _evaluation(outcome: EvaluationOutcome, shown: Callable[[str], str]) -> pb.EvaluationOutcome:
    return pb.EvaluationOutcome(
        split=_number(pb.ExecutionStage, "EXECUTION_STAGE", outcome.split),
        status=_number(pb.EvaluationStatus, "EVALUATION_STATUS", outcome.status),
        frames=outcome.frames,
        metrics=outcome.metrics,
        error=shown(outcome.error),
    )
