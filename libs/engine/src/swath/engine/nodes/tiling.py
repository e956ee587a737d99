"""Nodes that cut pictures into tiles along the batch and put what was computed on them together again."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from swath.engine.graph.context import Context
from swath.engine.graph.invalid import Invalid
from swath.engine.graph.node import Node
from swath.engine.graph.ports import Port, ports
from swath.engine.hparams import whole


class ImageTiler(Node):
    """Cuts each picture into T by T equal tiles, row by row, that follow each other in the batch.

    Args:
        tiles: Tiles T along each side.
    """

    category = "transform"
    tags = ("image", "preprocessing", "batched", "differentiable", "torch")
    invalid = Invalid.PASSED
    inputs = ports(image=Port(torch.float32, (-1, -1, -1, -1), description="Pictures [B, H, W, C]"))
    outputs = ports(tiles=Port(torch.float32, (-1, -1, -1, -1), description="Tiles [B T T, H / T, W / T, C]"))

    def __init__(self, tiles: int = 2) -> None:
        super().__init__()
        self.tiles = whole("tiles", tiles, at_least=1)

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        image: Tensor = inputs["image"]
        count = self.tiles
        frames, height, width, channels = image.shape
        if height % count or width % count:
            raise self.refuse("image", f"a height and a width that {count} tiles a side divide evenly", image)
        rows, columns = height // count, width // count
        cut = image.reshape(frames, count, rows, count, columns, channels).transpose(2, 3)
        return {"tiles": cut.reshape(frames * count * count, rows, columns, channels)}


class GridStitcher(Node):
    """Puts T by T maps that follow each other in the batch, in the order of `ImageTiler`, together into one.

    Args:
        tiles: Tiles T along each side.
    """

    category = "transform"
    tags = ("embedding", "postprocessing", "batched", "differentiable", "torch")
    invalid = Invalid.PASSED
    inputs = ports(tiles=Port(torch.float32, (-1, -1, -1, -1), description="Maps of the tiles [B T T, h, w, D]"))
    outputs = ports(grid=Port(torch.float32, (-1, -1, -1, -1), description="Maps [B, T h, T w, D]"))

    def __init__(self, tiles: int = 2) -> None:
        super().__init__()
        self.tiles = whole("tiles", tiles, at_least=1)

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        tiles: Tensor = inputs["tiles"]
        count = self.tiles
        frames, left_over = divmod(tiles.shape[0], count * count)
        if left_over:
            raise self.refuse("tiles", f"a multiple of {count * count} maps, {count} by {count} a picture", tiles)
        height, width, channels = tiles.shape[1:]
        laid = tiles.reshape(frames, count, count, height, width, channels).transpose(2, 3)
        return {"grid": laid.reshape(frames, count * height, count * width, channels)}
