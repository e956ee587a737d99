"""Nodes that take the spectra of objects out of cubes."""

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
from swath.engine.hparams import choice, number, whole
from swath.engine.mixins.wavelengths import WAVELENGTHS
from swath.engine.ops.validity import valid_rows

_CUBE = Port(torch.float32, (-1, -1, -1, -1), description="Cube [B, H, W, C]")
_TAGS = ("hyperspectral", "embedding", "numpy")
_MIN_NORM = 1e-8


class BBoxSpectralExtractor(Node):
    """Spectrum and standard deviation of the middle of each box, trimmed at both ends in each band.

    Pixels with a value that is not finite or a norm below 1e-8 do not count. A box that is left with fewer than
    `min_crop_pixels`, or lies outside of the picture, gives zeros and is not valid.

    Args:
        center_crop_scale: Share of the box's width and height that is looked at; all where that leaves fewer than
            `min_crop_pixels`.
        min_crop_pixels: Fewest pixels of a spectrum.
        trim_fraction: Share of the lowest, and of the highest, values of each band that do not count; below 1/2.
        l2_normalize: Whether spectra get unit length; standard deviations stay in units of the cube.
        aggregation: ``median``, the lower of the two in the middle, or ``mean``.
    """

    category = "transform"
    tags = _TAGS
    invalid = Invalid.PASSED
    independence = Independence.FRAME
    inputs = ports(
        cube=_CUBE,
        bboxes=Port(torch.float32, (-1, -1, 4), description="Boxes x1, y1, x2, y2, pixels [B, N, 4]"),
    )
    outputs = ports(
        spectral_signatures=Port(torch.float32, (-1, -1, -1), description="Spectra [B, N, C]"),
        spectral_std=Port(torch.float32, (-1, -1, -1), description="Standard deviations (n) [B, N, C]"),
        spectral_valid=Port(torch.int32, (-1, -1), description="1 where valid, else 0 [B, N]"),
    )

    def __init__(
        self,
        center_crop_scale: float = 0.65,
        min_crop_pixels: int = 4,
        trim_fraction: float = 0.1,
        l2_normalize: bool = True,
        aggregation: str = "median",
    ) -> None:
        super().__init__()
        self.scale = number("center_crop_scale", center_crop_scale, above=0)
        if self.scale > 1:
            raise ValueError(f"center_crop_scale must be at most 1, got {center_crop_scale!r}")
        self.least = whole("min_crop_pixels", min_crop_pixels, at_least=1)
        self.trim = _trimmed_share(trim_fraction)
        self.normalize = bool(l2_normalize)
        self.median = choice("aggregation", aggregation, ("median", "mean")) == "median"

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        cube: Tensor = inputs["cube"]
        boxes: Tensor = inputs["bboxes"]
        if boxes.shape[0] != cube.shape[0]:
            raise self.refuse("bboxes", f"boxes of {cube.shape[0]} frames", boxes)
        windows = self._windows(boxes, *cube.shape[1:3]).tolist()
        pixels = [
            frame[top:bottom, left:right].reshape(-1, cube.shape[3])
            for frame, of_frame in zip(cube, windows, strict=True)
            for left, top, right, bottom in of_frame
        ]
        shape = (*boxes.shape[:2], cube.shape[3])
        spectra, deviations = _trimmed_all(pixels, shape, cube, self.trim, self.least, _MIN_NORM, self.median)
        norms = torch.linalg.vector_norm(spectra, dim=-1, keepdim=True)
        valid = norms >= _MIN_NORM
        if self.normalize:
            spectra = spectra / torch.where(valid, norms, 1)
        return {
            "spectral_signatures": spectra,
            "spectral_std": deviations,
            "spectral_valid": valid.squeeze(-1).to(torch.int32),
        }

    def _windows(self, boxes: Tensor, height: int, width: int) -> Tensor:
        """Return the part of each box that is looked at, whole pixels inside of the picture, ``[B, N, 4]``."""
        limits = torch.tensor([width, height, width, height], device=boxes.device)
        # A box that is not finite becomes empty.
        finite = boxes.isfinite().all(dim=-1, keepdim=True)
        whole_boxes = torch.where(finite, boxes, 0).round().clamp_min(0).minimum(limits).to(torch.int64)
        start, end = whole_boxes[..., :2], whole_boxes[..., 2:]
        end = end.maximum(start)
        margin = ((end - start).to(torch.float64) * ((1 - self.scale) / 2)).floor().to(torch.int64)
        area = (end - start - 2 * margin).prod(dim=-1, keepdim=True)
        margin = torch.where(area >= self.least, margin, 0)
        return torch.cat([start + margin, end - margin], dim=-1)


