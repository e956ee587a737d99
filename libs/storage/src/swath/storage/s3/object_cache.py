"""Copies of a bucket's objects that all processes of a machine share, and trees that are a process's own."""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from hashlib import sha256
from pathlib import Path

from swath.storage.disk_cache import DiskCache, private_folder
from swath.storage.files import refusals
from swath.storage.s3.bucket import PART, Bucket
from swath.storage.s3.objects import Object, is_hidden

_AT_ONCE = 8
_RANGES_FROM = 8 * PART
_LONGEST_NAME = 255


class ObjectCache:
    """Copies of the objects of a bucket.

    Args:
        bucket: The bucket.
        cache: Where copies are.
    """

    def __init__(self, bucket: Bucket, cache: DiskCache) -> None:
        self._bucket = bucket
        self._cache = cache

    def fetch(self, wanted: Object) -> tuple[Path, Object]:
        """Return a copy that is to be linked and never written, and what it is a copy of: that object or a newer one.

        Raises:
            FileMissing: The object is gone.
            FileChanged: It was replaced while it was read.
            StorageRefused: No room.
        """
        taken = [wanted]
        path = self._cache.fetch(_name(wanted), wanted.size, partial(self._download, wanted, taken))
        return path, taken[0]

    def _download(self, wanted: Object, taken: list[Object], path: Path) -> str:
        with path.open("xb") as file:
            if wanted.size < _RANGES_FROM or not wanted.version.startswith('"'):
                content = self._bucket.read(wanted.key, block=PART)
                for chunk in content.chunks:
                    file.write(chunk)
                taken[0] = content.object
            else:
                write = partial(self._write_part, wanted, file.fileno())
                with ThreadPoolExecutor(_AT_ONCE) as pool:
                    for _ in pool.map(write, range(0, wanted.size, PART)):
                        pass
        return _name(taken[0])

    def _write_part(self, wanted: Object, descriptor: int, start: int) -> None:
        end = min(start + PART, wanted.size)
        for chunk in self._bucket.read(wanted.key, start=start, end=end, version=wanted.version, block=PART).chunks:
            start += os.pwrite(descriptor, chunk, start)


class Tree:
    """A folder that is this process's own. It goes when it is closed, with the process at the latest.

    Args:
        folder: Where such folders of all processes are. Those of processes that were killed are removed.

    Attributes:
        root: The folder.
    """

    def __init__(self, folder: Path) -> None:
        self.root, lock = _claim(private_folder(folder))
        self.close: Callable[[], object] = weakref.finalize(self, _leave, self.root, lock, os.getpid())


def fits(key: str) -> bool:
    """Whether a file system can have a file of a key, and users may see it."""
    return not is_hidden(key) and all(len(part.encode()) <= _LONGEST_NAME for part in key.split("/"))


def _name(found: Object) -> str:
    return sha256(f"{found.key}\0{found.version}\0{found.size}".encode()).hexdigest()


def _claim(folder: Path) -> tuple[Path, int]:
    for left in list(folder.glob("*.lock")):
        with suppress(OSError):
            lock = os.open(left, os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(left.with_suffix(""), ignore_errors=True)
                left.unlink()
            finally:
                os.close(lock)
    while True:
        tree = folder / secrets.token_hex(8)
        with refusals("a folder of local copies"):
            lock = os.open(tree.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                tree.mkdir()
                return tree, lock
        # Another process took it for left behind.
        os.close(lock)


def _leave(tree: Path, lock: int, pid: int) -> None:
    if os.getpid() != pid:
        return  # a fork of the process that it belongs to
    shutil.rmtree(tree, ignore_errors=True)
    with suppress(FileNotFoundError):
        tree.with_suffix(".lock").unlink()
    os.close(lock)
