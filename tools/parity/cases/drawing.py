"""Pictures: how many, and under which names. What is on them is drawn in another way."""

from __future__ import annotations

import numpy as np

from tools.parity.cases.case import WAVELENGTHS, Case, cube, each, flags, numbers, rng

_MASKED = each(
    lambda shape, seed: {
        "decisions": flags((*shape, 1), seed=seed),
        "mask": flags((*shape, 1), seed=seed + 9),
        "cube": cube(shape, seed=seed),
        "scores": numbers((*shape, 1), seed=seed),
    }
)
_PICTURES = [{"rgb_image": rng(0).random((3, 16, 24, 3), dtype=np.float32), "frame_id": np.arange(3)}]

CASES = [
    Case("anomaly_visualization.AnomalyMask", _MASKED, {"channel": 30, "up_to": 2}, stage="val"),
    Case(
        "anomaly_visualization.ScoreHeatmapVisualizer",
        each(lambda shape, seed: {"scores": numbers((*shape, 1), seed=seed)}),
        stage="val",
    ),
    Case(
        "pipeline_visualization.CubeRGBVisualizer",
        each(
            lambda shape, seed: {
                "cube": cube(shape, seed=seed),
                "weights": rng(seed).random(61, dtype=np.float32),
                "wavelengths": WAVELENGTHS,
            }
        ),
        stage="val",
    ),
    Case("video.ToVideoNode", _PICTURES, {"output_video_path": "{folder}/out.mp4"}),
]
LEFT_OUT = {
    "TensorBoardMonitorNode": "writes event files that hold the time; what it takes from metrics is compared with them"
}
