"""Nodes that cut boxes out of pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from swath.engine.graph.context import Context
from swath.engine.graph.node import Node
from swath.engine.graph.ports import Port, ports
from swath.engine.hparams import whole

_LONGEST_SIDE = 2**20
"""Maximum pixels of a side of a box: the work on a box grows with its size, even outside of the picture."""


class BBoxRoiCropNode(Node):
    """Cuts boxes out and resizes them, all to one size, by averages of linear interpolations.

    Each pixel of a crop is the mean over a grid of places within its part of the box, one place a pixel of the picture
    and at least one. Places more than a pixel outside of the picture count as 0. Boxes without a coordinate above 0 are
    padding and give no crop. Gradients reach the pictures, not the boxes.

    Source: K. He, G. Gkioxari, P. Dollar, R. Girshick, "Mask R-CNN", ICCV 2017, section 3 (RoIAlign).

    Args:
        output_size: Height h and width w of the crops, pixels.
        aligned: Whether coordinates mean corners of pixels, rather than their middles as in older models, which also
            take each box as at least one pixel wide and tall.
    """

    category = "transform"
    tags = ("bbox", "preprocessing", "numpy")
    inputs = ports(
        images=Port(torch.float32, (-1, -1, -1, -1), description="Pictures [B, H, W, C]"),
        bboxes=Port(torch.float32, (-1, -1, 4), description="Boxes x1, y1, x2, y2, pixels [B, M, 4]"),
    )
    outputs = ports(crops=Port(torch.float32, (-1, -1, -1, -1), description="Crops of all frames in turn [N, C, h, w]"))

    def __init__(self, output_size: Sequence[int] = (256, 128), aligned: bool = True) -> None:
        super().__init__()
        if len(output_size) != 2:
            raise ValueError(f"output_size must be a height and a width, got {output_size!r}")
        self.height, self.width = (whole("output_size", size, at_least=1) for size in output_size)
        self.aligned = bool(aligned)

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        images: Tensor = inputs["images"]
        boxes: Tensor = inputs["bboxes"].detach()
        if boxes.shape[0] != images.shape[0]:
            raise self.refuse("bboxes", f"boxes of {images.shape[0]} pictures", boxes)
        if not bool((boxes.abs() <= _LONGEST_SIDE / 2).all()):
            raise self.refuse("bboxes", f"finite numbers of at most {_LONGEST_SIDE // 2}", boxes)
        frames, places = (boxes > 0).any(dim=2).nonzero(as_tuple=True)
        kept = boxes[frames, places]
        # In the dtype of the boxes, as everywhere: whether a side holds 2 places or 3 hangs on how it is rounded.
        sides = kept[:, 2:] - kept[:, :2]
        corners = kept[:, :2].to(torch.float64) - (0.5 if self.aligned else 0.0)
        if not self.aligned:
            sides = sides.clamp_min(1)
        crops = [
            self._crop(images[frame], corner, side)
            for frame, corner, side in zip(frames.tolist(), corners.tolist(), sides.tolist(), strict=True)
        ]
        if not crops:
            return {"crops": images.new_zeros(0, images.shape[3], self.height, self.width)}
        return {"crops": torch.stack(crops)}

    def _crop(self, image: Tensor, corner: Sequence[float], side: Sequence[float]) -> Tensor:
        rows = _taps(corner[1], side[1], self.height, image.shape[0])
        columns = _taps(corner[0], side[0], self.width, image.shape[1])
        if rows is None or columns is None:
            return image.new_zeros(image.shape[2], self.height, self.width)
        crop = _resample(_resample(image.movedim(2, 0), 1, rows, self.height), 2, columns, self.width)
        return crop.contiguous()


class _Taps(NamedTuple):
    """Where a stretch of an axis is looked at: pixels on both sides of each place, and their weights."""

    low: Tensor
    high: Tensor
    low_weight: Tensor
    high_weight: Tensor


def _taps(start: float, length: float, bins: int, size: int) -> _Taps | None:
    count = bins * math.ceil(length / bins)
    if count <= 0 or size == 0:
        return None
    places = start + (torch.arange(count, dtype=torch.float64) + 0.5) * (length / count)
    inside = ((places >= -1) & (places <= size)).to(torch.float64)
    places = places.clamp(0, size - 1)
    low = places.to(torch.int64)
    share = places - low
    return _Taps(low, (low + 1).clamp_max(size - 1), (1 - share) * inside, share * inside)


def _resample(picture: Tensor, dim: int, taps: _Taps, bins: int) -> Tensor:
    """Return the means of equal parts of one dimension, each over its share of the taps."""
    shape = [-1 if dim == index else 1 for index in range(picture.dim())]
    parts = [
        picture.index_select(dim, index.to(picture.device)) * weight.to(picture).reshape(shape)
        for index, weight in ((taps.low, taps.low_weight), (taps.high, taps.high_weight))
    ]
    return (parts[0] + parts[1]).unflatten(dim, (bins, -1)).mean(dim + 1)
