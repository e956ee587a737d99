"""Logarithms of cubes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from swath.engine.graph.context import Context
from swath.engine.graph.independence import Independence
from swath.engine.graph.node import Node
from swath.engine.graph.ports import Port, ports
from swath.engine.hparams import choice, number


class Logarithm(Node):
    """Logarithm of ``max(x, eps)``; negated, that of a reflectance is its absorbance.

    Args:
        mode: ``log10`` or ``ln``.
        negate: Whether to turn the sign round.
        eps: Least value that the logarithm is taken of.
    """

    category = "transform"
    tags = ("hyperspectral", "preprocessing", "torch")
    independence = Independence.PIXEL
    inputs = ports(cube=Port(torch.float32, (-1, -1, -1, -1), description="Cube [B, H, W, C]"))
    outputs = ports(cube=Port(torch.float32, (-1, -1, -1, -1), description="Logarithms [B, H, W, C]"))

    def __init__(self, mode: str = "log10", negate: bool = False, eps: float = 1e-8) -> None:
        super().__init__()
        self.decadic = choice("mode", mode, ("log10", "ln")) == "log10"
        self.negate = bool(negate)
        self.eps = number("eps", eps, above=0)

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        cube: Tensor = inputs["cube"]
        bounded = cube.clamp_min(self.eps)
        logarithm = bounded.log10() if self.decadic else bounded.log()
        return {"cube": -logarithm if self.negate else logarithm}
