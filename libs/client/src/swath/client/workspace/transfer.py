"""Uploads and downloads: what is sent and what is done with what arrives. No calls are made here."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import BinaryIO

from swath.client.config import MIB
from swath.client.errors import LocalError, TransferError
from swath.workspace.v1 import workspace_pb2 as wpb

CHUNK = MIB

Progress = Callable[[int, int], None]
"""Called with bytes done and bytes in all."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One file or folder of the workspace.

    Attributes:
        path: Relative to the workspace's root, with forward slashes.
        folder: Whether it is a folder.
        size: Bytes; 0 for a folder.
        modified: Unix time in seconds.
        shipped: Whether it came with the server.
        sha256: Lower-case hexadecimal; empty where it was not asked for.
    """

    path: str
    folder: bool
    size: int
    modified: float
    shipped: bool
    sha256: str

    @property
    def name(self) -> str:
        """Last part of the path."""
        return PurePosixPath(self.path).name

    @classmethod
    def of(cls, message: wpb.Entry) -> Entry:
        modified = message.modified.seconds + message.modified.nanos / 1e9
        folder = message.kind == wpb.KIND_FOLDER
        return cls(message.path, folder, message.size, modified, message.shipped, message.sha256)


class Upload:
    """One file, or some bytes, on their way up.

    Args:
        source: A file on this machine, or the bytes themselves.
        path: Where they go in the workspace.
        progress: Called as bytes are taken for sending.

    Raises:
        LocalError: The file cannot be read.
    """

    def __init__(self, source: str | Path | bytes, path: str, progress: Progress | None = None) -> None:
        self.source = source
        self.path = path
        self._progress = progress or (lambda done, total: None)
        digest, self.size = hashlib.sha256(), 0
        for block in _blocks(source, 0):
            digest.update(block)
            self.size += len(block)
        self.sha256 = digest.hexdigest()

    def resume_request(self) -> wpb.ResumePutRequest:
        """The question from where to send."""
        return wpb.ResumePutRequest(path=self.path, sha256=self.sha256)

    def stat_request(self) -> wpb.StatRequest:
        """The question what lies there now."""
        return wpb.StatRequest(path=self.path, with_sha256=True)

    def messages(self, offset: int) -> Iterator[wpb.PutRequest]:
        """Header and chunks from `offset` on."""
        header = wpb.PutHeader(path=self.path, size=self.size, sha256=self.sha256, offset=offset)
        yield wpb.PutRequest(header=header)
        self._progress(offset, self.size)
        for block in _blocks(self.source, offset):
            yield wpb.PutRequest(chunk=block)
            offset += len(block)
            self._progress(offset, self.size)

    def already_there(self) -> None:
        """Report that nothing had to be sent."""
        self._progress(self.size, self.size)


class Download:
    """One file on its way down, kept in ``<name>.part`` until it is whole and its sha256 agrees.

    A part file of a broken download is resumed. Use it as a context manager.

    Args:
        path: In the workspace.
        to: File on this machine; its folder is made.
        progress: Called as bytes arrive.
    """

    def __init__(self, path: str, to: str | Path, progress: Progress | None = None) -> None:
        self.path = path
        self.to = Path(to)
        self._part = self.to.with_name(self.to.name + ".part")
        self._progress = progress or (lambda done, total: None)
        self._entry: wpb.Entry | None = None
        self._file: BinaryIO | None = None

    def __enter__(self) -> Download:
        try:
            self.to.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._part.open("ab")
        except OSError as error:
            raise LocalError(f"cannot write {self.to}: {error.strerror}") from None
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._file is not None:
            self._file.close()
        if self._part.exists() and self._part.stat().st_size == 0:
            self._part.unlink()

    def request(self) -> wpb.GetRequest:
        """Ask for what is missing."""
        return wpb.GetRequest(path=self.path, offset=self._open.tell())

    def receive(self, message: wpb.GetResponse) -> None:
        """Take one message."""
        if message.HasField("header"):
            if self._entry is not None and self._entry.sha256 != message.header.entry.sha256:
                raise TransferError(f"{self.path} changed on the server while it was being read")
            self._entry = message.header.entry
        else:
            self._open.write(message.chunk)
        if self._entry is not None:
            self._progress(self._open.tell(), self._entry.size)

    def restart(self) -> None:
        """Forget what lies in the part file."""
        self._open.truncate(0)
        self._open.seek(0)
        self._entry = None

    def finish(self) -> Entry:
        """Check the file and put it in its place.

        Raises:
            TransferError: Size or sha256 differ from what the server announced.
        """
        entry, size = self._entry, self._open.tell()
        if entry is None:
            raise TransferError(f"the server sent nothing for {self.path}")
        self._open.flush()
        digest = hashlib.sha256()
        for block in _blocks(self._part, 0):
            digest.update(block)
        if size != entry.size or (entry.sha256 and digest.hexdigest() != entry.sha256):
            raise TransferError(f"{self.path} arrived damaged: {size} bytes, {entry.size} expected; sha256 differs")
        self._open.close()
        os.replace(self._part, self.to)
        return Entry.of(entry)

    @property
    def _open(self) -> BinaryIO:
        if self._file is None:
            raise LocalError("a Download is used inside a with statement")
        return self._file


def files_below(folder: Path) -> list[tuple[Path, str]]:
    """Files of a folder with their paths relative to it (forward slashes), sorted; hidden ones are left out."""
    found = []
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if path.is_file() and not any(part.startswith(".") for part in relative.parts):
            found.append((path, relative.as_posix()))
    return found


def _blocks(source: str | Path | bytes, offset: int) -> Iterator[bytes]:
    if isinstance(source, bytes):
        for start in range(offset, len(source), CHUNK):
            yield source[start : start + CHUNK]
        return
    try:
        with Path(source).open("rb") as file:
            file.seek(offset)
            while block := file.read(CHUNK):
                yield block
    except OSError as error:
        raise LocalError(f"cannot read {source}: {error.strerror}") from None
