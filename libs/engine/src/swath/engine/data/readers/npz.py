"""npz: numpy's archive of arrays."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path
from typing import IO

import numpy as np

from swath.engine.data.readers.scene import Contents, Scene, Variables, existing, parsing
from swath.errors import DataInvalid


def read_npz(path: Path, variables: Variables | None = None, *, name: str | None = None) -> Scene:
    """Read a scene from an .npz file; arrays that are stored without compression are mapped, not loaded.

    Raises:
        FileMissing, DataInvalid: See `swath.engine.data.readers`; pickled arrays are DataInvalid.
    """
    return npz_contents(path, name=name).scene(variables or Variables())


def npz_contents(path: Path, *, name: str | None = None) -> Contents:
    """List the arrays of an .npz file."""
    shown = name or path.name
    existing(path)
    with parsing(shown, "npz file"), zipfile.ZipFile(path) as archive:
        members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        shapes = {}
        for key, info in members.items():
            with archive.open(info) as stream:
                shapes[key] = _header(shown, key, stream)[0]

    def load(key: str) -> np.ndarray:
        with parsing(shown, "npz file"):
            if members[key].compress_type == zipfile.ZIP_STORED:
                return _mapped(shown, path, key, members[key])
            with zipfile.ZipFile(path) as archive, archive.open(members[key]) as stream:
                return np.lib.format.read_array(stream, allow_pickle=False)

    return Contents(shown, shapes, load)


def _header(shown: str, key: str, stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(stream)
    if dtype.hasobject:
        raise DataInvalid(f"{shown}: {key}: expected an array of numbers, got pickled objects, which are refused")
    return shape, fortran, dtype


def _mapped(shown: str, path: Path, key: str, info: zipfile.ZipInfo) -> np.ndarray:
    with path.open("rb") as stream:
        # The member's own header repeats name and extra field, with other lengths than the archive's directory has.
        stream.seek(info.header_offset + 26)
        name_length, extra_length = struct.unpack("<HH", stream.read(4))
        stream.seek(name_length + extra_length, 1)
        start = stream.tell()
        shape, fortran, dtype = _header(shown, key, stream)
        offset = stream.tell()
    expected = offset - start + dtype.itemsize * int(np.prod(shape))
    if expected != info.file_size:
        raise DataInvalid(f"{shown}: {key}: expected {expected} bytes for {list(shape)}, got {info.file_size}")
    if 0 in shape:
        return np.zeros(shape, dtype)
    return np.memmap(path, dtype, mode="r", offset=offset, shape=shape, order="F" if fortran else "C")
