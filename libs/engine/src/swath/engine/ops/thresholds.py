"""Thresholds that the values themselves suggest."""

from __future__ import annotations

import torch
from torch import Tensor


def otsu(histograms: Tensor, *, within: float) -> Tensor:
    """Return the level between the two classes whose means lie farthest apart, weighed by their sizes.

    Where bins between the classes are empty, all of them split as well, and the level lies in the middle of this empty
    stretch, as far from both classes as can be: rounding of a value at the edge of a bin cannot bring it to the other
    side. Of several equally good stretches it is the first.

    Source: N. Otsu, "A threshold selection method from gray-level histograms", IEEE Transactions on Systems, Man, and
    Cybernetics 9(1), 1979.

    Args:
        histograms: Counts ``[..., N]``, whole numbers.
        within: Where the classes are neighbours, the level's place within the last bin of the lower class, 0 to 1; also
            within the first bin of all where all values are in one.

    Returns:
        Levels ``[...]``, float64, where bin n reaches from n to n + 1.
    """
    counts = histograms.to(torch.float64)
    bins = torch.arange(counts.shape[-1], dtype=torch.float64, device=counts.device)
    lower, weighted = counts.cumsum(dim=-1), (counts * bins).cumsum(dim=-1)
    total, mass = lower[..., -1:], weighted[..., -1:]
    upper = total - lower
    # Whole numbers, so that bins between the classes, which are all as good, come out equal.
    between = (mass * lower - total * weighted).square() / (lower * upper)
    last = torch.where((lower > 0) & (upper > 0), between, 0).argmax(dim=-1, keepdim=True)
    kept = lower.gather(-1, last)
    first_above = (lower <= kept).sum(dim=-1, keepdim=True)
    splits = (kept > 0) & (kept < total) & (first_above > last + 1)
    return torch.where(splits, (last + 1 + first_above) / 2, last + within).squeeze(-1)
