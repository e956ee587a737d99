"""The base classes of nodes that take part in training, beyond their forward.

Node                 takes inputs by port, gives outputs by port
├── Fittable         learns statistics in one pass over data
├── Loss             a number to minimise
├── Metric           numbers pooled over many batches
└── Decider          thresholds that labelled data can place
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from swath.engine.graph.context import Context
from swath.engine.graph.invalid import Invalid
from swath.engine.graph.node import Node
from swath.engine.graph.ports import EVALUATION, LEARNING, Stage
from swath.engine.ops.validity import valid_rows
from swath.errors import DataInvalid, NotFitted

_FITTED = "fitted"


class Fittable(Node):
    """A node that learns statistics in one pass over data, merging batches in float64.

    The pass is ``begin_fit``, ``fit_batch`` for each batch, ``end_fit``. Until `end_fit` the node keeps its former
    statistics, so an aborted pass changes nothing.

    Attributes:
        usable_unfitted: Whether `run` works before a fit, from the values given to the constructor.
        left_out: Invalid pixels that the last fit left out.
    """

    usable_unfitted: ClassVar[bool] = False

    left_out: int = 0

    def __init__(self) -> None:
        super().__init__()
        self._fitted = False

    @property
    def fitted(self) -> bool:
        return self._fitted or not self.needs_fit()

    def needs_fit(self) -> bool:
        """Whether the node, as it is configured, has statistics to learn, learnt already or not."""
        return True

    def require_fit(self) -> None:
        """Raise `NotFitted` unless the node can run."""
        if not self.fitted and not self.usable_unfitted:
            raise NotFitted(
                f"Node '{self.name}' ({type(self).__name__}) is not fitted: run a statistical training phase or load "
                "weights that hold its statistics",
                metadata={"node": self.name},
            )

    @abstractmethod
    def begin_fit(self) -> None:
        """Start a pass over the data."""

    @abstractmethod
    def fit_batch(self, inputs: dict[str, Any]) -> None:
        """Merge one batch, given as for `run`."""

    @abstractmethod
    def end_fit(self) -> None:
        """Replace the statistics by those of the pass.

        Raises:
            DataInvalid: The pass had too few values.
        """

    def valid_of(self, rows: Tensor) -> Tensor:
        """Return the valid ones of the pixels ``[N, C]`` of a batch, and count the others in `left_out`."""
        kept, left_out = valid_rows(rows)
        self.left_out += left_out
        return kept

    def _too_few(self, what: str, count: int) -> DataInvalid:
        besides = f"; {self.left_out} invalid pixels (a band is not finite) are left out" if self.left_out else ""
        return DataInvalid(
            f"Node '{self.name}' ({type(self).__name__}) needs at least {what} to be fitted, got {count}{besides}",
            metadata={"node": self.name},
        )

    def _done(self) -> None:
        self._fitted = True
        self.state_changed()

    def state(self) -> dict[str, Tensor]:
        state = super().state()
        if state and not self.fitted:
            # A fitted node has no flag, so that other readers of the format find the keys they expect.
            state[_FITTED] = torch.tensor(False)
        return state

    def faults(self, state: Mapping[str, Tensor], *, strict: bool) -> list[str]:
        return super().faults(_without_flag(state), strict=strict)

    def restore(self, state: Mapping[str, Tensor]) -> None:
        values = _without_flag(state)
        super().restore(values)
        if values:
            self._fitted = bool(state.get(_FITTED, True))


class Loss(Node):
    """A node whose outputs, all scalars, are summed into the training loss."""

    stages = LEARNING
    category = "loss"
    invalid = Invalid.LOSS


class Metric(Node):
    """A node that pools numbers over the batches of one stage and epoch."""

    stages = EVALUATION
    category = "metric"
    invalid = Invalid.PASSED

    _epoch: tuple[Stage, int] | None = None

    def follow(self, context: Context) -> None:
        """Reset when the stage or the epoch differs from that of the last call."""
        epoch = (context.stage, context.epoch)
        if epoch != self._epoch:
            self.reset()
            self._epoch = epoch

    @abstractmethod
    def reset(self) -> None:
        """Drop the pooled numbers."""

    @abstractmethod
    def compute(self) -> dict[str, float]:
        """Return the pooled numbers by name; empty if nothing was pooled."""


class Decider(Node):
    """A node with thresholds that are calibrated on labelled data.

    Attributes:
        score_port: The input that `calibrate` wants the values of.
        threshold_names: The hparams that `calibrate` sets; a value of None stands for one that is not placed yet.
    """

    category = "transform"
    score_port: ClassVar[str]
    threshold_names: ClassVar[tuple[str, ...]]

    @abstractmethod
    def calibrate(self, scores: list[Tensor], masks: list[Tensor]) -> dict[str, float] | None:
        """Set the thresholds to the values with the best pixel F1 on the given frames.

        Args:
            scores: What reached `score_port`, one tensor ``[B, H, W, C]`` per batch.
            masks: Ground truth of the same batches, true where anomalous, ``[B, H, W]`` or ``[B, H, W, 1]``.

        Returns:
            Pixel ``precision``, ``recall``, ``f1_score`` and ``iou`` at the new thresholds; None if there is nothing
            to set, and nothing was.

        Raises:
            DataInvalid: The frames do not determine them, as when they hold a single class.
        """

    @property
    def placed(self) -> bool:
        """Whether all thresholds have a value."""
        return all(self.hparams.get(name) is not None for name in self.threshold_names)


def _without_flag(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key: value for key, value in state.items() if key != _FITTED}
