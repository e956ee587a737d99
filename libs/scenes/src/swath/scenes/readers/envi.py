"""ENVI: a text header (.hdr) beside a raw image."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from swath.errors import DataInvalid, FileMissing
from swath.scenes.checks import as_wavelengths, existing, parsing
from swath.scenes.scene import SceneData

IMAGE_SUFFIXES = (".img", ".dat", ".raw", ".bsq", ".bil", ".bip")
_MAX_HEADER_BYTES = 16 * 1024 * 1024

# Data type in a header -> numpy's; complex types (6, 9) are not supported.
_TYPES = {
    1: "u1",
    2: "i2",
    3: "i4",
    4: "f4",
    5: "f8",
    12: "u2",
    13: "u4",
    14: "i8",
    15: "u8",
}

# Interleave -> axes of the stored array, as indices of (rows, columns, bands), and the transposition to that order.
_INTERLEAVES = {"bip": ((0, 1, 2), (0, 1, 2)), "bil": ((0, 2, 1), (0, 2, 1)), "bsq": ((2, 0, 1), (1, 2, 0))}

_NANOMETRES = {
    "nanometers": 1.0,
    "nanometer": 1.0,
    "nm": 1.0,
    "micrometers": 1e3,
    "micrometer": 1e3,
    "microns": 1e3,
    "um": 1e3,
    "µm": 1e3,
    "millimeters": 1e6,
    "mm": 1e6,
    "centimeters": 1e7,
    "cm": 1e7,
    "meters": 1e9,
    "m": 1e9,
}


def read_envi(path: Path, *, name: str | None = None) -> SceneData:
    """Read a scene from an ENVI header or image; the image is mapped, not loaded.

    Supports interleaves bip, bil and bsq, both byte orders and header offsets. Wavelengths are converted to nm by the
    header's ``wavelength units``; without units (or with "Unknown"), numbers below 100 mean micrometres. The scale is
    1 / ``reflectance scale factor``.

    Raises:
        FileMissing, DataInvalid: See `swath.scenes.readers`.
    """
    header_path, image = envi_files(path)
    shown = name or header_path.name
    header = _header(shown, header_path)
    rows, columns, bands = (_number(shown, header, key) for key in ("lines", "samples", "bands"))
    offset = _number(shown, header, "header offset", default=0)
    dtype = _dtype(shown, header)
    interleave = str(_field(shown, header, "interleave")).lower()
    if interleave not in _INTERLEAVES:
        raise DataInvalid(f"{shown}: interleave: expected bip, bil or bsq, got '{interleave}'")
    expected = offset + rows * columns * bands * dtype.itemsize
    actual = image.stat().st_size
    if min(rows, columns, bands) < 1 or actual != expected:
        raise DataInvalid(
            f"{shown}: lines {rows}, samples {columns}, bands {bands} of {dtype} after {offset} bytes: "
            f"expected {expected} bytes in '{image.name}', got {actual}"
        )
    stored, back = _INTERLEAVES[interleave]
    shape = tuple((rows, columns, bands)[axis] for axis in stored)
    cube = np.memmap(image, dtype, mode="r", offset=offset, shape=shape).transpose(back)
    return SceneData(shown, cube, wavelengths=_wavelengths(shown, header), scale=_scale(shown, header))


def envi_files(path: Path) -> tuple[Path, Path]:
    """Return header and image of an ENVI pair, given either of them.

    Raises:
        FileMissing: One of the two does not exist.
    """
    existing(path)
    if path.suffix.lower() == ".hdr":
        stem = path.with_suffix("")
        candidates = [stem, *(stem.with_suffix(suffix) for suffix in IMAGE_SUFFIXES)]
        if stem.suffix:  # scene.img.hdr lies beside scene.img, and scene.v2.hdr beside scene.v2.img
            candidates += [stem.with_name(stem.name + suffix) for suffix in IMAGE_SUFFIXES]
        candidates += [candidate.with_suffix(candidate.suffix.upper()) for candidate in candidates[1:]]
        return path, _first(candidates, f"the image of ENVI header '{path.name}'")
    headers = [path.with_suffix(".hdr"), path.with_name(path.name + ".hdr"), path.with_suffix(".HDR")]
    return _first(headers, f"the ENVI header of '{path.name}'"), path


def _first(candidates: list[Path], what: str) -> Path:
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    tried = ", ".join(dict.fromkeys(candidate.name for candidate in candidates))
    raise FileMissing(f"{what} does not exist; tried {tried}")


def _header(shown: str, path: Path) -> dict[str, Any]:
    # spectral takes long to import, and only ENVI files need it.
    from spectral.io.envi import read_envi_header

    if path.stat().st_size > _MAX_HEADER_BYTES:
        raise DataInvalid(f"{shown}: an ENVI header has at most {_MAX_HEADER_BYTES} bytes, got {path.stat().st_size}")
    with parsing(shown, "ENVI header"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns that it lowers the case of field names, which is what we want
        return read_envi_header(str(path))


def _field(shown: str, header: dict[str, Any], key: str) -> Any:
    if key not in header:
        raise DataInvalid(f"{shown}: the header has no field '{key}'; it has {', '.join(sorted(header))}")
    return header[key]


def _number(shown: str, header: dict[str, Any], key: str, *, default: int | None = None) -> int:
    value = header.get(key, default) if default is not None else _field(shown, header, key)
    try:
        number = int(value)
    except (TypeError, ValueError):
        number = -1
    if number < 0:
        raise DataInvalid(f"{shown}: {key}: expected a whole number >= 0, got '{value}'")
    return number


def _dtype(shown: str, header: dict[str, Any]) -> np.dtype:
    code = _number(shown, header, "data type")
    if code not in _TYPES:
        raise DataInvalid(f"{shown}: data type: expected one of {sorted(_TYPES)}, got {code}")
    order = _number(shown, header, "byte order", default=0)
    if order not in (0, 1):
        raise DataInvalid(f"{shown}: byte order: expected 0 (little) or 1 (big), got {order}")
    return np.dtype(_TYPES[code]).newbyteorder(">" if order else "<")


def _scale(shown: str, header: dict[str, Any]) -> float:
    value = header.get("reflectance scale factor", 1)
    try:
        factor = float(value)
    except (TypeError, ValueError):
        factor = 0.0
    if not factor > 0:
        raise DataInvalid(f"{shown}: reflectance scale factor: expected a number > 0, got '{value}'")
    return 1.0 / factor


def _wavelengths(shown: str, header: dict[str, Any]) -> np.ndarray | None:
    unit = str(header.get("wavelength units", "unknown")).strip().lower()
    if "wavelength" not in header or unit == "index":
        return None
    values = as_wavelengths(shown, header["wavelength"])
    if unit in ("unknown", ""):
        return values * (1e3 if values.max() < 100 else 1.0)
    if unit in ("wavenumber", "cm-1"):
        return 1e7 / values
    if unit not in _NANOMETRES:
        raise DataInvalid(f"{shown}: wavelength units: expected Nanometers or Micrometers, got '{unit}'")
    return values * _NANOMETRES[unit]
