"""Small pictures for monitors, drawn as arrays.

Validation draws several for every batch, so they are put together from pixels rather than plotted: about a millisecond
each instead of a hundred.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Pixels = NDArray[np.uint8]
Map = NDArray[np.floating]
Flags = NDArray[np.bool_]

_GAP = 4
_CAPTION = 14
_MIN_SIDE = 128
GREEN, RED, YELLOW, CYAN = (0, 255, 0), (255, 0, 0), (255, 255, 0), (0, 255, 255)


def stretch(values: Map) -> Map:
    """Scale to 0..1 by the lowest and highest finite value; what is not finite and flat input become 0."""
    finite = np.isfinite(values)
    if not finite.any():
        return np.zeros(values.shape)
    low, high = float(values[finite].min()), float(values[finite].max())
    if high - low <= 1e-9:
        return np.zeros(values.shape)
    return np.where(finite, (np.nan_to_num(values, nan=low, posinf=high, neginf=low) - low) / (high - low), 0.0)


def to_bytes(values: Map) -> Pixels:
    """Return values of 0..1 as 0..255; what lies outside is cut, and what is not finite is 0."""
    return (np.clip(np.where(np.isfinite(values), values, 0), 0, 1) * 255).round().astype(np.uint8)


def gray(values: Map) -> Pixels:
    """Return a map ``[H, W]`` of 0..1 as RGB ``[H, W, 3]``."""
    return np.repeat(to_bytes(values)[..., None], 3, axis=-1)


def colour(values: Map, name: str) -> Pixels:
    """Return a map ``[H, W]`` of 0..1 as RGB by a colour map of matplotlib.

    Raises:
        ValueError: There is no such colour map.
    """
    from matplotlib import colormaps  # slow to import, and only pictures need it

    if name not in colormaps:
        raise ValueError(f"cmap must be a colour map of matplotlib, got {name!r}")
    return np.asarray(colormaps[name](values, bytes=True))[..., :3]


def tint(picture: Pixels, where: Flags, shade: tuple[int, int, int], strength: float = 0.6) -> Pixels:
    """Blend a colour onto some pixels."""
    blended = picture.copy()
    blended[where] = (picture[where] * (1 - strength) + np.array(shade) * strength).round().astype(np.uint8)
    return blended


def bars(values: Map, marked: Sequence[int], height: int, width: int) -> Pixels:
    """Draw one bar per value, the marked ones red, on a picture of a size."""
    image = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(image)
    top = max(float(np.max(values, initial=0.0)), 1e-12)
    for index, value in enumerate(values):
        left, right = index * width // len(values), max((index + 1) * width // len(values) - 1, 0)
        bar = round(max(float(value), 0.0) / top * (height - 1))
        draw.rectangle(
            [left, height - 1 - bar, max(left, right), height - 1], fill="red" if index in marked else "steelblue"
        )
    return np.asarray(image)


def matrix(weights: Map, rows: Sequence[str], columns: Sequence[int], cell: tuple[int, int]) -> Pixels:
    """Draw a matrix ``[K, C]`` as cells: blue below 0, white at 0, red above, beside a scale.

    Args:
        weights: The numbers.
        rows: A label for each row.
        columns: A number for each column; as many are written as there is room for.
        cell: Height and width of a cell, pixels.
    """
    most = max(float(np.abs(weights).max(initial=0.0)), 1e-8)
    height, width = cell
    cells = colour((weights / most + 1) / 2, "RdBu_r").repeat(height + 1, axis=0).repeat(width + 1, axis=1)
    cells[:: height + 1] = cells[:, :: width + 1] = 200  # lines between the cells
    scale = colour(np.linspace(1, 0, len(cells))[:, None], "RdBu_r").repeat(12, axis=1)
    left, right, below, above = 24, 80, 24, 12
    sheet = Image.new("RGB", (left + cells.shape[1] + right, above + len(cells) + below), "white")
    sheet.paste(Image.fromarray(cells), (left, above))
    bar = left + cells.shape[1] + 12
    sheet.paste(Image.fromarray(scale), (bar, above))
    draw = ImageDraw.Draw(sheet)
    for index, label in enumerate(rows):
        draw.text((left // 2, above + index * (height + 1) + height // 2), label, fill="black", anchor="mm")
    step = math.ceil(40 / (width + 1))
    for index in range(0, len(columns), step):
        across = left + index * (width + 1) + width // 2
        draw.text((across, above + len(cells) + 4), str(columns[index]), fill="black", anchor="mt")
    for share, number in ((0, most), (1, 0.0), (2, -most)):
        draw.text((bar + 16, above + share * len(cells) // 2), f"{number:.3g}", fill="black", anchor="lm")
    return np.asarray(sheet)


def panels(parts: Sequence[tuple[str, Pixels]]) -> Pixels:
    """Put pictures of one size side by side, each below its caption; small ones are enlarged."""
    height, width = parts[0][1].shape[:2]
    factor = max(1, math.ceil(_MIN_SIDE / max(1, min(height, width))))
    columns = width * factor
    sheet = Image.new("RGB", (len(parts) * (columns + _GAP) - _GAP, height * factor + _CAPTION), "white")
    draw = ImageDraw.Draw(sheet)
    for index, (caption, pixels) in enumerate(parts):
        left = index * (columns + _GAP)
        draw.text((left + 2, 1), caption, fill="black")
        enlarged = pixels.repeat(factor, axis=0).repeat(factor, axis=1)
        sheet.paste(Image.fromarray(enlarged), (left, _CAPTION))
    return np.asarray(sheet)


def write_on(pixels: Pixels, text: str, left: int, top: int) -> Pixels:
    """Write white text on a dark box; a left of -1 centres it."""
    image = Image.fromarray(pixels)
    draw = ImageDraw.Draw(image, "RGBA")
    box = draw.textbbox((0, 0), text)
    x = max((image.width - int(box[2])) // 2, 0) if left < 0 else left
    draw.rectangle([x - 3, top - 2, x + box[2] + 3, top + box[3] + 2], fill=(0, 0, 0, 190))
    draw.text((x, top), text, fill="white")
    return np.asarray(image)
