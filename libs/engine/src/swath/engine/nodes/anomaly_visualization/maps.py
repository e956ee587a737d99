"""Pictures of scores, of channels and of their weights."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from swath.engine.draw import pictures
from swath.engine.graph.context import Context
from swath.engine.graph.invalid import Invalid
from swath.engine.graph.node import Node
from swath.engine.graph.ports import EVALUATION, LEARNING, LIST, Port, ports
from swath.engine.graph.records import Picture
from swath.engine.hparams import fraction, whole
from swath.engine.mixins.wavelengths import WAVELENGTHS

ARTIFACTS = ports(artifacts=Port(LIST, description="Pictures"))


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
    invalid = Invalid.PASSED
    inputs = ports(scores=Port(torch.float32, (-1, -1, -1, 1), description="Scores [B, H, W, 1]"))
    outputs = ARTIFACTS

    def __init__(self, normalize_scores: bool = True, cmap: str = "inferno", up_to: int | None = 5) -> None:
        super().__init__()
        self.normalize = bool(normalize_scores)
        self.cmap = str(cmap)
        self.up_to = None if up_to is None else whole("up_to", up_to, at_least=0)

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        maps = inputs["scores"][: self.up_to, ..., 0].detach().cpu().numpy()
        return {
            "artifacts": [
                Picture(f"score_heatmap_img{index:02d}", pictures.panels([(_caption(index, one), self._drawn(one))]))
                for index, one in enumerate(maps)
            ]
        }

    def _drawn(self, scores: pictures.Map) -> pictures.Pixels:
        shown = pictures.stretch(scores) if self.normalize else np.where(np.isfinite(scores), scores, 0)
        return pictures.colour(shown, self.cmap)


def _caption(index: int, scores: pictures.Map) -> str:
    return f"scores #{index}" + ("" if np.isfinite(scores).any() else ": no valid pixel")


class ChannelSelectorFalseRGBViz(Node):
    """False-colour pictures, scaled from their lowest to their highest value, and again with a mask in red.

    The second picture is left out where nothing is masked.

    Args:
        mask_overlay_alpha: Share of red within the mask, 0 to 1.
        max_samples: Frames of each batch that are drawn.
        log_every_n_batches: Draws the first of so many batches.
    """

    stages = LEARNING
    category = "visualizer"
    tags = ("hyperspectral", "rgb", "training", "evaluation")
    invalid = Invalid.PASSED
    inputs = ports(
        rgb_output=Port(torch.float32, (-1, -1, -1, 3), description="False colours [B, H, W, 3]"),
        mask=Port(torch.int32, (-1, -1, -1), optional=True, description="Above 0 where masked [B, H, W]"),
        mesu_index=Port(torch.int64, (-1,), optional=True, description="Number of each measurement [B]"),
    )
    outputs = ARTIFACTS

    def __init__(self, mask_overlay_alpha: float = 0.4, max_samples: int = 4, log_every_n_batches: int = 1) -> None:
        super().__init__()
        self.alpha = fraction("mask_overlay_alpha", mask_overlay_alpha)
        self.max_samples = whole("max_samples", max_samples, at_least=0)
        self.every = whole("log_every_n_batches", log_every_n_batches, at_least=1)

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        if context.batch % self.every:
            return {"artifacts": []}
        picture: Tensor = inputs["rgb_output"]
        for port in ("mask", "mesu_index"):
            if port in inputs and inputs[port].shape[0] != picture.shape[0]:
                raise self.refuse(port, f"one for each of {picture.shape[0]} frames", inputs[port])
        frames = picture[: self.max_samples].detach().cpu().numpy()
        masks = inputs["mask"][: self.max_samples].cpu().numpy() > 0 if "mask" in inputs else [None] * len(frames)
        numbers = inputs["mesu_index"].tolist() if "mesu_index" in inputs else None
        drawn: list[Picture] = []
        for index, (frame, mask) in enumerate(zip(frames, masks, strict=True)):
            label = f"sample_{index}" if numbers is None else f"mesu_{numbers[index]}"
            pixels = pictures.to_bytes(pictures.stretch(frame))
            drawn.append(Picture(f"false_rgb_{label}", pixels))
            if mask is not None and mask.any():
                drawn.append(Picture(f"mask_overlay_{label}", pictures.tint(pixels, mask, pictures.RED, self.alpha)))
        return {"artifacts": drawn}


class ChannelWeightsViz(Node):
    """A matrix of weights as cells: blue below 0, white at 0, red above, by the largest size of any.

    Args:
        max_samples: Takes no part: there is one matrix for all samples.
        log_every_n_batches: Draws the first of so many batches.
        cell_height: Rows of pixels of a cell.
        cell_width: Columns of pixels of a cell.
    """

    stages = LEARNING
    category = "visualizer"
    tags = ("hyperspectral", "rgb", "training", "evaluation")
    inputs = ports(
        weights=Port(torch.float32, (-1, -1), description="Weights of C inputs for each of K outputs [K, C]"),
        wavelengths=replace(WAVELENGTHS, optional=True),
    )
    outputs = ARTIFACTS

    def __init__(
        self, max_samples: int = 1, log_every_n_batches: int = 1, cell_height: int = 60, cell_width: int = 12
    ) -> None:
        super().__init__()
        self.every = whole("log_every_n_batches", log_every_n_batches, at_least=1)
        self.cell = whole("cell_height", cell_height, at_least=1), whole("cell_width", cell_width, at_least=1)

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        if context.batch % self.every:
            return {"artifacts": []}
        weights = inputs["weights"].detach().float().nan_to_num().cpu().numpy()
        wavelengths: Tensor | None = inputs.get("wavelengths")
        columns = range(weights.shape[1])
        if wavelengths is not None:
            if len(wavelengths) != weights.shape[1]:
                raise self.refuse("wavelengths", f"{weights.shape[1]} numbers, one per column", wavelengths)
            columns = [round(float(value)) for value in wavelengths]
        rows = list("RGB") if len(weights) == 3 else [str(row) for row in range(len(weights))]
        return {"artifacts": [Picture("mixing_matrix", pictures.matrix(weights, rows, columns, self.cell))]}
