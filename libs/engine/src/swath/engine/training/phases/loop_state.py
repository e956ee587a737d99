"""Where the loop of a gradient phase stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import torch

from swath.engine.ops.validity import Valid, count_invalid
from swath.engine.training.distributed.group import Group
from swath.errors import DataInvalid


@dataclass(slots=True)
class LoopState:
    """Counters and flags of the loop.

    Attributes:
        epoch: Epoch under way or, after the fit, the last one (0-based).
        step: Optimizer steps done.
        batch: Batches of the epoch done.
        frames: Frames of the epoch done.
        invalid: Invalid pixels of the epoch, in this process.
        learnt: Batches of the epoch with a valid pixel, in this process.
        completed: Epochs completed.
        stopping: Whether an early stop was decided.
        validated: Whether any validation was done.
        owes_validation: Whether a validation is under way or still to come at this point.
        open: Whether the epoch has begun.
    """

    epoch: int = 0
    step: int = 0
    batch: int = 0
    frames: int = 0
    invalid: int = 0
    learnt: int = 0
    completed: int = 0
    stopping: bool = False
    validated: bool = False
    owes_validation: bool = False
    open: bool = False

    def begin_epoch(self) -> None:
        """Note that the epoch has begun."""
        self.open = True
        self.frames = self.invalid = self.learnt = 0

    def note_pixels(self, valid: Valid | None) -> None:
        """Count the invalid pixels of a batch."""
        self.invalid += count_invalid(valid)
        self.learnt += valid is None or any(bool(mask.any()) for mask in valid.values())

    def require_batches(self, count: int) -> None:
        """Refuse an epoch that did not have so many batches, unless it was stopped early."""
        if self.batch != count and not self.stopping:
            raise DataInvalid(f"The train split gave {self.batch} batches in epoch {self.epoch}, expected {count}")

    def require_learnt(self, group: Group) -> int:
        """Return the invalid pixels of the epoch in all processes; refuse an epoch without any valid one."""
        invalid, learnt = group.all_reduce(torch.tensor([self.invalid, self.learnt])).tolist()
        if self.batch and not learnt:
            raise DataInvalid(
                f"No pixel of the train split is valid in epoch {self.epoch + 1}: each of {invalid} has a band that is "
                "not finite"
            )
        return int(invalid)

    def end_epoch(self) -> None:
        """Go on to the next epoch."""
        self.epoch += 1
        self.batch = 0
        self.open = False

    def state(self) -> dict[str, Any]:
        """Return what `restore` takes."""
        return asdict(self)

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from the state of another process."""
        for field in fields(self):
            setattr(self, field.name, state.get(field.name, field.default))
