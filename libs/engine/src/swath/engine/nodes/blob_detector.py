"""Bright objects before a dark background."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from swath.engine.graph.context import Context
from swath.engine.graph.invalid import Invalid
from swath.engine.graph.node import Node
from swath.engine.graph.ports import Port, ports
from swath.engine.hparams import choice, fraction, number, whole
from swath.engine.mixins.wavelengths import WAVELENGTHS
from swath.engine.ops import masks
from swath.engine.ops.spectra import nearest_band
from swath.engine.ops.thresholds import otsu
from swath.engine.ops.validity import mark

_BINS = 256


class BlobDetector(Node):
    """Finds bright blobs in each frame.

    The cube becomes a brightness, scaled to 0..1 by the frame's lowest and highest; what reaches the threshold is
    opened, closed and split into blobs. Those of a wanted area stay, numbered from 1. Pixels whose brightness is not
    finite are dark.

    Source of the threshold ``otsu``: N. Otsu, "A threshold selection method from gray-level histograms", IEEE Trans.
    SMC 9 (1979), on 256 bins; where some between the two classes are empty it is in the middle of these.

    Args:
        brightness: ``band_mean`` or ``max`` over the channels, or ``index``: ``(a - b) / (a + b + 1e-6)`` of the bands
            nearest to two wavelengths.
        threshold_method: ``otsu``; ``quantile`` for the quantile `threshold` of the frame; ``fixed`` for `threshold`
            itself.
        threshold: 0 to 1.
        index_wavelengths: The two wavelengths of ``index``, nm.
        opening_kernel: Side of the square that a blob must hold to stay, pixels; 0 and 1 for none. Even ones mean the
            next odd one.
        closing_kernel: Side of the square that a gap must hold to stay, pixels.
        min_area: Pixels of the smallest blob that stays.
        max_area: Pixels of the largest.
        keep_largest: How many of the largest stay.
        connectivity: 4 where pixels of a blob share a side, 8 where a corner will do.
    """

    category = "transform"
    tags = ("hyperspectral", "mask", "segmentation")
    invalid = Invalid.SEEN
    inputs = ports(
        cube=Port(torch.float32, (-1, -1, -1, -1), description="Cube [B, H, W, C]"),
        wavelengths=replace(WAVELENGTHS, optional=True, description="For `index`, nm [C]", absent=""),
    )
    outputs = ports(
        mask=Port(torch.int32, (-1, -1, -1), invalid=0, description="Number of the blob, 0 outside [B, H, W]"),
        bboxes=Port(torch.float32, (-1, -1, 4), description="x0, y0, x1, y1 of each blob, pixels [B, N, 4]"),
        centroids=Port(torch.float32, (-1, -1, 2), description="x, y of each blob, pixels [B, N, 2]"),
        count=Port(torch.int32, (-1,), description="Blobs of each frame; its further rows are 0 [B]"),
    )

    def __init__(
        self,
        brightness: str = "band_mean",
        threshold_method: str = "otsu",
        threshold: float = 0.5,
        index_wavelengths: Sequence[float] | None = None,
        opening_kernel: int = 3,
        closing_kernel: int = 3,
        min_area: int = 5,
        max_area: int | None = None,
        keep_largest: int | None = None,
        connectivity: int = 8,
    ) -> None:
        super().__init__()
        self.brightness = choice("brightness", brightness, ("band_mean", "max", "index"))
        self.method = choice("threshold_method", threshold_method, ("otsu", "quantile", "fixed"))
        self.threshold = fraction("threshold", threshold)
        self.pair = [number("index_wavelengths", value, above=0) for value in index_wavelengths or ()]
        if len(self.pair) not in ((2,) if self.brightness == "index" else (0, 2)):
            raise ValueError(f"index_wavelengths must be two wavelengths, got {index_wavelengths!r}")
        self.opening = whole("opening_kernel", opening_kernel, at_least=0)
        self.closing = whole("closing_kernel", closing_kernel, at_least=0)
        self.smallest = whole("min_area", min_area, at_least=1)
        self.greatest = None if max_area is None else whole("max_area", max_area, at_least=self.smallest)
        self.most = None if keep_largest is None else whole("keep_largest", keep_largest, at_least=1)
        if connectivity not in (4, 8):
            raise ValueError(f"connectivity must be 4 or 8, got {connectivity!r}")
        self.connectivity = connectivity

    @torch.no_grad()
    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        scaled = _scaled(self._brightness(inputs, context))
        bright = scaled >= self._thresholds(scaled)[:, None, None]
        clean = masks.closed(masks.opened(bright, self.opening), self.closing)
        labels = self._selected(masks.label(clean, self.connectivity))
        count = labels.amax(dim=(1, 2)) if labels.numel() else labels.new_zeros(labels.shape[0])
        regions = masks.measure(labels, int(count.max()) if len(count) else 0)
        found = (regions.area > 0).unsqueeze(-1)
        boxes = torch.stack([regions.left, regions.top, regions.right, regions.bottom], dim=-1)
        centres = torch.stack([regions.column, regions.row], dim=-1)
        return {
            "mask": labels.to(torch.int32),
            "bboxes": torch.where(found, boxes, 0).to(torch.float32),
            "centroids": torch.where(found, centres, 0.0).to(torch.float32),
            "count": count.to(torch.int32),
        }

    def _brightness(self, inputs: dict[str, Any], context: Context) -> Tensor:
        cube: Tensor = inputs["cube"]
        return mark(self._reduced(cube, inputs.get("wavelengths")), context.valid_at(cube))

    def _reduced(self, cube: Tensor, wavelengths: Tensor | None) -> Tensor:
        if self.brightness == "band_mean":
            return cube.mean(dim=-1)
        if self.brightness == "max":
            return cube.amax(dim=-1)
        if wavelengths is None or wavelengths.shape[0] != cube.shape[-1]:
            raise self.refuse(
                "wavelengths", f"{cube.shape[-1]} numbers, one per channel, for the brightness 'index'", wavelengths
            )
        first, second = (cube[..., nearest_band(wavelengths, wanted)] for wanted in self.pair)
        return (first - second) / (first + second + 1e-6)

    def _thresholds(self, scaled: Tensor) -> Tensor:
        if self.method == "otsu":
            return _otsu(scaled)
        if self.method == "quantile":
            return _quantile(scaled, self.threshold)
        return scaled.new_full(scaled.shape[:1], self.threshold)

    def _selected(self, labels: Tensor) -> Tensor:
        sizes = masks.areas(labels)
        kept = sizes >= self.smallest
        if self.greatest is not None:
            kept &= sizes <= self.greatest
        if self.most is not None:
            kept = masks.largest(sizes * kept, self.most)
        return masks.looked_up(labels, kept.cumsum(dim=1) * kept)


def _scaled(brightness: Tensor) -> Tensor:
    """Scale each frame ``[B, H, W]`` to 0..1 by its finite values; what is not finite becomes -1."""
    if brightness.numel() == 0:
        return brightness
    finite = brightness.isfinite()
    low = torch.where(finite, brightness, torch.inf).amin(dim=(1, 2), keepdim=True)
    high = torch.where(finite, brightness, -torch.inf).amax(dim=(1, 2), keepdim=True)
    return torch.where(finite, (brightness - low) / (high - low + 1e-9), -1.0)


def _otsu(scaled: Tensor) -> Tensor:
    """Return the level that splits each frame's histogram best, ``[B]``."""
    frames = scaled.shape[0]
    inside = scaled >= 0
    bins = (scaled * _BINS).to(torch.int64).clamp(0, _BINS - 1)
    bins += torch.arange(frames, device=scaled.device)[:, None, None] * _BINS
    histogram = torch.bincount(bins[inside], minlength=frames * _BINS).reshape(frames, _BINS)
    return (otsu(histogram, within=0.5) / _BINS).to(scaled.dtype)


def _quantile(scaled: Tensor, quantile: float) -> Tensor:
    """Return the quantile of each frame's bright values by linear interpolation, ``[B]``."""
    ordered = scaled.flatten(1).sort(dim=1).values
    if ordered.numel() == 0:
        return scaled.new_zeros(scaled.shape[0])
    dark = (ordered < 0).sum(dim=1)
    rank = dark + quantile * (ordered.shape[1] - 1 - dark).clamp_min(0).to(torch.float64)
    lower = rank.floor().to(torch.int64).clamp_max(ordered.shape[1] - 1)
    upper = (lower + 1).clamp_max(ordered.shape[1] - 1)
    low, high = (ordered.gather(1, index[:, None]).squeeze(1) for index in (lower, upper))
    return torch.lerp(low, high, (rank - lower).to(low.dtype)).clamp_min(0)
