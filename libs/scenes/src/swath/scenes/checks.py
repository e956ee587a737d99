"""Checks that all readers share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from swath.errors import DataInvalid, DependencyMissing, FileMissing, SwathError


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
        # The whole text of what the system refuses has the path on this machine.
        reason = (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__
        raise DataInvalid(f"{name}: not a readable {what}: {reason}") from error


def needed(module: str, *, extra: str, name: str, what: str) -> Any:
    """Import a module of an optional package.

    Args:
        module: The module, such as ``scipy.io``.
        extra: The extra of ``swath-scenes`` that installs it.
        name: The file that needs it.
        what: What the file is.

    Raises:
        DependencyMissing: It is not installed; the message says by what command it is.
    """
    try:
        return import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise DependencyMissing(
            f"{name} is a {what} and needs the package {package}, which is not installed here; "
            f"install it with: pip install 'swath-scenes[{extra}]'",
            metadata={"package": package},
        ) from error


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


def as_text(value: object) -> str | None:
    """Return a text that a file stores as bytes, as an array of one, or as characters; None if it is none."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace").strip("\0 \n")
    if isinstance(value, str):
        return value.strip("\0 \n")
    array = np.asarray(value)
    if array.dtype.kind not in "SUO" or array.size == 0:
        return None
    first = array.ravel()[0]
    return as_text(first) if isinstance(first, (bytes, str)) else None
