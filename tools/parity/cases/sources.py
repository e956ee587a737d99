"""Nodes that batches enter by."""

from __future__ import annotations

import numpy as np

from tools.parity.cases.case import BANDS, WAVELENGTHS, Case, cube, each, labels

_BATCHES = each(
    lambda shape, seed: {
        "cube": cube(shape, seed=seed, scale=2000).astype(np.uint16),
        "mask": labels(shape, 4, seed=seed),
        "wavelengths": np.broadcast_to(WAVELENGTHS, (shape[0], BANDS)).copy(),
        "mesu_index": np.arange(shape[0]),
    }
)

CASES = [
    Case("data.CU3SDataNode", _BATCHES),
    Case("data.AnomalyDataNode", _BATCHES, {"normal_class_ids": [0, 1]}),
    Case("data.AnomalyDataNode", _BATCHES, {"normal_class_ids": [0], "anomaly_class_ids": [2]}),
    Case("data.LentilsAnomalyDataNode", _BATCHES, {"normal_class_ids": [0, 1]}),
]
