"""A workspace in a folder of this machine."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from swath.errors import FileMissing, NotFound, PathDenied, SwathError
from swath.storage.files import replace_files, storage_errors
from swath.storage.workspace.outputs import LocalOutputs, Outputs
from swath.storage.workspace.paths import AllowedPaths, Base, quoted, relative_parts

T = TypeVar("T")

_MAX_LOOKS = 3


@dataclass(frozen=True, slots=True)
class ConfigFolder:
    """A folder whose configuration files are wanted.

    Attributes:
        key: The folder, relative to the workspace's root.
        deep: Whether those in its subfolders are wanted as well.
        needed: Whether it is an error that it holds too many files.
    """

    key: str
    deep: bool = True
    needed: bool = True

    def holds(self, other: ConfigFolder) -> bool:
        """Whether gathering this folder gathers another one too."""
        below = other.key == self.key or other.key.startswith(f"{self.key}/") or not self.key
        return self != other and self.deep and below and (self.needed or not other.needed)


class Workspace:
    """Files by the paths of API calls (see `swath.storage.workspace.paths`).

    Args:
        root: The workspace's folder, which is made if it is missing.
        configs: The configs that ship with the server; never written.
        allow_roots: More folders that absolute paths may lead to, for reading and writing.
        public: How absolute paths name the root, where its own name means nothing elsewhere. The shipped configs are
            then below it as well.

    Raises:
        StorageDenied: The root cannot be made.
    """

    def __init__(
        self, root: Path, configs: Path, allow_roots: Sequence[Path] = (), *, public: str | None = None
    ) -> None:
        with storage_errors("the workspace"):
            root.mkdir(parents=True, exist_ok=True)
        self.paths = AllowedPaths(root, configs, allow_roots, public)

    @property
    def root(self) -> Path:
        """As `AllowedPaths.root`."""
        return self.paths.root

    @property
    def configs(self) -> Path:
        """As `AllowedPaths.configs`."""
        return self.paths.configs

    @property
    def allow_roots(self) -> tuple[Path, ...]:
        """As `AllowedPaths.allow_roots`."""
        return self.paths.allow_roots

    def spec(self) -> dict[str, Any]:
        """Return what another process needs to have the same workspace, as JSON-able data: credentials included."""
        return self.local_spec()

    def local_spec(self) -> dict[str, Any]:
        """Return what another process of this machine needs to read what `gather` has fetched, without credentials."""
        return {
            "root": str(self.paths.given_root),
            "configs": str(self.paths.given_configs),
            "allow_roots": [str(allowed) for allowed in self.paths.given_allow_roots],
            "public": self.paths.public,
        }

    @property
    def config_roots(self) -> tuple[Path, Path]:
        """As `AllowedPaths.config_roots`."""
        return self.paths.config_roots

    def resolve(self, path: str, *, base: Base = Base.ROOT, write: bool = False) -> Path:
        """Return the real path that a path in a call means. It need not exist.

        Args:
            path: Relative to `base`, or absolute inside the allowed roots.
            base: Where relative paths start.
            write: Whether it is to be written. A relative path then means the workspace's own layer, and
                shipped configs are refused.

        Raises:
            PathDenied: It leads out of the allowed roots, climbs by `..`, is reserved for the server, holds a NUL or
                is too long; or is to be written and ships with the server.
            InvalidInput: It is empty.
        """
        return self._resolve(path, base, write, self._fetch_folder if write else self._fetch)

    def _resolve(self, path: str, base: Base, write: bool, bring: Callable[[Path], None]) -> Path:
        candidates = self.paths.candidates(path, base, write=write)
        for candidate in candidates:
            real = self.paths.check(candidate, path, write=write)
            bring(real)
            if os.path.exists(real):
                return real
        return self.paths.check(candidates[0], path, write=write)

    def reader(self) -> Callable[[str], Path]:
        """Return a `resolve` for one job that reads many files: data sets by files and by whole folders."""
        return self.resolve

    def outputs(self) -> Outputs:
        """Return the outputs of one job: what its nodes and callbacks write."""
        return LocalOutputs(lambda path: self.resolve(os.path.normpath(path), write=True))

    def write(self, path: str, data: bytes | memoryview, *, base: Base = Base.ROOT) -> Path:
        """Write a file whole and return where `resolve` has it; it is durable when this returns. Blocks.

        Raises:
            PathDenied: As in `resolve`.
            StorageRefused: No room.
            StorageDenied: The path may not be written.
            InvalidInput: The path is a folder, or lies below a file.
        """
        return self.write_all({path: data}, base=base)[0]

    def write_all(self, files: Mapping[str, bytes | memoryview], *, base: Base = Base.ROOT) -> list[Path]:
        """Write files that belong together, each as `write` does, in their order. Without room for all of them, none
        is written.

        Raises:
            As `write`.
        """
        targets = [self.resolve(path, base=base, write=True) for path in files]
        replace_files(dict(zip(targets, files.values(), strict=True)))
        return targets

    def search_dirs(self, path: str) -> tuple[Path, ...]:
        """Return the existing folders that a search path means, in lookup order; there may be none.

        Relative paths are tried under the configs root first, then under the workspace's root; `.` is the configs root.
        A path that names the configs root or a folder below it, in whichever layer, means that folder of both.

        Raises:
            PathDenied: As in `resolve`.
            InvalidInput: It is empty.
        """
        if not os.path.isabs(path) and (dirs := self._layers(relative_parts(path), path)):
            return dirs
        real = self._resolve(path, Base.ROOT, False, self._fetch_folder)
        for layer in (os.path.realpath(each) for each in self.config_roots):
            if real.is_relative_to(layer):
                return self._layers(real.relative_to(layer).parts, path)
        return (real,) if os.path.isdir(real) else ()

    def search_path(self, paths: Iterable[str]) -> tuple[Path, ...]:
        """Return the folders that a session's search paths mean, in order, without repetition. No paths mean the
        configs root.

        Paths that do not exist any more are left out.
        """
        dirs = [each for path in tuple(paths) or (".",) for each in self.search_dirs(path)]
        return tuple(dict.fromkeys(dirs))

    def search_name(self, path: str) -> str | None:
        """Return the absolute name by which a session keeps a search path; None if it means no folder.

        Raises:
            PathDenied, InvalidInput: As in `search_dirs`.
        """
        dirs = self.search_dirs(path)
        if not dirs:
            return None
        # What an absolute path names is kept as it was named; the shipped layer stands for both.
        real = Path(os.path.realpath(path))
        found = real if real in dirs else dirs[-1]
        return self.shown(found if self.paths.public is not None else self.paths.given_name(path, found))

    def find(self, path: str, search_paths: Iterable[str] = (), *, base: Base = Base.ROOT) -> Path:
        """Return the real path of an existing file: in the first search path that has it, or under `base`.

        Args:
            path: Absolute, or relative to a search path or to `base`.
            search_paths: A session's search paths.
            base: Where a relative path is looked for last.

        Raises:
            FileMissing: It is nowhere; the message lists where it was looked for.
            PathDenied: As in `resolve`.
        """
        folders: tuple[Path, ...] = ()
        if not os.path.isabs(path):
            parts = relative_parts(path)
            folders = self.search_path(search_paths)
            for folder in folders:
                self._fetch(real := self.paths.check(folder.joinpath(*parts), path, write=False))
                if os.path.isfile(real):
                    return real
        real = self.resolve(path, base=base)
        if os.path.isfile(real):
            return real
        looked = ", ".join(self.shown(each) for each in (*(folder / path for folder in folders), real))
        raise FileMissing(f"no such file: {quoted(path)}; looked for {looked}", metadata={"path": path[:256]})

    def files(self, path: str, *, base: Base = Base.ROOT, content: Collection[str] = ()) -> dict[str, Path]:
        """Return the files below a folder, by their paths relative to it; the own layer hides the shipped one.

        Args:
            path: The folder.
            base: Where a relative path starts.
            content: Suffixes of the files that will be opened. Others need not be local.

        Raises:
            PathDenied: As in `resolve`.
        """
        found: dict[str, Path] = {}
        for candidate in reversed(self.paths.candidates(path, base, write=False)):
            real = self.paths.check(candidate, path, write=False)
            found.update(self._list_files(real, content))
        return found

    def config_folders(self, search_paths: Iterable[str], path: str) -> frozenset[ConfigFolder]:
        """Return the folders whose configuration files may take part when a configuration is composed.

        A workspace in a folder has all files already, so it returns none.

        Args:
            search_paths: A session's search paths.
            path: The configuration.
        """
        return frozenset()

    def gather(self, folder: ConfigFolder) -> None:
        """Make the `.yaml` files of a folder local, for processes that have `local_spec`. Blocks.

        Raises:
            InvalidInput: It holds too many files to be a folder of configurations.
        """

    def shown(self, real: Path | str) -> str:
        """Return a real path by the name that clients and other services know it by."""
        if self.paths.public is None:
            return str(real)
        return self.shown_in(str(real))

    def shown_in(self, text: str) -> str:
        """Return a text with the real paths in it replaced by the names that clients and other services know."""
        return self.paths.shown_in(text)

    @contextmanager
    def showing(self) -> Iterator[None]:
        """Make errors raised within name paths as clients and other services know them."""
        try:
            yield
        except SwathError as error:
            self.show(error)
            raise

    def show(self, error: SwathError) -> None:
        """Make an error name paths as clients and other services know them."""
        error.message = self.shown_in(error.message)
        error.args = (error.message,)
        error.metadata = {key: self.shown_in(value) for key, value in error.metadata.items()}

    def steadily(self, look: Callable[[], T]) -> T:
        """Return what a look-up returns, which is repeated if a root was pointed somewhere else meanwhile."""
        for _ in range(_MAX_LOOKS - 1):
            before = self.paths.roots
            try:
                found = look()
            except (NotFound, PathDenied):
                if self.paths.roots == before:
                    raise
                continue
            if self.paths.roots == before:
                return found
        return look()

    def name(self, real: Path) -> str:
        """As `AllowedPaths.name`."""
        return self.paths.name(real)

    def close(self) -> None:
        """Remove local copies."""

    def _fetch(self, real: Path) -> None:
        """Make what is at a path local: a file with those of the same stem, or a folder without its content."""

    def _fetch_folder(self, real: Path) -> None:
        """Make a folder local, if a path leads to one."""

    def _list_files(self, folder: Path, content: Collection[str]) -> dict[str, Path]:
        return {file.relative_to(folder).as_posix(): real for file, real in self.paths.walk(folder)}

    def _layers(self, parts: tuple[str, ...], path: str) -> tuple[Path, ...]:
        dirs = [self.paths.check(layer.joinpath(*parts), path, write=False) for layer in self.config_roots]
        for each in dirs:
            self._fetch_folder(each)
        return tuple(dict.fromkeys(each for each in dirs if os.path.isdir(each)))
