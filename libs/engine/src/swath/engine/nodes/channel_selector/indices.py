"""Spectral indices: numbers that a few bands give, and their pictures."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from swath.engine.draw.colours import hue
from swath.engine.graph.context import Context
from swath.engine.graph.independence import Independence
from swath.engine.graph.invalid import Invalid
from swath.engine.graph.node import Node
from swath.engine.graph.ports import Port, ports
from swath.engine.hparams import number
from swath.engine.nodes.channel_selector.base import BOUNDS, INPUTS, NORMALISATION, OUTPUTS, TAGS, at
from swath.engine.ops.spectra import nearest_band
from swath.engine.ops.validity import mark, valid_pixels

log = logging.getLogger(__name__)


class SpectralIndex(Node):
    """An index of the bands nearest to some wavelengths.

    The wavelengths are the arguments whose names end in ``_nm``, in their order. The picture shows the index as a hue
    from red at `colormap_min` over green and blue back to red at `colormap_max`.

    Args:
        colormap_min: Index at the start of the colour map.
        colormap_max: Index at its end.
        eps: Least size of what is divided by.
        band_tolerance_nm: Distance of a band from its wavelength above which it is warned of, nm; 0 for any distance.

    Attributes:
        strategy: Name of the index in `band_info`.
    """

    category = "transform"
    tags = TAGS
    invalid = Invalid.PASSED
    independence = Independence.PIXEL
    inputs = INPUTS
    outputs = ports(
        OUTPUTS,
        rgb_image=Port(torch.float32, (-1, -1, -1, 3), description="Index as colour [B, H, W, 3], 0..1"),
        index_image=Port(torch.float32, (-1, -1, -1, 1), description="Index [B, H, W, 1]"),
    )
    # Written by older versions of the reference package, which derive or ignore them.
    legacy_hparams = NORMALISATION | {"primary_nm", "secondary_nm"}
    legacy_state = BOUNDS
    strategy: ClassVar[str]

    def __init__(
        self,
        colormap_min: float = -1.0,
        colormap_max: float = 1.0,
        eps: float = 1e-6,
        band_tolerance_nm: float = 50.0,
    ) -> None:
        super().__init__()
        self.low = number("colormap_min", colormap_min)
        self.high = number("colormap_max", colormap_max, above=self.low)
        self.eps = number("eps", eps, at_least=0)
        self.makes_invalid = self.eps == 0
        self.tolerance = number("band_tolerance_nm", band_tolerance_nm)
        self.targets = {
            key.removesuffix("_nm"): number(key, value, above=0)
            for key, value in self.hparams.items()
            if key.endswith("_nm") and key != "band_tolerance_nm"
        }
        self._warned = False

    @abstractmethod
    def index(self, *bands: Tensor) -> Tensor:
        """Return the index, shaped as each of the bands, which come in the order of the arguments."""
        raise NotImplementedError

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        cube: Tensor = inputs["cube"]
        wavelengths: Tensor = inputs["wavelengths"]
        if wavelengths.shape[0] != cube.shape[-1]:
            raise self.refuse("wavelengths", f"{cube.shape[-1]} numbers, one per channel of the cube", wavelengths)
        wanted = list(self.targets.values())
        bands = [nearest_band(wavelengths, target) for target in wanted]
        found = at(wavelengths, bands)
        self._warn_of_distant(wanted, found)
        read = cube[..., bands]
        valid = None if context.valid is None else valid_pixels(read)
        index = mark(self.index(*read.split(1, dim=-1)), valid)
        return {
            "rgb_image": mark(hue((index - self.low) / (self.high - self.low)), valid),
            "band_info": {
                "strategy": self.strategy,
                "band_labels": list(self.targets),
                "band_indices": bands,
                "requested_wavelengths_nm": wanted,
                "resolved_wavelengths_nm": found,
                "rendering": "hsv_colormap",
                "colormap": "hsv",
                "colormap_min": self.low,
                "colormap_max": self.high,
            },
            "index_image": index,
        }

    def ratio(self, above: Tensor, below: Tensor) -> Tensor:
        """Divide; a divisor of at most `eps` in size becomes `eps`."""
        return above / torch.where(below.abs() > self.eps, below, self.eps)

    def _warn_of_distant(self, wanted: Sequence[float], found: Sequence[float]) -> None:
        if self._warned or self.tolerance <= 0:
            return
        for label, target, nearest in zip(self.targets, wanted, found, strict=True):
            if abs(nearest - target) > self.tolerance:
                self._warned = True
                log.warning(
                    "Node '%s': the band nearest to %s at %g nm is at %g nm, more than %g nm away; the index may mean "
                    "nothing on this camera",
                    self.name,
                    label,
                    target,
                    nearest,
                    self.tolerance,
                )
