"""Masks, boxes and objects drawn on pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

from swath.engine.draw.annotations import Annotations
from swath.engine.draw.colours import light, of_object
from swath.engine.graph.context import Context
from swath.engine.graph.independence import Independence
from swath.engine.graph.invalid import Invalid
from swath.engine.graph.node import Node
from swath.engine.graph.ports import Port, ports
from swath.engine.hparams import fraction, whole

_GLYPH = 7
"""Rows of a small letter; arguments give sizes of text as multiples of it."""
_EDGE = 2
"""Pixels of a contour."""

_FRAME = Port(torch.float32, (1, -1, -1, 3), description="Picture of 0..1 [1, H, W, 3]")
_NUMBER = Port(torch.int64, (1,), optional=True, description="Number written on the frame [1]")
_OBJECTS: Mapping[str, Port] = ports(
    rgb_image=_FRAME,
    mask=Port(torch.int32, (1, -1, -1), description="Number of the object of each pixel, 0 for none [1, H, W]"),
    object_ids=Port(torch.int64, (1, -1), optional=True, description="Objects to draw; all when left out [1, N]"),
    frame_id=_NUMBER,
)
_DRAWN = ports(rgb_with_overlay=Port(torch.float32, (1, -1, -1, 3), description="Picture of 0..1 [1, H, W, 3]"))


class MaskOverlayNode(Node):
    """``(1 - alpha) picture + alpha colour`` where the mask is above 0.

    Args:
        alpha: Share of the colour, 0 to 1.
        overlay_color: Colour of 0..1.
    """

    category = "visualizer"
    tags = ("mask", "rgb")
    invalid = Invalid.DRAWN
    independence = Independence.PIXEL
    inputs = ports(
        rgb_image=Port(torch.float32, (-1, -1, -1, 3), description="Pictures of 0..1 [B, H, W, 3]"),
        mask=Port(torch.int32, (-1, -1, -1), optional=True, description="Above 0 where coloured [B, H, W]"),
    )
    outputs = ports(rgb_with_overlay=Port(torch.float32, (-1, -1, -1, 3), description="Pictures [B, H, W, 3]"))

    def __init__(self, alpha: float = 0.4, overlay_color: Sequence[float] = (1.0, 0.0, 0.0)) -> None:
        super().__init__()
        self.alpha = fraction("alpha", alpha)
        self.colour = light("overlay_color", overlay_color)

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        picture: Tensor = inputs["rgb_image"]
        mask: Tensor | None = inputs.get("mask")
        if mask is None:
            return {"rgb_with_overlay": picture}
        if mask.shape != picture.shape[:-1]:
            raise self.refuse("mask", f"the pixels of the picture, {list(picture.shape[:-1])}", mask)
        coloured = picture.lerp(picture.new_tensor(self.colour), self.alpha)
        return {"rgb_with_overlay": torch.where((mask > 0).unsqueeze(-1), coloured.clamp(0, 1), picture)}


class TrackingOverlayNode(Node):
    """Objects in colours of their own, with contours and numbers.

    Args:
        alpha: Share of the colour within an object, 0 to 1.
        draw_contours: Whether the outermost two pixels of an object have its colour alone.
        draw_ids: Whether its number stands above it.
        text_scale: Size of the numbers, multiples of 7 pixels.
    """

    category = "visualizer"
    tags = ("tracking", "bbox", "rgb")
    invalid = Invalid.DRAWN
    inputs = _OBJECTS
    outputs = _DRAWN

    def __init__(
        self, alpha: float = 0.4, draw_contours: bool = True, draw_ids: bool = True, text_scale: int = 2
    ) -> None:
        super().__init__()
        self.alpha = fraction("alpha", alpha)
        self.contours = bool(draw_contours)
        self.numbers = bool(draw_ids)
        self.size = _GLYPH * whole("text_scale", text_scale, at_least=1)

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        frame, mask = _frame_and_mask(self, inputs)
        numbers, extents = _objects(mask, inputs.get("object_ids"))
        if not numbers:
            return _numbered(frame, Annotations(*mask.shape), inputs)
        known = torch.tensor(sorted(numbers), device=mask.device)
        place = torch.searchsorted(known, mask.long()).clamp_max(len(known) - 1)
        table = frame.new_tensor([of_object(number) for number in known.tolist()]) / 255
        weight = self.alpha * (known[place] == mask)
        if self.contours:
            weight = torch.where((known[place] == mask) & _edges(mask), 1.0, weight)
        frame = frame.lerp(table[place], weight.unsqueeze(-1).to(frame))
        drawn = Annotations(*mask.shape)
        for number in numbers if self.numbers else ():
            left, top, _, _ = extents[number]
            drawn.text(str(number), left, top - self.size - 4, size=self.size)
        return _numbered(frame, drawn, inputs)


class TrackingPointerOverlayNode(Node):
    """A triangle above each object that points at it, in the object's colour."""

    category = "visualizer"
    tags = ("tracking", "bbox", "rgb")
    invalid = Invalid.DRAWN
    inputs = _OBJECTS
    outputs = _DRAWN

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        frame, mask = _frame_and_mask(self, inputs)
        numbers, extents = _objects(mask, inputs.get("object_ids"))
        rows, columns = mask.shape
        drawn = Annotations(rows, columns)
        for number in numbers:
            left, top, right, middle = extents[number]
            width = min(max(0.45 * (right - left + 1), 12), 48, max(columns - 1, 1))
            height = min(max(0.8 * width, 10), 36, max(rows - 1, 1))
            gap = min(max(0.3 * height, 4), 10)
            across = min(max(middle, width / 2), columns - 1 - width / 2)
            drawn.pointer((across, max(top - gap, height)), width, height, of_object(number))
        return _numbered(frame, drawn, inputs)


