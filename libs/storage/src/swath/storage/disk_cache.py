"""A cache of immutable files by name; it evicts the least recently used ones.

Any number of processes may share the cache's folder. A file appears whole; to keep a file beyond its eviction, link it.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from swath.storage.files import HIDDEN, private_folder, storage_errors

_LOCKS = 64
_LOCK_S = 60.0
_LARGE = 8 << 20
_STALE_S = 24 * 3600.0


class DiskCache:
    """A folder of cached files.

    Args:
        folder: The folder; made if it is missing.
        limit: Bytes to keep.

    Raises:
        StorageDenied: The folder cannot be made, or others could change what is in it.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self._folder = private_folder(folder)
        self._limit = limit
        # Bytes added since the folder was last measured. The first file makes it be measured.
        self._added = limit

    def find(self, name: str, size: int | None = None) -> Path | None:
        """Return the file of a name, and count that as a use of it.

        Args:
            name: Hexadecimal digits.
            size: Bytes that it must have: a file written just before a loss of power may have fewer.
        """
        path = self._path(name)
        try:
            status = path.stat()
            if size is not None and status.st_size != size:
                return None
            # The modification time stays: others compare it to see that a file is unchanged.
            os.utime(path, ns=(time.time_ns(), status.st_mtime_ns))
        except FileNotFoundError:
            return None
        return path

    def fetch(self, name: str, size: int, write: Callable[[Path], str]) -> Path:
        """Return the file of a name; write it if it is missing. Of several processes, one writes a large file.

        Args:
            name: Hexadecimal digits.
            size: Bytes.
            write: Writes the file to a path and returns its name: another one if the source has changed.

        Raises:
            StorageRefused: No room.
        """
        if (found := self.find(name, size)) is not None:
            return found
        with self._locked(name) if size > _LARGE else _nothing():
            if (found := self.find(name, size)) is not None:
                return found
            unfinished = self._folder / f"{HIDDEN}{secrets.token_hex(8)}"
            try:
                with storage_errors("a local copy"):
                    path = self._path(write(unfinished))
                    path.parent.mkdir(exist_ok=True)
                    self._shrink(unfinished.stat().st_size)
                    unfinished.replace(path)
            finally:
                with suppress(FileNotFoundError):
                    unfinished.unlink()
            return path

    def drop(self, name: str) -> None:
        """Remove a file."""
        with suppress(FileNotFoundError):
            self._path(name).unlink()

    def _path(self, name: str) -> Path:
        return self._folder / name[:2] / name[2:]

    @contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        lock = os.open(
            self._folder / f"lock-{int(name[:8], 16) % _LOCKS:02d}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
        )
        try:
            # The holder may be frozen: then two processes write the file, which does no harm.
            deadline = time.monotonic() + _LOCK_S
            while time.monotonic() < deadline:
                with suppress(BlockingIOError):
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                time.sleep(0.05)
            yield
        finally:
            os.close(lock)

    def _shrink(self, coming: int) -> None:
        """Evict files to make room; the folder is measured again whenever 1/20 of the limit was added."""
        self._added += coming
        if self._added < self._limit / 20:
            return
        self._added = 0
        copies: list[tuple[int, int, str]] = []
        for inner in os.scandir(self._folder):
            if inner.name.startswith(HIDDEN):
                with suppress(FileNotFoundError):
                    if time.time() - inner.stat().st_mtime > _STALE_S:
                        os.unlink(inner.path)
            elif inner.is_dir(follow_symlinks=False):
                for copy in os.scandir(inner.path):
                    with suppress(FileNotFoundError):
                        status = copy.stat(follow_symlinks=False)
                        copies.append((status.st_atime_ns, status.st_size, copy.path))
        excess = sum(size for _, size, _ in copies) + coming - self._limit
        for _, size, path in sorted(copies):
            if excess <= 0:
                break
            with suppress(FileNotFoundError):
                os.unlink(path)
            excess -= size


@contextmanager
def _nothing() -> Iterator[None]:
    yield
