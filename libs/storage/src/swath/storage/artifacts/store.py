"""Immutable bytes named by their digest."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore

from swath.errors import ArtifactCorrupt, ArtifactMissing, FileMissing, InvalidInput, SwathError
from swath.storage.files import refusal, refusals, sync_file, sync_folder
from swath.storage.s3.location import S3Location

TOP = "sha256"
"""What the names of artifacts begin with."""

CHECKPOINTS = "checkpoints"
"""The part with what runs go on from: each of these is of use only until the next one."""

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
        """Give the names of artifacts that were last written before a time."""
        ...

    def kept(self, name: str) -> bool:
        """Whether bytes that were just put are there, and stay: a `remove` that may have missed them has ended."""
        ...

    def remove(self, names: Sequence[str], than: datetime) -> list[str]:
        """Remove those bytes that were last written before a time, and return their names. One caller at a time.

        Bytes that are written meanwhile, in this process or in another one, are there afterwards.
        """
        ...

    def tidy(self, than: datetime) -> None:
        """Remove what processes that died before a time have left unfinished."""
        ...

    def spec(self) -> dict[str, Any]:
        """Return what another process needs to open the same, as JSON-able data."""
        ...

    def part_spec(self, name: str) -> dict[str, Any]:
        """Return the same for a part of that place, whose names are apart."""
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
        from swath.storage.artifacts.bucket import BucketObjects  # not needed on one machine

        return cls(BucketObjects(S3Location(**spec["bucket"]), Path(spec["cache"]), int(spec["cache_bytes"])))

    def part(self, name: str) -> ArtifactStore:
        """Return a store beside this one, in the same place, whose artifacts are collected apart."""
        return self.from_spec(self._objects.part_spec(name))

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
        # Always written anew: this heals a damaged object and renews the age that `remove_sync` goes by.
        self._objects.put(name, data)
        if not self._objects.kept(name):
            self._objects.put(name, data)
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

    def older_sync(self, age_s: float) -> set[str]:
        """Return the digests of artifacts that were last put longer ago than that, in seconds."""
        return {_digest(name) for name in self._objects.older(_ago(age_s))}

    def remove_sync(self, digests: Collection[str], age_s: float) -> list[str]:
        """Remove artifacts that nobody refers to and return those that went. One caller at a time.

        Args:
            digests: What nobody refers to.
            age_s: Those that were last put less than so many seconds ago stay, and so do those that are put meanwhile.
        """
        return [_digest(name) for name in self._objects.remove([_name(each) for each in digests], _ago(age_s))]

    def tidy_sync(self, age_s: float) -> None:
        """Remove what processes that died have left unfinished, longer ago than that, in seconds."""
        self._objects.tidy(_ago(age_s))


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
        for page in obstore.list(self._store, TOP):
            yield from (meta["path"] for meta in page if meta["last_modified"] < than)

    def kept(self, name: str) -> bool:
        """As `Objects.kept`."""
        with self._locked(fcntl.LOCK_SH):
            return self.exists(name)

    def remove(self, names: Sequence[str], than: datetime) -> list[str]:
        """As `Objects.remove`. It needs no room: a disk may be full of what is removed."""
        removed: list[str] = []
        for name in names:
            # Who writes this one now looks for it afterwards, with a lock that this one excludes.
            with self._locked(fcntl.LOCK_EX), refusals("the artifact folder"):
                written = self.written(name)
                if written is not None and written < than:
                    (self._path / name).unlink()
                    removed.append(name)
        return removed

    def written(self, name: str) -> datetime | None:
        """Return when bytes were last written, None if there are none."""
        try:
            return obstore.head(self._store, name)["last_modified"]
        except FileNotFoundError:
            return None

    def tidy(self, than: datetime) -> None:
        """As `Objects.tidy`."""
        # obstore writes to `<name>#<number>` and renames that; a process that was killed leaves it.
        for unfinished in self._path.glob(f"{TOP}/*/*#*"):
            with suppress(FileNotFoundError), refusals("the artifact folder"):
                if unfinished.stat().st_mtime < than.timestamp():
                    unfinished.unlink()

    @contextmanager
    def _locked(self, kind: int) -> Iterator[None]:
        """Hold a lock on the folder, which goes with the process however it ends."""
        folder = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(folder, kind)
            yield
        finally:
            os.close(folder)

    def spec(self) -> dict[str, Any]:
        """As `Objects.spec`."""
        return {"folder": str(self._path)}

    def part_spec(self, name: str) -> dict[str, Any]:
        """As `Objects.part_spec`."""
        return {"folder": str(self._path / name)}


def _ago(seconds: float) -> datetime:
    return datetime.now(UTC) - timedelta(seconds=seconds)


def _name(digest: str) -> str:
    if not _DIGEST.fullmatch(digest):
        raise InvalidInput(f"not a digest: {digest[:80]!r}; expected sha256: and 64 hexadecimal digits")
    return f"{TOP}/{digest[7:9]}/{digest[9:]}"


def _digest(name: str) -> str:
    return "sha256:" + name.removeprefix(f"{TOP}/").replace("/", "")


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
