"""Maps and labels joined, smoothed, resized, cut and put together."""

from __future__ import annotations

import numpy as np

from tools.parity.cases.case import Case, cube, each, flags, labels, numbers, rng

_POSITIVE = [numbers((3, 11, 8, 1), seed=seed, low=0, high=3) for seed in range(3)]
_SCORES = [{"scores": rng(0).random((2, 20, 17, 2), dtype=np.float32)}]
_LABELLED = [{"cube": cube((2, 5, 4), 3), "mask": labels((2, 5, 4, 1), 6, seed=1)}]

CASES = [
    *(
        Case("fusion.ScoreMapFusion", [{"scores": _POSITIVE}], hparams)
        for hparams in (
            *({"mode": mode} for mode in ("mean", "min", "max", "gmean", "first")),
            {"mode": "wmean", "weights": [1.0, 2.0, 0.5]},
            {"mode": "softmin", "beta": 3.0},
        )
    ),
    *(
        Case("labels.BinaryAnomalyLabelMapper", _LABELLED, hparams)
        for hparams in ({"normal_class_ids": [0, 2]}, {"normal_class_ids": [0, 2], "anomaly_class_ids": [3, 1]})
    ),
    Case(
        "conversion.DecisionToMask",
        [{"decisions": flags((3, 11, 8, 1)), "identity_mask": labels((3, 11, 8), 5, seed=1)}],
    ),
    Case("spatial.GridSubsample", each(lambda shape, seed: {"cube": cube(shape, seed=seed)}), {"stride": 3}),
    *(
        Case(
            "spatial.ScoreUpsample",
            [{**_SCORES[0], "reference": np.zeros((2, 51, 40, 1), dtype=np.float32)}],
            {"mode": mode},
        )
        for mode in ("bilinear", "bicubic", "nearest")
    ),
    *(Case("spatial.ScoreMapSmoothing", _SCORES, {"sigma_px": sigma}) for sigma in (0.7, 2.0, 8.0)),
    Case("tiling.ImageTiler", [{"image": cube((1, 40, 30), 3)}], {"tiles": 5}),
    Case("tiling.GridStitcher", [{"tiles": rng(0).random((18, 4, 5, 6), dtype=np.float32)}], {"tiles": 3}),
]
