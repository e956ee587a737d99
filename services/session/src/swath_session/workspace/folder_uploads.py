"""Uploads to a workspace in a folder: bytes arrive in a file of the server's own, which takes its place when whole."""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import shutil
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from swath.errors import (
    ContentMismatch,
    InvalidInput,
    PathDenied,
    StorageRefused,
    TooLarge,
    UploadActive,
)
from swath.storage.files import HIDDEN, storage_errors, sync_folder
from swath.storage.workspace.folder import Workspace
from swath_session.workspace.folder_catalogue import FolderCatalogue
from swath_session.workspace.model import Entry, UploadHeader, behind, check_header

_FOLDER = f"{HIDDEN}uploads"
_BLOCK = 1 << 20
_TRIES = 5


class FolderUploads:
    """The uploads of a workspace in a folder.

    Args:
        workspace: Where files go.
        catalogue: Describes them.
        max_bytes: Largest file taken.
    """

    def __init__(self, workspace: Workspace, catalogue: FolderCatalogue, max_bytes: int) -> None:
        self._workspace = workspace
        self._catalogue = catalogue
        self._max_bytes = max_bytes

    @property
    def _folder(self) -> Path:
        return self._workspace.root / _FOLDER

    def open(self, header: UploadHeader) -> LocalUpload:
        """As `Uploads.open`."""
        target = self._target(header.path)
        check_header(header)
        if header.size is not None and header.size > self._max_bytes:
            raise TooLarge(
                f"{header.path!r} has {header.size} bytes; this server takes files of {self._max_bytes} bytes at most"
            )
        with storage_errors(repr(header.path)):
            self._folder.mkdir(exist_ok=True)
            free = shutil.disk_usage(self._folder).free
            if header.size is not None and header.size - header.offset > free:
                raise StorageRefused(f"no room on the server for {header.path!r}: {free} bytes are free")
            descriptor, partial = self._open_locked(target, header)
            try:
                name = self._workspace.name(target)
                return LocalUpload(descriptor, partial, target, name, header, self._max_bytes, self._catalogue)
            except BaseException:
                os.close(descriptor)
                raise

    def arrived(self, path: str, sha256: str) -> tuple[int, bool]:
        """As `Uploads.arrived`."""
        target = self._target(path)
        if target.is_file() and self._catalogue.stat(str(target), with_sha256=True).sha256 == sha256:
            return target.stat().st_size, True
        try:
            return self._partial(target, sha256).stat().st_size, False
        except FileNotFoundError:
            return 0, False

    def sweep(self, older_s: float) -> int:
        """As `Uploads.sweep`."""
        removed = 0
        with suppress(FileNotFoundError):
            for partial in list(self._folder.iterdir()):
                with suppress(FileNotFoundError, UploadActive):
                    if time.time() - partial.stat().st_mtime < older_s:
                        continue
                    with partial.open("r+b") as file:
                        _lock(file.fileno(), partial.name)
                        partial.unlink()
                        removed += 1
        return removed

    def _target(self, path: str) -> Path:
        target = self._workspace.resolve(path, write=True)
        if not target.is_relative_to(self._workspace.root):
            raise PathDenied(f"the path {path[:200]!r} is not in the workspace; files are put there only")
        if os.path.isdir(target):
            raise InvalidInput(f"{path!r} is a folder")
        above = next(each for each in target.parents if os.path.lexists(each))
        if not os.path.isdir(above):
            raise InvalidInput(f"{path!r} would lie below the file {self._workspace.name(above)!r}")
        return target

    def _partial(self, target: Path, sha256: str) -> Path:
        return self._folder / hashlib.sha256(f"{target}\0{sha256}".encode()).hexdigest()

    def _open_locked(self, target: Path, header: UploadHeader) -> tuple[int, Path]:
        """Open the file for what arrives, and lock it."""
        while True:
            unique = header.sha256 or secrets.token_hex(16)
            partial = self._partial(target, unique)
            try:
                create = 0 if header.offset else os.O_CREAT
                descriptor = os.open(partial, os.O_RDWR | os.O_CLOEXEC | create, 0o666)
            except FileNotFoundError as error:
                raise behind(header, 0) from error
            try:
                _lock(descriptor, header.path)
                with suppress(FileNotFoundError):
                    if os.path.samestat(os.fstat(descriptor), partial.stat()):
                        return descriptor, partial
            except BaseException:
                os.close(descriptor)
                raise
            # It was finished or dropped between the opening and the locking; the name is free again.
            os.close(descriptor)


