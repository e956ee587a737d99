"""Slopes of spectra."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from swath.engine.graph.context import Context
from swath.engine.graph.independence import Independence
from swath.engine.graph.node import Node
from swath.engine.graph.ports import Port, ports
from swath.engine.hparams import whole
from swath.engine.mixins.wavelengths import WAVELENGTHS, band_steps


class SpectralDerivative(Node):
    """Derivative of each spectrum by wavelength, from finite differences over steps of any length.

    Within a spectrum the slope is that of the parabola through a band and its neighbours, exact to second order; at its
    ends it is that of the line to the one neighbour.

    Source: B. Fornberg, "Generation of finite difference formulas on arbitrarily spaced grids", Mathematics of
    Computation 51, 1988.

    Args:
        order: How often the derivative is taken; its unit is that of the cube per nm to this power.
    """

    category = "transform"
    tags = ("hyperspectral", "preprocessing", "torch")
    independence = Independence.PIXEL
    inputs = ports(
        cube=Port(torch.float32, (-1, -1, -1, -1), description="Cube [B, H, W, C]"),
        wavelengths=WAVELENGTHS,
    )
    outputs = ports(cube=Port(torch.float32, (-1, -1, -1, -1), description="Derivative [B, H, W, C]"))

    def __init__(self, order: int = 1) -> None:
        super().__init__()
        self.order = whole("order", order, at_least=1)

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        cube: Tensor = inputs["cube"]
        if cube.shape[-1] < 2:
            raise self.refuse("cube", "at least 2 channels", cube)
        exact = band_steps(self, inputs["wavelengths"], cube.shape[-1])
        steps = exact.to(cube.dtype)
        weights = (exact[1:] / (exact[1:] + exact[:-1])).to(cube.dtype)
        for _ in range(self.order):
            slopes = cube.diff(dim=-1) / steps
            inner = torch.lerp(slopes[..., 1:], slopes[..., :-1], weights)
            cube = torch.cat([slopes[..., :1], inner, slopes[..., -1:]], dim=-1)
        return {"cube": cube}
