"""Prompts that are picked from a file of detections or tracks."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from swath.engine.data.coco import run_lengths
from swath.engine.graph.context import Context
from swath.engine.graph.node import Node
from swath.engine.graph.ports import LIST, Port, ports
from swath.engine.mixins.files import FileInput
from swath.engine.nodes.prompts.given import FRAME
from swath.engine.nodes.prompts.schedule import Detections, Pick, detections, picks


class _DetectionPrompt(Node):
    """A node that gives what its picks of a file show, at the frames of the picks."""

    category = "source"
    inputs = FRAME

    def __init__(self, json_path: str, prompt_specs: Sequence[str] | None) -> None:
        super().__init__()
        self.picks = picks(prompt_specs or ())
        self._file = FileInput(json_path, "file of detections", self._parse)

    def _parse(self, path: Path) -> tuple[Detections, dict[int, Any]]:
        found = detections(path)
        shown: dict[int, Any] = {}
        for pick in self.picks:
            self.show(pick, found, shown)
        return found, shown

    @abstractmethod
    def show(self, pick: Pick, found: Detections, shown: dict[int, Any]) -> None:
        """Add a pick to what is shown, by frame."""

    def shown(self, inputs: dict[str, Any], context: Context) -> tuple[Any, Detections]:
        """Return what is shown at the frame, or None, and all that there is."""
        found, shown = self._file.read(self, context)
        return shown.get(int(inputs["frame_id"])), found


class BBoxPrompt(_DetectionPrompt):
    """Gives boxes at some frames, none at others.

    Args:
        json_path: COCO file, with annotations by image or by track.
        prompt_specs: ``<object>:<detection>@<frame>``: the number to give the object, the track to take it from, or its
            rank by score from 1 where the file has no tracks, and the frame.
    """

    tags = ("bbox", "inference", "metadata")
    outputs = ports(
        bboxes=Port(LIST, description="Mappings of element_id, object_id, x_min, y_min, x_max and y_max"),
        prompt_boxes_xyxy=Port(torch.float32, (1, -1, 4), description="x0, y0, x1, y1 of each box, pixels [1, N, 4]"),
        prompt_object_ids=Port(torch.int64, (1, -1), description="Object of each box [1, N]"),
    )

    def __init__(self, json_path: str, prompt_specs: Sequence[str] | None = None) -> None:
        super().__init__(json_path, prompt_specs)

    def show(self, pick: Pick, found: Detections, shown: dict[int, Any]) -> None:
        annotation, (height, width) = found.pick(pick)
        box = annotation.get("bbox")
        if not isinstance(box, list) or len(box) != 4:
            raise ValueError(f"{pick}: expected a bbox of x, y, width and height, got {box!r:.80}")
        left, top, across, down = (float(value) for value in box)
        right, bottom = min(max(left + across, 0.0), width), min(max(top + down, 0.0), height)
        left, top = min(max(left, 0.0), width), min(max(top, 0.0), height)
        if not (left < right and top < bottom):
            raise ValueError(f"{pick}: its bbox {box!r} has no area inside of the frame, {height} x {width}")
        corners = {"x_min": left, "y_min": top, "x_max": right, "y_max": bottom}
        shown.setdefault(pick.frame, {})[pick.object] = {"element_id": 0, "object_id": pick.object} | {
            key: float(value) for key, value in corners.items()
        }

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        boxes = [dict(box) for box in (self.shown(inputs, context)[0] or {}).values()]
        corners = [[box[key] for key in ("x_min", "y_min", "x_max", "y_max")] for box in boxes]
        device = inputs["frame_id"].device
        return {
            "bboxes": boxes,
            "prompt_boxes_xyxy": torch.tensor(corners, dtype=torch.float32, device=device).reshape(1, -1, 4),
            "prompt_object_ids": torch.tensor([[box["object_id"] for box in boxes]], dtype=torch.int64, device=device),
        }


class MaskPrompt(_DetectionPrompt):
    """Gives a label map at some frames, an empty one at others; where objects overlap the later pick lies on top.

    Args:
        json_path: COCO file, with annotations by image or by track.
        prompt_specs: ``<object>:<detection>@<frame>``: the number to give the object, the track to take it from, or its
            rank by score from 1 where the file has no tracks, and the frame.
    """

    tags = ("mask", "inference", "metadata")
    outputs = ports(mask=Port(torch.int32, (1, -1, -1), description="Object of each pixel, 0 for none [1, H, W]"))

    def __init__(self, json_path: str, prompt_specs: Sequence[str] | None = None) -> None:
        super().__init__(json_path, prompt_specs)

    def show(self, pick: Pick, found: Detections, shown: dict[int, Any]) -> None:
        annotation, size = found.pick(pick)
        region = _region(annotation.get("segmentation"), size, pick)
        if not region.any():
            raise ValueError(f"{pick}: its segmentation is empty")
        shown.setdefault(pick.frame, np.zeros(size, dtype=np.int32))[region] = pick.object

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        labels, found = self.shown(inputs, context)
        if labels is None:
            size = found.size(int(inputs["frame_id"]))
            if size is None:
                raise self.refuse("frame_id", "a frame whose size the file of detections tells", inputs["frame_id"])
            labels = np.zeros(size, dtype=np.int32)
        # A copy of its own, so that nobody writes into what the next frame gets.
        return {"mask": torch.tensor(labels, device=inputs["frame_id"].device).unsqueeze(0)}


def _region(segmentation: Any, size: tuple[int, int], pick: Pick) -> NDArray[np.bool_]:
    """Return a segmentation, run lengths or polygons, as a mask ``[H, W]``."""
    if isinstance(segmentation, dict):
        region = run_lengths(segmentation)
        if region.shape != size:
            raise ValueError(f"{pick}: its run lengths are of size {list(region.shape)}, expected {list(size)}")
        return region
    if not isinstance(segmentation, list):
        raise ValueError(f"{pick}: expected a segmentation of run lengths or polygons, got {segmentation!r:.80}")
    from skimage import draw  # slow to import, and only polygons need it

    region = np.zeros(size, dtype=bool)
    for polygon in segmentation if segmentation and isinstance(segmentation[0], list) else [segmentation]:
        # Corners are rounded to pixels, and pixels on the outline belong to the region.
        columns, rows = np.rint(np.asarray(polygon, dtype=np.float64).reshape(-1, 2)).astype(np.int64).T
        region[draw.polygon(rows, columns, size)] = True
        region[draw.polygon_perimeter(rows, columns, shape=size, clip=False)] = True
    return region
