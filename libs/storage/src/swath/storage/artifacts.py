"""Immutable bytes named by their digest."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore

from swath.errors import ArtifactCorrupt, ArtifactMissing, InvalidInput, SwathError
from swath.storage.files import refusal, refusals, sync_file, sync_folder

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_SYSTEM_ERROR = re.compile(r"os error (\d+)")


class ArtifactStore:
    """A content-addressed store: what is put never changes, and putting the same bytes again changes nothing.

    Digests are `sha256:<64 hexadecimal digits>`. Every `get` verifies what it read. Bytes are stored whole and safe
    from a loss of power before `put` returns. Any number of processes may share one store.

    Args:
        store: Where the bytes are: an obstore store.
        settle: Called in a thread with an object's path after it was written, to make it durable where writing alone
            does not.
    """

    def __init__(self, store: ObjectStore, *, settle: Callable[[str], None] | None = None) -> None:
        self._store = store
        self._settle = settle

    @classmethod
    def folder(cls, path: Path) -> ArtifactStore:
        """Keep artifacts in a local folder, which is made if it is missing.

        Raises:
            StorageDenied: The folder cannot be made.
        """
        with refusals("the artifact folder"):
            path.mkdir(parents=True, exist_ok=True)

        def settle(name: str) -> None:
            file = path / name
            sync_file(file)
            # The two folders above may be new as well.
            sync_folder(file.parent.parent)
            sync_folder(path)

        return cls(LocalStore(prefix=path), settle=settle)

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
        name = _name(digest)
        with _refusals(digest):
            # Always written anew: this heals a damaged object and renews the age that `collect_sync` goes by.
            obstore.put(self._store, name, data)
            if self._settle is not None:
                self._settle(name)
        return digest

    def get_sync(self, digest: str) -> bytes:
        """`get` for threads and processes without an event loop."""
        try:
            data = obstore.get(self._store, _name(digest)).bytes().to_bytes()
        except FileNotFoundError as error:
            raise ArtifactMissing(f"the artifact {digest} is not in the store", metadata={"digest": digest}) from error
        if f"sha256:{hashlib.sha256(data).hexdigest()}" != digest:
            raise ArtifactCorrupt(
                f"the stored artifact {digest} is damaged: its bytes have another digest", metadata={"digest": digest}
            )
        return data

    def exists_sync(self, digest: str) -> bool:
        """`exists` for threads and processes without an event loop."""
        try:
            obstore.head(self._store, _name(digest))
        except FileNotFoundError:
            return False
        return True

    def collect_sync(self, live: Collection[str], *, grace_s: float) -> int:
        """Remove artifacts that nobody refers to and return how many.

        Args:
            live: Digests that must stay.
            grace_s: Younger artifacts stay as well: they may have been put by somebody who is about to refer to them.
        """
        before = datetime.now(UTC) - timedelta(seconds=grace_s)
        old = [
            meta["path"]
            for page in obstore.list(self._store, "sha256")
            for meta in page
            if meta["last_modified"] < before and _digest(meta["path"]) not in live
        ]
        for name in old:
            obstore.delete(self._store, name)
        return len(old)


def _name(digest: str) -> str:
    if not _DIGEST.fullmatch(digest):
        raise InvalidInput(f"not a digest: {digest[:80]!r}; expected sha256: and 64 hexadecimal digits")
    return f"sha256/{digest[7:9]}/{digest[9:]}"


def _digest(name: str) -> str:
    return "sha256:" + name.removeprefix("sha256/").replace("/", "")


@contextmanager
def _refusals(digest: str) -> Iterator[None]:
    what = f"the artifact {digest}"
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
