"""Quantiles, means and places of the highest values."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor


def quantile(rows: Tensor, share: float) -> Tensor:
    """Return a quantile of the last dimension by linear interpolation; NaN where there is a NaN.

    As `torch.quantile`, without its limit of 16 million values, with a rank that is not rounded to float32, and with a
    partial sort where the quantile is low or high.

    Args:
        rows: Values, shape ``[..., N]`` with N of at least 1.
        share: Share of the values that lie below, 0 to 1.
    """
    size = rows.shape[-1]
    rank = share * (size - 1)
    lower = math.floor(rank)
    upper = min(lower + 1, size - 1)
    if 2 * lower >= size:
        ordered = rows.topk(size - lower, dim=-1).values
        low, high = ordered[..., -1], ordered[..., size - 1 - upper]
    else:
        ordered = rows.topk(upper + 1, dim=-1, largest=False).values
        low, high = ordered[..., lower], ordered[..., upper]
    value = low if rank == lower else torch.lerp(low, high, rank - lower)
    return torch.where(rows.isnan().any(dim=-1), torch.nan, value)


def valid_quantile(rows: Tensor, share: float) -> Tensor:
    """Return a quantile of those values of the last dimension that are no NaN; NaN where there are none.

    Args:
        rows: Values, shape ``[..., N]`` with N of at least 1.
        share: Share of the values that lie below, 0 to 1.
    """
    ordered = rows.sort(dim=-1).values  # NaN comes last
    last = ((~rows.isnan()).sum(dim=-1, keepdim=True) - 1).clamp_min(0)
    return at_rank(ordered, last, share)


def at_rank(ordered: Tensor, last: Tensor, share: float) -> Tensor:
    """Return a quantile of rows in order, by linear interpolation.

    Args:
        ordered: Values, shape ``[..., N]``.
        last: Index of the last value of each row that counts, shape ``[..., 1]``.
        share: Share of the values that lie below, 0 to 1.
    """
    rank = share * last.to(torch.float64)
    below = rank.floor().long()
    above = torch.minimum(below + 1, last)
    weight = (rank - below).to(ordered.dtype)
    return torch.lerp(ordered.gather(-1, below), ordered.gather(-1, above), weight).squeeze(-1)


def top_mean(rows: Tensor, share: float) -> Tensor:
    """Return the mean of the highest values of the last dimension.

    Args:
        rows: Values, shape ``[..., N]`` with N of at least 1.
        share: Share of the values that count, above 0 and at most 1; at least one value does.
    """
    # Rounded before the ceiling: a thousandth of a million values is a thousand, whatever binary makes of it.
    count = max(1, math.ceil(np.float32(share * rows.shape[-1])))
    return rows.topk(count, dim=-1).values.mean(dim=-1)


def first_largest(values: Tensor, rounding: float) -> Tensor:
    """Return the index of the first value of the last dimension that is the largest but for rounding.

    What is equal by arithmetic differs in the last digits, from processor to processor; the place of the largest would
    depend on that.

    Args:
        values: Numbers ``[..., N]``, none infinite; where one is NaN the index is 0.
        rounding: Share of the largest magnitude that rounding may make.

    Returns:
        Indices ``[...]``, int64.
    """
    margin = rounding * values.abs().amax(dim=-1, keepdim=True)
    return (values >= values.amax(dim=-1, keepdim=True) - margin).to(torch.uint8).argmax(dim=-1)


def largest(values: Tensor, count: int) -> Tensor:
    """Return the indices of the largest values ``[N]``, in falling order; of equal ones the first come first."""
    return values.sort(descending=True, stable=True).indices[:count]
