"""Nodes that lower scores inside of masks."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from swath.engine.graph.context import Context
from swath.engine.graph.independence import Independence
from swath.engine.graph.node import Node
from swath.engine.graph.ports import Port, ports
from swath.engine.hparams import fraction, whole
from swath.engine.ops.masks import eroded


class ScoreMapSuppression(Node):
    """``scores * (1 - weight)`` inside of a mask that has been shrunk by a square; the same scores elsewhere.

    Args:
        weight: Share of the scores that goes, 0 to 1; with 1 they are 0.
        erode_px: Pixels that the mask is shrunk by on each side; the frame's border shrinks nothing.
    """

    category = "transform"
    tags = ("anomaly", "mask", "torch")
    inputs = ports(
        scores=Port(torch.float32, (-1, -1, -1, 1), description="Scores [B, H, W, 1]"),
        mask=Port(torch.bool, (-1, -1, -1, -1), description="Mask, set in any channel [B, H, W, C]"),
    )
    outputs = ports(scores=Port(torch.float32, (-1, -1, -1, 1), description="Scores, lower in the mask [B, H, W, 1]"))

    def __init__(self, weight: float = 1.0, erode_px: int = 4) -> None:
        super().__init__()
        self.weight = fraction("weight", weight)
        self.margin = whole("erode_px", erode_px, at_least=0)
        self.independence = Independence.FRAME if self.margin else Independence.PIXEL

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        scores: Tensor = inputs["scores"]
        mask: Tensor = inputs["mask"]
        if mask.shape[:3] != scores.shape[:3]:
            raise self.refuse("mask", f"the frames, rows and columns of scores, {list(scores.shape[:3])}", mask)
        inside = eroded(mask.any(dim=-1), 2 * self.margin + 1).unsqueeze(-1)
        lowered = scores * (1 - self.weight) if self.weight < 1 else torch.zeros_like(scores)
        return {"scores": torch.where(inside, lowered, scores)}
