"""Nodes that take and write series of pictures."""

from __future__ import annotations

import re
import weakref
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from string import Formatter
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from swath.engine.draw import pictures
from swath.engine.graph.context import Context
from swath.engine.graph.independence import Independence
from swath.engine.graph.invalid import Invalid
from swath.engine.graph.node import Node
from swath.engine.graph.ports import Port, ports
from swath.engine.hparams import choice, number, quarter_turns
from swath.errors import DependencyMissing

_FLAGS = {"full": "+faststart", "partial": "+frag_keyframe+empty_moov+default_base_moof"}
_NUMBER = re.compile(r"0?\d?\d?d?")
_QUALITY = 95
_INPUTS = ports(
    rgb_image=Port(torch.float32, (-1, -1, -1, 3), description="Pictures of 0..1 [B, H, W, 3]"),
    frame_id=Port(torch.int64, (-1,), optional=True, description="Number written on each frame [B]"),
)
_UNITS = {"k": 1_000, "m": 1_000_000, "g": 1_000_000_000}


class ToVideoNode(Node):
    """Appends pictures to a video file, which is complete once the pipeline is closed.

    Needs the extra ``swath-engine[video]``.

    Args:
        output_video_path: The file; its ending chooses the container.
        frame_rate: Frames a second.
        frame_rotation: Degrees anticlockwise, in quarter turns.
        video_codec: Name of an encoder of FFmpeg.
        bitrate: Bits a second, such as ``12M`` or ``800k``.
        overlay_title: Text at the top of each frame.
        write_mode: ``full`` for a file that starts quickly once complete, ``partial`` for one that can be played
            while it is written.
    """

    category = "sink"
    tags = ("video",)
    invalid = Invalid.PASSED
    effect = True
    inputs = _INPUTS

    def __init__(
        self,
        output_video_path: str,
        frame_rate: float = 10.0,
        frame_rotation: int | None = None,
        video_codec: str = "libx264",
        bitrate: str = "12M",
        overlay_title: str | None = None,
        write_mode: str = "full",
    ) -> None:
        super().__init__()
        self.path = str(output_video_path)
        self.rate = number("frame_rate", frame_rate, above=0)
        self.quarters = quarter_turns("frame_rotation", frame_rotation)
        self.codec = str(video_codec)
        self.bits = _bits(bitrate)
        self.title = overlay_title
        self.flags = _FLAGS[choice("write_mode", write_mode, tuple(_FLAGS))]
        self._video: _Video | None = None

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        for _, pixels in _rendered(self, inputs, self.title, self.quarters):
            self._append(pixels, context)
        return {}

    def close(self) -> None:
        if self._video is not None:
            self._video.close()
            self._video = None

    def _append(self, pixels: NDArray[np.uint8], context: Context) -> None:
        if self._video is None:
            target = context.resolve(self.path)
            target.parent.mkdir(parents=True, exist_ok=True)
            self._video = _Video(str(target), self, *pixels.shape[:2])
        if pixels.shape[:2] != self._video.size:
            raise self.refuse(
                "rgb_image", f"pictures of one size, {list(self._video.size)}", torch.as_tensor(pixels.copy())
            )
        self._video.append(pixels)


class ToImage(Node):
    """Writes each picture to a file of its own.

    Args:
        output_dir: Folder of the files.
        filename_pattern: Name of each file, with ``{frame_id}`` for the number of its frame, or of pictures so far
            where there is none; its ending chooses the format.
        frame_rotation: Degrees anticlockwise, in quarter turns.
        overlay_title: Text at the top of each picture.
    """

    category = "sink"
    tags = ("image",)
    invalid = Invalid.PASSED
    effect = True
    inputs = _INPUTS

    def __init__(
        self,
        output_dir: str,
        filename_pattern: str = "frame_{frame_id:06d}.png",
        frame_rotation: int | None = None,
        overlay_title: str | None = None,
    ) -> None:
        super().__init__()
        if not str(output_dir).strip():
            raise ValueError("output_dir must not be empty")
        self.folder = str(output_dir)
        self.pattern = _pattern(filename_pattern)
        self.quarters = quarter_turns("frame_rotation", frame_rotation)
        self.title = overlay_title
        self._written = 0

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        for frame, pixels in _rendered(self, inputs, self.title, self.quarters):
            name = self.pattern.format(frame_id=self._written if frame is None else frame)
            target = context.resolve(str(Path(self.folder) / name))
            target.parent.mkdir(parents=True, exist_ok=True)
            # Formats that lose nothing pass over the quality.
            Image.fromarray(pixels).save(target, quality=_QUALITY)
            self._written += 1
        return {}


