"""Nodes that turn numbers into colours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from swath.engine.draw.colours import hue
from swath.engine.draw.colours import palette as colours
from swath.engine.graph.context import Context
from swath.engine.graph.independence import Independence
from swath.engine.graph.node import Node
from swath.engine.graph.ports import Port, ports
from swath.engine.hparams import number


class ScalarHSVColormapNode(Node):
    """A map as hues: red at `value_min`, over green and blue, back to red at `value_max`; what lies outside is cut.

    Args:
        value_min: Value at the start of the colour map.
        value_max: Value at its end.
    """

    category = "visualizer"
    tags = ("rgb",)
    independence = Independence.PIXEL
    inputs = ports(data=Port(torch.float32, (-1, -1, -1, 1), description="Map [B, H, W, 1]"))
    outputs = ports(rgb_image=Port(torch.float32, (-1, -1, -1, 3), description="Colours of 0..1 [B, H, W, 3]"))

    def __init__(self, value_min: float = 0.0, value_max: float = 1.0) -> None:
        super().__init__()
        self.low = number("value_min", value_min)
        self.high = number("value_max", value_max, above=self.low)

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        return {"rgb_image": hue((inputs["data"] - self.low) / (self.high - self.low))}


class ClassMapToRGB(Node):
    """A colour for each class; the background, and what is outside of the mask, is black.

    Args:
        palette: Colours of 0..255 of the classes 0, 1 and so on; further classes start over. The twenty of Tableau when
            left out.
        background_value: Class that is black.
    """

    category = "visualizer"
    tags = ("mask", "rgb")
    independence = Independence.PIXEL
    inputs = ports(
        class_map=Port(torch.int64, (-1, -1, -1), description="Classes [B, H, W]"),
        mask=Port(torch.int32, (-1, -1, -1), optional=True, description="0 where black [B, H, W]"),
    )
    outputs = ports(label_rgb=Port(torch.float32, (-1, -1, -1, 3), description="Colours of 0..1 [B, H, W, 3]"))

    def __init__(self, palette: Sequence[Sequence[int]] | None = None, background_value: int = -1) -> None:
        super().__init__()
        self.palette = colours("palette", palette)
        self.background = int(number("background_value", background_value))

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        classes: Tensor = inputs["class_map"]
        mask: Tensor | None = inputs.get("mask")
        if mask is not None and mask.shape != classes.shape:
            raise self.refuse("mask", f"the pixels of the classes, {list(classes.shape)}", mask)
        table = torch.tensor(self.palette, device=classes.device) / 255
        shown = classes != self.background
        if mask is not None:
            shown &= mask != 0
        return {"label_rgb": table[classes % len(table)] * shown.unsqueeze(-1)}
