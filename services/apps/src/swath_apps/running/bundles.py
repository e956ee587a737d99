"""Bundles of code: in the artifact store by their digests, and unpacked in a folder of this replica."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import AsyncIterable, Collection
from pathlib import Path
from typing import NamedTuple

from swath.errors import ArtifactMissing, InvalidInput, TooLarge
from swath.serve.bundles import digest_of, unpacked
from swath.storage import ArtifactStore

PART = "bundles"
"""The part of the artifact store with bundles: the apps service collects it."""

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)


class Stored(NamedTuple):
    """A bundle that was stored: its digest, its bytes, the files that it holds."""

    digest: str
    size: int
    files: int


class Bundles:
    """Stores bundles, and unpacks them for the processes of applications.

    Args:
        artifacts: The artifact store.
        cache: Folder of unpacked bundles.
        max_bytes: Largest bundle.
    """

    def __init__(self, artifacts: ArtifactStore, cache: Path, max_bytes: int) -> None:
        self._artifacts = artifacts.part(PART)
        self._cache = cache
        self._max_bytes = max_bytes

    async def put(self, pieces: AsyncIterable[bytes]) -> Stored:
        """Check a bundle and store it; it is durable when this returns.

        Raises:
            InvalidInput, PathDenied: It is no bundle, or a name in it leads elsewhere.
            TooLarge: It is larger than the server takes.
        """
        data = bytearray()
        async for piece in pieces:
            data += piece
            if len(data) > self._max_bytes:
                raise TooLarge(f"the bundle has more than {self._max_bytes} bytes (SWATH_APP_BUNDLE_MAX_BYTES)")
        whole = bytes(data)
        digest = digest_of(whole)
        folder = await asyncio.to_thread(unpacked, whole, digest, self._cache)
        await self._artifacts.put(whole)
        files = await asyncio.to_thread(lambda: sum(each.is_file() for each in folder.rglob("*")))
        return Stored(digest, len(whole), files)

    async def renewed(self, digest: str) -> Path:
        """Return the folder of a bundle, which is as young then as if it had just been stored.

        Raises:
            InvalidInput: It is no digest.
            ArtifactMissing: There is no such bundle: it was never stored, or was collected.
        """
        data = await self._get(digest)
        await self._artifacts.put(data)
        return await asyncio.to_thread(unpacked, data, digest, self._cache)

    async def folder(self, digest: str) -> Path:
        """Return the folder of a bundle.

        Raises:
            InvalidInput, ArtifactMissing: As of `renewed`.
        """
        place = self._cache / digest.rpartition(":")[2]
        if _DIGEST.fullmatch(digest) and place.is_dir():
            return place
        return await asyncio.to_thread(unpacked, await self._get(digest), digest, self._cache)

    async def collect(self, referenced: Collection[str], grace_s: float) -> None:
        """Remove bundles that no application refers to, and that were stored some seconds ago.

        Args:
            referenced: Digests of those to keep.
            grace_s: Seconds.
        """

        def work() -> None:
            old = self._artifacts.older_sync(grace_s) - {*referenced}
            for digest in self._artifacts.remove_sync(old, grace_s):
                shutil.rmtree(self._cache / digest.rpartition(":")[2], ignore_errors=True)
            self._artifacts.tidy_sync(grace_s)

        await asyncio.to_thread(work)

    async def _get(self, digest: str) -> bytes:
        if not _DIGEST.fullmatch(digest):
            raise InvalidInput(f"{digest[:100]!r} is no digest of a bundle: expected sha256: and 64 hexadecimal digits")
        try:
            return await self._artifacts.get(digest)
        except ArtifactMissing as error:
            raise ArtifactMissing(
                f"there is no bundle {digest}: store it with PutBundle first (`swath app deploy` does)",
                metadata=error.metadata,
            ) from error
