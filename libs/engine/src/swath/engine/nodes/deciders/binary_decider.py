"""Deciders with one threshold."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from swath.engine.calibration import best_quantile, best_threshold, frames
from swath.engine.checks import choice, fraction, number
from swath.engine.context import Context
from swath.engine.node import Decider, Node
from swath.engine.ports import Port, ports
from swath.engine.ranks import quantile
from swath.errors import DataInvalid

_DECISIONS = Port(torch.bool, (-1, -1, -1, 1), description="Anomalous pixels [B, H, W, 1]")
_TAGS = ("classification", "postprocessing")


class _Placed(Decider):
    """A decider whose threshold, once placed by data, travels with the weights.

    Until then its state is empty, and the number of the document counts.
    """

    _placed = False

    def _place(self, value: float) -> None:
        self.hparams[self.threshold_name] = value
        self._placed = True

    @property
    def _threshold(self) -> float:
        return self.hparams[self.threshold_name]

    def state(self) -> dict[str, Tensor]:
        return {self.threshold_name: torch.tensor(self._threshold, dtype=torch.float64)} if self._placed else {}

    def faults(self, state: Mapping[str, Tensor], *, strict: bool) -> list[str]:
        faults = super().faults(state, strict=strict)
        value = state.get(self.threshold_name)
        if value is not None and (value.numel() != 1 or not math.isfinite(float(value))):
            faults.append(f"{self.name}.{self.threshold_name} is not one finite number")
        return faults

    def _restore_optional(self, key: str, value: Tensor) -> None:
        self._place(float(value))


class BinaryDecider(_Placed):
    """``sigmoid(x) >= threshold``.

    Args:
        threshold: Probability from which on a pixel is anomalous.
    """

    tags = _TAGS
    inputs = ports(logits=Port(torch.float32, (-1, -1, -1, -1), description="Logits [B, H, W, 1]"))
    outputs = ports(decisions=_DECISIONS)
    score_port = "logits"
    threshold_name = "threshold"
    optional_state = ("threshold",)

    def __init__(self, threshold: float = 0.5) -> None:
        super().__init__()
        number("threshold", threshold)

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        logits: Tensor = inputs["logits"]
        if logits.shape[-1] != 1:
            raise self.refuse("logits", "one channel", logits)
        return {"decisions": torch.sigmoid(logits) >= self._threshold}

    def calibrate(self, scores: list[Tensor], masks: list[Tensor]) -> dict[str, float]:
        # In float32, because that is what the threshold meets in `run`: large logits are all 1 there.
        optimum = best_threshold(*frames([torch.sigmoid(score.float()) for score in scores], masks))
        self._place(optimum.threshold)
        return optimum.metrics()


class QuantileBinaryDecider(_Placed):
    """``x >= q``, where q is the quantile of the same image.

    Args:
        quantile: Share of an image's values that lie below its threshold.
        reduce_dims: Dimensions that the quantile is taken over; all but the first when left out.
    """

    tags = _TAGS
    inputs = ports(logits=Port(torch.float32, (-1, -1, -1, -1), description="Logits or scores [B, H, W, 1]"))
    outputs = ports(decisions=_DECISIONS)
    score_port = "logits"
    threshold_name = "quantile"
    optional_state = ("quantile",)

    def __init__(self, quantile: float = 0.995, reduce_dims: Sequence[int] | None = None) -> None:
        super().__init__()
        fraction("quantile", quantile)
        self.reduce_dims = tuple(sorted({_dimension(dim) for dim in (reduce_dims or (1, 2, 3))}))

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        logits: Tensor = inputs["logits"]
        if logits.shape[-1] != 1:
            raise self.refuse("logits", "one channel", logits)
        kept = [dim for dim in range(4) if dim not in self.reduce_dims]
        rows = logits.permute(*kept, *self.reduce_dims).flatten(start_dim=len(kept))
        shape = [1 if dim in self.reduce_dims else size for dim, size in enumerate(logits.shape)]
        return {"decisions": logits >= quantile(rows, self._threshold).reshape(shape)}

    def calibrate(self, scores: list[Tensor], masks: list[Tensor]) -> dict[str, float]:
        if not {1, 2} <= set(self.reduce_dims) or 0 in self.reduce_dims:
            raise DataInvalid(
                f"Node '{self.name}' takes its quantile over dimensions {list(self.reduce_dims)}; only a quantile of "
                "whole images can be calibrated",
                metadata={"node": self.name},
            )
        optimum = best_quantile(*frames(scores, masks))
        self._place(optimum.threshold)
        return optimum.metrics()


class ScoreThreshold(Node):
    """``scores <= threshold``, or ``scores > threshold``, on the scores as they are. NaN is on neither side.

    Args:
        threshold: In the unit of the scores, at least 0.
        keep: ``below`` or ``above``.
    """

    category = "transform"
    tags = (*_TAGS, "torch")
    inputs = ports(
        scores=Port(torch.float32, (-1, -1, -1, 1), description="Scores [B, H, W, 1]"),
        threshold=Port(torch.float32, (1,), optional=True, description="Threshold of this call [1]"),
    )
    outputs = ports(decisions=Port(torch.bool, (-1, -1, -1, 1), description="Pixels on the kept side [B, H, W, 1]"))

    def __init__(self, threshold: float = 0.5, keep: str = "below") -> None:
        super().__init__()
        self.threshold = number("threshold", threshold, at_least=0)
        self.keep = choice("keep", keep, ("below", "above"))

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        scores: Tensor = inputs["scores"]
        threshold = self.threshold
        given: Tensor | None = inputs.get("threshold")
        if given is not None:
            threshold = float(given)
            if not math.isfinite(threshold) or threshold < 0:
                raise self.refuse("threshold", "a finite number of at least 0", given)
        return {"decisions": scores <= threshold if self.keep == "below" else scores > threshold}


def _dimension(dim: int) -> int:
    if not -4 <= dim <= 3:
        raise ValueError(f"reduce_dims must be within -4 and 3, got {dim!r}")
    return dim % 4
