"""TIFF: one image with the bands as samples or pages, and what GDAL says of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from swath.errors import DataInvalid, DependencyMissing
from swath.scenes.checks import existing, needed, parsing
from swath.scenes.draft import Draft
from swath.scenes.georeference import TAGS, Georeference
from swath.scenes.metadata import number
from swath.scenes.readers.gdal import METADATA, NODATA, read_gdal

_REDUCED, _TRANSPARENCY = 1, 4  # bits of NewSubfileType


def read_tiff(path: Path, name: str) -> Draft:
    """Read a scene from a TIFF file; uncompressed ones are mapped, not loaded.

    Axes are YXS (bands as samples), or bands first (pages, SYX); YX is a cube of one band. Wavelengths, scale and the
    ignore value come from GDAL's tags.

    Args:
        path: The file.
        name: The file, for messages.

    Raises:
        FileMissing, DataInvalid, DependencyMissing: See `swath.scenes`.
    """
    existing(path)
    # tifffile takes long to import, and only TIFF files need it.
    tifffile = needed("tifffile", extra="tiff", name=name, what="TIFF file")
    # Without these flags, files of these formats may refer to other files anywhere, which would be read.
    with (
        parsing(name, "TIFF file"),
        tifffile.TiffFile(path, is_ome=False, is_mmstack=False, is_ndtiff=False) as file,
    ):
        series, tags = file.series[0], file.pages.first.tags
        text = str(tags[METADATA].value) if METADATA in tags else ""
        nodata = str(tags[NODATA].value).strip("\0 \n") if NODATA in tags else ""
        placed = {code: tags[code].value for code in TAGS if code in tags}
        others = sum(1 for each in file.series[1:] if not int(each.keyframe.subfiletype) & (_REDUCED | _TRANSPARENCY))
        if series.dataoffset is not None and series.keyframe.is_memmappable:
            dtype = np.dtype(series.dtype).newbyteorder(file.byteorder)
            stored: np.ndarray = np.memmap(path, dtype, mode="r", offset=series.dataoffset, shape=series.shape)
        else:
            stored = _decoded(name, series)
        axes = series.axes
    cube = _rows_columns_bands(name, stored, axes)
    gdal = read_gdal(name, text, cube.shape[2])
    return Draft(
        cube,
        wavelengths=gdal.wavelengths,
        scale=gdal.said.scale,
        offset=gdal.said.offset,
        ignore_value=number(name, "nodata", nodata) if nodata else gdal.said.ignore_value,
        bad_bands=gdal.said.bad_bands,
        georeference=Georeference(geotiff=placed) if placed else None,
        notes=(*gdal.said.notes, *((f"{others} more images in the file are not read",) if others else ())),
    )


def _decoded(name: str, series: Any) -> np.ndarray:
    try:
        return np.asarray(series.asarray())
    except ValueError as error:
        if "imagecodecs" in str(error):
            raise DependencyMissing(
                f"{name}: its compression needs the package imagecodecs, which is not installed here; "
                f"install it with: pip install 'swath-scenes[codecs]' ({error})",
                metadata={"package": "imagecodecs"},
            ) from error
        raise


def _rows_columns_bands(name: str, stored: np.ndarray, axes: str) -> np.ndarray:
    if stored.ndim == 2:
        return stored[..., None]
    if stored.ndim == 3 and axes == "YXS":
        return stored
    if stored.ndim == 3 and axes.endswith("YX"):
        return stored.transpose(1, 2, 0)
    raise DataInvalid(f"{name}: expected axes YXS, bands before YX, or YX, got {axes} with shape {list(stored.shape)}")
