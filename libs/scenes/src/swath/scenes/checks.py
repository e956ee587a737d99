"""Checks that all readers share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from swath.errors import DataInvalid, FileMissing, SwathError


def existing(path: Path) -> Path:
    """Return the path of an existing file; raise FileMissing if there is none."""
    if not path.is_file():
        raise FileMissing(f"data file '{path.name}' does not exist")
    return path


@contextmanager
def parsing(name: str, what: str) -> Iterator[None]:
    """Raise every error of a parser as DataInvalid: on damaged files, parsers raise all kinds of exceptions."""
    try:
        yield
    except (SwathError, MemoryError):
        raise
    except Exception as error:
        raise DataInvalid(f"{name}: not a readable {what}: {str(error) or type(error).__name__}") from error


def as_mask(name: str, label: str, array: np.ndarray, dtype: type[np.generic]) -> np.ndarray:
    """Return ground truth as integers [H, W]; an axis of a single band is removed."""
    plane = array
    if plane.ndim == 3 and 1 in (plane.shape[0], plane.shape[2]):
        plane = plane[..., 0] if plane.shape[2] == 1 else plane[0]
    if plane.ndim != 2 or plane.dtype.kind not in "buif":
        raise DataInvalid(f"{name}: {label}: expected numbers [rows, columns], got {array.dtype} {list(array.shape)}")
    limits = np.iinfo(dtype)  # type: ignore[type-var]
    low, high = (plane.min(), plane.max()) if plane.size else (0, 0)
    if not (limits.min <= low and high <= limits.max):  # not a number fails here too
        raise DataInvalid(f"{name}: {label}: expected {limits.min} to {limits.max}, got {low} to {high}")
    whole = plane.astype(dtype)
    if plane.dtype.kind == "f" and not np.array_equal(whole, plane):
        raise DataInvalid(f"{name}: {label}: expected whole numbers, got fractions")
    return whole


def as_wavelengths(name: str, array: object) -> np.ndarray:
    """Return wavelengths as float64 [C]."""
    try:
        values = np.asarray(array).ravel().astype(np.float64)
    except (TypeError, ValueError) as error:
        raise DataInvalid(f"{name}: wavelengths: expected numbers, got {array!r:.80}") from error
    if not np.isfinite(values).all() or (values <= 0).any():
        raise DataInvalid(f"{name}: wavelengths: expected positive numbers in nm, got {values.min()} among them")
    return values
