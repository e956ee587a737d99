"""Files that a job writes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol


class Outputs(Protocol):
    """The files that one job writes."""

    def resolve(self, path: str) -> Path:
        """Return the place for a file, or for a folder of files, by a path from a node's or callback's configuration.

        Unlike a path in a call it may hold `..`, as long as it does not leave the folder that it starts from. What is
        there already can be read, replaced and removed: the file itself; of a folder the files directly in it, and the
        names of the folders in it.

        Raises:
            PathDenied: As in `Workspace.resolve`.
        """
        ...

    @property
    def pending(self) -> bool:
        """Whether something may have to be published."""
        ...

    def publish(self, *, final: bool = True) -> bool:
        """Have what was written, changed and removed show in the workspace. Files that end in `.tmp` are unfinished.

        Args:
            final: Otherwise a file that grows and grows, and takes long to bring, may be left for a later call.

        Returns:
            Whether nothing was left.

        Raises:
            Unavailable, StorageDenied, StorageRefused: Not all of it is there; another call goes on.
        """
        ...

    def close(self) -> None:
        """Let go of the local files. What was not published is lost."""
        ...


class LocalOutputs:
    """Outputs that are written where they belong.

    Args:
        place: Says where that is.
    """

    def __init__(self, place: Callable[[str], Path]) -> None:
        self._place = place

    def resolve(self, path: str) -> Path:
        """As `Outputs.resolve`."""
        return self._place(path)

    @property
    def pending(self) -> bool:
        """As `Outputs.pending`."""
        return False

    def publish(self, *, final: bool = True) -> bool:
        """As `Outputs.publish`: they show already."""
        return True

    def close(self) -> None:
        """As `Outputs.close`."""
