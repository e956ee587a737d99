"""Clusters as a mixture of normal distributions.

Source: A. P. Dempster, N. M. Laird, D. B. Rubin, "Maximum likelihood from incomplete data via the EM algorithm",
Journal of the Royal Statistical Society B 39(1), 1977.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from swath.engine.graph.context import Context
from swath.engine.graph.independence import Independence
from swath.engine.graph.ports import Port, ports
from swath.engine.hparams import channels, choice, number, whole
from swath.engine.mixins.pixel_fit import MASKED_CUBE, PixelFit, Pixels, sizes

_ROWS = 16_384


class GaussianMixtureClusterer(PixelFit):
    """Gives each pixel the likeliest of K normal distributions, whose mixture scikit-learn has learnt.

    With weight w, mean m and covariance S of each, a component's share of a pixel is
    ``w N(x; m, S) / sum_k w_k N(x; m_k, S_k)``, and the score is the logarithm of the sum.

    Fitted in float64, and kept so: covariances of spectra span more orders of magnitude than float32 resolves.

    Args:
        n_components: Number of components K.
        covariance_type: ``full``, one covariance matrix each.
        reg_covar: Added to the diagonals of the covariances, in squared units of the cube.
        max_iter: Most iterations of the fit.
        n_init: How often the fit starts anew; the best result counts.
        random_state: Seed of the fit.
        max_fit_pixels: Most pixels that the fit looks at; all when 0.
        fit_seed: Seed of the choice among more.
    """

    category = "model"
    tags = ("hyperspectral", "classification", "stateful", "torch")
    independence = Independence.PIXEL
    inputs = MASKED_CUBE
    outputs = ports(
        class_mask=Port(
            torch.int32, (-1, -1, -1), invalid=-1, description="Likeliest component, from 0; -1 where invalid [B, H, W]"
        ),
        abundances=Port(torch.float32, (-1, -1, -1, -1), description="Share of each component [B, H, W, K]"),
        scores=Port(torch.float32, (-1, -1, -1, 1), description="Logarithm of the likelihood [B, H, W, 1]"),
    )
    statistics = sizes(
        means=("n_components", "C"), precisions_chol=("n_components", "C", "C"), weights=("n_components",)
    )
    precision = torch.float64

    means: Tensor
    precisions_chol: Tensor
    weights: Tensor

    def __init__(
        self,
        n_components: int = 3,
        covariance_type: str = "full",
        reg_covar: float = 1e-6,
        max_iter: int = 100,
        n_init: int = 1,
        random_state: int = 0,
        max_fit_pixels: int = 20_000,
        fit_seed: int = 0,
    ) -> None:
        super().__init__(max_fit_pixels, fit_seed)
        self.n_components = channels("n_components", n_components)
        choice("covariance_type", covariance_type, ("full",))
        self.regularisation = number("reg_covar", reg_covar, at_least=0)
        self.max_iter = whole("max_iter", max_iter, at_least=1)
        self.starts = whole("n_init", n_init, at_least=1)
        self.seed = whole("random_state", random_state, at_least=0)

    def min_pixels(self) -> int:
        return max(2, self.n_components)

    def learn(self, pixels: Pixels) -> dict[str, Tensor]:
        from sklearn.mixture import GaussianMixture  # slow to import, and only fits need it

        model = self.estimate(
            GaussianMixture,
            pixels.astype(np.float64),
            n_components=self.n_components,
            reg_covar=self.regularisation,
            max_iter=self.max_iter,
            n_init=self.starts,
            random_state=self.seed,
        )
        return {
            "means": torch.from_numpy(model.means_),
            "precisions_chol": torch.from_numpy(model.precisions_cholesky_),
            "weights": torch.from_numpy(model.weights_),
        }

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        self.require_fit()
        cube: Tensor = inputs["cube"]
        self.require_channels(cube, self.means.shape[1])
        # Mixed precision would round what the precisions are about to amplify.
        with torch.autocast(cube.device.type, enabled=False):
            likelihoods = self._log_likelihoods(cube.reshape(-1, cube.shape[-1]))
        total = likelihoods.logsumexp(dim=1, keepdim=True)
        shape = cube.shape[:3]
        return {
            "class_mask": likelihoods.argmax(dim=1).to(torch.int32).reshape(shape),
            "abundances": (likelihoods - total).exp().to(cube.dtype).reshape(*shape, -1),
            "scores": total.to(cube.dtype).reshape(*shape, 1),
        }

    def _log_likelihoods(self, rows: Tensor) -> Tensor:
        """Return the logarithm of weight times density of each component, ``[N, K]`` in float64."""
        # A few rows at a time: float64 of a whole cube is twice its memory, and a few stay in the cache.
        squares = [
            torch.stack(
                [
                    ((wide - mean) @ factor).square().sum(dim=1)
                    for mean, factor in zip(self.means, self.precisions_chol, strict=True)
                ],
                dim=1,
            )
            for wide in (part.to(torch.float64) for part in rows.split(_ROWS))
        ]
        volumes = self.precisions_chol.diagonal(dim1=1, dim2=2).log().sum(dim=1) + self.weights.log()
        constant = rows.shape[1] * math.log(2 * math.pi)
        return volumes - (torch.cat(squares) + constant) / 2
