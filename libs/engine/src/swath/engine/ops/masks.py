"""Binary masks on any device: morphology with squares, blobs and what they measure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import max_pool2d


def dilated(mask: Tensor, size: int) -> Tensor:
    """Return whether any pixel of a square around each pixel is set; outside of the frame none is.

    Args:
        mask: bool ``[B, H, W]``.
        size: Side of the square, odd, pixels.
    """
    if size <= 1 or mask.numel() == 0:
        return mask
    # A square is separable: two passes cost 2 * size per pixel rather than size squared.
    rows = max_pool2d(mask.to(torch.float32), (1, size), stride=1, padding=(0, size // 2))
    return max_pool2d(rows, (size, 1), stride=1, padding=(size // 2, 0)) > 0


def eroded(mask: Tensor, size: int) -> Tensor:
    """Return whether all pixels of a square around each pixel are set; outside of the frame all are.

    Args:
        mask: bool ``[B, H, W]``.
        size: Side of the square, odd, pixels.
    """
    return ~dilated(~mask, size)


def opened(mask: Tensor, size: int) -> Tensor:
    """Return a mask ``[B, H, W]`` eroded and dilated: without what is thinner than the square.

    An even `size` means the next odd one; 0 and 1 change nothing.
    """
    return dilated(eroded(mask, size | 1), size | 1) if size > 1 else mask


def closed(mask: Tensor, size: int) -> Tensor:
    """Return a mask ``[B, H, W]`` dilated and eroded: with what is thinner than the square filled in.

    An even `size` means the next odd one; 0 and 1 change nothing.
    """
    return eroded(dilated(mask, size | 1), size | 1) if size > 1 else mask


def blobs(planes: NDArray[np.bool_], connectivity: int = 8) -> tuple[NDArray[np.int32], int]:
    """Number the blobs of planes ``[N, H, W]``, plane by plane.

    Args:
        planes: True inside of blobs.
        connectivity: 4 where pixels of a blob share a side, 8 where a corner will do.

    Returns:
        Numbers from 1, 0 outside of blobs, int32 ``[N, H, W]``; and how many there are.
    """
    from scipy import ndimage  # slow to import, and few pipelines label blobs

    # Nothing joins neighbouring planes, so that one call labels them all.
    joins = np.zeros((3, 3, 3), dtype=bool)
    joins[1] = ndimage.generate_binary_structure(2, 1 if connectivity == 4 else 2)
    labels = np.zeros(planes.shape, dtype=np.int32)
    ndimage.label(planes, structure=joins, output=labels)
    return labels, int(labels.max(initial=0))


def label(mask: Tensor, connectivity: int = 8) -> Tensor:
    """Number the blobs of each frame, from 1, in the order of OpenCV.

    With a connectivity of 4 that is the reading order of their first pixels; with 8 that of the first blocks of 2 x 2
    pixels that they have a part in.

    Source: F. Bolelli, S. Allegretti, L. Baraldi, C. Grana, "Spaghetti Labeling", IEEE Trans. Image Processing, 2020.

    Args:
        mask: bool ``[B, H, W]``.
        connectivity: 4 or 8.

    Returns:
        Numbers, 0 outside of blobs, int64 ``[B, H, W]`` on the device of the mask.
    """
    labels, count = blobs(mask.cpu().numpy(), connectivity)
    if connectivity == 8 and count:
        labels = _by_blocks(labels, count)
    last = np.maximum.accumulate(labels.max(axis=(1, 2), initial=0))
    before = np.concatenate([[0], last[:-1]])[: len(labels), None, None]
    return torch.from_numpy(np.where(labels > 0, labels - before, 0).astype(np.int64)).to(mask.device)


def _by_blocks(labels: NDArray[np.int32], count: int) -> NDArray[np.int32]:
    frames, height, width = labels.shape
    padded = np.pad(labels, ((0, 0), (0, height % 2), (0, width % 2)))
    # No two blobs share a block of 2 x 2 pixels, or they would touch.
    blocks = padded.reshape(frames, padded.shape[1] // 2, 2, padded.shape[2] // 2, 2).max(axis=(2, 4)).ravel()
    first = np.zeros(count + 1, dtype=np.int64)
    first[blocks[::-1]] = np.arange(blocks.size)[::-1]  # of several writes to one place the last one stays
    first[0] = -1
    numbers = np.empty(count + 1, dtype=np.int32)
    numbers[np.argsort(first)] = np.arange(count + 1, dtype=np.int32)
    return numbers[labels]


def areas(labels: Tensor) -> Tensor:
    """Return the pixels of each number of a label map ``[B, H, W]``, int64 ``[B, N + 1]``; 0 for the outside."""
    most = int(labels.max()) + 1 if labels.numel() else 1
    frame = torch.arange(labels.shape[0], device=labels.device)[:, None, None]
    counts = torch.bincount((labels + frame * most).flatten(), minlength=labels.shape[0] * most)
    counts = counts.reshape(labels.shape[0], most)
    counts[:, 0] = 0
    return counts


def largest(sizes: Tensor, count: int) -> Tensor:
    """Return which of the sizes of each row, ``[B, N]``, are among its largest above 0; of equal ones the first are."""
    order = sizes.sort(dim=1, descending=True, stable=True).indices[:, :count]
    return torch.zeros_like(sizes, dtype=torch.bool).scatter_(1, order, True) & (sizes > 0)


def looked_up(labels: Tensor, table: Tensor) -> Tensor:
    """Return the entry of a table ``[B, N + 1]`` for each number of a label map ``[B, H, W]``."""
    return table.gather(1, labels.flatten(1)).reshape(labels.shape)


@dataclass(frozen=True)
class Regions:
    """What the regions of label maps measure; slot ``k`` of a frame is for the number ``k + 1``.

    Attributes:
        area: Pixels, float64 ``[B, S]``; 0 where a frame has no such number, and all else is meaningless there.
        row: Mean row, float64 ``[B, S]``.
        column: Mean column, float64 ``[B, S]``.
        top: First row, int64 ``[B, S]``.
        bottom: Row after the last, int64 ``[B, S]``.
        left: First column, int64 ``[B, S]``.
        right: Column after the last, int64 ``[B, S]``.
        covariance: Mean of ``(row - mean)^2``, of ``(row - mean)(column - mean)`` and of ``(column - mean)^2``, float64
            ``[B, S, 3]``.
    """

    area: Tensor
    row: Tensor
    column: Tensor
    top: Tensor
    bottom: Tensor
    left: Tensor
    right: Tensor
    covariance: Tensor


def measure(labels: Tensor, slots: int) -> Regions:
    """Measure the regions 1 to `slots` of label maps ``[B, H, W]``."""
    frames, height, width = labels.shape
    shape = (frames, slots)
    frame, row, column = ((labels > 0) & (labels <= slots)).nonzero(as_tuple=True)
    slot = frame * slots + labels[frame, row, column] - 1
    area = torch.bincount(slot, minlength=frames * slots).to(torch.float64)

    def mean(values: Tensor) -> Tensor:
        return torch.zeros_like(area).index_add_(0, slot, values) / area.clamp_min(1)

    def outermost(values: Tensor, start: int, reduce: str) -> Tensor:
        return torch.full_like(area, start, dtype=torch.int64).scatter_reduce_(0, slot, values, reduce).reshape(shape)

    rows, columns = row.to(torch.float64), column.to(torch.float64)
    mean_row, mean_column = mean(rows), mean(columns)
    # About the mean rather than from raw squares, of which little is left after the subtraction.
    down, across = rows - mean_row[slot], columns - mean_column[slot]
    covariance = torch.stack([mean(down * down), mean(down * across), mean(across * across)], dim=-1)
    return Regions(
        area=area.reshape(shape),
        row=mean_row.reshape(shape),
        column=mean_column.reshape(shape),
        top=outermost(row, height, "amin"),
        bottom=outermost(row + 1, 0, "amax"),
        left=outermost(column, width, "amin"),
        right=outermost(column + 1, 0, "amax"),
        covariance=covariance.reshape(*shape, 3),
    )
