"""How good a score map is: the exact ROC curve and the area under it, by ranks."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from swath.client.data.validity import valid_pixels


def roc_curve(scores: ArrayLike, mask: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The ROC curve over all distinct thresholds.

    Scores that are not finite, those of invalid pixels, are left out.

    Args:
        scores: Any shape; higher means more anomalous.
        mask: Same number of elements; non-zero marks what should be found.

    Returns:
        False and true positive rates, both from 0 to 1.

    Raises:
        ValueError: Sizes differ, or one of the two classes is missing among finite scores.
    """
    flat, truth = _flat(scores, mask)
    order = np.argsort(-flat, kind="stable")
    flat, truth = flat[order], truth[order]
    # Equal scores cannot be told apart by a threshold, so the curve has one point for all of them.
    last = np.r_[np.flatnonzero(np.diff(flat)), flat.size - 1]
    hits = np.cumsum(truth)[last]
    alarms = 1 + last - hits
    return np.r_[0.0, alarms / alarms[-1]], np.r_[0.0, hits / hits[-1]]


def roc_auc(scores: ArrayLike, mask: ArrayLike) -> float:
    """Area under the ROC curve: the chance that a marked element scores above an unmarked one, ties counting half.

    Arguments and errors as for `roc_curve`.
    """
    false_rate, true_rate = roc_curve(scores, mask)
    return float(np.trapezoid(true_rate, false_rate))


def _flat(scores: ArrayLike, mask: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    flat = np.asarray(scores, dtype=np.float64).ravel()
    truth = np.asarray(mask).ravel() != 0
    if flat.size != truth.size:
        raise ValueError(f"{flat.size} scores but {truth.size} mask elements")
    valid = valid_pixels(flat[:, None])
    flat, truth = flat[valid], truth[valid]
    if truth.all() or not truth.any():
        raise ValueError("the mask must hold marked and unmarked elements with a finite score")
    return flat, truth
