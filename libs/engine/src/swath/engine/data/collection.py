"""What a data module found: frames with names, and how one of them is read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

Resolve = Callable[[str], Path]
"""Turns a path as a client wrote it into a real one inside the folders that it may read (else PathDenied)."""

Extent = tuple[int, int, int, int]
"""A rectangle of a scene: first row, end row, first column, end column; the ends are not part of it."""

Frame = dict[str, Any]
"""One frame as it is batched: numpy arrays, ints and texts by batch key."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One frame of a data set.

    Attributes:
        source: Name that selectors know its file by, with forward slashes.
        index: Its number within the source; None where a file is one frame.
        file: Where it is read from.
        annotation: File with its labels, where they are not in `file`.
        extent: Its place in the scene, where a source is cut into tiles.
        position: Its place in the data set's canonical order; `frame_id` in batches.
    """

    source: str
    index: int | None
    file: Path
    annotation: Path | None = None
    extent: Extent | None = None
    position: int = 0

    @property
    def uid(self) -> str:
        """Its identity, ``source#index`` or ``source``: what splits are compared by."""
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
        read: Reads one frame. It travels to loader processes, so it must pickle and hold no open file.
        labels: Category ids in a frame, 0 (background) left out; None where the data set has no labels.
        categories: Ids of category names; numbers as text are understood besides.
        stages: Samples of each split where the document gives no selectors.
        assigned: Whether `stages` is all there is to say: whoever found the frames has applied the selectors.
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
