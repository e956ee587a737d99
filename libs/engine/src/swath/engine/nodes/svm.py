"""Support vector machines.

Source: B. Schoelkopf, J. C. Platt, J. Shawe-Taylor, A. J. Smola, R. C. Williamson, "Estimating the support of a
high-dimensional distribution", Neural Computation 13(7), 2001.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from swath.engine.graph.context import Context
from swath.engine.graph.independence import Independence
from swath.engine.graph.ports import Port, ports
from swath.engine.hparams import choice, number, whole
from swath.engine.mixins.pixel_fit import PixelFit, Pixels, sizes

_VALUES = 2**24
"""Kernel values that are held at a time: 128 MiB in float64."""


class OneClassSVMDetector(PixelFit):
    """Decision function ``sum_i c_i exp(-gamma |x - s_i|^2) - offset`` of a one-class support vector machine.

    Pixels of a negative value lie outside of what scikit-learn has learnt as normal.

    Args:
        kernel: ``rbf``.
        nu: Largest share of training pixels outside, and smallest share that become support vectors; above 0, up to 1.
        gamma: Width of the kernel; ``scale`` is 1 over the channels times the variance of all values, ``auto`` is 1
            over the channels.
        chunk_size: Most pixels that are computed at a time; fewer where there are many support vectors.
        max_fit_pixels: Most pixels that the fit looks at; all when 0.
        fit_seed: Seed of the choice among more.
    """

    category = "model"
    tags = ("hyperspectral", "anomaly", "stateful", "torch")
    independence = Independence.PIXEL
    inputs = ports(cube=Port(torch.float32, (-1, -1, -1, -1), description="Cube [B, H, W, C]"))
    outputs = ports(
        scores=Port(torch.float32, (-1, -1, -1, 1), description="Decision function [B, H, W, 1]"),
        decisions=Port(torch.bool, (-1, -1, -1, 1), description="Pixels of a negative one [B, H, W, 1]"),
    )
    statistics = sizes(support_vectors=("S", "C"), dual_coef=("S",), gamma_buf=(1,), offset_buf=(1,))
    # Thousands of coefficients sum up to nearly the offset.
    precision = torch.float64

    support_vectors: Tensor
    dual_coef: Tensor
    gamma_buf: Tensor
    offset_buf: Tensor

    def __init__(
        self,
        kernel: str = "rbf",
        nu: float = 0.5,
        gamma: str | float = "scale",
        chunk_size: int = 65_536,
        max_fit_pixels: int = 20_000,
        fit_seed: int = 0,
    ) -> None:
        super().__init__(max_fit_pixels, fit_seed)
        choice("kernel", kernel, ("rbf",))
        self.nu = number("nu", nu, above=0)
        if self.nu > 1:
            raise ValueError(f"nu must be at most 1, got {nu!r}")
        self.gamma: str | float = (
            choice("gamma", gamma, ("scale", "auto")) if isinstance(gamma, str) else number("gamma", gamma, above=0)
        )
        self.chunk = whole("chunk_size", chunk_size, at_least=1)

    def learn(self, pixels: Pixels) -> dict[str, Tensor]:
        from sklearn.svm import OneClassSVM  # slow to import, and only fits need it

        gamma = self._width(pixels)
        model = self.estimate(OneClassSVM, pixels, kernel="rbf", nu=self.nu, gamma=gamma)
        return {
            "support_vectors": torch.from_numpy(model.support_vectors_),
            "dual_coef": torch.from_numpy(model.dual_coef_.ravel()),
            "gamma_buf": torch.tensor([gamma]),
            "offset_buf": torch.from_numpy(model.offset_),
        }

    def _width(self, pixels: Pixels) -> float:
        if isinstance(self.gamma, float):
            return self.gamma
        if self.gamma == "auto":
            return 1 / pixels.shape[1]
        variance = float(pixels.var(dtype="float64"))
        return 1 / (pixels.shape[1] * variance) if variance > 0 else 1.0

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        self.require_fit()
        cube: Tensor = inputs["cube"]
        self.require_channels(cube, self.support_vectors.shape[1])
        rows = cube.reshape(-1, cube.shape[-1])
        chunk = min(self.chunk, max(_VALUES // self.support_vectors.shape[0], 1))
        values = torch.cat([self._decide(part.to(torch.float64)) for part in rows.split(chunk)])
        scores = values.to(cube.dtype).reshape(*cube.shape[:3], 1)
        return {"scores": scores, "decisions": (values < 0).reshape(scores.shape)}

    def _decide(self, rows: Tensor) -> Tensor:
        # In float64 and from the vectors' own centre: expanded squares cancel where spectra are alike and far from
        # zero, and a narrow kernel blows up what is left.
        centre = self.support_vectors.mean(dim=0)
        rows, vectors = rows - centre, self.support_vectors - centre
        lengths = rows.square().sum(dim=1, keepdim=True) + vectors.square().sum(dim=1)
        squares = torch.addmm(lengths, rows, vectors.T, alpha=-2)
        return (squares * -self.gamma_buf).exp() @ self.dual_coef - self.offset_buf
