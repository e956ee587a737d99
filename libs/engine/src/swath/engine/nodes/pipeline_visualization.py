"""Pictures of what a pipeline looks at, for monitors."""

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
from swath.engine.spectra import WAVELENGTHS


class CubeRGBVisualizer(Node):
    """The three channels of the highest weights as red, green and blue, beside all weights as bars.

    Args:
        up_to: Frames of each batch that are drawn.
    """

    stages = EVALUATION
    category = "visualizer"
    tags = ("hyperspectral", "rgb", "evaluation")
    inputs = ports(
        cube=Port(torch.float32, (-1, -1, -1, -1), description="Cube [B, H, W, C]"),
        weights=Port(torch.float32, (-1,), description="Weight of each channel [C]"),
        wavelengths=WAVELENGTHS,
    )
    outputs = ports(artifacts=Port(LIST, description="Pictures"))

    def __init__(self, up_to: int = 5) -> None:
        super().__init__()
        self.up_to = whole("up_to", up_to, at_least=0)

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        cube: Tensor = inputs["cube"]
        weights: Tensor = inputs["weights"].detach()
        for port in ("weights", "wavelengths"):
            if inputs[port].shape[0] != cube.shape[-1]:
                raise self.refuse(port, f"{cube.shape[-1]} numbers, one per channel of the cube", inputs[port])
        top: list[int] = weights.topk(min(3, len(weights))).indices.tolist()
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
