"""Nodes that score on a coarse grid, bring maps back to full size, and smooth them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from swath.engine.graph.context import Context
from swath.engine.graph.independence import Independence
from swath.engine.graph.invalid import Invalid
from swath.engine.graph.node import Node
from swath.engine.graph.ports import Port, ports
from swath.engine.hparams import choice, number, whole
from swath.engine.ops.validity import fill, mark

_REACH = 4
"""Standard deviations that a Gaussian kernel reaches to each side; what lies beyond weighs less than 1e-4."""

_CUBE = Port(torch.float32, (-1, -1, -1, -1), description="Cube [B, H, W, C]")
_SCORES = Port(torch.float32, (-1, -1, -1, -1), description="Maps [B, H, W, C]")


class GridSubsample(Node):
    """Keeps every `stride`-th row and column, from the first.

    Args:
        stride: Step of the grid, pixels.
    """

    category = "transform"
    tags = ("hyperspectral", "preprocessing", "torch")
    invalid = Invalid.PASSED
    independence = Independence.FRAME
    inputs = ports(cube=_CUBE)
    outputs = ports(
        cube=Port(torch.float32, (-1, -1, -1, -1), description="Grid [B, ceil(H / stride), ceil(W / stride), C]")
    )

    def __init__(self, stride: int = 4) -> None:
        super().__init__()
        self.stride = whole("stride", stride, at_least=1)

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        return {"cube": inputs["cube"][:, :: self.stride, :: self.stride]}


class ScoreUpsample(Node):
    """Resizes maps to the height and width of a reference; pixels are squares that keep their place in the picture.

    What the square of an invalid score covers is invalid; around it the mean of the valid scores takes its place.

    Args:
        mode: ``bilinear``, ``bicubic`` or ``nearest``.
    """

    category = "transform"
    tags = ("anomaly", "postprocessing", "torch")
    invalid = Invalid.SEEN
    independence = Independence.FRAME
    inputs = ports(
        scores=Port(torch.float32, (-1, -1, -1, -1), description="Maps [B, h, w, C]"),
        reference=Port(torch.float32, (-1, -1, -1, -1), description="Anything of the wanted size [B, H, W, ...]"),
    )
    outputs = ports(scores=_SCORES)

    def __init__(self, mode: str = "bilinear") -> None:
        super().__init__()
        self.mode = choice("mode", mode, ("bilinear", "bicubic", "nearest"))

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        scores: Tensor = inputs["scores"]
        height, width = inputs["reference"].shape[1:3]
        if scores.numel() == 0:
            return {"scores": scores.new_zeros(scores.shape[0], height, width, scores.shape[3])}
        valid = context.valid_at(scores)
        known = scores if valid is None else fill(scores, valid)
        resized = functional.interpolate(known.movedim(-1, 1), size=(height, width), mode=self.mode).movedim(1, -1)
        if valid is None:
            return {"scores": resized}
        places = functional.interpolate(valid.unsqueeze(1).to(torch.uint8), size=(height, width), mode="nearest")
        return {"scores": mark(resized, places[:, 0] > 0)}


class ScoreMapSmoothing(Node):
    """Convolves maps with a Gaussian of sum 1 that reaches four standard deviations.

    The border is mirrored without repeating the outermost pixel; it is repeated instead where a map is narrower than
    the kernel reaches.

    Args:
        sigma_px: Standard deviation, pixels; below 1/8 nothing changes.
    """

    category = "transform"
    tags = ("anomaly", "postprocessing", "torch")
    inputs = ports(scores=_SCORES)
    outputs = ports(scores=Port(torch.float32, (-1, -1, -1, -1), description="Smoothed maps [B, H, W, C]"))

    _kernel: Tensor

    def __init__(self, sigma_px: float = 8.0) -> None:
        super().__init__()
        sigma = number("sigma_px", sigma_px, at_least=0)
        self.radius = round(_REACH * sigma)
        self.independence = Independence.FRAME if self.radius else Independence.PIXEL
        offsets = torch.arange(-self.radius, self.radius + 1, dtype=torch.float64)
        weights = torch.exp(-0.5 * (offsets / max(sigma, 1e-12)).square())
        self.register_buffer("_kernel", weights / weights.sum(), persistent=False)

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        scores: Tensor = inputs["scores"]
        if self.radius == 0 or scores.numel() == 0:
            return {"scores": scores}
        kernel = self._kernel.to(scores.dtype)
        maps = scores.movedim(-1, 1)
        planes = maps.reshape(-1, 1, *maps.shape[2:])
        with torch.autocast(scores.device.type, enabled=False):
            across = functional.conv2d(self._padded(planes, axis=3), kernel.reshape(1, 1, 1, -1))
            smoothed = functional.conv2d(self._padded(across, axis=2), kernel.reshape(1, 1, -1, 1))
        return {"scores": smoothed.reshape(maps.shape).movedim(1, -1)}

    def _padded(self, planes: Tensor, axis: int) -> Tensor:
        sides = (self.radius, self.radius, 0, 0) if axis == 3 else (0, 0, self.radius, self.radius)
        return functional.pad(planes, sides, "reflect" if self.radius < planes.shape[axis] else "replicate")
