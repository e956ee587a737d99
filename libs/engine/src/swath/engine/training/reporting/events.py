"""What a run reports while it goes on, field for field what the public API streams.

`Event` is a TrainResponse and `Lifecycle` its TrainEvent; names of enum members are those of the protocol without their
prefix, so a servicer maps them by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum, auto

from swath.engine.graph.ports import Stage


class Status(StrEnum):
    """Where a run stands."""

    RUNNING = auto()
    COMPLETE = auto()
    ERROR = auto()
    CANCELLED = auto()


class Hook(StrEnum):
    """The moment of a run that an event reports."""

    FIT_START = auto()
    EPOCH_END = auto()
    VALIDATION_END = auto()
    FIT_END = auto()
    CHECKPOINT_RESTORED = auto()
    CALIBRATION_START = auto()
    CALIBRATION_PROGRESS = auto()
    CALIBRATION_END = auto()
    EVALUATION_START = auto()
    EVALUATION_PROGRESS = auto()
    EVALUATION_END = auto()
    POST_FIT_END = auto()
    STATISTICAL_NODE_START = auto()
    STATISTICAL_PROGRESS = auto()
    STATISTICAL_NODE_END = auto()
    EPOCH_START = auto()
    TRAIN_PROGRESS = auto()
    VALIDATION_START = auto()
    VALIDATION_PROGRESS = auto()


class EvaluationStatus(StrEnum):
    """How the evaluation of a split ended."""

    EVALUATED = auto()
    NO_SPLIT = auto()
    FAILED = auto()


class PhaseSkip(StrEnum):
    """Why no decider was calibrated at all (CalibrationPhaseSkip)."""

    NONE = auto()
    NO_SPLIT = auto()
    INFERENCE_FAILED = auto()
    AMBIGUOUS_MASK = auto()
    SINGLE_CLASS = auto()


class DeciderStatus(StrEnum):
    """Whether a decider's threshold was placed (DeciderCalibrationStatus)."""

    CALIBRATED = auto()
    SKIPPED = auto()


class DeciderSkip(StrEnum):
    """Why one decider kept its threshold."""

    NONE = auto()
    NOTHING_WIRED = auto()
    NO_SCORES = auto()
    CALIBRATE_FAILED = auto()
    NO_REPORT = auto()


