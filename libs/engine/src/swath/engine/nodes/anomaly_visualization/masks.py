"""Decisions against ground truth, for monitors."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from swath.engine.draw import pictures
from swath.engine.graph.context import Context
from swath.engine.graph.invalid import Invalid
from swath.engine.graph.node import Node
from swath.engine.graph.ports import EVALUATION, Port, ports
from swath.engine.graph.records import Picture
from swath.engine.hparams import whole
from swath.engine.nodes.anomaly_visualization.maps import ARTIFACTS

_JUDGED = ports(
    decisions=Port(torch.bool, (-1, -1, -1, 1), optional=True, description="Decisions [B, H, W, 1]"),
    mask=Port(torch.bool, (-1, -1, -1, 1), optional=True, description="Anomalous pixels [B, H, W, 1]"),
    scores=Port(torch.float32, (-1, -1, -1, 1), optional=True, description="Scores [B, H, W, 1]"),
)


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
    invalid = Invalid.PASSED
    inputs = ports(_JUDGED, cube=Port(torch.float32, (-1, -1, -1, -1), description="Cube [B, H, W, C]"))
    outputs = ARTIFACTS

    def __init__(self, channel: int, up_to: int | None = None) -> None:
        super().__init__()
        self.channel = whole("channel", channel, at_least=0)
        self.up_to = None if up_to is None else whole("up_to", up_to, at_least=0)

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        cube: Tensor = inputs["cube"]
        if self.channel >= cube.shape[-1]:
            raise self.refuse("cube", f"at least {self.channel + 1} channels", cube)
        channel = cube[: self.up_to, ..., self.channel].detach().cpu().numpy()
        maps = _maps(inputs, self.up_to)
        return {
            "artifacts": [
                Picture(
                    f"anomaly_mask_img{index:02d}",
                    _comparison(base, {key: value[index] for key, value in maps.items()}),
                )
                for index, base in enumerate(channel)
            ]
        }


class RGBAnomalyMask(Node):
    """Prediction against ground truth on a picture: green found, red false alarm, yellow missed.

    Beside it the picture alone and the ground truth; above it the intersection over union and, where there are scores,
    their average precision, of pixels whose score is finite. Without ground truth the prediction is cyan.

    Args:
        up_to: Frames of each batch that are drawn; all when left out.
    """

    stages = EVALUATION
    category = "visualizer"
    tags = ("mask", "anomaly", "rgb", "evaluation")
    invalid = Invalid.PASSED
    inputs = ports(_JUDGED, rgb_image=Port(torch.float32, (-1, -1, -1, 3), description="Pictures of 0..1 [B, H, W, 3]"))
    outputs = ARTIFACTS

    def __init__(self, up_to: int | None = None) -> None:
        super().__init__()
        self.up_to = None if up_to is None else whole("up_to", up_to, at_least=0)

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        frames = inputs["rgb_image"][: self.up_to].detach().cpu().numpy()
        maps = _maps(inputs, self.up_to)
        return {
            "artifacts": [
                Picture(
                    f"rgb_anomaly_mask_img{index:02d}",
                    pictures.panels(_panels(frame, {key: value[index] for key, value in maps.items()})),
                )
                for index, frame in enumerate(frames)
            ]
        }


def _maps(inputs: dict[str, Any], up_to: int | None) -> dict[str, Any]:
    present = [port for port in _JUDGED if port in inputs]
    return {port: inputs[port][:up_to, ..., 0].detach().cpu().numpy() for port in present}


def _panels(frame: pictures.Map, maps: dict[str, Any]) -> list[tuple[str, pictures.Pixels]]:
    # Pictures that are no colours of 0..1, such as bands as they are, would be all black or white.
    inside = np.isfinite(frame).all() and frame.min(initial=0) >= 0 and frame.max(initial=0) <= 1
    shown = pictures.to_bytes(frame if inside else pictures.stretch(frame))
    parts = [("picture", shown)]
    truth: pictures.Flags | None = maps.get("mask")
    if truth is not None and not truth.any():
        truth = None
    if truth is not None:
        parts.append(("ground truth", pictures.gray(truth.astype(float))))
    decided: pictures.Flags | None = maps.get("decisions")
    if decided is None:
        return parts
    if truth is None:
        return [*parts, ("prediction", pictures.tint(shown, decided, pictures.CYAN))]
    words, overlay = _judged(shown, decided, truth)
    if "scores" in maps:
        precision = _average_precision(maps["scores"], truth)
        words += "" if np.isnan(precision) else f"  AP {precision:.3f}"
    return [*parts, (words, overlay)]


def _judged(shown: pictures.Pixels, decided: pictures.Flags, truth: pictures.Flags) -> tuple[str, pictures.Pixels]:
    overlay = pictures.tint(shown, decided & truth, pictures.GREEN)
    overlay = pictures.tint(overlay, decided & ~truth, pictures.RED)
    overlay = pictures.tint(overlay, ~decided & truth, pictures.YELLOW)
    iou = np.count_nonzero(decided & truth) / np.count_nonzero(decided | truth)
    return f"IoU {iou:.3f}", overlay


def _average_precision(scores: pictures.Map, truth: pictures.Flags) -> float:
    from sklearn.metrics import average_precision_score  # slow to import, and only labelled scores need it

    valid = np.isfinite(scores)  # those of invalid pixels are not
    return float(average_precision_score(truth[valid], scores[valid])) if truth[valid].any() else float("nan")


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
    return pictures.panels([*known, _judged(shown, decided, truth), prediction])
