"""What mixers share."""

from __future__ import annotations

import torch

from swath.engine.graph.ports import Port, ports

TAGS = ("hyperspectral", "dim_reduction", "preprocessing", "learnable", "torch")
INPUTS = ports(data=Port(torch.float32, (-1, -1, -1, "input_channels"), description="Cube [B, H, W, C]"))
RGB = Port(torch.float32, (-1, -1, -1, "output_channels"), description="Mixed channels, such as RGB [B, H, W, K]")
