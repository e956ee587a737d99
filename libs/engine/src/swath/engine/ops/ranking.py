"""How well scores rank marked values above the others, exactly, over any number of batches."""

from __future__ import annotations

import torch
from torch import Tensor


class Ranking:
    """Scores of marked and of other values, batch by batch, for the exact average precision so far.

    A threshold marks the scores at or above it, so equal scores are marked together; each distinct score is a
    threshold. Only the order of the scores counts. They are kept as float32 in host memory: four bytes per value, and
    twelve per marked one. A batch costs as much as sorting it, however many came before.
    """

    def __init__(self) -> None:
        self._marked = torch.empty(0)
        self._alarms = torch.empty(0, dtype=torch.int64)
        """Other values at or above each marked one."""
        self._others: list[Tensor] = []
        """In sorted parts, each less than half as long as the one before."""

    def add(self, scores: Tensor, marked: Tensor) -> None:
        """Add a batch.

        Args:
            scores: Numbers ``[N]``, all finite.
            marked: Which of them are marked ``[N]``.
        """
        hits, rest = (scores[chosen].float().sort().values.cpu() for chosen in (marked, ~marked))
        alarms = sum((_at_least(part, hits) for part in self._others), start=_at_least(rest, hits))
        self._alarms += _at_least(rest, self._marked)
        self._marked, order = torch.cat([self._marked, hits]).sort(stable=True)
        self._alarms = torch.cat([self._alarms, alarms])[order]
        while self._others and len(self._others[-1]) <= 2 * len(rest):
            rest = torch.cat([self._others.pop(), rest]).sort().values
        self._others.append(rest)

    def average_precision(self) -> float:
        """Return the sum over all thresholds, from the highest down, of the precision times the step in recall.

        It is the mean over the marked values of the precision at each one's score, without interpolation; NaN where
        nothing is marked.
        """
        hits = _at_least(self._marked, self._marked).double()
        return float((hits / (hits + self._alarms)).mean())


def _at_least(ordered: Tensor, levels: Tensor) -> Tensor:
    """Return how many of some numbers in rising order are at or above each level."""
    return len(ordered) - torch.searchsorted(ordered, levels)
