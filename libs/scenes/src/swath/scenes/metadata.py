"""Scale, ignore value and bad bands, as headers and attributes say them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from swath.errors import DataInvalid
from swath.scenes.checks import as_text

_IGNORE = ("_fillvalue", "missing_value", "data_ignore_value", "data ignore value", "nodata", "nodata_value")


@dataclass(frozen=True)
class Said:
    """What is said of a cube's numbers; attributes as of `swath.scenes.Scene`."""

    scale: float | NDArray[np.float64] = 1.0
    offset: float | NDArray[np.float64] = 0.0
    ignore_value: float | None = None
    bad_bands: NDArray[np.bool_] | None = None
    notes: tuple[str, ...] = ()


def numbers_of_attributes(name: str, attributes: Mapping[str, Any], cube: NDArray[Any]) -> Said:
    """Read what attributes of an array in HDF5 or zarr say.

    ``scale_factor`` multiplies and ``add_offset`` is added, as the CF conventions have it. ``Scale_Factor`` (in
    capitals, as of airborne reflectance in HDF5) and ``reflectance scale factor`` (ENVI) divide. In other capitals,
    such as ``SCALE_FACTOR``, numbers above 1 divide, which a note says, and others multiply.

    Raises:
        DataInvalid: A number that is none.
    """
    lower = {key.lower(): value for key, value in attributes.items()}
    scale: float | NDArray[np.float64] = 1.0
    for key in ("reflectance scale factor", "reflectance_scale_factor"):
        if key in lower:
            scale = divided(name, key, lower[key])
    notes: tuple[str, ...] = ()
    if "Scale_Factor" in attributes:
        scale = divided(name, "Scale_Factor", attributes["Scale_Factor"])
    elif "scale_factor" in lower:
        key = next(key for key in ("scale_factor", *attributes) if key in attributes and key.lower() == "scale_factor")
        scale = _of_bands(name, key, attributes[key], cube.shape[-1])
        if key != "scale_factor" and np.all(np.asarray(scale) > 1):
            scale = 1.0 / scale
            notes = (f"{name}: {key} is above 1 and taken as a divisor; scale says otherwise",)
    offset = _of_bands(name, "add_offset", lower["add_offset"], cube.shape[-1]) if "add_offset" in lower else 0.0
    ignored = next((key for key in _IGNORE if key in lower), None)
    return Said(
        scale,
        offset,
        None if ignored is None else number(name, ignored, lower[ignored]),
        None if "bbl" not in lower else bad_bands(name, np.asarray(lower["bbl"]).ravel().tolist(), cube.shape[-1]),
        notes,
    )


def number(name: str, label: str, value: Any) -> float:
    """Return a number, also one that is written as text or as an array of one.

    Raises:
        DataInvalid: It is none.
    """
    try:
        return float(as_text(value) or np.asarray(value).ravel()[0])
    except (TypeError, ValueError, IndexError):
        raise DataInvalid(f"{name}: {label}: expected a number, got '{value}'") from None


def _of_bands(name: str, label: str, value: Any, bands: int) -> float | NDArray[np.float64]:
    """Return a number, or one for each band."""
    if as_text(value) or np.size(value) == 1:
        return number(name, label, value)
    listed = np.asarray(value).ravel()
    if listed.size != bands:
        raise DataInvalid(f"{name}: {label}: expected one number, or one for each of {bands} bands, got {listed.size}")
    return np.array([number(name, label, each) for each in listed])


def divided(name: str, label: str, value: Any) -> float:
    """Return what multiplies numbers that a factor divides.

    Raises:
        DataInvalid: The factor is no number above 0.
    """
    try:
        factor = number(name, label, value)
    except DataInvalid:
        factor = 0.0
    if not 0 < factor < np.inf:
        raise DataInvalid(f"{name}: {label}: expected a number > 0, got '{value}'")
    return 1.0 / factor


def bad_bands(name: str, listed: list[Any], bands: int) -> NDArray[np.bool_]:
    """Return the bands that a list of ENVI, ``bbl``, marks bad: 0 is bad, 1 is good.

    Raises:
        DataInvalid: There is not one number for each band.
    """
    try:
        good = np.asarray([float(each) for each in listed])
    except (TypeError, ValueError):
        raise DataInvalid(f"{name}: bbl: expected numbers, 0 for a bad band and 1 for a good one") from None
    if good.size != bands:
        raise DataInvalid(f"{name}: bbl: expected one for each of {bands} bands, got {good.size}")
    return good == 0
