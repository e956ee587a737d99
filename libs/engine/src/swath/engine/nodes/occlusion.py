"""Nodes that hide tracked objects, to try trackers with."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from swath.engine.data.coco import run_lengths
from swath.engine.graph.context import Context
from swath.engine.graph.node import Node
from swath.engine.graph.ports import Port, ports
from swath.engine.hparams import choice, fraction, number, whole
from swath.engine.mixins.files import FileInput, read_json
from swath.engine.ops import poisson
from swath.errors import InputInvalid

_PICTURE = Port(torch.float32, (1, -1, -1, 3), optional=True, description="Picture of 0..1 [1, H, W, 3]")
_CUBE = Port(torch.float32, (1, -1, -1, -1), optional=True, description="Cube [1, H, W, C]")
_FRAME = Port(torch.int64, (1,), description="Number of the frame [1]")


@dataclass(frozen=True)
class _Occluder:
    """A track in one frame: left, top, right and bottom, pixels, run lengths, and the size both are measured in."""

    box: tuple[float, float, float, float] | None
    runs: Mapping[str, Any] | None
    size: tuple[int, int] | None


class PoissonOcclusionNode(Node):
    """Hides tracks in a range of frames: fills them smoothly from around them, or with one colour.

    The smooth filling solves Laplace's equation in the hidden region (see `swath.engine.ops.poisson`). Boxes and masks
    of another size than the frame's are scaled to it. Frames out of the range, or without a track, pass unchanged.

    Args:
        tracking_json_path: COCO file, with a ``track_id`` for each annotation by image.
        track_ids: The tracks.
        occlusion_start_frame: First frame.
        occlusion_end_frame: Last frame.
        fill_color: ``poisson``, or red, green and blue of 0 to 1 for inputs of three channels.
        input_key: ``rgb_image`` or ``cube`` where both are connected.
        max_iter: Most steps of the solver.
        tol: Norm of a channel's residual at which the solver stops.
        occlusion_shape: ``bbox`` to hide boxes, ``mask`` to hide masks.
        bbox_mode: ``static`` for one box a track, around all its boxes in the range, in every frame of the range;
            ``dynamic`` for the boxes of each frame.
        static_bbox_scale: Factor for width and height of static boxes.
        static_bbox_padding_px: Pixels that static boxes are larger on each side, after the scaling.
        static_full_width_x: Whether static boxes reach from the left of the frame to its right.
    """

    category = "transform"
    tags = ("augmentation", "training", "stochastic", "numpy")
    inputs = ports(rgb_image=_PICTURE, cube=_CUBE, frame_id=_FRAME)
    outputs = ports(rgb_image=_PICTURE, cube=_CUBE)

    def __init__(
        self,
        tracking_json_path: str,
        track_ids: Sequence[int],
        occlusion_start_frame: int,
        occlusion_end_frame: int,
        fill_color: Sequence[float] | str = "poisson",
        *,
        input_key: str | None = None,
        max_iter: int = 1000,
        tol: float = 1e-6,
        occlusion_shape: str = "bbox",
        bbox_mode: str = "static",
        static_bbox_scale: float = 1.2,
        static_bbox_padding_px: int = 0,
        static_full_width_x: bool = False,
    ) -> None:
        super().__init__()
        self.tracks = frozenset(whole("track_ids", track, at_least=-(2**63)) for track in track_ids)
        self.start = whole("occlusion_start_frame", occlusion_start_frame, at_least=-(2**63))
        self.end = whole("occlusion_end_frame", occlusion_end_frame, at_least=-(2**63))
        self.colour = _colour(fill_color)
        self.key = None if input_key is None else choice("input_key", input_key, ("rgb_image", "cube"))
        self.max_iter = whole("max_iter", max_iter, at_least=1)
        self.tol = number("tol", tol, above=0)
        self.by_mask = choice("occlusion_shape", occlusion_shape, ("bbox", "mask")) == "mask"
        self.static = choice("bbox_mode", bbox_mode, ("static", "dynamic")) == "static"
        self.scale = number("static_bbox_scale", static_bbox_scale, above=0)
        self.padding = whole("static_bbox_padding_px", static_bbox_padding_px, at_least=0)
        self.full_width = self.static and bool(static_full_width_x)
        self._file = FileInput(tracking_json_path, "tracking file", self._parse)

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        port = self._port(inputs)
        picture: Tensor = inputs[port]
        frame = int(inputs["frame_id"])
        occluders = self._file.read(self, context)
        if not self.start <= frame <= self.end:
            return {port: picture}
        shown = occluders.get(None if self.static and not self.by_mask else frame, [])
        hole = self._hole(shown, picture.shape[1], picture.shape[2]).to(picture.device)
        if not bool(hole.any()):
            return {port: picture}
        if self.colour is None:
            if bool(hole.all()):
                raise self.refuse(
                    port, "a picture that is not hidden as a whole, to be filled from its border", picture
                )
            return {port: poisson.fill(picture[0], hole, max_iter=self.max_iter, tol=self.tol).unsqueeze(0)}
        if picture.shape[-1] != len(self.colour):
            raise self.refuse(port, "three channels, as fill_color has", picture)
        colour = torch.tensor(self.colour, dtype=picture.dtype, device=picture.device)
        return {port: torch.where(hole[..., None], colour, picture)}

    def _port(self, inputs: dict[str, Any]) -> str:
        given = [port for port in ("rgb_image", "cube") if port in inputs and self.key in (None, port)]
        if len(given) != 1:
            wanted = self.key or "either rgb_image or cube"
            raise InputInvalid(
                f"Node '{self.name}': expected {wanted}, got {' and '.join(given) or 'nothing'}",
                metadata={"node": self.name},
            )
        return given[0]

    def _parse(self, path: Path) -> dict[int | None, list[_Occluder]]:
        """Return the tracks of each frame of the range, and under None the static boxes."""
        document = read_json(path)
        sizes = {int(image["id"]): image for image in document.get("images") or ()}
        items = [item for item in document["annotations"] if item.get("track_id") is not None]
        absent = self.tracks - {int(item["track_id"]) for item in items}
        if absent:
            raise ValueError(f"it has no track {', '.join(map(str, sorted(absent)))}")
        frames: dict[int | None, list[_Occluder]] = {}
        by_track: dict[int, list[_Occluder]] = {}
        for item in items:
            frame, track = int(item["image_id"]), int(item["track_id"])
            if track in self.tracks and self.start <= frame <= self.end:
                occluder = _occluder(item, sizes.get(frame, {}))
                if (occluder.runs if self.by_mask else occluder.box) is not None:
                    frames.setdefault(frame, []).append(occluder)
                    by_track.setdefault(track, []).append(occluder)
        if self.static and not self.by_mask:
            frames[None] = [self._around(occluders) for occluders in by_track.values()]
        return frames

    def _around(self, occluders: list[_Occluder]) -> _Occluder:
        """Return the static box of a track."""
        lefts, tops, rights, bottoms = zip(*(item.box for item in occluders if item.box is not None), strict=True)
        left, top, right, bottom = min(lefts), min(tops), max(rights), max(bottoms)
        across, down = (
            max(1.0, max(1.0, length) * self.scale + 2 * self.padding) / 2 for length in (right - left, bottom - top)
        )
        x, y = (left + right) / 2, (top + bottom) / 2
        return _Occluder((x - across, y - down, x + across, y + down), None, occluders[0].size)

    def _hole(self, occluders: list[_Occluder], height: int, width: int) -> Tensor:
        """Return what is hidden, bool ``[H, W]``, on the host."""
        hole = torch.zeros(height, width, dtype=torch.bool)
        for occluder in occluders:
            if self.by_mask:
                assert occluder.runs is not None
                region = torch.from_numpy(run_lengths(dict(occluder.runs)).copy())
                if region.shape != hole.shape:
                    region = interpolate(region[None, None].to(torch.uint8), size=(height, width))[0, 0] > 0
                hole |= region
            else:
                assert occluder.box is not None
                full = occluder.size or (height, width)
                down, across = height / full[0], width / full[1]
                left, top, right, bottom = (
                    round(edge * factor) for edge, factor in zip(occluder.box, (across, down) * 2, strict=True)
                )
                if self.full_width:
                    left, right = 0, width
                hole[max(0, top) : max(0, bottom), max(0, left) : max(0, right)] = True
        return hole


class SolidOcclusionNode(PoissonOcclusionNode):
    """An older name of `PoissonOcclusionNode`."""


class PoissonCubeOcclusionNode(PoissonOcclusionNode):
    """An older name of `PoissonOcclusionNode`, for cubes alone."""

    inputs = ports(cube=Port(torch.float32, (1, -1, -1, -1), description="Cube [1, H, W, C]"), frame_id=_FRAME)
    outputs = ports(cube=Port(torch.float32, (1, -1, -1, -1), description="Cube [1, H, W, C]"))


def _colour(given: Any) -> list[float] | None:
    """Return a colour, or None for the smooth filling."""
    if given == "poisson":
        return None
    if isinstance(given, str) or not isinstance(given, Sequence) or len(given) != 3:
        raise ValueError(f"fill_color must be 'poisson' or three numbers of 0 to 1, got {given!r}")
    return [fraction("fill_color", value) for value in given]


def _occluder(item: Mapping[str, Any], image: Mapping[str, Any]) -> _Occluder:
    segmentation = item.get("segmentation")
    runs = segmentation if isinstance(segmentation, dict) else None
    height, width = runs["size"] if runs is not None else (image.get("height") or 0, image.get("width") or 0)
    box = item.get("bbox")
    if box is not None:
        left, top, across, down = (float(value) for value in box)
        if not all(map(math.isfinite, (left, top, across, down))):
            raise ValueError(f"annotation {item.get('id')} has the bbox {box!r}, expected finite numbers")
        box = (left, top, left + across, top + down)
    size = (int(height), int(width)) if int(height) > 0 and int(width) > 0 else None
    return _Occluder(box, runs, size)
