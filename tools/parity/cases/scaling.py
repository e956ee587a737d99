"""Common scales, and cubes made ready."""

from __future__ import annotations

import numpy as np

from tools.parity.cases.case import BANDS, WAVELENGTHS, Case, cube, each

_CALLS = each(lambda shape, seed: {"data": cube(shape, seed=seed)})
_FIT = [{"data": cube((2, 9, 8), seed=seed, scale=2)} for seed in (3, 4)]
_WITH_WAVELENGTHS = [{**inputs, "wavelengths": WAVELENGTHS} for inputs in _CALLS]


def _spoilt() -> np.ndarray:
    """Return a cube with pixels that are not finite, dark and saturated."""
    values = cube((2, 10, 12))
    values[0, 0, 0, 3], values[0, 1, 1, 5], values[0, 2], values[1, :6] = np.nan, np.inf, 0.0, 3.0
    return values


_VALIDITY = [{"cube": _spoilt(), "wavelengths": WAVELENGTHS}]

CASES = [
    Case("normalization.MinMaxNormalizer", _CALLS, {}, _FIT),
    Case("normalization.MinMaxNormalizer", _CALLS, {"max_initialization_frames": 3}, _FIT),
    Case("normalization.MinMaxNormalizer", _CALLS, {"use_running_stats": False}),
    Case("normalization.PerPixelUnitNorm", _CALLS),
    Case("preprocessors.BandpassByWavelength", _WITH_WAVELENGTHS, {"min_wavelength_nm": 700.0}),
    Case(
        "preprocessors.BandpassByWavelength",
        _WITH_WAVELENGTHS,
        {"min_wavelength_nm": 455.0, "max_wavelength_nm": 654.0},
    ),
    Case("preprocessors.SpectralValidity", _VALIDITY),
    Case(
        "preprocessors.SpectralValidity",
        _VALIDITY,
        {
            "n_features": BANDS,
            "expected_wavelengths": WAVELENGTHS.tolist(),
            "norm_floor": 2.0,
            "saturation_value": 1.3,
            "roi_margin_px": 100,
            "min_valid_fraction": 0.7,
        },
    ),
    Case("preprocessors.SpectralValidity", _VALIDITY, {"n_features": 60}),
]
