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
