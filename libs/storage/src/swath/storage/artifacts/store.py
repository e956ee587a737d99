"""Immutable bytes named by their digest."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Any

from swath.errors import ArtifactCorrupt, ArtifactMissing, FileMissing
from swath.storage.artifacts.objects import Objects, digest_of, name_of

CHECKPOINTS = "checkpoints"
"""The part with the resume checkpoints of runs: each is needed only until the next one."""


class ArtifactStore:
    """A content-addressed store: stored bytes never change, and putting the same bytes again changes nothing.

    Digests are `sha256:<64 hexadecimal digits>`. Every `get` verifies what it read. Bytes are stored whole and durably
    before `put` returns. Any number of processes may share one store.

    Args:
        objects: The backend.
    """

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    def spec(self) -> dict[str, Any]:
        """Return what another process needs to open the same store, as JSON-able data, credentials included."""
        return self._objects.spec()

    def part(self, name: str) -> ArtifactStore:
        """Return a store on a part of the same backend, whose artifacts are collected separately."""
        return ArtifactStore(self._objects.part(name))

    async def put(self, data: bytes) -> str:
        """Store bytes and return their digest; they are durable when this returns.

        Raises:
            StorageRefused: No room.
            StorageDenied: The store may not be written.
        """
        return await asyncio.to_thread(self.put_sync, data)

    async def get(self, digest: str) -> bytes:
        """Return the bytes of a digest.

        Raises:
            ArtifactMissing: Not in the store.
            ArtifactCorrupt: The stored bytes are not what the digest says.
        """
        return await asyncio.to_thread(self.get_sync, digest)

    async def exists(self, digest: str) -> bool:
        """Whether a digest is in the store."""
        return await asyncio.to_thread(self.exists_sync, digest)

    def put_sync(self, data: bytes) -> str:
        """`put` for threads and processes without an event loop."""
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        name = name_of(digest)
        # Always written again: this repairs a damaged object and renews the age that `remove_sync` checks.
        self._objects.put(name, data)
        if not self._objects.kept(name):
            self._objects.put(name, data)
        return digest

    def get_sync(self, digest: str) -> bytes:
        """`get` for threads and processes without an event loop."""
        try:
            data = self._objects.get(name_of(digest))
        except FileMissing as error:
            raise ArtifactMissing(f"the artifact {digest} is not in the store", metadata={"digest": digest}) from error
        if f"sha256:{hashlib.sha256(data).hexdigest()}" != digest:
            raise ArtifactCorrupt(
                f"the stored artifact {digest} is damaged: its bytes have another digest", metadata={"digest": digest}
            )
        return data

    def exists_sync(self, digest: str) -> bool:
        """`exists` for threads and processes without an event loop."""
        return self._objects.exists(name_of(digest))

    def older_sync(self, age_s: float) -> set[str]:
        """Return the digests of artifacts that were last put more than `age_s` seconds ago."""
        return {digest_of(name) for name in self._objects.older(_ago(age_s))}

    def remove_sync(self, digests: Collection[str], age_s: float) -> list[str]:
        """Remove unreferenced artifacts and return those that were removed. One caller at a time.

        Args:
            digests: Unreferenced artifacts.
            age_s: Artifacts that were last put less than so many seconds ago are kept, as are those put meanwhile.
        """
        return [digest_of(name) for name in self._objects.remove([name_of(each) for each in digests], _ago(age_s))]

    def tidy_sync(self, age_s: float) -> None:
        """Remove unfinished writes, more than `age_s` seconds old, of processes that died."""
        self._objects.tidy(_ago(age_s))


def _ago(seconds: float) -> datetime:
    return datetime.now(UTC) - timedelta(seconds=seconds)
