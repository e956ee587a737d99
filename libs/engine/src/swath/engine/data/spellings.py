"""Paths in selectors, as the data spells them: two spellings of one path are one path."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterable, Mapping
from functools import cached_property

from swath.documents import SelectorDocument, SplitsDocument
from swath.engine.data.collection import Resolve
from swath.errors import SwathError

STAGES = ("train", "val", "test", "predict")


def normal(path: str) -> str:
    """Normalise a path for comparison: forward slashes, dots collapsed, case folded if it looks like Windows."""
    windows = "\\" in path or re.match(r"[A-Za-z]:[/\\]", path) is not None
    normalised = posixpath.normpath(path.replace("\\", "/"))
    return normalised.casefold() if windows else normalised


def has_paths(splits: SplitsDocument) -> bool:
    """Whether any selector names files by their paths."""
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

    @cached_property
    def _places(self) -> dict[str, set[str]]:
        root = str(self._resolve("."))
        places: dict[str, set[str]] = {}
        for name, paths in self._sources.items():
            for path in paths:
                places.setdefault(os.path.realpath(os.path.join(root, path)), set()).add(name)
        return places


def _has_paths(selector: SelectorDocument) -> bool:
    return bool(selector.paths or selector.source) or any(map(_has_paths, selector.of))


def _respelled(selector: SelectorDocument, spellings: _Spellings) -> SelectorDocument:
    return selector.model_copy(
        update={
            "paths": [spellings.of(path) for path in selector.paths],
            "source": None if selector.source is None else spellings.of(selector.source),
            "of": [_respelled(child, spellings) for child in selector.of],
        }
    )
