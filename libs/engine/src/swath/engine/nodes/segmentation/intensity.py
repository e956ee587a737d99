"""Masks by brightness."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from swath.engine.graph.context import Context
from swath.engine.graph.independence import Independence
from swath.engine.graph.node import Node
from swath.engine.graph.ports import Port, ports
from swath.engine.hparams import MAX_CHANNELS, choice, number, whole


class IntensityThresholdSegmenter(Node):
    """Marks the pixels with ``low <= intensity <= high``.

    Args:
        low: Least intensity, in units of the cube.
        high: Largest intensity.
        reduction: What the intensity is: ``mean`` or ``max`` of the channels, or ``band`` for one of them.
        band_index: That channel, from 0; negative ones count from the last.
    """

    category = "transform"
    tags = ("hyperspectral", "mask", "postprocessing", "torch")
    independence = Independence.PIXEL
    inputs = ports(cube=Port(torch.float32, (-1, -1, -1, -1), description="Cube [B, H, W, C]"))
    outputs = ports(mask=Port(torch.int32, (-1, -1, -1), invalid=0, description="1 where marked, else 0 [B, H, W]"))

    def __init__(self, low: float = 0.0, high: float = 1.0, reduction: str = "mean", band_index: int = 0) -> None:
        super().__init__()
        self.low = number("low", low)
        self.high = number("high", high, at_least=self.low)
        self.reduction = choice("reduction", reduction, ("mean", "max", "band"))
        self.band = whole("band_index", band_index, at_least=-MAX_CHANNELS)

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        intensity = self._intensity(inputs["cube"])
        return {"mask": ((intensity >= self.low) & (intensity <= self.high)).to(torch.int32)}

    def _intensity(self, cube: Tensor) -> Tensor:
        if self.reduction == "mean":
            return cube.mean(dim=-1)
        if self.reduction == "max":
            return cube.amax(dim=-1)
        if not -cube.shape[-1] <= self.band < cube.shape[-1]:
            raise self.refuse("cube", f"a channel {self.band}", cube)
        return cube[..., self.band]
