"""Scaling of each value, or each pixel, by itself."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from swath.engine.graph.context import Context
from swath.engine.graph.independence import Independence
from swath.engine.graph.node import Node
from swath.engine.graph.ports import Port, ports
from swath.engine.hparams import number
from swath.engine.nodes.normalization.base import INPUTS, Normalizer
from swath.engine.ops.colour.spaces import linear_to_srgb


class IdentityNormalizer(Normalizer):
    """Hands the cube on as it is."""

    independence = Independence.PIXEL

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        return {"normalized": inputs["data"]}


class DisplayNormalizer(Normalizer):
    """Encodes linear light of 0 to 1 for a screen (sRGB, IEC 61966-2-1).

    ``12.92 x`` up to 0.0031308 and ``1.055 x^(1/2.4) - 0.055`` above.
    """

    independence = Independence.PIXEL

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        return {"normalized": linear_to_srgb(inputs["data"])}


class SigmoidTransform(Node):
    """``1 / (1 + exp(-x))``."""

    category = "transform"
    tags = ("postprocessing", "differentiable", "torch")
    independence = Independence.PIXEL
    inputs = INPUTS
    outputs = ports(transformed=Port(torch.float32, (-1, -1, -1, -1), description="Values of 0 to 1 [B, H, W, C]"))

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        return {"transformed": torch.sigmoid(inputs["data"])}


class PerPixelUnitNorm(Normalizer):
    """Subtracts each pixel's mean over the channels and divides by the L2 norm of what is left.

    Args:
        eps: Least norm that is divided by.
    """

    independence = Independence.PIXEL

    def __init__(self, eps: float = 1e-8) -> None:
        super().__init__()
        self.eps = number("eps", eps, above=0)

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        data: Tensor = inputs["data"]
        centred = data - data.mean(dim=-1, keepdim=True)
        norm = torch.linalg.vector_norm(centred, dim=-1, keepdim=True).clamp_min(self.eps)
        return {"normalized": centred / norm}
