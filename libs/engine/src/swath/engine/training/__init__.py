"""Runs: statistical fits, gradient training, calibration and evaluation, with events, stops and resumption.

`run` does what a `RunSpec` says to a pipeline and data, reports each step as an `Event`, and returns an `Outcome`.
Nothing here knows how events travel or where snapshots are stored.
"""

from swath.engine.training.control import Checkpointer, Control, StopFlag
from swath.engine.training.distributed.group import Group, PeerLost
from swath.engine.training.distributed.rendezvous import Rank, Rendezvous, listen
from swath.engine.training.live.commands import Journal, LiveControl
from swath.engine.training.reporting.commands import Command, CommandReport
from swath.engine.training.reporting.events import (
    EpochProgress,
    Event,
    FrameProgress,
    Hook,
    Lifecycle,
    Position,
    Status,
)
from swath.engine.training.reporting.outcomes import (
    CalibrationOutcome,
    CheckpointRestored,
    DeciderCalibration,
    DeciderSkip,
    DeciderStatus,
    EvaluationOutcome,
    EvaluationStatus,
    PhaseSkip,
    ThresholdChange,
)
from swath.engine.training.runs import Outcome, run
from swath.engine.training.spec import RunSpec, Trainer

__all__ = [
    "CalibrationOutcome",
    "CheckpointRestored",
    "Checkpointer",
    "Command",
    "CommandReport",
    "Control",
    "DeciderCalibration",
    "DeciderSkip",
    "DeciderStatus",
    "EpochProgress",
    "EvaluationOutcome",
    "EvaluationStatus",
    "Event",
    "FrameProgress",
    "Group",
    "Hook",
    "Journal",
    "Lifecycle",
    "LiveControl",
    "Outcome",
    "PeerLost",
    "PhaseSkip",
    "Position",
    "Rank",
    "Rendezvous",
    "RunSpec",
    "Status",
    "StopFlag",
    "ThresholdChange",
    "Trainer",
    "listen",
    "run",
]
