"""Paths in selectors, as the data spells them: two spellings of one path are one path."""

from __future__ import annotations

import fnmatch
import glob
import os
import posixpath
import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import PurePosixPath

from swath.documents import SelectorDocument, SplitsDocument
from swath.engine.data.collection import Resolve
from swath.errors import SwathError

_GLOB = re.compile(r"[*?\[]")

STAGES = ("train", "val", "test", "predict")


def normal(path: str) -> str:
    """Normalise a path for comparison: forward slashes, dots collapsed, case folded if it looks like Windows."""
    windows = "\\" in path or re.match(r"[A-Za-z]:[/\\]", path) is not None
    normalised = posixpath.normpath(path.replace("\\", "/"))
    return normalised.casefold() if windows else normalised


def has_paths(splits: SplitsDocument) -> bool:
    """Whether any selector names files by their paths, or by patterns of them."""
    return any(_has_paths(selector) for stage in STAGES for selector in getattr(splits, stage))


def respelled(splits: SplitsDocument, sources: Mapping[str, Iterable[str]], resolve: Resolve) -> SplitsDocument:
    """Return splits whose selectors spell the path of a file as the data does.

    A path that is no source's name by its letters is that of the one source with a file in the same place.

    Args:
        splits: Splits without a splits file.
        sources: Paths of the files of each source, by the source's name. Relative ones start at the workspace's root.
        resolve: Returns the place that a path of the splits means.
    """
    spellings = _Spellings(sources, resolve)
    changes = {
        stage: [_respelled(selector, spellings) for selector in getattr(splits, stage)]
        for stage in STAGES
        if getattr(splits, stage)
    }
    return splits.model_copy(update=changes)


class _Spellings:
    """The names of sources, and the places of their files."""

    def __init__(self, sources: Mapping[str, Iterable[str]], resolve: Resolve) -> None:
        self._sources = sources
        self._resolve = resolve
        self._names = {normal(name) for name in sources}

    def of(self, path: str) -> str:
        """Return the name of the source that a path means; the path itself if it means none."""
        if normal(path) in self._names:
            return path
        try:
            place = str(self._resolve(os.path.normpath(path)))
        except SwathError:
            return path
        named = self._places.get(place, set())
        return next(iter(named)) if len(named) == 1 else path

    def pattern(self, pattern: str) -> str:
        """Return a glob pattern as it fits the names of sources; the pattern itself if it fits some, or none."""
        if self._fits(pattern):
            return pattern
        parts = posixpath.normpath(pattern).split("/")
        literal = next((at for at, part in enumerate(parts) if _GLOB.search(part)), len(parts))
        try:
            place = self._resolve("/".join(parts[:literal]) or ("/" if pattern.startswith("/") else "."))
        except SwathError:
            return pattern
        placed = "/".join((glob.escape(str(place)), *parts[literal:]))
        return placed if self._fits(placed) else pattern

    def _fits(self, pattern: str) -> bool:
        return any(
            fnmatch.fnmatchcase(name, pattern) or fnmatch.fnmatchcase(PurePosixPath(name).stem, pattern)
            for name in self._sources
        )

    @cached_property
    def _places(self) -> dict[str, set[str]]:
        root = str(self._resolve("."))
        places: dict[str, set[str]] = {}
        for name, paths in self._sources.items():
            for path in paths:
                places.setdefault(os.path.realpath(os.path.join(root, path)), set()).add(name)
        return places


def _has_paths(selector: SelectorDocument) -> bool:
    return bool(selector.paths or selector.source or selector.pattern) or any(map(_has_paths, selector.of))


def _respelled(selector: SelectorDocument, spellings: _Spellings) -> SelectorDocument:
    return selector.model_copy(
        update={
            "paths": [spellings.of(path) for path in selector.paths],
            "source": None if selector.source is None else spellings.of(selector.source),
            "pattern": None if selector.pattern is None else spellings.pattern(selector.pattern),
            "of": [_respelled(child, spellings) for child in selector.of],
        }
    )
