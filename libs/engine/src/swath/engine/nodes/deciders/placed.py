"""Deciders whose thresholds, once placed by data, are state."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from swath.engine.graph.roles import Decider


class PlacedDecider(Decider):
    """A decider whose thresholds, once placed by data, travel with the weights.

    Until then they are not in its state, and the numbers of the document count. A subclass names them in
    `threshold_names` and in `optional_state`.
    """

    _placed: frozenset[str] = frozenset()

    def place(self, **thresholds: float) -> None:
        """Put thresholds in force, by name."""
        self.hparams.update(thresholds)
        self._placed |= set(thresholds)

    def state(self) -> dict[str, Tensor]:
        return {
            name: torch.tensor(self.hparams[name], dtype=torch.float64)
            for name in self.threshold_names
            if name in self._placed
        }

    def faults(self, state: Mapping[str, Tensor], *, strict: bool) -> list[str]:
        faults = super().faults(state, strict=strict)
        for name in self.threshold_names:
            value = state.get(name)
            if value is not None and (value.numel() != 1 or not math.isfinite(float(value))):
                faults.append(f"{self.name}.{name} is not one finite number")
        return faults

    def _restore_optional(self, key: str, value: Tensor) -> None:
        self.place(**{key: float(value)})
