"""What GDAL says of a TIFF, in a tag of XML."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from xml.etree import ElementTree as ET

import numpy as np

from swath.errors import DataInvalid
from swath.scenes.metadata import Said, bad_bands, divided, number
from swath.scenes.wavelengths import Stored, is_of_light

METADATA, NODATA = 42112, 42113
"""GDAL's tags."""

_VALUE_AND_UNIT = re.compile(r"^\D*?([0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?)\s*([^\d\s(),;]+)?\W*$")


@dataclass(frozen=True)
class Gdal:
    """Wavelengths, and what is said of the numbers."""

    wavelengths: Stored | None = None
    said: Said = field(default_factory=Said)


def read_gdal(name: str, text: str, bands: int) -> Gdal:
    """Read GDAL's metadata: items of the whole file, and of each band.

    Wavelengths are ``wavelength`` of each band, a list of that name of the file, or ``CENTRAL_WAVELENGTH_UM`` of each
    band. Scale and offset are those of the bands (roles ``scale`` and ``offset``), or ENVI's ``reflectance scale
    factor``.

    Args:
        name: The file, for messages.
        text: The tag.
        bands: Bands of the cube.

    Raises:
        DataInvalid: Numbers that are none, or not one for each band.
    """
    whole: dict[str, str] = {}
    each: dict[str, dict[int, str]] = {}
    for item in _items(text):
        key, sample, value = (item.get("role") or item.get("name") or ""), item.get("sample"), (item.text or "").strip()
        key = key.lower().replace(" ", "_")
        if sample is None:
            whole[key] = value
        elif sample.isdecimal():
            each.setdefault(key, {})[int(sample)] = value
    scale: float | np.ndarray = 1.0
    if "reflectance_scale_factor" in whole:
        scale = divided(name, "reflectance_scale_factor", whole["reflectance_scale_factor"])
    if "scale" in each:
        scale = _of_bands(name, "scale", each["scale"], bands, 1.0)
    offset = _of_bands(name, "offset", each["offset"], bands, 0.0) if "offset" in each else 0.0
    ignored, listed_bad = whole.get("data_ignore_value"), whole.get("bbl")
    said = Said(
        scale,
        offset,
        number(name, "data_ignore_value", ignored) if ignored else None,
        bad_bands(name, _listed(listed_bad), bands) if listed_bad else None,
    )
    return Gdal(_wavelengths(whole, each, bands), said)


def _items(text: str) -> list[ET.Element]:
    if not text.strip("\0 \n") or "<!" in text.replace("<!--", ""):  # a document type could define what explodes
        return []
    try:
        return list(ET.fromstring(text.strip("\0 \n")).iter("Item"))
    except ET.ParseError:
        return []


def _wavelengths(whole: dict[str, str], each: dict[str, dict[int, str]], bands: int) -> Stored | None:
    unit = whole.get("wavelength_units") or next(iter(each.get("wavelength_units", {}).values()), None)
    for key, own_unit in (("wavelength", unit), ("wavelengths", unit), ("central_wavelength_um", "um")):
        if key in each:
            return Stored([each[key][band] for band in sorted(each[key])], own_unit)
        if key in whole:
            return Stored(_listed(whole[key]), own_unit)
    named = [whole.get(f"band_{band + 1}") or each.get("description", {}).get(band, "") for band in range(bands)]
    found = [match for match in map(_VALUE_AND_UNIT.match, named) if match and match[2]]
    if len(found) == bands and len({match[2] for match in found}) == 1 and is_of_light(found[0][2]):
        return Stored([match[1] for match in found], found[0][2])
    return None


def _of_bands(name: str, key: str, values: dict[int, str], bands: int, missing: float) -> float | np.ndarray:
    if any(band >= bands for band in values):
        raise DataInvalid(f"{name}: {key}: expected bands below {bands}, got {max(values)}")
    numbers = [number(name, key, values[band]) if band in values else missing for band in range(bands)]
    return numbers[0] if len(set(numbers)) == 1 else np.array(numbers)


def _listed(text: str) -> list[str]:
    parts = [part.strip() for part in text.strip("{} \n").split(",")]
    return [part for at, part in enumerate(parts) if part or at < len(parts) - 1]
