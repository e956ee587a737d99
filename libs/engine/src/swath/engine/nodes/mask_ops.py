"""Nodes that clean masks."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from swath.engine.checks import whole
from swath.engine.context import Context
from swath.engine.node import Node
from swath.engine.ports import Port, ports

_EIGHT_CONNECTED = np.ones((3, 3), dtype=bool)


class MaskMinArea(Node):
    """Drops the 8-connected blobs of fewer than `min_area` pixels, in each frame and channel.

    Args:
        min_area: Pixels of the smallest blob that stays; 0 and 1 keep all.
        cell: Side of the square cells that blobs are labelled on, pixels. With 4, pixels in neighbouring cells are one
            blob, and labelling is 16 times cheaper than with 1.
    """

    category = "transform"
    tags = ("mask", "postprocessing")
    inputs = ports(decisions=Port(torch.bool, (-1, -1, -1, -1), description="Mask [B, H, W, C]"))
    outputs = ports(decisions=Port(torch.bool, (-1, -1, -1, -1), description="Mask without small blobs [B, H, W, C]"))

    def __init__(self, min_area: int = 250, cell: int = 4) -> None:
        super().__init__()
        self.min_area = whole("min_area", min_area, at_least=0)
        self.cell = whole("cell", cell, at_least=1)

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        mask: Tensor = inputs["decisions"]
        if self.min_area <= 1:
            return {"decisions": mask}
        pixels = mask.cpu().numpy()
        kept = np.zeros_like(pixels)
        for frame, channel in np.ndindex(pixels.shape[0], pixels.shape[3]):
            kept[frame, :, :, channel] = self._large_blobs(pixels[frame, :, :, channel])
        return {"decisions": torch.from_numpy(kept).to(mask.device)}

    def _large_blobs(self, pixels: NDArray[np.bool_]) -> NDArray[np.bool_]:
        from scipy import ndimage  # slow to import, and few pipelines label blobs

        height, width = pixels.shape
        rows, columns = -(-height // self.cell), -(-width // self.cell)
        padded = np.zeros((rows * self.cell, columns * self.cell), dtype=bool)
        padded[:height, :width] = pixels
        counts = padded.reshape(rows, self.cell, columns, self.cell).sum(axis=(1, 3))
        labels = np.zeros(counts.shape, dtype=np.int32)
        ndimage.label(counts > 0, structure=_EIGHT_CONNECTED, output=labels)
        areas = np.bincount(labels.ravel(), weights=counts.ravel())
        large = areas >= self.min_area
        large[0] = False
        cells = large[labels].repeat(self.cell, axis=0).repeat(self.cell, axis=1)
        return pixels & cells[:height, :width]
