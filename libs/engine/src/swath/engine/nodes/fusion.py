"""Nodes that make one map of several."""

from __future__ import annotations

from functools import reduce
from typing import Any

import torch
from torch import Tensor

from swath.engine.checks import choice
from swath.engine.context import Context
from swath.engine.node import Node
from swath.engine.ports import Port, ports


class DecisionFusion(Node):
    """Joins masks of one shape: pixels in any or all of them, or per frame the first mask with a pixel in it.

    Args:
        mode: ``any``, ``all`` or ``first``.
    """

    category = "transform"
    tags = ("mask", "postprocessing", "torch")
    inputs = ports(
        decisions=Port(torch.bool, (-1, -1, -1, -1), variadic=True, description="Masks of one shape [B, H, W, C]")
    )
    outputs = ports(decisions=Port(torch.bool, (-1, -1, -1, -1), description="Joined mask [B, H, W, C]"))

    def __init__(self, mode: str = "any") -> None:
        super().__init__()
        self.mode = choice("mode", mode, ("any", "all", "first"))

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        masks: list[Tensor] = inputs["decisions"]
        for mask in masks[1:]:
            if mask.shape != masks[0].shape:
                raise self.refuse("decisions", f"masks of one shape, {list(masks[0].shape)}", mask)
        if self.mode == "any":
            return {"decisions": reduce(torch.logical_or, masks)}
        if self.mode == "all":
            return {"decisions": reduce(torch.logical_and, masks)}
        return {"decisions": _first(masks)}


def _first(masks: list[Tensor]) -> Tensor:
    stack = torch.stack(masks)
    live = stack.flatten(start_dim=2).any(dim=2)
    chosen = live.to(torch.uint8).argmax(dim=0)
    return stack[chosen, torch.arange(stack.shape[1], device=stack.device)]