class SpectralSignatureExtractor(Node):
    """Mean spectrum and standard deviation of each object of a label map, trimmed at both ends in each band.

    Pixels with a value that is not finite, or a norm below the threshold, do not count. An object that is left with
    fewer than `min_mask_pixels` gives zeros. A label map of another size is resized to the nearest pixel.

    Args:
        trim_fraction: Share of the lowest, and of the highest, values of each band that do not count; below 1/2.
        min_mask_pixels: Fewest pixels of a spectrum.
        zero_norm_threshold: Least L2 norm of a pixel, in units of the cube.
    """

    category = "transform"
    tags = _TAGS
    invalid = Invalid.PASSED
    inputs = ports(
        cube=_CUBE,
        mask=Port(torch.int32, (1, -1, -1), description="Object of each pixel, 0 none [1, H, W]"),
        object_ids=Port(
            torch.int64, (1, -1), optional=True, description="Objects to look at, in their order; else all [1, N]"
        ),
        wavelengths=replace(WAVELENGTHS, optional=True),
    )
    outputs = ports(
        signatures=Port(torch.float32, (1, -1, -1), description="Spectra [1, N, C]"),
        signatures_std=Port(torch.float32, (1, -1, -1), description="Standard deviations (n) [1, N, C]"),
    )

    def __init__(
        self, trim_fraction: float = 0.1, min_mask_pixels: int = 10, zero_norm_threshold: float = 1e-8
    ) -> None:
        super().__init__()
        self.trim = _trimmed_share(trim_fraction)
        self.least = whole("min_mask_pixels", min_mask_pixels, at_least=1)
        self.min_norm = number("zero_norm_threshold", zero_norm_threshold, at_least=0)

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        cube: Tensor = inputs["cube"]
        if cube.shape[0] != 1:
            raise self.refuse("cube", "one frame, as the label map has one", cube)
        labels = _resized(inputs["mask"], cube.shape[1], cube.shape[2])[0]
        objects: Tensor | None = inputs.get("object_ids")
        ids = labels[labels != 0].unique() if objects is None else objects[0]
        pixels = [cube[0][labels == label] for label in ids.tolist()]
        shape = (1, len(pixels), cube.shape[3])
        spectra, deviations = _trimmed_all(pixels, shape, cube, self.trim, self.least, self.min_norm, False)
        return {"signatures": spectra, "signatures_std": deviations}


class MaskedMeanSpectrum(Node):
    """Mean spectrum over the valid pixels of each frame where a mask is above 0; zeros where there are none."""

    category = "transform"
    tags = _TAGS
    invalid = Invalid.SEEN
    independence = Independence.FRAME
    inputs = ports(
        cube=_CUBE,
        mask=Port(torch.int32, (-1, -1, -1), description="Above 0 where to look [B, H, W]"),
    )
    outputs = ports(
        mean_spectrum=Port(torch.float32, (-1, -1), description="Mean spectra [B, C]"),
        valid=Port(torch.int32, (-1,), description="1 where the mask has pixels, else 0 [B]"),
    )

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        cube: Tensor = inputs["cube"]
        mask: Tensor = inputs["mask"]
        if mask.shape != cube.shape[:3]:
            raise self.refuse("mask", f"{list(cube.shape[:3])}, one number per pixel of the cube", mask)
        inside = mask > 0
        valid = context.valid_at(cube)
        if valid is not None:
            inside = inside & valid
        counts = inside.sum(dim=(1, 2))
        # Not a product with the mask: what is not finite outside of it would spread.
        sums = torch.where(inside.unsqueeze(-1), cube, 0).sum(dim=(1, 2), dtype=torch.float64)
        mean = sums / counts.clamp_min(1).unsqueeze(-1)
        return {"mean_spectrum": mean.to(cube.dtype), "valid": (counts > 0).to(torch.int32)}


