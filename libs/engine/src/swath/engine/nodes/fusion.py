"""Nodes that make one map of several."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

import torch
from torch import Tensor

from swath.engine.graph.context import Context
from swath.engine.graph.independence import Independence
from swath.engine.graph.node import Node
from swath.engine.graph.ports import Port, ports
from swath.engine.hparams import choice, number
from swath.errors import InputInvalid

_SCORE_MODES = ("mean", "min", "max", "wmean", "gmean", "first", "softmin")


class ScoreMapFusion(Node):
    """Joins N score maps of one shape, element by element.

    ``mean``, ``min``, ``max``; ``gmean`` the geometric mean ``(s_1 ... s_N)^(1/N)``, 0 where a score is not positive;
    ``wmean`` the weighted mean ``sum w_i s_i``; ``softmin`` the soft minimum ``-log(sum w_i exp(-beta s_i)) / beta``;
    ``first`` per frame the first map that is not 0 everywhere. Weights are divided by their sum.

    Args:
        mode: One of the above.
        weights: Weight of each map, at least 0, for ``wmean`` and ``softmin``; equal for the latter when left out.
        beta: Sharpness of ``softmin``, above 0.
    """

    category = "transform"
    tags = ("anomaly", "postprocessing", "differentiable", "torch")
    inputs = ports(
        scores=Port(torch.float32, (-1, -1, -1, -1), variadic=True, description="Score maps of one shape [B, H, W, C]")
    )
    outputs = ports(scores=Port(torch.float32, (-1, -1, -1, -1), description="Joined scores [B, H, W, C]"))

    def __init__(self, mode: str = "mean", weights: Sequence[float] | None = None, beta: float | None = None) -> None:
        super().__init__()
        self.mode = choice("mode", mode, _SCORE_MODES)
        self.independence = Independence.FRAME if self.mode == "first" else Independence.PIXEL
        if weights is not None and self.mode not in ("wmean", "softmin"):
            raise ValueError(f"weights need mode wmean or softmin, got {mode!r}")
        if beta is not None and self.mode != "softmin":
            raise ValueError(f"beta needs mode softmin, got {mode!r}")
        self.weights = None if weights is None else [number("weights", weight, at_least=0) for weight in weights]
        if self.weights is not None and not sum(self.weights) > 0:
            raise ValueError(f"weights must have a sum above 0, got {weights!r}")
        if self.mode == "wmean" and self.weights is None:
            raise ValueError("mode wmean needs weights")
        self.beta = number("beta", beta, above=0) if self.mode == "softmin" else 0.0

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        maps: list[Tensor] = inputs["scores"]
        _require_one_shape(self, "scores", maps)
        return {"scores": self._joined(torch.stack(maps))}

    def _joined(self, stack: Tensor) -> Tensor:
        match self.mode:
            case "mean":
                return stack.mean(dim=0)
            case "min":
                return stack.amin(dim=0)
            case "max":
                return stack.amax(dim=0)
            case "first":
                return _first(stack, live=(stack != 0))
            case "gmean":
                dead = stack <= 0
                # Roots before the product, which would leave the range of the dtype.
                roots = torch.where(dead, 1, stack).pow(1 / stack.shape[0])
                return torch.where(dead.any(dim=0), 0, roots.prod(dim=0))
            case "wmean":
                return torch.tensordot(self._weights(stack), stack, dims=1)
        logs = self._weights(stack).log()[:, None, None, None, None]
        return -torch.logsumexp(logs - self.beta * stack, dim=0) / self.beta

    def _weights(self, stack: Tensor) -> Tensor:
        weights = [1.0] * stack.shape[0] if self.weights is None else self.weights
        if len(weights) != stack.shape[0]:
            raise InputInvalid(
                f"Node '{self.name}' has {len(weights)} weights, got {stack.shape[0]} score maps",
                metadata={"node": self.name, "port": "scores"},
            )
        total = sum(weights)
        return stack.new_tensor([weight / total for weight in weights])


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
        self.independence = Independence.FRAME if self.mode == "first" else Independence.PIXEL

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        masks: list[Tensor] = inputs["decisions"]
        _require_one_shape(self, "decisions", masks)
        if self.mode == "any":
            return {"decisions": reduce(torch.logical_or, masks)}
        if self.mode == "all":
            return {"decisions": reduce(torch.logical_and, masks)}
        stack = torch.stack(masks)
        return {"decisions": _first(stack, live=stack)}


def _require_one_shape(node: Node, port: str, maps: Sequence[Tensor]) -> None:
    for other in maps[1:]:
        if other.shape != maps[0].shape:
            raise node.refuse(port, f"maps of one shape, {list(maps[0].shape)}", other)


def _first(stack: Tensor, *, live: Tensor) -> Tensor:
    """Return per frame the first of the maps with a live value, the first one where none has."""
    chosen = live.flatten(start_dim=2).any(dim=2).to(torch.uint8).argmax(dim=0)
    return stack[chosen, torch.arange(stack.shape[1], device=stack.device)]
