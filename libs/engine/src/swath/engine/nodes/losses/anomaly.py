"""Losses of anomaly detectors."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from swath.engine.graph.context import Context
from swath.engine.graph.ports import Port, ports
from swath.engine.graph.roles import Loss
from swath.engine.hparams import choice, number
from swath.engine.nodes.losses.base import LOSS, TAGS


class AnomalyBCEWithLogits(Loss):
    """Binary cross-entropy between logits and a mask.

    Args:
        weight: Factor of the loss.
        pos_weight: Factor of the anomalous pixels; 1 when left out.
        reduction: ``mean`` or ``sum`` over the pixels.
    """

    tags = (*TAGS, "anomaly")
    inputs = ports(
        predictions=Port(torch.float32, (-1, -1, -1, 1), description="Logits [B, H, W, 1]"),
        targets=Port(torch.bool, (-1, -1, -1, 1), description="Anomalous pixels [B, H, W, 1]"),
    )
    outputs = LOSS
    # The weight of positives is an argument, and the reference package keeps two copies of it as state as well.
    legacy_state = frozenset({"_pos_weight", "loss_fn.pos_weight"})

    def __init__(self, weight: float = 1.0, pos_weight: float | None = None, reduction: str = "mean") -> None:
        super().__init__()
        self.weight = number("weight", weight)
        self.pos_weight = None if pos_weight is None else number("pos_weight", pos_weight, above=0)
        self.reduction = choice("reduction", reduction, ("mean", "sum"))

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        logits: Tensor = inputs["predictions"]
        targets: Tensor = inputs["targets"]
        if targets.shape != logits.shape:
            raise self.refuse("targets", f"the shape of the predictions, {list(logits.shape)}", targets)
        positive = None if self.pos_weight is None else logits.new_tensor(self.pos_weight)
        loss = functional.binary_cross_entropy_with_logits(
            logits, targets.to(logits.dtype), pos_weight=positive, reduction=self.reduction
        )
        return {"loss": self.weight * loss}


class DeepSVDDSoftBoundaryLoss(Loss):
    """``R^2 + mean(relu(d - R^2)) / nu``: a small sphere that leaves few embeddings outside.

    The radius is ``R = softplus(r)`` with beta 10, where r is trained along.

    Args:
        nu: Share of embeddings that may lie outside, between 0 and 1.
        weight: Factor of the loss.
    """

    tags = (*TAGS, "anomaly")
    inputs = ports(
        embeddings=Port(torch.float32, (-1, -1, -1, -1), description="Embeddings [B, H, W, D]"),
        center=Port(torch.float32, (-1,), description="Centre [D]"),
    )
    outputs = LOSS

    def __init__(self, nu: float = 0.05, weight: float = 1.0) -> None:
        super().__init__()
        self.nu = number("nu", nu, above=0)
        if self.nu >= 1:
            raise ValueError(f"nu must be below 1, got {nu!r}")
        self.weight = number("weight", weight)
        self.r_unconstrained = torch.nn.Parameter(torch.tensor(0.0))

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        embeddings: Tensor = inputs["embeddings"]
        center: Tensor = inputs["center"]
        if center.shape[0] != embeddings.shape[-1]:
            raise self.refuse("center", f"{embeddings.shape[-1]} numbers, as wide as the embeddings", center)
        radius = functional.softplus(self.r_unconstrained, beta=10.0).square()
        distances = (embeddings - center).square().sum(dim=-1)
        return {"loss": self.weight * (radius + torch.relu(distances - radius).mean() / self.nu)}
