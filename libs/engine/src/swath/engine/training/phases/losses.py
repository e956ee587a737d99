"""The loss of a gradient phase."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from swath.engine.graph.pipeline import Pipeline
from swath.engine.training.reporting.names import loss_parts


class Losses:
    """The sum of all outputs of the loss nodes.

    Args:
        pipeline: Whose nodes.
        nodes: Names of the loss nodes.

    Attributes:
        keys: Outputs that a forward has to return.
        names: Name of each part: that of the node, or ``node_port`` if it has several outputs.
    """

    def __init__(self, pipeline: Pipeline, nodes: Sequence[str]) -> None:
        parts = loss_parts(pipeline, nodes)
        self.keys = frozenset(parts)
        self.names = tuple(parts.values())
        self._parts = tuple(parts)

    def sum(self, outputs: dict[str, Any]) -> tuple[Tensor, Tensor]:
        """Add up the parts of one batch.

        Returns:
            The loss, and a tensor of it and its parts without gradients, so that one transfer reads all.
        """
        parts: list[Tensor] = [outputs[key] for key in self._parts]
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        with torch.no_grad():
            return total, torch.stack([total.detach().float(), *(part.detach().float() for part in parts)])