@dataclass(frozen=True, slots=True)
class FrameProgress:
    """Frames done of a pass; total 0 means unknown."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class EpochProgress:
    """Epochs, 1-based: the one under way, or at the end of a fit the number completed."""

    current: int
    total: int


@dataclass(frozen=True, slots=True)
class CheckpointRestored:
    """What became of the best checkpoint; `reason` says why it was not restored."""

    restored: bool
    path: str = ""
    epoch: int = 0
    monitor: str = ""
    score: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ThresholdChange:
    """A threshold before (None: it had none) and after calibration."""

    before: float | None
    after: float


@dataclass(frozen=True, slots=True)
class DeciderCalibration:
    """What calibration did to one decider.

    Attributes:
        name: The node.
        class_name: Its class, without module.
        status: Calibrated or skipped.
        skip: Why it was skipped; NONE also where the phase's own skip is the reason.
        skip_detail: The error or the port behind the skip.
        thresholds: Changes by hyper-parameter.
        metrics: Pixel metrics on the split at the new threshold.
        thresholds_present: Whether it has a threshold now, placed by this run or before.
    """

    name: str
    class_name: str
    status: DeciderStatus
    skip: DeciderSkip = DeciderSkip.NONE
    skip_detail: str = ""
    thresholds: Mapping[str, ThresholdChange] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    thresholds_present: bool = True

    @property
    def why(self) -> str:
        """The reason of a skip in words."""
        if self.skip is DeciderSkip.NOTHING_WIRED:
            return "nothing is wired into its score input"
        if self.skip is DeciderSkip.NO_REPORT:
            return "calibrate returned no report"
        return self.skip_detail


@dataclass(frozen=True, slots=True)
class CalibrationOutcome:
    """What the calibration of all deciders came to.

    Attributes:
        split: The split it ran on.
        applicable: Whether the pipeline has a decider at all.
        phase_skip: Why nothing was calibrated.
        phase_detail: The error or the candidates behind the skip.
        frames: Frames of the split.
        anomalous_frames: Of these, frames with an anomalous pixel.
        deciders: One entry per decider.
    """

    split: Stage
    applicable: bool
    phase_skip: PhaseSkip = PhaseSkip.NONE
    phase_detail: str = ""
    frames: int = 0
    anomalous_frames: int = 0
    deciders: tuple[DeciderCalibration, ...] = ()

    def summary(self) -> str:
        """One line for people: what was calibrated, or why nothing was."""
        placed = [item for item in self.deciders if item.status is DeciderStatus.CALIBRATED]
        kept = "; ".join(
            f"{item.name}: {item.why}"
            for item in self.deciders
            if item.status is DeciderStatus.SKIPPED and item.skip is not DeciderSkip.NONE
        )
        if placed:
            text = f"thresholds calibrated on {self.split}: " + ", ".join(_describe_decider(item) for item in placed)
            return f"{text}; skipped {kept}" if kept else text
        return f"thresholds not calibrated: {self._phase_reason() or kept or 'no calibratable decider'}"

    def _phase_reason(self) -> str:
        match self.phase_skip:
            case PhaseSkip.NO_SPLIT:
                return f"no {self.split} split"
            case PhaseSkip.INFERENCE_FAILED:
                return f"inference over {self.split} failed: {self.phase_detail}"
            case PhaseSkip.AMBIGUOUS_MASK:
                return f"expected one ground-truth 'mask' output, found {self.phase_detail}"
            case PhaseSkip.SINGLE_CLASS:
                return f"{self.split} split is single-class ({self.anomalous_frames}/{self.frames} frames anomalous)"
            case _:
                return ""


def _describe_decider(item: DeciderCalibration) -> str:
    changes = ", ".join(f"{name} {change.after:.4g}" for name, change in item.thresholds.items())
    return f"{item.name} ({changes})" if changes else item.name


@dataclass(frozen=True, slots=True)
class EvaluationOutcome:
    """Metrics of one split, keyed ``node/metric``."""

    split: Stage
    status: EvaluationStatus
    frames: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict)
    error: str = ""


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """The moment of a run that a response reports, with what belongs to that moment (TrainEvent)."""

    hook: Hook
    split: Stage | None = None
    progress: FrameProgress | None = None
    checkpoint: CheckpointRestored | None = None
    calibration: CalibrationOutcome | None = None
    evaluation: EvaluationOutcome | None = None
    calibration_pending: bool = False
    epochs: EpochProgress | None = None
    node: str = ""


@dataclass(frozen=True, slots=True)
class Position:
    """Where in the run an event stands (Context): epoch and batch are 0-based, step counts optimizer steps."""

    stage: Stage = Stage.TRAIN
    epoch: int = 0
    batch_idx: int = 0
    global_step: int = 0


@dataclass(frozen=True, slots=True)
class Event:
    """One response of a Train stream.

    Attributes:
        context: Where in the run.
        losses: ``total`` for a batch; ``train_loss``, ``val_loss`` and loss nodes with "loss" in their name for a pass.
        metrics: Everything else that was measured, without stage prefixes.
        status: RUNNING until the last one.
        message: One line for people.
        event: The moment of the run; None in the first and last message of a phase.
        ordinal: Number of the event in its run, from 0. A run resumed from a snapshot goes on with the numbers that
            followed the snapshot, so an event that was seen before comes again under the same number.
    """

    context: Position
    losses: Mapping[str, float] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    status: Status = Status.RUNNING
    message: str = ""
    event: Lifecycle | None = None
    ordinal: int = 0


_PASSES = {
    Hook.EPOCH_START: "Training",
    Hook.TRAIN_PROGRESS: "Training",
    Hook.VALIDATION_START: "Validating",
    Hook.VALIDATION_PROGRESS: "Validating",
    Hook.CALIBRATION_PROGRESS: "Calibrating decider thresholds",
}


def describe(event: Lifecycle, otherwise: str = "") -> str:
    """Return the line for people that goes with a moment, or `otherwise` where it needs none."""
    if event.progress is not None:
        done, total = event.progress.done, event.progress.total
        what = f"Fitting {event.node}" if event.node else _PASSES.get(event.hook, f"Evaluating {event.split}")
        return f"{what} ({done}/{total})" if total else f"{what} ({done})"
    match event:
        case Lifecycle(hook=Hook.STATISTICAL_NODE_END):
            return f"Fitted {event.node}"
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
        return f"No {evaluation.split} split; evaluation skipped"
    if evaluation.status is EvaluationStatus.FAILED:
        return f"Evaluating {evaluation.split} failed: {evaluation.error}; the run is still saved"
    values = ", ".join(f"{key} {value:.4g}" for key, value in sorted(evaluation.metrics.items()))
    return f"Evaluated {evaluation.split} ({evaluation.frames} frames): {values or 'no metric node'}"
