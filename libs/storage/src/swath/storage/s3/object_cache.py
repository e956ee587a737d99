"""A disk cache of a bucket's objects that all processes of a machine share."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from hashlib import sha256
from pathlib import Path

from swath.storage.disk_cache import DiskCache
from swath.storage.s3.bucket import PART, Bucket
from swath.storage.s3.objects import Object

_AT_ONCE = 8
_RANGES_FROM = 8 * PART


class ObjectCache:
    """Cached objects of a bucket.

    Args:
        bucket: The bucket.
        cache: Where the objects are kept.
    """

    def __init__(self, bucket: Bucket, cache: DiskCache) -> None:
        self._bucket = bucket
        self._cache = cache

    def fetch(self, wanted: Object) -> tuple[Path, Object]:
        """Return a cached file, to be linked and never written, and the object that it holds: that one or a newer one.

        Raises:
            FileMissing: The object was removed.
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


def _name(found: Object) -> str:
    return sha256(f"{found.key}\0{found.version}\0{found.size}".encode()).hexdigest()
