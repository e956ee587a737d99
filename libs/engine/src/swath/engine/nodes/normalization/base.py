"""What all normalisers share."""

from __future__ import annotations

import torch

from swath.engine.graph.node import Node
from swath.engine.graph.ports import Port, ports

INPUTS = ports(data=Port(torch.float32, (-1, -1, -1, -1), description="Cube [B, H, W, C]"))
OUTPUTS = ports(normalized=Port(torch.float32, (-1, -1, -1, -1), description="Normalised cube [B, H, W, C]"))
TAGS = ("normalization", "preprocessing")


class Normalizer(Node):
    """A node that brings cubes to a common scale without statistics of its own."""

    category = "transform"
    tags = TAGS
    inputs = INPUTS
    outputs = OUTPUTS
