"""The files of a workspace in a folder as clients see them. All of this blocks."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from swath.errors import FileChanged, FileMissing, FolderNotEmpty, InvalidInput, PathDenied
from swath.storage.files import HIDDEN, storage_errors
from swath.storage.workspace.folder import Workspace
from swath.storage.workspace.paths import CONFIGS
from swath_session.workspace.model import Entry, missing

_BLOCK = 1 << 20
_KNOWN_DIGESTS = 16_384
# A file that was written within the clock's granularity of its time stamp may be written again under the same stamp.
_SETTLED_NS = 2 * 10**9

_Stamp = tuple[int, int, int, int, int]


class FolderCatalogue:
    """The catalogue of a workspace in a folder."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._digests: OrderedDict[_Stamp, str] = OrderedDict()

    def stat(self, path: str, *, with_sha256: bool = False) -> Entry:
        """As `Catalogue.stat`."""
        real = self._real(path)
        return self._entry(self._workspace.name(real), real, with_sha256)

    def page(
        self, path: str, *, recursive: bool, with_sha256: bool, most: int, after: str = ""
    ) -> tuple[list[Entry], str]:
        """As `Catalogue.page`."""
        real = self._real(path)
        if not os.path.isdir(real):
            return [self._entry(self._workspace.name(real), real, with_sha256)], ""
        top = Path(self._workspace.name(real)).parts
        entries: list[Entry] = []
        for parts, place in self._walk(top, recursive, after):
            if len(entries) == most:
                return entries, entries[-1].place
            # What is removed meanwhile is left out.
            try:
                entries.append(self._entry("/".join(parts), place, with_sha256))
            except FileMissing:
                continue
        return entries, ""

    def open(self, path: str, offset: int = 0, length: int | None = None) -> LocalFile:
        """As `Catalogue.open`."""
        real = self._real(path)
        try:
            # Without waiting: a pipe in the workspace would never open.
            descriptor = os.open(real, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise missing(path) from error
        except OSError as error:
            raise PathDenied(f"the server cannot read {path[:200]!r}: {error.strerror}") from error
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise InvalidInput(f"{path!r} is not a file")
            digest = self._digest(descriptor, status)
            return LocalFile(descriptor, status, _made(self._workspace.name(real), status, digest, self._shipped(real)))
        except BaseException:
            os.close(descriptor)
            raise

    def name(self, path: str) -> str:
        """As `Catalogue.name`."""
        return self._workspace.name(self._removable(path))

    def delete(self, path: str, *, recursive: bool) -> int:
        """As `Catalogue.delete`."""
        target = self._removable(path)
        with storage_errors(repr(path)):
            if not os.path.lexists(target):
                if os.path.lexists(self._workspace.resolve(path)):
                    raise PathDenied(f"{path!r} ships with the server and cannot be removed")
                raise missing(path)
            if target.is_dir() and not target.is_symlink():
                return _remove_folder(target, path, recursive)
            target.unlink(missing_ok=True)
            return 1

    def remember(self, real: Path, status: os.stat_result, sha256: str) -> Entry:
        """Describe a file that was just written, and keep its digest in mind."""
        self._keep(_stamp(status), sha256)
        return _made(self._workspace.name(real), status, sha256, shipped=False)

    def _removable(self, path: str) -> Path:
        # The link itself goes, not what it leads to, so only the folder that holds it is looked up.
        place = Path(path)
        if place.name in ("", ".."):
            raise InvalidInput("the workspace's root cannot be removed")
        target = self._workspace.resolve(str(place.parent), write=True) / place.name
        if not target.is_relative_to(self._workspace.root) or target.name.startswith(HIDDEN) or "\0" in path:
            raise PathDenied(f"the path {path[:200]!r} is not in the workspace; only files there are removed")
        if target == self._workspace.root:
            raise InvalidInput("the workspace's root cannot be removed")
        return target

    def _real(self, path: str) -> Path:
        real = self._workspace.resolve(path or ".")
        if not (real.is_relative_to(self._workspace.root) or self._shipped(real)):
            raise PathDenied(f"the path {path[:200]!r} is not in the workspace")
        if not os.path.lexists(real):
            raise missing(path)
        return real

    def _shipped(self, real: Path) -> bool:
        return real.is_relative_to(self._workspace.configs) and not real.is_relative_to(self._workspace.root)

    def _entry(self, name: str, place: Path, with_sha256: bool) -> Entry:
        try:
            status = os.stat(place)
            digest = None
            if with_sha256 and stat.S_ISREG(status.st_mode):
                descriptor = os.open(place, os.O_RDONLY | os.O_CLOEXEC)
                try:
                    status = os.fstat(descriptor)
                    digest = self._digest(descriptor, status)
                finally:
                    os.close(descriptor)
        except FileNotFoundError as error:
            raise missing(name) from error
        except OSError as error:
            raise PathDenied(f"the server cannot read {name!r}: {error.strerror}") from error
        return _made(name, status, digest, self._shipped(place))

    def _walk(self, top: tuple[str, ...], recursive: bool, after: str) -> Iterator[tuple[tuple[str, ...], Path]]:
        """Give names and places below a folder, those up to `after` left out without being looked at."""
        waiting = [iter(self._folder(top))]
        while waiting:
            for parts, place, folder, enter in waiting[-1]:
                position = "/".join(parts) + "/" * folder
                inside = folder and after.startswith(position)
                if position <= after and not inside:
                    continue
                if not inside:
                    yield parts, place
                if recursive and enter:
                    waiting.append(iter(self._folder(parts)))
                    break
            else:
                waiting.pop()

    def _folder(self, parts: tuple[str, ...]) -> list[tuple[tuple[str, ...], Path, bool, bool]]:
        """Return names, places, and whether they are folders and to be entered, of one folder, in order."""
        return sorted(
            (((*parts, name), place, folder, enter) for name, place, folder, enter in children(self._workspace, parts)),
            key=lambda each: each[0][-1] + "/" * each[2],
        )

    def _digest(self, descriptor: int, status: os.stat_result) -> str:
        stamp = _stamp(status)
        if (known := self._digests.get(stamp)) is not None:
            return known
        digest, position = hashlib.sha256(), 0
        while block := os.pread(descriptor, _BLOCK, position):
            digest.update(block)
            position += len(block)
        if time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns) > _SETTLED_NS:
            self._keep(stamp, digest.hexdigest())
        return digest.hexdigest()

    def _keep(self, stamp: _Stamp, digest: str) -> None:
        self._digests[stamp] = digest
        while len(self._digests) > _KNOWN_DIGESTS:
            self._digests.popitem(last=False)


