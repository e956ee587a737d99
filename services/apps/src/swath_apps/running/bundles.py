"""Bundles of code: in the artifact store by their digests, and unpacked in a folder of this replica."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from collections.abc import AsyncIterable, Collection
from contextlib import suppress
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

    def require_sync(self, digests: Collection[str]) -> None:
        """Make sure that bundles are there, for threads.

        Raises:
            ArtifactMissing: One is not there any more.
        """
        for digest in digests:
            if not self._artifacts.exists_sync(digest):
                raise ArtifactMissing(
                    f"the bundle {digest} was collected while its code was checked: store it again",
                    metadata={"digest": digest},
                )

    async def unreferenced(self, referenced: Collection[str], grace_s: float) -> set[str]:
        """Return the digests of bundles that nothing refers to, and that were stored some seconds ago."""
        return await asyncio.to_thread(self._unreferenced, referenced, grace_s)

    async def collect(self, referenced: Collection[str], grace_s: float) -> None:
        """As `collect_sync`."""
        await asyncio.to_thread(self.collect_sync, referenced, grace_s)

    def collect_sync(self, referenced: Collection[str], grace_s: float) -> None:
        """Remove bundles that no application refers to, and that were stored some seconds ago. One caller at a time.

        Args:
            referenced: Digests of those to keep.
            grace_s: Seconds.
        """
        for digest in self._artifacts.remove_sync(self._unreferenced(referenced, grace_s), grace_s):
            place = self._cache / digest.rpartition(":")[2]
            if place.is_dir():
                # Away at once: whoever needs it meanwhile finds all of it or nothing.
                rubbish = place.with_name(f".removed-{place.name}")
                with suppress(OSError):
                    os.rename(place, rubbish)
                shutil.rmtree(rubbish, ignore_errors=True)
        self._artifacts.tidy_sync(grace_s)

    def _unreferenced(self, referenced: Collection[str], grace_s: float) -> set[str]:
        return self._artifacts.older_sync(grace_s) - {*referenced}

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
