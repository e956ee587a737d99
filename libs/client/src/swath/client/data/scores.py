"""How good a score map is: the exact ROC curve and the area under it, by ranks."""

from __future__ import annotations

import logging

import numpy as np
from numpy.typing import ArrayLike, NDArray

log = logging.getLogger(__name__)


def roc_curve(scores: ArrayLike, mask: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The ROC curve over all distinct thresholds.

    Scores that are not finite, as those of invalid pixels, are left out; the log says how many.

    Args:
        scores: Real numbers of any shape and range; higher means more anomalous.
        mask: Same number of elements; non-zero marks what should be found.

    Returns:
        False and true positive rates, both from 0 to 1.

    Raises:
        ValueError: Sizes differ, or one of the two classes is missing among what has a finite score.
    """
    flat, truth = _flat(scores, mask)
    order = np.argsort(flat, kind="stable")[::-1]
    flat, truth = flat[order], truth[order]
    # Equal scores cannot be told apart by a threshold, so the curve has one point for all of them.
    last = np.r_[np.flatnonzero(flat[1:] != flat[:-1]), flat.size - 1]
    hits = np.cumsum(truth)[last]
    alarms = 1 + last - hits
    return np.r_[0.0, alarms / alarms[-1]], np.r_[0.0, hits / hits[-1]]


def roc_auc(scores: ArrayLike, mask: ArrayLike) -> float:
    """Area under the ROC curve: the chance that a marked element scores above an unmarked one, ties counting half.

    Arguments and errors as for `roc_curve`.
    """
    false_rate, true_rate = roc_curve(scores, mask)
    return float(np.trapezoid(true_rate, false_rate))


def _flat(scores: ArrayLike, mask: ArrayLike) -> tuple[NDArray[np.generic], NDArray[np.bool_]]:
    # As they are: in float64, large whole numbers that differ would become equal.
    flat = np.asarray(scores).ravel()
    truth = np.asarray(mask).ravel() != 0
    if flat.size != truth.size:
        raise ValueError(f"{flat.size} scores but {truth.size} mask elements")
    finite = np.isfinite(flat)
    if not finite.all():
        log.warning("%d of %d scores are not finite and are left out", flat.size - np.count_nonzero(finite), flat.size)
        flat, truth = flat[finite], truth[finite]
    if truth.all() or not truth.any():
        raise ValueError("the mask must hold marked and unmarked elements, among those whose score is finite")
    return flat, truth
