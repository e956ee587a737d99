"""From scores to logits, and from decisions to labels."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from swath.engine.graph.context import Context
from swath.engine.graph.independence import Independence
from swath.engine.graph.node import Node
from swath.engine.graph.ports import Port, ports
from swath.engine.hparams import number
from swath.engine.mixins.moments_fit import MomentsFit
from swath.engine.ops.statistics import Moments


class ScoreToLogit(MomentsFit):
    """``scale * (score - bias)``; the fit puts the bias at mean + 2 standard deviations (n - 1) of the scores.

    Args:
        init_scale: Scale before training.
        init_bias: Bias before a fit.
    """

    category = "transform"
    tags = ("anomaly", "mask", "postprocessing", "learnable", "differentiable", "torch")
    independence = Independence.PIXEL
    inputs = ports(scores=Port(torch.float32, (-1, -1, -1, 1), description="Scores [B, H, W, 1]"))
    outputs = ports(logits=Port(torch.float32, (-1, -1, -1, 1), description="Logits [B, H, W, 1]"))
    trainable_buffers = ("scale", "bias")
    fit_port = "scores"
    fit_unit = "score"
    usable_unfitted = True

    scale: Tensor
    bias: Tensor

    def __init__(self, init_scale: float = 1.0, init_bias: float = 0.0) -> None:
        super().__init__()
        self.register_buffer("scale", torch.tensor(number("init_scale", init_scale), dtype=torch.float32))
        self.register_buffer("bias", torch.tensor(number("init_bias", init_bias), dtype=torch.float32))

    def learn(self, moments: Moments) -> None:
        self.bias.copy_((moments.mean + 2 * moments.variance.sqrt()).squeeze())

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        scores: Tensor = inputs["scores"]
        return {"logits": self.scale * (scores - self.bias)}


class DecisionToMask(Node):
    """Identity labels where the decision is true, 0 elsewhere."""

    category = "transform"
    tags = ("mask", "postprocessing", "torch")
    independence = Independence.PIXEL
    inputs = ports(
        decisions=Port(torch.bool, (-1, -1, -1, 1), description="Decisions [B, H, W, 1]"),
        identity_mask=Port(torch.int32, (-1, -1, -1), description="Identity labels from 1 [B, H, W]"),
    )
    outputs = ports(mask=Port(torch.int32, (-1, -1, -1), description="Labels, 0 for the background [B, H, W]"))

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        decisions: Tensor = inputs["decisions"].squeeze(-1)
        labels: Tensor = inputs["identity_mask"]
        if labels.shape != decisions.shape:
            raise self.refuse("identity_mask", f"a label for each decision, {list(decisions.shape)}", labels)
        return {"mask": torch.where(decisions, labels, 0)}
