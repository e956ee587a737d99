"""Masks by their blobs, and over time."""

from __future__ import annotations

import numpy as np

from tools.parity.cases.case import Case, cube, flags, labels, rng


def _patchy(shape: tuple[int, ...], seed: int, share: float = 0.3) -> np.ndarray:
    """Return flags that come in patches of 4 x 4 pixels and in single ones."""
    frames, height, width = shape
    coarse = flags((frames, -(-height // 4), -(-width // 4)), seed=seed, share=share).repeat(4, 1).repeat(4, 2)
    return coarse[:, :height, :width] ^ flags(shape, seed=seed + 50, share=0.03)


_SHAPE = (2, 40, 61)
_MASK = _patchy(_SHAPE, 1)
_DECISIONS, _OTHER = _MASK[..., None], _patchy(_SHAPE, 2, 0.2)[..., None]
_SCORES = (rng(3).random((*_SHAPE, 1)) + 0.1).astype(np.float32)
_LABELS = (_MASK * labels(_SHAPE, 4, seed=4)).astype(np.int32)
_CLASSES = np.where(_MASK, labels((2, 10, 16), 4, seed=5).repeat(4, 1).repeat(4, 2)[:, :, :61], -1).astype(np.int64)
_HOLES = np.where(flags(_SHAPE, seed=6, share=0.8), -1, _CLASSES)


def _moving(start: int) -> np.ndarray:
    """Return five frames of a blob that moves and is sometimes hidden."""
    frames = np.zeros((5, 120, 160), dtype=np.int32)
    for index in range(5):
        step = start * 5 + index
        if step % 7 not in (5, 6):
            frames[index, 20 + 2 * step : 40 + 2 * step, 10 + 3 * step : 30 + 3 * step] = 2
    return frames


CASES = [
    *(
        Case("mask_ops.MaskRobustifier", [{"mask": _LABELS}], hparams)
        for hparams in ({}, {"opening_kernel": 3, "closing_kernel": 5, "min_area": 4, "keep_largest": False})
    ),
    *(
        Case("mask_ops.ClassMapRobustifier", [{"class_map": _CLASSES}], hparams)
        for hparams in ({}, {"min_area": 0, "keep_largest": False, "closing_kernel": 4})
    ),
    Case("mask_ops.NearestLabelFill", [{"class_map": _HOLES, "source": _CLASSES}]),
    *(
        Case(
            "mask_ops.MaskBlobGate",
            [{"decisions": _DECISIONS, "mask": _OTHER}],
            {"min_px": 16, "cell": 4, "invert": invert},
        )
        for invert in (False, True)
    ),
    *(
        Case(
            "mask_ops.MaskPeakGate",
            [{"decisions": _DECISIONS, "reference": _OTHER, "scores": _SCORES}],
            {"ratio": ratio, "cell": 4},
        )
        for ratio in (0.8, 0.95)
    ),
    *(
        Case(
            "mask_ops.MaskBlobFilter",
            [{"decisions": _DECISIONS, "cube": cube(_SHAPE, 7) + _OTHER * np.linspace(1, 0, 7, dtype=np.float32)}],
            {"min_area": 6, "min_object_px": least, "cell": 4, "median_stride": 3},
        )
        for least in (0, 16)
    ),
    Case("mask_ops.MaskComposite", [{"decisions": [_DECISIONS, _OTHER]}]),
    Case("mask_ops.MaskComposite", [{"decisions": [_DECISIONS, _OTHER]}], {"labels": [3, 1], "levels": [0.2, 0.7]}),
    *(
        Case("mask_ops.ScoreMapSuppression", [{"scores": _SCORES, "mask": _OTHER}], {"weight": 0.6, "erode_px": size})
        for size in (0, 1, 4)
    ),
    Case("mask_ops.LabelOffset", [{"class_map": _LABELS}], {"offset": -3}),
    Case(
        "mask_ops.MajorityVoteByBlob",
        [{"identity_mask": _LABELS[:1], "blob_mask": (_CLASSES[:1] + 1).astype(np.int32)}],
    ),
    Case("mask_ops.MaskToBBoxKalman", [{"mask": _moving(start)} for start in range(4)]),
    *(
        Case(
            "blob_detector.BlobDetector",
            [
                {
                    "cube": cube((1, 40, 61), 6) * (1 + _DECISIONS[:1]),
                    "wavelengths": np.arange(400, 1000, 100, dtype=np.int32),
                }
            ],
            {"brightness": kind, "threshold_method": method, "threshold": 0.6, "index_wavelengths": [500, 800]},
        )
        for kind, method in (("band_mean", "otsu"), ("max", "quantile"), ("index", "fixed"))
    ),
]
