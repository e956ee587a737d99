"""MAT: MATLAB files, up to version 7 read by scipy, version 7.3 (HDF5) by h5py."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from swath.scenes.checks import existing, needed, parsing
from swath.scenes.readers.array_file import ArrayFile, Entry
from swath.scenes.readers.hdf5 import SIGNATURE, hdf5_arrays

_NUMBERS = ("double", "single", "logical", *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)))
_USER_BLOCK = 512


def mat_arrays(path: Path, name: str) -> ArrayFile:
    """List the arrays of a .mat file.

    Raises:
        FileMissing, DataInvalid, DependencyMissing: See `swath.scenes`.
    """
    existing(path)
    with path.open("rb") as stream:
        head = stream.read(_USER_BLOCK + len(SIGNATURE))
    if head.startswith((b"MATLAB 7.3 MAT-file", SIGNATURE)) or head.endswith(SIGNATURE):
        return hdf5_arrays(path, name, what="MAT 7.3 file", matlab=True)
    # scipy takes long to import, and only MAT files need it.
    matlab = needed("scipy.io", extra="mat", name=name, what="MAT file")
    with parsing(name, "MAT file"):
        entries: dict[str, Entry] = {}
        for key, shape, kind in matlab.whosmat(str(path)):
            if kind == "struct" and tuple(shape) == (1, 1):
                entries |= {field: Entry(value.shape) for field, value in _fields(key, _variable(matlab, path, key))}
            else:
                entries[key] = Entry(tuple(shape), numbers=kind in _NUMBERS)

    def load(key: str) -> np.ndarray:
        with parsing(name, "MAT file"):
            variable = _variable(matlab, path, key.partition("/")[0])
            return np.asarray(dict(_fields(key.partition("/")[0], variable)).get(key, variable))

    return ArrayFile(name, entries, load)


def _variable(matlab: Any, path: Path, key: str) -> Any:
    return matlab.loadmat(str(path), variable_names=[key])[key]


def _fields(key: str, variable: Any) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the arrays of numbers in a struct of one element, and in those within, by path, as version 7.3 has them."""
    if variable.dtype.names is None or variable.size != 1:
        return
    for each in variable.dtype.names:
        value = variable.flat[0][each]
        if isinstance(value, np.ndarray) and value.dtype.kind in "buif":
            yield f"{key}/{each}", value
        elif isinstance(value, np.ndarray):
            yield from _fields(f"{key}/{each}", value)
