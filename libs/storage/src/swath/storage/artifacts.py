"""Immutable bytes named by their digest."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore

from swath.errors import ArtifactCorrupt, ArtifactMissing, FileMissing, InvalidInput, SwathError
from swath.storage.files import refusal, refusals, sync_file, sync_folder
from swath.storage.places import S3Place

_TOP = "sha256"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_SYSTEM_ERROR = re.compile(r"os error (\d+)")


class Objects(Protocol):
    """Bytes by name, where an `ArtifactStore` keeps them."""

    def put(self, name: str, data: bytes) -> None:
        """Write bytes whole; they are durable when this returns."""
        ...

    def get(self, name: str) -> bytes:
        """Return bytes.

        Raises:
            FileMissing: There are none of that name.
        """
        ...

    def exists(self, name: str) -> bool:
        """Whether there are bytes of a name."""
        ...

    def older(self, than: datetime) -> Iterator[str]:
        """Give the names of those that were last written before a time."""
        ...

    def delete(self, name: str) -> None:
        """Remove bytes."""
        ...

    def spec(self) -> dict[str, Any]:
        """Return what another process needs to open the same, as JSON-able data."""
        ...


class ArtifactStore:
    """A content-addressed store: what is put never changes, and putting the same bytes again changes nothing.

    Digests are `sha256:<64 hexadecimal digits>`. Every `get` verifies what it read. Bytes are stored whole and safe
    from a loss of power before `put` returns. Any number of processes may share one store.

    Args:
        objects: Where the bytes are.
    """

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    @classmethod
    def folder(cls, path: Path) -> ArtifactStore:
        """Keep artifacts in a local folder, which is made if it is missing.

        Raises:
            StorageDenied: The folder cannot be made.
        """
        return cls(Folder(path))

    def spec(self) -> dict[str, Any]:
        """Return what another process needs to have the same store, as JSON-able data: credentials included."""
        return self._objects.spec()

    @classmethod
    def from_spec(cls, spec: Mapping[str, Any]) -> ArtifactStore:
        """Return the store that `spec` described."""
        if "folder" in spec:
            return cls.folder(Path(spec["folder"]))
        from swath.storage.bucket_artifacts import BucketObjects  # not needed on one machine

        return cls(BucketObjects(S3Place(**spec["bucket"]), Path(spec["cache"]), int(spec["cache_bytes"])))

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
        # Always written anew: this heals a damaged object and renews the age that `collect_sync` goes by.
        self._objects.put(_name(digest), data)
        return digest

    def get_sync(self, digest: str) -> bytes:
        """`get` for threads and processes without an event loop."""
        try:
            data = self._objects.get(_name(digest))
        except FileMissing as error:
            raise ArtifactMissing(f"the artifact {digest} is not in the store", metadata={"digest": digest}) from error
        if f"sha256:{hashlib.sha256(data).hexdigest()}" != digest:
            raise ArtifactCorrupt(
                f"the stored artifact {digest} is damaged: its bytes have another digest", metadata={"digest": digest}
            )
        return data

    def exists_sync(self, digest: str) -> bool:
        """`exists` for threads and processes without an event loop."""
        return self._objects.exists(_name(digest))

    def collect_sync(self, live: Collection[str], *, grace_s: float) -> int:
        """Remove artifacts that nobody refers to and return how many.

        Args:
            live: Digests that must stay.
            grace_s: Younger artifacts stay as well: they may have been put by somebody who is about to refer to them.
        """
        before = datetime.now(UTC) - timedelta(seconds=grace_s)
        old = [name for name in self._objects.older(before) if _digest(name) not in live]
        for name in old:
            self._objects.delete(name)
        return len(old)


class Folder:
    """Objects in a local folder, which is made if it is missing.

    Args:
        path: The folder.
    """

    def __init__(self, path: Path) -> None:
        with refusals("the artifact folder"):
            path.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._store = LocalStore(prefix=path)

    def put(self, name: str, data: bytes) -> None:
        """As `Objects.put`."""
        with _refusals(f"the artifact {_digest(name)}"):
            obstore.put(self._store, name, data)
            file = self._path / name
            sync_file(file)
            # The two folders above may be new as well.
            sync_folder(file.parent.parent)
            sync_folder(self._path)

    def get(self, name: str) -> bytes:
        """As `Objects.get`."""
        try:
            return obstore.get(self._store, name).bytes().to_bytes()
        except FileNotFoundError as error:
            raise FileMissing(f"there is no {name}") from error

    def exists(self, name: str) -> bool:
        """As `Objects.exists`."""
        try:
            obstore.head(self._store, name)
        except FileNotFoundError:
            return False
        return True

    def older(self, than: datetime) -> Iterator[str]:
        """As `Objects.older`."""
        for page in obstore.list(self._store, _TOP):
            yield from (meta["path"] for meta in page if meta["last_modified"] < than)

    def delete(self, name: str) -> None:
        """As `Objects.delete`."""
        obstore.delete(self._store, name)

    def spec(self) -> dict[str, Any]:
        """As `Objects.spec`."""
        return {"folder": str(self._path)}


def _name(digest: str) -> str:
    if not _DIGEST.fullmatch(digest):
        raise InvalidInput(f"not a digest: {digest[:80]!r}; expected sha256: and 64 hexadecimal digits")
    return f"{_TOP}/{digest[7:9]}/{digest[9:]}"


def _digest(name: str) -> str:
    return "sha256:" + name.removeprefix(f"{_TOP}/").replace("/", "")


@contextmanager
def _refusals(what: str) -> Iterator[None]:
    try:
        yield
    except (BaseError, OSError) as error:
        if (refused := _refusal(error, what)) is None:
            raise
        raise refused from error


def _refusal(error: BaseError | OSError, what: str) -> SwathError | None:
    if isinstance(error, OSError) and error.errno is not None:
        return refusal(error, what)
    # obstore gives the system's error in words only.
    if found := _SYSTEM_ERROR.search(str(error)):
        number = int(found[1])
        return refusal(OSError(number, os.strerror(number)), what)
    return None
