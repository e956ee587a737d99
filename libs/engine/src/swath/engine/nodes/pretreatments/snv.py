"""Scatter correction of each spectrum on its own.

Source: R. J. Barnes, M. S. Dhanoa, S. J. Lister, "Standard normal variate transformation and de-trending of
near-infrared diffuse reflectance spectra", Applied Spectroscopy 43(5), 1989.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from swath.engine.graph.context import Context
from swath.engine.graph.independence import Independence
from swath.engine.graph.node import Node
from swath.engine.graph.ports import Port, ports
from swath.engine.hparams import number


class SNVCorrection(Node):
    """``(x - mean) / max(std, eps)`` with mean and standard deviation (n - 1) over the bands of each pixel.

    Flat spectra, and those of a single band, become zero.

    Args:
        eps: Least standard deviation that is divided by, in units of the cube.
    """

    category = "transform"
    tags = ("hyperspectral", "preprocessing", "normalization", "torch")
    independence = Independence.PIXEL
    inputs = ports(cube=Port(torch.float32, (-1, -1, -1, -1), description="Cube [B, H, W, C]"))
    outputs = ports(cube=Port(torch.float32, (-1, -1, -1, -1), description="Corrected cube [B, H, W, C]"))

    def __init__(self, eps: float = 1e-8) -> None:
        super().__init__()
        self.eps = number("eps", eps, above=0)

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        cube: Tensor = inputs["cube"]
        centred = cube - cube.mean(dim=-1, keepdim=True)
        # The first mean is rounded; without the second, a flat spectrum keeps what eps would blow up.
        centred = centred - centred.mean(dim=-1, keepdim=True)
        length = torch.linalg.vector_norm(centred, dim=-1, keepdim=True)
        deviation = length / max(cube.shape[-1] - 1, 1) ** 0.5
        return {"cube": centred / deviation.clamp_min(self.eps)}
