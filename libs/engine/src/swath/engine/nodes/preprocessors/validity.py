"""Nodes that find pixels which cannot be judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from swath.engine.graph.context import Context
from swath.engine.graph.independence import Independence
from swath.engine.graph.invalid import Invalid
from swath.engine.graph.node import Node
from swath.engine.graph.ports import Port, ports
from swath.engine.hparams import fraction, number, whole
from swath.engine.mixins.wavelengths import WAVELENGTHS

_CUBE = Port(torch.float32, (-1, -1, -1, -1), description="Cube [B, H, W, C]")


class SaturatedPixelDetector(Node):
    """Share of each pixel's bands at or above saturation, and the pixels with more than some share of them.

    Args:
        saturation_value: Value at which a band counts as saturated, in units of the cube.
        mask_threshold: Share of saturated bands that a pixel is marked above; with 0 a single one is enough.
    """

    category = "transform"
    tags = ("hyperspectral", "preprocessing", "torch")
    independence = Independence.PIXEL
    inputs = ports(cube=_CUBE)
    outputs = ports(
        scores=Port(torch.float32, (-1, -1, -1, 1), description="Share of saturated bands [B, H, W, 1]"),
        decisions=Port(torch.bool, (-1, -1, -1, 1), description="Pixels above the threshold [B, H, W, 1]"),
    )

    def __init__(self, saturation_value: float = 1.0, mask_threshold: float = 0.0) -> None:
        super().__init__()
        self.saturation = number("saturation_value", saturation_value)
        self.threshold = number("mask_threshold", mask_threshold)

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        cube: Tensor = inputs["cube"]
        scores = (cube >= self.saturation).to(cube.dtype).mean(dim=-1, keepdim=True)
        return {"scores": scores, "decisions": scores > self.threshold}


class SpectralValidity(Node):
    """Marks the pixels that can be judged, and says of each frame whether enough of them can.

    Reasons, the first that holds: 1 a value is not finite, 2 the L2 norm is below the floor, 3 a band is at or above
    saturation, 4 outside of the region of interest; 0 is valid. Status of a frame: 0 fine, 1 too few valid pixels, 2
    not the channels or wavelengths that are expected (all its pixels have reason 1 then).

    Args:
        n_features: Channels that the cube must have; any when left out.
        expected_wavelengths: Wavelengths that it must have, nm; any when left out.
        wavelength_tol_nm: Largest difference of each, nm.
        norm_floor: Least L2 norm of a spectrum, in units of the cube.
        saturation_value: Value at which a band counts as saturated; none does when left out.
        roi_margin_px: Border that is outside of the region of interest, pixels of a frame of the reference size.
        roi_reference_hw: That size, height and width; 1000 by 1080 when left out.
        min_valid_fraction: Least share of valid pixels in the region of interest.
    """

    category = "transform"
    tags = ("hyperspectral", "mask", "torch")
    invalid = Invalid.PASSED
    independence = Independence.FRAME
    inputs = ports(
        cube=_CUBE,
        wavelengths=replace(WAVELENGTHS, optional=True),
    )
    outputs = ports(
        valid_mask=Port(torch.bool, (-1, -1, -1, 1), description="Valid pixels [B, H, W, 1]"),
        invalid_reason=Port(torch.int32, (-1, -1, -1, 1), description="Reason of each pixel [B, H, W, 1]"),
        frame_status=Port(torch.int32, (-1,), description="Status of each frame [B]"),
        valid_fraction=Port(torch.float32, (-1,), description="Valid share of the region of interest [B]"),
    )

    def __init__(
        self,
        n_features: int | None = None,
        expected_wavelengths: Sequence[float] | None = None,
        wavelength_tol_nm: float = 1.0,
        norm_floor: float = 1.0,
        saturation_value: float | None = None,
        roi_margin_px: int = 0,
        roi_reference_hw: Sequence[int] | None = None,
        min_valid_fraction: float = 0.5,
    ) -> None:
        super().__init__()
        self.channels = None if n_features is None else whole("n_features", n_features, at_least=1)
        self.wavelengths = (
            None
            if expected_wavelengths is None
            else [number("expected_wavelengths", value) for value in expected_wavelengths]
        )
        self.tolerance = number("wavelength_tol_nm", wavelength_tol_nm, at_least=0)
        self.floor = number("norm_floor", norm_floor)
        self.saturation = None if saturation_value is None else number("saturation_value", saturation_value)
        self.margin = whole("roi_margin_px", roi_margin_px, at_least=0)
        reference = (1000, 1080) if roi_reference_hw is None else tuple(roi_reference_hw)
        if len(reference) != 2:
            raise ValueError(f"roi_reference_hw must be a height and a width, got {roi_reference_hw!r}")
        self.reference = tuple(whole("roi_reference_hw", size, at_least=1) for size in reference)
        self.least = fraction("min_valid_fraction", min_valid_fraction)

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        cube: Tensor = inputs["cube"]
        if self._unexpected(cube, inputs.get("wavelengths")):
            return self._mismatch(cube)
        inside = self._region(cube)
        norm = torch.linalg.vector_norm(cube.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0), dim=-1)
        checks = [~inside.expand(cube.shape[:-1])]
        if self.saturation is not None:
            checks.append(~(cube < self.saturation).all(dim=-1))
        checks += [~(norm >= self.floor), ~cube.isfinite().all(dim=-1)]
        reasons = (4, 3, 2, 1) if self.saturation is not None else (4, 2, 1)
        reason = torch.zeros(cube.shape[:-1], dtype=torch.int32, device=cube.device)
        for failed, number_of in zip(checks, reasons, strict=True):
            reason.masked_fill_(failed, number_of)
        valid = reason == 0
        share = valid.flatten(1).sum(dim=1) / inside.sum().clamp_min(1)
        return {
            "valid_mask": valid.unsqueeze(-1),
            "invalid_reason": reason.unsqueeze(-1),
            "frame_status": (share < self.least).to(torch.int32),
            "valid_fraction": share,
        }

    def _unexpected(self, cube: Tensor, wavelengths: Tensor | None) -> bool:
        if self.channels is not None and cube.shape[-1] != self.channels:
            return True
        if self.wavelengths is None or wavelengths is None:
            return False
        if wavelengths.shape[0] != len(self.wavelengths):
            return True
        expected = torch.tensor(self.wavelengths, dtype=torch.float64, device=wavelengths.device)
        return bool(((wavelengths.to(torch.float64) - expected).abs() > self.tolerance).any())

    def _mismatch(self, cube: Tensor) -> dict[str, Any]:
        shape = (*cube.shape[:-1], 1)
        return {
            "valid_mask": torch.zeros(shape, dtype=torch.bool, device=cube.device),
            "invalid_reason": torch.ones(shape, dtype=torch.int32, device=cube.device),
            "frame_status": torch.full(shape[:1], 2, dtype=torch.int32, device=cube.device),
            "valid_fraction": torch.zeros(shape[:1], device=cube.device),
        }

    def _region(self, cube: Tensor) -> Tensor:
        height, width = cube.shape[1:3]
        inside = torch.zeros(height, width, dtype=torch.bool, device=cube.device)
        down = min(round(self.margin * height / self.reference[0]), (height - 1) // 2)
        across = min(round(self.margin * width / self.reference[1]), (width - 1) // 2)
        inside[max(down, 0) : height - max(down, 0), max(across, 0) : width - max(across, 0)] = True
        return inside
