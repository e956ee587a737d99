"""The events of a run, field for field what the public API streams.

`Event` is a TrainResponse and `Lifecycle` its TrainEvent; names of enum members are those of the protocol without their
prefix, so a servicer maps them by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum, auto

from swath.engine.graph.ports import Stage
from swath.engine.training.reporting.commands import CommandReport
from swath.engine.training.reporting.outcomes import CalibrationOutcome, CheckpointRestored, EvaluationOutcome


class Status(StrEnum):
    """State of a run."""

    RUNNING = auto()
    COMPLETE = auto()
    ERROR = auto()
    CANCELLED = auto()


class Hook(StrEnum):
    """What an event reports."""

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


@dataclass(frozen=True, slots=True)
class FrameProgress:
    """Frames done in a pass; total 0 means unknown."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class EpochProgress:
    """Epochs, 1-based: the current one, or the number completed at the end of a fit."""

    current: int
    total: int


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """What a response reports, with its details (TrainEvent)."""

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
    """Position of an event in the run (Context): epoch and batch are 0-based, step counts optimizer steps."""

    stage: Stage = Stage.TRAIN
    epoch: int = 0
    batch_idx: int = 0
    global_step: int = 0


@dataclass(frozen=True, slots=True)
class Event:
    """One response of a Train stream.

    Attributes:
        context: Position in the run.
        losses: ``total`` for a batch; ``train_loss``, ``val_loss`` and loss nodes with "loss" in their name for a pass.
        metrics: All other measured values, without stage prefixes.
        status: RUNNING until the last event.
        message: A short text for people.
        event: What is reported; None in the first and last event of a phase.
        ordinal: Number of the event in its run, from 0. A run resumed from a snapshot continues with the numbers after
            the snapshot, so it emits an event that was seen before under the same number.
        command: What has become of a command, if it reports that.
    """

    context: Position
    losses: Mapping[str, float] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    status: Status = Status.RUNNING
    message: str = ""
    event: Lifecycle | None = None
    ordinal: int = 0
    command: CommandReport | None = None
