"""The frames that a data module lists: their names, and how to read one of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

Resolve = Callable[[str], Path]
"""Turns a path as a client wrote it into a real path inside the folders that it may read (else PathDenied)."""

Extent = tuple[int, int, int, int]
"""A rectangle of a scene: first row, end row, first column, end column; ends are exclusive."""

Frame = dict[str, Any]
"""One frame for a batch: numpy arrays, ints and strings by batch key."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One frame of a data set.

    Attributes:
        source: Name of its file for selectors, with forward slashes.
        index: Its number within the source; None if a file is one frame.
        file: The file that it is read from.
        annotation: File with its labels, if they are not in `file`.
        extent: Its rectangle of the scene, if the source is cut into tiles.
        position: Its position in the data set's canonical order; `frame_id` in batches.
    """

    source: str
    index: int | None
    file: Path
    annotation: Path | None = None
    extent: Extent | None = None
    position: int = 0

    @property
    def uid(self) -> str:
        """Its identity, ``source#index`` or ``source``, by which splits are compared."""
        return self.source if self.index is None else f"{self.source}#{self.index}"

    @property
    def stem(self) -> str:
        """File name of the source without folder and suffix."""
        return PurePosixPath(self.source).stem


@dataclass(frozen=True)
class Collection:
    """All frames of a data set, in canonical order.

    Attributes:
        samples: Sorted by source, then index; see `ordered`.
        read: Reads one frame. It is sent to loader processes, so it must be picklable and hold no open file.
        labels: Returns the category ids in a frame without 0 (background); None if the data set has no labels.
        categories: Ids by category name. Ids as strings are accepted as well.
        stages: Samples of each split if the document has no selectors.
        assigned: Whether `stages` is final: the module has applied the selectors itself.
    """

    samples: tuple[Sample, ...]
    read: Callable[[Sample], Frame]
    labels: Callable[[Sample], frozenset[int]] | None = None
    categories: Mapping[str, int] = field(default_factory=dict)
    stages: Mapping[str, tuple[Sample, ...]] = field(default_factory=dict)
    assigned: bool = False


def ordered(samples: Iterable[Sample]) -> tuple[Sample, ...]:
    """Sort samples by source and index and give each its position."""
    by_name = sorted(samples, key=lambda sample: (sample.source, -1 if sample.index is None else sample.index))
    return tuple(replace(sample, position=at) for at, sample in enumerate(by_name))
