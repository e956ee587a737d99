"""Wavelengths, bands and their weights."""

from __future__ import annotations

import torch
from torch import Tensor

from swath.engine.graph.node import Node
from swath.engine.graph.ports import Port

# The reference package knows whole nanometres alone; instruments and older clients give fractions.
_ALSO = (torch.float32, torch.float64, torch.int64)

WAVELENGTHS = Port(torch.int32, (-1,), also=_ALSO, description="Wavelength of each channel, nm, [C]")
FRAME_WAVELENGTHS = Port(torch.int32, (-1, -1), also=_ALSO, description="Wavelengths of each frame, nm, [B, C]")


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


def require_per_channel(node: Node, wavelengths: Tensor, channels: int) -> None:
    """Raise `InputInvalid` unless there is one wavelength a channel."""
    if wavelengths.shape[0] != channels:
        raise node.refuse("wavelengths", f"{channels} numbers, one per channel of the cube", wavelengths)


def band_steps(node: Node, wavelengths: Tensor, channels: int) -> Tensor:
    """Return the distances between neighbouring bands, nm, in float64 ``[C - 1]``; negative where they descend.

    Raises:
        InputInvalid: There is not one wavelength a channel, or they neither ascend nor descend strictly.
    """
    require_per_channel(node, wavelengths, channels)
    steps = wavelengths.to(torch.float64).diff()
    if not bool((steps > 0).all() | (steps < 0).all()):
        raise node.refuse("wavelengths", "numbers that ascend or descend strictly", wavelengths)
    return steps
