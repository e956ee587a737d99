"""Shapes of objects."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from swath.engine.graph.context import Context
from swath.engine.graph.independence import Independence
from swath.engine.graph.node import Node
from swath.engine.graph.ports import Port, ports
from swath.engine.hparams import choice, whole
from swath.engine.ops.masks import Regions, label, measure


class ShapeMorphology(Node):
    """Measures each object of a mask: size, place, axes and direction of the ellipse with the same second moments.

    - ``area``: pixels.
    - ``centroid_y``, ``centroid_x``: mean row and column, pixels.
    - ``major_axis``, ``minor_axis``: ``4 * sqrt(l)`` of the eigenvalues ``l1 >= l2`` of the covariance of the pixels'
      places, pixels.
    - ``eccentricity``: ``sqrt(1 - l2 / l1)``, 0 for a single pixel.
    - ``orientation``: angle of the major axis to the rows' axis, ``atan2(2 c_yx, c_yy - c_xx) / 2``, radians.
    - ``bbox_area``: pixels of the upright box around it.

    Source: B. K. P. Horn, "Robot Vision", MIT Press 1986, chapter 3; as `skimage.measure.regionprops` has them.

    Args:
        properties: Names of the columns of the output, in order; all of the above when left out.
        max_objects: Rows of the output. Further objects are dropped, missing ones are rows of 0.
        connectivity: 4 where pixels of an object share a side, 8 where a corner will do.
        binarize: Whether the objects are the blobs of what is not 0. Otherwise each value but 0 is an object, and they
            are numbered in ascending order.
    """

    category = "transform"
    tags = ("mask", "torch")
    independence = Independence.FRAME
    inputs = ports(mask=Port(torch.int32, (-1, -1, -1), description="Mask or labels, 0 outside [B, H, W]"))
    outputs = ports(
        identity_mask=Port(torch.int32, (-1, -1, -1), description="Number of the object, from 1 [B, H, W]"),
        properties=Port(torch.float32, (-1, -1, -1), description="Measures of each object [B, max_objects, P]"),
        valid=Port(torch.bool, (-1, -1), description="Rows that hold an object [B, max_objects]"),
    )

    def __init__(
        self,
        properties: Sequence[str] | None = None,
        max_objects: int = 256,
        connectivity: int = 8,
        binarize: bool = True,
    ) -> None:
        super().__init__()
        names = list(_PROPERTIES) if properties is None else list(properties)
        self.properties = [choice("properties", name, tuple(_PROPERTIES)) for name in names]
        if not self.properties:
            raise ValueError("properties must name at least one property")
        self.max_objects = whole("max_objects", max_objects, at_least=1)
        if connectivity not in (4, 8):
            raise ValueError(f"connectivity must be 4 or 8, got {connectivity!r}")
        self.connectivity = connectivity
        self.binarize = bool(binarize)

    @torch.no_grad()
    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        mask: Tensor = inputs["mask"]
        labels = label(mask != 0, self.connectivity) if self.binarize else _numbered(mask)
        labels = torch.where(labels <= self.max_objects, labels, 0)
        regions = measure(labels, self.max_objects)
        valid = regions.area > 0
        columns = torch.stack([_PROPERTIES[name](regions) for name in self.properties], dim=-1)
        return {
            "identity_mask": labels.to(torch.int32),
            "properties": torch.where(valid.unsqueeze(-1), columns, 0.0).to(torch.float32),
            "valid": valid,
        }


def _numbered(values: Tensor) -> Tensor:
    """Return each frame's values but 0 as numbers from 1, in ascending order, int64 ``[B, H, W]``."""
    numbers = torch.zeros_like(values, dtype=torch.int64)
    inside = values != 0
    frames = inside.nonzero(as_tuple=True)[0]
    found, rank = torch.unique(values[inside], return_inverse=True)
    pairs, number = torch.unique(frames * len(found) + rank, return_inverse=True)
    if not len(found):
        return numbers
    per_frame = torch.bincount(pairs // len(found), minlength=values.shape[0])
    before = per_frame.cumsum(0) - per_frame
    numbers[inside] = number - before[frames] + 1
    return numbers


def _eigenvalues(regions: Regions) -> tuple[Tensor, Tensor]:
    yy, yx, xx = regions.covariance.unbind(-1)
    half, spread = (yy + xx) / 2, torch.hypot(yy - xx, 2 * yx) / 2
    return half + spread, (half - spread).clamp_min(0)


def _eccentricity(regions: Regions) -> Tensor:
    large, small = _eigenvalues(regions)
    return torch.where(large > 0, (1 - small / large).clamp_min(0).sqrt(), 0.0)


def _orientation(regions: Regions) -> Tensor:
    yy, yx, xx = regions.covariance.unbind(-1)
    return torch.atan2(2 * yx, yy - xx) / 2


_PROPERTIES: Mapping[str, Callable[[Regions], Tensor]] = {
    "area": lambda regions: regions.area,
    "centroid_y": lambda regions: regions.row,
    "centroid_x": lambda regions: regions.column,
    "major_axis": lambda regions: 4 * _eigenvalues(regions)[0].sqrt(),
    "minor_axis": lambda regions: 4 * _eigenvalues(regions)[1].sqrt(),
    "eccentricity": _eccentricity,
    "orientation": _orientation,
    "bbox_area": lambda regions: ((regions.bottom - regions.top) * (regions.right - regions.left)).to(torch.float64),
}
