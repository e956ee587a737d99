"""Smoothing and derivatives by local polynomials.

Source: A. Savitzky, M. J. E. Golay, "Smoothing and differentiation of data by simplified least squares procedures",
Analytical Chemistry 36(8), 1964.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from swath.engine.graph.context import Context
from swath.engine.graph.independence import Independence
from swath.engine.graph.node import Node
from swath.engine.graph.ports import Port, ports
from swath.engine.hparams import choice, number, whole
from swath.engine.mixins.wavelengths import WAVELENGTHS, band_steps

_PADDING = {"nearest": "replicate", "mirror": "reflect", "constant": "constant"}


class SavitzkyGolay(Node):
    """Fits a polynomial to a window of bands around each band, and gives its value or derivative there.

    The bands are taken as equally spaced. A derivative is per `delta`, or per nanometre where wavelengths are
    connected, whose median step is the spacing then; `SpectralDerivative` takes each step as it is.

    Args:
        window_length: Bands of the window; odd.
        polyorder: Order of the polynomial; below the window length.
        deriv: Order of the derivative; 0 smooths.
        delta: Spacing of the bands where no wavelengths are connected, nm.
        mode: What stands beyond the ends of a spectrum: ``nearest`` its end value, ``mirror`` its reflection, which
            does not repeat the end value, ``constant`` zeros.
    """

    category = "transform"
    tags = ("hyperspectral", "preprocessing", "torch")
    independence = Independence.PIXEL
    inputs = ports(
        cube=Port(torch.float32, (-1, -1, -1, -1), description="Cube [B, H, W, C]"),
        wavelengths=replace(WAVELENGTHS, optional=True),
    )
    outputs = ports(cube=Port(torch.float32, (-1, -1, -1, -1), description="Filtered cube [B, H, W, C]"))

    coefs: Tensor

    def __init__(
        self, window_length: int = 11, polyorder: int = 2, deriv: int = 0, delta: float = 1.0, mode: str = "nearest"
    ) -> None:
        from scipy.signal import savgol_coeffs  # slow to import

        super().__init__()
        self.window = whole("window_length", window_length, at_least=1)
        if self.window % 2 == 0:
            raise ValueError(f"window_length must be odd, got {window_length!r}")
        order = whole("polyorder", polyorder, at_least=0)
        if order >= self.window:
            raise ValueError(f"polyorder must be below window_length {self.window}, got {polyorder!r}")
        self.order = whole("deriv", deriv, at_least=0)
        self.delta = number("delta", delta, above=0)
        self.padding = _PADDING[choice("mode", mode, tuple(_PADDING))]
        weights = savgol_coeffs(self.window, order, deriv=self.order, delta=self.delta, use="dot")
        self.register_buffer("coefs", torch.tensor(weights, dtype=torch.float32).reshape(1, 1, -1))
        self._weights: list[float] | None = None

    def state_changed(self) -> None:
        self._weights = None

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        cube: Tensor = inputs["cube"]
        wavelengths: Tensor | None = inputs.get("wavelengths")
        channels = cube.shape[-1]
        half = self.window // 2
        least = half + 1 if self.padding == "reflect" else 1
        if channels < least:
            raise self.refuse("cube", f"at least {least} channels", cube)
        padded = torch.nn.functional.pad(cube.reshape(-1, 1, channels), (half, half), self.padding)
        if self._weights is None:
            self._weights = self.coefs.flatten().tolist()
        # Shifted sums rather than a convolution: several times faster for one channel in and out, and mixed precision
        # leaves them alone.
        filtered = padded[..., :channels] * self._weights[0]
        for offset, weight in enumerate(self._weights[1:], start=1):
            filtered.add_(padded[..., offset : offset + channels], alpha=weight)
        filtered = filtered.reshape(cube.shape)
        if self.order and wavelengths is not None and channels > 1:
            spacing = float(band_steps(self, wavelengths, channels).median())
            filtered = filtered * (self.delta / spacing) ** self.order
        return {"cube": filtered}