class SignaturesToReferences(Node):
    """Makes each spectrum a reference of `SpectralAngleMapper`, in the same order.

    Args:
        normalize: ``unit_mean`` divides each by its mean, ``l2`` by its L2 norm; nothing when left out. Means and norms
            of less than 1e-8 count as 1e-8.
    """

    category = "transform"
    tags = ("hyperspectral", "classification")
    inputs = ports(signatures=Port(torch.float32, (1, -1, -1), description="Spectra [1, N, C]"))
    outputs = ports(spectral_signature=Port(torch.float32, (-1, 1, 1, -1), description="References [N, 1, 1, C]"))

    def __init__(self, normalize: str | None = None) -> None:
        super().__init__()
        self.normalize = None if normalize is None else choice("normalize", normalize, ("unit_mean", "l2"))

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        signatures: Tensor = inputs["signatures"]
        spectra = signatures.transpose(0, 1).unsqueeze(1)
        if self.normalize == "l2":
            spectra = spectra / torch.linalg.vector_norm(spectra, dim=-1, keepdim=True).clamp_min(_MIN_NORM)
        elif self.normalize == "unit_mean":
            mean = spectra.mean(dim=-1, keepdim=True)
            spectra = spectra / torch.where(mean.abs() >= _MIN_NORM, mean, _MIN_NORM)
        return {"spectral_signature": spectra}


def _trimmed_share(value: Any) -> float:
    share = number("trim_fraction", value, at_least=0)
    if share >= 0.5:
        raise ValueError(f"trim_fraction must be below 0.5, got {value!r}")
    return share


def _trimmed_all(
    objects: Sequence[Tensor],
    shape: tuple[int, ...],
    like: Tensor,
    trim: float,
    least: int,
    min_norm: float,
    median: bool,
) -> tuple[Tensor, Tensor]:
    """Return centres and standard deviations of the pixels ``[P, C]`` of each object, of the given shape."""
    results = [_trimmed(pixels, trim, least, min_norm, median) for pixels in objects]
    if not results:
        return like.new_zeros(shape), like.new_zeros(shape)
    centres, deviations = zip(*results, strict=True)
    return torch.stack(centres).reshape(shape), torch.stack(deviations).reshape(shape)


def _trimmed(pixels: Tensor, trim: float, least: int, min_norm: float, median: bool) -> tuple[Tensor, Tensor]:
    """Return centre and standard deviation ``[C]`` of pixels ``[P, C]``; zeros where too few of them count."""
    rows, _ = valid_rows(pixels)
    rows = rows[torch.linalg.vector_norm(rows, dim=1) >= min_norm]
    if rows.shape[0] < least:
        return pixels.new_zeros(pixels.shape[1]), pixels.new_zeros(pixels.shape[1])
    cut = int(rows.shape[0] * trim)
    # Bands are sorted one by one, so that they lie next to each other in memory.
    kept = rows.T.contiguous().sort(dim=1).values[:, cut : rows.shape[0] - cut].to(torch.float64)
    mean = kept.mean(dim=1)
    deviation = torch.linalg.vector_norm(kept - mean[:, None], dim=1) / kept.shape[1] ** 0.5
    centre = kept[:, (kept.shape[1] - 1) // 2] if median else mean
    return centre.to(pixels.dtype), deviation.to(pixels.dtype)


def _resized(labels: Tensor, height: int, width: int) -> Tensor:
    if labels.shape[1:] == (height, width):
        return labels
    rows = torch.arange(height, device=labels.device) * labels.shape[1] // height
    columns = torch.arange(width, device=labels.device) * labels.shape[2] // width
    return labels[:, rows[:, None], columns]
