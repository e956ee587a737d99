"""Thresholds with the best pixel F1 on labelled frames.

Both sweeps are exact: they look at every set of pixels that any threshold can mark, by one sort.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from swath.engine.ops.validity import valid_pixels
from swath.errors import DataInvalid

Floats = NDArray[np.floating]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Optimum:
    """The best place found.

    Attributes:
        threshold: A score or a quantile; pixels at or above it are marked.
        precision: Share of the marked pixels that are anomalous.
        recall: Share of the anomalous pixels that are marked.
        f1_score: Harmonic mean of the two.
        iou: Marked and anomalous over marked or anomalous.
    """

    threshold: float
    precision: float
    recall: float
    f1_score: float
    iou: float

    def metrics(self) -> dict[str, float]:
        """Return the numbers at the threshold by name."""
        return {name: getattr(self, name) for name in ("precision", "recall", "f1_score", "iou")}


def frames(scores: Sequence[Tensor], masks: Sequence[Tensor]) -> tuple[list[Floats], list[Flags]]:
    """Cut batches into frames of flat scores and flags, on the host.

    Scores of several channels give the highest of each pixel. Pixels with a score that is not finite are left out, and
    frames without another.

    Raises:
        DataInvalid: Shapes disagree, no score is finite, or the masks hold a single class.
    """
    values: list[Floats] = []
    flags: list[Flags] = []
    for score, mask in zip(scores, masks, strict=True):
        flat_mask = mask.flatten(start_dim=3).any(dim=3) if mask.dim() == 4 else mask.bool()
        if score.shape[:3] != flat_mask.shape:
            raise DataInvalid(
                f"Scores of shape {list(score.shape)} and a mask of shape {list(mask.shape)} are not of the same frames"
            )
        for frame, flagged in zip(score.detach().flatten(1, 2), flat_mask.flatten(1), strict=True):
            valid = valid_pixels(frame)
            if valid is None or bool(valid.any()):
                values.append((frame if valid is None else frame[valid]).amax(dim=1).cpu().numpy())
                flags.append((flagged if valid is None else flagged[valid]).cpu().numpy())
    if not values:
        raise DataInvalid("No score is finite, so no threshold can be placed among them")
    if not any(flag.any() for flag in flags):
        raise DataInvalid("No pixel is anomalous, and a single class cannot place a threshold")
    if all(flag.all() for flag in flags):
        raise DataInvalid("Every pixel is anomalous, and a single class cannot place a threshold")
    return values, flags


def best_threshold(values: Sequence[Floats], flags: Sequence[Flags], *, missed: int = 0) -> Optimum:
    """Place one threshold for all frames, in the middle of the gap below the lowest marked score.

    Of several equal optima it takes the highest.

    Args:
        values: Scores of each frame.
        flags: Whether each of them is anomalous.
        missed: Anomalous pixels that no threshold can mark, beside the given ones.
    """
    scores = np.concatenate(values)
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    hits = np.cumsum(np.concatenate(flags)[order])
    last = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))  # the end of each run of equal scores
    marked = last + 1
    anomalous = int(hits[-1]) + missed
    best = int(np.argmax(2 * hits[last] / (marked + anomalous)))
    threshold = ordered[last[best]]
    if best + 1 < len(last):
        below = ordered[last[best + 1]]
        middle = below + (threshold - below) / 2
        # Between two neighbouring numbers there is no third.
        threshold = middle if below < middle <= threshold else threshold
    return _optimum(float(threshold), int(hits[last[best]]), int(marked[best]), anomalous)


def best_quantile(values: Sequence[Floats], flags: Sequence[Flags]) -> Optimum:
    """Place one quantile, which every frame turns into a threshold of its own by linear interpolation.

    Between two neighbouring ranks the marked pixels stay the same, so the middles between ranks are looked at, and the
    lowest rank. Of several equal optima it takes the highest.
    """
    sizes = {value.size for value in values}
    ranks = np.unique(np.concatenate([np.arange(size) / max(size - 1, 1) for size in sizes]))
    quantiles = np.append(0.0, (ranks[1:] + ranks[:-1]) / 2)
    hits = np.zeros(len(quantiles), dtype=np.int64)
    marked = np.zeros(len(quantiles), dtype=np.int64)
    for value, flag in zip(values, flags, strict=True):
        order = np.argsort(value, kind="stable")
        ordered = value[order]
        first = np.searchsorted(ordered, ordered, side="left")  # the start of each run of equal scores
        start = first[np.ceil(quantiles * (value.size - 1)).astype(np.int64)]
        marked += value.size - start
        hits += np.append(np.cumsum(flag[order][::-1])[::-1], 0)[start]
    anomalous = sum(int(flag.sum()) for flag in flags)
    scored = 2 * hits / (marked + anomalous)
    best = len(scored) - 1 - int(np.argmax(scored[::-1]))
    return _optimum(float(quantiles[best]), int(hits[best]), int(marked[best]), anomalous)


def _optimum(threshold: float, hits: int, marked: int, anomalous: int) -> Optimum:
    return Optimum(
        threshold=threshold,
        precision=hits / marked if marked else 0.0,
        recall=hits / anomalous,
        f1_score=2 * hits / (marked + anomalous),
        iou=hits / (marked + anomalous - hits),
    )
