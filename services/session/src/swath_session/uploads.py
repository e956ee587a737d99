"""Uploads: bytes arrive in a file of the server's own, which takes its place when it is whole. All of this blocks."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import secrets
import shutil
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from swath.errors import (
    ContentMismatch,
    InvalidInput,
    OffsetMismatch,
    PathDenied,
    StorageRefused,
    TooLarge,
    UploadActive,
)
from swath.storage.files import HIDDEN, refusals, sync_folder
from swath.storage.workspace import Workspace

_FOLDER = f"{HIDDEN}uploads"
_BLOCK = 1 << 20
_TRIES = 5
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class UploadHeader:
    """What a client says about a file before it sends it.

    Attributes:
        path: Where it is to be.
        size: Bytes of the whole file, if known.
        sha256: Digest of the whole file in lower-case hexadecimal, if known; only then can the upload be resumed.
        offset: Position of the first byte that follows.
    """

    path: str
    size: int | None = None
    sha256: str | None = None
    offset: int = 0


class Uploads:
    """The uploads of one workspace.

    Args:
        workspace: Where files go.
        most_bytes: Largest file taken.
    """

    def __init__(self, workspace: Workspace, most_bytes: int) -> None:
        self._workspace = workspace
        self._most_bytes = most_bytes
        self._folder = workspace.root / _FOLDER

    def open(self, header: UploadHeader) -> Upload:
        """Begin an upload, or go on with one.

        Raises:
            PathDenied: The path is not one to write to.
            InvalidInput: It is a folder or lies below a file; the header contradicts itself.
            OffsetMismatch: Less has arrived than the offset says; `offset` in the metadata says how much has.
            UploadActive: The same upload is under way.
            TooLarge: Larger than the limit.
            StorageRefused: No room.
        """
        target = self.target(header.path)
        _check(header)
        if header.size is not None and header.size > self._most_bytes:
            raise TooLarge(
                f"{header.path!r} has {header.size} bytes; this server takes files of {self._most_bytes} bytes at most"
            )
        with refusals(repr(header.path)):
            self._folder.mkdir(exist_ok=True)
            room = shutil.disk_usage(self._folder).free
            if header.size is not None and header.size - header.offset > room:
                raise StorageRefused(f"no room on the server for {header.path!r}: {room} bytes are free")
            descriptor, partial = self._claim(target, header)
            try:
                return Upload(descriptor, partial, target, header, self._most_bytes)
            except BaseException:
                os.close(descriptor)
                raise

    def target(self, path: str) -> Path:
        """Return where a file that is put to `path` will be.

        Raises:
            PathDenied: Not in the workspace.
            InvalidInput: A folder, or below a file.
        """
        target = self._workspace.resolve(path, write=True)
        if not target.is_relative_to(self._workspace.root):
            raise PathDenied(f"the path {path[:200]!r} is not in the workspace; files are put there only")
        if os.path.isdir(target):
            raise InvalidInput(f"{path!r} is a folder")
        above = next(each for each in target.parents if os.path.lexists(each))
        if not os.path.isdir(above):
            raise InvalidInput(f"{path!r} would lie below the file {self._workspace.name(above)!r}")
        return target

    def arrived(self, target: Path, sha256: str) -> int:
        """Return how many bytes of an upload that was cut have arrived."""
        try:
            return self._partial(target, sha256).stat().st_size
        except FileNotFoundError:
            return 0

    def sweep(self, older_s: float) -> int:
        """Remove what is left of uploads that nobody went on with for `older_s` seconds; return how many."""
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

    def _partial(self, target: Path, sha256: str) -> Path:
        return self._folder / hashlib.sha256(f"{target}\0{sha256}".encode()).hexdigest()

    def _claim(self, target: Path, header: UploadHeader) -> tuple[int, Path]:
        """Open the file for what arrives, and lock it against everybody else."""
        while True:
            unique = header.sha256 or secrets.token_hex(16)
            partial = self._partial(target, unique)
            try:
                create = 0 if header.offset else os.O_CREAT
                descriptor = os.open(partial, os.O_RDWR | os.O_CLOEXEC | create, 0o666)
            except FileNotFoundError as error:
                raise _behind(header, 0) from error
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


class Upload:
    """One upload under way. `finish` or `abandon` ends it; methods may be called from any thread."""

    def __init__(self, descriptor: int, partial: Path, target: Path, header: UploadHeader, most_bytes: int) -> None:
        arrived = os.fstat(descriptor).st_size
        if header.offset > arrived:
            raise _behind(header, arrived)
        self._most_bytes = most_bytes
        self._header = header
        self._partial = partial
        self._target = target
        self._file = os.fdopen(descriptor, "r+b", buffering=0)
        self._file.truncate(header.offset)
        self._hash = hashlib.sha256()
        while block := self._file.read(_BLOCK):
            self._hash.update(block)
        self._size = header.offset
        # A call that is cancelled leaves its write running in a thread; whoever ends the upload waits for that.
        self._turn = threading.Lock()

    @property
    def target(self) -> Path:
        """Where the file will be."""
        return self._target

    def write(self, chunks: Iterable[bytes]) -> None:
        """Append bytes.

        Raises:
            ContentMismatch: More than the header's size; what had arrived is dropped.
            TooLarge: More than the server's limit.
            StorageRefused: No room.
        """
        with self._turn, refusals(repr(self._header.path)):
            for chunk in chunks:
                self._size += len(chunk)
                self._check_size()
                self._hash.update(chunk)
                rest = memoryview(chunk)
                while rest:
                    rest = rest[self._file.write(rest) :]

    def finish(self) -> tuple[str, os.stat_result]:
        """Put the file in its place, durably, and return its sha256 and status. What is not as announced is dropped.

        Raises:
            ContentMismatch: Fewer bytes than the header's size, or another sha256.
            StorageRefused: No room.
        """
        header = self._header
        digest = self._hash.hexdigest()
        with self._turn, refusals(repr(header.path)):
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
        return digest, status

    def abandon(self, *, keep: bool) -> None:
        """End an upload that did not finish.

        Args:
            keep: Whether what has arrived may be gone on with, where the header allows that.
        """
        with self._turn:
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
        if self._size > self._most_bytes:
            raise TooLarge(f"{path!r} has more than {self._most_bytes} bytes, and this server takes no more")


def check_sha256(sha256: str) -> None:
    """Refuse what is not a digest.

    Raises:
        InvalidInput: Not 64 lower-case hexadecimal digits.
    """
    if not _SHA256.fullmatch(sha256):
        raise InvalidInput(f"not a sha256: {sha256[:80]!r}; expected 64 lower-case hexadecimal digits")


def _check(header: UploadHeader) -> None:
    if header.sha256 is not None:
        check_sha256(header.sha256)
    elif header.offset:
        raise InvalidInput(f"{header.path!r} cannot go on at {header.offset}: only uploads with a sha256 can")
    if header.size is not None and header.offset > header.size:
        raise InvalidInput(f"{header.path!r} has {header.size} bytes, so nothing can go on at {header.offset}")


def _behind(header: UploadHeader, arrived: int) -> OffsetMismatch:
    return OffsetMismatch(
        f"{arrived} bytes of {header.path!r} have arrived, so the upload cannot go on at {header.offset}",
        metadata={"path": header.path[:256], "offset": str(arrived)},
    )


def _lock(descriptor: int, path: str) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise UploadActive(f"the same content is being put to {path!r} by another call", retry_after=1.0) from error
