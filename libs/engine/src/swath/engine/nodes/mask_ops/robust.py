"""Nodes that clean masks and maps of classes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

from swath.engine.graph.context import Context
from swath.engine.graph.independence import Independence
from swath.engine.graph.node import Node
from swath.engine.graph.ports import Port, ports
from swath.engine.hparams import whole
from swath.engine.ops import masks


class _Robust(Node):
    """A node that cleans masks: opens, closes, drops small blobs and keeps the largest."""

    category = "transform"

    def __init__(self, opening_kernel: int, closing_kernel: int, min_area: int, keep_largest: bool) -> None:
        super().__init__()
        self.opening = whole("opening_kernel", opening_kernel, at_least=0)
        self.closing = whole("closing_kernel", closing_kernel, at_least=0)
        self.min_area = whole("min_area", min_area, at_least=0)
        self.keep_largest = bool(keep_largest)

    def clean(self, mask: Tensor) -> Tensor:
        """Return which pixels of a mask stay, bool ``[B, H, W]``.

        The blobs that are measured are those of the mask after opening and closing; pixels that closing added are not
        part of what stays.
        """
        smooth = masks.closed(masks.opened(mask, self.opening), self.closing)
        if self.min_area or self.keep_largest:
            labels = masks.label(smooth)
            sizes = masks.areas(labels)
            sizes = torch.where(sizes >= self.min_area, sizes, 0)
            kept = masks.largest(sizes, 1) if self.keep_largest else sizes > 0
            smooth = masks.looked_up(labels, kept)
        return smooth & mask


class MaskRobustifier(_Robust):
    """Clears a mask of specks, and keeps the labels of what stays.

    The mask ``> 0`` is opened, closed, and loses its 8-connected blobs of fewer than `min_area` pixels, then all but
    the largest. Gaps that closing bridges join blobs and count for their areas, but stay 0.

    Args:
        opening_kernel: Side of the square that a blob must hold to stay, pixels; 0 and 1 for none. Even ones mean the
            next odd one.
        closing_kernel: Side of the square that a gap must hold to divide, pixels.
        min_area: Pixels of the smallest blob that stays.
        keep_largest: Whether only the largest blob of each frame stays.
    """

    tags = ("mask", "segmentation", "postprocessing", "numpy")
    independence = Independence.FRAME
    inputs = ports(mask=Port(torch.int32, (-1, -1, -1), description="Labels, set where above 0 [B, H, W]"))
    outputs = ports(mask=Port(torch.int32, (-1, -1, -1), description="Labels of what stays, 0 elsewhere [B, H, W]"))

    def __init__(
        self, opening_kernel: int = 0, closing_kernel: int = 3, min_area: int = 10, keep_largest: bool = True
    ) -> None:
        super().__init__(opening_kernel, closing_kernel, min_area, keep_largest)

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        mask: Tensor = inputs["mask"]
        return {"mask": torch.where(self.clean(mask > 0), mask, 0)}


class ClassMapRobustifier(_Robust):
    """Clears each class of a map of specks, as `MaskRobustifier` does a mask; `NearestLabelFill` can fill the gaps.

    Args:
        opening_kernel: Side of the square that a blob must hold to stay, pixels; 0 and 1 for none.
        closing_kernel: Side of the square that a gap must hold to divide, pixels.
        min_area: Pixels of the smallest blob that stays.
        keep_largest: Whether only the largest blob of each class and frame stays.
        background_value: What pixels without a class hold.
    """

    tags = ("mask", "segmentation", "classification", "postprocessing", "numpy")
    independence = Independence.FRAME
    inputs = ports(class_map=Port(torch.int64, (-1, -1, -1), description="Class of each pixel [B, H, W]"))
    outputs = ports(
        class_map=Port(torch.int64, (-1, -1, -1), description="Class of each pixel that stays [B, H, W]"),
        source=Port(torch.int64, (-1, -1, -1), description="The map as it came [B, H, W]"),
    )

    def __init__(
        self,
        opening_kernel: int = 0,
        closing_kernel: int = 3,
        min_area: int = 10,
        keep_largest: bool = True,
        background_value: int = -1,
    ) -> None:
        super().__init__(opening_kernel, closing_kernel, min_area, keep_largest)
        self.background = whole("background_value", background_value, at_least=-(2**63))

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        classes: Tensor = inputs["class_map"]
        kept = torch.zeros_like(classes, dtype=torch.bool)
        for value in torch.unique(classes[classes != self.background]).tolist():
            kept |= self.clean(classes == value)
        return {"class_map": torch.where(kept, classes, self.background), "source": classes}


class NearestLabelFill(Node):
    """Fills gaps of a map of classes from the nearest class, by steps in eight directions inside the foreground.

    The foreground is where the source has a class. Of several classes at the same distance the one of the highest
    number wins. Where no class can be reached, the source's own stays.

    Args:
        background_value: What pixels without a class hold, in both maps.
    """

    category = "transform"
    tags = ("mask", "segmentation", "classification", "postprocessing")
    independence = Independence.FRAME
    inputs = ports(
        class_map=Port(torch.int64, (-1, -1, -1), description="Class of each pixel, with gaps [B, H, W]"),
        source=Port(torch.int64, (-1, -1, -1), description="The map before it had gaps [B, H, W]"),
    )
    outputs = ports(class_map=Port(torch.int64, (-1, -1, -1), description="Class of each pixel [B, H, W]"))

    def __init__(self, background_value: int = -1) -> None:
        super().__init__()
        self.background = whole("background_value", background_value, at_least=-(2**63))

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        classes: Tensor = inputs["class_map"]
        source: Tensor = inputs["source"]
        if source.shape != classes.shape:
            raise self.refuse("source", f"a map of the shape of class_map, {list(classes.shape)}", source)
        known = classes != self.background
        values, rank = torch.unique(classes[known], return_inverse=True)
        if not len(values):
            return {"class_map": torch.where(source != self.background, source, classes)}
        # Ranks rather than class numbers, which floating point may not hold; 0 is for no class.
        ranks = torch.zeros_like(classes, dtype=torch.float64)
        ranks[known] = (rank + 1).to(torch.float64)
        gaps = (source != self.background) & ~known
        while bool(gaps.any()):
            reached = max_pool2d(ranks, 3, stride=1, padding=1) * gaps
            if not bool(reached.any()):
                break
            ranks += reached
            gaps &= reached == 0
        filled = values[(ranks.to(torch.int64) - 1).clamp_min(0)]
        return {"class_map": torch.where(ranks > 0, filled, torch.where(gaps, source, classes))}
