"""HDF5: arrays in folders; also MATLAB's files of version 7.3, and netCDF-4."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from swath.errors import DataInvalid
from swath.scenes.checks import existing, needed, parsing
from swath.scenes.readers.array_file import ArrayFile, Entry

SIGNATURE = b"\x89HDF\r\n\x1a\n"


def hdf5_arrays(path: Path, name: str, *, what: str = "HDF5 file", matlab: bool = False) -> ArrayFile:
    """List the arrays of an HDF5 file by their paths.

    Links to other files, and arrays whose data lie in other files, are left out: they could name any file of the
    machine.

    Args:
        path: The file.
        name: The file, for messages.
        what: What it is, for messages.
        matlab: Whether MATLAB wrote it, which stores the first axis fastest.

    Raises:
        FileMissing, DataInvalid, DependencyMissing: See `swath.scenes`.
    """
    existing(path)
    h5py = needed("h5py", extra="hdf5", name=name, what=what)
    with parsing(name, what), h5py.File(path, "r") as file:
        entries = {key: _entry(item, matlab) for key, item in _plain(h5py, file)}

    def load(key: str) -> np.ndarray:
        with parsing(name, what), h5py.File(path, "r") as file:
            item = dict(_plain(h5py, file)).get(key)
            if item is None:
                raise DataInvalid(f"{name}: {key}: expected an array of numbers in this file")
            array = np.asarray(item[()])
            if matlab and array.dtype == np.uint16 and item.attrs.get("MATLAB_class") == b"char":
                return np.array("".join(map(chr, array.T.ravel())))
            return array.T if matlab else array

    return ArrayFile(name, entries, load)


def _entry(item: Any, matlab: bool) -> Entry:
    shape = tuple(reversed(item.shape)) if matlab else tuple(item.shape)
    text = matlab and item.attrs.get("MATLAB_class") == b"char"
    attributes = {key: value for key in item.attrs if (value := _attribute(item, key)) is not None}
    return Entry(shape, item.dtype.kind in "buif" and not text, attributes)


def _attribute(item: Any, key: str) -> Any:
    """Return an attribute; None for what h5py cannot read, such as a reference to nothing."""
    try:
        return item.attrs[key]
    except (OSError, TypeError, ValueError):
        return None


def _plain(h5py: Any, file: Any) -> Iterator[tuple[str, Any]]:
    """Yield the arrays that lie in the file itself, by path."""
    seen: set[int] = {h5py.h5o.get_info(file["/"].id).addr}  # a group may hold itself, by another name
    waiting = [("", file)]
    while waiting:
        prefix, group = waiting.pop(0)
        for key in group:
            if not isinstance(group.get(key, getlink=True), h5py.HardLink):
                continue
            item = group[key]
            address = h5py.h5o.get_info(item.id).addr
            if isinstance(item, h5py.Group) and address not in seen:
                waiting.append((f"{prefix}{key}/", item))
            elif (
                isinstance(item, h5py.Dataset) and item.shape is not None and not item.external and not item.is_virtual
            ):
                yield f"{prefix}{key}", item
            seen.add(address)
