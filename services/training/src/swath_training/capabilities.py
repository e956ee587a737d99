"""What gradient training can be told, as GetTrainingCapabilities lists it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from swath.documents import OPTIMIZERS, SCHEDULERS


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter; defaults are text, empty for none."""

    name: str
    type: str
    description: str
    default: str = ""
    required: bool = False
    validation: str = ""


@dataclass(frozen=True, slots=True)
class Callback:
    """One callback of a training document, by the name that clients know."""

    type: str
    description: str
    parameters: tuple[Parameter, ...]


OPTIMIZER_NAMES: Final = OPTIMIZERS
SCHEDULER_NAMES: Final = SCHEDULERS

CALLBACKS: Final = (
    Callback(
        "EarlyStopping",
        "Ends a run when a watched value no longer improves",
        (
            Parameter("monitor", "string", "The value watched, such as val_loss", required=True),
            Parameter("patience", "int", "Checks without improvement before the run ends", "10"),
            Parameter("mode", "string", "Whether less or more is better", "min", validation="in ['min', 'max']"),
        ),
    ),
    Callback(
        "ModelCheckpoint",
        "Keeps the best states of a run as files",
        (
            Parameter("dirpath", "string", "Folder of the files", required=True),
            Parameter("monitor", "string", "The value that decides which are best", required=True),
            Parameter("mode", "string", "Whether less or more is better", "max", validation="in ['min', 'max']"),
            Parameter("save_top_k", "int", "How many of the best are kept", "1"),
        ),
    ),
    Callback(
        "LearningRateMonitor",
        "Reports learning rates",
        (
            Parameter(
                "logging_interval", "string", "Each step or each epoch", "epoch", validation="in ['step', 'epoch']"
            ),
            Parameter("log_momentum", "bool", "Report momentum too", "False"),
        ),
    ),
)

OPTIMIZER_PARAMETERS: Final = (
    Parameter("lr", "float", "Learning rate", required=True),
    Parameter("weight_decay", "float", "L2 penalty; decoupled decay with adamw", "0.0"),
    Parameter("betas", "tuple", "Decay rates of adam's and adamw's moments"),
)

SCHEDULER_PARAMETERS: Final = (
    Parameter("monitor", "string", "plateau: the value watched"),
    Parameter("factor", "float", "plateau: factor of a reduction", "0.1"),
    Parameter("patience", "int", "plateau: epochs without improvement before a reduction", "10"),
)
