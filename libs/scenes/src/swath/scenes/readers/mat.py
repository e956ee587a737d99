"""MAT: MATLAB files, up to version 7 read by scipy, version 7.3 (HDF5) by h5py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from swath.errors import DataInvalid, DependencyMissing
from swath.scenes.checks import existing, parsing
from swath.scenes.readers.array_file import ArrayFile
from swath.scenes.scene import SceneData, Variables


def read_mat(path: Path, variables: Variables | None = None, *, name: str | None = None) -> SceneData:
    """Read a scene from a .mat file.

    Raises:
        FileMissing, DataInvalid, DependencyMissing: See `swath.scenes.readers`; version 7.3 needs h5py.
    """
    return mat_arrays(path, name=name).scene(variables or Variables())


def mat_arrays(path: Path, *, name: str | None = None) -> ArrayFile:
    """List the arrays of a .mat file."""
    shown = name or path.name
    existing(path)
    with path.open("rb") as stream:
        hdf5 = stream.read(19) == b"MATLAB 7.3 MAT-file"
    return _hdf5_arrays(shown, path) if hdf5 else _scipy_arrays(shown, path)


def _scipy_arrays(shown: str, path: Path) -> ArrayFile:
    # scipy takes long to import, and only MAT files need it.
    from scipy.io import loadmat, whosmat

    with parsing(shown, "MAT file"):
        shapes = {key: tuple(shape) for key, shape, _ in whosmat(str(path))}

    def load(key: str) -> np.ndarray:
        with parsing(shown, "MAT file"):
            return np.asarray(loadmat(str(path), variable_names=[key])[key])

    return ArrayFile(shown, shapes, load)


def _hdf5_arrays(shown: str, path: Path) -> ArrayFile:
    try:
        import h5py
    except ImportError as error:
        raise DependencyMissing(
            f"{shown} is a MAT file of version 7.3 and needs the package h5py on the server "
            "(pip install swath-engine[hdf5]), or save it with -v7"
        ) from error

    with parsing(shown, "MAT 7.3 file"), h5py.File(path, "r") as opened:
        file: Any = opened  # h5py knows datasets, groups and types at run time only
        shapes = {
            key: tuple(reversed(file[key].shape)) for key in file if _is_plain(h5py, file, key) and file[key].shape
        }

    def load(key: str) -> np.ndarray:
        with parsing(shown, "MAT 7.3 file"), h5py.File(path, "r") as opened:
            file: Any = opened
            if not _is_plain(h5py, file, key):
                raise DataInvalid(f"{shown}: {key}: expected an array of numbers in this file")
            return np.asarray(file[key][()]).T  # MATLAB stores the first axis fastest

    return ArrayFile(shown, shapes, load)


def _is_plain(h5py: Any, file: Any, key: str) -> bool:
    """Whether a name is an array in the file itself: links and external storage could name any file of the server."""
    if not isinstance(file.get(key, getlink=True), h5py.HardLink):
        return False
    item = file[key]
    return isinstance(item, h5py.Dataset) and not item.external and not item.is_virtual
