"""Losses of projections and what is made back from them."""

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


class MSEReconstructionLoss(Loss):
    """Squared error between a cube and its reconstruction.

    Args:
        weight: Factor of the loss.
        reduction: ``mean`` or ``sum`` over all values.
    """

    tags = (*TAGS, "reconstruction")
    inputs = ports(
        reconstruction=Port(torch.float32, (-1, -1, -1, -1), description="Reconstruction [B, H, W, C]"),
        target=Port(torch.float32, (-1, -1, -1, -1), description="Cube [B, H, W, C]"),
    )
    outputs = LOSS

    def __init__(self, weight: float = 1.0, reduction: str = "mean") -> None:
        super().__init__()
        self.weight = number("weight", weight)
        self.reduction = choice("reduction", reduction, ("mean", "sum"))

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        reconstruction: Tensor = inputs["reconstruction"]
        target: Tensor = inputs["target"]
        if target.shape != reconstruction.shape:
            raise self.refuse("target", f"the shape of the reconstruction, {list(reconstruction.shape)}", target)
        return {"loss": self.weight * functional.mse_loss(reconstruction, target, reduction=self.reduction)}


class OrthogonalityLoss(Loss):
    """``||C C^T - I||_F^2``: how far directions C are from orthonormal.

    Args:
        weight: Factor of the loss.
    """

    category = "regularizer"
    tags = TAGS
    inputs = ports(components=Port(torch.float32, (-1, -1), description="Directions, one a row [N, C]"))
    outputs = LOSS

    def __init__(self, weight: float = 1.0) -> None:
        super().__init__()
        self.weight = number("weight", weight)

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        components: Tensor = inputs["components"]
        identity = torch.eye(len(components), dtype=components.dtype, device=components.device)
        return {"loss": self.weight * (components @ components.T - identity).square().sum()}
