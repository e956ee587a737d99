"""Losses and metrics."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tools.parity.cases.case import Case, Inputs, each, flags, numbers, rng

_PAIRS = each(
    lambda shape, seed: {"predictions": numbers((*shape, 1), seed=seed), "targets": flags((*shape, 1), seed=seed + 9)}
)
_EMBEDDED = each(
    lambda shape, seed: {
        "embeddings": numbers((*shape, 8), seed=seed),
        "center": np.linspace(-1, 1, 8, dtype=np.float32),
    }
)
_WEIGHTS = [{"weights": rng(seed).random(size).astype(np.float32)} for seed, size in enumerate((3, 61))]


def _detections(shape: Sequence[int], seed: int, *, step: float = 0.0) -> Inputs:
    """Return decisions and logits, these as multiples of a step if one is given."""
    logits = numbers((*shape, 1), seed=seed)
    return {
        "decisions": flags((*shape, 1), seed=seed),
        "targets": flags((*shape, 1), seed=seed + 9),
        "logits": (logits / step).round() * np.float32(step) if step else logits,
    }


# Between two of these logits there always is one of the reference's 200 thresholds.
_DETECTIONS = each(lambda shape, seed: _detections(shape, seed, step=0.5))
_ANY_LOGITS = each(_detections)
EXACT_PRECISION = (
    "average_precision is exact here; the reference's tells logits apart only at 200 thresholds of their sigmoid"
)
"""Why AnomalyDetectionMetrics differs."""

CASES = [
    Case("losses.AnomalyBCEWithLogits", _PAIRS, stage="train"),
    Case("losses.AnomalyBCEWithLogits", _PAIRS, {"weight": 2.0, "pos_weight": 7.0}, stage="train"),
    Case("losses.AnomalyBCEWithLogits", _PAIRS, {"reduction": "sum"}, stage="train"),
    Case("losses.DeepSVDDSoftBoundaryLoss", _EMBEDDED, stage="train"),
    Case("losses.DeepSVDDSoftBoundaryLoss", _EMBEDDED, {"nu": 0.2, "weight": 3.0}, stage="train"),
    Case("losses.SelectorEntropyRegularizer", _WEIGHTS, stage="train"),
    Case("losses.SelectorEntropyRegularizer", _WEIGHTS, {"target_entropy": 1.0}, stage="train"),
    Case("losses.SelectorDiversityRegularizer", _WEIGHTS, stage="train"),
    # One batch each: over several the reference averages most numbers, and ours are those of all pixels together.
    *(
        Case("metrics.AnomalyDetectionMetrics", [inputs], {"pixel_stride": stride}, stage="val")
        for stride in (1, 2)
        for inputs in _DETECTIONS
    ),
    *(Case("metrics.AnomalyDetectionMetrics", [inputs], stage="val", why=EXACT_PRECISION) for inputs in _ANY_LOGITS),
]
