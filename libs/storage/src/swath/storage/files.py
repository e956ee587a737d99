"""Atomic, durable writes to a file system, and errors of the system as errors of `swath.errors`."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from swath.errors import StorageDenied, path_error

HIDDEN = ".swath-"
"""Files and folders whose names begin with this are reserved for the server: unfinished writes and uploads."""

Stamp = tuple[int, int, int]
"""Inode, modification time, size: they show whether a local file is unchanged."""


@contextmanager
def storage_errors(what: str) -> Iterator[None]:
    """Raise errors of writes as errors of `swath.errors`.

    Args:
        what: What is written, for the message.

    Raises:
        StorageRefused: No room.
        StorageDenied: No permission, or a broken or read-only disk.
        Unavailable: Too many files are open.
        InvalidInput: A file where a folder is needed, or the other way round.
    """
    try:
        yield
    except OSError as error:
        if (refused := path_error(error, what)) is None:
            raise
        raise refused from error


def stamp_of(path: Path) -> Stamp:
    """Return the stamp of a file, which changes when the file is changed or replaced."""
    status = path.stat()
    return status.st_ino, status.st_mtime_ns, status.st_size


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file(path: Path) -> None:
    """Make a file and its name survive a loss of power."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    sync_folder(path.parent)


def private_folder(folder: Path) -> Path:
    """Make a folder that only this user may write to, and return its real path.

    Raises:
        StorageDenied: It cannot be made, belongs to another user, or others may write to it.
    """
    with storage_errors(f"the folder {folder}"):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    real = Path(os.path.realpath(folder))
    status = real.stat()
    if status.st_uid != os.geteuid() or status.st_mode & 0o022:
        raise StorageDenied(f"the folder {folder} must be this user's, and nobody else may write in it (chmod go-w)")
    return real


def replace_files(files: Mapping[Path, bytes | memoryview]) -> None:
    """Write files whole: readers see the old or the new content of each, also after a loss of power. Missing parent
    folders are made.

    All are written before the first is replaced; they are replaced in their order.

    Raises:
        StorageRefused: No room; the old files are still there.
        StorageDenied: No permission; the old files are still there, except for those replaced before.
    """
    staged: dict[Path, Path] = {}
    try:
        for target, data in files.items():
            with storage_errors(target.name):
                target.parent.mkdir(parents=True, exist_ok=True)
                staged[target] = target.parent / f"{HIDDEN}{secrets.token_hex(8)}"
                with staged[target].open("xb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
        for target, unfinished in staged.items():
            with storage_errors(target.name):
                unfinished.replace(target)
    except BaseException:
        for unfinished in staged.values():
            with suppress(OSError):
                unfinished.unlink()
        raise
    for folder in {target.parent for target in files}:
        with storage_errors(folder.name):
            sync_folder(folder)
