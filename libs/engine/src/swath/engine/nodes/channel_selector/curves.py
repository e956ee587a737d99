"""Pictures whose channels are weighed sums of many bands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from swath.engine.graph.context import Context
from swath.engine.graph.invalid import Invalid
from swath.engine.graph.node import Node
from swath.engine.graph.ports import Port, ports
from swath.engine.hparams import choice, number
from swath.engine.nodes.channel_selector.base import (
    BOUNDS,
    INPUTS,
    NORMALISATION,
    OUTPUTS,
    TAGS,
    ChannelSelectorBase,
    at,
    window,
    within,
)
from swath.engine.ops.colour.colorimetry import rendering
from swath.engine.ops.products import settled
from swath.engine.ops.validity import mark, valid_pixels

_ILLUMINANTS = ("D65", "E")
_Range = Sequence[float]


class RangeAverageFalseRGBSelector(ChannelSelectorBase):
    """The means of the bands within three ranges of wavelengths as red, green and blue; 0 where a range has no band.

    Args:
        red_range: Shortest and longest wavelength of red, nm.
        green_range: Those of green.
        blue_range: Those of blue.
    """

    # Written by the reference package; the arguments say the same.
    legacy_state = frozenset({"_ranges"})

    def __init__(
        self,
        red_range: _Range = (580.0, 650.0),
        green_range: _Range = (500.0, 580.0),
        blue_range: _Range = (420.0, 500.0),
        **normalisation: Any,
    ) -> None:
        super().__init__(**normalisation)
        self.ranges = _ranges(red_range, green_range, blue_range)

    def compose(self, cube: Tensor, wavelengths: Tensor) -> tuple[Tensor, dict[str, Any]]:
        means, info = _means(cube, wavelengths, self.ranges)
        return means, {"strategy": "range_average_false_rgb"} | info


class FastRGBSelector(Node):
    """The means of the bands within three ranges, scaled by each frame's mean, in 256 steps.

    ``round(mean of the bands * 128 strength / mean of the frame) / 255``; with a strength of at most 0.001 the factor
    is 255 / 10000, for reflectance in units of 0.01 %. A range without bands is 0.

    Args:
        red_range: Shortest and longest wavelength of red, nm.
        green_range: Those of green.
        blue_range: Those of blue.
        normalization_strength: Mean brightness that frames are brought to, in halves of the brightest.
    """

    category = "transform"
    tags = TAGS
    invalid = Invalid.PASSED
    inputs = INPUTS
    # Its factors are those of the frames, so that frames do not share it.
    outputs = ports(
        OUTPUTS,
        rgb_image=Port(torch.float32, (-1, -1, -1, 3), description="Picture of 0..1 [B, H, W, 3]"),
        band_info=replace(OUTPUTS["band_info"], common=False),
    )
    legacy_hparams = NORMALISATION
    legacy_state = BOUNDS | {"_ranges"}

    def __init__(
        self,
        red_range: _Range = (580.0, 650.0),
        green_range: _Range = (500.0, 580.0),
        blue_range: _Range = (420.0, 500.0),
        normalization_strength: float = 0.75,
    ) -> None:
        super().__init__()
        self.ranges = _ranges(red_range, green_range, blue_range)
        self.strength = number("normalization_strength", normalization_strength)

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        cube: Tensor = inputs["cube"]
        wavelengths: Tensor = inputs["wavelengths"]
        if wavelengths.shape[0] != cube.shape[-1]:
            raise self.refuse("wavelengths", f"{cube.shape[-1]} numbers, one per channel of the cube", wavelengths)
        means, info = _means(cube, wavelengths, self.ranges)
        factors = self._factors(means)
        steps = (means * factors.view(-1, 1, 1, 1)).round().clamp(0, 255).nan_to_num(nan=0.0)
        info |= {
            "strategy": "fast_rgb",
            "normalization_strength": self.strength,
            "applied_scale_factor": factors.tolist(),
        }
        valid = None if context.valid is None else valid_pixels(means)
        return {"rgb_image": mark(steps / 255, valid), "band_info": info}

    def _factors(self, means: Tensor) -> Tensor:
        if self.strength <= 1e-3:
            return means.new_full(means.shape[:1], 255 / 10_000)
        finite = means.isfinite()
        counted = finite.flatten(1).sum(dim=1).clamp_min(1)
        average = torch.where(finite, means, 0.0).to(torch.float64).flatten(1).sum(dim=1) / counted
        return torch.where(average > 1e-12, 128 * self.strength / average, 0.0).to(means.dtype)


class CameraEmulationFalseRGBSelector(ChannelSelectorBase):
    """Sums weighed by bell curves over wavelength, ``exp(-((l - peak) / sigma)^2 / 2)`` brought to a sum of 1.

    Args:
        r_peak: Wavelength that red is most sensitive to, nm.
        g_peak: That of green.
        b_peak: That of blue.
        r_sigma: Standard deviation of the curve of red, nm.
        g_sigma: That of green.
        b_sigma: That of blue.
    """

    def __init__(
        self,
        r_peak: float = 610.0,
        g_peak: float = 540.0,
        b_peak: float = 460.0,
        r_sigma: float = 40.0,
        g_sigma: float = 35.0,
        b_sigma: float = 30.0,
        **normalisation: Any,
    ) -> None:
        super().__init__(**normalisation)
        self.peaks = {"R": number("r_peak", r_peak), "G": number("g_peak", g_peak), "B": number("b_peak", b_peak)}
        self.sigmas = {
            "R": number("r_sigma", r_sigma, above=0),
            "G": number("g_sigma", g_sigma, above=0),
            "B": number("b_sigma", b_sigma, above=0),
        }

    def compose(self, cube: Tensor, wavelengths: Tensor) -> tuple[Tensor, dict[str, Any]]:
        peaks = wavelengths.new_tensor(list(self.peaks.values()), dtype=torch.float64)
        sigmas = wavelengths.new_tensor(list(self.sigmas.values()), dtype=torch.float64)
        curves = torch.exp(((wavelengths - peaks[:, None]) / sigmas[:, None]).square() / -2)
        weights = curves / curves.sum(dim=1, keepdim=True).clamp_min(1e-10)
        return settled(cube) @ weights.T.to(cube), {
            "strategy": "camera_emulation",
            "peaks_nm": dict(self.peaks),
            "sigmas_nm": dict(self.sigmas),
            "sensor_bands_total": cube.shape[-1],
        }


class CIETristimulusRGBSelector(ChannelSelectorBase):
    """Reflectance as people see it: CIE 1931 tristimulus values under an illuminant, as linear sRGB, negatives cut.

    See `swath.engine.ops.colour.colorimetry.rendering` for the white. Bounds that were learnt under another illuminant
    are dropped when weights are loaded.

    Args:
        illuminant: ``D65`` for daylight, ``E`` for equal energy without any white balance.
    """

    optional_state = (*ChannelSelectorBase.optional_state, "_bounds_illuminant")
    legacy_state = frozenset({"_xyz_to_srgb_matrix"})

    _bounds_illuminant: Tensor

    def __init__(self, illuminant: str = "D65", **normalisation: Any) -> None:
        super().__init__(**normalisation)
        self.illuminant = choice("illuminant", illuminant, _ILLUMINANTS)
        self.register_buffer("_bounds_illuminant", torch.tensor(_ILLUMINANTS.index(self.illuminant)))

    def restore(self, state: Mapping[str, Tensor]) -> None:
        super().restore(state)
        own = _ILLUMINANTS.index(self.illuminant)
        # Files without the entry were written before there was a choice, under E.
        learnt = int(state.get("_bounds_illuminant", _ILLUMINANTS.index("E")))
        self._bounds_illuminant.fill_(own)
        if state and self._bounded() and learnt != own:
            self.running_min.fill_(torch.nan)
            self.running_max.fill_(torch.nan)
            self._norm_frame_count.zero_()
            self._fitted = False

    def compose(self, cube: Tensor, wavelengths: Tensor) -> tuple[Tensor, dict[str, Any]]:
        if cube.shape[-1] < 2:
            raise self.refuse("cube", "at least 2 channels", cube)
        shown = rendering(wavelengths.detach().cpu().double().numpy(), self.illuminant)
        lit = np.flatnonzero(shown.weights.any(axis=0)).tolist()
        weights = torch.from_numpy(shown.weights[:, lit]).to(cube)
        return (cube[..., lit] @ weights.T).clamp_min(0), {
            "strategy": "cie_tristimulus",
            "illuminant": self.illuminant,
            "white_normalised": self.illuminant == "D65",
            "white_adapted": shown.adapted,
            "white_xyz_coverage": shown.coverage,
            "apply_gamma": self.gamma and self.normalize,
            "sensor_bands_total": cube.shape[-1],
            "sensor_bands_visible": shown.visible,
            "wavelength_range_nm": [float(wavelengths.min()), float(wavelengths.max())],
        }


def _ranges(red: Any, green: Any, blue: Any) -> dict[str, tuple[float, float]]:
    return {
        "red": window("red_range", red),
        "green": window("green_range", green),
        "blue": window("blue_range", blue),
    }


def _means(
    cube: Tensor, wavelengths: Tensor, ranges: Mapping[str, tuple[float, float]]
) -> tuple[Tensor, dict[str, Any]]:
    bands = {name: within(wavelengths, ends) for name, ends in ranges.items()}
    # Band by band rather than as a product with zeros, which a NaN in any other band would spoil.
    means = [cube[..., found].mean(dim=-1) if found else cube.new_zeros(cube.shape[:-1]) for found in bands.values()]
    return torch.stack(means, dim=-1), {
        "band_indices": list(bands.values()),
        "band_wavelengths_nm": [at(wavelengths, found) for found in bands.values()],
        "ranges_nm": {name: list(ends) for name, ends in ranges.items()},
        "aggregation": "mean",
        "missing_channels": [name for name, found in bands.items() if not found],
    }
