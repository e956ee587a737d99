"""Detectors and what they stand on."""

from __future__ import annotations

from typing import Any

import numpy as np

from tools.parity.cases.case import BANDS, Case, cube, each, numbers

_FIT = [{"data": cube((2, 20, 18), seed=seed)} for seed in (11, 12)]
_CALLS = each(lambda shape, seed: {"data": cube(shape, seed=seed)})
_EMBEDDED = each(lambda shape, seed: {"embeddings": numbers((*shape, 8), seed=seed)})
_FIT_EMBEDDED = [{"embeddings": numbers((2, 9, 8, 8), seed=seed)} for seed in (13, 14)]


def _distances(case: Case) -> list[dict[str, Any]]:
    """Squared Mahalanobis distances in float64."""
    rows = np.concatenate([batch["data"].reshape(-1, BANDS) for batch in case.fit]).astype(np.float64)
    inverse = np.linalg.inv(np.cov(rows, rowvar=False) + 1e-6 * np.eye(BANDS))
    centred = [inputs["data"] - rows.mean(0) for inputs in case.calls]
    return [{"scores": np.einsum("bhwi,ij,bhwj->bhw", each, inverse, each)[..., None]} for each in centred]


CASES = [
    *(
        Case(
            "anomaly.rx_detector.RXGlobal",
            _CALLS,
            {"num_channels": BANDS, "cache_inverse": cached},
            _FIT,
            exact=_distances,
        )
        for cached in (True, False)
    ),
    Case(
        "anomaly.rx_detector.RXPerBatch",
        each(lambda shape, seed: {"data": cube(shape, bands=12, seed=seed)}),
    ),
    Case("anomaly.deep_svdd.ZScoreNormalizerGlobal", _CALLS, {"num_channels": BANDS}, _FIT),
    Case("anomaly.deep_svdd.DeepSVDDProjection", _CALLS, {"in_channels": BANDS}),
    Case(
        "anomaly.deep_svdd.DeepSVDDProjection",
        _CALLS,
        {"in_channels": BANDS, "rep_dim": 8, "hidden": 16, "kernel": "rbf", "n_rff": 64, "mlp_forward_batch_size": 50},
    ),
    *(
        Case("anomaly.deep_svdd.DeepSVDDCenterTracker", _EMBEDDED, {"rep_dim": 8}, _FIT_EMBEDDED, stage=stage)
        for stage in ("train", "val")
    ),
    Case(
        "anomaly.deep_svdd.DeepSVDDCenterTracker",
        _EMBEDDED,
        {"rep_dim": 8},
        _FIT_EMBEDDED,
        unlike={"metrics": "nothing takes metrics at inference, so none are made there"},
    ),
    Case(
        "anomaly.deep_svdd.DeepSVDDScores",
        [{**inputs, "center": np.linspace(-1, 1, 8, dtype=np.float32)} for inputs in _EMBEDDED],
    ),
]
CASES += [
    Case("anomaly.lad_detector.LADGlobal", _CALLS, {"num_channels": BANDS, **hparams}, _FIT)
    for hparams in ({}, {"normalize_laplacian": False}, {"use_numpy_laplacian": False})
]
