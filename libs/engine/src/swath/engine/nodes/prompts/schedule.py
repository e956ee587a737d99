"""Which detection of a file is to be shown as which object at which frame."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from swath.engine.mixins.files import read_json

_SPEC = re.compile(r"\s*(\d+):(\d+)@(\d+)\s*")


@dataclass(frozen=True)
class Pick:
    """A detection that is to be shown as an object at a frame; as text it is what it was written as."""

    object: int
    detection: int
    frame: int

    def __str__(self) -> str:
        return f"{self.object}:{self.detection}@{self.frame}"


def picks(specs: Iterable[Any]) -> list[Pick]:
    """Return picks that are written as ``<object>:<detection>@<frame>``.

    Raises:
        ValueError: One is not.
    """
    found = []
    for spec in specs:
        match = _SPEC.fullmatch(str(spec))
        if match is None:
            raise ValueError(f"prompt_specs must be such as '<object>:<detection>@<frame>', got {spec!r}")
        found.append(Pick(*map(int, match.groups())))
    return found


class Detections:
    """Annotations and sizes of frames.

    Args:
        annotations: By frame.
        sizes: Height and width by frame; None where the file does not say.
    """

    def __init__(
        self, annotations: Mapping[int, list[Mapping[str, Any]]], sizes: Mapping[int, tuple[int, int] | None]
    ) -> None:
        self._annotations = annotations
        self._sizes = sizes
        known = {size for size in sizes.values() if size is not None}
        self._usual = known.pop() if len(known) == 1 else None

    def size(self, frame: int) -> tuple[int, int] | None:
        """Return a frame's height and width, those of all others where it is not known; None where these differ."""
        return self._sizes.get(frame) or self._usual

    def pick(self, pick: Pick) -> tuple[Mapping[str, Any], tuple[int, int]]:
        """Return the annotation of a pick and the size of its frame.

        Raises:
            ValueError: The file does not have it.
        """
        if pick.frame not in self._sizes:
            raise ValueError(f"{pick}: there is no frame {pick.frame}")
        size = self.size(pick.frame)
        if size is None:
            raise ValueError(f"{pick}: the size of frame {pick.frame} is not known")
        items = self._annotations.get(pick.frame, [])
        tracks = {int(item["track_id"]): item for item in items if item.get("track_id") is not None}
        if tracks:
            if pick.detection not in tracks:
                raise ValueError(f"{pick}: frame {pick.frame} has the tracks {sorted(tracks)}, not {pick.detection}")
            return tracks[pick.detection], size
        ranked = sorted(items, key=lambda item: float(item.get("score") or 0), reverse=True)
        if not 1 <= pick.detection <= len(ranked):
            raise ValueError(f"{pick}: frame {pick.frame} has {len(ranked)} detections, expected rank 1 to that")
        return ranked[pick.detection - 1], size


def detections(path: Path) -> Detections:
    """Read a COCO file with annotations by image or by track.

    Raises:
        ValueError: It is neither.
    """
    document = read_json(path)
    if document.get("videos"):
        annotations, sizes = _by_track(document)
    elif document.get("images"):
        annotations, sizes = _by_image(document)
    else:
        raise ValueError("expected images or videos")
    for frame, items in annotations.items():
        runs = {size for item in items if (size := _run_size(item)) is not None}
        if len(runs) > 1:
            raise ValueError(f"frame {frame} has run lengths of several sizes: {sorted(runs)}")
        if frame not in sizes or sizes[frame] in (None, (1, 1)):
            sizes[frame] = runs.pop() if runs else None
    return Detections(annotations, sizes)


def _by_image(
    document: Mapping[str, Any],
) -> tuple[dict[int, list[Mapping[str, Any]]], dict[int, tuple[int, int] | None]]:
    sizes: dict[int, tuple[int, int] | None] = {}
    for image in document["images"]:
        frame, height, width = int(image["id"]), int(image.get("height") or 0), int(image.get("width") or 0)
        if height <= 0 or width <= 0:
            raise ValueError(f"image {frame} has the size {height} x {width}, expected one above 0")
        sizes[frame] = (height, width)
    annotations: dict[int, list[Mapping[str, Any]]] = {}
    for item in document.get("annotations") or ():
        annotations.setdefault(int(item["image_id"]), []).append(item)
    return annotations, sizes


def _by_track(
    document: Mapping[str, Any],
) -> tuple[dict[int, list[Mapping[str, Any]]], dict[int, tuple[int, int] | None]]:
    frames = [int(frame) for frame in document["videos"][0].get("frame_indices") or ()]
    if not frames:
        raise ValueError("expected frame_indices of the first video")
    annotations: dict[int, list[Mapping[str, Any]]] = {frame: [] for frame in frames}
    for track in document.get("annotations") or ():
        columns: dict[str, list[Any]] = {}
        for key, name in _COLUMNS.items():
            values = track.get(key)
            if values is not None and len(values) != len(frames):
                raise ValueError(f"{key} of a track has {len(values)} entries, expected one per frame, {len(frames)}")
            columns[name] = values if values is not None else [None] * len(frames)
        for index, frame in enumerate(frames):
            item = {name: values[index] for name, values in columns.items() if values[index] is not None}
            if {"bbox", "segmentation"} & set(item):
                annotations[frame].append({"track_id": track.get("track_id"), **item})
    return annotations, dict.fromkeys(frames)


_COLUMNS = {"segmentations": "segmentation", "bboxes": "bbox", "detection_scores": "score"}


def _run_size(annotation: Mapping[str, Any]) -> tuple[int, int] | None:
    segmentation = annotation.get("segmentation")
    if not isinstance(segmentation, dict):
        return None
    height, width = segmentation["size"]
    return int(height), int(width)
