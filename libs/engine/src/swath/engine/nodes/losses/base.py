"""What all losses share."""

from __future__ import annotations

import torch

from swath.engine.graph.ports import Port, ports

TAGS = ("training", "differentiable", "torch")
LOSS = ports(loss=Port(torch.float32, (), description="Weighted loss"))
