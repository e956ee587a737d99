"""Files that a job writes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol


class Outputs(Protocol):
    """The files that one job writes."""

    def resolve(self, path: str) -> Path:
        """Return where to write a file, or a folder of files, by a path from a node's or callback's configuration.

        Unlike a path in a call it may hold `..`, as long as it does not leave the folder that it starts from. What
        exists already can be read, replaced and removed: the file itself; of a folder, the files directly in it and the
        names of its subfolders.

        Raises:
            PathDenied: As in `Workspace.resolve`.
        """
        ...

    @property
    def pending(self) -> bool:
        """Whether there may be something to publish."""
        ...

    def publish(self, *, final: bool = True) -> bool:
        """Bring what was written, changed and removed to the workspace. Files that end in `.tmp` are unfinished.

        Args:
            final: Whether to publish everything. Otherwise a file that keeps growing and takes long to upload may be
                left for a later call.

        Returns:
            Whether everything was published.

        Raises:
            Unavailable, StorageDenied, StorageRefused: Not everything was published; another call continues.
        """
        ...

    def close(self) -> None:
        """Remove the local files. What was not published is lost."""
        ...


class LocalOutputs:
    """Outputs that are written straight to the workspace's folder.

    Args:
        resolve: Returns the real path that a path means.
    """

    def __init__(self, resolve: Callable[[str], Path]) -> None:
        self._resolve = resolve

    def resolve(self, path: str) -> Path:
        """As `Outputs.resolve`."""
        return self._resolve(path)

    @property
    def pending(self) -> bool:
        """As `Outputs.pending`."""
        return False

    def publish(self, *, final: bool = True) -> bool:
        """As `Outputs.publish`: everything is public as soon as it is written."""
        return True

    def close(self) -> None:
        """As `Outputs.close`."""
