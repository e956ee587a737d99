"""Reed-Xiaoli detectors: how far a pixel's spectrum lies from the background, in Mahalanobis distance.

Source: I. S. Reed, X. Yu, "Adaptive multiple-band CFAR detection of an optical pattern with unknown spectral
distribution", IEEE Transactions on Acoustics, Speech, and Signal Processing 38(10), 1990.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from swath.engine.graph.context import Context
from swath.engine.graph.independence import Independence
from swath.engine.graph.invalid import Invalid
from swath.engine.graph.node import Node
from swath.engine.graph.ports import Port, ports
from swath.engine.hparams import channels, number
from swath.engine.mixins.moments_fit import MomentsFit
from swath.engine.ops.quadratic import QuadraticForm
from swath.engine.ops.statistics import Moments

_SCORES = Port(torch.float32, (-1, -1, -1, 1), description="Squared Mahalanobis distance of each pixel [B, H, W, 1]")
_TAGS = ("hyperspectral", "anomaly", "learnable")


class RXGlobal(MomentsFit):
    """Squared Mahalanobis distance of each pixel to one background, learnt from all training pixels.

    The statistics are kept in float64: with hundreds of correlated bands the inverse covariance spans more orders of
    magnitude than float32 resolves.

    Args:
        num_channels: Bands C of the data.
        eps: Added to the diagonal of the covariance S.
        cache_inverse: Whether to score by the inverse of S (pseudo-inverse, taken at fit time) or to solve with S.
    """

    category = "model"
    tags = _TAGS
    independence = Independence.PIXEL
    inputs = ports(data=Port(torch.float32, (-1, -1, -1, "num_channels"), description="Cube [B, H, W, C]"))
    outputs = ports(scores=_SCORES)
    trainable_buffers = ("mu", "cov", "cov_inv")
    fit_covariance = True

    mu: Tensor
    cov: Tensor
    cov_inv: Tensor

    def __init__(self, num_channels: int, eps: float = 1e-6, cache_inverse: bool = True) -> None:
        super().__init__()
        self.num_channels = channels("num_channels", num_channels)
        self.eps = number("eps", eps, at_least=0)
        self.cache_inverse = bool(cache_inverse)
        size = self.num_channels
        inverse_size = size if self.cache_inverse else 0
        self.register_buffer("mu", torch.zeros(size, dtype=torch.float64))
        self.register_buffer("cov", torch.zeros(size, size, dtype=torch.float64))
        self.register_buffer("cov_inv", torch.zeros(inverse_size, inverse_size, dtype=torch.float64))
        self._form = QuadraticForm()

    def learn(self, moments: Moments) -> None:
        covariance = moments.covariance
        covariance.diagonal().add_(self.eps)
        self.mu.copy_(moments.mean)
        self.cov.copy_(covariance)
        if self.cache_inverse:
            self.cov_inv.copy_(torch.linalg.pinv(covariance, hermitian=True))

    def state_changed(self) -> None:
        self._form.reset()

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        self.require_fit()
        data: Tensor = inputs["data"]
        # Mixed precision would round what the inverse covariance is about to amplify.
        with torch.autocast(data.device.type, enabled=False):
            scores = self._distances(data.reshape(-1, self.num_channels))
        return {"scores": scores.reshape(*data.shape[:-1], 1)}

    def _distances(self, rows: Tensor) -> Tensor:
        if not self.cache_inverse:
            centred = rows.to(self.mu.dtype) - self.mu
            return torch.linalg.vecdot(torch.linalg.solve(self.cov, centred.T).T, centred).to(rows.dtype)
        return self._form(rows, self.mu, self.cov_inv)


class RXPerBatch(Node):
    """Squared Mahalanobis distance of each pixel to the background of its own image.

    Args:
        eps: Added to the diagonal of the covariance.
    """

    category = "model"
    tags = _TAGS
    invalid = Invalid.FRAMES
    independence = Independence.FRAME
    inputs = ports(data=Port(torch.float32, (-1, -1, -1, -1), description="Cube [B, H, W, C]"))
    outputs = ports(scores=_SCORES)

    def __init__(self, eps: float = 1e-6) -> None:
        super().__init__()
        self.eps = number("eps", eps, at_least=0)

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        data: Tensor = inputs["data"]
        frames, height, width, channels = data.shape
        rows = data.reshape(frames, height * width, channels).to(torch.float64)
        centred = rows - rows.mean(dim=1, keepdim=True)
        covariance = centred.mT @ centred / max(height * width - 1, 1)
        covariance = covariance + self.eps * torch.eye(channels, dtype=rows.dtype, device=rows.device)
        solved = torch.linalg.solve(covariance, centred.mT)
        scores = (solved * centred.mT).sum(dim=1)
        return {"scores": scores.to(data.dtype).reshape(frames, height, width, 1)}
