"""Valid pixels of cubes and results: those whose bands are all finite."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


def valid_pixels(array: NDArray[Any]) -> NDArray[np.bool_]:
    """Which pixels [..., C] have finite bands only, [...]; all have in arrays of whole numbers."""
    if not np.issubdtype(array.dtype, np.inexact):
        return np.ones(array.shape[:-1], dtype=bool)
    return np.asarray(np.isfinite(array).all(axis=-1))


@dataclass(frozen=True)
class Extent:
    """What the values of an array span.

    Attributes:
        low: Least value of the valid pixels; None where there is none.
        high: Largest value of them.
        invalid: Pixels with a band that is not finite.
        pixels: All pixels.
    """

    low: float | None
    high: float | None
    invalid: int
    pixels: int


def extent(array: NDArray[Any]) -> Extent:
    """The extent of an output: of pixels where it is an image [..., H, W, C], of single values otherwise."""
    pixels = array if array.ndim >= 4 else array[..., None]
    valid = valid_pixels(pixels)
    values = pixels if valid.all() else pixels[valid]
    low, high = (float(values.min()), float(values.max())) if values.size else (None, None)
    return Extent(low, high, int(valid.size - np.count_nonzero(valid)), int(valid.size))
