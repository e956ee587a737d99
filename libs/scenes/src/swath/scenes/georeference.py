"""Where a scene lies on the map, as ENVI headers and GeoTIFF tags say it.

A result keeps what its scene has, word for word, in a file of the same kind. Between the two kinds the common ways are
translated: a grid that is not turned, in UTM or in degrees, on a datum that has EPSG codes, or with a WKT string.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

SCALE, TIEPOINTS, MATRIX, KEYS, DOUBLES, TEXTS = 33550, 33922, 34264, 34735, 34736, 34737
"""GeoTIFF's tags: pixel scale, tie points, transformation, directory of keys, numbers and texts of keys."""

TAGS: Mapping[int, str] = {SCALE: "d", TIEPOINTS: "d", MATRIX: "d", KEYS: "H", DOUBLES: "d", TEXTS: "s"}
"""GeoTIFF's tags and their types as `struct` has them."""

FIELDS = ("map info", "projection info", "coordinate system string")
"""ENVI's fields."""

_MODEL, _RASTER, _GEOGRAPHIC, _GEO_TEXT, _PROJECTED, _PROJECTED_TEXT = 1024, 1025, 2048, 2049, 3072, 3073
_USER_DEFINED, _POINT = 32767, 2
_WKT_PREFIX = "ESRI PE String = "  # how ESRI and GDAL put a WKT string into a GeoTIFF

_ALL_ZONES = range(1, 61)


class _Datum(NamedTuple):
    """A datum: EPSG code of its degrees, codes of its UTM zone 0 north and south, and the zones that have codes.

    Codes of other numbers there mean something else, such as a State Plane zone.
    """

    degrees: int
    north: int
    south: int | None
    zones: range


_WGS84 = _Datum(4326, 32600, 32700, _ALL_ZONES)
_WGS72 = _Datum(4322, 32200, 32300, _ALL_ZONES)
_ETRS89 = _Datum(4258, 25800, None, range(28, 39))
_NAD83 = _Datum(4269, 26900, None, range(1, 24))
_NAD27 = _Datum(4267, 26700, None, range(1, 23))

# By their names in ENVI's map info, without blanks and signs.
_DATUMS: Mapping[str, _Datum] = {
    "wgs84": _WGS84,
    "wgs72": _WGS72,
    "etrs89": _ETRS89,
    "etrs1989": _ETRS89,
    "nad83": _NAD83,
    "northamerica1983": _NAD83,
    "nad27": _NAD27,
    "northamerica1927": _NAD27,
}
_DATUM_NAMES = {4326: "WGS-84", 4322: "WGS-72", 4258: "ETRS89", 4269: "North America 1983", 4267: "North America 1927"}


@dataclass(frozen=True)
class Georeference:
    """Where a scene lies on the map, as its file says it: by one of the two.

    Attributes:
        envi: ENVI's fields, such as ``map info``, with their braces.
        geotiff: GeoTIFF's tags by code.
    """

    envi: Mapping[str, str] = field(default_factory=dict)
    geotiff: Mapping[int, Any] = field(default_factory=dict)

    def as_envi(self) -> tuple[Mapping[str, str], str | None]:
        """Return ENVI's fields, and what of the georeference they do not say; None if nothing is lost."""
        return (self.envi, None) if self.envi else _to_envi(self.geotiff)

    def as_geotiff(self) -> tuple[Mapping[int, Any], str | None]:
        """Return GeoTIFF's tags, and what of the georeference they do not say; None if nothing is lost."""
        return (self.geotiff, None) if self.geotiff else _to_geotiff(self.envi)


def _to_geotiff(fields: Mapping[str, str]) -> tuple[dict[int, Any], str | None]:
    wkt = fields.get("coordinate system string", "").strip().strip("{}").strip()
    parts = [part.strip() for part in fields.get("map info", "").strip().strip("{}").split(",")]
    try:
        column, row, x, y, width, height = (float(part) for part in parts[1:7])
    except ValueError:
        return {}, "the scene's map info has no pixel, position and size that a GeoTIFF could say"
    turned = [part.partition("=")[2].strip() for part in parts[7:] if part.lower().startswith("rotation")]
    if any(each.strip("0.+-") for each in turned):
        return {}, "the scene's grid is turned on the map, which only ENVI files say here: write .hdr"
    # ENVI counts from 1 at the upper left corner of the first pixel.
    tags: dict[int, Any] = {
        SCALE: (width, height, 0.0),
        TIEPOINTS: (column - 1, row - 1, 0.0, x, y, 0.0),
    }
    code = _epsg(parts)
    if code is not None:
        geographic = code in _DATUM_NAMES
        return tags | _directory(geographic, code), None
    if wkt.upper().startswith(("PROJCS", "GEOGCS")):
        return tags | _directory(wkt.upper().startswith("GEOGCS"), _USER_DEFINED, _WKT_PREFIX + wkt), None
    return (
        tags,
        f"the GeoTIFF has the scene's grid, and not its coordinate system '{', '.join([parts[0], *parts[7:]])}'",
    )


