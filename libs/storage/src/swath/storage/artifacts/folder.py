"""Artifacts in a local folder."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore

from swath.errors import FileMissing, SwathError, path_error
from swath.storage.artifacts.objects import TOP, digest_of
from swath.storage.files import storage_errors, sync_file, sync_folder

_SYSTEM_ERROR = re.compile(r"os error (\d+)")


class FolderObjects:
    """Objects in a local folder.

    Args:
        path: The folder; made if it is missing.

    Raises:
        StorageDenied: The folder cannot be made.
    """

    def __init__(self, path: Path) -> None:
        with storage_errors("the artifact folder"):
            path.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._store = LocalStore(prefix=path)

    def put(self, name: str, data: bytes) -> None:
        """As `Objects.put`."""
        with _obstore_errors(f"the artifact {digest_of(name)}"):
            obstore.put(self._store, name, data)
            file = self._path / name
            sync_file(file)
            # The two parent folders may be new as well.
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
        """As `Objects.remove`. It needs no room on the disk, which may be full of what is removed."""
        removed: list[str] = []
        for name in names:
            # A concurrent writer of this object checks for it afterwards, under a lock that excludes this one.
            with self._locked(fcntl.LOCK_EX), storage_errors("the artifact folder"):
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
            with suppress(FileNotFoundError), storage_errors("the artifact folder"):
                if unfinished.stat().st_mtime < than.timestamp():
                    unfinished.unlink()

    @contextmanager
    def _locked(self, kind: int) -> Iterator[None]:
        """Hold a lock on the folder; the system releases it when the process ends."""
        folder = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(folder, kind)
            yield
        finally:
            os.close(folder)

    def spec(self) -> dict[str, Any]:
        """As `Objects.spec`."""
        return {"folder": str(self._path)}

    def part(self, name: str) -> FolderObjects:
        """As `Objects.part`."""
        return FolderObjects(self._path / name)


@contextmanager
def _obstore_errors(what: str) -> Iterator[None]:
    try:
        yield
    except (BaseError, OSError) as error:
        if (refused := _obstore_error(error, what)) is None:
            raise
        raise refused from error


def _obstore_error(error: BaseError | OSError, what: str) -> SwathError | None:
    if isinstance(error, OSError) and error.errno is not None:
        return path_error(error, what)
    # obstore reports the system's error as text only.
    if found := _SYSTEM_ERROR.search(str(error)):
        number = int(found[1])
        return path_error(OSError(number, os.strerror(number)), what)
    return None