class VideoFrameNode(Node):
    """Hands pictures and their frame numbers on from the batch."""

    category = "source"
    tags = ("video", "streaming")
    invalid = Invalid.PASSED
    independence = Independence.PIXEL
    inputs = ports(
        rgb_image=Port(torch.float32, (-1, -1, -1, 3), description="Pictures of 0..1 [B, H, W, 3]"),
        frame_id=Port(torch.int64, (-1,), optional=True, description="Number of each frame [B]"),
    )
    outputs = inputs

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        return dict(inputs)


def frame_numbers(node: Node, inputs: dict[str, Any]) -> list[int] | None:
    """Return the numbers of the pictures of `rgb_image`; None where the port `frame_id` got nothing.

    Raises:
        InputInvalid: They are not as many as the pictures.
    """
    numbers: Tensor | None = inputs.get("frame_id")
    count = inputs["rgb_image"].shape[0]
    if numbers is not None and numbers.shape[0] != count:
        raise node.refuse("frame_id", f"{count} numbers, one per picture", numbers)
    return None if numbers is None else numbers.tolist()


def _rendered(
    node: Node, inputs: dict[str, Any], title: str | None, quarters: int
) -> Iterator[tuple[int | None, NDArray[np.uint8]]]:
    """Give each picture's number and its pixels, with title and number written on them, turned."""
    numbers = frame_numbers(node, inputs)
    frames: Tensor = inputs["rgb_image"].detach().nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)
    for index, pixels in enumerate((frames.clamp(0, 1) * 255).to(torch.uint8).cpu().numpy()):
        number = None if numbers is None else numbers[index]
        if title:
            pixels = pictures.write_on(pixels, title, left=-1, top=6)
        if number is not None:
            pixels = pictures.write_on(pixels, f"frame {number}", left=8, top=8)
        yield number, np.ascontiguousarray(np.rot90(pixels, quarters))


class _Video:
    """An open video file. It is closed with the last reference, so a pipeline that is dropped leaves a whole file."""

    def __init__(self, path: str, node: ToVideoNode, height: int, width: int) -> None:
        try:
            import av
        except ImportError as error:
            raise DependencyMissing(
                f"Node '{node.name}' writes video, which takes the package 'av': install swath-engine[video]",
                metadata={"node": node.name, "extra": "video"},
            ) from error
        self._av = av
        self.size = (height, width)
        self._container = av.open(path, mode="w", options={"movflags": node.flags})
        self._stream: Any = self._container.add_stream(node.codec, rate=Fraction(node.rate).limit_denominator(1001))
        # Encoders of half-resolution colour take even sizes alone.
        self._stream.height, self._stream.width = height + height % 2, width + width % 2
        self._stream.pix_fmt = "yuv420p"
        self._stream.bit_rate = node.bits
        self._finish = weakref.finalize(self, _finish, self._container, self._stream)

    def append(self, pixels: NDArray[np.uint8]) -> None:
        height, width = self.size
        padded = np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)))
        frame = self._av.VideoFrame.from_ndarray(np.ascontiguousarray(padded), format="rgb24")
        self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        self._finish()


def _finish(container: Any, stream: Any) -> None:
    container.mux(stream.encode())
    container.close()


def _pattern(pattern: Any) -> str:
    """Return a pattern of file names; a format that reaches further than a number of a few digits is refused."""
    fault = ValueError(
        "filename_pattern must be a file's name with an ending of pictures, and no fields but {frame_id} or the like "
        f"of {{frame_id:06d}}, got {pattern!r}"
    )
    try:
        fields = [part[1:] for part in Formatter().parse(pattern) if part[1] is not None]
    except (TypeError, ValueError):
        raise fault from None
    if any(name != "frame_id" or turn or not _NUMBER.fullmatch(spec or "") for name, spec, turn in fields):
        raise fault
    if Image.registered_extensions().get(Path(pattern).suffix.lower()) not in Image.SAVE:
        raise fault
    return pattern


def _bits(bitrate: Any) -> int:
    text = str(bitrate).strip().lower()
    unit = _UNITS.get(text[-1:], 1)
    digits = text[:-1] if text[-1:] in _UNITS else text
    try:
        bits = round(float(digits) * unit)
    except ValueError:
        bits = 0
    if bits <= 0:
        raise ValueError(f"bitrate must be bits a second such as '12M' or '800k', got {bitrate!r}")
    return bits
