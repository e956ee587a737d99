"""Nodes that pick bands."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from swath.engine.graph.context import Context
from swath.engine.graph.independence import Independence
from swath.engine.graph.invalid import Invalid
from swath.engine.graph.node import Node
from swath.engine.graph.ports import Port, ports
from swath.engine.hparams import number
from swath.engine.mixins.wavelengths import WAVELENGTHS


class BandpassByWavelength(Node):
    """Keeps the channels with ``min <= wavelength <= max``.

    Args:
        min_wavelength_nm: Shortest wavelength that stays, nm.
        max_wavelength_nm: Longest one; no bound when left out.
    """

    category = "transform"
    tags = ("hyperspectral", "preprocessing")
    invalid = Invalid.PASSED
    independence = Independence.PIXEL
    inputs = ports(data=Port(torch.float32, (-1, -1, -1, -1), description="Cube [B, H, W, C]"), wavelengths=WAVELENGTHS)
    outputs = ports(filtered=Port(torch.float32, (-1, -1, -1, -1), description="Cube with fewer channels [B, H, W, C]"))

    def __init__(self, min_wavelength_nm: float, max_wavelength_nm: float | None = None) -> None:
        super().__init__()
        self.shortest = number("min_wavelength_nm", min_wavelength_nm)
        self.longest = None if max_wavelength_nm is None else number("max_wavelength_nm", max_wavelength_nm)

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        data: Tensor = inputs["data"]
        wavelengths: Tensor = inputs["wavelengths"]
        if wavelengths.shape[0] != data.shape[-1]:
            raise self.refuse("wavelengths", f"{data.shape[-1]} numbers, one per channel of the data", wavelengths)
        inside = wavelengths >= self.shortest
        if self.longest is not None:
            inside &= wavelengths <= self.longest
        kept: list[int] = inside.nonzero().flatten().tolist()
        if not kept:
            upper = "" if self.longest is None else f" up to {self.longest:g}"
            raise self.refuse("wavelengths", f"at least one channel from {self.shortest:g} nm{upper}", wavelengths)
        if kept[-1] - kept[0] + 1 == len(kept):
            return {"filtered": data[..., kept[0] : kept[-1] + 1]}  # a view: wavelengths usually ascend
        return {"filtered": data[..., kept]}
