"""Thresholds that the values themselves suggest."""

from __future__ import annotations

import torch
from torch import Tensor


def otsu(histograms: Tensor) -> Tensor:
    """Return the last bin of the lower of the two classes whose means lie farthest apart, weighed by their sizes.

    Of several equally good bins it is the first; it is 0 where all values are in one bin.

    Source: N. Otsu, "A threshold selection method from gray-level histograms", IEEE Transactions on Systems, Man, and
    Cybernetics 9(1), 1979.

    Args:
        histograms: Counts ``[..., N]``.

    Returns:
        Bins ``[...]``, int64.
    """
    counts = histograms.to(torch.float64)
    bins = torch.arange(counts.shape[-1], dtype=torch.float64, device=counts.device)
    lower, weighted = counts.cumsum(dim=-1), (counts * bins).cumsum(dim=-1)
    total, mass = lower[..., -1:], weighted[..., -1:]
    upper = total - lower
    # Whole numbers, so that bins between the classes, which are all as good, come out equal.
    between = (mass * lower - total * weighted).square() / (lower * upper)
    return torch.where((lower > 0) & (upper > 0), between, 0).argmax(dim=-1)
