"""Spectral indices as numbers and as colours."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from swath.engine.checks import number
from swath.engine.context import Context
from swath.engine.node import Node
from swath.engine.ports import DICT, Port, ports
from swath.engine.spectra import WAVELENGTHS, nearest_band


class NDVISelector(Node):
    """Normalised difference vegetation index, ``(nir - red) / (nir + red)``, of the nearest bands.

    The index is 0 where ``|nir + red| <= eps``. The picture shows it as a hue from red at `colormap_min` over green and
    blue back to red at `colormap_max`.

    Args:
        nir_nm: Wavelength of the near-infrared band, nm.
        red_nm: Wavelength of the red band, nm.
        colormap_min: Index at the start of the colour map.
        colormap_max: Index at its end.
        eps: Least sum of the two bands that is divided by.
    """

    category = "transform"
    tags = ("hyperspectral", "dim_reduction", "preprocessing")
    inputs = ports(
        cube=Port(torch.float32, (-1, -1, -1, -1), description="Cube [B, H, W, C]"),
        wavelengths=WAVELENGTHS,
    )
    outputs = ports(
        rgb_image=Port(torch.float32, (-1, -1, -1, 3), description="Index as colour [B, H, W, 3], 0..1"),
        band_info=Port(DICT, description="Which bands were taken"),
        index_image=Port(torch.float32, (-1, -1, -1, 1), description="Index [B, H, W, 1]"),
    )
    # Written by older versions of the reference package, which derive or ignore them.
    legacy_hparams = frozenset(
        {
            "primary_nm",
            "secondary_nm",
            "band_tolerance_nm",
            "norm_mode",
            "apply_gamma",
            "freeze_running_bounds_after_frames",
            "running_warmup_frames",
            "normalize_output",
        }
    )

    def __init__(
        self,
        nir_nm: float = 827.0,
        red_nm: float = 668.0,
        colormap_min: float = -0.7,
        colormap_max: float = 0.5,
        eps: float = 1e-6,
    ) -> None:
        super().__init__()
        self.nir_nm = number("nir_nm", nir_nm, above=0)
        self.red_nm = number("red_nm", red_nm, above=0)
        self.low = number("colormap_min", colormap_min)
        self.high = number("colormap_max", colormap_max, above=self.low)
        self.eps = number("eps", eps, at_least=0)

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        cube: Tensor = inputs["cube"]
        wavelengths: Tensor = inputs["wavelengths"]
        if wavelengths.shape[0] != cube.shape[-1]:
            raise self.refuse("wavelengths", f"{cube.shape[-1]} numbers, one per channel of the cube", wavelengths)
        bands = [nearest_band(wavelengths, self.nir_nm), nearest_band(wavelengths, self.red_nm)]
        nir, red = cube[..., bands[0], None], cube[..., bands[1], None]
        total = nir + red
        index = torch.where(total.abs() > self.eps, (nir - red) / total, 0.0)
        return {
            "rgb_image": _hue((index - self.low) / (self.high - self.low)),
            "band_info": {
                "strategy": "ndvi",
                "band_labels": ["nir", "red"],
                "band_indices": bands,
                "requested_wavelengths_nm": [self.nir_nm, self.red_nm],
                "resolved_wavelengths_nm": [float(wavelengths[band]) for band in bands],
                "rendering": "hsv_colormap",
                "colormap": "hsv",
                "colormap_min": self.low,
                "colormap_max": self.high,
            },
            "index_image": index,
        }


def _hue(values: Tensor) -> Tensor:
    """Return RGB of full saturation and value, ``[..., 3]``, whose hue is a number of 0 to 1, ``[..., 1]``."""
    sixths = values.clamp(0, 1) * 6
    red = (sixths - 3).abs() - 1
    green = 2 - (sixths - 2).abs()
    blue = 2 - (sixths - 4).abs()
    return torch.cat([red, green, blue], dim=-1).clamp_(0, 1)
