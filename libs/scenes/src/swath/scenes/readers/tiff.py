"""TIFF: one image with the bands as samples or pages."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from swath.errors import DataInvalid, DependencyMissing
from swath.scenes.checks import as_wavelengths, existing, parsing
from swath.scenes.scene import SceneData

_GDAL_WAVELENGTHS = re.compile(r'<Item name="wavelength"[^>]*>\s*\{?([^<}]*)\}?\s*<')


def read_tiff(path: Path, *, name: str | None = None) -> SceneData:
    """Read a scene from a TIFF file; uncompressed ones are mapped, not loaded.

    Axes are YXS (bands as samples), or bands first (pages, SYX); YX is a cube of one band. Wavelengths come from GDAL's
    metadata tag (ENVI's ``wavelength``, nm).

    Raises:
        FileMissing, DataInvalid, DependencyMissing: See `swath.scenes.readers`; some compressions need the
            package imagecodecs.
    """
    # tifffile takes long to import, and only TIFF files need it.
    import tifffile

    shown = name or path.name
    existing(path)
    # Without these flags, files of these formats may refer to other files anywhere, which would be read.
    with (
        parsing(shown, "TIFF file"),
        tifffile.TiffFile(path, is_ome=False, is_mmstack=False, is_ndtiff=False) as file,
    ):
        series = file.series[0]
        tag = file.pages.first.tags.get("GDAL_METADATA")
        text = str(tag.value) if tag is not None else ""
        if series.dataoffset is not None and series.keyframe.is_memmappable:
            dtype = np.dtype(series.dtype).newbyteorder(file.byteorder)
            stored: np.ndarray = np.memmap(path, dtype, mode="r", offset=series.dataoffset, shape=series.shape)
        else:
            stored = _decoded(shown, series)
        axes = series.axes
    return SceneData(shown, _rows_columns_bands(shown, stored, axes), wavelengths=_wavelengths(shown, text))


def _decoded(shown: str, series: object) -> np.ndarray:
    try:
        return np.asarray(series.asarray())  # type: ignore[attr-defined]
    except ValueError as error:
        if "imagecodecs" in str(error):
            raise DependencyMissing(
                f"{shown}: its compression needs the package imagecodecs on the server ({error})"
            ) from error
        raise


def _rows_columns_bands(shown: str, stored: np.ndarray, axes: str) -> np.ndarray:
    if stored.ndim == 2:
        return stored[..., None]
    if stored.ndim == 3 and axes == "YXS":
        return stored
    if stored.ndim == 3 and axes.endswith("YX"):
        return stored.transpose(1, 2, 0)
    raise DataInvalid(f"{shown}: expected axes YXS, bands before YX, or YX, got {axes} with shape {list(stored.shape)}")


def _wavelengths(shown: str, metadata: str) -> np.ndarray | None:
    match = _GDAL_WAVELENGTHS.search(metadata)
    if not match:
        return None
    return as_wavelengths(shown, [part for part in match[1].split(",") if part.strip()])
