"""Where pictures go on a larger one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from swath.engine.draw.colours import light
from swath.engine.graph.context import Context
from swath.engine.graph.independence import Independence
from swath.engine.graph.invalid import Invalid
from swath.engine.graph.node import Node
from swath.engine.graph.ports import Port, ports
from swath.engine.hparams import choice, whole

_PICTURE = (-1, -1, -1, 3)
_MIN_SIDE = 8


class ROIZoomNode(Node):
    """The inside of a box, resized: bilinear, with the centres of pixels in the middle of their area.

    The corners are rounded to whole pixels and cut to the picture; a box without area gives the background.

    Args:
        zoom_height: Rows of the result, pixels, at least 8.
        zoom_width: Columns of the result, likewise.
        bg_color: Colour of 0..1 of frames without a box.
    """

    category = "transform"
    tags = ("image", "preprocessing")
    invalid = Invalid.DRAWN
    independence = Independence.FRAME
    inputs = ports(
        source=Port(torch.float32, _PICTURE, description="Pictures of 0..1 [B, H, W, 3]"),
        bbox=Port(torch.float32, (-1, 4), description="Left, top, right and bottom of each frame, pixels [B, 4]"),
        valid=Port(torch.int32, (-1,), optional=True, description="0 for frames without a box [B]"),
    )
    outputs = ports(zoom=Port(torch.float32, _PICTURE, description="Boxes, resized [B, zoom height, zoom width, 3]"))

    def __init__(
        self, zoom_height: int = 320, zoom_width: int = 320, bg_color: Sequence[float] = (0.0, 0.0, 0.0)
    ) -> None:
        super().__init__()
        self.height = whole("zoom_height", zoom_height, at_least=_MIN_SIDE)
        self.width = whole("zoom_width", zoom_width, at_least=_MIN_SIDE)
        self.background = light("bg_color", bg_color)

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        source: Tensor = inputs["source"]
        box: Tensor = inputs["bbox"]
        valid: Tensor | None = inputs.get("valid")
        frames, height, width, _ = source.shape
        for port in ("bbox", "valid"):
            if port in inputs and inputs[port].shape[0] != frames:
                raise self.refuse(port, f"one for each of {frames} frames", inputs[port])
        left, top, right, bottom = box.nan_to_num(nan=0.0).round().clamp_min(0).unbind(dim=1)
        right, bottom = right.clamp_max(width), bottom.clamp_max(height)
        shown = (right > left) & (bottom > top)
        if valid is not None:
            shown &= valid != 0
        # Frames that are not shown are sampled at their first pixel, and replaced below.
        upper, lower, down = _samples(torch.where(shown, top, 0), torch.where(shown, bottom, 1), self.height)
        start, end, across = _samples(torch.where(shown, left, 0), torch.where(shown, right, 1), self.width)
        frame = torch.arange(frames, device=source.device)[:, None, None]
        weight = across[:, None, :, None]

        def row(index: Tensor) -> Tensor:
            rows = index[:, :, None]
            return source[frame, rows, start[:, None]].lerp(source[frame, rows, end[:, None]], weight)

        zoom = row(upper).lerp(row(lower), down[:, :, None, None]).clamp(0, 1)
        return {"zoom": torch.where(shown.view(-1, 1, 1, 1), zoom, zoom.new_tensor(self.background))}


class InsetComposer(Node):
    """A smaller picture in a corner of a larger one, within a border.

    Args:
        corner: ``top-left``, ``top-right``, ``bottom-left`` or ``bottom-right``.
        margin_px: Distance from the edges, pixels.
        border_px: Thickness of the border, pixels.
        border_color: Colour of the border, 0..1.
    """

    category = "transform"
    tags = ("image", "preprocessing")
    invalid = Invalid.DRAWN
    independence = Independence.FRAME
    inputs = ports(
        base=Port(torch.float32, _PICTURE, description="Pictures of 0..1 [B, H, W, 3]"),
        inset=Port(torch.float32, _PICTURE, description="Pictures for the corner, 0..1 [B, h, w, 3]"),
        valid=Port(torch.int32, (-1,), optional=True, description="0 for frames without an inset [B]"),
    )
    outputs = ports(composite=Port(torch.float32, _PICTURE, description="Pictures with their insets [B, H, W, 3]"))

    def __init__(
        self,
        corner: str = "top-right",
        margin_px: int = 16,
        border_px: int = 2,
        border_color: Sequence[float] = (1.0, 1.0, 1.0),
    ) -> None:
        super().__init__()
        corners = tuple(f"{rows}-{columns}" for rows in ("top", "bottom") for columns in ("left", "right"))
        self.rows, self.columns = choice("corner", corner, corners).split("-")
        self.margin = whole("margin_px", margin_px, at_least=0)
        self.border = whole("border_px", border_px, at_least=0)
        self.colour = light("border_color", border_color)

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        base: Tensor = inputs["base"]
        inset: Tensor = inputs["inset"]
        valid: Tensor | None = inputs.get("valid")
        for port in ("inset", "valid"):
            if port in inputs and inputs[port].shape[0] != base.shape[0]:
                raise self.refuse(port, f"one for each of {base.shape[0]} frames", inputs[port])
        height, width = (size + 2 * self.border for size in inset.shape[1:3])
        most = [size - 2 * (self.margin + self.border) for size in base.shape[1:3]]
        if inset.shape[1] > most[0] or inset.shape[2] > most[1]:
            raise self.refuse("inset", f"at most {most[0]} rows and {most[1]} columns, for margin and border", inset)
        top = self.margin if self.rows == "top" else base.shape[1] - self.margin - height
        left = self.margin if self.columns == "left" else base.shape[2] - self.margin - width
        framed = inset.new_tensor(self.colour).repeat(inset.shape[0], height, width, 1)
        inner = slice(self.border, height - self.border), slice(self.border, width - self.border)
        framed[:, inner[0], inner[1]] = inset.clamp(0, 1)
        composite = base.clone()
        place = composite[:, top : top + height, left : left + width]
        if valid is not None:
            framed = torch.where((valid != 0).view(-1, 1, 1, 1), framed, place)
        place.copy_(framed)
        return {"composite": composite}


class ImageConcatenator(Node):
    """Pictures in a row or a column, in the order of the edges; smaller ones on a background.

    Args:
        axis: ``horizontal`` or ``vertical``.
        gap: Pixels of background between two pictures.
        bg_color: Colour of the background, 0..1.
        align: Where a smaller picture lies across the axis: ``start``, ``center`` or ``end``.
    """

    category = "transform"
    tags = ("image", "rgb")
    invalid = Invalid.DRAWN
    independence = Independence.FRAME
    inputs = ports(images=Port(torch.float32, _PICTURE, variadic=True, description="Pictures of 0..1 [B, H, W, 3]"))
    outputs = ports(rgb_image=Port(torch.float32, _PICTURE, description="All of them [B, H', W', 3]"))

    def __init__(
        self,
        axis: str = "horizontal",
        gap: int = 0,
        bg_color: Sequence[float] = (1.0, 1.0, 1.0),
        align: str = "center",
    ) -> None:
        super().__init__()
        self.along, self.across = (2, 1) if choice("axis", axis, ("horizontal", "vertical")) == "horizontal" else (1, 2)
        self.gap = whole("gap", gap, at_least=0)
        self.background = light("bg_color", bg_color)
        self.align = choice("align", align, ("start", "center", "end"))

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        images: list[Tensor] = inputs["images"]
        frames = images[0].shape[0]
        for image in images:
            if image.shape[0] != frames:
                raise self.refuse("images", f"pictures of {frames} frames, as the first has", image)
        size = [frames, 0, 0, 3]
        size[self.across] = max(image.shape[self.across] for image in images)
        size[self.along] = sum(image.shape[self.along] for image in images) + self.gap * (len(images) - 1)
        sheet = images[0].new_tensor(self.background).expand(size).clone()
        offset = 0
        for image in images:
            spare = size[self.across] - image.shape[self.across]
            before = {"start": 0, "center": spare // 2, "end": spare}[self.align]
            place = sheet.narrow(self.along, offset, image.shape[self.along])
            place.narrow(self.across, before, image.shape[self.across]).copy_(image.clamp(0, 1))
            offset += image.shape[self.along] + self.gap
        return {"rgb_image": sheet}


def _samples(start: Tensor, end: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return for each of some intervals ``[B]`` the pixels before and after each sample ``[B, count]``, and the share
    of the latter."""
    sizes = end - start
    centres = (torch.arange(count, device=start.device) + 0.5) * (sizes / count)[:, None] - 0.5
    centres = torch.minimum(centres.clamp_min(0), (sizes - 1)[:, None])
    below = centres.floor()
    above = torch.minimum(below + 1, (sizes - 1)[:, None])
    return (start[:, None] + below).long(), (start[:, None] + above).long(), centres - below
