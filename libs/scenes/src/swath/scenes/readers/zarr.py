"""zarr: a folder of arrays in pieces."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from swath.errors import DataInvalid, FileMissing
from swath.scenes.checks import needed, parsing
from swath.scenes.readers.array_file import ArrayFile, Entry


def zarr_arrays(path: Path, name: str) -> ArrayFile:
    """List the arrays of a zarr folder by their paths; ``.`` is an array that is no group's.

    Raises:
        FileMissing, DataInvalid, DependencyMissing: See `swath.scenes`. Links within the folder are DataInvalid: they
            could name any file of the machine.
    """
    if not path.is_dir():
        raise FileMissing(f"data folder '{path.name}' does not exist")
    zarr = needed("zarr", extra="zarr", name=name, what="zarr folder")
    link = next((each for each in path.rglob("*") if each.is_symlink()), None)
    if link is not None:
        raise DataInvalid(f"{name}: '{link.relative_to(path)}' is a link, which is refused")
    with parsing(name, "zarr folder"):
        arrays = dict(_arrays(zarr, zarr.open(str(path), mode="r")))
        entries = {key: _entry(array) for key, array in arrays.items()}

    def load(key: str) -> np.ndarray:
        if arrays[key].dtype.hasobject:
            raise DataInvalid(f"{name}: {key}: expected an array of numbers, got pickled objects, which are refused")
        with parsing(name, "zarr folder"):
            return np.asarray(arrays[key][...])

    return ArrayFile(name, entries, load)


def _arrays(zarr: Any, item: Any, prefix: str = "") -> Any:
    if isinstance(item, zarr.Array):
        yield prefix.rstrip("/") or ".", item
        return
    for key, member in item.members():
        yield from _arrays(zarr, member, f"{prefix}{key}/")


def _entry(array: Any) -> Entry:
    return Entry(tuple(array.shape), np.dtype(array.dtype).kind in "buif", dict(array.attrs))
