"""Nodes that read detections and tracks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from swath.engine.data.coco import run_lengths
from swath.engine.graph.context import Context
from swath.engine.graph.node import Node
from swath.engine.graph.ports import Port, ports
from swath.engine.hparams import choice
from swath.engine.mixins.files import FileInput, read_json
from swath.errors import DataInvalid
from swath.scenes.checks import parsing

_BOXES = ports(
    frame_id=Port(torch.int64, (1,), description="Number of the frame [1]"),
    bboxes=Port(torch.float32, (1, -1, 4), description="x0, y0, x1, y1 of each box, pixels [1, N, 4]"),
    category_ids=Port(torch.int64, (1, -1), description="Category of each box, 0 where none is given [1, N]"),
    confidences=Port(torch.float32, (1, -1), description="Score of each box, 0 where none is given [1, N]"),
    orig_hw=Port(torch.int64, (1, 2), description="Height and width of the frame, 0 where unknown, pixels [1, 2]"),
)


class _Boxes:
    """Annotations by image: boxes, and masks as run lengths."""

    form = "coco_bbox"

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.sizes = {
            int(image["id"]): (int(image.get("height") or 0), int(image.get("width") or 0))
            for image in document["images"]
        }
        self._annotations: dict[int, list[Mapping[str, Any]]] = {number: [] for number in self.sizes}
        for annotation in document["annotations"]:
            self._annotations.setdefault(int(annotation["image_id"]), []).append(annotation)
        self._masks = any(_runs(item) is not None for items in self._annotations.values() for item in items)
        self.numbers = sorted(self.sizes)

    def frame(self, number: int) -> dict[str, Tensor]:
        items = self._annotations[number] if number in self.sizes else []
        height, width = self.sizes.get(number, (0, 0))
        outputs = {
            "frame_id": torch.tensor([number]),
            "orig_hw": torch.tensor([[height, width]]),
            "bboxes": torch.tensor([_corners(item) for item in items], dtype=torch.float32).reshape(1, -1, 4),
            "category_ids": torch.tensor([[int(item.get("category_id") or 0) for item in items]], dtype=torch.int64),
            "confidences": torch.tensor([[float(item.get("score") or 0) for item in items]], dtype=torch.float32),
            "track_ids": torch.tensor([[_track(item) for item in items]], dtype=torch.int64),
        }
        if not self._masks or height <= 0 or width <= 0:
            return outputs | _painted([], (0, 0))
        # Later annotations lie on top, and what has no track goes by its own number.
        marked = sorted((item for item in items if _runs(item) is not None), key=lambda item: int(item.get("id") or 0))
        labels = [track if (track := _track(item)) >= 0 else int(item.get("id") or 0) for item in marked]
        return outputs | _painted(list(zip(labels, map(_runs, marked), strict=True)), (height, width))


class _Videos:
    """Annotations by track: masks as run lengths, one per frame."""

    form = "video_coco"

    def __init__(self, document: Mapping[str, Any]) -> None:
        video = document["videos"][0]
        tracks = document["annotations"]
        longest = max((len(track.get("segmentations") or ()) for track in tracks), default=0)
        first, length = int(video.get("start_frame") or 0), int(video.get("length") or 0) or longest
        listed = video.get("frame_indices")
        numbers = range(first, first + length) if listed is None else [int(number) for number in listed]
        self._size = (int(video.get("height") or 0), int(video.get("width") or 0))
        self._masks: dict[int, dict[int, Any]] = {}
        for track in tracks:
            key = int(track.get("track_id", track.get("id", 0)))
            masks: list[Any] = track.get("segmentations") or []
            for number, runs in zip(numbers, masks, strict=False):
                if runs is not None:
                    self._masks.setdefault(number, {})[key] = runs
                    if 0 in self._size:
                        self._size = (int(runs["size"][0]), int(runs["size"][1]))
        self.numbers = numbers if isinstance(numbers, range) else sorted(set(numbers))

    def frame(self, number: int) -> dict[str, Tensor]:
        none = torch.zeros(1, 0, dtype=torch.int64)
        return {
            "frame_id": torch.tensor([number]),
            "orig_hw": torch.tensor([self._size]),
            "bboxes": torch.zeros(1, 0, 4),
            "category_ids": none,
            "confidences": torch.zeros(1, 0),
            "track_ids": none,
            # A frame of unknown size still has a pixel.
            **_painted(sorted(self._masks.get(number, {}).items()), self._size if 0 not in self._size else (1, 1)),
        }


class _FrameReader(Node):
    """A node that gives the frames of a file, one per call."""

    category = "source"
    stateful = True

    _place: Tensor

    def __init__(self) -> None:
        super().__init__()
        self._next = 0
        # Moves with the pipeline, and what is read follows it.
        self.register_buffer("_place", torch.empty(0), persistent=False)

    def forget(self) -> None:
        self._next = 0

    def emit(self, frames: _Boxes | _Videos, path: str, number: int | None = None) -> dict[str, Any]:
        """Return the outputs of a frame, or of the one after the last that was given."""
        if number is None:
            if self._next >= len(frames.numbers):
                raise DataInvalid(
                    f"Node '{self.name}': {path} holds {len(frames.numbers)} frames, and all were given",
                    metadata={"node": self.name},
                )
            number = frames.numbers[self._next]
            self._next += 1
        with parsing(f"Node '{self.name}': {path}", f"frame {number}"):
            outputs = frames.frame(number)
        return {port: outputs[port].to(self._place.device) for port in self.outputs}


class DetectionJsonReader(_FrameReader):
    """Gives the boxes of a COCO file, frame by frame in the order of their numbers.

    Args:
        json_path: The file.
    """

    tags = ("metadata", "bbox", "detection")
    outputs = _BOXES

    def __init__(self, json_path: str) -> None:
        super().__init__()
        self._file = FileInput(json_path, "COCO file", lambda path: _Boxes(read_json(path)))

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        return self.emit(self._file.read(self, context), self._file.path)


class TrackingResultsReader(_FrameReader):
    """Gives boxes and masks of tracks, of the frame that `frame_id` asks for, or frame by frame.

    Reads COCO with annotations by image (``coco_bbox``), with masks where there are run lengths, and by track
    (``video_coco``). A frame that the file does not have holds nothing.

    Args:
        json_path: The file.
        required_format: ``coco_bbox`` or ``video_coco`` where the other is to be refused.
    """

    tags = ("metadata", "bbox", "tracking")
    inputs = ports(frame_id=Port(torch.int64, (1,), optional=True, description="Number of the frame wanted [1]"))
    outputs = ports(
        frame_id=_BOXES["frame_id"],
        orig_hw=_BOXES["orig_hw"],
        bboxes=Port(torch.float32, (1, -1, 4), optional=True, description="x0, y0, x1, y1 of each box [1, N, 4]"),
        category_ids=Port(torch.int64, (1, -1), optional=True, description="Category of each box [1, N]"),
        confidences=Port(torch.float32, (1, -1), optional=True, description="Score of each box [1, N]"),
        track_ids=Port(torch.int64, (1, -1), optional=True, description="Track of each box, -1 for none [1, N]"),
        mask=Port(torch.int32, (1, -1, -1), optional=True, description="Object of each pixel, 0 for none [1, H, W]"),
        object_ids=Port(torch.int64, (1, -1), optional=True, description="Objects of the mask [1, M]"),
    )

    def __init__(self, json_path: str, required_format: str | None = None) -> None:
        super().__init__()
        if required_format is not None:
            choice("required_format", required_format, (_Boxes.form, _Videos.form))
        self._required = required_format
        self._file = FileInput(json_path, "tracking file", self._parse)

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        wanted: Tensor | None = inputs.get("frame_id")
        return self.emit(self._file.read(self, context), self._file.path, None if wanted is None else int(wanted))

    def _parse(self, path: Path) -> _Boxes | _Videos:
        document = read_json(path)
        kind = next((kind for kind in (_Videos, _Boxes) if _KEYS[kind] in document and "annotations" in document), None)
        if kind is None:
            raise ValueError("expected annotations and images, or annotations and videos")
        if self._required not in (None, kind.form):
            raise ValueError(f"its format is {kind.form}, expected {self._required}")
        return kind(document)


_KEYS = {_Videos: "videos", _Boxes: "images"}


def _runs(annotation: Mapping[str, Any]) -> dict[str, Any] | None:
    segmentation = annotation.get("segmentation")
    return segmentation if isinstance(segmentation, dict) and "counts" in segmentation else None


def _track(annotation: Mapping[str, Any]) -> int:
    track = annotation.get("track_id")
    return -1 if track is None else int(track)


def _corners(annotation: Mapping[str, Any]) -> list[float]:
    box, runs = annotation.get("bbox"), _runs(annotation)
    if box is None:
        if runs is None:
            raise ValueError(f"annotation {annotation.get('id')} has neither a bbox nor run lengths")
        rows, columns = run_lengths(runs).nonzero()
        if not len(rows):
            return [0.0, 0.0, 0.0, 0.0]
        return [float(edge) for edge in (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)]
    left, top, width, height = (float(value) for value in box)
    return [left, top, left + width, top + height]


def _painted(objects: list[tuple[int, Any]], size: tuple[int, int]) -> dict[str, Tensor]:
    """Return the map of objects, the later on top, and their sorted numbers."""
    labels = np.zeros(size, dtype=np.int32)
    for number, runs in objects:
        region = run_lengths(runs)
        if region.shape != size:
            raise ValueError(f"run lengths of object {number} are of size {list(region.shape)}, expected {list(size)}")
        labels[region] = number
    numbers = sorted({number for number, _ in objects})
    return {
        "mask": torch.from_numpy(labels).unsqueeze(0),
        "object_ids": torch.tensor([numbers], dtype=torch.int64),
    }
