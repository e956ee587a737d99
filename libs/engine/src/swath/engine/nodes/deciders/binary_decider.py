"""Deciders with one threshold."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from swath.engine.graph.context import Context
from swath.engine.graph.independence import Independence
from swath.engine.graph.invalid import Invalid
from swath.engine.graph.node import Node
from swath.engine.graph.ports import Port, ports
from swath.engine.hparams import choice, dimensions, fraction, number
from swath.engine.nodes.deciders.placed import PlacedDecider
from swath.engine.ops.calibration import best_quantile, best_threshold, frames
from swath.engine.ops.ranks import quantile, valid_quantile
from swath.engine.ops.validity import mark
from swath.errors import DataInvalid

_DECISIONS = Port(torch.bool, (-1, -1, -1, 1), description="Anomalous pixels [B, H, W, 1]")
_TAGS = ("classification", "postprocessing")


class BinaryDecider(PlacedDecider):
    """``sigmoid(x) >= threshold``.

    Args:
        threshold: Probability from which on a pixel is anomalous.
    """

    tags = _TAGS
    independence = Independence.PIXEL
    inputs = ports(logits=Port(torch.float32, (-1, -1, -1, -1), description="Logits [B, H, W, 1]"))
    outputs = ports(decisions=_DECISIONS)
    score_port = "logits"
    threshold_names = optional_state = ("threshold",)

    def __init__(self, threshold: float = 0.5) -> None:
        super().__init__()
        number("threshold", threshold)

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        logits: Tensor = inputs["logits"]
        if logits.shape[-1] != 1:
            raise self.refuse("logits", "one channel", logits)
        return {"decisions": torch.sigmoid(logits) >= self.hparams["threshold"]}

    def calibrate(self, scores: list[Tensor], masks: list[Tensor]) -> dict[str, float]:
        # In float32, because that is what the threshold meets in `run`: large logits are all 1 there.
        values, flags = frames(scores, masks)
        optimum = best_threshold([torch.sigmoid(torch.from_numpy(value).float()).numpy() for value in values], flags)
        self.place(threshold=optimum.threshold)
        return optimum.metrics()


class QuantileBinaryDecider(PlacedDecider):
    """``x >= q``, where q is the quantile of the same image.

    Args:
        quantile: Share of an image's values that lie below its threshold.
        reduce_dims: Dimensions that the quantile is taken over; all but the first when left out.
    """

    tags = _TAGS
    invalid = Invalid.SEEN
    inputs = ports(logits=Port(torch.float32, (-1, -1, -1, -1), description="Logits or scores [B, H, W, 1]"))
    outputs = ports(decisions=_DECISIONS)
    score_port = "logits"
    threshold_names = optional_state = ("quantile",)

    def __init__(self, quantile: float = 0.995, reduce_dims: Sequence[int] | None = None) -> None:
        super().__init__()
        fraction("quantile", quantile)
        self.reduce_dims = dimensions("reduce_dims", reduce_dims or (1, 2, 3))
        self.independence = Independence.over(self.reduce_dims)

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        logits: Tensor = inputs["logits"]
        if logits.shape[-1] != 1:
            raise self.refuse("logits", "one channel", logits)
        share: float = self.hparams["quantile"]
        valid = context.valid_at(logits)
        kept = [dim for dim in range(4) if dim not in self.reduce_dims]
        rows = mark(logits, valid).permute(*kept, *self.reduce_dims).flatten(start_dim=len(kept))
        cuts = quantile(rows, share) if valid is None else valid_quantile(rows, share)
        shape = [1 if dim in self.reduce_dims else size for dim, size in enumerate(logits.shape)]
        return {"decisions": logits >= cuts.reshape(shape)}

    def calibrate(self, scores: list[Tensor], masks: list[Tensor]) -> dict[str, float]:
        if not {1, 2} <= set(self.reduce_dims) or 0 in self.reduce_dims:
            raise DataInvalid(
                f"Node '{self.name}' takes its quantile over dimensions {list(self.reduce_dims)}; only a quantile of "
                "whole images can be calibrated",
                metadata={"node": self.name},
            )
        optimum = best_quantile(*frames(scores, masks))
        self.place(quantile=optimum.threshold)
        return optimum.metrics()


class ScoreThreshold(Node):
    """``scores <= threshold``, or ``scores > threshold``, on the scores as they are. NaN is on neither side.

    Args:
        threshold: In the unit of the scores, at least 0.
        keep: ``below`` or ``above``.
    """

    category = "transform"
    tags = (*_TAGS, "torch")
    independence = Independence.PIXEL
    inputs = ports(
        scores=Port(torch.float32, (-1, -1, -1, 1), description="Scores [B, H, W, 1]"),
        threshold=Port(torch.float32, (1,), optional=True, description="Threshold of this call [1]", common=True),
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
