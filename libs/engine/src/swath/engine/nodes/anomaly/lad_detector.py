"""Laplacian anomaly detector: how far a spectrum is from being smooth over a graph of the bands.

Source: F. Verdoja, M. Grangetto, "Graph Laplacian for image anomaly detection", Machine Vision and Applications 31,
2020.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from swath.engine.graph.context import Context
from swath.engine.graph.independence import Independence
from swath.engine.graph.ports import Port, ports
from swath.engine.hparams import channels, number
from swath.engine.mixins.moments_fit import MomentsFit
from swath.engine.ops.quadratic import QuadraticForm
from swath.engine.ops.statistics import Moments


class LADGlobal(MomentsFit):
    """``(x - M)^T L (x - M)``, with the mean spectrum M and the Laplacian L of a graph of the bands.

    Bands i and j are joined by the Cauchy weight ``A_ij = 1 / (1 + ((M_i - M_j) / a)^2)``, where a is the mean of M,
    and ``A_ii = 0``. With the degrees ``D_ii = sum_j A_ij`` the Laplacian is ``D - A``, or ``D^-1/2 (D - A) D^-1/2``.

    Args:
        num_channels: Bands C of the data.
        eps: Least magnitude of the mean a that is divided by.
        normalize_laplacian: Whether the Laplacian is the symmetrically normalised one.
        use_numpy_laplacian: Has no effect: there is one Laplacian, in float64. Documents carry it.
    """

    category = "model"
    tags = ("hyperspectral", "anomaly", "learnable", "torch")
    independence = Independence.PIXEL
    inputs = ports(data=Port(torch.float32, (-1, -1, -1, "num_channels"), description="Cube [B, H, W, C]"))
    outputs = ports(
        scores=Port(torch.float32, (-1, -1, -1, 1), description="Roughness of each pixel's spectrum [B, H, W, 1]")
    )
    trainable_buffers = ("M", "L")
    fit_min_rows = 1

    M: Tensor
    L: Tensor

    def __init__(
        self,
        num_channels: int,
        eps: float = 1e-8,
        normalize_laplacian: bool = True,
        use_numpy_laplacian: bool = True,
    ) -> None:
        super().__init__()
        self.num_channels = channels("num_channels", num_channels)
        self.eps = number("eps", eps, above=0)
        self.normalized = bool(normalize_laplacian)
        self.register_buffer("M", torch.zeros(self.num_channels, dtype=torch.float64))
        self.register_buffer("L", torch.zeros(self.num_channels, self.num_channels, dtype=torch.float64))
        self._form = QuadraticForm()

    def learn(self, moments: Moments) -> None:
        self.M.copy_(moments.mean)
        self.L.copy_(self._laplacian(moments.mean))

    def _laplacian(self, mean: Tensor) -> Tensor:
        scale = mean.mean().abs().clamp_min(self.eps)
        weights = 1 / (1 + ((mean[:, None] - mean) / scale).square())
        weights.fill_diagonal_(0)
        degrees = weights.sum(dim=1)
        laplacian = torch.diag(degrees) - weights
        if not self.normalized:
            return laplacian
        roots = torch.where(degrees > 0, degrees.rsqrt(), 0)
        return roots[:, None] * laplacian * roots

    def state_changed(self) -> None:
        self._form.reset()

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        self.require_fit()
        data: Tensor = inputs["data"]
        # Mixed precision would round differences that the bands have in common away.
        with torch.autocast(data.device.type, enabled=False):
            scores = self._form(data.reshape(-1, self.num_channels), self.M, self.L)
        return {"scores": scores.reshape(*data.shape[:-1], 1)}
