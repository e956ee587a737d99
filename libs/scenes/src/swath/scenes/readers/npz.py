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
from swath.scenes.readers.array_file import ArrayFile, Entry


def npz_arrays(path: Path, name: str) -> ArrayFile:
    """List the arrays of an .npz file; uncompressed ones are mapped, not loaded, and pickled ones refused.

    Raises:
        FileMissing, DataInvalid: See `swath.scenes`.
    """
    existing(path)
    with parsing(name, "npz file"), path.open("rb") as file, zipfile.ZipFile(file) as archive:
        infos = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        members = {key: _member(archive, file, info) for key, info in infos.items()}

    def load(key: str) -> np.ndarray:
        if members[key].dtype.hasobject:
            raise DataInvalid(f"{name}: {key}: expected an array of numbers, got pickled objects, which are refused")
        with parsing(name, "npz file"):
            if members[key].offset is not None:
                return _mapped(name, path, key, members[key])
            with zipfile.ZipFile(path) as archive, archive.open(infos[key]) as stream:
                return np.lib.format.read_array(stream, allow_pickle=False)

    return ArrayFile(name, {key: Entry(each.shape, each.dtype.kind in "buif") for key, each in members.items()}, load)


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


def _member(archive: zipfile.ZipFile, file: IO[bytes], info: zipfile.ZipInfo) -> _Member:
    with archive.open(info) as stream:
        header = _header(stream)
        length = stream.tell()
    if info.compress_type != zipfile.ZIP_STORED:
        return _Member(*header)
    # The member's local header has name and extra field again, with lengths that may differ from the directory's.
    file.seek(info.header_offset + 26)
    name_length, extra_length = struct.unpack("<HH", file.read(4))
    return _Member(*header, file.tell() + name_length + extra_length + length, info.file_size - length)


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = np.lib.format.read_magic(stream)
    length_bytes = stream.read(2 if version == (1, 0) else 4)
    header = length_bytes + stream.read(int.from_bytes(length_bytes, "little"))
    return _parsed(version, header)


@lru_cache(maxsize=256)
def _parsed(version: tuple[int, int], header: bytes) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Parse a header, which numpy does by compiling it; most frames of a data set have the same header."""
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    return read(BytesIO(header))


def _mapped(name: str, path: Path, key: str, member: _Member) -> np.ndarray:
    shape, dtype = member.shape, member.dtype
    expected = dtype.itemsize * int(np.prod(shape))
    if expected != member.size:
        raise DataInvalid(f"{name}: {key}: expected {expected} bytes for {list(shape)}, got {member.size}")
    if 0 in shape:
        return np.zeros(shape, dtype)
    order = "F" if member.fortran else "C"
    return np.memmap(path, dtype, mode="r", offset=member.offset or 0, shape=shape, order=order)
