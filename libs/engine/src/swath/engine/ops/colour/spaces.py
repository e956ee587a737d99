"""Conversions between linear RGB, sRGB and Oklab."""

from __future__ import annotations

import torch
from torch import Tensor

# https://bottosson.github.io/posts/oklab
_TO_CONES = (
    (0.4122214708, 0.5363325363, 0.0514459929),
    (0.2119034982, 0.6806995451, 0.1073969566),
    (0.0883024619, 0.2817188376, 0.6299787005),
)
_TO_LAB = (
    (0.2104542553, 0.7936177850, -0.0040720468),
    (1.9779984951, -2.4285922050, 0.4505937099),
    (0.0259040371, 0.7827717662, -0.8086757660),
)
_MIN = 1e-12
"""Keeps the slope of the cube root finite at black."""


def linear_to_srgb(linear: Tensor) -> Tensor:
    """Encode linear light for a screen: ``12.92 x`` up to 0.0031308, ``1.055 x^(1/2.4) - 0.055`` above.

    Source: IEC 61966-2-1.
    """
    curve = 1.055 * linear.clamp_min(0.0031308).pow(1 / 2.4) - 0.055
    return torch.where(linear <= 0.0031308, 12.92 * linear, curve)


def srgb_to_linear(encoded: Tensor) -> Tensor:
    """Take what a screen takes back to linear light: ``x / 12.92`` up to 0.04045, ``((x + 0.055) / 1.055)^2.4`` above.

    Source: IEC 61966-2-1.
    """
    curve = ((encoded.clamp_min(0.04045) + 0.055) / 1.055).pow(2.4)
    return torch.where(encoded <= 0.04045, encoded / 12.92, curve)


def linear_to_oklab(linear: Tensor) -> Tensor:
    """Take linear RGB to Oklab, where equal distances look equal.

    Source: B. Ottosson, "A perceptual color space for image processing", 2020.

    Args:
        linear: Linear RGB ``[..., 3]``.

    Returns:
        Lightness, green to red, blue to yellow ``[..., 3]``.
    """
    cones = linear @ linear.new_tensor(_TO_CONES).T
    roots = cones.sign() * cones.abs().clamp_min(_MIN).pow(1 / 3)
    return roots @ linear.new_tensor(_TO_LAB).T
