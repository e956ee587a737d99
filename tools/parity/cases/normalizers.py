"""Common scales, by other means than those of `scaling`."""

from __future__ import annotations

from tools.parity.cases.case import Case, cube, each, numbers

_CALLS = each(lambda shape, seed: {"data": numbers((*shape, 4), seed=seed, low=-0.5, high=1.5)})
_FRAMES = [{"data": cube((1, 30, 20), 3, seed=seed)} for seed in range(6)]
_BATCHES = [{"data": cube((3, 30, 20), 3, seed=seed)} for seed in range(4)]
_PERCENTILE = "normalization.PercentileNormalizer"

CASES = [
    *(
        Case(f"normalization.{name}", _CALLS)
        for name in (
            "DisplayNormalizer",
            "IdentityNormalizer",
            "SigmoidNormalizer",
            "SigmoidTransform",
            "ZScoreNormalizer",
        )
    ),
    Case("normalization.ZScoreNormalizer", _CALLS, {"dims": [0, 1, 2, 3]}),
    *(
        Case(_PERCENTILE, calls, {"n_channels": 3, **hparams})
        for calls in (_FRAMES, _BATCHES)
        for hparams in (
            {"norm_mode": "per_frame"},
            {"norm_mode": "per_frame", "per_frame_quantiles": True},
            {"norm_mode": "per_frame", "joint_channels": True},
            {"running_warmup_frames": 2, "freeze_running_bounds_after_frames": 4},
            {"running_warmup_frames": 0, "freeze_running_bounds_after_frames": None},
        )
    ),
    *(
        Case(_PERCENTILE, _BATCHES, {"n_channels": 3, "norm_mode": "statistical", **hparams}, _BATCHES[:3])
        for hparams in ({}, {"clamp": "floor", "invert": True}, {"clamp": "none"}, {"statistical_fit": "pooled"})
    ),
]
