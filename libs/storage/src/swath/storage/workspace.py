"""What the paths in API calls mean.

A relative path names a place in the workspace. `configs/...` there is the configs root: the workspace's own layer
(`<root>/configs`) over the configs that ship with the server, so reading looks in the own layer first and writing
always goes there. An absolute path names a place of the machine, and is taken only inside the allowed roots: the
workspace, the shipped configs (to read), and the folders that the operator allowed. Where a path really leads counts:
symbolic links are followed first and judged then.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

from swath.errors import FileMissing, InvalidInput, PathDenied
from swath.storage.files import HIDDEN, refusals, replace_file

CONFIGS = "configs"

_LONGEST_PATH = 4095
_LONGEST_NAME = 255


class Base(StrEnum):
    """The folder of the workspace that a relative path starts from."""

    ROOT = ""
    CONFIGS = "configs"
    PIPELINES = "configs/pipeline"
    """SavePipeline's and the pipeline catalogue's paths."""


class Workspace:
    """The allowed places and the meaning of paths.

    Args:
        root: The workspace's folder, which is made if it is missing.
        configs: The configs that ship with the server; never written.
        allow_roots: More folders that absolute paths may lead to, for reading and writing.

    Raises:
        StorageDenied: The root cannot be made.
    """

    def __init__(self, root: Path, configs: Path, allow_roots: Sequence[Path] = ()) -> None:
        with refusals("the workspace"):
            root.mkdir(parents=True, exist_ok=True)
        self.root = Path(os.path.realpath(root))
        self.configs = Path(os.path.realpath(configs))
        self.allow_roots = tuple(Path(os.path.realpath(allowed)) for allowed in allow_roots)
        # The innermost root that holds a place decides, whatever lies in what.
        self._roots = sorted((self.root, self.configs, *self.allow_roots), key=lambda each: -len(each.parts))

    def spec(self) -> dict[str, Any]:
        """Return what another process needs to have the same workspace, as JSON-able data."""
        return {
            "root": str(self.root),
            "configs": str(self.configs),
            "allow_roots": [str(allowed) for allowed in self.allow_roots],
        }

    @classmethod
    def from_spec(cls, spec: dict[str, Any]) -> Workspace:
        """Return the workspace that `spec` described."""
        return cls(Path(spec["root"]), Path(spec["configs"]), [Path(allowed) for allowed in spec["allow_roots"]])

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
        candidates = self._candidates(path, base, write)
        for candidate in candidates:
            real = self._allowed(candidate, path, write)
            if os.path.exists(real):
                return real
        return self._allowed(candidates[0], path, write)

    def resolve_output(self, path: str) -> Path:
        """Return the place for a file that a node or a callback writes, by a path from its configuration.

        Unlike a path in a call it may hold `..`, as long as it does not leave the folder that it starts from.

        Raises:
            PathDenied: As in `resolve`.
        """
        return self.resolve(os.path.normpath(path), write=True)

    def write(self, path: str, data: bytes | memoryview, *, base: Base = Base.ROOT) -> Path:
        """Write a file whole and return its real path; it is durable when this returns. Blocks: call it in a thread.

        Raises:
            PathDenied: As in `resolve`.
            StorageRefused: No room.
            StorageDenied: The place may not be written.
            InvalidInput: The path is a folder, or lies below a file.
        """
        target = self.resolve(path, base=base, write=True)
        replace_file(target, data)
        return target

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
        real = self.resolve(path)
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
                if os.path.isfile(real := self._allowed(folder.joinpath(*parts), path, write=False)):
                    return real
        real = self.resolve(path, base=base)
        if os.path.isfile(real):
            return real
        looked = ", ".join(str(each) for each in (*(folder / path for folder in folders), real))
        raise FileMissing(f"no such file: {_shown(path)}; looked for {looked}", metadata={"path": path[:256]})

    def name(self, real: Path) -> str:
        """Return how a call may name a real path: relative to the workspace's root where that is possible."""
        if real == self.configs or real.is_relative_to(self.configs):
            return (CONFIGS / real.relative_to(self.configs)).as_posix()
        if real.is_relative_to(self.root):
            return real.relative_to(self.root).as_posix()
        return str(real)

    def _candidates(self, path: str, base: Base, write: bool) -> list[Path]:
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
