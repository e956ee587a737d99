"""What the paths in API calls mean.

A relative path names a file or folder of the workspace. `configs/...` there is the configs root: the workspace's own
layer (`<root>/configs`) over the configs that ship with the server. Reading looks in the own layer first; writing
always goes there. An absolute path names a file or folder of the machine, and must lie inside the allowed roots: the
workspace, the shipped configs (for reading), and the folders that the operator allowed. Symbolic links are resolved
before a path is checked, those in the roots' own paths too, at each use: tools that deliver configs (git-sync,
ConfigMap volumes) point a link somewhere else while the server runs.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from enum import StrEnum
from pathlib import Path

from swath.errors import InvalidInput, PathDenied
from swath.storage.files import HIDDEN

CONFIGS = "configs"

_LONGEST_PATH = 4095
_LONGEST_NAME = 255


class Base(StrEnum):
    """The folder of the workspace that a relative path starts from."""

    ROOT = ""
    CONFIGS = "configs"
    PIPELINES = "configs/pipeline"
    """SavePipeline's and the pipeline catalogue's paths."""


class AllowedPaths:
    """The folders that paths may lead to, and what a path means among them.

    Args:
        root: The workspace's folder.
        configs: The configs that ship with the server; never written.
        allow_roots: More folders that absolute paths may lead to, for reading and writing.
        public: How absolute paths name the root, where its own name means nothing elsewhere. The shipped configs are
            then below it as well.

    Attributes:
        given_root, given_configs: Their absolute paths as they were given.
        public: As given.
    """

    def __init__(self, root: Path, configs: Path, allow_roots: Sequence[Path], public: str | None) -> None:
        self.given_root = Path(os.path.abspath(root))
        self.given_configs = Path(os.path.abspath(configs))
        self.given_allow_roots = tuple(Path(os.path.abspath(allowed)) for allowed in allow_roots)
        self.public = public

    @property
    def root(self) -> Path:
        """Where the workspace's folder really is now: symbolic links are followed."""
        return Path(os.path.realpath(self.given_root))

    @property
    def configs(self) -> Path:
        """Where the shipped configs really are now."""
        return Path(os.path.realpath(self.given_configs))

    @property
    def allow_roots(self) -> tuple[Path, ...]:
        """Where the allowed folders really are now."""
        return tuple(Path(os.path.realpath(allowed)) for allowed in self.given_allow_roots)

    @property
    def config_roots(self) -> tuple[Path, Path]:
        """The two layers of the configs root, in lookup order: the workspace's own, then the shipped one."""
        return self.root / CONFIGS, self.configs

    @property
    def roots(self) -> tuple[Path, ...]:
        """Return all roots as they are now."""
        return (self.root, self.configs, *self.allow_roots)

    def candidates(self, path: str, base: Base, *, write: bool) -> list[Path]:
        """Return what a path in a call may mean, in lookup order.

        Args:
            path: Relative to `base`, or absolute.
            base: Where relative paths start.
            write: Whether it is to be written: then there is one candidate.

        Raises:
            PathDenied: It climbs by `..`, holds a NUL or is too long.
            InvalidInput: It is empty.
        """
        inside = self._inside(path)
        if inside != path:
            path, base = inside, Base.ROOT
        if os.path.isabs(path):
            # In the configs, too long is what a call has put below a search path: the folder above is not its own.
            _check(self.name(Path(path)), Path(path).parts)
            return [Path(path)]
        parts = (*Path(base.value).parts, *relative_parts(path))
        candidates = [self.given_root.joinpath(*parts)]
        if not write and parts[:1] == (CONFIGS,):
            candidates.append(self.given_configs.joinpath(*parts[1:]))
        return candidates

    def check(self, place: Path, path: str, *, write: bool) -> Path:
        """Return the real path of a candidate, if calls may use it.

        Args:
            place: One of `candidates`, or a path below one.
            path: The path in the call, for messages.
            write: Whether it is to be written.

        Raises:
            PathDenied: It is outside the allowed roots or reserved for the server, or is to be written and ships with
                the server.
        """
        real = Path(os.path.realpath(place))
        root, configs, *allowed = self.roots
        # Roots may be nested: the innermost one that holds a path decides.
        homes = [each for each in (root, configs, *allowed) if real.is_relative_to(each)]
        home = max(homes, key=lambda each: len(each.parts), default=None)
        if home is None:
            raise PathDenied(
                f"the path {quoted(path)} leads out of the allowed folders; the server takes paths in its workspace, "
                "in its configs, and in folders that were allowed with --allow-root",
                metadata={"path": path[:256]},
            )
        if any(part.startswith(HIDDEN) for part in real.relative_to(home).parts):
            raise PathDenied(f"the path {quoted(path)} is the server's own", metadata={"path": path[:256]})
        if write and home == configs and not configs.is_relative_to(root):
            raise PathDenied(
                f"the path {quoted(path)} lies in the configs that ship with the server, which are never written; "
                f"write to {self.name(real)!r} in the workspace, which is looked at first",
                metadata={"path": path[:256]},
            )
        return real

    def name(self, real: Path) -> str:
        """Return how a call may name a real path: relative to the workspace's root where that is possible."""
        root, configs = self.root, self.configs
        if real.is_relative_to(configs):
            return (CONFIGS / real.relative_to(configs)).as_posix()
        if real.is_relative_to(root):
            return real.relative_to(root).as_posix()
        return str(real)

    def given_name(self, path: str, real: Path) -> Path:
        """Return an absolute path for a folder that stays right when links on the way to it are pointed elsewhere.

        Args:
            path: The path in the call.
            real: The folder that it means now.
        """
        given = [Path(os.path.normpath(path))]
        if not os.path.isabs(path):
            given = [self.given_configs / path, self.given_root / CONFIGS / path, self.given_root / path]
        return next((each for each in given if Path(os.path.realpath(each)) == real), real)

    def walk(self, folder: Path, above: frozenset[Path] = frozenset()) -> Iterator[tuple[Path, Path]]:
        """Give the files below a folder, and where they really are.

        Links to folders are followed, as the folders of a ConfigMap volume are links, but neither out of the roots nor
        in circles. The names that such a volume keeps for itself, `..data` and `..<time>`, are left out.

        Args:
            folder: The folder.
            above: The real paths of the folders that led here.
        """
        above = above or frozenset({Path(os.path.realpath(folder))})
        with suppress(OSError):
            for entry in sorted(os.scandir(folder), key=lambda each: each.name):
                place = Path(entry.path)
                try:
                    real = self.check(place, entry.path, write=False)
                except PathDenied:
                    continue
                if entry.name.startswith("..") or real in above:
                    continue
                if real.is_dir():
                    yield from self.walk(place, above | {real})
                elif real.is_file():
                    yield place, real

    def shown_in(self, text: str) -> str:
        """Return a text with the real paths in it replaced by the names that clients and other services know."""
        if self.public is None:
            return text
        configs = f"{self.public}/{CONFIGS}"
        names = {
            self.root: self.public,
            self.given_root: self.public,
            self.configs: configs,
            self.given_configs: configs,
        }
        for place, name in names.items():
            text = text.replace(str(place), name)
        return text

    def _inside(self, path: str) -> str:
        """Return a path relative to the root, if it names that by its public name."""
        if self.public is not None and (path == self.public or path.startswith(f"{self.public}/")):
            return path[len(self.public) :].lstrip("/") or "."
        return path


def relative_parts(path: str) -> tuple[str, ...]:
    """Return the names in a relative path.

    Raises:
        PathDenied: It climbs by `..`, holds a NUL or is too long.
        InvalidInput: It is empty.
    """
    if not path:
        raise InvalidInput("the path is empty")
    parts = Path(path).parts
    _check(path, parts)
    if ".." in parts:
        raise PathDenied(
            f"the path {quoted(path)} climbs by '..'; relative paths stay in the workspace",
            metadata={"path": path[:256]},
        )
    return parts


def _check(path: str, parts: tuple[str, ...]) -> None:
    if "\0" in path:
        raise PathDenied("the path holds a NUL character")
    longest = max((len(os.fsencode(part)) for part in parts), default=0)
    if longest > _LONGEST_NAME or len(os.fsencode(path)) > _LONGEST_PATH:
        raise PathDenied(
            f"the path {quoted(path)} is too long: {_LONGEST_PATH} bytes are taken in all and {_LONGEST_NAME} in a name"
        )


def quoted(path: str) -> str:
    """Return a path for a message: quoted, and cut where it is long."""
    return repr(path if len(path) <= 200 else f"{path[:200]}…")
