"""Nodes that write masks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from swath.engine.graph.context import Context
from swath.engine.graph.ports import Port, ports
from swath.engine.hparams import choice
from swath.engine.nodes.json_file.writer import _JsonWriter, categories, images

_INFO = {"description": "Mask tracking results", "version": "1.0"}


@dataclass(frozen=True)
class _Region:
    """A track in one frame: run lengths, x, y, width and height, pixels, and score."""

    segmentation: dict[str, Any]
    box: list[float]
    area: float
    score: float


class _MaskFrames:
    def __init__(self, dialect: str, default_name: str) -> None:
        self._video = dialect == "video"
        self._default = default_name
        self._sizes: dict[int, tuple[int, int]] = {}
        self._tracks: dict[int, dict[int, _Region]] = {}
        self.names: dict[int, str] = {}
        self.category_of: dict[int, int] = {}

    def name_of(self, category: int) -> str:
        return self._default if category == 1 else f"category_{category}"

    def drop(self, number: int) -> bool:
        """Forget a frame and return whether it was there."""
        for regions in self._tracks.values():
            regions.pop(number, None)
        return self._sizes.pop(number, None) is not None

    def put(self, number: int, size: tuple[int, int], regions: Mapping[int, _Region]) -> None:
        self._sizes[number] = size
        for track, region in regions.items():
            self._tracks.setdefault(track, {})[number] = region

    def document(self, stem: str) -> dict[str, Any]:
        tracks = {track: self._tracks[track] for track in sorted(self._tracks) if self._tracks[track]}
        parts = self._by_track(stem, tracks) if self._video else self._by_frame(tracks)
        return {"info": _INFO, **parts, "categories": categories(self.names or {1: self._default})}

    def _by_frame(self, tracks: dict[int, dict[int, _Region]]) -> dict[str, Any]:
        annotations = [
            {
                "id": 0,
                "image_id": number,
                "category_id": self.category_of.get(track, 1),
                "segmentation": regions[number].segmentation,
                "bbox": regions[number].box,
                "area": regions[number].area,
                "iscrowd": 1,
                "score": regions[number].score,
                "track_id": track,
            }
            for track, regions in tracks.items()
            for number in sorted(regions)
        ]
        for count, annotation in enumerate(annotations, start=1):
            annotation["id"] = count
        return {"images": images(self._sizes), "annotations": annotations}

    def _by_track(self, stem: str, tracks: dict[int, dict[int, _Region]]) -> dict[str, Any]:
        numbers = sorted(self._sizes)
        first = numbers[0] if numbers else 0
        height, width = self._sizes.get(first, (0, 0))
        video = {
            "id": 1,
            "name": stem,
            "frame_indices": numbers,
            "start_frame": first,
            "length": len(numbers),
            "height": height,
            "width": width,
        }
        annotations = []
        for count, (track, regions) in enumerate(tracks.items(), start=1):
            row = [regions.get(number) for number in numbers]
            annotations.append(
                {
                    "id": count,
                    "track_id": track,
                    "category_id": self.category_of.get(track, 1),
                    "segmentations": [region and region.segmentation for region in row],
                    "detection_scores": [region and region.score for region in row],
                    "bboxes": [region and region.box for region in row],
                    "areas": [region and region.area for region in row],
                }
            )
        return {"videos": [video], "annotations": annotations}


class CocoTrackMaskWriter(_JsonWriter):
    """Writes label maps as masks of tracks, COCO run lengths, complete once the pipeline is closed.

    Objects are those of `object_ids` above 0 that the label map shows. Source of the format: T.-Y. Lin et al.,
    "Microsoft COCO: Common Objects in Context", ECCV 2014; L. Yang et al., "Video Instance Segmentation", ICCV 2019.

    Args:
        output_json_path: The file.
        dialect: ``image`` for COCO with one annotation a track and frame, ``video`` for one annotation a track, with a
            list over frames.
        default_category_name: Name of category 1.
        write_empty_frames: Whether frames without objects are in the file.
        atomic_write: Whether readers see the former file until the new one is whole.
        flush_interval: Frames after which the file is written; 0 for when the pipeline is closed alone.
    """

    tags = ("metadata", "mask", "tracking")
    inputs = ports(
        frame_id=Port(torch.int64, (1,), description="Number of the frame [1]"),
        mask=Port(torch.int32, (1, -1, -1), description="Object of each pixel, 0 for none [1, H, W]"),
        object_ids=Port(torch.int64, (1, -1), description="Objects [1, N]"),
        detection_scores=Port(torch.float32, (1, -1), description="Score of each object [1, N]"),
        category_ids=Port(torch.int64, (1, -1), optional=True, description="Category of each object, from 1 [1, N]"),
        category_semantics=Port(
            torch.uint8, (-1,), optional=True, description="Names by category, a JSON object as UTF-8"
        ),
    )
    _frames: _MaskFrames

    def __init__(
        self,
        output_json_path: str,
        dialect: str = "image",
        default_category_name: str = "object",
        write_empty_frames: bool = True,
        atomic_write: bool = True,
        flush_interval: int = 0,
    ) -> None:
        if not default_category_name:
            raise ValueError("default_category_name must not be empty")
        frames = _MaskFrames(choice("dialect", dialect, ("image", "video")), str(default_category_name))
        super().__init__(frames, output_json_path, write_empty_frames, atomic_write, flush_interval)

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        self.require_as_many(inputs, "object_ids", "detection_scores", "category_ids")
        self.require_finite(inputs, "detection_scores")
        objects: list[int] = inputs["object_ids"][0].tolist()
        self._take_names(inputs)
        self._take_categories(inputs, objects)
        number = int(inputs["frame_id"])
        mask: Tensor = inputs["mask"][0]
        scores = dict(zip(objects, inputs["detection_scores"][0].tolist(), strict=True))
        shown = set(torch.unique(mask).tolist())
        pixels = mask.cpu().numpy()
        regions = {key: _region(pixels == key, scores[key]) for key in objects if key > 0 and key in shown}
        changed = self._frames.drop(number)
        if regions or self.write_empty:
            self._frames.put(number, (mask.shape[0], mask.shape[1]), regions)
            changed = True
        if changed:
            self.changed(context)
        return {}

    def _take_names(self, inputs: dict[str, Any]) -> None:
        semantics: Tensor | None = inputs.get("category_semantics")
        if semantics is None:
            return
        known = self._frames.names
        try:
            names = {int(key): value for key, value in json.loads(semantics.cpu().numpy().tobytes()).items()}
        except (ValueError, AttributeError):
            raise self.refuse("category_semantics", "a JSON object of names by category, as UTF-8", semantics) from None
        for category, name in names.items():
            if category <= 0 or not isinstance(name, str) or not name.strip():
                raise self.refuse("category_semantics", f"a name for each category from 1, not {name!r}", semantics)
            if known.get(category, name) != name:
                raise self.refuse(
                    "category_semantics",
                    f"the name {known[category]!r} of category {category} again, not {name!r}",
                    semantics,
                )
        known.update(names)

    def _take_categories(self, inputs: dict[str, Any], objects: list[int]) -> None:
        given: Tensor | None = inputs.get("category_ids")
        numbers = [1] * len(objects) if given is None else given[0].tolist()
        found: dict[int, int] = {}
        for key, category in zip(objects, numbers, strict=True):
            if key <= 0:
                continue
            former = found.setdefault(key, self._frames.category_of.get(key, category))
            if category <= 0 or category != former:
                wanted = "categories from 1" if category <= 0 else f"category {former} of object {key} again"
                raise self.refuse("category_ids", f"{wanted}, not {category}", given)
        self._frames.category_of.update(found)
        for category in found.values():
            self._frames.names.setdefault(category, self._frames.name_of(category))


def _region(pixels: NDArray[np.bool_], score: float) -> _Region:
    from pycocotools import mask as coco  # loads a compiled module, and only this writer needs it

    encoded: Any = coco.encode(np.asfortranarray(pixels, dtype=np.uint8))
    return _Region(
        segmentation={"size": [int(length) for length in encoded["size"]], "counts": encoded["counts"].decode()},
        box=coco.toBbox(encoded).tolist(),
        area=float(coco.area(encoded)),
        score=score,
    )
