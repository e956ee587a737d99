"""Losses and metrics that the shipped pipelines do not use."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tools.parity.cases.case import Case, cube, flags, labels, numbers, rng

_CLASSES = [{"logits": numbers((3, 11, 8, 4)), "targets": labels((3, 11, 8), 4, seed=2)}]
_SHARES = [{"selection_weights": rng(seed).dirichlet(np.ones(20), 3).astype(np.float32)} for seed in (1, 2)]
_COLOURS = [{"rgb": rng(1).random((2, 6, 5, 3), dtype=np.float32), "mask": labels((2, 6, 5), 3, seed=3)}]
_WEIGHTS = [{"weights": rng(1).random(9, dtype=np.float32)}]


def _loss(name: str, calls: list[dict[str, np.ndarray]], *settings: Mapping[str, object]) -> list[Case]:
    return [Case(f"losses.{name}", calls, hparams, stage="train") for hparams in settings or ({},)]


def _metric(name: str, **inputs: np.ndarray) -> Case:
    return Case(f"metrics.{name}", [inputs], stage="val")


CASES = [
    *_loss("CrossEntropyLoss", _CLASSES, {}, {"weight": 2.0, "class_weights": [1.0, 2.0, 0.5, 0.0]}),
    *_loss("DiceLoss", _CLASSES, {}, {"include_background": False}, {"ignore_index": 2, "weight": 0.3}),
    *_loss("DistinctnessLoss", _SHARES, {}, {"weight": 1.0}),
    *_loss(
        "ForegroundContrastLoss",
        _COLOURS,
        {},
        {"compactness_weight": 0.5, "anchor_weight": 0.3},
        {"color_space": "oklab", "compactness_weight": 0.5},
    ),
    *_loss(
        "IoULoss",
        [{"predictions": numbers((3, 11, 8, 1)), "targets": flags((3, 11, 8, 1), seed=2)}],
        *({"normalize_method": method} for method in ("sigmoid", "clamp", "minmax")),
    ),
    *_loss(
        "MSEReconstructionLoss",
        [{"reconstruction": cube(seed=1), "target": cube(seed=2)}],
        {},
        {"reduction": "sum", "weight": 0.1},
    ),
    *_loss("OrthogonalityLoss", [{"components": numbers((3, 8))}]),
    _metric("AnomalyPixelStatisticsMetric", decisions=flags((3, 11, 8, 1))),
    _metric("DistinctLabelCount", mask=labels((3, 4, 5), 9)),
    _metric("ComponentOrthogonalityMetric", components=numbers((4, 9))),
    _metric("ExplainedVarianceMetric", explained_variance_ratio=np.array([0.6, 0.2, 0.1], dtype=np.float32)),
    _metric("ScoreStatisticsMetric", scores=numbers((3, 11, 8))),
    _metric("SelectorDiversityMetric", **_WEIGHTS[0]),
    _metric("SelectorEntropyMetric", **_WEIGHTS[0]),
]
