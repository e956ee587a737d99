"""Abundances of known endmembers."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from swath.engine.graph.context import Context
from swath.engine.graph.independence import Independence
from swath.engine.graph.node import Node
from swath.engine.graph.ports import Port, ports
from swath.engine.hparams import number, whole
from swath.engine.ops import unmixing


class NNLSUnmixing(Node):
    """Abundances ``a >= 0`` of each pixel with the least ``|E^T a - x|``; they need not sum to 1.

    Exact: an active-set method that works on all pixels at once.

    Source: D. C. Heinz, C.-I. Chang, "Fully constrained least squares linear spectral mixture analysis method for
    material quantification in hyperspectral imagery", IEEE Transactions on Geoscience and Remote Sensing 39(3), 2001;
    this is its non-negative part.

    Args:
        max_iter: Most steps for a pixel; some two an endmember are enough.
        tol: How far the residual may stay above the least one, as a share of the pixel's norm.
        min_total: Pixels with abundances of a lower sum are class 0.
    """

    category = "model"
    tags = ("hyperspectral", "torch")
    independence = Independence.PIXEL
    inputs = ports(
        cube=Port(torch.float32, (-1, -1, -1, -1), description="Cube [B, H, W, C]"),
        endmembers=Port(torch.float32, (-1, -1), description="Spectra of the materials [K, C]", common=True),
    )
    outputs = ports(
        abundances=Port(torch.float32, (-1, -1, -1, -1), description="Abundances [B, H, W, K]"),
        scores=Port(torch.float32, (-1, -1, -1, 1), description="Residual norm [B, H, W, 1]"),
        class_mask=Port(
            torch.int32, (-1, -1, -1), invalid=0, description="Most abundant endmember, from 1; 0 none [B, H, W]"
        ),
    )

    def __init__(self, max_iter: int = 500, tol: float = 1e-6, min_total: float = 0.0) -> None:
        super().__init__()
        self.max_steps = whole("max_iter", max_iter, at_least=1)
        self.tolerance = number("tol", tol, at_least=0)
        self.min_total = number("min_total", min_total)

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        cube: Tensor = inputs["cube"]
        endmembers: Tensor = inputs["endmembers"]
        if endmembers.shape[0] == 0 or endmembers.shape[1] != cube.shape[-1]:
            raise self.refuse("endmembers", f"spectra [K,{cube.shape[-1]}], at least one", endmembers)
        abundances, residual = unmixing.unmix(cube, endmembers, max_steps=self.max_steps, tolerance=self.tolerance)
        return {
            "abundances": abundances,
            "scores": residual,
            "class_mask": unmixing.dominant(abundances, self.min_total),
        }
