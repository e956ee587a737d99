"""Nodes that classify pixels by the patches around them."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from swath.engine.graph.context import Context
from swath.engine.graph.invalid import Invalid
from swath.engine.graph.node import Node
from swath.engine.graph.ports import Port, ports
from swath.engine.hparams import choice, whole
from swath.engine.ops.validity import fill

_MIN_INT = -(2**63)


class PatchSampler(Node):
    """Cuts a square patch around labelled pixels; beyond the border the picture is mirrored.

    An invalid pixel gives no patch, and is the mean of the frame in the patches of others.

    Draws come from torch's own random numbers: other ones in each call, the same after the same seed.

    Args:
        patch_size: Side P of a patch, pixels; odd.
        samples_per_frame: Patches a frame in mode ``train``.
        class_balanced: Whether each class of a frame gives the same number of them, rather than each pixel being as
            likely as any other.
        ignore_index: Target of the pixels that have no label.
        mode: ``train`` draws with replacement, ``eval`` takes every labelled pixel in order.
        max_per_frame: Most patches a frame in mode ``eval``, at even steps; all when left out or 0.
    """

    category = "transform"
    tags = ("hyperspectral", "preprocessing", "stochastic")
    invalid = Invalid.SEEN
    inputs = ports(
        cube=Port(torch.float32, (-1, -1, -1, -1), description="Cube [B, H, W, C]"),
        targets=Port(torch.int64, (-1, -1, -1), description="Class of each pixel [B, H, W]"),
    )
    outputs = ports(
        patches=Port(torch.float32, (-1, -1, -1, -1), description="Patches [N, P, P, C]"),
        labels=Port(torch.int64, (-1,), description="Class of the pixel in the middle [N]"),
    )

    def __init__(
        self,
        patch_size: int = 7,
        samples_per_frame: int = 256,
        class_balanced: bool = True,
        ignore_index: int = -100,
        mode: str = "train",
        max_per_frame: int | None = None,
    ) -> None:
        super().__init__()
        self.side = whole("patch_size", patch_size, at_least=1)
        if self.side % 2 == 0:
            raise ValueError(f"patch_size must be odd, got {patch_size!r}")
        self.samples = whole("samples_per_frame", samples_per_frame, at_least=1)
        self.balanced = bool(class_balanced)
        self.ignored = whole("ignore_index", ignore_index, at_least=_MIN_INT)
        self.draws = choice("mode", mode, ("train", "eval")) == "train"
        self.most = whole("max_per_frame", max_per_frame or 0, at_least=0)

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        cube: Tensor = inputs["cube"]
        targets: Tensor = inputs["targets"]
        if targets.shape != cube.shape[:3]:
            raise self.refuse("targets", f"{list(cube.shape[:3])}, one class per pixel of the cube", targets)
        radius = self.side // 2
        if cube.numel() and radius >= min(cube.shape[1:3]):
            raise self.refuse("cube", f"a height and a width above {radius}, half a patch", cube)
        valid = context.valid_at(cube)
        labelled = targets != self.ignored
        if valid is not None:
            labelled, cube = labelled & valid, fill(cube, valid)
        chosen = [self._choose(frame, pixels) for frame, pixels in zip(targets, labelled, strict=True)]
        frame = torch.repeat_interleave(
            torch.arange(len(chosen), device=cube.device),
            torch.tensor([len(pixels) for pixels in chosen], dtype=torch.int64, device=cube.device),
        )
        row, column = torch.cat([*chosen, targets.new_zeros(0, 2)]).unbind(dim=1)
        return {"patches": _patches(cube, frame, row, column, radius), "labels": targets[frame, row, column]}

    def _choose(self, targets: Tensor, labelled: Tensor) -> Tensor:
        """Return rows and columns of the labelled pixels that a frame gives, ``[N, 2]``."""
        pixels = labelled.nonzero()
        if not len(pixels):
            return pixels
        if not self.draws:
            return pixels[:: math.ceil(len(pixels) / self.most)] if self.most else pixels
        if not self.balanced:
            return pixels[self._draw(len(pixels), self.samples)]
        labels = targets[pixels[:, 0], pixels[:, 1]]
        classes = labels.unique()
        share = max(1, self.samples // len(classes))
        members = [pixels[labels == label] for label in classes]
        drawn = torch.cat([member[self._draw(len(member), share)] for member in members])
        return drawn if len(drawn) <= self.samples else drawn[torch.randperm(len(drawn))[: self.samples]]

    @staticmethod
    def _draw(count: int, size: int) -> Tensor:
        # On the host, so that every device draws the same pixels.
        return torch.randint(0, count, (size,))


def _patches(cube: Tensor, frame: Tensor, row: Tensor, column: Tensor, radius: int) -> Tensor:
    side = 2 * radius + 1
    if not len(frame):
        return cube.new_zeros(0, side, side, cube.shape[-1])
    offsets = torch.arange(-radius, radius + 1, device=cube.device)
    rows = _mirrored(row[:, None] + offsets, cube.shape[1])
    columns = _mirrored(column[:, None] + offsets, cube.shape[2])
    return cube[frame[:, None, None], rows[:, :, None], columns[:, None, :]]


def _mirrored(index: Tensor, size: int) -> Tensor:
    """Reflect indices at the first and last pixel, which are not repeated."""
    last = size - 1
    return last - (last - index.abs()).abs()


class ClassMapAccumulator(Node):
    """Writes the class of each patch to the pixel it came from; `class_maps` holds the maps.

    They are kept on the host until `forget`, one a frame.

    Args:
        background_value: Class of the pixels that no patch came from.
    """

    category = "sink"
    tags = ("mask", "classification", "postprocessing")
    stateful = True
    inputs = ports(
        logits=Port(torch.float32, (-1, -1), description="Score of each class [N, K]"),
        frame_id=Port(torch.int64, (-1,), description="Frame that each patch came from [N]"),
        y=Port(torch.int64, (-1,), description="Row of its pixel [N]"),
        x=Port(torch.int64, (-1,), description="Column of its pixel [N]"),
        height=Port(torch.int64, (-1,), description="Height of its frame [N]"),
        width=Port(torch.int64, (-1,), description="Width of its frame [N]"),
    )

    def __init__(self, background_value: int = -1) -> None:
        super().__init__()
        self.background = whole("background_value", background_value, at_least=_MIN_INT)
        self._maps: dict[int, Tensor] = {}

    @property
    def class_maps(self) -> dict[int, Tensor]:
        """Class of each pixel by frame, ``[H, W]`` in int64; copies."""
        return {frame: classes.clone() for frame, classes in self._maps.items()}

    def forget(self) -> None:
        self._maps = {}

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        logits: Tensor = inputs["logits"]
        if logits.shape[1] == 0:
            raise self.refuse("logits", "at least one class", logits)
        for port in ("frame_id", "y", "x", "height", "width"):
            if inputs[port].shape != logits.shape[:1]:
                raise self.refuse(port, f"{logits.shape[0]} numbers, one per patch", inputs[port])
        classes = logits.detach().argmax(dim=1).cpu()
        frames, y, x, height, width = (inputs[port].cpu() for port in ("frame_id", "y", "x", "height", "width"))
        for frame in frames.unique().tolist():
            of_frame = frames == frame
            self._write(
                frame, classes[of_frame], y[of_frame], x[of_frame], torch.stack([height, width], dim=1)[of_frame]
            )
        return {}

    def _write(self, frame: int, classes: Tensor, y: Tensor, x: Tensor, sizes: Tensor) -> None:
        size = list(self._maps[frame].shape) if frame in self._maps else sizes[0].tolist()
        if min(size) < 1 or bool((sizes != torch.tensor(size)).any()):
            words = f"one height and width, at least 1, for all patches of frame {frame}"
            raise self.refuse("height", words, sizes)
        outside = (y < 0) | (y >= size[0]) | (x < 0) | (x >= size[1])
        if bool(outside.any()):
            place = f"({int(y[outside][0])}, {int(x[outside][0])})"
            raise self.refuse("y", f"pixels inside of frame {frame} of {size[0]} by {size[1]}, got one at {place}", y)
        if frame not in self._maps:
            self._maps[frame] = torch.full(tuple(size), self.background)
        self._maps[frame][y, x] = classes
