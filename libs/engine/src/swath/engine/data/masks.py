"""Ground truth in files of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from swath.scenes import read_plane
from swath.scenes.checks import as_mask, existing, parsing


def read_mask(path: Path, variable: str | None = None, *, name: str | None = None) -> np.ndarray:
    """Read ground truth, int32 [H, W], from a PNG file or a file of any format of scenes but cu3s.

    Args:
        path: The file.
        variable: Name of the array in files of several.
        name: Name of the file in messages; its own name by default.

    Raises:
        FileMissing, DataInvalid, DependencyMissing: See `swath.scenes`.
    """
    if path.suffix.lower() == ".png":
        return as_mask(name or path.name, "mask", read_png(path, "L"), np.int32)
    return read_plane(path, variable, name=name)


def read_png(path: Path, mode: str, size: tuple[int, int] | None = None) -> np.ndarray:
    """Read an image as uint8: [H, W] in mode L, [H, W, 3] in mode RGB.

    Args:
        path: The file.
        mode: L or RGB; other modes are converted.
        size: Rows and columns to resize it to, by nearest neighbour.
    """
    from PIL import Image

    existing(path)
    with parsing(path.name, "picture"), Image.open(path) as image:
        # The indices of a palette are the labels; its colours are for display only.
        picture = image if mode == "L" and image.mode == "P" else image.convert(mode)
        if size is not None and picture.size != (size[1], size[0]):
            picture = picture.resize((size[1], size[0]), Image.Resampling.NEAREST)
        return np.array(picture, dtype=np.uint8)
