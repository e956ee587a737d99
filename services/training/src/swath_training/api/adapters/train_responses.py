"""Events of runs as cuvis_ai.v1.TrainResponse: made when a stream is read.

Numbers of enumerations are those of swath.training.v1 by design; a test compares their names.
"""

from __future__ import annotations

from typing import Any

from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb
from swath.training.v1 import events_pb2 as own
from swath_training.runs.model import LoggedEvent


def response_of(event: LoggedEvent) -> pb.TrainResponse:
    """Return an event of a run's log as what clients are sent."""
    if not event.payload:
        return pb.TrainResponse.FromString(event.response)
    return response(own.RunEvent.FromString(event.payload))


def response(event: own.RunEvent) -> pb.TrainResponse:
    """Return an event as a TrainResponse."""
    return pb.TrainResponse(
        context=pb.Context(stage=_same(event.split), epoch=event.epoch, batch_idx=event.batch, global_step=event.step),
        losses=event.losses,
        metrics=event.metrics,
        status=_same(event.status),
        message=event.message,
        event=_train_event(event.moment) if event.HasField("moment") else None,
    )


def _same(number: int) -> Any:
    """Return the number of an enumeration's value for its counterpart."""
    return number


def _train_event(moment: own.RunMoment) -> pb.TrainEvent:
    progress, epochs = moment.progress, moment.epochs
    return pb.TrainEvent(
        hook=_same(moment.hook),
        split=_same(moment.split),
        progress=pb.FrameProgress(done=progress.done, total=progress.total) if moment.HasField("progress") else None,
        epochs=pb.EpochProgress(current=epochs.current, total=epochs.total) if moment.HasField("epochs") else None,
        node=moment.node,
        calibration_pending=moment.calibration_pending,
        checkpoint=_checkpoint(moment.checkpoint) if moment.HasField("checkpoint") else None,
        calibration=_calibration(moment.calibration) if moment.HasField("calibration") else None,
        evaluation=_evaluation(moment.evaluation) if moment.HasField("evaluation") else None,
    )


def _checkpoint(checkpoint: own.RestoredCheckpoint) -> pb.CheckpointRestored:
    return pb.CheckpointRestored(
        restored=checkpoint.restored,
        path=checkpoint.path,
        epoch=checkpoint.epoch,
        monitor=checkpoint.monitor,
        score=checkpoint.score if checkpoint.HasField("score") else None,
        reason=checkpoint.reason,
    )


def _calibration(calibration: own.Calibration) -> pb.CalibrationOutcome:
    return pb.CalibrationOutcome(
        split=_same(calibration.split),
        applicable=calibration.applicable,
        phase_skip=_same(calibration.skip),
        phase_detail=calibration.detail,
        frames=calibration.frames,
        anomalous_frames=calibration.anomalous_frames,
        deciders=[_decider(decider) for decider in calibration.deciders],
    )


def _decider(decider: own.CalibratedDecider) -> pb.DeciderCalibration:
    return pb.DeciderCalibration(
        name=decider.name,
        class_name=decider.class_name,
        status=_same(decider.status),
        skip=_same(decider.skip),
        skip_detail=decider.detail,
        thresholds={
            name: pb.ThresholdChange(before=change.before if change.HasField("before") else None, after=change.after)
            for name, change in decider.thresholds.items()
        },
        metrics=decider.metrics,
        thresholds_present=decider.has_threshold,
    )


def _evaluation(evaluation: own.Evaluation) -> pb.EvaluationOutcome:
    return pb.EvaluationOutcome(
        split=_same(evaluation.split),
        status=_same(evaluation.status),
        frames=evaluation.frames,
        metrics=evaluation.metrics,
        error=evaluation.error,
    )
