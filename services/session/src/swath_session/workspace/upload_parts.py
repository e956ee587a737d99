"""What has arrived of an upload to a bucket, kept so that it can be resumed at any replica. All of this blocks."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from swath.storage.files import HIDDEN
from swath.storage.s3.bucket import Bucket
from swath.storage.s3.objects import Object

PARTS_FOLDER = f"{HIDDEN}uploads"
"""Folder of all uploads' parts in the bucket."""


class UploadParts:
    """The parts of one upload: objects named by where their bytes begin. They may overlap.

    Args:
        bucket: Where they are.
        key: Key of the file that the upload becomes.
        sha256: Digest of that file; empty for an upload that cannot be resumed, which has no parts.
    """

    def __init__(self, bucket: Bucket, key: str, sha256: str) -> None:
        self._bucket = bucket
        name = hashlib.sha256(f"{key}\0{sha256}".encode()).hexdigest()
        self._folder = f"{PARTS_FOLDER}/{name}" if sha256 else ""

    def arrived(self) -> int:
        """Return how many bytes there are from the beginning without a gap."""
        position = 0
        for start, each in self._all():
            if start > position:
                break
            position = max(position, start + each.size)
        return position

    def read(self, end: int) -> Iterator[bytes]:
        """Yield the bytes up to a position, which must have arrived."""
        position = 0
        for start, each in self._all() if end else ():
            if start <= position < min(start + each.size, end):
                stop = min(each.size, end - start)
                yield from self._bucket.read(each.key, start=position - start, end=stop).chunks
                position = start + stop

    def put(self, start: int, data: bytes) -> None:
        """Keep bytes from a position on."""
        self._bucket.put(f"{self._folder}/{start:016d}", data)

    def delete(self) -> None:
        """Remove all of them."""
        self._bucket.delete([each.key for _, each in self._all()])

    def _all(self) -> list[tuple[int, Object]]:
        if not self._folder:
            return []
        return [(int(each.key.rpartition("/")[2]), each) for each in self._bucket.list(self._folder)]
