"""Masks cleaned and joined."""

from __future__ import annotations

from tools.parity.cases.case import Case, each, flags

_SPARSE = each(lambda shape, seed: {"decisions": flags((*shape, 1), seed=seed, share=0.08)})
_SEVERAL = each(lambda shape, seed: {"decisions": [flags((*shape, 1), seed=seed + k) for k in range(3)]})

CASES = [
    *(
        Case("mask_ops.MaskMinArea", _SPARSE, {"min_area": area, "cell": cell})
        for area, cell in ((3, 1), (6, 4), (250, 4))
    ),
    *(Case("fusion.DecisionFusion", _SEVERAL, {"mode": mode}) for mode in ("any", "all", "first")),
]
