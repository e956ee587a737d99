"""Captions on pictures, and legends below them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor

from swath.engine.draw.annotations import WHITE, Annotations, font
from swath.engine.draw.colours import Shade, light, shade
from swath.engine.draw.pictures import to_bytes
from swath.engine.graph.context import Context
from swath.engine.graph.independence import Independence
from swath.engine.graph.invalid import Invalid
from swath.engine.graph.node import Node
from swath.engine.graph.ports import LIST, Port, ports
from swath.engine.hparams import fraction, whole

_PICTURE = Port(torch.float32, (-1, -1, -1, 3), description="Pictures of 0..1 [B, H, W, 3]")
_TAGS = ("image", "rgb")
_EIGHT_CONNECTED = np.ones((3, 3), dtype=bool)


class TitleOverlay(Node):
    """Words in the upper left corner of each picture, on a box that lets it shine through; none where they are blank.

    Args:
        text: Words on every frame that `caption` gives none for.
        font_size: Size of the words, pixels.
        pad_px: Distance from the corner, pixels.
        text_color: Colour of the words, 0..255.
        box_color: Colour of the box.
        box_alpha: Opacity of the box, 0 to 1.
    """

    category = "transform"
    tags = _TAGS
    invalid = Invalid.DRAWN
    independence = Independence.FRAME
    inputs = ports(
        frame=_PICTURE,
        caption=Port(LIST, optional=True, description="Words of each frame, B of them"),
    )
    outputs = ports(frame=_PICTURE)

    def __init__(
        self,
        text: str = "",
        font_size: int = 20,
        pad_px: int = 8,
        text_color: Sequence[int] = WHITE,
        box_color: Sequence[int] = (0, 0, 0),
        box_alpha: float = 0.5,
    ) -> None:
        super().__init__()
        self.text = str(text)
        self.size = whole("font_size", font_size, at_least=1)
        self.padding = whole("pad_px", pad_px, at_least=0)
        self.colour = shade("text_color", text_color)
        self.box = (*shade("box_color", box_color), round(255 * fraction("box_alpha", box_alpha)))

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        frames: Tensor = inputs["frame"].clamp(0, 1)
        given: list[Any] | None = inputs.get("caption")
        if given is not None and len(given) != frames.shape[0]:
            raise self.refuse("caption", f"{frames.shape[0]} captions, one per frame", given)
        captions = [self.text] * frames.shape[0] if given is None else [str(words) for words in given]
        titled = frames.clone()
        for words in {words for words in captions if words.strip()}:
            drawn = Annotations(*frames.shape[1:3])
            drawn.text(
                words, self.padding, self.padding, size=self.size, colour=self.colour, box=self.box, padding=(5, 3)
            )
            same = [index for index, caption in enumerate(captions) if caption == words]
            titled[same] = drawn.over(frames[same])
        return {"frame": titled}


class LegendStrip(Node):
    """A strip below each picture that says which colour stands for what, and how many blobs of it there are.

    Blobs are 8-connected. Without labels nothing is counted; what a frame has none of is dimmed.

    Args:
        entries: Name and colour of 0..255 of each class.
        n_columns: Entries in a row.
        tile_height_px: Rows of pixels of an entry.
        swatch_width_px: Width of the patch of colour.
        text_padding_px: Distance between patch and words, and around the strip.
        background_color: Colour of the strip, 0..1.
        text_color: Colour of the words, 0..255.
        dim_text_color: Their colour where there is none of the class.
        font_size: Size of the words, pixels.
    """

    category = "transform"
    tags = _TAGS
    invalid = Invalid.DRAWN
    independence = Independence.FRAME
    inputs = ports(
        frame=_PICTURE,
        label_rgb=Port(
            torch.float32, (-1, -1, -1, 3), optional=True, description="Labels as colours of 0..1 [B, h, w, 3]"
        ),
    )
    outputs = ports(
        frame=Port(torch.float32, (-1, -1, -1, 3), description="Pictures and strips [B, H + rows of the strip, W, 3]")
    )

    def __init__(
        self,
        entries: Sequence[tuple[str, Sequence[int]]],
        n_columns: int = 6,
        tile_height_px: int = 22,
        swatch_width_px: int = 28,
        text_padding_px: int = 6,
        background_color: Sequence[float] = (0.08, 0.08, 0.08),
        text_color: Sequence[int] = (240, 240, 240),
        dim_text_color: Sequence[int] = (110, 110, 110),
        font_size: int = 12,
    ) -> None:
        super().__init__()
        if not entries:
            raise ValueError(f"entries must name at least one class, got {entries!r}")
        self.entries = [_entry(entry) for entry in entries]
        self.columns = whole("n_columns", n_columns, at_least=1)
        self.tile = whole("tile_height_px", tile_height_px, at_least=5)
        self.swatch = whole("swatch_width_px", swatch_width_px, at_least=1)
        self.padding = whole("text_padding_px", text_padding_px, at_least=0)
        self.background = light("background_color", background_color)
        self.colour = shade("text_color", text_color)
        self.dim = shade("dim_text_color", dim_text_color)
        self.size = whole("font_size", font_size, at_least=1)

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        frames: Tensor = inputs["frame"]
        labels: Tensor | None = inputs.get("label_rgb")
        if labels is not None and labels.shape[0] != frames.shape[0]:
            raise self.refuse("label_rgb", f"labels of {frames.shape[0]} frames", labels)
        coloured = [None] * frames.shape[0] if labels is None else to_bytes(labels.detach().cpu().numpy())
        counts = [None if one is None else self._counts(one) for one in coloured]
        drawn = {numbers: self._strip(frames.shape[2], numbers) for numbers in set(counts)}
        strips = frames.new_zeros(frames.shape[0], self._height, *frames.shape[2:])
        for strip, numbers in zip(strips, counts, strict=True):
            strip.copy_(torch.from_numpy(drawn[numbers]))
        return {"frame": torch.cat([frames.clamp(0, 1), strips / 255], dim=1)}

    @property
    def _height(self) -> int:
        return -(-len(self.entries) // self.columns) * self.tile + 2 * self.padding

    def _counts(self, labels: NDArray[np.uint8]) -> tuple[int, ...]:
        from scipy import ndimage  # slow to import, and only labels need it

        numbers = np.zeros(labels.shape[:2], dtype=np.int32)
        counts: list[int] = []
        for _, colour in self.entries:
            ndimage.label((labels == colour).all(axis=-1), structure=_EIGHT_CONNECTED, output=numbers)
            counts.append(int(numbers.max(initial=0)))
        return tuple(counts)

    def _strip(self, width: int, counts: tuple[int, ...] | None) -> NDArray[np.uint8]:
        image = Image.new("RGB", (width, self._height), tuple(round(255 * part) for part in self.background))
        draw = ImageDraw.Draw(image)
        column = width // self.columns
        for index, (name, colour) in enumerate(self.entries):
            count = None if counts is None else counts[index]
            present = count != 0
            left = index % self.columns * column + self.padding
            top = index // self.columns * self.tile + self.padding
            patch = [left, top, left + self.swatch, top + self.tile - 4]
            draw.rectangle(patch, fill=colour if present else _third(colour), outline=WHITE if present else self.dim)
            start = patch[2] + self.padding
            room = left - self.padding + column - start
            words = _fitting(draw, name, "" if count is None else f" ({count})", room, self.size)
            middle = top + (self.tile - 4) / 2
            draw.text(
                (start, middle), words, fill=self.colour if present else self.dim, font=font(self.size), anchor="lm"
            )
        return np.array(image)


def _entry(entry: Any) -> tuple[str, Shade]:
    if isinstance(entry, str) or not hasattr(entry, "__len__") or len(entry) != 2:
        raise ValueError(f"entries must be pairs of a name and a colour, got {entry!r}")
    return str(entry[0]), shade("entries", entry[1])


def _third(colour: Shade) -> Shade:
    red, green, blue = colour
    return red // 3, green // 3, blue // 3


def _fitting(draw: ImageDraw.ImageDraw, name: str, suffix: str, room: float, size: int) -> str:
    """Shorten a name until it and its suffix have room."""
    if draw.textlength(name + suffix, font=font(size)) <= room:
        return name + suffix
    shorter = [f"{name[:length].rstrip()}…{suffix}" for length in range(len(name) - 1, 0, -1)]
    return next((words for words in shorter if draw.textlength(words, font=font(size)) <= room), "")
