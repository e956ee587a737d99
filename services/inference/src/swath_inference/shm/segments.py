"""Segments of POSIX shared memory that clients make: read and written by copies.

Who may write to such a segment may shrink it too, and a process that reads a mapping beyond its end dies of SIGBUS. So
they are never mapped: `pread` and `pwrite` come back short instead.
"""

from __future__ import annotations

import errno
import os
import stat
import weakref
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache, partial

import numpy as np

from swath.errors import FileMissing, InputInvalid, Precondition

_PIECE = 8 << 20
"""Bytes that a thread copies at a time."""
_COPIERS = min(4, os.cpu_count() or 1)

FOLDER = "/dev/shm"
"""Where Linux has them."""


class Segment:
    """A segment that is open: it stays the same memory, also when its name is taken from it or given to another one.

    It is closed when nobody holds it any more, a call that reads it among them.

    Args:
        key: The segment's name, with or without a slash before it.
        name: What it is wanted for, in error messages.
        prefix: What names of segments of the caller begin with; None where it may name any.
        write: Whether it is to be written as well, where that is allowed.
        end: Bytes that are wanted of it, for the words about what is none.

    Raises:
        InputInvalid: It is no name, or no regular file.
        Precondition: It has another prefix.
        FileMissing: There is none.
    """

    def __init__(self, key: str, *, name: str, prefix: str | None = None, write: bool = False, end: int = 0) -> None:
        self._key = key
        self._handle = _open(key, name, prefix, write=write, end=end)
        weakref.finalize(self, os.close, self._handle)

    @property
    def size(self) -> int:
        """Its bytes at the moment."""
        return os.fstat(self._handle).st_size

    @property
    def unlinked(self) -> bool:
        """Whether it has no name any more: its memory is there for those alone who have it open."""
        return not os.fstat(self._handle).st_nlink

    def read(self, offset: int, size: int, *, name: str) -> memoryview:
        """Return a copy of part of it.

        Args:
            offset: Where the part begins, in bytes.
            size: Its bytes.
            name: What it is wanted for.

        Raises:
            InputInvalid: It is shorter.
        """
        self._require(offset + size, name)
        # Not a bytearray: its zeros would take as long as the copy.
        data = np.empty(size, np.uint8).data
        pieces = [(data[begin : begin + _PIECE], offset + begin) for begin in range(0, size, _PIECE)]
        copy = _copiers().map if len(pieces) > 1 else map
        if not all(copy(partial(_read_piece, self._handle), pieces)):
            raise InputInvalid(f"{name}: the segment {self._key!r} shrank while it was read")
        return data

    def write(self, offset: int, data: memoryview, *, name: str) -> None:
        """Write part of it, and nothing beside that; it does not grow.

        Raises:
            InputInvalid: It is shorter, or may only be read.
        """
        self._require(offset + len(data), name)
        written = 0
        try:
            while written < len(data):
                written += os.pwrite(self._handle, data[written:], offset + written)
        except OSError as error:
            if error.errno != errno.EBADF:
                raise
            raise InputInvalid(f"{name}: this server may read the segment {self._key!r}, and not write it") from error

    def _require(self, end: int, name: str) -> None:
        if self.size < end:
            raise InputInvalid(f"{name}: the segment {self._key!r} has {self.size} bytes, expected {end}")


def _open(key: str, name: str, prefix: str | None, *, write: bool, end: int) -> int:
    """Open a segment, which must be a regular file; arguments and errors as of `Segment`."""
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
            if write:
                with suppress(PermissionError):
                    return os.open(f"/proc/self/fd/{found}", os.O_RDWR | os.O_CLOEXEC)
            return os.open(f"/proc/self/fd/{found}", os.O_RDONLY | os.O_CLOEXEC)
        finally:
            os.close(found)
    except OSError as error:
        raise FileMissing(f"{name}: [Errno {error.errno}] {error.strerror}: {key!r}") from error


def size_of(key: str, *, name: str, prefix: str | None = None) -> int:
    """Return the bytes of a segment; arguments and errors as of `Segment`."""
    return Segment(key, name=name, prefix=prefix).size


def read_segment(key: str, offset: int, size: int, *, name: str, prefix: str | None = None) -> memoryview:
    """Return a copy of part of a segment; arguments and errors as of `Segment` and `Segment.read`."""
    return Segment(key, name=name, prefix=prefix, end=offset + size).read(offset, size, name=name)


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
    """Write part of a segment; arguments and errors as of `Segment` and `Segment.write`."""
    segment = Segment(key, name=name, prefix=prefix, write=True, end=offset + len(data))
    segment.write(offset, data, name=name)
