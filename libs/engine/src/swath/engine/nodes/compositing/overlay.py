"""Colours over a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from swath.engine.draw.colours import light
from swath.engine.graph.context import Context
from swath.engine.graph.independence import Independence
from swath.engine.graph.invalid import Invalid
from swath.engine.graph.node import Node
from swath.engine.graph.ports import Port, ports
from swath.engine.hparams import fraction

_PICTURE = (-1, -1, -1, 3)


class LabelOverlay(Node):
    """``(1 - alpha) picture + alpha label`` where the label is not the background; the picture elsewhere.

    Args:
        alpha: Share of the label, 0 to 1.
        background_color: Colour of 0..1 that stands for no label.
    """

    category = "transform"
    tags = ("image", "rgb")
    invalid = Invalid.DRAWN
    independence = Independence.PIXEL
    inputs = ports(
        rgb_image=Port(torch.float32, _PICTURE, description="Pictures of 0..1 [B, H, W, 3]"),
        label_rgb=Port(torch.float32, _PICTURE, description="Labels as colours of 0..1 [B, H, W, 3]"),
    )
    outputs = ports(frame=Port(torch.float32, _PICTURE, description="Blend [B, H, W, 3]"))

    def __init__(self, alpha: float = 0.55, background_color: Sequence[float] = (0.0, 0.0, 0.0)) -> None:
        super().__init__()
        self.alpha = fraction("alpha", alpha)
        self.background = light("background_color", background_color)

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        picture: Tensor = inputs["rgb_image"]
        label: Tensor = inputs["label_rgb"]
        if label.shape != picture.shape:
            raise self.refuse("label_rgb", f"the shape of the picture, {list(picture.shape)}", label)
        labelled = (label - label.new_tensor(self.background)).abs().sum(dim=-1, keepdim=True) > 1e-6
        blend = torch.where(labelled, picture.lerp(label, self.alpha), picture)
        return {"frame": blend.clamp(0, 1)}
