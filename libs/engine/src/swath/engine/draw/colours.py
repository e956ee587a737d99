"""Colours by number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from swath.engine.hparams import fraction, whole

Shade = tuple[int, int, int]

TABLEAU_20: tuple[Shade, ...] = (
    (31, 119, 180),
    (174, 199, 232),
    (255, 127, 14),
    (255, 187, 120),
    (44, 160, 44),
    (152, 223, 138),
    (214, 39, 40),
    (255, 152, 150),
    (148, 103, 189),
    (197, 176, 213),
    (140, 86, 75),
    (196, 156, 148),
    (227, 119, 194),
    (247, 182, 210),
    (127, 127, 127),
    (199, 199, 199),
    (188, 189, 34),
    (219, 219, 141),
    (23, 190, 207),
    (158, 218, 229),
)
"""Pairs of a dark and a light shade. Source: Tableau Software."""

_OBJECTS: tuple[Shade, ...] = (
    (230, 25, 75),
    (60, 180, 75),
    (255, 225, 25),
    (0, 130, 200),
    (245, 130, 48),
    (145, 30, 180),
    (70, 240, 240),
    (240, 50, 230),
    (210, 245, 60),
    (250, 190, 212),
    (0, 128, 128),
    (220, 190, 255),
)
"""Colours that are easy to distinguish. Source: S. Trubetskoy, "List of 20 simple, distinct colors", 2017."""


def hue(values: Tensor) -> Tensor:
    """Return RGB of full saturation and value.

    Args:
        values: Hues ``[..., 1]``: 0 is red, a third green, two thirds blue, 1 red again. What lies outside is cut, NaN
            is 0.

    Returns:
        Colours of 0..1, ``[..., 3]``.
    """
    sixths = values.clamp(0, 1).nan_to_num(nan=0.0) * 6
    red = (sixths - 3).abs() - 1
    green = 2 - (sixths - 2).abs()
    blue = 2 - (sixths - 4).abs()
    return torch.cat([red, green, blue], dim=-1).clamp(0, 1)


def of_object(number: int) -> Shade:
    """Return the colour of an object, the same wherever it is drawn: the first twelve from a list, others by a hash."""
    if 0 <= number < len(_OBJECTS):
        return _OBJECTS[number]
    scattered = number * 1103515245 + 12345
    # Never dark: overlays are drawn on pictures that mostly are.
    red, green, blue = (round(0.35 * 255 + 0.65 * (scattered >> shift & 0xFF)) for shift in (16, 8, 0))
    return red, green, blue


def palette(name: str, value: Any) -> list[Shade]:
    """Return a list of colours of 0..255; `TABLEAU_20` for None.

    Raises:
        ValueError: It is none, or empty.
    """
    if value is None:
        return list(TABLEAU_20)
    if not isinstance(value, Sequence) or isinstance(value, str) or not value:
        raise ValueError(f"{name} must be a list of colours, [red, green, blue] each, got {value!r}")
    return [shade(name, colour) for colour in value]


def shade(name: str, value: Any) -> Shade:
    """Return a colour of three whole numbers of 0..255.

    Raises:
        ValueError: It is none.
    """
    red, green, blue = (whole(name, part, at_least=0) for part in _three(name, value))
    if max(red, green, blue) > 255:
        raise ValueError(f"{name} must be three whole numbers of 0 to 255, got {value!r}")
    return red, green, blue


def light(name: str, value: Any) -> tuple[float, float, float]:
    """Return a colour of three numbers of 0..1.

    Raises:
        ValueError: It is none.
    """
    red, green, blue = (fraction(name, part) for part in _three(name, value))
    return red, green, blue


def _three(name: str, value: Any) -> Sequence[Any]:
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != 3:
        raise ValueError(f"{name} must be red, green and blue, got {value!r}")
    return value
