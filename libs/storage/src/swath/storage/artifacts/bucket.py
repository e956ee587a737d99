"""Artifacts in a bucket."""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from swath.errors import FileMissing, StorageDenied, StorageRefused
from swath.storage.artifacts.objects import TOP
from swath.storage.disk_cache import DiskCache
from swath.storage.s3.bucket import Bucket
from swath.storage.s3.location import S3Location

_CONDEMNED = "condemned"
_BATCH = 200
_THREADS = 16
_LONGEST_BATCH_S = 20.0
_RETRY_TIMEOUT_S = 60.0
"""Longer than a batch may take, the retries of its last request included."""


class BucketObjects:
    """Objects in a bucket, each named by its own SHA-256, with a cache of those that were read.

    Args:
        location: The part of a bucket.
        cache: Folder for local copies; processes of one user may share it.
        cache_bytes: Bytes of local copies to keep.
    """

    def __init__(self, location: S3Location, cache: Path, cache_bytes: int) -> None:
        self._location = location
        self._cache = cache
        self._cache_bytes = cache_bytes
        self._bucket = Bucket.open(location)
        self._disk_cache = DiskCache(cache / "artifacts", cache_bytes)

    def put(self, name: str, data: bytes) -> None:
        """As `Objects.put`."""
        self._bucket.put(name, data)

    def get(self, name: str) -> bytes:
        """As `Objects.get`."""
        digest = _hex(name)
        if (copy := self._disk_cache.find(digest)) is not None:
            try:
                data = copy.read_bytes()
            except FileNotFoundError:  # evicted
                data = b""
            if hashlib.sha256(data).hexdigest() == digest:
                return data
            self._disk_cache.drop(digest)
        data = self._bucket.get(name)
        if hashlib.sha256(data).hexdigest() == digest:
            self._keep(digest, data)
        return data

    def exists(self, name: str) -> bool:
        """As `Objects.exists`."""
        return self._bucket.head(name) is not None

    def older(self, than: datetime) -> Iterator[str]:
        """As `Objects.older`."""
        limit = int(than.timestamp() * 10**9)
        return (each.key for each in self._bucket.list(TOP) if each.modified_ns < limit)

    def kept(self, name: str) -> bool:
        """As `Objects.kept`."""
        condemned = self._condemned()
        if name not in condemned:
            return True
        deadline = time.monotonic() + _RETRY_TIMEOUT_S
        while self._condemned() == condemned and time.monotonic() < deadline:
            time.sleep(0.05)
        return self.exists(name)

    def remove(self, names: Sequence[str], than: datetime) -> list[str]:
        """As `Objects.remove`.

        No object store removes an object on condition of its age, so both sides take care. What is about to go is
        written down first, and looked at again then; `kept` is asked after writing, and waits for the end of a removal
        that has its object written down: one of the two has seen the other.
        """
        removed: list[str] = []
        for at in range(0, len(names), _BATCH):
            batch = names[at : at + _BATCH]
            self._bucket.put(_CONDEMNED, json.dumps([secrets.token_hex(8), *batch]).encode())
            try:
                began = time.monotonic()
                with ThreadPoolExecutor(_THREADS) as pool:
                    written = list(pool.map(self.written, batch))
                old = [name for name, when in zip(batch, written, strict=True) if when is not None and when < than]
                # Who waits for this batch to end does not wait for ever: what has taken too long is left to the next.
                if old and time.monotonic() - began < _LONGEST_BATCH_S:
                    self._bucket.delete(old)
                    removed += old
            finally:
                self._bucket.delete([_CONDEMNED])
        for name in removed:
            self._disk_cache.drop(_hex(name))
        return removed

    def written(self, name: str) -> datetime | None:
        """Return when an object was last written, None if there is none."""
        found = self._bucket.head(name)
        return None if found is None else datetime.fromtimestamp(found.modified_ns / 10**9, UTC)

    def tidy(self, than: datetime) -> None:
        """As `Objects.tidy`; unfinished uploads are left to the bucket's lifecycle rules."""
        self._bucket.delete([_CONDEMNED])

    def spec(self) -> dict[str, Any]:
        """As `Objects.spec`."""
        return {"bucket": self._location.spec(), "cache": str(self._cache), "cache_bytes": self._cache_bytes}

    def part(self, name: str) -> BucketObjects:
        """As `Objects.part`."""
        location = replace(self._location, prefix=f"{self._location.prefix}/{name}".lstrip("/"))
        return BucketObjects(location, self._cache, self._cache_bytes)

    def _condemned(self) -> list[str]:
        """Return what is about to be removed, behind a word that is another one each time."""
        try:
            return json.loads(self._bucket.get(_CONDEMNED))
        except FileMissing:
            return []

    def _keep(self, digest: str, data: bytes) -> None:
        def write(path: Path) -> str:
            path.write_bytes(data)
            return digest

        # Without room for a copy the artifact is read from the bucket each time.
        with suppress(StorageRefused, StorageDenied):
            self._disk_cache.fetch(digest, len(data), write)


def _hex(name: str) -> str:
    return name.replace("/", "")[-64:]
