"""Nodes that read labels."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

from swath.engine.graph.context import Context
from swath.engine.graph.independence import Independence
from swath.engine.graph.invalid import Invalid
from swath.engine.graph.node import Node
from swath.engine.graph.ports import Port, ports
from swath.engine.mixins.anomalous_classes import AnomalousClasses


class BinaryAnomalyLabelMapper(Node):
    """Makes classes into anomalous or not, and hands the cube on.

    Args:
        normal_class_ids: Classes that are normal; all others are anomalous.
        anomaly_class_ids: Classes that are anomalous; all others are normal. Wins over the former.
    """

    category = "transform"
    tags = ("mask", "anomaly", "postprocessing", "torch")
    invalid = Invalid.PASSED
    independence = Independence.PIXEL
    inputs = ports(
        cube=Port(torch.float32, (-1, -1, -1, -1), description="Cube [B, H, W, C]"),
        mask=Port(torch.int32, (-1, -1, -1, 1), description="Class of each pixel [B, H, W, 1]"),
    )
    outputs = ports(
        cube=Port(torch.float32, (-1, -1, -1, -1), description="The cube as it came [B, H, W, C]"),
        mask=Port(torch.bool, (-1, -1, -1, 1), description="Anomalous pixels [B, H, W, 1]"),
    )

    def __init__(self, normal_class_ids: Iterable[int], anomaly_class_ids: Iterable[int] | None = None) -> None:
        super().__init__()
        self.anomalous = AnomalousClasses(normal_class_ids, anomaly_class_ids)

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        return {"cube": inputs["cube"], "mask": self.anomalous(inputs["mask"])}
