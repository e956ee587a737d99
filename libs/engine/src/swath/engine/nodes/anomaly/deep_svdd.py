"""Deep SVDD: a network that gathers normal pixels around a centre, and the distance to it as the score.

Source: L. Ruff et al., "Deep One-Class Classification", ICML 2018.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from swath.engine.graph.context import Context
from swath.engine.graph.independence import Independence
from swath.engine.graph.invalid import Invalid
from swath.engine.graph.node import Node
from swath.engine.graph.ports import LEARNING, LIST, Port, Stage, ports
from swath.engine.graph.records import Measurement
from swath.engine.hparams import channels, choice, number, whole
from swath.engine.mixins.moments_fit import MomentsFit
from swath.engine.ops.statistics import Moments


class ZScoreNormalizerGlobal(MomentsFit):
    """``(x - mean) / (std + eps)`` per channel, with mean and standard deviation (n - 1) of all training pixels.

    Args:
        num_channels: Channels C of the data.
        eps: Added to the standard deviation at fit time.
    """

    category = "transform"
    tags = ("hyperspectral", "normalization", "preprocessing")
    independence = Independence.PIXEL
    inputs = ports(data=Port(torch.float32, (-1, -1, -1, "num_channels"), description="Cube [B, H, W, C]"))
    outputs = ports(
        normalized=Port(torch.float32, (-1, -1, -1, "num_channels"), description="Normalised cube [B, H, W, C]")
    )
    trainable_buffers = ("zscore_mean", "zscore_std")
    legacy_hparams = frozenset({"hidden"})

    zscore_mean: Tensor
    zscore_std: Tensor

    def __init__(self, num_channels: int, eps: float = 1e-8) -> None:
        super().__init__()
        self.num_channels = channels("num_channels", num_channels)
        self.eps = number("eps", eps, at_least=0)
        self.register_buffer("zscore_mean", torch.zeros(self.num_channels))
        self.register_buffer("zscore_std", torch.ones(self.num_channels))

    def learn(self, moments: Moments) -> None:
        self.zscore_mean.copy_(moments.mean)
        self.zscore_std.copy_(moments.variance.sqrt() + self.eps)

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        self.require_fit()
        data: Tensor = inputs["data"]
        centred = data - self.zscore_mean.to(data.dtype)
        return {"normalized": centred.div_(self.zscore_std.to(data.dtype))}


class DeepSVDDProjection(Node):
    """A network of two layers per pixel, ``relu(x W1 + b1) W2``, after random Fourier features where the kernel is rbf.

    Args:
        in_channels: Channels C of the data.
        rep_dim: Width D of the embedding.
        hidden: Width of the hidden layer.
        kernel: ``linear``, or ``rbf`` for random Fourier features first.
        n_rff: Number of those features.
        gamma: Width of the rbf kernel; 1 / in_channels when left out.
        mlp_forward_batch_size: Pixels that are computed at a time.
    """

    category = "model"
    tags = ("hyperspectral", "anomaly", "learnable", "inference", "torch")
    independence = Independence.PIXEL
    inputs = ports(
        data=Port(torch.float32, (-1, -1, -1, "in_channels"), description="Features of each pixel [B, H, W, C]")
    )
    outputs = ports(embeddings=Port(torch.float32, (-1, -1, -1, "rep_dim"), description="Embeddings [B, H, W, D]"))

    def __init__(
        self,
        in_channels: int,
        rep_dim: int = 32,
        hidden: int = 128,
        kernel: str = "linear",
        n_rff: int = 2048,
        gamma: float | None = None,
        mlp_forward_batch_size: int = 65_536,
    ) -> None:
        super().__init__()
        self.in_channels = channels("in_channels", in_channels)
        self.rep_dim = channels("rep_dim", rep_dim)
        hidden = channels("hidden", hidden)
        features = channels("n_rff", n_rff)
        width = 1 / self.in_channels if gamma is None else number("gamma", gamma, above=0)
        self.chunk = whole("mlp_forward_batch_size", mlp_forward_batch_size, at_least=1)
        self.net: torch.nn.Module
        if choice("kernel", kernel, ("linear", "rbf")) == "linear":
            self.net = _SpectralNet(self.in_channels, hidden, self.rep_dim)
        else:
            self.net = torch.nn.Sequential(
                _FourierFeatures(self.in_channels, features, width), _SpectralNet(features, hidden, self.rep_dim)
            )

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        data: Tensor = inputs["data"]
        rows = data.reshape(-1, self.in_channels)
        chunks = [self.net(chunk) for chunk in rows.split(self.chunk)]
        embeddings = chunks[0] if len(chunks) == 1 else torch.cat(chunks)
        # Under mixed precision the network answers in half precision, which the port does not give.
        return {"embeddings": embeddings.to(data.dtype).reshape(*data.shape[:-1], self.rep_dim)}


class DeepSVDDCenterTracker(MomentsFit):
    """The centre of the embeddings: their mean over the training data, then a moving average in stage train.

    Args:
        rep_dim: Width D of the embedding.
        alpha: Share of each batch's mean in the moving average.
        update_in_eval: Whether stages val and test move the centre too.
    """

    category = "transform"
    tags = ("anomaly", "stateful", "training", "inference", "torch")
    invalid = Invalid.SEEN
    independence = Independence.PIXEL
    inputs = ports(embeddings=Port(torch.float32, (-1, -1, -1, "rep_dim"), description="Embeddings [B, H, W, D]"))
    outputs = ports(
        center=Port(torch.float32, ("rep_dim",), description="Centre [D]", common=True),
        metrics=Port(LIST, optional=True, description="Norm of the centre, outside of inference"),
    )
    trainable_buffers = ("_tracked_center",)
    fit_port = "embeddings"
    fit_min_rows = 1
    fit_unit = "embedding"

    _tracked_center: Tensor

    def __init__(self, rep_dim: int, alpha: float = 0.1, update_in_eval: bool = False) -> None:
        super().__init__()
        self.rep_dim = channels("rep_dim", rep_dim)
        self.alpha = number("alpha", alpha, above=0)
        if self.alpha > 1:
            raise ValueError(f"alpha must be at most 1, got {alpha!r}")
        self.moving = LEARNING if update_in_eval else frozenset({Stage.TRAIN})
        self.register_buffer("_tracked_center", torch.zeros(self.rep_dim))

    def learn(self, moments: Moments) -> None:
        self._tracked_center.copy_(moments.mean)

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        self.require_fit()
        if context.stage in self.moving:
            self._move(inputs["embeddings"].detach(), context)
        # A copy: the loss keeps what it was computed from, and the next batch moves the centre in place.
        center = self._tracked_center.detach().clone()
        if context.stage is Stage.INFERENCE:
            return {"center": center}
        return {"center": center, "metrics": [Measurement("deepsvdd_center/norm", float(center.norm()))]}

    @torch.no_grad()
    def _move(self, embeddings: Tensor, context: Context) -> None:
        valid = context.valid_at(embeddings)
        if valid is None:
            self._tracked_center.lerp_(embeddings.mean(dim=(0, 1, 2)), self.alpha)
        elif bool(valid.any()):
            self._tracked_center.lerp_(embeddings[valid].mean(dim=0), self.alpha)


class DeepSVDDScores(Node):
    """Squared Euclidean distance of each embedding to the centre."""

    category = "model"
    tags = ("anomaly", "learnable", "inference", "torch")
    independence = Independence.PIXEL
    inputs = ports(
        embeddings=Port(torch.float32, (-1, -1, -1, -1), description="Embeddings [B, H, W, D]"),
        center=Port(torch.float32, (-1,), description="Centre [D]", common=True),
    )
    outputs = ports(scores=Port(torch.float32, (-1, -1, -1, 1), description="Squared distances [B, H, W, 1]"))

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        embeddings: Tensor = inputs["embeddings"]
        center: Tensor = inputs["center"]
        if center.shape[0] != embeddings.shape[-1]:
            raise self.refuse("center", f"{embeddings.shape[-1]} numbers, as wide as the embeddings", center)
        return {"scores": (embeddings - center).square().sum(dim=-1, keepdim=True)}


class _SpectralNet(torch.nn.Module):
    def __init__(self, width: int, hidden: int, rep_dim: int) -> None:
        super().__init__()
        self.fc1 = torch.nn.Linear(width, hidden)
        self.fc2 = torch.nn.Linear(hidden, rep_dim, bias=False)
        torch.nn.init.xavier_uniform_(self.fc2.weight)

    def forward(self, rows: Tensor) -> Tensor:
        return self.fc2(torch.relu(self.fc1(rows)))


class _FourierFeatures(torch.nn.Module):
    """``sqrt(2/n) cos(x W + b)``, which approximates an rbf kernel (A. Rahimi, B. Recht, NIPS 2007)."""

    W: Tensor
    b: Tensor
    z_scale: Tensor

    def __init__(self, width: int, features: int, gamma: float) -> None:
        super().__init__()
        self.register_buffer("W", torch.randn(width, features) * math.sqrt(2 * gamma))
        self.register_buffer("b", torch.rand(features) * (2 * math.pi))
        self.register_buffer("z_scale", torch.tensor(math.sqrt(2 / features)))

    def forward(self, rows: Tensor) -> Tensor:
        return self.z_scale * torch.cos(torch.addmm(self.b, rows, self.W))
