"""Angles between spectra."""

from __future__ import annotations

from tools.parity.cases.case import BANDS, Case, cube, each

_CALLS = each(
    lambda shape, seed: {"cube": cube(shape, seed=seed), "spectral_signature": cube((4, 1, 1), seed=seed + 20)}
)

CASES = [
    Case("spectral_angle_mapper.SpectralAngleMapper", _CALLS),
    Case("spectral_angle_mapper.SpectralAngleMapper", _CALLS, {"num_channels": BANDS}),
]
