"""The table of formats, and reading by it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from swath.errors import DataInvalid, FileMissing
from swath.scenes.checks import as_mask, existing, parsing
from swath.scenes.draft import Draft, finished
from swath.scenes.options import Options
from swath.scenes.readers.array_file import ArrayFile
from swath.scenes.readers.cu3s import Recording
from swath.scenes.readers.envi import IMAGE_SUFFIXES, envi_files, find_header, read_envi
from swath.scenes.readers.hdf5 import hdf5_arrays
from swath.scenes.readers.mat import mat_arrays
from swath.scenes.readers.npz import npz_arrays
from swath.scenes.readers.tiff import read_tiff
from swath.scenes.readers.zarr import zarr_arrays
from swath.scenes.scene import Scene


@dataclass(frozen=True)
class Format:
    """One kind of files.

    Attributes:
        name: Its name.
        suffixes: Suffixes of its files, in lower case.
        package: The package that reads it, besides numpy; empty where it needs none.
        extra: The extra of ``swath-scenes`` that installs it.
        arrays: Lists the arrays of a file, for files of several.
        image: Reads a file that is one image.
    """

    name: str
    suffixes: tuple[str, ...]
    package: str = ""
    extra: str = ""
    arrays: Callable[[Path, str], ArrayFile] | None = None
    image: Callable[[Path, str], Draft] | None = None


FORMATS = (
    Format("ENVI", (".hdr", *IMAGE_SUFFIXES), image=read_envi),
    Format("npz", (".npz",), arrays=npz_arrays),
    Format("MAT", (".mat",), "scipy; h5py for version 7.3", "mat", arrays=mat_arrays),
    Format("TIFF", (".tif", ".tiff"), "tifffile; imagecodecs for LZW and other packings", "tiff", image=read_tiff),
    Format("HDF5", (".h5", ".hdf5", ".he5", ".nc"), "h5py", "hdf5", arrays=hdf5_arrays),
    Format("zarr", (".zarr",), "zarr", "zarr", arrays=zarr_arrays),
    Format("cu3s", (".cu3s",), "Cubert's cuvis SDK"),
)
"""What is read: the one table for training and inference. A file of any other suffix is an ENVI image where a header
lies beside it."""

SUFFIXES = tuple(suffix for each in FORMATS for suffix in each.suffixes)

_ENVI, _CU3S = FORMATS[0], FORMATS[-1]
_BY_SUFFIX = {suffix: each for each in FORMATS for suffix in each.suffixes}


def format_of(path: Path, name: str) -> Format:
    """Return the format of a file by its suffix, or by an ENVI header beside it.

    Raises:
        DataInvalid: It is none of them.
    """
    found = _BY_SUFFIX.get(path.suffix.lower())
    if found is None and (not path.suffix or (path.is_file() and find_header(path) is not None)):
        found = _ENVI
    if found is None:
        raise DataInvalid(
            f"{name}: expected a scene file ({', '.join(SUFFIXES)}) or an image beside an ENVI header, "
            f"got suffix '{path.suffix}'"
        )
    return found


def files_of(path: Path) -> tuple[Path, ...]:
    """Return all files that reading a scene or mask opens: the file, or both files of an ENVI pair.

    Raises:
        FileMissing: One of them does not exist.
    """
    if path.is_dir():
        return (path,)
    is_envi = path.suffix.lower() in ("", *_ENVI.suffixes) or (
        path.suffix.lower() not in _BY_SUFFIX and find_header(path) is not None
    )
    return envi_files(path) if is_envi else (existing(path),)


def read_scenes(path: Path, options: Options | None = None, *, name: str | None = None) -> Iterator[Scene]:
    """Read all frames of a file, one at a time.

    Args:
        path: The file: any of `FORMATS`; of an ENVI pair, either.
        options: What the caller says of it.
        name: Name of the file in messages; its own name by default.

    Raises:
        FileMissing, DataInvalid, DependencyMissing: See `swath.scenes`; at once for a file that is not there or of no
            known kind.
    """
    shown = name or path.name
    options = options or Options()
    kind = _located(path, options, shown)
    if kind is _CU3S:
        return _measurements(Recording(path, options, name=shown))
    drafts = _drafts(kind, path, options, shown)
    return (finished(draft, options, stem=path.stem, shown=shown) for draft in drafts)


def _located(path: Path, options: Options, shown: str) -> Format:
    _check(options)
    if not path.exists():
        raise FileMissing(f"data file '{shown}' does not exist")
    kind = format_of(path, shown)
    if path.is_dir() != (kind.name == "zarr"):
        raise FileMissing(f"{shown}: expected {'a folder' if kind.name == 'zarr' else 'a file'}")
    return kind


def _drafts(kind: Format, path: Path, options: Options, shown: str) -> Iterator[Draft]:
    return iter([_image(kind, path, shown)]) if kind.image else _arrays(kind, path, shown).drafts(options)


def read_scene(
    path: Path, options: Options | None = None, *, measurement: int | None = None, name: str | None = None
) -> Scene:
    """Read one frame of a file.

    Args:
        path: As of `read_scenes`.
        options: As of `read_scenes`.
        measurement: Which frame, from 0; of a cu3s recording the first by default, of other files the only one.
        name: As of `read_scenes`.

    Raises:
        FileMissing, DataInvalid, DependencyMissing: See `swath.scenes`; also where the file has no such frame, or
            several and none is chosen.
    """
    shown = name or path.name
    if path.suffix.lower() == ".cu3s":
        recording = Recording(path, options, name=shown)
        try:
            return recording.read(measurement or 0)
        finally:
            recording.close()
    options = options or Options()
    found = list(_drafts(_located(path, options, shown), path, options, shown))
    if measurement is None and len(found) > 1:
        raise DataInvalid(f"{shown}: holds {len(found)} frames; choose one by measurement (+data.params.measurement)")
    if not 0 <= (measurement or 0) < len(found):
        raise DataInvalid(f"{shown}: expected a measurement below {len(found)}, got {measurement}")
    return finished(found[measurement or 0], options, stem=path.stem, shown=shown)


def read_plane(path: Path, variable: str | None = None, *, name: str | None = None) -> np.ndarray:
    """Read ground truth, int32 [H, W], from a file of its own.

    Args:
        path: Any of `FORMATS` but cu3s.
        variable: Name of the array in files of several.
        name: Name of the file in messages; its own name by default.

    Raises:
        FileMissing, DataInvalid, DependencyMissing: See `swath.scenes`.
    """
    shown = name or path.name
    kind = format_of(path, shown)
    if kind.image:
        return as_mask(shown, "mask", _image(kind, path, shown).cube, np.int32)
    return _arrays(kind, path, shown).plane(variable)


def _image(kind: Format, path: Path, shown: str) -> Draft:
    assert kind.image is not None
    with parsing(shown, f"{kind.name} file"):
        return kind.image(path, shown)


def _arrays(kind: Format, path: Path, shown: str) -> ArrayFile:
    if kind.arrays is None:
        raise DataInvalid(f"{shown}: a {kind.name} file holds no such arrays")
    with parsing(shown, f"{kind.name} file"):
        return kind.arrays(path, shown)


def _measurements(recording: Recording) -> Iterator[Scene]:
    try:
        for number in range(len(recording)):
            yield recording.read(number)
    finally:
        recording.close()


def _check(options: Options) -> None:
    if options.scale is not None and not np.isfinite(options.scale):
        raise DataInvalid(f"scale: expected a number, got {options.scale}")
    if sorted(options.cube_axes.upper()) != ["C", "H", "W"]:
        raise DataInvalid(f"cube_axes: expected H, W and C in the order of the file's axes, got '{options.cube_axes}'")