class BBoxesOverlayNode(Node):
    """Boxes in the colours of their classes.

    Args:
        line_thickness: Pixels of the lines.
        draw_labels: Whether the class stands above the box, where it is at least 0.
        draw_sparklines: Whether the spectrum of the box is drawn along its lower edge, where there is room.
        sparkline_height: Height of the spectra, pixels.
        hide_untracked: Whether boxes of a class below 0 are left out.
    """

    category = "visualizer"
    tags = ("bbox", "rgb")
    invalid = Invalid.DRAWN
    inputs = ports(
        rgb_image=_FRAME,
        bboxes=Port(torch.float32, (1, -1, 4), description="Left, top, right and bottom, pixels [1, N, 4]"),
        category_ids=Port(torch.int64, (1, -1), description="Class of each box [1, N]"),
        frame_id=_NUMBER,
        confidences=Port(torch.float32, (1, -1), optional=True, description="Taken, not drawn [1, N]"),
        spectral_signatures=Port(torch.float32, (1, -1, -1), optional=True, description="Spectra [1, N, C]"),
    )
    outputs = _DRAWN

    def __init__(
        self,
        line_thickness: int = 2,
        draw_labels: bool = False,
        draw_sparklines: bool = False,
        sparkline_height: int = 24,
        hide_untracked: bool = False,
    ) -> None:
        super().__init__()
        self.thickness = whole("line_thickness", line_thickness, at_least=1)
        self.labels = bool(draw_labels)
        self.sparklines = bool(draw_sparklines)
        self.height = whole("sparkline_height", sparkline_height, at_least=4)
        self.hide = bool(hide_untracked)

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        frame: Tensor = inputs["rgb_image"][0].clamp(0, 1)
        boxes: Tensor = inputs["bboxes"][0]
        spectra: Tensor | None = inputs.get("spectral_signatures")
        for port in ("category_ids", "spectral_signatures"):
            if port in inputs and inputs[port].shape[1] != len(boxes):
                raise self.refuse(port, f"one for each of {len(boxes)} boxes", inputs[port])
        rows, columns = frame.shape[:2]
        most = boxes.new_tensor([columns, rows, columns, rows]) - 1
        corners = torch.minimum(boxes.nan_to_num(nan=0.0).round().clamp_min(0), most).int().tolist()
        drawn = Annotations(rows, columns)
        for index, ((left, top, right, bottom), number) in enumerate(
            zip(corners, inputs["category_ids"][0].tolist(), strict=True)
        ):
            if self.hide and number < 0:
                continue
            colour = of_object(number)
            drawn.box((left, top, right, bottom), colour, self.thickness)
            inside = left + self.thickness, bottom - self.thickness - self.height, right - self.thickness
            if self.sparklines and spectra is not None and inside[1] > top + self.thickness:
                drawn.curve(spectra[0, index], (*inside, bottom - self.thickness), colour)
            if self.labels and number >= 0:
                drawn.text(str(number), left, top - 2 * _GLYPH - 4, size=2 * _GLYPH, colour=colour)
        return _numbered(frame, drawn, inputs)


def _frame_and_mask(node: Node, inputs: dict[str, Any]) -> tuple[Tensor, Tensor]:
    frame: Tensor = inputs["rgb_image"]
    mask: Tensor = inputs["mask"]
    if mask.shape != frame.shape[:-1]:
        raise node.refuse("mask", f"the pixels of the picture, {list(frame.shape[:-1])}", mask)
    return frame[0].clamp(0, 1), mask[0]


def _objects(mask: Tensor, wanted: Tensor | None) -> tuple[list[int], dict[int, tuple[int, int, int, float]]]:
    """Return the objects to draw, in order, and the left, top, right and mean column of all that there are."""
    rows, columns = mask.nonzero(as_tuple=True)
    numbers, which = mask[rows, columns].unique(return_inverse=True)
    nowhere = torch.zeros(len(numbers), dtype=torch.int64, device=mask.device)
    left = nowhere.scatter_reduce(0, which, columns, "amin", include_self=False)
    top = nowhere.scatter_reduce(0, which, rows, "amin", include_self=False)
    right = nowhere.scatter_reduce(0, which, columns, "amax", include_self=False)
    middle = nowhere.double().scatter_reduce(0, which, columns.double(), "mean", include_self=False)
    places = zip(left.tolist(), top.tolist(), right.tolist(), middle.tolist(), strict=True)
    extents = dict(zip(numbers.tolist(), places, strict=True))
    order = list(extents) if wanted is None else dict.fromkeys(wanted[0].tolist())
    return [number for number in order if number > 0 and number in extents], extents


def _edges(mask: Tensor) -> Tensor:
    """Return the pixels with another object near enough; the border of the picture is none."""
    values = mask[None, None].double()
    size = 2 * _EDGE + 1
    highest = max_pool2d(values, size, stride=1, padding=_EDGE)
    lowest = -max_pool2d(-values, size, stride=1, padding=_EDGE)
    return (highest != lowest)[0, 0]


def _numbered(frame: Tensor, drawn: Annotations, inputs: dict[str, Any]) -> dict[str, Any]:
    if "frame_id" in inputs:
        drawn.text(f"frame {int(inputs['frame_id'])}", 8, 8)
    return {"rgb_with_overlay": drawn.over(frame)[None]}
