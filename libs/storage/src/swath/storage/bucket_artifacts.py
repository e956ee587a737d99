"""Artifacts in a bucket."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from swath.errors import StorageDenied, StorageRefused
from swath.storage.buckets import Bucket
from swath.storage.cache import DiskCache
from swath.storage.places import S3Place


class BucketObjects:
    """Objects in a bucket, each named by its own sha256, with local copies of those that were read.

    Args:
        place: The part of a bucket.
        cache: Folder for local copies; processes of one user may share it.
        cache_bytes: Bytes of them to keep.
    """

    def __init__(self, place: S3Place, cache: Path, cache_bytes: int) -> None:
        self._place = place
        self._cache = cache
        self._cache_bytes = cache_bytes
        self._bucket = Bucket.open(place)
        self._copies = DiskCache(cache / "artifacts", cache_bytes)

    def put(self, name: str, data: bytes) -> None:
        """As `swath.storage.artifacts.Objects.put`."""
        self._bucket.put(name, data)

    def get(self, name: str) -> bytes:
        """As `swath.storage.artifacts.Objects.get`."""
        digest = _hex(name)
        if (copy := self._copies.find(digest)) is not None:
            try:
                data = copy.read_bytes()
            except FileNotFoundError:  # removed to make room
                data = b""
            if hashlib.sha256(data).hexdigest() == digest:
                return data
            self._copies.drop(digest)
        data = self._bucket.get(name)
        if hashlib.sha256(data).hexdigest() == digest:
            self._keep(digest, data)
        return data

    def exists(self, name: str) -> bool:
        """As `swath.storage.artifacts.Objects.exists`."""
        return self._bucket.head(name) is not None

    def older(self, than: datetime) -> Iterator[str]:
        """As `swath.storage.artifacts.Objects.older`."""
        limit = int(than.timestamp() * 10**9)
        return (each.key for each in self._bucket.list() if each.modified_ns < limit)

    def delete(self, name: str) -> None:
        """As `swath.storage.artifacts.Objects.delete`."""
        self._bucket.delete([name])
        self._copies.drop(_hex(name))

    def spec(self) -> dict[str, Any]:
        """As `swath.storage.artifacts.Objects.spec`."""
        return {"bucket": self._place.spec(), "cache": str(self._cache), "cache_bytes": self._cache_bytes}

    def _keep(self, digest: str, data: bytes) -> None:
        def write(path: Path) -> str:
            path.write_bytes(data)
            return digest

        # The copy saves time; without room for it the artifact is read from the bucket each time.
        with suppress(StorageRefused, StorageDenied):
            self._copies.fetch(digest, len(data), write)


def _hex(name: str) -> str:
    return name.replace("/", "")[-64:]
