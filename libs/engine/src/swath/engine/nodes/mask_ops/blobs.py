"""Nodes that keep some blobs of a mask.

Blobs are labelled on square cells: with cells of 4 pixels, pixels in neighbouring cells are one blob, and labelling is
16 times cheaper than on pixels. What is counted is pixels all the same.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import avg_pool2d, max_pool2d

from swath.engine.graph.context import Context
from swath.engine.graph.independence import Independence
from swath.engine.graph.invalid import Invalid
from swath.engine.graph.node import Node
from swath.engine.graph.ports import Port, ports
from swath.engine.hparams import fraction, number, whole
from swath.engine.ops.masks import blobs
from swath.engine.ops.validity import mark

_DECISIONS = ports(decisions=Port(torch.bool, (-1, -1, -1, -1), description="Mask [B, H, W, C]"))


class _BlobSieve(Node):
    """A node that keeps some blobs of each frame and channel of its mask."""

    category = "transform"
    tags: ClassVar[tuple[str, ...]] = ("mask", "postprocessing", "numpy")
    independence = Independence.FRAME
    inputs = _DECISIONS
    outputs = ports(decisions=Port(torch.bool, (-1, -1, -1, -1), description="Mask of the blobs kept [B, H, W, C]"))

    def __init__(self, cell: int) -> None:
        super().__init__()
        self.cell = whole("cell", cell, at_least=1)

    def counts(self, mask: Tensor) -> Tensor:
        """Return the pixels set in each cell, ``[B, H, W, C]`` -> float32 ``[B, C, h, w]``."""
        planes = mask.permute(0, 3, 1, 2).to(torch.float32)
        return avg_pool2d(planes, self.cell, ceil_mode=True, divisor_override=1)

    def peaks(self, values: Tensor) -> Tensor:
        """Return the highest value of each cell, ``[B, H, W, C]`` -> ``[B, C, h, w]``."""
        return max_pool2d(values.permute(0, 3, 1, 2), self.cell, ceil_mode=True)

    def sieve(self, mask: Tensor, cells: Tensor) -> Tensor:
        """Return the mask ``[B, H, W, C]`` where a cell of ``[B, C, h, w]`` is set."""
        pixels = cells.permute(0, 2, 3, 1)
        pixels = pixels.repeat_interleave(self.cell, dim=1).repeat_interleave(self.cell, dim=2)
        return mask & pixels[:, : mask.shape[1], : mask.shape[2]]

    def require_place(self, port: str, value: Tensor, mask: Tensor) -> None:
        """Raise InputInvalid unless a value covers the same frames as the mask."""
        if value.shape[:3] != mask.shape[:3]:
            raise self.refuse(port, f"the frames, rows and columns of decisions, {list(mask.shape[:3])}", value)


class MaskMinArea(_BlobSieve):
    """Drops the 8-connected blobs of fewer than `min_area` pixels, in each frame and channel.

    Args:
        min_area: Pixels of the smallest blob that stays; 0 and 1 keep all.
        cell: Side of the square cells that blobs are labelled on, pixels.
    """

    def __init__(self, min_area: int = 250, cell: int = 4) -> None:
        super().__init__(cell)
        self.min_area = whole("min_area", min_area, at_least=0)

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        mask: Tensor = inputs["decisions"]
        if self.min_area <= 1 or mask.numel() == 0:
            return {"decisions": mask}
        counts = self.counts(mask)
        return {"decisions": self.sieve(mask, _heavy(counts, [(counts, self.min_area)]))}


class MaskBlobGate(_BlobSieve):
    """Keeps the 8-connected blobs that hold at least `min_px` pixels of a second mask.

    Args:
        min_px: Pixels of the second mask that a blob needs to stay; 0 keeps all.
        cell: Side of the square cells that blobs are labelled on, pixels.
        invert: Whether the other blobs are kept instead.
    """

    inputs = ports(
        _DECISIONS, mask=Port(torch.bool, (-1, -1, -1, -1), description="Second mask, set in any channel [B, H, W, K]")
    )

    def __init__(self, min_px: int = 16, cell: int = 4, invert: bool = False) -> None:
        super().__init__(cell)
        self.min_px = whole("min_px", min_px, at_least=0)
        self.invert = bool(invert)

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        mask: Tensor = inputs["decisions"]
        gate: Tensor = inputs["mask"]
        self.require_place("mask", gate, mask)
        if mask.numel() == 0:
            return {"decisions": mask}
        inside = mask & gate.any(dim=-1, keepdim=True)
        kept = self.sieve(mask, _heavy(self.counts(mask), [(self.counts(inside), self.min_px)]))
        return {"decisions": mask & ~kept if self.invert else kept}


class MaskPeakGate(_BlobSieve):
    """Keeps the 8-connected blobs whose peak score is at least `ratio` times that of the reference blob they lie in.

    Of several reference blobs the highest peak counts; a blob outside of all of them stays. Scores that are not numbers
    are no peaks.

    Args:
        ratio: Share of the reference peak, 0 to 1; 0 keeps all.
        cell: Side of the square cells that blobs are labelled on, pixels.
    """

    inputs = ports(
        _DECISIONS,
        reference=Port(torch.bool, (-1, -1, -1, -1), description="Reference mask, set in any channel [B, H, W, K]"),
        scores=Port(torch.float32, (-1, -1, -1, -1), description="Scores, of which the first channel counts"),
    )

    def __init__(self, ratio: float = 0.8, cell: int = 4) -> None:
        super().__init__(cell)
        self.ratio = fraction("ratio", ratio)

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        mask: Tensor = inputs["decisions"]
        for port in ("reference", "scores"):
            self.require_place(port, inputs[port], mask)
        if self.ratio == 0 or mask.numel() == 0:
            return {"decisions": mask}
        reference = inputs["reference"].any(dim=-1, keepdim=True)
        scores = inputs["scores"][..., :1].to(torch.float32)
        scores = torch.where(scores.isnan(), -torch.inf, scores)
        blob, peak = self._highest(mask, scores)
        bar, bar_peak = self._highest(reference.expand_as(mask), scores)
        met = np.where((blob > 0) & (bar > 0), bar_peak[bar], -np.inf)
        wanted = _maxima(met, blob)
        kept = np.isneginf(wanted) | (peak >= self.ratio * wanted)
        kept[0] = False
        return {"decisions": self.sieve(mask, torch.from_numpy(kept[blob]).to(mask.device))}

    def _highest(self, mask: Tensor, scores: Tensor) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """Return the numbers of the blobs, ``[B, C, h, w]``, and the highest score of each number."""
        peaks = self.peaks(torch.where(mask, scores, -torch.inf)).cpu().numpy()
        labels = _labelled(self.counts(mask) > 0)
        return labels, _maxima(peaks, labels)


class MaskBlobFilter(_BlobSieve):
    """Keeps the 8-connected blobs that are large enough and hold enough pixels of other material than the background.

    The background of a frame is the median spectrum of a grid of its pixels. A pixel is of other material where its
    spectral angle to it is above `min_angle_deg`; each cell goes by its first pixel. Values that are not a number take
    no part in the median, and pixels that have some count as background. Without a cube only the area counts.

    Source of the angle: F. A. Kruse et al., "The spectral image processing system (SIPS)", Remote Sensing of
    Environment 44 (1993).

    Args:
        min_area: Pixels of the smallest blob that stays; 0 and 1 keep all.
        min_object_px: Pixels of other material that a blob needs; 0 asks for none.
        min_angle_deg: Angle to the background, degrees.
        cell: Side of the square cells that blobs are labelled on, pixels.
        median_stride: Step of the grid of background pixels.
    """

    tags = ("mask", "postprocessing", "hyperspectral", "numpy")
    invalid = Invalid.SEEN
    inputs = ports(
        _DECISIONS, cube=Port(torch.float32, (-1, -1, -1, -1), optional=True, description="Cube [B, H, W, K]")
    )

    def __init__(
        self,
        min_area: int = 250,
        min_object_px: int = 16,
        min_angle_deg: float = 6.0,
        cell: int = 4,
        median_stride: int = 8,
    ) -> None:
        super().__init__(cell)
        self.min_area = whole("min_area", min_area, at_least=0)
        self.min_object = whole("min_object_px", min_object_px, at_least=0)
        degrees = number("min_angle_deg", min_angle_deg, at_least=0)
        if degrees > 180:
            raise ValueError(f"min_angle_deg must be at most 180, got {min_angle_deg!r}")
        self.cosine = math.cos(math.radians(degrees))
        self.stride = whole("median_stride", median_stride, at_least=1)

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        mask: Tensor = inputs["decisions"]
        cube: Tensor | None = inputs.get("cube")
        if cube is not None:
            self.require_place("cube", cube, mask)
        if mask.numel() == 0:
            return {"decisions": mask}
        counts = self.counts(mask)
        tests = [(counts, self.min_area)]
        if cube is not None and self.min_object > 0:
            tests.append((counts * self._objects(mark(cube, context.valid_at(cube))).unsqueeze(1), self.min_object))
        return {"decisions": self.sieve(mask, _heavy(counts, tests))}

    def _objects(self, cube: Tensor) -> Tensor:
        """Return the cells of other material, bool ``[B, h, w]``."""
        grid = cube[:, :: self.stride, :: self.stride].flatten(1, 2).to(torch.float32)
        background = grid.nanmedian(dim=1).values[:, None, None]
        pixels = cube[:, :: self.cell, :: self.cell].to(torch.float32)
        norms = torch.linalg.vector_norm(pixels, dim=-1) * torch.linalg.vector_norm(background, dim=-1)
        cosines = (pixels * background).sum(dim=-1) / norms.clamp_min(torch.finfo(torch.float32).tiny)
        return cosines.clamp(-1, 1) < self.cosine


def _labelled(cells: Tensor) -> NDArray[np.int32]:
    """Number the blobs of cells, ``[B, C, h, w]``, all planes in one go."""
    planes = cells.flatten(0, 1).cpu().numpy()
    return blobs(planes)[0].reshape(cells.shape)


def _heavy(counts: Tensor, tests: list[tuple[Tensor, int]]) -> Tensor:
    """Return the cells of the blobs whose weights add up to a bound, by each of the tests, ``[B, C, h, w]``."""
    labels = _labelled(counts > 0)
    kept = np.ones(labels.max() + 1, dtype=bool)
    kept[0] = False
    for weights, bound in tests:
        kept &= np.bincount(labels.ravel(), weights=weights.cpu().numpy().ravel()) >= bound
    return torch.from_numpy(kept[labels]).to(counts.device)


def _maxima(values: NDArray[np.floating], labels: NDArray[np.int32]) -> NDArray[np.float64]:
    """Return the highest value of each number of a label map, by number; that of 0 means nothing."""
    highest = np.full(labels.max() + 1, -np.inf)
    np.maximum.at(highest, labels.ravel(), values.ravel())
    return highest
