"""Scaling by statistics of each frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from swath.engine.graph.context import Context
from swath.engine.graph.independence import Independence
from swath.engine.graph.invalid import Invalid
from swath.engine.hparams import dimensions, number
from swath.engine.nodes.normalization.base import Normalizer
from swath.engine.ops.validity import std_mean


class SigmoidNormalizer(Normalizer):
    """``sigmoid((x - median) / max(std, std_floor))`` of each image and channel.

    The median is the lower one of an even number of pixels, the deviation that of the population.

    Args:
        std_floor: Least deviation that is divided by.
    """

    invalid = Invalid.FRAMES
    independence = Independence.FRAME

    def __init__(self, std_floor: float = 1e-6) -> None:
        super().__init__()
        self.std_floor = number("std_floor", std_floor, above=0)

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        data: Tensor = inputs["data"]
        if data.shape[1:3].numel() == 0:
            raise self.refuse("data", "at least one pixel", data)
        rows = data.flatten(1, 2)
        median = rows.median(dim=1, keepdim=True).values
        deviation = rows.std(dim=1, correction=0, keepdim=True).clamp_min(self.std_floor)
        return {"normalized": torch.sigmoid((rows - median) / deviation).reshape(data.shape)}


class ZScoreNormalizer(Normalizer):
    """``(x - mean) / (std + eps)`` with mean and population deviation over some dimensions.

    Args:
        dims: Dimensions of ``[B, H, W, C]`` that the statistics are taken over, from -4 to 3; those of the image when
            left out.
        eps: Added to the deviation.
        keepdim: Has no effect: statistics always line up with the cube. Documents carry it.
    """

    invalid = Invalid.SEEN

    def __init__(self, dims: Sequence[int] | None = None, eps: float = 1e-6, keepdim: bool = True) -> None:
        super().__init__()
        self.dims = dimensions("dims", (1, 2) if dims is None else dims)
        self.independence = Independence.over(self.dims)
        self.eps = number("eps", eps, at_least=0)

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        data: Tensor = inputs["data"]
        valid = context.valid_at(data)
        if valid is None:
            deviation, mean = torch.std_mean(data, dim=self.dims, correction=0, keepdim=True)
        else:
            deviation, mean = std_mean(data, valid, self.dims)
        return {"normalized": (data - mean) / (deviation + self.eps)}
