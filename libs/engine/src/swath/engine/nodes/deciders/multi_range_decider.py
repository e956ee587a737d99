"""Scores cut into ranges."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from swath.engine.graph.context import Context
from swath.engine.graph.independence import Independence
from swath.engine.graph.node import Node
from swath.engine.graph.ports import Port, ports
from swath.engine.hparams import number


class MultiRangeSlicer(Node):
    """Number of edges below each score: 0 up to the first edge, K above the last of K. NaN gives 0.

    Args:
        edges: Rising edges of the ranges; 0.25, 0.5 and 0.75 when left out.
        right: Whether a score that equals an edge belongs to the range above it.
    """

    category = "transform"
    tags = ("classification", "postprocessing", "torch")
    independence = Independence.PIXEL
    inputs = ports(scores=Port(torch.float32, (-1, -1, -1, 1), description="Scores [B, H, W, 1]"))
    outputs = ports(class_mask=Port(torch.int32, (-1, -1, -1), invalid=0, description="Range of each pixel [B, H, W]"))

    def __init__(self, edges: Sequence[float] | None = None, right: bool = False) -> None:
        super().__init__()
        self.edges = [number("edges", edge) for edge in ((0.25, 0.5, 0.75) if edges is None else edges)]
        if any(low >= high for low, high in pairwise(self.edges)):
            raise ValueError(f"edges must rise, got {self.edges}")
        self.right = bool(right)

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        scores: Tensor = inputs["scores"].squeeze(-1)
        ranges = torch.bucketize(scores.contiguous(), scores.new_tensor(self.edges), out_int32=True, right=self.right)
        return {"class_mask": ranges.masked_fill(scores.isnan(), 0)}
