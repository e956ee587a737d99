"""A small disk of one's own, to be full for real."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

from swath.errors import DependencyMissing


class SmallDisk:
    """A file system in memory with little room; as a context manager, mounted and gone.

    Args:
        folder: Where it is mounted; made if it is missing.
        size: Its bytes.

    Attributes:
        folder: Where it is.

    Raises:
        DependencyMissing: This process may not mount one: it takes root, with the right to.
    """

    def __init__(self, folder: Path, size: int) -> None:
        self.folder = folder
        self._filler = folder / "filler"
        folder.mkdir(parents=True, exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0755", "tmpfs", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise DependencyMissing(f"no file system of one's own can be mounted here: {done.stderr.strip()}")

    def fill(self, leave: int = 0) -> None:
        """Leave so many bytes and no more; what was left before the last time is taken as well."""
        with self._filler.open("ab", buffering=0) as file:
            for block in (1 << 20, 1 << 12):
                try:
                    while True:
                        file.write(bytes(block))
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
        os.truncate(self._filler, max(0, self._filler.stat().st_size - leave))

    def free(self) -> None:
        """Give back what `fill` took."""
        self._filler.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Whoever still has a file open keeps it alive, unseen, until that is closed.
        subprocess.run(["umount", "--lazy", str(self.folder)], check=True)
