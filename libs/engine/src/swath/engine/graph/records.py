"""Measurements and pictures, which metrics and visualisers pass to monitors over list ports."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Measurement:
    """One number.

    Attributes:
        name: Name below the stage, such as ``iou``.
        value: The number.
    """

    name: str
    value: float


@dataclass(frozen=True)
class Picture:
    """One image.

    Attributes:
        name: Name below the stage; the same name at a later step is the next state of the same picture.
        pixels: RGB, uint8, shape ``[H, W, 3]``.
    """

    name: str
    pixels: NDArray[np.uint8]


def flatten(values: list[Any]) -> list[Any]:
    """Return the items of a variadic list port, which holds one list per edge, as one list."""
    flat: list[Any] = []
    for value in values:
        if isinstance(value, list):
            flat.extend(value)
        else:
            flat.append(value)
    return flat


def defined(values: Mapping[str, float]) -> dict[str, float]:
    """Return numbers without those that are NaN: what is not defined is reported as missing, never as a number."""
    return {name: value for name, value in values.items() if not math.isnan(value)}