class LocalFile:
    """One version of a file, open for reading.

    Attributes:
        entry: The file with its digest.
    """

    def __init__(self, descriptor: int, status: os.stat_result, entry: Entry) -> None:
        self._descriptor = descriptor
        self._stamp = _stamp(status)[:4]
        self.entry = entry

    def read(self, position: int, length: int) -> bytes:
        """Return bytes of the file.

        Raises:
            FileChanged: It was written into since it was opened.
        """
        data = os.pread(self._descriptor, length, position)
        if len(data) < length or _stamp(os.fstat(self._descriptor))[:4] != self._stamp:
            raise FileChanged(f"{self.entry.path!r} was written into while it was read; repeat the request")
        return data

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


def _stamp(status: os.stat_result) -> _Stamp:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _made(name: str, status: os.stat_result, digest: str | None, shipped: bool) -> Entry:
    folder = stat.S_ISDIR(status.st_mode)
    return Entry(name, folder, 0 if folder else status.st_size, digest, status.st_mtime_ns, shipped)


def children(
    workspace: Workspace, parts: tuple[str, ...], *, own: bool = True
) -> Iterator[tuple[str, Path, bool, bool]]:
    """Give names, places, and whether they are folders and to be entered, of what a folder holds.

    Args:
        workspace: The workspace.
        parts: The folder, from the root.
        own: Whether the workspace's own layer counts, over the configs that ship with the server.
    """
    found: dict[str, tuple[Path, bool, bool]] = {}
    layers = [workspace.root.joinpath(*parts)] if own else []
    if parts[:1] == (CONFIGS,):
        layers.insert(0, workspace.configs.joinpath(*parts[1:]))
    elif not parts and workspace.configs.is_dir():
        found[CONFIGS] = (workspace.configs, True, True)
    for layer in layers:
        try:
            inside = list(os.scandir(layer))
        except OSError:
            continue
        # Links to folders are shown and not entered: they may lead in circles.
        found.update(
            (child.name, (Path(child.path), child.is_dir(), child.is_dir(follow_symlinks=False)))
            for child in inside
            if _seen(workspace, child)
        )
    return ((name, *what) for name, what in found.items())


def _seen(workspace: Workspace, child: os.DirEntry[str]) -> bool:
    if child.name.startswith(HIDDEN):
        return False
    if child.is_symlink():
        real = Path(os.path.realpath(child.path))
        if not (real.is_relative_to(workspace.root) or real.is_relative_to(workspace.configs)):
            return False
    return child.is_file() or child.is_dir()


def _remove_folder(folder: Path, path: str, recursive: bool) -> int:
    if not recursive:
        if os.listdir(folder):
            raise FolderNotEmpty(f"{path!r} is a folder that is not empty; set recursive to remove all that it holds")
        folder.rmdir()
        return 1
    removed = 0
    try:
        for here, folders, files in os.walk(folder, topdown=False):
            for place in (os.path.join(here, name) for name in (*files, *folders)):
                # Another call may be removing the same.
                with suppress(FileNotFoundError):
                    (os.rmdir if os.path.isdir(place) and not os.path.islink(place) else os.unlink)(place)
                    removed += 1
        with suppress(FileNotFoundError):
            folder.rmdir()
            removed += 1
    except OSError as error:
        if error.errno != errno.ENOTEMPTY:
            raise
        raise FolderNotEmpty(f"something was put into {path!r} while it was removed; repeat the request") from error
    return removed
