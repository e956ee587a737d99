"""Centring and scaling of channels by statistics of the training pixels."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from swath.engine.graph.context import Context
from swath.engine.graph.independence import Independence
from swath.engine.graph.ports import Port, ports
from swath.engine.mixins.pixel_fit import SizedFit, sizes
from swath.engine.ops.statistics import Moments

_MIN_DEVIATION = 1e-8


class _ChannelFit(SizedFit):
    """Learns from the mean and variance of each channel over all training pixels."""

    category = "transform"
    tags = ("hyperspectral", "preprocessing", "normalization", "torch")
    independence = Independence.PIXEL
    inputs = ports(cube=Port(torch.float32, (-1, -1, -1, -1), description="Cube [B, H, W, C]"))
    # Bounds of a sample of pixels; these statistics are those of all.
    legacy_hparams = frozenset({"max_fit_pixels", "fit_seed"})

    def __init__(self) -> None:
        super().__init__()
        self._moments = Moments()

    def begin_fit(self) -> None:
        self._moments = Moments()

    def fit_batch(self, inputs: dict[str, Any]) -> None:
        cube: Tensor = inputs["cube"]
        self._moments.add(cube.reshape(-1, cube.shape[-1]))

    def _finished(self) -> Moments:
        moments, self._moments = self._moments, Moments()
        self.left_out = moments.left_out
        if moments.count < 2:
            raise self._too_few("2 pixels", moments.count)
        return moments


class MeanCenter(_ChannelFit):
    """``x - mean``, with the mean of each channel over all training pixels."""

    outputs = ports(cube=Port(torch.float32, (-1, -1, -1, -1), description="Centred cube [B, H, W, C]"))
    statistics = sizes(mean_c=("C",))

    mean_c: Tensor

    def end_fit(self) -> None:
        self.settle(mean_c=self._finished().mean)

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        self.require_fit()
        cube: Tensor = inputs["cube"]
        self.require_channels(cube, self.mean_c.shape[0])
        return {"cube": cube - self.mean_c}


class UnitVarianceScaling(_ChannelFit):
    """``x / max(std, 1e-8)``, with the standard deviation (n - 1) of each channel over all training pixels."""

    outputs = ports(cube=Port(torch.float32, (-1, -1, -1, -1), description="Scaled cube [B, H, W, C]"))
    statistics = sizes(std_c=("C",))

    std_c: Tensor

    def end_fit(self) -> None:
        self.settle(std_c=self._finished().variance.sqrt())

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        self.require_fit()
        cube: Tensor = inputs["cube"]
        self.require_channels(cube, self.std_c.shape[0])
        return {"cube": cube / self.std_c.clamp_min(_MIN_DEVIATION)}
