"""Principal components: the directions in which spectra vary most.

Source: K. Pearson, "On lines and planes of closest fit to systems of points in space", Philosophical Magazine 2(11),
1901.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from swath.engine.graph.context import Context
from swath.engine.graph.independence import Independence
from swath.engine.graph.invalid import Invalid
from swath.engine.graph.node import Node
from swath.engine.graph.ports import Port, ports
from swath.engine.hparams import channels, choice, number
from swath.engine.mixins.moments_fit import MomentsFit
from swath.engine.ops.statistics import Moments, principal_components

_TAGS = ("hyperspectral", "dim_reduction", "preprocessing", "torch")
_CUBE = Port(torch.float32, (-1, -1, -1, -1), description="Cube [B, H, W, C]")
_OUTPUTS = ports(
    projected=Port(torch.float32, (-1, -1, -1, "n_components"), description="Coordinates [B, H, W, N]"),
    explained_variance_ratio=Port(
        torch.float32, ("n_components",), optional=True, description="Share of the variance along each direction [N]"
    ),
    components=Port(torch.float32, ("n_components", -1), optional=True, description="Directions, one a row [N, C]"),
)


class PCA(Node):
    """Coordinates of each pixel along the principal components of its own image.

    Components are the eigenvectors of the image's covariance (n - 1), in the order of their variances; the entry of
    largest magnitude of each is positive. Components and shares of the variance are those of the last image.

    Args:
        n_components: Number N of components, at most the channels.
        eps: Least total variance that is divided by.
    """

    category = "transform"
    tags = _TAGS
    invalid = Invalid.FRAMES
    inputs = ports(data=_CUBE)
    outputs = _OUTPUTS

    def __init__(self, n_components: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.n_components = channels("n_components", n_components)
        self.eps = number("eps", eps, above=0)

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        data: Tensor = inputs["data"]
        frames, height, width, width_of_pixel = data.shape
        if width_of_pixel < self.n_components or height * width < 2:
            raise self.refuse("data", f"at least {self.n_components} channels and 2 pixels", data)
        rows = data.flatten(1, 2).to(torch.float64)
        centred = rows - rows.mean(dim=1, keepdim=True)
        covariance = centred.mT @ centred / (height * width - 1)
        variances, directions = principal_components(covariance, self.n_components)
        projected = (centred @ directions.mT).to(data.dtype)
        outputs = {"projected": projected.reshape(frames, height, width, self.n_components)}
        if frames:
            total = covariance[-1].trace().clamp_min(self.eps)
            outputs["explained_variance_ratio"] = (variances[-1] / total).to(data.dtype)
            outputs["components"] = directions[-1].to(data.dtype)
        return outputs


class TrainablePCA(MomentsFit):
    """Coordinates ``y = (x - mean) C^T`` along directions C, learnt from all training pixels and trained on if wanted.

    The fit takes the eigenvectors of the covariance (n - 1) of largest variance, or random orthonormal directions. The
    entry of largest magnitude of each eigenvector is positive.

    Args:
        num_channels: Channels C of the data.
        n_components: Number N of directions, at most the channels.
        whiten: Whether coordinates are divided by ``sqrt(variance + eps)``.
        init_method: ``svd`` for eigenvectors, ``random`` for directions that are only a start for training.
        eps: Added to the variance when whitening; least total variance that is divided by.
    """

    category = "model"
    tags = (*_TAGS, "learnable")
    independence = Independence.PIXEL
    inputs = ports(data=Port(torch.float32, (-1, -1, -1, "num_channels"), description="Cube [B, H, W, C]"))
    outputs = ports(
        _OUTPUTS,
        explained_variance_ratio=replace(_OUTPUTS["explained_variance_ratio"], common=True),
        components=replace(_OUTPUTS["components"], common=True),
    )
    trainable_buffers = ("_components",)
    fit_covariance = True
    # The reference package does not keep it, and takes the share of what the components explain together instead.
    optional_state = ("_total_variance",)
    blank_state = frozenset({"_total_variance"})

    _mean: Tensor
    _explained_variance: Tensor
    _components: Tensor
    _total_variance: Tensor

    def __init__(
        self,
        num_channels: int,
        n_components: int,
        whiten: bool = False,
        init_method: str = "svd",
        eps: float = 1e-6,
    ) -> None:
        super().__init__()
        self.num_channels = channels("num_channels", num_channels)
        self.n_components = channels("n_components", n_components)
        if self.n_components > self.num_channels:
            raise ValueError(f"n_components {n_components} is more than the {num_channels} channels")
        self.whiten = bool(whiten)
        self.random = choice("init_method", init_method, ("svd", "random")) == "random"
        self.eps = number("eps", eps, above=0)
        self.register_buffer("_mean", torch.zeros(self.num_channels))
        self.register_buffer("_explained_variance", torch.zeros(self.n_components))
        self.register_buffer("_components", torch.zeros(self.n_components, self.num_channels))
        self.register_buffer("_total_variance", torch.tensor(torch.nan))

    def learn(self, moments: Moments) -> None:
        covariance = moments.covariance
        variances, directions = principal_components(covariance, self.n_components)
        if self.random:
            directions = self._random_directions().to(covariance)
            variances = ((directions @ covariance) * directions).sum(dim=1)
        self._mean.copy_(moments.mean)
        self._components.copy_(directions)
        self._explained_variance.copy_(variances)
        self._total_variance.copy_(covariance.trace())

    def _random_directions(self) -> Tensor:
        """Return orthonormal rows, the same at every fit and on every machine."""
        generator = torch.Generator().manual_seed(0)
        matrix = torch.randn(self.num_channels, self.n_components, generator=generator, dtype=torch.float64)
        return torch.linalg.qr(matrix).Q.T

    def restore(self, state: Mapping[str, Tensor]) -> None:
        if state:
            self._total_variance.fill_(torch.nan)
        super().restore(state)

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        self.require_fit()
        data: Tensor = inputs["data"]
        projected = (data - self._mean) @ self._components.T
        variances = self._explained_variance
        if self.whiten:
            projected = projected * (variances + self.eps).rsqrt()
        total = torch.where(self._total_variance.isnan(), variances.sum(), self._total_variance)
        return {
            "projected": projected,
            "explained_variance_ratio": variances / total.clamp_min(self.eps),
            "components": self._components,
        }
