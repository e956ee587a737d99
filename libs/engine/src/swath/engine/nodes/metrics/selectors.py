"""How evenly a selector spreads its weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from swath.engine.graph.ports import Port, ports
from swath.engine.hparams import number
from swath.engine.nodes.metrics.reading import Reading
from swath.engine.ops.spectra import entropy

_TAGS = ("evaluation", "dim_reduction")
_INPUTS = ports(weights=Port(torch.float32, (-1,), description="Weight of each channel [C]"))


class SelectorEntropyMetric(Reading):
    """Entropy ``-sum p log(p + eps)`` of the normalised weights ``p = w / (sum w + eps)``, as ``selector/entropy``.

    Args:
        eps: Keeps the division and the logarithm finite.
    """

    tags = _TAGS
    inputs = _INPUTS
    names = ("selector/entropy",)

    def __init__(self, eps: float = 1e-6) -> None:
        super().__init__()
        self.eps = number("eps", eps, above=0)

    def measure(self, inputs: dict[str, Any]) -> dict[str, float]:
        return {"selector/entropy": float(entropy(inputs["weights"], self.eps))}


class SelectorDiversityMetric(Reading):
    """Population variance of the weights as ``weight_variance``, and their Gini coefficient as ``gini_coefficient``.

    With the weights in rising order the coefficient is ``2 sum_i i w_i / (C sum_i w_i) - (C + 1) / C``, with i from 1:
    0 where all are equal, not defined and left out where their sum is 0.

    Source: C. Gini, "Variabilita e mutabilita", 1912.
    """

    tags = _TAGS
    inputs = _INPUTS
    names = ("weight_variance", "gini_coefficient")

    def measure(self, inputs: dict[str, Any]) -> dict[str, float]:
        weights: Tensor = inputs["weights"].double()
        count = len(weights)
        if count == 0:
            raise self.refuse("weights", "at least one weight", inputs["weights"])
        ranks = torch.arange(1, count + 1, dtype=weights.dtype, device=weights.device)
        total = float(weights.sum())
        moment = float(torch.dot(weights.sort().values, ranks))
        return {
            "weight_variance": float(weights.var(correction=0)),
            "gini_coefficient": 2 * moment / (count * total) - (count + 1) / count if total else float("nan"),
        }
