"""Colorimetry: from spectra to linear sRGB."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

# Wavelength in nm, the colour-matching functions of the 1931 observer (2 degrees) x, y and z, and the relative spectral
# power of daylight D65. Source: CIE 015:2004, tables 1 and 4.
# fmt: off
_CIE = np.array([
    (380, 0.0014, 0.0000, 0.0065, 49.9755),
    (385, 0.0022, 0.0001, 0.0105, 52.3118),
    (390, 0.0042, 0.0001, 0.0201, 54.6482),
    (395, 0.0076, 0.0002, 0.0362, 68.7015),
    (400, 0.0143, 0.0004, 0.0679, 82.7549),
    (405, 0.0232, 0.0006, 0.1102, 87.1204),
    (410, 0.0435, 0.0012, 0.2074, 91.486),
    (415, 0.0776, 0.0022, 0.3713, 92.4589),
    (420, 0.1344, 0.0040, 0.6456, 93.4318),
    (425, 0.2148, 0.0073, 1.0391, 90.057),
    (430, 0.2839, 0.0116, 1.3856, 86.6823),
    (435, 0.3285, 0.0168, 1.6230, 95.7736),
    (440, 0.3483, 0.0230, 1.7471, 104.865),
    (445, 0.3481, 0.0298, 1.7826, 110.936),
    (450, 0.3362, 0.0380, 1.7721, 117.008),
    (455, 0.3187, 0.0480, 1.7441, 117.41),
    (460, 0.2908, 0.0600, 1.6692, 117.812),
    (465, 0.2511, 0.0739, 1.5281, 116.336),
    (470, 0.1954, 0.0910, 1.2876, 114.861),
    (475, 0.1421, 0.1126, 1.0419, 115.392),
    (480, 0.0956, 0.1390, 0.8130, 115.923),
    (485, 0.0580, 0.1693, 0.6162, 112.367),
    (490, 0.0320, 0.2080, 0.4652, 108.811),
    (495, 0.0147, 0.2586, 0.3533, 109.082),
    (500, 0.0049, 0.3230, 0.2720, 109.354),
    (505, 0.0024, 0.4073, 0.2123, 108.578),
    (510, 0.0093, 0.5030, 0.1582, 107.802),
    (515, 0.0291, 0.6082, 0.1117, 106.296),
    (520, 0.0633, 0.7100, 0.0782, 104.79),
    (525, 0.1096, 0.7932, 0.0573, 106.239),
    (530, 0.1655, 0.8620, 0.0422, 107.689),
    (535, 0.2257, 0.9149, 0.0298, 106.047),
    (540, 0.2904, 0.9540, 0.0203, 104.405),
    (545, 0.3597, 0.9803, 0.0134, 104.225),
    (550, 0.4334, 0.9950, 0.0087, 104.046),
    (555, 0.5121, 1.0000, 0.0057, 102.023),
    (560, 0.5945, 0.9950, 0.0039, 100.0),
    (565, 0.6784, 0.9786, 0.0027, 98.1671),
    (570, 0.7621, 0.9520, 0.0021, 96.3342),
    (575, 0.8425, 0.9154, 0.0018, 96.0611),
    (580, 0.9163, 0.8700, 0.0017, 95.788),
    (585, 0.9786, 0.8163, 0.0014, 92.2368),
    (590, 1.0263, 0.7570, 0.0011, 88.6856),
    (595, 1.0567, 0.6949, 0.0010, 89.3459),
    (600, 1.0622, 0.6310, 0.0008, 90.0062),
    (605, 1.0456, 0.5668, 0.0006, 89.8026),
    (610, 1.0026, 0.5030, 0.0003, 89.5991),
    (615, 0.9384, 0.4412, 0.0002, 88.6489),
    (620, 0.8544, 0.3810, 0.0002, 87.6987),
    (625, 0.7514, 0.3210, 0.0001, 85.4936),
    (630, 0.6424, 0.2650, 0.0000, 83.2886),
    (635, 0.5419, 0.2170, 0.0000, 83.4939),
    (640, 0.4479, 0.1750, 0.0000, 83.6992),
    (645, 0.3608, 0.1382, 0.0000, 81.863),
    (650, 0.2835, 0.1070, 0.0000, 80.0268),
    (655, 0.2187, 0.0816, 0.0000, 80.1207),
    (660, 0.1649, 0.0610, 0.0000, 80.2146),
    (665, 0.1212, 0.0446, 0.0000, 81.2462),
    (670, 0.0874, 0.0320, 0.0000, 82.2778),
    (675, 0.0636, 0.0232, 0.0000, 80.281),
    (680, 0.0468, 0.0170, 0.0000, 78.2842),
    (685, 0.0329, 0.0119, 0.0000, 74.0027),
    (690, 0.0227, 0.0082, 0.0000, 69.7213),
    (695, 0.0158, 0.0057, 0.0000, 70.6652),
    (700, 0.0114, 0.0041, 0.0000, 71.6091),
    (705, 0.0081, 0.0029, 0.0000, 72.979),
    (710, 0.0058, 0.0021, 0.0000, 74.349),
    (715, 0.0041, 0.0015, 0.0000, 67.9765),
    (720, 0.0029, 0.0010, 0.0000, 61.604),
    (725, 0.0020, 0.0007, 0.0000, 65.7448),
    (730, 0.0014, 0.0005, 0.0000, 69.8856),
    (735, 0.0010, 0.0004, 0.0000, 72.4863),
    (740, 0.0007, 0.0002, 0.0000, 75.087),
    (745, 0.0005, 0.0002, 0.0000, 69.3398),
    (750, 0.0003, 0.0001, 0.0000, 63.5927),
    (755, 0.0002, 0.0001, 0.0000, 55.0054),
    (760, 0.0002, 0.0001, 0.0000, 46.4182),
    (765, 0.0001, 0.0000, 0.0000, 56.6118),
    (770, 0.0001, 0.0000, 0.0000, 66.8054),
    (775, 0.0001, 0.0000, 0.0000, 65.0941),
    (780, 0.0000, 0.0000, 0.0000, 63.3828),
])
# fmt: on
_GRID, _MATCHING, _D65 = _CIE[:, 0], _CIE[:, 1:4].T, _CIE[:, 4]

# XYZ to linear sRGB. Source: IEC 61966-2-1.
_TO_SRGB = np.array(
    [
        [3.2406255, -1.5372080, -0.4986286],
        [-0.9689307, 1.8757561, 0.0415175],
        [0.0557101, -0.2040211, 1.0569959],
    ]
)
# XYZ to responses of the cones. Source: K. M. Lam, "Metamerism and colour constancy", University of Bradford, 1985.
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])

_MIN_ADAPTABLE = 0.5


@dataclass(frozen=True)
class Rendering:
    """How the bands of a camera become linear sRGB.

    Attributes:
        weights: Weight of each band for red, green and blue, ``[3, C]``.
        visible: Bands that the eye sees.
        coverage: Share of the X, Y and Z of white daylight that the bands see; None under equal energy.
        adapted: Whether white and greys come out neutral; None under equal energy.
    """

    weights: Numbers
    visible: int
    coverage: list[float] | None = None
    adapted: bool | None = None


def rendering(wavelengths: Numbers, illuminant: str) -> Rendering:
    """Return how reflectance on a grid of bands is shown under an illuminant.

    Under ``D65`` a reflectance of 1 in every band is white, (1, 1, 1): the white that the bands see is adapted to that
    of sRGB (Bradford), unless they see less than half of its X, Y or Z; then only its Y is brought to 1. Under ``E``,
    equal energy, nothing is normalised.

    Args:
        wavelengths: Wavelength of each band, nm, ``[C]``, at least two, in any order.
        illuminant: ``D65`` or ``E``.
    """
    order = np.argsort(wavelengths, kind="stable")
    spacing = np.empty_like(wavelengths)
    spacing[order] = np.gradient(wavelengths[order])
    seen = np.stack([np.interp(wavelengths, _GRID, curve, left=0, right=0) for curve in _MATCHING])
    visible = int((seen.sum(axis=0) > 1e-6).sum())
    weights = seen * spacing
    if illuminant == "E":
        return Rendering(_TO_SRGB @ weights, visible)
    weights = weights * np.interp(wavelengths, _GRID, _D65)
    white = weights.sum(axis=1)
    coverage = white / (_MATCHING * _D65 * (_GRID[1] - _GRID[0])).sum(axis=1)
    adapted = bool(coverage.min() >= _MIN_ADAPTABLE)
    if adapted:
        target = np.linalg.solve(_TO_SRGB, np.ones(3))
        gain = (_BRADFORD @ target) / (_BRADFORD @ white)
        weights = np.linalg.solve(_BRADFORD, gain[:, None] * _BRADFORD) @ weights
    elif white[1] > 0:
        weights = weights / white[1]
    return Rendering(_TO_SRGB @ weights, visible, [round(float(share), 4) for share in coverage], adapted)