def _epsg(parts: list[str]) -> int | None:
    """Return the EPSG code of a map info's coordinate system, None if it has none here."""
    system, rest = parts[0].lower(), [part for part in parts[7:] if part and "=" not in part]
    datum = _DATUMS.get("".join(each for each in rest[-1].lower() if each.isalnum())) if rest else None
    if datum is None:
        return None
    if system.startswith("geographic"):
        return datum.degrees
    if system == "utm" and len(rest) == 3 and rest[0].isdecimal() and int(rest[0]) in datum.zones:
        base = datum.north if rest[1].lower().startswith("n") else datum.south
        return None if base is None else base + int(rest[0])
    return None


def _directory(geographic: bool, code: int, text: str = "") -> dict[int, Any]:
    keys = [(_MODEL, 0, 1, 2 if geographic else 1), (_RASTER, 0, 1, 1)]
    keys.append((_GEOGRAPHIC if geographic else _PROJECTED, 0, 1, code))
    tags: dict[int, Any] = {}
    if text:
        tags[TEXTS] = text + "|"
        keys.append((_GEO_TEXT if geographic else _PROJECTED_TEXT, TEXTS, len(text) + 1, 0))
    flat = [number for key in sorted(keys) for number in key]
    return {KEYS: (1, 1, 0, len(keys), *flat), **tags}


def _to_envi(tags: Mapping[int, Any]) -> tuple[dict[str, str], str | None]:
    keys, wkt = _read_keys(tags)
    grid = _grid(tags)
    if grid is None:
        return (
            {},
            "the scene's grid is turned on the map or has several tie points, which ENVI files do not say: write .tif",
        )
    column, row, x, y, width, height = grid
    first = 1.5 if keys.get(_RASTER) == _POINT else 1.0
    place = f"{column + first:.12g}, {row + first:.12g}, {x!r}, {y!r}, {width!r}, {height!r}"
    text = {"coordinate system string": "{" + wkt + "}"} if wkt else {}
    degrees = keys.get(_GEOGRAPHIC)
    projected = keys.get(_PROJECTED, 0)
    if keys.get(_MODEL) == 2 and degrees in _DATUM_NAMES:
        return {"map info": f"{{Geographic Lat/Lon, {place}, {_DATUM_NAMES[degrees]}, units=Degrees}}"} | text, None
    for datum in _DATUMS.values():
        for base, half in ((datum.north, "North"), (datum.south, "South")):
            if base is not None and projected - base in datum.zones:
                zone = f"{projected - base}, {half}, {_DATUM_NAMES[datum.degrees]}, units=Meters"
                return {"map info": f"{{UTM, {place}, {zone}}}"} | text, None
    lost = (
        None
        if wkt
        else f"the ENVI header has the scene's grid, and not its coordinate system (EPSG {projected or degrees})"
    )
    return {"map info": f"{{Arbitrary, {place}, 0, North}}"} | text, lost


def _grid(tags: Mapping[int, Any]) -> tuple[float, ...] | None:
    """Return column and row, counted from 0, of a point, its x and y, and width and height of a pixel."""
    if SCALE in tags and len(tags.get(TIEPOINTS, ())) == 6:
        column, row, _, x, y, _ = (float(number) for number in tags[TIEPOINTS])
        return column, row, x, y, float(tags[SCALE][0]), float(tags[SCALE][1])
    matrix = [float(number) for number in tags.get(MATRIX, ())]
    if len(matrix) == 16 and matrix[1] == matrix[4] == 0 and matrix[0] > 0 > matrix[5]:
        return 0.0, 0.0, matrix[3], matrix[7], matrix[0], -matrix[5]
    return None


def _read_keys(tags: Mapping[int, Any]) -> tuple[dict[int, int], str]:
    """Return the numbers of a GeoKeyDirectory by key, and a WKT string that stands in its texts."""
    directory = [int(number) for number in tags.get(KEYS, ())]
    texts, keys, wkt = str(tags.get(TEXTS, "")), {}, ""
    for key, tag, count, value in zip(*(iter(directory[4:]),) * 4, strict=False):
        if tag == 0:
            keys[key] = value
        elif tag == TEXTS and (text := texts[value : value + count]).startswith(_WKT_PREFIX):
            wkt = text.removeprefix(_WKT_PREFIX).rstrip("|\0")
    return keys, wkt
