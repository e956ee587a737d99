"""What the paths in API calls mean.

A relative path names a place in the workspace. `configs/...` there is the configs root: the workspace's own layer
(`<root>/configs`) over the configs that ship with the server, so reading looks in the own layer first and writing
always goes there. An absolute path names a place of the machine, and is taken only inside the allowed roots: the
workspace, the shipped configs (to read), and the folders that the operator allowed. Where a path really leads counts:
symbolic links are followed first and judged then.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from swath.errors import FileMissing, InvalidInput, PathDenied, SwathError
from swath.storage.files import HIDDEN, refusals, replace_files
from swath.storage.workspace.outputs import LocalOutputs, Outputs

CONFIGS = "configs"

_LONGEST_PATH = 4095
_LONGEST_NAME = 255


class Base(StrEnum):
    """The folder of the workspace that a relative path starts from."""

    ROOT = ""
    CONFIGS = "configs"
    PIPELINES = "configs/pipeline"
    """SavePipeline's and the pipeline catalogue's paths."""


@dataclass(frozen=True, slots=True)
class ConfigFolder:
    """A folder whose configuration files are wanted.

    Attributes:
        key: The folder, relative to the workspace's root.
        deep: Whether those in the folders within it are wanted as well.
        needed: Whether it is an error that it holds too many files.
    """

    key: str
    deep: bool = True
    needed: bool = True

    def holds(self, other: ConfigFolder) -> bool:
        """Whether gathering this one does for another one too."""
        below = other.key == self.key or other.key.startswith(f"{self.key}/") or not self.key
        return self != other and self.deep and below and (self.needed or not other.needed)


class Workspace:
    """The allowed places and the meaning of paths.

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
        with refusals("the workspace"):
            root.mkdir(parents=True, exist_ok=True)
        self.root = Path(os.path.realpath(root))
        self.configs = Path(os.path.realpath(configs))
        self.allow_roots = tuple(Path(os.path.realpath(allowed)) for allowed in allow_roots)
        self.public = public
        # The innermost root that holds a place decides, whatever lies in what.
        self._roots = sorted((self.root, self.configs, *self.allow_roots), key=lambda each: -len(each.parts))

    def spec(self) -> dict[str, Any]:
        """Return what another process needs to have the same workspace, as JSON-able data: credentials included."""
        return self.local_spec()

    def local_spec(self) -> dict[str, Any]:
        """Return what another process of this machine needs to read what `gather` has brought, and nothing else."""
        return {
            "root": str(self.root),
            "configs": str(self.configs),
            "allow_roots": [str(allowed) for allowed in self.allow_roots],
            "public": self.public,
        }

    @property
    def config_roots(self) -> tuple[Path, Path]:
        """The two layers of the configs root, in the order of looking: the workspace's own, then the shipped one."""
        return self.root / CONFIGS, self.configs

    def resolve(self, path: str, *, base: Base = Base.ROOT, write: bool = False) -> Path:
        """Return the real path that a path in a call means. It need not exist.

        Args:
            path: Relative to `base`, or absolute inside the allowed roots.
            base: Where relative paths start.
            write: Whether the place is to be written. A relative path then means the workspace's own layer, and
                shipped configs are refused.

        Raises:
            PathDenied: It leads out of the allowed roots, climbs by `..`, is the server's own, holds a NUL or is too
                long; or is to be written and ships with the server.
            InvalidInput: It is empty.
        """
        return self._resolve(path, base, write, self._look if write else self._bring)

    def _resolve(self, path: str, base: Base, write: bool, bring: Callable[[Path], None]) -> Path:
        candidates = self._candidates(path, base, write)
        for candidate in candidates:
            real = self._allowed(candidate, path, write)
            bring(real)
            if os.path.exists(real):
                return real
        return self._allowed(candidates[0], path, write)

    def reader(self) -> Callable[[str], Path]:
        """Return a `resolve` for one job that reads much: data sets by files and by whole folders."""
        return self.resolve

    def outputs(self) -> Outputs:
        """Return places for what one job writes: its nodes and callbacks."""
        return LocalOutputs(lambda path: self.resolve(os.path.normpath(path), write=True))

    def write(self, path: str, data: bytes | memoryview, *, base: Base = Base.ROOT) -> Path:
        """Write a file whole and return where `resolve` has it; it is durable when this returns. Blocks.

        Raises:
            PathDenied: As in `resolve`.
            StorageRefused: No room.
            StorageDenied: The place may not be written.
            InvalidInput: The path is a folder, or lies below a file.
        """
        return self.write_all({path: data}, base=base)[0]

    def write_all(self, files: Mapping[str, bytes | memoryview], *, base: Base = Base.ROOT) -> list[Path]:
        """Write files that belong together, each as `write` does, in their order: where there is no room for all of
        them, none is written.

        Raises:
            As `write`.
        """
        targets = [self.resolve(path, base=base, write=True) for path in files]
        replace_files(dict(zip(targets, files.values(), strict=True)))
        return targets

    def search_dirs(self, path: str) -> tuple[Path, ...]:
        """Return the existing folders that a search path means, in the order of looking; none where there are none.

        Relative paths are tried under the configs root first and under the workspace's root then; `.` is the configs
        root. A path that names the configs root or a folder below it, in whichever layer, means that folder of both.

        Raises:
            PathDenied: As in `resolve`.
            InvalidInput: It is empty.
        """
        if not os.path.isabs(path) and (dirs := self._layers(_parts(path), path)):
            return dirs
        real = self._resolve(path, Base.ROOT, False, self._look)
        for layer in (os.path.realpath(each) for each in self.config_roots):
            if real.is_relative_to(layer):
                return self._layers(real.relative_to(layer).parts, path)
        return (real,) if os.path.isdir(real) else ()

    def search_path(self, paths: Iterable[str]) -> tuple[Path, ...]:
        """Return the folders that a session's search paths mean, in order, each once. No paths mean the configs root.

        Paths that are not there any more are left out.
        """
        dirs = [each for path in tuple(paths) or (".",) for each in self.search_dirs(path)]
        return tuple(dict.fromkeys(dirs))

    def find(self, path: str, search_paths: Iterable[str] = (), *, base: Base = Base.ROOT) -> Path:
        """Return the real path of an existing file: in the first of the search paths that has it, or under `base`.

        Args:
            path: Absolute, or relative to a search path or to `base`.
            search_paths: A session's search paths.
            base: Where a relative path is looked for last.

        Raises:
            FileMissing: Nowhere; the message says where was looked.
            PathDenied: As in `resolve`.
        """
        folders: tuple[Path, ...] = ()
        if not os.path.isabs(path):
            parts = _parts(path)
            folders = self.search_path(search_paths)
            for folder in folders:
                self._bring(real := self._allowed(folder.joinpath(*parts), path, write=False))
                if os.path.isfile(real):
                    return real
        real = self.resolve(path, base=base)
        if os.path.isfile(real):
            return real
        looked = ", ".join(self.shown(each) for each in (*(folder / path for folder in folders), real))
        raise FileMissing(f"no such file: {_shown(path)}; looked for {looked}", metadata={"path": path[:256]})

    def files(self, path: str, *, base: Base = Base.ROOT, content: Collection[str] = ()) -> dict[str, Path]:
        """Return the files below a folder, by their paths relative to it; the own layer hides the shipped one.

        Args:
            path: The folder.
            base: Where a relative path starts.
            content: Suffixes of the files that will be opened. Others need not be at hand.

        Raises:
            PathDenied: As in `resolve`.
        """
        found: dict[str, Path] = {}
        for candidate in reversed(self._candidates(path, base, write=False)):
            real = self._allowed(candidate, path, write=False)
            found.update(self._listed(real, content))
        return found

    def config_folders(self, search_paths: Iterable[str], path: str) -> frozenset[ConfigFolder]:
        """Return the folders whose configuration files may take part when a configuration is composed.

        A workspace of one machine has all files at hand, so there are none to gather.

        Args:
            search_paths: A session's search paths.
            path: The configuration.
        """
        return frozenset()

    def gather(self, folder: ConfigFolder) -> None:
        """Have the `.yaml` files of a folder at hand for processes that have `local_spec`. Blocks.

        Raises:
            InvalidInput: It holds too many files to be a folder of configurations.
        """

    def shown(self, real: Path | str) -> str:
        """Return a real path as clients and other services know it: what they may call it by."""
        if self.public is None:
            return str(real)
        return self.shown_in(str(real))

    def shown_in(self, text: str) -> str:
        """Return a text with the real paths in it as clients and other services know them."""
        if self.public is None:
            return text
        return text.replace(str(self.root), self.public).replace(str(self.configs), f"{self.public}/{CONFIGS}")

    @contextmanager
    def showing(self) -> Iterator[None]:
        """Have errors within name real paths as clients and other services know them."""
        try:
            yield
        except SwathError as error:
            error.message = self.shown_in(error.message)
            error.args = (error.message,)
            error.metadata = {key: self.shown_in(value) for key, value in error.metadata.items()}
            raise

    def close(self) -> None:
        """Let go of local copies."""

    def name(self, real: Path) -> str:
        """Return how a call may name a real path: relative to the workspace's root where that is possible."""
        if real == self.configs or real.is_relative_to(self.configs):
            return (CONFIGS / real.relative_to(self.configs)).as_posix()
        if real.is_relative_to(self.root):
            return real.relative_to(self.root).as_posix()
        return str(real)

    def _bring(self, real: Path) -> None:
        """Have what is at a place at hand: a file and those that go with it, or a folder, though not its content."""

    def _look(self, real: Path) -> None:
        """Have a folder at a place at hand, if there is one."""

    def _listed(self, folder: Path, content: Collection[str]) -> dict[str, Path]:
        found: dict[str, Path] = {}
        for file in folder.rglob("*"):
            # Links may lead out.
            with suppress(PathDenied):
                if (real := self._allowed(file, str(file), write=False)).is_file():
                    found[file.relative_to(folder).as_posix()] = real
        return found

    def _inside(self, path: str) -> str:
        """Return a path relative to the root, if it names that by its public name."""
        if self.public is not None and (path == self.public or path.startswith(f"{self.public}/")):
            return path[len(self.public) :].lstrip("/") or "."
        return path

    def _candidates(self, path: str, base: Base, write: bool) -> list[Path]:
        inside = self._inside(path)
        if inside != path:
            path, base = inside, Base.ROOT
        if os.path.isabs(path):
            _check(path, Path(path).parts)
            return [Path(path)]
        parts = (*Path(base.value).parts, *_parts(path))
        candidates = [self.root.joinpath(*parts)]
        if not write and parts[:1] == (CONFIGS,):
            candidates.append(self.configs.joinpath(*parts[1:]))
        return candidates

    def _layers(self, parts: tuple[str, ...], path: str) -> tuple[Path, ...]:
        dirs = [self._allowed(layer.joinpath(*parts), path, write=False) for layer in self.config_roots]
        for each in dirs:
            self._look(each)
        return tuple(dict.fromkeys(each for each in dirs if os.path.isdir(each)))

    def _allowed(self, place: Path, path: str, write: bool) -> Path:
        """Return where a place really is, if a call may go there."""
        real = Path(os.path.realpath(place))
        home = next((each for each in self._roots if real.is_relative_to(each)), None)
        if home is None:
            raise PathDenied(
                f"the path {_shown(path)} leads out of the allowed folders; the server takes paths in its workspace, "
                "in its configs, and in folders that were allowed with --allow-root",
                metadata={"path": path[:256]},
            )
        if any(part.startswith(HIDDEN) for part in real.relative_to(home).parts):
            raise PathDenied(f"the path {_shown(path)} is the server's own", metadata={"path": path[:256]})
        if write and home == self.configs and not self.configs.is_relative_to(self.root):
            raise PathDenied(
                f"the path {_shown(path)} lies in the configs that ship with the server, which are never written; "
                f"write to {self.name(real)!r} in the workspace, which is looked at first",
                metadata={"path": path[:256]},
            )
        return real


def _parts(path: str) -> tuple[str, ...]:
    """Return the names in a relative path."""
    if not path:
        raise InvalidInput("the path is empty")
    parts = Path(path).parts
    _check(path, parts)
    if ".." in parts:
        raise PathDenied(
            f"the path {_shown(path)} climbs by '..'; relative paths stay in the workspace",
            metadata={"path": path[:256]},
        )
    return parts


def _check(path: str, parts: tuple[str, ...]) -> None:
    if "\0" in path:
        raise PathDenied("the path holds a NUL character")
    longest = max((len(os.fsencode(part)) for part in parts), default=0)
    if longest > _LONGEST_NAME or len(os.fsencode(path)) > _LONGEST_PATH:
        raise PathDenied(
            f"the path {_shown(path)} is too long: {_LONGEST_PATH} bytes are taken in all and {_LONGEST_NAME} in a name"
        )


def _shown(path: str) -> str:
    return repr(path if len(path) <= 200 else f"{path[:200]}…")
