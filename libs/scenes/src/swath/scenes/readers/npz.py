"""npz: numpy's archive of arrays."""

from __future__ import annotations

import struct
import zipfile
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import IO

import numpy as np

from swath.errors import DataInvalid
from swath.scenes.checks import existing, parsing
from swath.scenes.readers.array_file import ArrayFile
from swath.scenes.scene import SceneData, Variables


def read_npz(path: Path, variables: Variables | None = None, *, name: str | None = None) -> SceneData:
    """Read a scene from an .npz file; uncompressed arrays are mapped, not loaded.

    Raises:
        FileMissing, DataInvalid: See `swath.scenes.readers`; pickled arrays are DataInvalid.
    """
    return npz_arrays(path, name=name).scene(variables or Variables())


def npz_arrays(path: Path, *, name: str | None = None) -> ArrayFile:
    """List the arrays of an .npz file."""
    shown = name or path.name
    existing(path)
    with parsing(shown, "npz file"), path.open("rb") as file, zipfile.ZipFile(file) as archive:
        infos = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        members = {key: _member(shown, key, archive, file, info) for key, info in infos.items()}

    def load(key: str) -> np.ndarray:
        with parsing(shown, "npz file"):
            if members[key].offset is not None:
                return _mapped(shown, path, key, members[key])
            with zipfile.ZipFile(path) as archive, archive.open(infos[key]) as stream:
                return np.lib.format.read_array(stream, allow_pickle=False)

    return ArrayFile(shown, {key: member.shape for key, member in members.items()}, load)


@dataclass(frozen=True, slots=True)
class _Member:
    """One array of an archive.

    Attributes:
        shape, fortran, dtype: As in its header.
        offset: Where its data begins in the file; None if it is compressed.
        size: Bytes of its data, by the archive's directory.
    """

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype
    offset: int | None = None
    size: int = 0


def _member(shown: str, key: str, archive: zipfile.ZipFile, file: IO[bytes], info: zipfile.ZipInfo) -> _Member:
    with archive.open(info) as stream:
        header = _header(shown, key, stream)
        length = stream.tell()
    if info.compress_type != zipfile.ZIP_STORED:
        return _Member(*header)
    # The member's local header has name and extra field again, with lengths that may differ from the directory's.
    file.seek(info.header_offset + 26)
    name_length, extra_length = struct.unpack("<HH", file.read(4))
    return _Member(*header, file.tell() + name_length + extra_length + length, info.file_size - length)


def _header(shown: str, key: str, stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = np.lib.format.read_magic(stream)
    length_bytes = stream.read(2 if version == (1, 0) else 4)
    header = length_bytes + stream.read(int.from_bytes(length_bytes, "little"))
    shape, fortran, dtype = _parsed(version, header)
    if dtype.hasobject:
        raise DataInvalid(f"{shown}: {key}: expected an array of numbers, got pickled objects, which are refused")
    return shape, fortran, dtype


@lru_cache(maxsize=256)
def _parsed(version: tuple[int, int], header: bytes) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Parse a header, which numpy does by compiling it; most frames of a data set have the same header."""
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    return read(BytesIO(header))


def _mapped(shown: str, path: Path, key: str, member: _Member) -> np.ndarray:
    shape, dtype = member.shape, member.dtype
    expected = dtype.itemsize * int(np.prod(shape))
    if expected != member.size:
        raise DataInvalid(f"{shown}: {key}: expected {expected} bytes for {list(shape)}, got {member.size}")
    if 0 in shape:
        return np.zeros(shape, dtype)
    order = "F" if member.fortran else "C"
    return np.memmap(path, dtype, mode="r", offset=member.offset or 0, shape=shape, order=order)
