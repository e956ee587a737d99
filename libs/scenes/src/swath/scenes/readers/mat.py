"""MAT: MATLAB files, up to version 7 read by scipy, version 7.3 (HDF5) by h5py."""

from __future__ import annotations

from pathlib import Path

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
        entries = {key: Entry(tuple(shape), numbers=kind in _NUMBERS) for key, shape, kind in matlab.whosmat(str(path))}

    def load(key: str) -> np.ndarray:
        with parsing(name, "MAT file"):
            return np.asarray(matlab.loadmat(str(path), variable_names=[key])[key])

    return ArrayFile(name, entries, load)
