"""Depths of absorption bands, freed of the continuum that they sit on.

Source: R. N. Clark, T. L. Roush, "Reflectance spectroscopy: Quantitative analysis techniques for remote sensing
applications", Journal of Geophysical Research 89(B7), 1984.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from swath.engine.graph.context import Context
from swath.engine.graph.independence import Independence
from swath.engine.graph.node import Node
from swath.engine.graph.ports import Port, ports
from swath.engine.hparams import number
from swath.engine.mixins.wavelengths import WAVELENGTHS, band_steps

_VALUES = 2**22
"""Values that are worked on at a time: bounds the memory of the index maps."""


class ContinuumRemoval(Node):
    """``x / max(hull, eps)``, the hull being the upper convex hull of each spectrum over its wavelengths.

    The result is 1 where the spectrum touches its hull and less in absorption bands.

    Args:
        eps: Least hull that is divided by, in units of the cube.
    """

    category = "transform"
    tags = ("hyperspectral", "preprocessing", "torch")
    independence = Independence.PIXEL
    inputs = ports(
        cube=Port(torch.float32, (-1, -1, -1, -1), description="Cube [B, H, W, C]"),
        wavelengths=WAVELENGTHS,
    )
    outputs = ports(cube=Port(torch.float32, (-1, -1, -1, -1), description="Cube without continuum [B, H, W, C]"))

    def __init__(self, eps: float = 1e-8) -> None:
        super().__init__()
        self.eps = number("eps", eps, above=0)

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        cube: Tensor = inputs["cube"]
        wavelengths: Tensor = inputs["wavelengths"]
        channels = cube.shape[-1]
        band_steps(self, wavelengths, channels)
        # Offsets from the first band: their differences are exact where large wavelengths would be rounded.
        places = (wavelengths.to(torch.float64) - wavelengths[:1]).abs().to(cube.dtype)
        chunks = cube.reshape(-1, channels).split(max(_VALUES // max(channels, 1), 1))
        removed = [chunk / _upper_hull(places, chunk).clamp_min(self.eps) for chunk in chunks]
        return {"cube": torch.cat(removed).reshape(cube.shape)}


def _upper_hull(places: Tensor, spectra: Tensor) -> Tensor:
    """Return the upper convex hull of spectra ``[N, C]`` at ascending places ``[C]``, as tall as they."""
    with torch.no_grad():
        left, right = _edges(places, spectra.detach())
    span = places[right] - places[left]
    share = (places - places[left]) / torch.where(span > 0, span, 1)
    low, high = spectra.gather(1, left), spectra.gather(1, right)
    return torch.lerp(low, high, share)


def _edges(places: Tensor, spectra: Tensor) -> tuple[Tensor, Tensor]:
    """Return the indices of the hull's vertices on both sides of each band, ``[N, C]`` each.

    Quickhull, all spectra at once: each edge gets the band farthest above it as a vertex until no band is above any.
    The passes over the data grow with the logarithm of the number of vertices.

    Source: W. F. Eddy, "A new convex hull algorithm for planar sets", ACM Transactions on Mathematical Software 3(4),
    1977.
    """
    count, channels = spectra.shape
    bands = torch.arange(channels, device=spectra.device).expand(count, channels)
    vertices = (bands == 0) | (bands == channels - 1)
    while True:
        left = torch.where(vertices, bands, 0).cummax(dim=1).values
        right = torch.where(vertices, bands, channels - 1).flip(1).cummin(dim=1).values.flip(1)
        low = spectra.gather(1, left)
        rise = (spectra - low) * (places[right] - places[left])
        height = rise - (spectra.gather(1, right) - low) * (places - places[left])
        height.masked_fill_(vertices, 0)
        highest = torch.zeros_like(height).scatter_reduce_(1, left, height, "amax")
        added = (height > 0) & (height == highest.gather(1, left))
        if not bool(added.any()):
            return left, right
        vertices |= added
