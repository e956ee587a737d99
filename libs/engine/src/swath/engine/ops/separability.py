"""How well single bands separate two classes, and which bands to combine."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from swath.engine.ops.ranks import first_largest
from swath.engine.ops.statistics import Moments

Scores = NDArray[np.float64]

_BINS = 10
_BANDS_AT_ONCE = 8
"""Bands that are ranked at a time: ranks take several times eight bytes per pixel and band."""


@dataclass(frozen=True)
class Separability:
    """Scores of each band ``[C]``.

    Attributes:
        fisher: Squared difference of the means over the sum of the variances; 0 where nothing varies.
        auc: Area under the receiver operating characteristic of the band's values.
        information: Mutual information of the binned values and the classes, bits.
    """

    fisher: Scores
    auc: Scores
    information: Scores

    def combined(self, weights: Sequence[float]) -> Scores:
        """Return the weighted sum of the three, each at mean 0 and standard deviation 1 over the bands."""
        parts = (self.fisher, self.auc, self.information)
        return sum(
            (weight * _standardised(part) for weight, part in zip(weights, parts, strict=True)),
            start=np.zeros_like(self.fisher),
        )


def separability(pixels: Tensor, positive: Tensor) -> Separability:
    """Score bands by how well they separate two classes.

    Args:
        pixels: Spectra ``[N, C]``, on the CPU.
        positive: Whether each is of the positive class ``[N]``; both classes must occur.
    """
    inside, outside = Moments(), Moments()
    inside.add(pixels[positive])
    outside.add(pixels[~positive])
    spread = (_population_variance(inside) + _population_variance(outside)).numpy()
    gap = (inside.mean - outside.mean).square().numpy()
    varied = spread >= 1e-10
    flags = positive.numpy()
    areas: list[Scores] = []
    bits: list[Scores] = []
    for columns in pixels.split(_BANDS_AT_ONCE, dim=1):
        values = columns.numpy().astype(np.float64)
        areas.append(_areas(values, flags))
        bits.append(_information(values, flags))
    return Separability(
        np.divide(gap, spread, out=np.zeros_like(gap), where=varied), np.concatenate(areas), np.concatenate(bits)
    )


def correlations(pixels: Tensor) -> Scores:
    """Return the absolute correlations ``[C, C]`` of the bands of spectra ``[N, C]``; 0 with constant bands."""
    moments = Moments(covariance=True)
    moments.add(pixels)
    if moments.count < 2:
        return np.eye(pixels.shape[1])
    deviation = moments.variance.sqrt().clamp_min(1e-12)
    return (moments.covariance / torch.outer(deviation, deviation)).abs().nan_to_num(nan=0.0).numpy()


def choose(
    scores: Scores, correlation: Scores, candidates: Iterable[Sequence[int]], penalty: float, *, repeats: bool
) -> list[int]:
    """Select one band from each list of candidates, in order, with a high score and a low correlation.

    A band's worth is its score less `penalty` times its highest correlation with the bands taken before; of bands that
    are worth the same the first is taken.

    Source: H. Peng, F. Long, C. Ding, "Feature selection based on mutual information: criteria of max-dependency,
    max-relevance, and min-redundancy", 2005.

    Args:
        scores: Score of each band ``[C]``.
        correlation: Absolute correlations ``[C, C]``.
        candidates: Bands to take one from, once per band wanted.
        penalty: Weight of the correlation.
        repeats: Whether a band may be taken twice.
    """
    taken: list[int] = []
    for options in candidates:
        bands = np.array([band for band in options if repeats or band not in taken])
        worth = scores[bands]
        if taken:
            worth = worth - penalty * correlation[bands][:, taken].max(axis=1)
        taken.append(int(bands[int(first_largest(torch.from_numpy(worth), 1e-9))]))
    return taken


def _areas(values: Scores, flags: NDArray[np.bool_]) -> Scores:
    """Mann and Whitney's statistic over the number of pairs is the area."""
    from scipy.stats import rankdata  # slow to import, and only fits need it

    hits = int(flags.sum())
    ranks = rankdata(values, axis=0)[flags].sum(axis=0)
    return (ranks - hits * (hits + 1) / 2) / (hits * (len(flags) - hits))


def _information(values: Scores, flags: NDArray[np.bool_]) -> Scores:
    """Bits between the class and the bin; the last of ten bins holds the highest value alone."""
    result = np.zeros(values.shape[1])
    for index, column in enumerate(values.T):
        low, high = column.min(), column.max()
        if not (np.isfinite(low) and np.isfinite(high) and low < high):
            continue
        bins = np.digitize(column, np.linspace(low, high, _BINS)) - 1
        counts = np.stack([np.bincount(bins[flags == flag], minlength=_BINS) for flag in (False, True)], axis=1)
        # Keeps the logarithm of empty cells finite.
        joint = (counts + 1e-10) / (counts + 1e-10).sum()
        apart = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
        result[index] = (joint * np.log2(joint / apart)).sum()
    return result


def _population_variance(moments: Moments) -> Tensor:
    if moments.count < 2:
        return torch.zeros_like(moments.mean)
    return moments.variance * ((moments.count - 1) / moments.count)


def _standardised(scores: Scores) -> Scores:
    centred = scores - scores.mean()
    deviation = scores.std()
    return centred if deviation < 1e-10 else centred / deviation
