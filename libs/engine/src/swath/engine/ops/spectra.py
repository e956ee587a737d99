"""Bands by wavelength, and the entropy of their weights."""

from __future__ import annotations

import torch
from torch import Tensor


def nearest_band(wavelengths: Tensor, target_nm: float) -> int:
    """Return the index of the band whose wavelength is nearest to a target, the first of several."""
    return int((wavelengths.to(torch.float64) - target_nm).abs().argmin())


def entropy(weights: Tensor, eps: float) -> Tensor:
    """Return the entropy ``-sum p log(p + eps)`` of the normalised weights ``p = w / (sum w + eps)``, in nats.

    Args:
        weights: Weight of each band ``[C]``.
        eps: Keeps the division and the logarithm finite.
    """
    shares = weights / (weights.sum() + eps)
    return -(shares * (shares + eps).log()).sum()
