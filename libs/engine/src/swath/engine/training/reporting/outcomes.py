"""Outcomes of the post-fit phase: the restored checkpoint, the calibration, the evaluation of each split."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum, auto

from swath.engine.graph.ports import Stage


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
class CheckpointRestored:
    """Whether the best checkpoint was restored; `reason` if it was not."""

    restored: bool
    path: str = ""
    epoch: int = 0
    monitor: str = ""
    score: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ThresholdChange:
    """A threshold before calibration (None: not placed) and after it."""

    before: float | None
    after: float


@dataclass(frozen=True, slots=True)
class DeciderCalibration:
    """Outcome of the calibration of one decider.

    Attributes:
        name: The node.
        class_name: Its class, without module.
        status: Calibrated or skipped.
        skip: Why it was skipped; NONE also if the reason is the skip of the phase.
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
        """The reason of a skip as text."""
        if self.skip is DeciderSkip.NOTHING_WIRED:
            return "nothing is wired into its score input"
        if self.skip is DeciderSkip.NO_REPORT:
            return "calibrate returned no report"
        return self.skip_detail


@dataclass(frozen=True, slots=True)
class CalibrationOutcome:
    """Outcome of the calibration of all deciders.

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
        """Return a text for people: what was calibrated, or why nothing was."""
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
