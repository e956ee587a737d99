"""Messages of events, for people."""

from __future__ import annotations

from swath.engine.training.reporting.events import Hook, Lifecycle
from swath.engine.training.reporting.outcomes import (
    CalibrationOutcome,
    CheckpointRestored,
    EvaluationOutcome,
    EvaluationStatus,
)

_PASSES = {
    Hook.EPOCH_START: "Training",
    Hook.TRAIN_PROGRESS: "Training",
    Hook.VALIDATION_START: "Validating",
    Hook.VALIDATION_PROGRESS: "Validating",
    Hook.CALIBRATION_PROGRESS: "Calibrating decider thresholds",
}


def describe(event: Lifecycle, otherwise: str = "") -> str:
    """Return the message of an event; `otherwise` if it has none of its own."""
    if event.progress is not None:
        done, total = event.progress.done, event.progress.total
        what = f"Fitting {event.node}" if event.node else _PASSES.get(event.hook, f"Evaluating {event.split}")
        return f"{what} ({done}/{total})" if total else f"{what} ({done})"
    match event:
        case Lifecycle(hook=Hook.STATISTICAL_NODE_END):
            return otherwise or f"Fitted {event.node}"
        case Lifecycle(hook=Hook.CHECKPOINT_RESTORED, checkpoint=CheckpointRestored() as checkpoint):
            return _describe_checkpoint(checkpoint)
        case Lifecycle(hook=Hook.CALIBRATION_START):
            return f"Calibrating decider thresholds on {event.split}"
        case Lifecycle(hook=Hook.CALIBRATION_END, calibration=CalibrationOutcome(applicable=True) as calibration):
            return f"Calibration: {calibration.summary()}"
        case Lifecycle(hook=Hook.EVALUATION_START):
            return f"Evaluating {event.split}"
        case Lifecycle(hook=Hook.EVALUATION_END, evaluation=EvaluationOutcome() as evaluation):
            return _describe_evaluation(evaluation)
        case Lifecycle(hook=Hook.POST_FIT_END):
            return "Post-fit steps complete"
        case _:
            return otherwise


def _describe_checkpoint(checkpoint: CheckpointRestored) -> str:
    if not checkpoint.restored:
        return f"Using the final epoch's weights ({checkpoint.reason})"
    score = "" if checkpoint.score is None else f" {checkpoint.monitor} {checkpoint.score:.4g}"
    return f"Best checkpoint restored (epoch {checkpoint.epoch}{score}): {checkpoint.path}"


def _describe_evaluation(evaluation: EvaluationOutcome) -> str:
    if evaluation.status is EvaluationStatus.NO_SPLIT:
        return f"No {evaluation.split} split; evaluation skipped (data.splits.{evaluation.split} names its frames)"
    if evaluation.status is EvaluationStatus.FAILED:
        return f"Evaluating {evaluation.split} failed: {evaluation.error}; the run is still saved"
    values = ", ".join(f"{key} {value:.4g}" for key, value in sorted(evaluation.metrics.items()))
    return f"Evaluated {evaluation.split} ({evaluation.frames} frames): {values or 'no metric is defined'}"
