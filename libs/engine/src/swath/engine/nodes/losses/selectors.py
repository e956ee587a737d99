"""Regularisers of selectors: which channels they look at, and how evenly."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from swath.engine.graph.context import Context
from swath.engine.graph.ports import Port, ports
from swath.engine.graph.roles import Loss
from swath.engine.hparams import number
from swath.engine.nodes.losses.base import LOSS, TAGS
from swath.engine.ops.spectra import entropy


class SelectorEntropyRegularizer(Loss):
    """Entropy H of the normalised weights: ``-H``, or ``(H - target)^2``.

    Args:
        weight: Factor of the loss.
        target_entropy: Entropy to keep to; the higher the better when left out.
        eps: Keeps the division and the logarithm finite.
    """

    category = "regularizer"
    tags = TAGS
    inputs = ports(weights=Port(torch.float32, (-1,), description="Weight of each channel [C]"))
    outputs = LOSS

    def __init__(self, weight: float = 0.01, target_entropy: float | None = None, eps: float = 1e-6) -> None:
        super().__init__()
        self.weight = number("weight", weight)
        self.target = None if target_entropy is None else number("target_entropy", target_entropy)
        self.eps = number("eps", eps, above=0)

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        level = entropy(inputs["weights"], self.eps)
        return {"loss": self.weight * (-level if self.target is None else (level - self.target).square())}


class SelectorDiversityRegularizer(Loss):
    """Minus the population variance of the weights.

    Args:
        weight: Factor of the loss.
    """

    category = "regularizer"
    tags = TAGS
    inputs = ports(weights=Port(torch.float32, (-1,), description="Weight of each channel [C]"))
    outputs = LOSS

    def __init__(self, weight: float = 0.01) -> None:
        super().__init__()
        self.weight = number("weight", weight)

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        return {"loss": -self.weight * inputs["weights"].var(correction=0)}


class DistinctnessLoss(Loss):
    """Mean cosine between the weights of each two outputs of a selector, 0 where there is only one.

    Args:
        weight: Factor of the loss.
        eps: Least length that is divided by.
    """

    tags = TAGS
    inputs = ports(
        selection_weights=Port(torch.float32, (-1, -1), description="Weight of each channel, an output a row [K, C]")
    )
    outputs = LOSS

    def __init__(self, weight: float = 0.1, eps: float = 1e-6) -> None:
        super().__init__()
        self.weight = number("weight", weight)
        self.eps = number("eps", eps, above=0)

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        weights: Tensor = inputs["selection_weights"]
        directions = functional.normalize(weights, dim=1, eps=self.eps)
        pairs = len(weights) * (len(weights) - 1) / 2
        cosines = (directions @ directions.T).triu(diagonal=1)
        return {"loss": self.weight * cosines.sum() / max(pairs, 1)}
