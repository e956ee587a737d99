"""Channels weighed or picked."""

from __future__ import annotations

from tools.parity.cases.case import BANDS, WAVELENGTHS, Case, cube, each

_DATA = each(lambda shape, seed: {"data": cube(shape, seed=seed)})
_FIT = [{"data": cube((2, 9, 8), seed=seed)} for seed in (3, 4)]
_CUBES = each(lambda shape, seed: {"cube": cube(shape, seed=seed), "wavelengths": WAVELENGTHS})
_SELECTOR = "channel_selector.SoftChannelSelector"

CASES = [
    Case(_SELECTOR, _DATA, {"n_select": 3, "input_channels": BANDS}, _FIT),
    Case(_SELECTOR, _DATA, {"n_select": 5, "input_channels": BANDS, "init_method": "variance"}, _FIT),
    Case(_SELECTOR, _DATA, {"n_select": 5, "input_channels": BANDS, "init_method": "variance", "hard": True}, _FIT),
    Case("channel_selector.NDVISelector", _CUBES),
    Case("channel_selector.NDVISelector", _CUBES, {"nir_nm": 800.0, "red_nm": 650.0, "colormap_max": 0.9}),
]