class LocalUpload:
    """One upload under way.

    Attributes:
        path: Where the file will be, from the workspace's root.
    """

    def __init__(
        self,
        descriptor: int,
        partial: Path,
        target: Path,
        name: str,
        header: UploadHeader,
        max_bytes: int,
        catalogue: FolderCatalogue,
    ) -> None:
        arrived = os.fstat(descriptor).st_size
        if header.offset > arrived:
            raise behind(header, arrived)
        self.path = name
        self._max_bytes = max_bytes
        self._catalogue = catalogue
        self._header = header
        self._partial = partial
        self._target = target
        self._file = os.fdopen(descriptor, "r+b", buffering=0)
        self._file.truncate(header.offset)
        self._hash = hashlib.sha256()
        while block := self._file.read(_BLOCK):
            self._hash.update(block)
        self._size = header.offset
        # A call that is cancelled leaves its write running in a thread; what ends the upload waits for that.
        self._lock = threading.Lock()

    def write(self, chunks: Iterable[bytes]) -> None:
        """As `Upload.write`."""
        with self._lock, storage_errors(repr(self._header.path)):
            for chunk in chunks:
                self._size += len(chunk)
                self._check_size()
                self._hash.update(chunk)
                rest = memoryview(chunk)
                while rest:
                    rest = rest[self._file.write(rest) :]

    def finish(self) -> Entry:
        """As `Upload.finish`."""
        header = self._header
        digest = self._hash.hexdigest()
        with self._lock, storage_errors(repr(header.path)):
            if header.size is not None and self._size < header.size:
                # The one mismatch that can be mended: by going on.
                raise ContentMismatch(f"{header.path!r} ended after {self._size} of {header.size} bytes")
            if header.sha256 is not None and digest != header.sha256:
                self._partial.unlink()
                raise ContentMismatch(f"{header.path!r} has the sha256 {digest}; expected {header.sha256}")
            os.fsync(self._file.fileno())
            self._take_place()
            sync_folder(self._target.parent)
            # By the open file: the path may be somebody else's file by now.
            status = os.fstat(self._file.fileno())
            self._file.close()
        return self._catalogue.remember(self._target, status, digest)

    def abandon(self, *, keep: bool) -> None:
        """As `Upload.abandon`."""
        with self._lock:
            if self._file.closed:
                return
            if not keep or self._header.sha256 is None:
                with suppress(FileNotFoundError):
                    self._partial.unlink()
            self._file.close()

    def _take_place(self) -> None:
        # A folder that was just made may be removed at once by somebody else.
        for _ in range(_TRIES):
            self._target.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileNotFoundError):
                self._partial.replace(self._target)
                return
        raise UploadActive(f"the folder of {self._header.path!r} is being removed; repeat the request", retry_after=1.0)

    def _check_size(self) -> None:
        path, size = self._header.path, self._header.size
        if size is not None and self._size > size:
            self._partial.unlink()
            raise ContentMismatch(f"{path!r} has more than the {size} bytes that were announced")
        if self._size > self._max_bytes:
            raise TooLarge(f"{path!r} has more than {self._max_bytes} bytes, and this server takes no more")


def _lock(descriptor: int, path: str) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise UploadActive(f"the same content is being put to {path!r} by another call", retry_after=1.0) from error
