"""Abundances of endmembers that are learnt from the data.

Source: D. D. Lee, H. S. Seung, "Learning the parts of objects by non-negative matrix factorization", Nature 401, 1999.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from swath.engine.graph.context import Context
from swath.engine.graph.independence import Independence
from swath.engine.graph.ports import Port, ports
from swath.engine.hparams import channels, choice, whole
from swath.engine.mixins.pixel_fit import PixelFit, Pixels, sizes
from swath.engine.ops import unmixing

_INITS = ("random", "nndsvd", "nndsvda", "nndsvdar")
_LOSSES = ("frobenius", "kullback-leibler", "itakura-saito")
_STEPS = 2000
_TOLERANCE = 1e-6


class NMFUnmixing(PixelFit):
    """Learns K endmembers by non-negative matrix factorisation, then gives each pixel's abundances of them.

    The abundances are those of `NNLSUnmixing`: ``a >= 0`` with the least ``|E^T a - x|``.

    Args:
        n_components: Number of endmembers K.
        init: How scikit-learn's factorisation starts: ``random``, ``nndsvd``, ``nndsvda`` or ``nndsvdar``.
        beta_loss: What it minimises: ``frobenius``, ``kullback-leibler`` or ``itakura-saito``; the latter two by
            multiplicative updates, the first by coordinate descent.
        max_iter: Most iterations of the fit.
        random_state: Seed of the fit.
        max_fit_pixels: Most pixels that the fit looks at; all when 0.
        fit_seed: Seed of the choice among more.
    """

    category = "model"
    tags = ("hyperspectral", "stateful", "torch")
    independence = Independence.PIXEL
    inputs = ports(cube=Port(torch.float32, (-1, -1, -1, -1), description="Cube without negative values [B, H, W, C]"))
    outputs = ports(
        abundances=Port(torch.float32, (-1, -1, -1, -1), description="Abundances [B, H, W, K]"),
        endmembers=Port(torch.float32, (-1, -1), description="Learnt spectra [K, C]", common=True),
        scores=Port(torch.float32, (-1, -1, -1, 1), description="Residual norm [B, H, W, 1]"),
        class_mask=Port(
            torch.int32, (-1, -1, -1), invalid=0, description="Most abundant endmember, from 1; 0 none [B, H, W]"
        ),
    )
    statistics = sizes(endmembers_buf=("n_components", "C"))
    trainable_buffers = ("endmembers_buf",)

    endmembers_buf: Tensor

    def __init__(
        self,
        n_components: int = 3,
        init: str = "nndsvda",
        beta_loss: str = "frobenius",
        max_iter: int = 300,
        random_state: int = 0,
        max_fit_pixels: int = 20_000,
        fit_seed: int = 0,
    ) -> None:
        super().__init__(max_fit_pixels, fit_seed)
        self.n_components = channels("n_components", n_components)
        self.init = choice("init", init, _INITS)
        self.loss = choice("beta_loss", beta_loss, _LOSSES)
        self.max_iter = whole("max_iter", max_iter, at_least=1)
        self.seed = whole("random_state", random_state, at_least=0)

    def learn(self, pixels: Pixels) -> dict[str, Tensor]:
        from sklearn.decomposition import NMF  # slow to import, and only fits need it

        model = self.estimate(
            NMF,
            pixels,
            n_components=self.n_components,
            init=self.init,
            beta_loss=self.loss,
            solver="cd" if self.loss == "frobenius" else "mu",
            max_iter=self.max_iter,
            random_state=self.seed,
        )
        return {"endmembers_buf": torch.from_numpy(model.components_)}

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        self.require_fit()
        cube: Tensor = inputs["cube"]
        endmembers = self.endmembers_buf
        self.require_channels(cube, endmembers.shape[1])
        abundances, residual = unmixing.unmix(cube, endmembers, max_steps=_STEPS, tolerance=_TOLERANCE)
        return {
            "abundances": abundances,
            # A copy: whoever gets it must not change the node's own.
            "endmembers": endmembers.to(cube.dtype, copy=True),
            "scores": residual,
            "class_mask": unmixing.dominant(abundances),
        }
