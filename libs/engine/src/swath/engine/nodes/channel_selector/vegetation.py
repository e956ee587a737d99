"""Indices of vegetation that weigh their bands; those with constants want reflectance of 0..1."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from swath.engine.hparams import number
from swath.engine.nodes.channel_selector.indices import SpectralIndex


class EVISelector(SpectralIndex):
    """Enhanced vegetation index, ``2.5 (nir - red) / (nir + 6 red - 7.5 blue + 1)``, of reflectance 0..1.

    Source: A. Huete et al., "Overview of the radiometric and biophysical performance of the MODIS vegetation indices",
    2002.

    Args:
        blue_nm: Wavelength of the blue band, nm.
        red_nm: Wavelength of the red band, nm.
        nir_nm: Wavelength of the near-infrared band, nm.
    """

    strategy = "evi"

    def __init__(self, blue_nm: float = 460.0, red_nm: float = 660.0, nir_nm: float = 800.0, **rendering: Any) -> None:
        super().__init__(**rendering)

    def index(self, *bands: Tensor) -> Tensor:
        blue, red, nir = bands
        return 2.5 * self.ratio(nir - red, nir + 6 * red - 7.5 * blue + 1)


class EVI2Selector(SpectralIndex):
    """Enhanced vegetation index of two bands, ``2.5 (nir - red) / (nir + 2.4 red + 1)``, of reflectance 0..1.

    Source: Z. Jiang et al., "Development of a two-band enhanced vegetation index without a blue band", 2008.

    Args:
        red_nm: Wavelength of the red band, nm.
        nir_nm: Wavelength of the near-infrared band, nm.
    """

    strategy = "evi2"

    def __init__(self, red_nm: float = 660.0, nir_nm: float = 800.0, **rendering: Any) -> None:
        super().__init__(**rendering)

    def index(self, *bands: Tensor) -> Tensor:
        red, nir = bands
        return 2.5 * self.ratio(nir - red, nir + 2.4 * red + 1)


class SAVISelector(SpectralIndex):
    """Soil adjusted vegetation index, ``(1 + L)(nir - red) / (nir + red + L)``, of reflectance 0..1.

    Source: A. R. Huete, "A soil-adjusted vegetation index (SAVI)", 1988.

    Args:
        red_nm: Wavelength of the red band, nm.
        nir_nm: Wavelength of the near-infrared band, nm.
        soil_factor: L: 0 for dense vegetation, 1 for none.
    """

    strategy = "savi"

    def __init__(
        self, red_nm: float = 660.0, nir_nm: float = 800.0, soil_factor: float = 0.5, **rendering: Any
    ) -> None:
        super().__init__(**rendering)
        self.soil = number("soil_factor", soil_factor)

    def index(self, *bands: Tensor) -> Tensor:
        red, nir = bands
        return (1 + self.soil) * self.ratio(nir - red, nir + red + self.soil)


class MSAVISelector(SpectralIndex):
    """Modified soil adjusted vegetation index, of reflectance 0..1.

    ``(2 nir + 1 - sqrt((2 nir + 1)^2 - 8 (nir - red))) / 2``, with a root of 0 where there is none.

    Source: J. Qi et al., "A modified soil adjusted vegetation index", 1994.

    Args:
        red_nm: Wavelength of the red band, nm.
        nir_nm: Wavelength of the near-infrared band, nm.
    """

    strategy = "msavi"

    def __init__(self, red_nm: float = 660.0, nir_nm: float = 800.0, **rendering: Any) -> None:
        super().__init__(**rendering)

    def index(self, *bands: Tensor) -> Tensor:
        red, nir = bands
        term = 2 * nir + 1
        square = term.square() - 8 * (nir - red)
        real = square > 0
        root = torch.where(real, torch.where(real, square, 1.0).sqrt(), 0.0)
        # The difference of the two loses its digits where little grows; the same by their sum does not.
        steady = real & (term > 0)
        return torch.where(steady, 4 * (nir - red) / torch.where(steady, term + root, 1.0), (term - root) / 2)


class CIRedEdgeSelector(SpectralIndex):
    """Chlorophyll index of the red edge, ``nir / edge - 1``.

    Source: A. A. Gitelson, Y. Gritz, M. N. Merzlyak, "Relationships between leaf chlorophyll content and spectral
    reflectance", 2003.

    Args:
        red_edge_nm: Wavelength of the band on the red edge, nm.
        nir_nm: Wavelength of the near-infrared band, nm.
    """

    strategy = "ci_red_edge"

    def __init__(self, red_edge_nm: float = 720.0, nir_nm: float = 800.0, **rendering: Any) -> None:
        super().__init__(**rendering)

    def index(self, *bands: Tensor) -> Tensor:
        edge, nir = bands
        return self.ratio(nir, edge) - 1


class MCARISelector(SpectralIndex):
    """Modified chlorophyll absorption ratio index, ``((edge - red) - 0.2 (edge - green)) edge / red``.

    Source: C. S. T. Daughtry et al., "Estimating corn leaf chlorophyll concentration from leaf and canopy reflectance",
    2000.

    Args:
        green_nm: Wavelength of the green band, nm.
        red_nm: Wavelength of the red band, nm.
        red_edge_nm: Wavelength of the band on the red edge, nm.
    """

    strategy = "mcari"

    def __init__(
        self, green_nm: float = 550.0, red_nm: float = 670.0, red_edge_nm: float = 700.0, **rendering: Any
    ) -> None:
        super().__init__(**rendering)

    def index(self, *bands: Tensor) -> Tensor:
        green, red, edge = bands
        return ((edge - red) - 0.2 * (edge - green)) * self.ratio(edge, red)
