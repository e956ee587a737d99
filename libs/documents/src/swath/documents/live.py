"""What can be asked of a run that is under way, and hyper-parameters that can be changed meanwhile."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum, auto

from swath.documents.training import TrainingDocument
from swath.documents.trainrun import TrainRunDocument
from swath.errors import InvalidInput


class CommandKind(StrEnum):
    """What is asked of a run."""

    PAUSE = auto()
    RESUME = auto()
    CHANGE = auto()
    EVALUATE = auto()
    CANCEL_EVALUATION = auto()
    SAVE_CHECKPOINT = auto()
    RESTORE = auto()
    SET_SAMPLES = auto()


class CommandState(StrEnum):
    """How far a command is."""

    ASKED = auto()
    TAKEN = auto()
    DONE = auto()
    REFUSED = auto()


@dataclass(frozen=True, slots=True)
class Hyperparameter:
    """One hyper-parameter and its range.

    Attributes:
        name: Its name.
        integer: Whether it is a whole number.
        minimum: Lowest value.
        exclusive: Whether the lowest value itself is outside of the range.
        maximum: Highest value, None for none.
        next_epoch: Whether a change takes effect at the beginning of the next epoch rather than before the next step.
        description: What it is.
    """

    name: str
    integer: bool
    minimum: float
    exclusive: bool
    maximum: float | None
    next_epoch: bool
    description: str

    def check(self, value: float) -> float:
        """Return a value of it.

        Raises:
            InvalidInput: It is outside of the range; the message names it.
        """
        low = value > self.minimum if self.exclusive else value >= self.minimum
        whole = not self.integer or float(value).is_integer()
        if math.isfinite(value) and low and whole and (self.maximum is None or value <= self.maximum):
            return float(value)
        kind = "a whole number" if self.integer else "a number"
        least = f"above {self.minimum:g}" if self.exclusive else f"of at least {self.minimum:g}"
        most = "" if self.maximum is None else f" and at most {self.maximum:g}"
        raise InvalidInput(
            f"hyper-parameter '{self.name}' must be {kind} {least}{most}, got {value:g}",
            metadata={"hyperparameter": self.name},
        )


HYPERPARAMETERS = {
    each.name: each
    for each in (
        Hyperparameter("learning_rate", False, 0.0, True, 1.0, False, "Learning rate; a schedule goes on from it"),
        Hyperparameter("weight_decay", False, 0.0, False, 1.0, False, "L2 penalty (adamw: decoupled decay)"),
        Hyperparameter("batch_size", True, 1, False, 65_536, True, "Frames per batch and device"),
        Hyperparameter(
            "evaluation_frequency", True, 0, False, None, False, "Batches between two validations; 0 as configured"
        ),
        Hyperparameter(
            "checkpoint_frequency", True, 0, False, None, False, "Steps between two checkpoints that are kept; 0 none"
        ),
    )
}
"""All of them by name."""


def initial_hyperparameters(document: TrainRunDocument, training: TrainingDocument) -> dict[str, float]:
    """Return the values that a gradient run of these documents starts with."""
    optimizer = training.optimizer
    return {
        "learning_rate": optimizer.lr,
        "weight_decay": optimizer.weight_decay,
        "batch_size": float(document.data.batch_size),
        "evaluation_frequency": 0.0,
        "checkpoint_frequency": 0.0,
    }


def checked_hyperparameters(values: Mapping[str, float]) -> dict[str, float]:
    """Return new values by name.

    Raises:
        InvalidInput: There are none, one cannot be changed, or one is outside of its range.
    """
    if not values:
        raise InvalidInput(f"no hyper-parameter is given; these can be changed: {', '.join(HYPERPARAMETERS)}")
    checked: dict[str, float] = {}
    for name, value in values.items():
        if name not in HYPERPARAMETERS:
            near = difflib.get_close_matches(name, HYPERPARAMETERS, 1)
            hint = f"; did you mean '{near[0]}'?" if near else ""
            raise InvalidInput(
                f"hyper-parameter '{name[:64]}' cannot be changed on a live run; these can: "
                f"{', '.join(HYPERPARAMETERS)}{hint}",
                metadata={"hyperparameter": name[:64]},
            )
        checked[name] = HYPERPARAMETERS[name].check(value)
    return checked
