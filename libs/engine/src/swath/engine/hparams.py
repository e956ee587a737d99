"""Checks of constructor arguments (hparams); a ValueError here becomes a `GraphInvalid` with the node's name."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any


def number(
    name: str,
    value: Any,
    *,
    above: float | None = None,
    at_least: float | None = None,
    at_most: float | None = None,
) -> float:
    """Return a finite number as float.

    Raises:
        ValueError: It is none, or not within the bounds.
    """
    if not _is_finite(value):
        raise ValueError(f"{name} must be a finite number, got {value!r}")
    if above is not None and value <= above:
        raise ValueError(f"{name} must be above {above:g}, got {value!r}")
    if at_least is not None and value < at_least:
        raise ValueError(f"{name} must be at least {at_least:g}, got {value!r}")
    if at_most is not None and value > at_most:
        raise ValueError(f"{name} must be at most {at_most:g}, got {value!r}")
    return float(value)


def fraction(name: str, value: Any) -> float:
    """Return a number of 0 to 1 as float.

    Raises:
        ValueError: It is none.
    """
    checked = number(name, value)
    if not 0 <= checked <= 1:
        raise ValueError(f"{name} must be within 0 and 1, got {value!r}")
    return checked


MAX_CHANNELS = 16_384
"""Most channels that a node is built for: a covariance of as many has 2 GiB, and no sensor comes near."""


def channels(name: str, value: Any) -> int:
    """Return a number of channels as int.

    Raises:
        ValueError: It is none, or more than a node is built for.
    """
    count = whole(name, value, at_least=1)
    if count > MAX_CHANNELS:
        raise ValueError(f"{name} must be at most {MAX_CHANNELS}, got {value!r}")
    return count


def whole(name: str, value: Any, *, at_least: int) -> int:
    """Return a whole number as int.

    Raises:
        ValueError: It is none, or below the bound.
    """
    if not _is_finite(value) or int(value) != value:
        raise ValueError(f"{name} must be a whole number, got {value!r}")
    if value < at_least:
        raise ValueError(f"{name} must be at least {at_least}, got {value!r}")
    return int(value)


def dimensions(name: str, value: Sequence[int], rank: int = 4) -> tuple[int, ...]:
    """Return dimensions of a tensor of some rank as numbers from 0, each once, in order.

    Raises:
        ValueError: There is none, or one is not from -rank to rank - 1.
    """
    checked = [whole(name, dim, at_least=-rank) for dim in value]
    if not checked or max(checked) >= rank:
        raise ValueError(f"{name} must be numbers of {-rank} to {rank - 1}, at least one, got {value!r}")
    return tuple(sorted({dim % rank for dim in checked}))


def choice(name: str, value: Any, options: Sequence[str]) -> str:
    """Return a value that is one of the options.

    Raises:
        ValueError: It is none of them.
    """
    if value not in options:
        raise ValueError(f"{name} must be one of {', '.join(options)}, got {value!r}")
    return str(value)


def quarter_turns(name: str, degrees: Any) -> int:
    """Return how many quarter turns anticlockwise a rotation is, from 0 to 3; None is no rotation.

    Raises:
        ValueError: It is no multiple of 90 from -270 to 270.
    """
    if degrees is None:
        return 0
    if not _is_finite(degrees) or degrees % 90 or abs(degrees) > 270:
        raise ValueError(f"{name} must be a multiple of 90 from -270 to 270, got {degrees!r}")
    return int(degrees) // 90 % 4


def _is_finite(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number that no float holds
        return False
