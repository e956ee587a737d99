"""Differences between two outputs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

TARGET = 1e-5
"""Maximum relative difference of numbers that count as equal in float32."""


@dataclass(frozen=True)
class Difference:
    """Difference between one output of ours and the reference's.

    Attributes:
        relative: ``max|ours - theirs| / max|theirs|`` over finite numbers; infinite where the two are not finite in the
            same places. Whole numbers, flags and text count here only as equal (0) or not.
        unequal: Number of integers, flags or strings that differ.
        compared: Number of values compared.
        faults: Differences of shape, type or presence, as text.
        exact: Whether the output has no floating-point numbers.
        rounding: How far ours and theirs are from the reference's own formula in float64, where the two are further
            apart than the target.
    """

    relative: float = 0.0
    unequal: int = 0
    compared: int = 0
    faults: tuple[str, ...] = ()
    exact: bool = True
    rounding: tuple[float, float] | None = None

    def __or__(self, other: Difference) -> Difference:
        return Difference(
            max(self.relative, other.relative),
            self.unequal + other.unequal,
            self.compared + other.compared,
            tuple(dict.fromkeys((*self.faults, *other.faults))),
            self.exact and other.exact,
            max(filter(None, (self.rounding, other.rounding)), default=None),
        )

    @property
    def met(self) -> bool:
        """Whether it is within the target, or at most twice as far from float64 as the reference is."""
        if self.faults or self.unequal:
            return False
        return self.relative <= TARGET or (
            self.rounding is not None and self.rounding[0] <= max(2 * self.rounding[1], TARGET)
        )

    def __str__(self) -> str:
        if self.faults:
            return "; ".join(self.faults)
        if not self.compared:
            return "no values"
        unequal = f"{self.unequal} of {self.compared} differ" if self.unequal else "equal"
        if self.exact:
            return unequal
        figure = "0" if self.relative == 0 else f"{self.relative:.1e}"
        if self.rounding is not None:
            figure += f" (to float64: {self.rounding[0]:.1e}, theirs {self.rounding[1]:.1e})"
        return figure if not self.unequal else f"{figure}, {unequal}"


def judged(ours: Any, theirs: Any, wide: Any) -> Difference:
    """Compare two trees; if they differ by more than the target, compare both with a third.

    Args:
        ours: What we computed.
        theirs: What the reference computed.
        wide: What the reference computed in float64; None if it did not.
    """
    found = difference(ours, theirs)
    if wide is None or found.relative <= TARGET:
        return found
    return replace(found, rounding=(difference(ours, wide).relative, difference(theirs, wide).relative))


def difference(ours: Any, theirs: Any) -> Difference:
    """Compare two trees (see `exchange`)."""
    if isinstance(theirs, np.ndarray) and isinstance(ours, np.ndarray):
        return _arrays(ours, theirs)
    if isinstance(theirs, dict) and isinstance(ours, dict):
        return _mappings(ours, theirs)
    if isinstance(theirs, list) and isinstance(ours, list):
        named = _named(ours), _named(theirs)
        if None not in named:
            return difference(*named)
        if len(ours) != len(theirs):
            return Difference(faults=(f"{len(ours)} items, theirs {len(theirs)}",))
        return _merged(difference(left, right) for left, right in zip(ours, theirs, strict=True))
    if isinstance(theirs, float) and isinstance(ours, int | float):
        return _arrays(np.asarray(ours, dtype=float), np.asarray(theirs))
    if type(ours) is not type(theirs):
        return Difference(faults=(f"{_kind(ours)}, theirs {_kind(theirs)}",))
    return Difference(unequal=int(ours != theirs), compared=1)


def _mappings(ours: dict[str, Any], theirs: dict[str, Any]) -> Difference:
    faults = [f"{key} is missing" for key in theirs if key not in ours]
    faults += [f"{key} is not theirs" for key in ours if key not in theirs]
    both = _merged(difference(ours[key], theirs[key]) for key in theirs if key in ours)
    return both | Difference(faults=tuple(faults))


def _named(items: list[Any]) -> dict[str, Any] | None:
    """Return measurements for monitors by name, in any order; None if the list has anything else."""
    if not all(isinstance(item, dict) and item.keys() == {"name", "value"} for item in items):
        return None
    return {item["name"]: item["value"] for item in items}


def _merged(differences: Any) -> Difference:
    merged = Difference()
    for each in differences:
        merged |= each
    return merged


def _arrays(ours: np.ndarray, theirs: np.ndarray) -> Difference:
    if ours.shape != theirs.shape:
        return Difference(faults=(f"shape {list(ours.shape)}, theirs {list(theirs.shape)}",))
    faults = () if ours.dtype == theirs.dtype else (f"{ours.dtype}, theirs {theirs.dtype}",)
    if theirs.dtype.kind != "f":
        return Difference(unequal=int((ours != theirs).sum()), compared=theirs.size, faults=faults)
    left, right = ours.astype(np.float64), theirs.astype(np.float64)
    finite = np.isfinite(right)
    if not np.array_equal(np.isfinite(left), finite) or not np.array_equal(left[~finite], right[~finite], True):
        return Difference(np.inf, 0, theirs.size, faults, exact=False)
    distance = np.abs(left - right)[finite].max(initial=0.0)
    largest = np.abs(right)[finite].max(initial=0.0)
    relative = 0.0 if distance == 0 else float(distance / largest) if largest else np.inf
    return Difference(relative, 0, theirs.size, faults, exact=False)


def _kind(value: Any) -> str:
    return f"array of {value.dtype}" if isinstance(value, np.ndarray) else type(value).__name__
