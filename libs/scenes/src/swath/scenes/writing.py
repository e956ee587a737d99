"""Writers of images: ENVI and GeoTIFF, on the map where their scene was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from swath.scenes.checks import needed
from swath.scenes.georeference import TAGS, Georeference
from swath.scenes.readers.envi import TYPES
from swath.scenes.readers.gdal import NODATA

_CODES = {np.dtype(name): code for code, name in TYPES.items()}


def write_envi(path: Path, image: NDArray[Any], georeference: Georeference | None = None) -> list[str]:
    """Write an ENVI header and, beside it, the image (.img), interleaved by pixel.

    Args:
        path: The header.
        image: [H, W, C]; booleans become uint8, what ENVI has no type for the next wider.
        georeference: Where it lies on the map.

    Returns:
        What could not be written, in words.
    """
    stored = np.ascontiguousarray(_storable(image, _CODES))
    fields: dict[str, object] = {
        "samples": image.shape[1],
        "lines": image.shape[0],
        "bands": image.shape[2],
        "header offset": 0,
        "file type": "ENVI Standard",
        "data type": _CODES[stored.dtype],
        "interleave": "bip",
        "byte order": 0,
    }
    placed, lost = georeference.as_envi() if georeference else ({}, None)
    if _has_nan(stored):
        fields["data ignore value"] = "nan"
    stored.astype(stored.dtype.newbyteorder("<"), copy=False).tofile(path.with_suffix(".img"))
    lines = [f"{key} = {value}" for key, value in (fields | dict(placed)).items()]
    path.write_text("\n".join(["ENVI", *lines, ""]), encoding="utf-8")
    return [lost] if lost else []


def write_tiff(path: Path, image: NDArray[Any], georeference: Georeference | None = None) -> list[str]:
    """Write a TIFF, with GeoTIFF's tags where the image lies on the map; bands are planes.

    Args:
        path: The file.
        image: [H, W, C]; booleans become uint8.
        georeference: Where it lies on the map.

    Returns:
        What could not be written, in words.

    Raises:
        DependencyMissing: Without tifffile.
    """
    tifffile = needed("tifffile", extra="tiff", name=path.name, what="TIFF file")
    stored = _storable(image, _CODES)
    placed, lost = georeference.as_geotiff() if georeference else ({}, None)
    tags: list[tuple[Any, ...]] = [
        (code, TAGS[code], 0 if TAGS[code] == "s" else len(value), value, True)
        for code, value in sorted(placed.items())
    ]
    if _has_nan(stored):
        tags.append((NODATA, "s", 0, "nan", True))
    tifffile.imwrite(
        path,
        np.ascontiguousarray(stored.transpose(2, 0, 1)),
        photometric="minisblack",
        planarconfig="separate" if stored.shape[2] > 1 else None,
        metadata=None,
        software=False,
        extratags=tags,
    )
    return [lost] if lost else []


def _storable(image: NDArray[Any], types: dict[np.dtype, int]) -> NDArray[Any]:
    native = image.astype(image.dtype.newbyteorder("="), copy=False)
    if native.dtype in types:
        return native
    return native.astype({"b": np.uint8, "i": np.int16, "f": np.float32}.get(native.dtype.kind, np.float64))


def _has_nan(image: NDArray[Any]) -> bool:
    return image.dtype.kind == "f" and bool(np.isnan(image).any())
