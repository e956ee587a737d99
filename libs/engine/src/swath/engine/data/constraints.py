"""Constraints between splits, checked before a run begins."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations

import numpy as np

from swath.documents import ConstraintDocument
from swath.engine.data.collection import Extent, Sample
from swath.errors import DataInvalid

logger = logging.getLogger(__name__)

Labels = Callable[[Sample], frozenset[int]]

_LEARNING = ("train", "val", "test")


def check(
    constraints: Sequence[ConstraintDocument], stages: Mapping[str, Sequence[Sample]], labels: Labels | None
) -> None:
    """Check all constraints; none of them includes the predict stage.

    Raises:
        DataInvalid: Naming every constraint of severity error that does not hold, or that cannot be checked because
            the data has no labels. Those of severity warn are logged.
    """
    breaches: list[str] = []
    for constraint in constraints:
        fault = _fault(constraint.kind, stages, labels)
        if fault and constraint.severity == "warn":
            logger.warning("constraint %s: %s", constraint.kind, fault)
        elif fault:
            breaches.append(f"{constraint.kind}: {fault}")
    if breaches:
        raise DataInvalid(f"split constraint(s) failed: {'; '.join(breaches)}")


def _fault(kind: str, stages: Mapping[str, Sequence[Sample]], labels: Labels | None) -> str | None:
    match kind:
        case "no_split_overlap":
            return _shared_frames(stages) or _shared_pixels(stages)
        case "no_source_overlap":
            return _shared_sources(stages)
        case _:
            return _anomalous_training(stages["train"], labels)


def _shared_frames(stages: Mapping[str, Sequence[Sample]]) -> str | None:
    names = {stage: {sample.uid for sample in stages[stage]} for stage in _LEARNING}
    shared = [
        f"{len(names[a] & names[b])} frames are in {a} and {b} ({_few(names[a] & names[b])})"
        for a, b in combinations(_LEARNING, 2)
        if names[a] & names[b]
    ]
    return "; ".join(shared) or None


def _shared_pixels(stages: Mapping[str, Sequence[Sample]]) -> str | None:
    """Overlapping tiles are different frames with shared pixels, which leak as much as a shared frame."""
    extents: dict[str, dict[str, list[Extent]]] = defaultdict(lambda: defaultdict(list))
    for stage in _LEARNING:
        for sample in stages[stage]:
            if sample.extent is not None:
                extents[sample.source][stage].append(sample.extent)
    for source, by_stage in extents.items():
        clash = overlap(by_stage)
        if clash:
            a, b, pixels = clash
            return f"{pixels} pixels of {source} are in tiles of both {a} and {b}"
    return None


def overlap(extents: Mapping[str, Sequence[Extent]]) -> tuple[str, str, int] | None:
    """Return the names of two lists of rectangles that share pixels, and the number of shared pixels."""
    corners = [extent for listed in extents.values() for extent in listed]
    if not corners:
        return None
    shape = (max(extent[1] for extent in corners), max(extent[3] for extent in corners))
    painted: dict[str, np.ndarray] = {}
    for name, listed in extents.items():
        painted[name] = np.zeros(shape, dtype=bool)
        for top, bottom, left, right in listed:
            painted[name][top:bottom, left:right] = True
    for a, b in combinations(painted, 2):
        pixels = int(np.count_nonzero(painted[a] & painted[b]))
        if pixels:
            return a, b, pixels
    return None


def _shared_sources(stages: Mapping[str, Sequence[Sample]]) -> str | None:
    where: dict[str, set[str]] = defaultdict(set)
    for stage in _LEARNING:
        for sample in stages[stage]:
            where[sample.source].add(stage)
    shared = {source for source, found in where.items() if len(found) > 1}
    return f"{len(shared)} sources are in more than one of {', '.join(_LEARNING)} ({_few(shared)})" if shared else None


def _anomalous_training(train: Sequence[Sample], labels: Labels | None) -> str | None:
    if labels is None:
        return "the data has no labels to check it by"
    anomalous = {sample.uid for sample in train if labels(sample)}
    return f"{len(anomalous)} frames of train are anomalous ({_few(anomalous)})" if anomalous else None


def _few(names: Iterable[str]) -> str:
    ordered = sorted(names)
    return ", ".join(ordered[:3]) + (", ..." if len(ordered) > 3 else "")
