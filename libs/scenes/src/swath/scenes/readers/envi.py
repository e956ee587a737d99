"""ENVI: a text header (.hdr) beside a raw image."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from swath.errors import DataInvalid, FileMissing
from swath.scenes.checks import existing, parsing
from swath.scenes.draft import Draft
from swath.scenes.georeference import FIELDS, Georeference
from swath.scenes.metadata import bad_bands, divided, number
from swath.scenes.options import USUAL_NAMES
from swath.scenes.readers.envi_header import Header, read_header
from swath.scenes.wavelengths import Stored

IMAGE_SUFFIXES = (
    *(".img", ".dat", ".raw", ".bin", ".bsq", ".bil", ".bip"),
    *(".hyspex", ".pix", ".ref", ".rdn", ".rad", ".rfl", ".cub", ".cube", ".envi"),
)
"""Suffixes of images, in the order in which they are looked for; others are found where there is one alone."""

# What lies beside a header and is no image.
_OTHERS = (
    *(".hdr", ".npz", ".npy", ".mat", ".h5", ".hdf5", ".he5", ".nc", ".tif", ".tiff", ".cu3s", ".zip", ".gz", ".pdf"),
    *(".txt", ".md", ".csv", ".log", ".ini", ".xml", ".json", ".yaml", ".yml", ".enp", ".sta", ".prj", ".kml", ".lut"),
    *(".png", ".jpg", ".jpeg", ".bmp", ".gif", ".pt", ".py", ".glt", ".igm", ".roi", ".ovr"),
)

# Data type in a header -> numpy's; complex types (6, 9) and what ENVI itself does not have (7, ...) are not supported.
TYPES = {1: "u1", 2: "i2", 3: "i4", 4: "f4", 5: "f8", 12: "u2", 13: "u4", 14: "i8", 15: "u8"}

# Interleave -> axes of the stored array, as indices of (rows, columns, bands), and the transposition to that order.
_BIP, _BIL, _BSQ = ((0, 1, 2), (0, 1, 2)), ((0, 2, 1), (0, 2, 1)), ((2, 0, 1), (1, 2, 0))
_INTERLEAVES = {
    **dict.fromkeys(("bip", "pixel", "sample", "bandinterleavedbypixel"), _BIP),
    **dict.fromkeys(("bil", "line", "bandinterleavedbyline"), _BIL),
    **dict.fromkeys(("bsq", "band", "bandsequential"), _BSQ),
}


@dataclass(frozen=True)
class Layout:
    """How the lines of an image are stored.

    Attributes:
        columns, bands: Of each line.
        dtype: Of its elements.
        offset: Bytes before the first line.
        stored: Axes of the stored array, as indices of (rows, columns, bands).
        back: The transposition to that order.
    """

    columns: int
    bands: int
    dtype: np.dtype
    offset: int
    stored: tuple[int, ...]
    back: tuple[int, ...]

    @classmethod
    def of(cls, header: Header) -> Layout:
        """Read it from a header.

        Raises:
            DataInvalid: The header says something else, or nothing.
        """
        columns, bands = header.whole("samples"), header.whole("bands")
        stored, back = _interleave(header)
        return cls(columns, bands, _dtype(header), header.whole("header offset", 0), stored, back)

    @property
    def line_bytes(self) -> int:
        """Bytes of a line."""
        return self.columns * self.bands * self.dtype.itemsize


def read_envi(path: Path, name: str, *, lines: int | None = None) -> Draft:
    """Read a scene from an ENVI header or image; the image is mapped, not loaded.

    Args:
        path: The header, or the image.
        name: The file, for messages.
        lines: Lines to read; what the header says by default.

    Raises:
        FileMissing, DataInvalid: See `swath.scenes`.
    """
    header_path, image = envi_files(path)
    header = read_header(header_path, name)
    if "spectral library" in (header.get("file type") or "").lower():
        raise DataInvalid(f"{name}: file type: expected an image, got a spectral library, which has no pixels")
    rows, layout = header.whole("lines") if lines is None else lines, Layout.of(header)
    columns, bands, dtype, offset = layout.columns, layout.bands, layout.dtype, layout.offset
    if header.whole("file compression", 0):
        raise DataInvalid(f"{name}: file compression: expected an image that is not compressed (0)")
    if any(part not in ("", "0") for key in ("major", "minor") for part in header.listed(f"{key} frame offsets") or ()):
        raise DataInvalid(f"{name}: frame offsets: expected none (0), got some between the lines of the image")
    expected, actual = offset + rows * layout.line_bytes, image.stat().st_size
    if min(rows, columns, bands) < 1 or actual < expected:
        raise DataInvalid(
            f"{name}: lines {rows}, samples {columns}, bands {bands} of {dtype} after {offset} bytes: "
            f"expected {expected} bytes in '{image.name}', got {actual}"
        )
    shape = tuple((rows, columns, bands)[axis] for axis in layout.stored)
    wavelengths = header.listed("wavelength") or header.listed("wavelengths")
    ignore_value, listed_bad = header.get("data ignore value"), header.listed("bbl")
    placed = {key: value for key in FIELDS if (value := header.get(key))}
    return Draft(
        np.memmap(image, dtype, mode="r", offset=offset, shape=shape).transpose(layout.back),
        wavelengths=Stored(wavelengths, _unit(header)) if wavelengths else None,
        scale=divided(name, "reflectance scale factor", header.get("reflectance scale factor") or "1"),
        ignore_value=None if ignore_value is None else number(name, "data ignore value", ignore_value),
        bad_bands=bad_bands(name, listed_bad, bands) if listed_bad else None,
        georeference=Georeference(envi=placed) if placed else None,
        notes=tuple(_notes(header, image, actual - expected if lines is None else 0)),
    )


def envi_files(path: Path) -> tuple[Path, Path]:
    """Return header and image of an ENVI pair, given either of them; the case of suffixes does not count.

    Raises:
        FileMissing: One of the two does not exist.
    """
    existing(path)
    header = path if path.suffix.lower() == ".hdr" else find_header(path)
    if header is None:
        raise FileMissing(
            f"the ENVI header of '{path.name}' does not exist; tried {path.with_suffix('.hdr').name}, {path.name}.hdr"
        )
    return header, path if path != header else _image(header)


def find_header(image: Path) -> Path | None:
    """Return the header beside an image, None if there is none."""
    names = [f"{image.stem}.hdr", f"{image.name}.hdr"]
    return _first(image.parent, names) or _first_of(_beside(image.parent, image.stem), names)


def _image(header: Path) -> Path:
    stem = header.name[: -len(".hdr")]
    # scene.img.hdr lies beside scene.img, and scene.v2.hdr beside scene.v2.img.
    wanted = [stem, *(stem + suffix for suffix in IMAGE_SUFFIXES)]
    found = {}
    image = _first(header.parent, wanted) or _first_of(found := _beside(header.parent, stem), wanted)
    if image is not None:
        return image
    bare = stem.lower()
    others = [
        each for name, each in found.items() if Path(name).stem == bare and Path(name).suffix not in ("", *_OTHERS)
    ]
    if len(others) == 1:
        return others[0]
    also = f"; there are {', '.join(sorted(each.name for each in others))}" if others else ""
    raise FileMissing(
        f"the image of ENVI header '{header.name}' does not exist; tried {stem} alone and with "
        f"{', '.join(IMAGE_SUFFIXES)}{also}"
    )


def _first(folder: Path, names: list[str]) -> Path | None:
    """Return the first of some files that exists just so: a folder of many scenes need not be listed for each."""
    return next((each for each in map(folder.joinpath, names) if each.is_file()), None)


def _first_of(found: dict[str, Path], names: list[str]) -> Path | None:
    return next((found[name.lower()] for name in names if name.lower() in found), None)


def _beside(folder: Path, start: str) -> dict[str, Path]:
    """Return the files whose names start like this, by name in lower case."""
    with parsing(start, "file: its folder cannot be listed"), os.scandir(folder) as listed:
        fitting = sorted(each.name for each in listed if each.name.lower().startswith(start.lower()) and each.is_file())
    return {name.lower(): folder / name for name in reversed(fitting)}


def _unit(header: Header) -> str | None:
    return next(
        (unit for name in USUAL_NAMES["wavelength_units"] if (unit := header.get(name.replace("_", " ")))), None
    )


def _interleave(header: Header) -> tuple[tuple[int, ...], tuple[int, ...]]:
    value = header.required("interleave")
    plain = "".join(each for each in value.lower() if each.isalpha())
    if plain not in _INTERLEAVES:
        raise DataInvalid(f"{header.name}: interleave: expected bip, bil or bsq, got '{value.lower()}'")
    return _INTERLEAVES[plain]


def _dtype(header: Header) -> np.dtype:
    code = header.whole("data type")
    if code not in TYPES:
        raise DataInvalid(f"{header.name}: data type: expected one of {sorted(TYPES)}, got {code}")
    order = header.whole("byte order", 0)
    if order not in (0, 1):
        raise DataInvalid(f"{header.name}: byte order: expected 0 (little) or 1 (big), got {order}")
    return np.dtype(TYPES[code]).newbyteorder(">" if order else "<")


def _notes(header: Header, image: Path, more: int) -> list[str]:
    notes = [f"'{image.name}' has {more} bytes after the data, which are not read"] if more else []
    for key in ("data gain values", "data offset values"):
        if any(part not in ("0", "1") for part in _plain_numbers(header.listed(key))):
            notes.append(f"'{key}' of the header are not applied")
    return notes


def _plain_numbers(parts: list[str] | None) -> list[str]:
    return [part.rstrip("0").rstrip(".") if "." in part else part for part in parts or ()]
