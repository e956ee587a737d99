"""Indices that are the normalised difference of two bands."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from swath.engine.nodes.channel_selector.indices import SpectralIndex


class _NormalisedDifference(SpectralIndex):
    """``(a - b) / (a + b)``; 0 where ``|a + b| <= eps``."""

    def index(self, *bands: Tensor) -> Tensor:
        first, second = bands
        total = first + second
        lit = total.abs() > self.eps
        # Both where: the division must not reach the gradient of dark pixels.
        return torch.where(lit, (first - second) / torch.where(lit, total, 1.0), 0.0)


class NDVISelector(_NormalisedDifference):
    """Normalised difference vegetation index, ``(nir - red) / (nir + red)``; 0 where ``|nir + red| <= eps``.

    Source: J. W. Rouse et al., "Monitoring vegetation systems in the Great Plains with ERTS", 1974.

    Args:
        nir_nm: Wavelength of the near-infrared band, nm.
        red_nm: Wavelength of the red band, nm.
        colormap_min: Index at the start of the colour map.
        colormap_max: Index at its end.
    """

    strategy = "ndvi"

    def __init__(
        self,
        nir_nm: float = 827.0,
        red_nm: float = 668.0,
        colormap_min: float = -0.7,
        colormap_max: float = 0.5,
        **rendering: Any,
    ) -> None:
        super().__init__(colormap_min=colormap_min, colormap_max=colormap_max, **rendering)


class NDWISelector(_NormalisedDifference):
    """Normalised difference water index, ``(green - nir) / (green + nir)``; 0 where ``|green + nir| <= eps``.

    Source: S. K. McFeeters, "The use of the normalized difference water index (NDWI) in the delineation of open water
    features", 1996.

    Args:
        green_nm: Wavelength of the green band, nm.
        nir_nm: Wavelength of the near-infrared band, nm.
    """

    strategy = "ndwi"

    def __init__(self, green_nm: float = 560.0, nir_nm: float = 860.0, **rendering: Any) -> None:
        super().__init__(**rendering)


class NBRSelector(_NormalisedDifference):
    """Normalised burn ratio, ``(nir - swir) / (nir + swir)``; 0 where ``|nir + swir| <= eps``.

    Source: C. H. Key, N. C. Benson, "Landscape assessment: ground measure of severity, the composite burn index", 2006.

    Args:
        nir_nm: Wavelength of the near-infrared band, nm.
        swir_nm: Wavelength of the short-wave infrared band, nm.
    """

    strategy = "nbr"

    def __init__(self, nir_nm: float = 850.0, swir_nm: float = 2200.0, **rendering: Any) -> None:
        super().__init__(**rendering)


class GNDVISelector(_NormalisedDifference):
    """Green normalised difference vegetation index, ``(nir - green) / (nir + green)``; 0 where the sum is at most eps.

    Source: A. A. Gitelson, Y. J. Kaufman, M. N. Merzlyak, "Use of a green channel in remote sensing of global
    vegetation from EOS-MODIS", 1996.

    Args:
        nir_nm: Wavelength of the near-infrared band, nm.
        green_nm: Wavelength of the green band, nm.
    """

    strategy = "gndvi"

    def __init__(self, nir_nm: float = 800.0, green_nm: float = 550.0, **rendering: Any) -> None:
        super().__init__(**rendering)


class NDRESelector(_NormalisedDifference):
    """Normalised difference red edge index, ``(nir - edge) / (nir + edge)``; 0 where the sum is at most eps.

    Source: E. M. Barnes et al., "Coincident detection of crop water stress, nitrogen status and canopy density using
    ground-based multispectral data", 2000.

    Args:
        nir_nm: Wavelength of the near-infrared band, nm.
        red_edge_nm: Wavelength of the band on the red edge, nm.
    """

    strategy = "ndre"

    def __init__(self, nir_nm: float = 800.0, red_edge_nm: float = 720.0, **rendering: Any) -> None:
        super().__init__(**rendering)


class PRISelector(SpectralIndex):
    """Photochemical reflectance index, ``(r531 - r570) / (r531 + r570)``.

    Source: J. A. Gamon, J. Peñuelas, C. B. Field, "A narrow-waveband spectral index that tracks diurnal changes in
    photosynthetic efficiency", 1992.

    Args:
        band1_nm: Wavelength that the xanthophyll cycle changes, nm.
        band2_nm: Wavelength of reference, nm.
    """

    strategy = "pri"

    def __init__(self, band1_nm: float = 531.0, band2_nm: float = 570.0, **rendering: Any) -> None:
        super().__init__(**rendering)

    def index(self, *bands: Tensor) -> Tensor:
        first, second = bands
        return self.ratio(first - second, first + second)
