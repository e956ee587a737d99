"""Which pixels are valid: those whose bands are all finite (docs/explanation/invalid-pixels.md).

This module is the one place that looks for NaN and infinities in data. A clean tensor costs one read of it: its norm,
which takes a sixth less than its sum does where the tensor is in no cache.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

Shape = tuple[int, ...]
Valid = dict[Shape, Tensor]
"""Valid pixels, bool ``[B, H, W]``, by that shape; a shape whose pixels are all valid has no entry."""


def all_finite(values: Tensor) -> bool:
    """Whether a tensor holds neither NaN nor infinities."""
    if not values.is_floating_point():
        return True
    values = values.detach()
    return _norm_is_finite(values) or bool(values.isfinite().all())


def valid_pixels(values: Tensor) -> Tensor | None:
    """Return which pixels ``[..., C]`` have only finite bands, bool ``[...]``; None where all have.

    A number beyond the range of float32, which nodes compute in, is not finite.
    """
    if not values.is_floating_point():
        return None
    values = values.detach()
    if _norm_is_finite(values):
        return None
    valid = values.to(torch.float32).isfinite().all(dim=-1)
    return None if bool(valid.all()) else valid


def _norm_is_finite(values: Tensor) -> bool:
    """Whether a sum of squares is finite: never where a value is not. It may overflow where all are, so then look."""
    if values.dtype == torch.float64:  # has no norm in float32
        return math.isfinite(values.sum(dtype=torch.float32).item())
    return math.isfinite(torch.linalg.vector_norm(values, dtype=torch.float32).item())


def valid_rows(rows: Tensor) -> tuple[Tensor, int]:
    """Return the valid ones of rows ``[N, C]``, and how many are left out."""
    valid = valid_pixels(rows)
    if valid is None:
        return rows, 0
    kept = rows[valid]
    return kept, rows.shape[0] - kept.shape[0]


def join(found: Valid, values: Any) -> None:
    """Take the valid pixels of a cube ``[B, H, W, C]``, or of a list of them, into account; all else has no pixels."""
    if isinstance(values, list):
        for each in values:
            join(found, each)
    if not isinstance(values, Tensor) or values.dim() != 4:
        return
    valid = valid_pixels(values)
    if valid is not None:
        shape = tuple(valid.shape)
        found[shape] = found[shape] & valid if shape in found else valid


def of_batch(batch: Mapping[str, Any]) -> Valid | None:
    """Return the valid pixels of the cubes of a batch; None where all pixels are valid."""
    found: Valid = {}
    for value in batch.values():
        join(found, value)
    return found or None


def count_invalid(valid: Valid | None) -> int:
    """Return the number of invalid pixels."""
    return sum(mask.numel() - int(mask.sum()) for mask in (valid or {}).values())


def fill(values: Tensor, valid: Tensor) -> Tensor:
    """Replace invalid pixels by the mean of the valid ones of their frame, band by band; by 0 where there are none.

    No gradient reaches the pixels that are replaced.

    Args:
        values: Cube ``[B, H, W, C]``.
        valid: Valid pixels ``[B, H, W]``.
    """
    chosen = valid.unsqueeze(-1)
    sums = torch.where(chosen, values.detach(), 0).sum(dim=(1, 2), keepdim=True, dtype=torch.float64)
    mean = sums / valid.sum(dim=(1, 2)).clamp_min(1).reshape(-1, 1, 1, 1)
    return torch.where(chosen, values, mean.to(values.dtype))


def mark(values: Tensor, valid: Tensor | None, label: int | None = None) -> Tensor:
    """Mark invalid pixels: NaN among numbers, False among flags, `label` among labels.

    Args:
        values: ``[B, H, W]`` or ``[B, H, W, C]``.
        valid: Valid pixels ``[B, H, W]``; all when None.
        label: What invalid pixels of whole numbers become; they stay when None.
    """
    if valid is None:
        return values
    if values.dtype == torch.bool:
        invalid: float | None = False
    else:
        invalid = torch.nan if values.is_floating_point() else label
    if invalid is None:
        return values
    return torch.where(valid.reshape(*valid.shape, *[1] * (values.dim() - valid.dim())), values, invalid)


def std_mean(values: Tensor, valid: Tensor, dims: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Return deviation (n) and mean of the valid pixels over some dimensions, which stay with size 1.

    Args:
        values: Cube ``[B, H, W, C]``.
        valid: Valid pixels ``[B, H, W]``.
        dims: Dimensions of the cube.
    """
    chosen = valid.unsqueeze(-1).expand_as(values)
    count = chosen.sum(dim=tuple(dims), keepdim=True).clamp_min(1)
    mean = torch.where(chosen, values, 0).sum(dim=tuple(dims), keepdim=True) / count
    apart = torch.where(chosen, values - mean, 0).square().sum(dim=tuple(dims), keepdim=True) / count
    return apart.sqrt(), mean
