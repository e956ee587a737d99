"""Pictures of what a detector found, for monitors."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from swath.engine import pictures
from swath.engine.checks import whole
from swath.engine.context import Context
from swath.engine.node import Node
from swath.engine.ports import EVALUATION, LIST, Port, ports
from swath.engine.records import Picture

_ARTIFACTS = ports(artifacts=Port(LIST, description="Pictures"))


class AnomalyMask(Node):
    """Prediction against ground truth on one channel of the cube: green found, red false alarm, yellow missed.

    Without ground truth the prediction is cyan; without decisions the scores are shown.

    Args:
        channel: Channel that is shown below the colours.
        up_to: Frames of each batch that are drawn; all when left out.
    """

    stages = EVALUATION
    category = "visualizer"
    tags = ("mask", "anomaly", "evaluation")
    inputs = ports(
        decisions=Port(torch.bool, (-1, -1, -1, 1), optional=True, description="Decisions [B, H, W, 1]"),
        mask=Port(torch.bool, (-1, -1, -1, 1), optional=True, description="Anomalous pixels [B, H, W, 1]"),
        cube=Port(torch.float32, (-1, -1, -1, -1), description="Cube [B, H, W, C]"),
        scores=Port(torch.float32, (-1, -1, -1, 1), optional=True, description="Scores [B, H, W, 1]"),
    )
    outputs = _ARTIFACTS

    def __init__(self, channel: int, up_to: int | None = None) -> None:
        super().__init__()
        self.channel = whole("channel", channel, at_least=0)
        self.up_to = None if up_to is None else whole("up_to", up_to, at_least=0)

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        cube: Tensor = inputs["cube"]
        if self.channel >= cube.shape[-1]:
            raise self.refuse("cube", f"at least {self.channel + 1} channels", cube)
        channel = cube[: self.up_to, ..., self.channel].detach().cpu().numpy()
        maps = {
            port: inputs[port][: self.up_to, ..., 0].detach().cpu().numpy()
            for port in ("decisions", "mask", "scores")
            if port in inputs
        }
        return {
            "artifacts": [
                Picture(
                    f"anomaly_mask_img{index:02d}",
                    _comparison(base, {key: value[index] for key, value in maps.items()}),
                )
                for index, base in enumerate(channel)
            ]
        }


class ScoreHeatmapVisualizer(Node):
    """Score maps in colour.

    Args:
        normalize_scores: Whether each map is scaled from its own lowest to its highest score, or shown as 0..1.
        cmap: Name of a colour map of matplotlib.
        up_to: Frames of each batch that are drawn; all when left out.
    """

    stages = EVALUATION
    category = "visualizer"
    tags = ("anomaly", "rgb", "evaluation")
    inputs = ports(scores=Port(torch.float32, (-1, -1, -1, 1), description="Scores [B, H, W, 1]"))
    outputs = _ARTIFACTS

    def __init__(self, normalize_scores: bool = True, cmap: str = "inferno", up_to: int | None = 5) -> None:
        super().__init__()
        self.normalize = bool(normalize_scores)
        self.cmap = str(cmap)
        self.up_to = None if up_to is None else whole("up_to", up_to, at_least=0)

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        maps = inputs["scores"][: self.up_to, ..., 0].detach().cpu().numpy()
        drawn = [pictures.colour(pictures.stretch(one) if self.normalize else one, self.cmap) for one in maps]
        return {
            "artifacts": [
                Picture(f"score_heatmap_img{index:02d}", pictures.panels([(f"scores #{index}", pixels)]))
                for index, pixels in enumerate(drawn)
            ]
        }


def _comparison(base: pictures.Map, maps: dict[str, Any]) -> pictures.Pixels:
    shown = pictures.gray(pictures.stretch(base))
    truth: pictures.Flags | None = maps.get("mask")
    if truth is not None and not truth.any():
        truth = None
    known = [("ground truth", pictures.gray(truth.astype(float)))] if truth is not None else []
    decided: pictures.Flags | None = maps.get("decisions")
    if decided is None:
        scores = maps.get("scores")
        picture = shown if scores is None else pictures.colour(pictures.stretch(scores), "inferno")
        return pictures.panels([*known, ("scores, no decisions", picture)])
    prediction = ("prediction", pictures.gray(decided.astype(float)))
    if truth is None:
        return pictures.panels([("prediction on cube", pictures.tint(shown, decided, pictures.CYAN)), prediction])
    overlay = pictures.tint(shown, decided & truth, pictures.GREEN)
    overlay = pictures.tint(overlay, decided & ~truth, pictures.RED)
    overlay = pictures.tint(overlay, ~decided & truth, pictures.YELLOW)
    iou = np.count_nonzero(decided & truth) / np.count_nonzero(decided | truth)
    return pictures.panels([*known, (f"IoU {iou:.3f}", overlay), prediction])
