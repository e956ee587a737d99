"""Ports of wavelengths, and what nodes require of their values."""

from __future__ import annotations

import torch
from torch import Tensor

from swath.engine.graph.node import Node
from swath.engine.graph.ports import Port
from swath.scenes.wavelengths import REPLACE

# The reference package takes whole nanometres only; instruments and older clients send fractions.
_ALSO = (torch.float32, torch.float64, torch.int64)

_ABSENT = f"the scene has no wavelengths: {REPLACE}"

WAVELENGTHS = Port(
    torch.int32, (-1,), also=_ALSO, description="Wavelength of each channel, nm, [C]", absent=_ABSENT, common=True
)
FRAME_WAVELENGTHS = Port(
    torch.int32, (-1, -1), also=_ALSO, description="Wavelengths of each frame, nm, [B, C]", absent=_ABSENT, common=True
)


def require_per_channel(node: Node, wavelengths: Tensor, channels: int) -> None:
    """Raise `InputInvalid` unless there is one wavelength per channel."""
    if wavelengths.shape[0] != channels:
        raise node.refuse("wavelengths", f"{channels} numbers, one per channel of the cube", wavelengths)


def band_steps(node: Node, wavelengths: Tensor, channels: int) -> Tensor:
    """Return the distances between neighbouring bands, nm, in float64 ``[C - 1]``; negative where they descend.

    Raises:
        InputInvalid: There is not one wavelength per channel, or they are not strictly monotonic.
    """
    require_per_channel(node, wavelengths, channels)
    steps = wavelengths.to(torch.float64).diff()
    if not bool((steps > 0).all() | (steps < 0).all()):
        raise node.refuse("wavelengths", "numbers that ascend or descend strictly", wavelengths)
    return steps
