"""Scratch folders: each belongs to one process, and is removed after that process has ended in whatever way."""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import weakref
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from swath.storage.files import private_folder, storage_errors


class ScratchFolder:
    """A folder of this process alone. It is removed when it is closed, when the process exits, or by a later process.

    Args:
        folder: Holds the scratch folders of all processes. Those of processes that were killed are removed.

    Attributes:
        root: The folder.
    """

    def __init__(self, folder: Path) -> None:
        self.root, lock = _claim(private_folder(folder))
        self.close: Callable[[], object] = weakref.finalize(self, _leave, self.root, lock, os.getpid())


def _claim(folder: Path) -> tuple[Path, int]:
    for left in list(folder.glob("*.lock")):
        with suppress(OSError):
            lock = os.open(left, os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(left.with_suffix(""), ignore_errors=True)
                left.unlink()
            finally:
                os.close(lock)
    while True:
        tree = folder / secrets.token_hex(8)
        with storage_errors("a folder of local copies"):
            lock = os.open(tree.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                tree.mkdir()
                return tree, lock
        # Another process took the lock first, as it thought the folder abandoned.
        os.close(lock)


def _leave(tree: Path, lock: int, pid: int) -> None:
    if os.getpid() != pid:
        return  # a fork of the process that owns it
    shutil.rmtree(tree, ignore_errors=True)
    with suppress(FileNotFoundError):
        tree.with_suffix(".lock").unlink()
    os.close(lock)
