"""Lines, shapes and text on pictures, which stay on their device."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from swath.engine.draw.colours import Shade

WHITE: Shade = (255, 255, 255)
_DARK = (0, 0, 0, 190)


@cache
def font(size: float) -> ImageFont.FreeTypeFont:
    """Return DejaVu Sans, which has Greek letters and units, in a size of pixels."""
    import matplotlib as mpl  # carries the font; slow to import

    return ImageFont.truetype(Path(mpl.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"), size)


class Annotations:
    """Drawn at once onto pictures of one size.

    Args:
        height: Rows of the pictures.
        width: Columns.
    """

    def __init__(self, height: int, width: int) -> None:
        self._layer = Image.new("RGBA", (width, height))
        self._draw = ImageDraw.Draw(self._layer)

    def text(
        self,
        text: str,
        left: float,
        top: float,
        *,
        size: float = 14,
        colour: Shade = WHITE,
        box: tuple[int, int, int, int] = _DARK,
        padding: tuple[int, int] = (3, 2),
    ) -> None:
        """Write text on a box, moved into the picture where there is room for them.

        Args:
            text: What to write.
            left: Column where the text starts.
            top: Row of their top.
            size: Size of the font, pixels.
            colour: Colour of the text.
            box: Colour and opacity of the box, 0..255.
            padding: Columns and rows of the box around the text.
        """
        across, down = padding
        x0, y0, x1, y1 = self._draw.textbbox((0, 0), text, font=font(size))
        left = max(min(left, self._layer.width - (x1 - x0) - across), across)
        top = max(min(top, self._layer.height - (y1 - y0) - down), down)
        self._draw.rectangle([left - across, top - down, left + x1 - x0 + across, top + y1 - y0 + down], fill=box)
        self._draw.text((left - x0, top - y0), text, fill=colour, font=font(size))

    def box(self, corners: tuple[int, int, int, int], colour: Shade, thickness: int) -> None:
        """Draw the edges of a rectangle of left, top, right and bottom, all within; lines lie inside."""
        left, top, right, bottom = corners
        if left <= right and top <= bottom:
            self._draw.rectangle([left, top, right, bottom], outline=(*colour, 255), width=thickness)

    def pointer(self, tip: tuple[float, float], width: float, height: float, colour: Shade) -> None:
        """Draw a filled triangle that points down to a column and a row."""
        x, y = tip
        corners = [(x, y), (x - width / 2, y - height), (x + width / 2, y - height)]
        self._draw.polygon(corners, fill=(*colour, 255), outline=(0, 0, 0, 255), width=2)

    def curve(self, values: Tensor, corners: tuple[int, int, int, int], colour: Shade) -> None:
        """Draw numbers ``[N]`` from their lowest to their highest as an area in a rectangle."""
        left, top, right, bottom = corners
        heights = values.detach().cpu().double().nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)
        if len(heights) < 2 or right <= left or bottom <= top:
            return
        low, high = float(heights.min()), float(heights.max())
        share = (heights - low) / (high - low) if high > low else torch.full_like(heights, 0.5)
        columns = np.linspace(left, right, len(heights))
        line = [(float(x), bottom - float(y) * (bottom - top)) for x, y in zip(columns, share, strict=True)]
        self._draw.rectangle([left, top, right, bottom], fill=(0, 0, 0, 128))
        self._draw.polygon([(left, bottom), *line, (right, bottom)], fill=(*colour, 255))

    def over(self, frames: Tensor) -> Tensor:
        """Return pictures ``[..., H, W, 3]`` of 0..1 with everything drawn on them."""
        layer = torch.from_numpy(np.array(self._layer)).to(frames) / 255
        return frames.lerp(layer[..., :3], layer[..., 3:])
