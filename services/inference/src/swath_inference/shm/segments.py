"""Segments of POSIX shared memory that clients make: read and written by copies.

Who may write to such a segment may shrink it too, and a process that reads a mapping beyond its end dies of SIGBUS. So
they are never mapped: `pread` and `pwrite` come back short instead.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache, partial

import numpy as np

from swath.errors import FileMissing, InputInvalid, Precondition

_PIECE = 8 << 20
"""Bytes that a thread copies at a time."""
_COPIERS = min(4, os.cpu_count() or 1)

FOLDER = "/dev/shm"
"""Where Linux has them."""


@contextmanager
def _opened(key: str, name: str, flags: int, prefix: str | None, end: int = 0) -> Iterator[int]:
    """Open a segment, which must be a regular file.

    Args:
        key: The segment's name, with or without a slash before it.
        name: What it is wanted for, in error messages.
        flags: To open it with.
        prefix: What names of segments of the caller begin with; None where it may name any.
        end: Bytes that it must have.
    """
    segment = key.removeprefix("/")
    if not segment or "/" in segment or segment in (".", "..") or ".." in segment or "\0" in segment:
        raise InputInvalid(f"{name}: {key!r} is not the name of a shared memory segment")
    if prefix is not None and not segment.startswith(prefix):
        raise Precondition(f"{name}: shared memory segments of this session have names that begin with {prefix!r}")
    try:
        # Found before it is opened: to open a pipe waits for its other end, and to open a device may do anything.
        found = os.open(f"{FOLDER}/{segment}", os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            kind = os.fstat(found).st_mode
            if stat.S_ISLNK(kind):
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
            if not stat.S_ISREG(kind):
                raise InputInvalid(
                    f"{name}: the segment {key!r} is no regular file, expected {end} bytes of shared memory"
                )
            handle = os.open(f"/proc/self/fd/{found}", flags | os.O_CLOEXEC)
        finally:
            os.close(found)
    except OSError as error:
        raise FileMissing(f"{name}: [Errno {error.errno}] {error.strerror}: {key!r}") from error
    try:
        size = os.fstat(handle).st_size
        if size < end:
            raise InputInvalid(f"{name}: the segment {key!r} has {size} bytes, expected {end}")
        yield handle
    finally:
        os.close(handle)


def size_of(key: str, *, name: str, prefix: str | None = None) -> int:
    """Return the bytes of a segment; arguments and errors as of `read_segment`."""
    with _opened(key, name, os.O_RDONLY, prefix) as handle:
        return os.fstat(handle).st_size


def read_segment(key: str, offset: int, size: int, *, name: str, prefix: str | None = None) -> memoryview:
    """Return a copy of part of a segment.

    Args:
        key: The segment's name, with or without a slash before it.
        offset: Where the part begins, in bytes.
        size: Its bytes.
        name: What it is wanted for, in error messages.
        prefix: What names of segments of the caller begin with; None where it may name any.

    Raises:
        InputInvalid: It is no name, no regular file, or shorter.
        Precondition: It has another prefix.
        FileMissing: There is none.
    """
    with _opened(key, name, os.O_RDONLY, prefix, offset + size) as handle:
        # Not a bytearray: its zeros would take as long as the copy.
        data = np.empty(size, np.uint8).data
        pieces = [(data[begin : begin + _PIECE], offset + begin) for begin in range(0, size, _PIECE)]
        copy = _copiers().map if len(pieces) > 1 else map
        if not all(copy(partial(_read_piece, handle), pieces)):
            raise InputInvalid(f"{name}: the segment {key!r} shrank while it was read")
    return data


def _read_piece(handle: int, piece: tuple[memoryview, int]) -> bool:
    """Fill a piece from its offset on; return whether there was enough."""
    data, offset = piece
    arrived = 0
    while arrived < len(data):
        count = os.preadv(handle, [data[arrived:]], offset + arrived)
        if not count:
            return False
        arrived += count
    return True


@cache
def _copiers() -> ThreadPoolExecutor:
    """Return threads that copy: one alone does not reach the memory's speed."""
    return ThreadPoolExecutor(_COPIERS, thread_name_prefix="segment")


def write_segment(key: str, offset: int, data: memoryview, *, name: str, prefix: str | None = None) -> None:
    """Write part of a segment, and nothing beside it; it does not grow. Errors as of `read_segment`."""
    with _opened(key, name, os.O_RDWR, prefix, offset + len(data)) as handle:
        written = 0
        while written < len(data):
            written += os.pwrite(handle, data[written:], offset + written)
