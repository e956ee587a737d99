"""Pictures of what a pipeline looks at, for monitors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from swath.engine.draw import charts, pictures
from swath.engine.graph.context import Context
from swath.engine.graph.invalid import Invalid
from swath.engine.graph.node import Node
from swath.engine.graph.ports import EVALUATION, LEARNING, LIST, Port, Stage, ports
from swath.engine.graph.records import Picture
from swath.engine.hparams import whole
from swath.engine.mixins.wavelengths import WAVELENGTHS
from swath.engine.ops.ranks import largest

_ARTIFACTS = ports(artifacts=Port(LIST, description="Pictures"))


class CubeRGBVisualizer(Node):
    """The three channels of the highest weights as red, green and blue, beside all weights as bars.

    Args:
        up_to: Frames of each batch that are drawn.
    """

    stages = EVALUATION
    category = "visualizer"
    tags = ("hyperspectral", "rgb", "evaluation")
    invalid = Invalid.PASSED
    inputs = ports(
        cube=Port(torch.float32, (-1, -1, -1, -1), description="Cube [B, H, W, C]"),
        weights=Port(torch.float32, (-1,), description="Weight of each channel [C]"),
        wavelengths=WAVELENGTHS,
    )
    outputs = _ARTIFACTS

    def __init__(self, up_to: int = 5) -> None:
        super().__init__()
        self.up_to = whole("up_to", up_to, at_least=0)

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        cube: Tensor = inputs["cube"]
        weights: Tensor = inputs["weights"].detach()
        for port in ("weights", "wavelengths"):
            if inputs[port].shape[0] != cube.shape[-1]:
                raise self.refuse(port, f"{cube.shape[-1]} numbers, one per channel of the cube", inputs[port])
        top: list[int] = largest(weights, 3).tolist()
        caption = "RGB " + " ".join(f"{float(inputs['wavelengths'][index]):.0f}" for index in top) + " nm"
        frames = cube[: self.up_to, ..., top].detach().cpu().numpy()
        missing = 3 - len(top)
        shown = np.pad(frames, ((0, 0), (0, 0), (0, 0), (0, missing)))
        chart = pictures.bars(weights.cpu().numpy(), top, *frames.shape[1:3])
        return {
            "artifacts": [
                Picture(
                    f"viz_rgb_sample_{index}",
                    pictures.panels([(caption, pictures.to_bytes(pictures.stretch(frame))), ("weights", chart)]),
                )
                for index, frame in enumerate(shown)
            ]
        }


class PCAVisualization(Node):
    """The first two components of each frame: one against the other, and as red and green.

    Points of the plot have the colour of their place in the frame, shown between the two: hue from left to right,
    saturation from top to bottom.

    Args:
        up_to: Frames of each batch that are drawn; all when left out.
    """

    stages = frozenset({Stage.VAL})
    category = "visualizer"
    tags = ("hyperspectral", "rgb", "evaluation")
    invalid = Invalid.PASSED
    inputs = ports(data=Port(torch.float32, (-1, -1, -1, -1), description="At least 2 components [B, H, W, C]"))
    outputs = _ARTIFACTS

    def __init__(self, up_to: int | None = None) -> None:
        super().__init__()
        self.up_to = None if up_to is None else whole("up_to", up_to, at_least=0)

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        data: Tensor = inputs["data"]
        if data.shape[-1] < 2:
            raise self.refuse("data", "at least 2 components", data)
        frames = data[: self.up_to, ..., :2].detach().double().cpu().numpy()
        return {
            "artifacts": [
                Picture(f"pca_projection_img{index:02d}", charts.components(frame))
                for index, frame in enumerate(frames)
            ]
        }


class PipelineComparisonVisualizer(Node):
    """What goes into a pipeline and what comes out: four pictures of each frame.

    Three channels of the cube and the output of a mixer, each scaled from its lowest to its highest value, the ground
    truth in red, and the scores from blue for the lowest to red for the highest.

    Args:
        hsi_channels: Channels shown as red, green and blue; 0, 20 and 40 when left out. The last channel stands for
            those that the cube does not have.
        max_samples: Frames of each batch that are drawn.
        log_every_n_batches: Draws the first of so many batches.
    """

    stages = LEARNING
    category = "visualizer"
    tags = ("hyperspectral", "rgb", "training", "evaluation")
    invalid = Invalid.PASSED
    inputs = ports(
        hsi_cube=Port(torch.float32, (-1, -1, -1, -1), description="Cube [B, H, W, C]"),
        mixer_output=Port(torch.float32, (-1, -1, -1, 3), description="What a model sees of it [B, H, W, 3]"),
        ground_truth_mask=Port(torch.bool, (-1, -1, -1, 1), description="Anomalous pixels [B, H, W, 1]"),
        anomaly_scores=Port(torch.float32, (-1, -1, -1, 1), description="Scores [B, H, W, 1]"),
    )
    outputs = _ARTIFACTS

    def __init__(
        self, hsi_channels: Sequence[int] | None = None, max_samples: int = 4, log_every_n_batches: int = 1
    ) -> None:
        super().__init__()
        chosen = (0, 20, 40) if hsi_channels is None else hsi_channels
        if len(chosen) != 3:
            raise ValueError(f"hsi_channels must be three channels, got {hsi_channels!r}")
        self.channels = [whole("hsi_channels", channel, at_least=0) for channel in chosen]
        self.max_samples = whole("max_samples", max_samples, at_least=0)
        self.every = whole("log_every_n_batches", log_every_n_batches, at_least=1)

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        if context.batch % self.every:
            return {"artifacts": []}
        cube: Tensor = inputs["hsi_cube"]
        for port in ("mixer_output", "ground_truth_mask", "anomaly_scores"):
            if inputs[port].shape[0] != cube.shape[0]:
                raise self.refuse(port, f"{cube.shape[0]} frames, as the cube has", inputs[port])
        views = {
            "hsi_input": (cube[..., [min(channel, cube.shape[-1] - 1) for channel in self.channels]], _stretched),
            "mixer_output_adaclip_input": (inputs["mixer_output"], _stretched),
            "ground_truth_mask": (inputs["ground_truth_mask"], _reddened),
            "anomaly_scores_heatmap": (inputs["anomaly_scores"], _heated),
        }
        drawn = {
            name: [draw(frame) for frame in values[: self.max_samples].detach().cpu().numpy()]
            for name, (values, draw) in views.items()
        }
        return {
            "artifacts": [
                Picture(f"{name}_sample_{index}", pixels)
                for index, frame in enumerate(zip(*drawn.values(), strict=True))
                for name, pixels in zip(drawn, frame, strict=True)
            ]
        }


def _stretched(frame: pictures.Map) -> pictures.Pixels:
    return pictures.to_bytes(pictures.stretch(frame))


def _reddened(mask: pictures.Map) -> pictures.Pixels:
    return pictures.to_bytes(mask * np.array([1.0, 0.0, 0.0]))


def _heated(scores: pictures.Map) -> pictures.Pixels:
    heat = pictures.stretch(scores[..., 0])
    return pictures.to_bytes(np.stack([heat, np.zeros_like(heat), 1 - heat], axis=-1))
