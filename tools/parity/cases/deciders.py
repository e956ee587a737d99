"""From scores to decisions."""

from __future__ import annotations

import numpy as np

from tools.parity.cases.case import Case, each, numbers

_LOGITS = each(lambda shape, seed: {"logits": numbers((*shape, 1), seed=seed)})
_SCORES = each(lambda shape, seed: {"scores": numbers((*shape, 1), seed=seed, low=0, high=2)})

CASES = [
    Case("deciders.binary_decider.BinaryDecider", _LOGITS),
    Case("deciders.binary_decider.BinaryDecider", _LOGITS, {"threshold": 0.8}),
    Case("deciders.binary_decider.QuantileBinaryDecider", _LOGITS),
    Case("deciders.binary_decider.QuantileBinaryDecider", _LOGITS, {"quantile": 0.6, "reduce_dims": [1, 2]}),
    Case("deciders.binary_decider.ScoreThreshold", _SCORES),
    Case("deciders.binary_decider.ScoreThreshold", _SCORES, {"threshold": 1.2, "keep": "above"}),
    Case(
        "deciders.binary_decider.ScoreThreshold",
        [{**inputs, "threshold": np.array([0.9], dtype=np.float32)} for inputs in _SCORES],
    ),
    Case(
        "conversion.ScoreToLogit",
        _SCORES,
        {"init_scale": 1.5, "init_bias": 0.2},
        [{"scores": numbers((2, 8, 9, 1), seed=seed, low=0, high=5)} for seed in (5, 6)],
    ),
]

_GATE = "deciders.frame_score_gate.FrameScoreGate"
_TWO_STAGE = "deciders.two_stage_decider.TwoStageBinaryDecider"
_SLICER = "deciders.multi_range_decider.MultiRangeSlicer"
_MAPS = [{"scores": numbers((2, 11, 8, 1), seed=seed)} for seed in range(4)]
_FRAMES = [{"scores": numbers((1, 11, 8, 1), seed=seed)} for seed in range(6)]

CASES += [
    Case(_GATE, _MAPS, {"threshold": 2.0}),
    Case(
        _GATE,
        _MAPS,
        {"threshold": 1.5, "topk_frac": 0.05, "mode": "mask", "mask_threshold": 1.0, "core_ratio": 1.5},
    ),
    Case(
        _GATE,
        [{"scores": numbers((2, 11, 8, 1)), "alarm_scores": numbers((2, 11, 8, 2), seed=5)}],
        {"threshold": 1.5, "topk_frac": 0.05},
    ),
    Case(_GATE, _FRAMES, {"threshold": 2.9, "smooth_k": 3, "topk_frac": 0.02}),
    *(
        Case(_TWO_STAGE, _LOGITS, hparams)
        for hparams in (
            {},
            {"image_threshold": 2.7, "top_k_fraction": 0.1},
            {"pixel_threshold": 1.0},
            {"quantile": 0.3},
        )
    ),
    Case(_SLICER, _MAPS),
    Case(_SLICER, _MAPS, {"edges": [-1.0, 0.0, 0.5], "right": True}),
]
