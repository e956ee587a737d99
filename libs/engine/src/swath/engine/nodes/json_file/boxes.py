"""Nodes that write boxes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch

from swath.engine.graph.context import Context
from swath.engine.graph.ports import Port, ports
from swath.engine.nodes.json_file.writer import _JsonWriter, categories, images

_INPUTS = ports(
    frame_id=Port(torch.int64, (1,), description="Number of the frame [1]"),
    bboxes=Port(torch.float32, (1, -1, 4), description="x0, y0, x1, y1 of each box, pixels [1, N, 4]"),
    category_ids=Port(torch.int64, (1, -1), description="Category of each box [1, N]"),
    confidences=Port(torch.float32, (1, -1), description="Score of each box [1, N]"),
    orig_hw=Port(torch.int64, (1, 2), description="Height and width of the frame, pixels [1, 2]"),
)


class _BoxFrames:
    def __init__(self, description: str, names: dict[int, str]) -> None:
        self._description = description
        self._names = names
        self._sizes: dict[int, tuple[int, int]] = {}
        self._boxes: dict[int, list[dict[str, Any]]] = {}

    def put(self, number: int, size: tuple[int, int], boxes: list[dict[str, Any]]) -> None:
        self._sizes[number] = size
        self._boxes[number] = boxes

    def document(self, stem: str) -> dict[str, Any]:
        annotations = [
            {"id": 0, "image_id": number, **box} for number in sorted(self._boxes) for box in self._boxes[number]
        ]
        for count, annotation in enumerate(annotations, start=1):
            annotation["id"] = count
        return {
            "info": {"description": self._description, "version": "1.0"},
            "images": images(self._sizes),
            "annotations": annotations,
            "categories": categories(self._names),
        }


class _BoxWriter(_JsonWriter):
    _frames: _BoxFrames
    _about: ClassVar[str]
    _default_name: ClassVar[str]

    def __init__(
        self,
        output_json_path: str,
        category_id_to_name: Mapping[Any, str] | None = None,
        write_empty_frames: bool = True,
        atomic_write: bool = True,
        flush_interval: int = 0,
    ) -> None:
        frames = _BoxFrames(self._about, _names(category_id_to_name, self._default_name))
        super().__init__(frames, output_json_path, write_empty_frames, atomic_write, flush_interval)

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        self.require_as_many(inputs, "bboxes", "category_ids", "confidences", "track_ids")
        self.require_finite(inputs, "bboxes", "confidences")
        columns = [inputs[port][0].tolist() for port in ("bboxes", "category_ids", "confidences")]
        boxes = [_box(*values) for values in zip(*columns, strict=True)]
        if "track_ids" in inputs:
            for box, track in zip(boxes, inputs["track_ids"][0].tolist(), strict=True):
                box["track_id"] = track
        if boxes or self.write_empty:
            height, width = inputs["orig_hw"][0].tolist()
            self._frames.put(int(inputs["frame_id"]), (height, width), boxes)
            self.changed(context)
        return {}


class DetectionCocoJsonNode(_BoxWriter):
    """Writes boxes as COCO detections, complete once the pipeline is closed.

    Args:
        output_json_path: The file.
        category_id_to_name: Names of categories by their numbers; ``{0: person}`` when left out.
        write_empty_frames: Whether frames without boxes are in the file.
        atomic_write: Whether readers see the former file until the new one is whole.
        flush_interval: Frames after which the file is written; 0 for when the pipeline is closed alone.
    """

    tags = ("metadata", "bbox", "detection")
    inputs = _INPUTS
    _about = "Detection results"
    _default_name = "person"


class CocoTrackBBoxWriter(_BoxWriter):
    """Writes boxes of tracks as COCO annotations with a ``track_id``, complete once the pipeline is closed.

    Args:
        output_json_path: The file.
        category_id_to_name: Names of categories by their numbers; ``{0: object}`` when left out.
        write_empty_frames: Whether frames without boxes are in the file.
        atomic_write: Whether readers see the former file until the new one is whole.
        flush_interval: Frames after which the file is written; 0 for when the pipeline is closed alone.
    """

    tags = ("metadata", "bbox", "tracking")
    inputs = ports(_INPUTS, track_ids=Port(torch.int64, (1, -1), description="Track of each box [1, N]"))
    _about = "BBox tracking results"
    _default_name = "object"


def _box(corners: list[float], category: int, score: float) -> dict[str, Any]:
    left, top, right, bottom = corners
    width, height = right - left, bottom - top
    return {
        "category_id": category,
        "bbox": [left, top, width, height],
        "area": width * height,
        "iscrowd": 0,
        "score": score,
    }


def _names(given: Mapping[Any, str] | None, default: str) -> dict[int, str]:
    """Return names by whole numbers, which are text where a document has been JSON."""
    if given is None:
        return {0: default}
    try:
        return {int(number): str(name) for number, name in given.items()}
    except (AttributeError, TypeError, ValueError):
        raise ValueError(f"category_id_to_name must map whole numbers to names, got {given!r}") from None
