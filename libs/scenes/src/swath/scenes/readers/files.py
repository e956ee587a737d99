"""Scene and mask files by suffix."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from swath.errors import DataInvalid
from swath.scenes.checks import as_mask, existing, parsing
from swath.scenes.readers.cu3s import Recording
from swath.scenes.readers.envi import IMAGE_SUFFIXES, envi_files, read_envi
from swath.scenes.readers.mat import mat_arrays, read_mat
from swath.scenes.readers.npz import npz_arrays, read_npz
from swath.scenes.readers.tiff import read_tiff
from swath.scenes.scene import SceneData, Variables

_ENVI = (".hdr", *IMAGE_SUFFIXES)
_TIFF = (".tif", ".tiff")

SUFFIXES = (".npz", ".mat", *_TIFF, *_ENVI, ".cu3s")
"""Suffixes of scene files; a file without a suffix is read as an ENVI image."""


def files_of(path: Path) -> tuple[Path, ...]:
    """Return all files that reading a scene or mask opens: the file, or both files of an ENVI pair.

    Raises:
        FileMissing: One of them does not exist.
    """
    return envi_files(path) if path.suffix.lower() in ("", *_ENVI) else (existing(path),)


def read_scene(
    path: Path,
    variables: Variables | None = None,
    *,
    measurement: int = 0,
    processing_mode: str = "Raw",
    name: str | None = None,
) -> SceneData:
    """Read a scene file by its suffix.

    Args:
        path: An npz, MAT, TIFF, ENVI (header or image) or cu3s file.
        variables: Names of the arrays in npz and MAT files.
        measurement: Which one of a cu3s recording.
        processing_mode: How a cu3s recording is processed.
        name: Name of the file in messages; its own name by default.

    Raises:
        FileMissing, DataInvalid, DependencyMissing: See `swath.scenes.readers`.
    """
    suffix = path.suffix.lower()
    if suffix == ".npz":
        return read_npz(path, variables, name=name)
    if suffix == ".mat":
        return read_mat(path, variables, name=name)
    if suffix in _TIFF:
        return read_tiff(path, name=name)
    if suffix in ("", *_ENVI):
        return read_envi(path, name=name)
    if suffix == ".cu3s":
        recording = Recording(path, processing_mode, name=name)
        try:
            return recording.read(measurement)
        finally:
            recording.close()
    raise DataInvalid(f"{name or path.name}: expected a scene file ({', '.join(SUFFIXES)}), got suffix '{path.suffix}'")


def read_mask(path: Path, variable: str | None = None, *, name: str | None = None) -> np.ndarray:
    """Read ground truth, int32 [H, W], from an npz, MAT, TIFF, ENVI or PNG file.

    Args:
        path: The file.
        variable: Name of the array in npz and MAT files.
        name: Name of the file in messages; its own name by default.

    Raises:
        FileMissing, DataInvalid, DependencyMissing: See `swath.scenes.readers`.
    """
    shown = name or path.name
    suffix = path.suffix.lower()
    if suffix == ".npz":
        return npz_arrays(path, name=shown).plane(variable)
    if suffix == ".mat":
        return mat_arrays(path, name=shown).plane(variable)
    if suffix in _TIFF:
        return as_mask(shown, "mask", read_tiff(path, name=shown).cube, np.int32)
    if suffix in ("", *_ENVI):
        return as_mask(shown, "mask", read_envi(path, name=shown).cube, np.int32)
    if suffix == ".png":
        return as_mask(shown, "mask", read_png(path, "L"), np.int32)
    raise DataInvalid(f"{shown}: expected a mask file (.npz, .mat, .tif, .hdr, .png), got suffix '{path.suffix}'")


def read_png(path: Path, mode: str, size: tuple[int, int] | None = None) -> np.ndarray:
    """Read an image as uint8: [H, W] in mode L, [H, W, 3] in mode RGB.

    Args:
        path: The file.
        mode: L or RGB; other modes are converted.
        size: Rows and columns to resize it to, by nearest neighbour.
    """
    from PIL import Image

    existing(path)
    with parsing(path.name, "picture"), Image.open(path) as image:
        # The indices of a palette are the labels; its colours are for display only.
        picture = image if mode == "L" and image.mode == "P" else image.convert(mode)
        if size is not None and picture.size != (size[1], size[0]):
            picture = picture.resize((size[1], size[0]), Image.Resampling.NEAREST)
        return np.array(picture, dtype=np.uint8)
