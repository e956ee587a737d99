"""Nodes that write single pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from swath.engine.draw import pictures
from swath.engine.graph.context import Context
from swath.engine.graph.invalid import Invalid
from swath.engine.graph.node import Node
from swath.engine.graph.ports import Port, ports
from swath.engine.hparams import whole
from swath.engine.nodes.video import frame_numbers


class PngWriter(Node):
    """Writes pictures as PNG files.

    One picture without a number goes to `output_path` itself. Otherwise the number of the frame, or of the picture in
    its batch, stands between name and ending: ``<name>_<six digits>.png``.

    Args:
        output_path: The file.
        compression_level: Effort of zlib, 0 to 9.
    """

    category = "sink"
    tags = ("image", "rgb")
    invalid = Invalid.PASSED
    effect = True
    inputs = ports(
        rgb_image=Port(torch.float32, (-1, -1, -1, 3), description="Pictures of 0..1 [B, H, W, 3]"),
        frame_id=Port(torch.int64, (-1,), optional=True, description="Number of each frame [B]"),
    )

    def __init__(self, output_path: str, compression_level: int = 6) -> None:
        super().__init__()
        if not Path(output_path).name:
            raise ValueError(f"output_path must name a file, got {output_path!r}")
        self.path = str(output_path)
        self.level = whole("compression_level", compression_level, at_least=0)
        if self.level > 9:
            raise ValueError(f"compression_level must be at most 9, got {compression_level!r}")

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        frames: Tensor = inputs["rgb_image"]
        numbers = frame_numbers(self, inputs)
        for index, frame in enumerate(frames.detach().cpu().numpy()):
            target = context.resolve(self._path(index if numbers is None else numbers[index], len(frames), numbers))
            target.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pictures.to_bytes(frame)).save(target, format="PNG", compress_level=self.level)
        return {}

    def _path(self, number: int, count: int, numbers: list[int] | None) -> str:
        path = Path(self.path)
        if count == 1 and numbers is None:
            return self.path
        return str(path.with_name(f"{path.stem}_{number:06d}{path.suffix}"))
