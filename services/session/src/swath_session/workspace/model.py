"""Files as clients see them, uploads as clients announce them, and what keeps both."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from swath.errors import FileMissing, InvalidInput, OffsetMismatch

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Entry:
    """One file or folder.

    Attributes:
        path: Relative to the workspace's root.
        folder: Whether it is a folder.
        size: Bytes; 0 for a folder.
        sha256: Digest in lower-case hexadecimal, where it was asked for.
        modified_ns: Unix time of the last change, nanoseconds; 0 where folders have none.
        shipped: Whether it ships with the server.
    """

    path: str
    folder: bool
    size: int
    sha256: str | None
    modified_ns: int
    shipped: bool

    @property
    def place(self) -> str:
        """Place in a listing: those of the code points, where a folder's path ends in a slash."""
        return f"{self.path}/" if self.folder else self.path


@dataclass(frozen=True, slots=True)
class UploadHeader:
    """What a client announces of a file before it sends it.

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


class OpenFile(Protocol):
    """One version of a file, open for reading."""

    @property
    def entry(self) -> Entry:
        """The file with its digest."""
        ...

    def read(self, position: int, length: int) -> bytes:
        """Return bytes of the file; positions follow each other.

        Raises:
            FileChanged: It was written into since it was opened.
        """
        ...

    def close(self) -> None:
        """Close the file."""
        ...


class Catalogue(Protocol):
    """Describes, lists, opens and removes files of a workspace, with the shipped configs below `configs`. It blocks."""

    def stat(self, path: str, *, with_sha256: bool = False) -> Entry:
        """Describe a file or folder.

        Raises:
            FileMissing: Nothing there.
            PathDenied: Not in the workspace.
        """
        ...

    def page(
        self, path: str, *, recursive: bool, with_sha256: bool, most: int, after: str = ""
    ) -> tuple[list[Entry], str]:
        """List a folder, in the order of `Entry.place`: each folder comes before what it holds.

        Args:
            path: The folder; empty for the root. A file lists itself.
            recursive: Whether to descend.
            with_sha256: Whether to compute digests.
            most: Entries at most.
            after: `Entry.place` of the last one of the page before; empty to begin.

        Returns:
            Entries, and the `after` of the next page; empty at the end.

        Raises:
            FileMissing: No such folder.
            PathDenied: Not in the workspace.
        """
        ...

    def open(self, path: str, offset: int = 0, length: int | None = None) -> OpenFile:
        """Open a file for reading.

        Args:
            path: The file.
            offset: Where reading will begin.
            length: Bytes that will be read at most; None means all that follow.

        Raises:
            FileMissing: No such file.
            InvalidInput: A folder, or not a plain file.
            PathDenied: Not in the workspace.
        """
        ...

    def name(self, path: str) -> str:
        """Return what `delete` would remove, as its path from the workspace's root.

        Raises:
            PathDenied: Not in the workspace.
        """
        ...

    def delete(self, path: str, *, recursive: bool) -> int:
        """Remove a file or a folder and return how many of both went.

        Raises:
            FileMissing: Nothing there.
            FolderNotEmpty: The folder holds something, and `recursive` is not set.
            PathDenied: Not in the workspace, or it ships with the server.
        """
        ...


class Upload(Protocol):
    """One upload under way. `finish` or `abandon` ends it; methods may be called from any thread, and block."""

    @property
    def path(self) -> str:
        """Where the file will be, from the workspace's root."""
        ...

    def write(self, chunks: Iterable[bytes]) -> None:
        """Append bytes.

        Raises:
            ContentMismatch: More than the header's size; what had arrived is dropped.
            TooLarge: More than the server's limit.
            StorageRefused: No space left.
        """
        ...

    def finish(self) -> Entry:
        """Put the file in its place, durably, and describe it. What is not as announced is dropped.

        Raises:
            ContentMismatch: Fewer bytes than the header's size, or another sha256.
            StorageRefused: No space left.
        """
        ...

    def abandon(self, *, keep: bool) -> None:
        """End an upload that did not finish; nothing happens if it did.

        Args:
            keep: Whether what has arrived may be gone on with, where the header allows that.
        """
        ...


class Uploads(Protocol):
    """The uploads of one workspace. All of this blocks."""

    def open(self, header: UploadHeader) -> Upload:
        """Begin an upload, or go on with one.

        Raises:
            PathDenied: The path is not one to write to.
            InvalidInput: It is a folder or lies below a file; the header contradicts itself.
            OffsetMismatch: Less has arrived than the offset; `offset` in the metadata is how much has.
            UploadActive: The same upload is under way.
            TooLarge: Larger than the limit.
            StorageRefused: No space left.
        """
        ...

    def arrived(self, path: str, sha256: str) -> tuple[int, bool]:
        """Return how many bytes of an upload have arrived, and whether the path holds that content already.

        Raises:
            PathDenied, InvalidInput: As in `open`.
        """
        ...

    def sweep(self, older_s: float) -> int:
        """Remove what is left of uploads that nobody went on with for `older_s` seconds; return how many."""
        ...


def check_sha256(sha256: str) -> None:
    """Refuse what is not a digest.

    Raises:
        InvalidInput: Not 64 lower-case hexadecimal digits.
    """
    if not _SHA256.fullmatch(sha256):
        raise InvalidInput(f"not a sha256: {sha256[:80]!r}; expected 64 lower-case hexadecimal digits")


def check_header(header: UploadHeader) -> None:
    """Refuse a header that contradicts itself.

    Raises:
        InvalidInput: It does.
    """
    if header.sha256 is not None:
        check_sha256(header.sha256)
    elif header.offset:
        raise InvalidInput(f"{header.path!r} cannot go on at {header.offset}: only uploads with a sha256 can")
    if header.size is not None and header.offset > header.size:
        raise InvalidInput(f"{header.path!r} has {header.size} bytes, so nothing can go on at {header.offset}")


def behind(header: UploadHeader, arrived: int) -> OffsetMismatch:
    """Return the error for an upload that goes on beyond what has arrived."""
    return OffsetMismatch(
        f"{arrived} bytes of {header.path!r} have arrived, so the upload cannot go on at {header.offset}",
        metadata={"path": header.path[:256], "offset": str(arrived)},
    )


def missing(path: str) -> FileMissing:
    """Return the error for a path that leads nowhere."""
    return FileMissing(f"nothing at {path[:200]!r} in the workspace", metadata={"path": path[:256]})
