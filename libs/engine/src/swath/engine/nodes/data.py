"""Nodes that batches enter a pipeline by."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from swath.engine.graph.context import Context
from swath.engine.graph.independence import Independence
from swath.engine.graph.invalid import Invalid
from swath.engine.graph.node import Node
from swath.engine.graph.ports import ANY, Port, ports
from swath.engine.mixins.anomalous_classes import AnomalousClasses
from swath.engine.mixins.wavelengths import FRAME_WAVELENGTHS, WAVELENGTHS

_MASK = Port(torch.int32, (-1, -1, -1), optional=True, description="Class of each pixel [B, H, W]")
_INDEX = Port(torch.int64, (-1,), optional=True, description="Index of each frame [B]")
_INPUTS = ports(
    cube=Port(ANY, (-1, -1, -1, -1), description="Cube of any number type [B, H, W, C]"),
    mask=_MASK,
    # Not every scene has them, and a node that uses them asks for them itself.
    wavelengths=replace(FRAME_WAVELENGTHS, deferred=True),
    mesu_index=_INDEX,
)
_OUTPUTS = ports(
    cube=Port(torch.float32, (-1, -1, -1, -1), description="Cube [B, H, W, C]"),
    mask=_MASK,
    wavelengths=replace(WAVELENGTHS, optional=True),
    mesu_index=_INDEX,
)


class CU3SDataNode(Node):
    """Takes the cube to float32 and the first frame's wavelengths to the host; hands mask and frame indices on.

    A scene may have no wavelengths: then nodes that use them say so.
    """

    category = "source"
    tags = ("hyperspectral", "metadata")
    invalid = Invalid.PASSED
    independence = Independence.PIXEL
    inputs = _INPUTS
    outputs = _OUTPUTS

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        outputs: dict[str, Any] = {"cube": inputs["cube"].to(torch.float32)}
        wavelengths: Tensor | None = inputs.get("wavelengths")
        if wavelengths is not None:
            if wavelengths.shape[0] == 0:
                raise self.refuse("wavelengths", "at least one row", wavelengths)
            outputs["wavelengths"] = wavelengths[0].cpu()
        return outputs | {key: inputs[key] for key in ("mask", "mesu_index") if key in inputs}


class AnomalyDataNode(CU3SDataNode):
    """As `CU3SDataNode`, and makes the classes of the mask into anomalous or not.

    Args:
        normal_class_ids: Classes that are normal; all others are anomalous.
        anomaly_class_ids: Classes that are anomalous; all others are normal. Wins over the former.
    """

    inputs = ports(
        _INPUTS,
        class_mask=Port(ANY, (-1, -1, -1), optional=True, description="Class of each pixel [B, H, W]"),
    )
    outputs = ports(
        _OUTPUTS,
        mask=Port(torch.bool, (-1, -1, -1, 1), optional=True, description="Anomalous pixels [B, H, W, 1]"),
        class_mask=Port(torch.int32, (-1, -1, -1, 1), optional=True, description="Class of each pixel [B, H, W, 1]"),
    )

    def __init__(self, normal_class_ids: Iterable[int], anomaly_class_ids: Iterable[int] | None = None) -> None:
        super().__init__()
        self.anomalous = AnomalousClasses(normal_class_ids, anomaly_class_ids)

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        outputs = super().run(inputs, context)
        if "mask" in inputs:
            outputs["mask"] = self.anomalous(inputs["mask"]).unsqueeze(-1)
        if "class_mask" in inputs:
            outputs["class_mask"] = inputs["class_mask"].unsqueeze(-1).to(torch.int32)
        return outputs


class LentilsAnomalyDataNode(AnomalyDataNode):
    """The older name of `AnomalyDataNode`."""
