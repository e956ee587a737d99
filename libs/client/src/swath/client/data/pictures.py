"""Pictures of cubes and score maps."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from swath.client.data.validity import valid_pixels

RGB_NM = (640.0, 550.0, 460.0)
"""Wavelengths shown as red, green and blue."""


def false_colour(
    cube: NDArray[Any], wavelengths: ArrayLike | None = None, *, stretch: tuple[float, float] = (1.0, 99.0)
) -> NDArray[np.float32]:
    """A colour picture of a cube.

    Args:
        cube: [H, W, C].
        wavelengths: [C] in nm; the three bands next to `RGB_NM` are shown. Without it, bands at 3/4, 1/2 and 1/4 of the
            spectrum are.
        stretch: Percentiles of each band that become black and full brightness.

    Returns:
        [H, W, 3], float32 in 0..1; black where one of the three bands is not finite, which counts for no percentile.
    """
    channels = cube.shape[-1]
    if wavelengths is None:
        bands = [min(channels - 1, channels * part // 4) for part in (3, 2, 1)]
    else:
        nm = np.asarray(wavelengths, dtype=np.float64).ravel()
        bands = [int(np.abs(nm - wanted).argmin()) for wanted in RGB_NM]
    picture = np.asarray(cube[..., bands], dtype=np.float32)
    valid = valid_pixels(picture)
    if not valid.any():
        return np.zeros_like(picture)
    low, high = np.percentile(picture[valid], stretch, axis=0).astype(np.float32)
    shown = np.where(valid[..., None], picture, low)
    return np.clip((shown - low) / np.maximum(high - low, 1e-12), 0, 1) * valid[..., None]


def stretched(scores: ArrayLike, percentiles: tuple[float, float] = (1.0, 99.5)) -> NDArray[np.float32]:
    """A score map in 0..1, cut at percentiles so that one bright pixel does not leave the rest black.

    Scores that are not finite, those of invalid pixels, count for no percentile and are 0.
    """
    array = np.asarray(scores, dtype=np.float32)
    valid = valid_pixels(array[..., None])
    if not valid.any():
        return np.zeros_like(array)
    low, high = np.percentile(array[valid], percentiles)
    shown = np.where(valid, array, np.float32(low))
    return np.clip((shown - low) / max(float(high - low), 1e-12), 0, 1).astype(np.float32) * valid


def as_map(array: NDArray[Any]) -> NDArray[Any]:
    """An output [1, H, W, 1], [1, H, W] or [H, W, 1] as a map [H, W].

    Raises:
        ValueError: It is none.
    """
    squeezed = array
    if squeezed.ndim >= 3 and squeezed.shape[-1] == 1:
        squeezed = squeezed[..., 0]
    if squeezed.ndim == 3 and squeezed.shape[0] == 1:
        squeezed = squeezed[0]
    if squeezed.ndim != 2:
        raise ValueError(f"expected a map [1, H, W, 1], got {list(array.shape)}")
    return squeezed
