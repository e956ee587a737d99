"""Nodes that prepare pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from swath.engine.graph.context import Context
from swath.engine.graph.independence import Independence
from swath.engine.graph.invalid import Invalid
from swath.engine.graph.node import Node
from swath.engine.graph.ports import Port, ports
from swath.engine.hparams import number, quarter_turns


class SpatialRotateNode(Node):
    """Rotates cube, mask and picture by quarter turns.

    Args:
        rotation: Degrees anticlockwise, in quarter turns; none when left out.
    """

    category = "transform"
    tags = ("image", "preprocessing", "numpy")
    invalid = Invalid.PASSED
    independence = Independence.FRAME
    inputs = ports(
        cube=Port(torch.float32, (-1, -1, -1, -1), description="Cube [B, H, W, C]"),
        mask=Port(torch.int32, (-1, -1, -1), optional=True, description="Mask [B, H, W]"),
        rgb_image=Port(torch.float32, (-1, -1, -1, 3), optional=True, description="Pictures [B, H, W, 3]"),
    )
    outputs = ports(
        cube=Port(torch.float32, (-1, -1, -1, -1), description="Rotated cube [B, H, W, C]"),
        mask=Port(torch.int32, (-1, -1, -1), optional=True, description="Rotated mask [B, H, W]"),
        rgb_image=Port(torch.float32, (-1, -1, -1, 3), optional=True, description="Rotated pictures [B, H, W, 3]"),
    )

    def __init__(self, rotation: int | None = None) -> None:
        super().__init__()
        self.turns = quarter_turns("rotation", rotation)

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        if not self.turns:
            return dict(inputs)
        return {port: value.rot90(self.turns, dims=(1, 2)) for port, value in inputs.items()}


class ChannelNormalizeNode(Node):
    """``(x - mean) / std`` of each channel, with given numbers; by default those of ImageNet's pictures of 0..1.

    Args:
        mean: Mean of each channel, or one for all.
        std: Standard deviation of each channel, or one for all.
    """

    category = "transform"
    tags = ("hyperspectral", "normalization", "preprocessing", "numpy")
    invalid = Invalid.PASSED
    independence = Independence.FRAME
    inputs = ports(images=Port(torch.float32, (-1, -1, -1, -1), description="Pictures [N, C, H, W]"))
    outputs = ports(normalized=Port(torch.float32, (-1, -1, -1, -1), description="Normalised pictures [N, C, H, W]"))

    _mean_buf: Tensor
    _std_buf: Tensor

    def __init__(
        self, mean: Sequence[float] = (0.485, 0.456, 0.406), std: Sequence[float] = (0.229, 0.224, 0.225)
    ) -> None:
        super().__init__()
        means = [number("mean", value) for value in mean]
        deviations = [number("std", value, above=0) for value in std]
        if not means or len(means) != len(deviations):
            raise ValueError(f"mean and std must be as many numbers, at least one, got {mean!r} and {std!r}")
        self.register_buffer("_mean_buf", torch.tensor(means).reshape(1, -1, 1, 1))
        self.register_buffer("_std_buf", torch.tensor(deviations).reshape(1, -1, 1, 1))

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        images: Tensor = inputs["images"]
        channels = self._mean_buf.shape[1]
        if channels not in (1, images.shape[1]):
            raise self.refuse("images", f"pictures [N,{channels},H,W]", images)
        return {"normalized": (images - self._mean_buf) / self._std_buf}
