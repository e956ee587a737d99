"""How well directions of a projection explain the data, and how far they are from orthonormal."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from swath.engine.graph.ports import Port, ports
from swath.engine.nodes.metrics.reading import Reading

_TAGS = ("evaluation", "dim_reduction")


class ExplainedVarianceMetric(Reading):
    """Share of the variance along each direction, the shares so far, and all of them together.

    Names count from 1: ``explained_variance_pc1``, ``cumulative_variance_pc1``, ``total_explained_variance``.
    """

    tags = _TAGS
    inputs = ports(
        explained_variance_ratio=Port(
            torch.float32, (-1,), description="Share of the variance along each direction [N]"
        )
    )

    def measure(self, inputs: dict[str, Any]) -> dict[str, float]:
        ratio: Tensor = inputs["explained_variance_ratio"]
        shares: list[float] = ratio.double().tolist()
        sums: list[float] = ratio.double().cumsum(dim=0).tolist()
        return {
            **{f"explained_variance_pc{number}": share for number, share in enumerate(shares, start=1)},
            "total_explained_variance": sums[-1] if sums else 0.0,
            **{f"cumulative_variance_pc{number}": share for number, share in enumerate(sums, start=1)},
        }


class ComponentOrthogonalityMetric(Reading):
    """How far the Gram matrix ``G = C C^T`` of directions is from the identity I.

    ``orthogonality_error`` is the Frobenius norm of G - I, ``avg_off_diagonal`` the mean magnitude of all its entries,
    ``diagonal_mean`` and ``diagonal_std`` (n - 1) are those of the squared lengths of the directions. Of a single
    direction there is no deviation.
    """

    tags = _TAGS
    names = ("orthogonality_error", "avg_off_diagonal", "diagonal_mean", "diagonal_std")
    inputs = ports(components=Port(torch.float32, (-1, -1), description="Directions, one a row [N, C]"))

    def measure(self, inputs: dict[str, Any]) -> dict[str, float]:
        components: Tensor = inputs["components"].double()
        if components.shape[0] == 0:
            raise self.refuse("components", "at least one direction", inputs["components"])
        gram = components @ components.T
        error = gram - torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
        lengths = gram.diagonal()
        return {
            "orthogonality_error": float(torch.linalg.matrix_norm(error)),
            "avg_off_diagonal": float(error.abs().mean()),
            "diagonal_mean": float(lengths.mean()),
            "diagonal_std": float(lengths.std()) if len(lengths) > 1 else float("nan"),
        }
